import type { Device } from "../gpu/device";
import type { PooledBuffer } from "../gpu/pool";
import type { Recording } from "../gpu/recording";
import { type Shape, showShape } from "./shape";
import { keep } from "./storage";

/** What matters here of a tensor. */
interface Leaf {
  readonly shape: Shape;
  readonly size: number;
  readonly device: Device;
  readonly buffer: PooledBuffer;
  readonly isDisposed: boolean;
  grad: Leaf | null;
  view(shape: Shape, internal: boolean): Leaf;
  newFull(shape: Shape, value: number): Leaf;
  fill(value: number): Leaf;
  dispose(): void;
}

const within = new WeakSet<object>();

/**
 * Marks a leaf that is made and gone within a step: nobody has a gradient of its from before, or
 * finds one afterwards.
 */
export function passing<T extends object>(leaf: T): T {
  within.add(leaf);
  return leaf;
}

/** How a recorded step finds and leaves one gradient. */
interface Use {
  /**
   * The memory that the step's first gradient is added to; null where the step zeroes it first, and
   * then stores.
   */
  readonly start: Leaf | null;
  /** The memory that the gradient is in afterwards; null where the step ends with none. */
  end: Leaf | null;
}

/**
 * The gradients that a step adds to, stores or frees while it is recorded. Which of the three it
 * is, JavaScript decides by `leaf.grad`; a replay gives the same commands whatever that is by then.
 * So every replay first puts `leaf.grad` where those commands expect it, and leaves it where the
 * step does, as if its body had run: a gradient from outside is added to, one that was zeroed
 * outside starts from zero, and who steps or looks at gradients outside finds them.
 */
class RecordedGradients {
  private readonly uses = new Map<Leaf, Use>();

  constructor(private readonly recording: Recording) {}

  /** `leaf`'s gradient is about to be freed. */
  zeroed(leaf: Leaf): void {
    if (!this.uses.has(leaf)) this.uses.set(leaf, { start: null, end: null });
  }

  /**
   * A gradient is about to be delivered. The first of the step is an addition, also where there was
   * none: a replay may find one.
   */
  arriving(leaf: Leaf): void {
    if (this.uses.has(leaf) || within.has(leaf)) return;
    leaf.grad ??= this.zeros(leaf);
    this.uses.set(leaf, { start: hold(leaf.grad), end: null });
  }

  /**
   * Zeros in memory that no command so far has used: a replay gives those again, and would write
   * over the gradient that is there by then.
   */
  private zeros(leaf: Leaf): Leaf {
    const used: Leaf[] = [];
    for (;;) {
      const zeros = leaf.device.aside(() => keep(leaf.newFull(leaf.shape, 0)));
      if (this.recording.uses(zeros.buffer)) used.push(zeros);
      else {
        for (const t of used) t.dispose();
        return zeros;
      }
    }
  }

  /** The step was recorded to its end. */
  whole(): void {
    for (const [leaf, use] of this.uses) use.end = leaf.grad && hold(leaf.grad);
  }

  /** A gradient can go to no leaf that is disposed. */
  stale(): string | null {
    for (const { isDisposed, shape } of this.uses.keys())
      if (isDisposed) return `a leaf of shape ${showShape(shape)} that it computes a gradient of was disposed: keep it`;
    return null;
  }

  /** Before a replay. */
  replay(): void {
    for (const [leaf, { start, end }] of this.uses) {
      const now = leaf.grad?.isDisposed ? null : leaf.grad;
      if (start && !now) start.fill(0);
      else if (start && now && now.buffer !== start.buffer) leaf.device.copy(now.buffer, start.buffer, 4 * leaf.size);
      if (now && now.buffer === end?.buffer) continue;
      now?.dispose();
      leaf.grad = end && keep(end.view(leaf.shape, false));
    }
  }

  gone(): void {
    for (const { start, end } of this.uses.values()) {
      start?.dispose();
      end?.dispose();
    }
    this.uses.clear();
  }
}

/** A handle of one's own on the memory of `t`. */
const hold = (t: Leaf): Leaf => t.view(t.shape, true);

const known = new WeakMap<Recording, RecordedGradients>();

/** Of the step that is being recorded on this device; null while none is. */
export function recordedGradients({ underRecording }: Device): RecordedGradients | null {
  if (!underRecording) return null;
  let found = known.get(underRecording);
  if (!found) {
    found = new RecordedGradients(underRecording);
    known.set(underRecording, found);
    underRecording.follow(found);
  }
  return found;
}
