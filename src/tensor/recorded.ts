import { callable, instance } from "../demand";
import { LifetimeError } from "../errors";
import { Device } from "../gpu/device";
import { device } from "../gpu/init";
import type { Recording } from "../gpu/recording";
import { scope } from "./storage";

/** A step that {@link recordStep} ran once and can run again. */
export interface RecordedStep<T> {
  /** What the step returned; tensors in it hold the values of the last run. */
  readonly result: T;
  /** Dispatches and copies of one run. */
  readonly commands: number;
  /**
   * Runs the step again on what its tensors hold now. Like every operation it is submitted with the
   * next read, or by `device().flush()`.
   * @throws LifetimeError after {@link dispose}.
   */
  replay(): void;
  /**
   * Kernels, scalars and grid sizes of the step as text: equal for two recordings of a step that
   * decides nothing anew in JavaScript.
   */
  trace(): string;
  /** Frees the memory that the step's inner tensors keep occupied. */
  dispose(): void;
}

/**
 * Runs `body` in a {@link scope} and keeps the list of its GPU commands. A replay gives the same
 * commands to the GPU, on the same memory, without running any of the body's JavaScript: no graph
 * is built, no tensor made, nothing looked up. What has to vary from step to step must therefore
 * lie in tensors: inputs that are written between replays, learning rates and step counts of
 * optimisers, the steps of a `RandomStream` (those do).
 *
 * The body may not upload or read: make input tensors before, and `write()` to them; call
 * `optimizer.prepare()` before the recording. Replays take the learning rate of their day, and
 * running statistics and their counts move with each. Gradients are as if the body had run: added
 * to, zeroed, inside or outside. A replay is refused where it would do something else than the
 * body: with other passports, with a leaf disposed of. A random stream that it draws from goes on
 * to its next step by itself, unless you did that. A model that was changed otherwise (another
 * scheme, `train()` to `eval()`) wants a new recording.
 *
 * @example
 * const [x, y] = [keep(Tensor.empty([64, 32, 32, 3])), keep(Tensor.empty([64], "i32"))];
 * x.write(first.images); y.write(first.labels);
 * const step = recordStep(() => {
 *   optimizer.zeroGrad();
 *   const loss = crossEntropy(model.forward(x), y);
 *   loss.backward();
 *   optimizer.step();
 *   return loss;
 * });
 * for (const batch of rest) { x.write(batch.images); y.write(batch.labels); step.replay(); }
 *
 * @param d The device that the body computes on.
 * @throws LifetimeError when the body uploads or reads (it has run once by then), records or
 * replays a step itself, or gives this device nothing to do.
 * @throws ArgumentError when it is asynchronous, or no function.
 */
export function recordStep<T>(body: () => T, d: Device = device()): RecordedStep<T> {
  callable("recordStep", "its body", body);
  instance("recordStep", "its device", d, Device);
  const { result, recording }: { result: T; recording: Recording } = d.record(() => scope(body));
  if (recording.obstacle !== null) {
    recording.dispose();
    throw new LifetimeError(recording.obstacle);
  }
  if (recording.length === 0) {
    recording.dispose();
    throw new LifetimeError(
      `recordStep: the body gave the device ${d.name} nothing to do: if its tensors live on another, pass that as second argument`,
    );
  }
  return {
    result,
    commands: recording.length,
    replay: () => recording.replay(),
    trace: () => recording.trace(),
    dispose: () => recording.dispose(),
  };
}
