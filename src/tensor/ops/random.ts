import { type Distribution, dropoutKernel, randomKernel, randomWordsKernel } from "../../../shaders/random.wgsl";
import { flag, within } from "../../demand";
import { ArgumentError } from "../../errors";
import { shown } from "../../io/shown";
import { Generator } from "../random";
import { drawOf } from "../rerun";
import type { Shape } from "../shape";
import { keep } from "../storage";
import { record, Tensor } from "../tensor";
import { traced } from "../trace";
import { expectOptions, expectTensors } from "./operands";

/** Where a {@link RandomStream} stands: plain numbers, safe to store as JSON. */
export interface RandomStreamState {
  /** The stream's key, two unsigned 32-bit words. */
  key: [number, number];
  /** How often `nextStep` was called. */
  step: number;
  /** Draws made in this step. */
  draw: number;
}

/** Draws of one step; a {@link Generator} can name the words of as many. */
const MAX_DRAWS = 2 ** 20;
/** Words of one draw that a Generator's counter sets apart: 2³² blocks of two. */
const DRAW_WORDS = 2 ** 33;

/**
 * Random numbers made on the GPU, the same on every device for the same seed.
 *
 * Numbers are a pure function of the stream's key, the step, the draw in that step and the place in
 * the tensor: draw d of step s holds, in order, what `Generator.from({ key: K, counter: d · 2³³ })`
 * draws, with K the key of the stream's generator forked by s (Threefry-2x32-20 on both sides). The
 * step's key lies in a small tensor and is no constant of a command: a recorded step that is run
 * again after `nextStep()` draws new numbers.
 *
 * @example
 * const stream = new RandomStream(1);
 * const noise = stream.normal([32, 100]);
 * const y = dropout(x, 0.5, stream);
 * stream.nextStep();
 */
export class RandomStream {
  /** [key of the step (2 words), step modulo 2³², 0], what the kernels read. */
  readonly buffer: Tensor;
  private base: Generator;
  private step = 0;
  private draw = 0;

  /**
   * @param source A seed, or a generator whose key is taken and from which nothing is drawn: give
   * every stream a fork of its own.
   * @throws ArgumentError if the seed is not a whole number from 0 to 2⁵³ − 1.
   */
  constructor(source: Generator | number) {
    if (typeof source !== "number" && !(source instanceof Generator))
      throw new ArgumentError(`RandomStream: a seed or a Generator expected, found ${shown(source)}`);
    // A fork by name keeps the steps' keys apart from the forks by number that the caller makes of
    // the same generator.
    this.base = (typeof source === "number" ? new Generator(source) : source).fork("RandomStream");
    this.buffer = keep(Tensor.from(this.words(), [4]));
  }

  /**
   * The stream that was in this state: it draws what the other would have drawn next.
   * @throws ArgumentError if it is no state.
   */
  static from(state: RandomStreamState): RandomStream {
    const stream = new RandomStream(0);
    stream.restore(state);
    return stream;
  }

  /** Goes on to the next step: 16 bytes are uploaded, and draws are counted from 0 again. */
  nextStep(): void {
    this.moveTo(this.step + 1, 0);
  }

  /** Where the stream stands. */
  state(): RandomStreamState {
    return { key: this.base.state().key, step: this.step, draw: this.draw };
  }

  /**
   * Makes this stream draw next what the stream that gave `state` would have.
   * @throws ArgumentError if it is no state.
   */
  restore(state: RandomStreamState): void {
    expectOptions("RandomStream.restore", state, ["key", "step", "draw"]);
    const { key, step, draw } = state;
    const isCount = (n: unknown, most: number) =>
      Number.isSafeInteger(n) && (n as number) >= 0 && (n as number) <= most;
    if (!isCount(step, Number.MAX_SAFE_INTEGER) || !isCount(draw, MAX_DRAWS)) {
      throw new ArgumentError(
        `RandomStream.restore: expected { key, step, draw } with whole numbers from 0, found ${JSON.stringify(state)}; pass what state() returned`,
      );
    }
    this.base = Generator.from({ key, counter: 0 });
    this.moveTo(step, draw);
  }

  /** The generator on the host that draws the numbers of the next draw. */
  host(): Generator {
    return Generator.from({ key: this.base.fork(this.step).state().key, counter: this.draw * DRAW_WORDS });
  }

  /**
   * low + (high − low)·u with u uniform over the multiples of 2⁻²⁴ in [0, 1); rounding may give
   * `high` itself, but not for [0, 2ᵏ) and [−1, 1).
   * @throws ArgumentError if low or high is not finite.
   */
  uniform(shape: Shape, low = 0, high = 1): Tensor {
    return this.fill("uniform", shape, low, high);
  }

  /**
   * Normal deviates by Box–Muller, mean + std·√(−2 ln u₁)·cos(2πu₂). Up to the adapter's rounding
   * of log and cos the same as the host's.
   * @throws ArgumentError if mean or std is not finite.
   */
  normal(shape: Shape, mean = 0, std = 1): Tensor {
    return this.fill("normal", shape, mean, std);
  }

  /** 1 with probability p, else 0. @throws ArgumentError if p is not within [0, 1]. */
  bernoulli(shape: Shape, p: number): Tensor {
    within("RandomStream.bernoulli", "p", p, 0, 1);
    return this.fill("bernoulli", shape, p, 0);
  }

  /** Uniform 32-bit words, as a u32 tensor. */
  uint32(shape: Shape): Tensor {
    const y = this.buffer.newEmpty(shape, "u32");
    y.device.run(
      randomWordsKernel,
      null,
      { state: this.buffer.buffer, y: y.buffer },
      { n4: y.vectors, draw: this.nextDraw() },
    );
    traced("random", y, []);
    return y;
  }

  /**
   * Takes the number of the next draw. A step that has used them up is followed by the next.
   * @throws ArgumentError in a recorded step, whose draws are all of one.
   */
  nextDraw(): number {
    return drawOf(this, () => {
      if (this.draw >= MAX_DRAWS) {
        if (this.buffer.device.underRecording)
          throw new ArgumentError(
            `RandomStream: ${MAX_DRAWS} draws in one step, no more can be told apart: call nextStep() once a step`,
          );
        this.nextStep();
      }
      this.followRecording();
      return this.draw++;
    });
  }

  /** Frees the stream's memory on the GPU. */
  dispose(): void {
    this.buffer.dispose();
  }

  private fill(distribution: Distribution, shape: Shape, a: number, b: number): Tensor {
    if (!Number.isFinite(a) || !Number.isFinite(b))
      throw new ArgumentError(`RandomStream.${distribution}: expected finite numbers, found ${a} and ${b}`);
    const y = this.buffer.newEmpty(shape, "f32");
    y.device.run(
      randomKernel,
      distribution,
      { state: this.buffer.buffer, y: y.buffer },
      { n4: y.vectors, draw: this.nextDraw(), a, b },
    );
    traced("random", y, []);
    return y;
  }

  /**
   * A replay draws by the same count: where the stream has not gone on since, it goes to its next
   * step first, as the numbers would be the same again.
   */
  private followRecording(): void {
    const { buffer } = this;
    let drawn = buffer.version;
    const draws = this.draw + 1;
    buffer.device.underRecording?.follow({
      replay: () => {
        if (buffer.version === drawn) this.nextStep();
        drawn = buffer.version;
        this.draw = Math.max(this.draw, draws);
      },
    });
  }

  private moveTo(step: number, draw: number): void {
    this.step = step;
    this.draw = draw;
    this.buffer.write(this.words());
  }

  private words(): Uint32Array {
    return Uint32Array.of(...this.base.fork(this.step).state().key, this.step % 2 ** 32, 0);
  }
}

/**
 * y = x · m / (1 − p) with m = 0 with probability p, else 1, independently for every element; when
 * not training, y is a view of x and shares its memory: what is written to one, the other has too.
 * p = 1 gives zeros. The gradient is g · m / (1 − p): the mask is
 * not stored but made again from a copy of the stream's four words.
 *
 * Source: Srivastava et al., "Dropout", JMLR 2014 (in the inverted form).
 *
 * @throws ArgumentError if p is not within [0, 1], ShapeError if x is not f32.
 */
export function dropout(x: Tensor, p: number, stream: RandomStream, training = true): Tensor {
  expectTensors("dropout", { x });
  within("dropout", "p", p, 0, 1);
  if (!(stream instanceof RandomStream))
    throw new ArgumentError(`dropout: stream is a RandomStream, found ${shown(stream)}`);
  flag("dropout", "training", training);
  if (!training) return record("dropout", x.view(x.shape), [x], [], () => (g) => [g]);
  const params = { n4: x.vectors, draw: stream.nextDraw(), p, scale: p === 1 ? 0 : 1 / (1 - p) };
  const y = x.newEmpty(x.shape);
  const used = x.newEmpty([4], "u32");
  const state = stream.buffer.buffer;
  x.device.run(dropoutKernel, { keep: true }, { x: x.buffer, state, y: y.buffer, used: used.buffer }, params);
  const backward = (counters: Tensor) => (g: Tensor) => {
    const dx = g.newEmpty(x.shape);
    const again = { x: g.buffer, state: counters.buffer, y: dx.buffer, used: counters.buffer };
    g.device.run(dropoutKernel, { keep: false }, again, params);
    return [dx];
  };
  const out = record("dropout", y, [x], [used], backward, { numbers: [p] });
  used.dispose();
  return out;
}
