import type { Device } from "../gpu/device";
import type { Recording } from "../gpu/recording";
import type { Module } from "../nn/module";
import { Watch } from "./watch";

/** What is known of the steps of one kind. */
interface Kind {
  /** The commands of the last one that ran as it is written. */
  trace: string;
  /** Null until two gave the same commands; "never" where a replay would leave something out. */
  recording: Recording | "never" | null;
}

/**
 * Runs steps: as they are written, until two of a kind in a row gave the GPU the same commands;
 * from then on by replaying those, which costs the processor a fraction. A step that uploads
 * something itself is always run as it is written, and so is one that changes a property of the
 * model; when somebody else changed one (a frozen layer, other passports), steps are recorded anew.
 */
export class StepReplay {
  readonly #kinds = new Map<string, Kind>();
  /** What the model is in the steps recorded; null where none is. */
  #watch: Watch | null = null;

  constructor(
    private readonly device: Device,
    private readonly model: Module,
  ) {}

  /** @param kind Steps of one kind differ in the contents of tensors alone. */
  run(kind: string, step: () => void): void {
    if (this.#watch && !this.#watch.holds()) {
      this.release();
      this.#watch = null;
    }
    const known = this.#kinds.get(kind);
    if (known?.recording === "never") return step();
    if (known?.recording) {
      if (!known.recording.stale) return known.recording.replay();
      this.release();
    }
    this.#watch ??= new Watch(this.model);
    const { recording } = this.device.record(step);
    const trace = recording.trace();
    const repeats = known?.trace === trace && recording.obstacle === null && this.#watch.holds();
    if (!repeats) recording.dispose();
    this.#kinds.set(kind, { trace, recording: repeats ? recording : recording.obstacle === null ? null : "never" });
  }

  /**
   * Frees the memory of recorded steps. What was learned stays: the next of each kind is recorded
   * at once.
   */
  release(): void {
    for (const kind of this.#kinds.values()) {
      if (kind.recording === "never" || !kind.recording) continue;
      kind.recording.dispose();
      kind.recording = null;
    }
  }
}
