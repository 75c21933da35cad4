/**
 * Activations that wait for the backward pass in f16. The graph says what it keeps; what nobody has
 * asked for during a few operations is rounded, and is f32 again when somebody does. Operations say
 * at `record` what must not be: x / y, log x and √x have derivatives that leave all bounds where a
 * small number becomes 0, and a greatest element is no longer equal to its maximum once one of the
 * two is rounded. What a norm takes its mean from is rounded about that mean, of which it may be
 * any number of deviations away.
 */
import type { PooledBuffer } from "../gpu/pool";
import { type Centre, refuseAsync, type Storage, tick } from "./storage";

/** What is packed, and when. */
interface PackingOptions {
  /** Operations that a value waits for in f32 (default: a residual block's, to its sum). */
  readonly patience?: number;
  /** Bytes below which packing is not worth its launches, nor digits of γ, β and means. */
  readonly least?: number;
}

const PATIENCE = 4;
const LEAST = 1 << 14;

/** The values that operations of one forward pass made, and those that its graph keeps. */
class Packing {
  readonly #made = new Set<Storage>();
  readonly #waiting = new Set<Storage>();
  readonly #exact = new Set<Storage>();
  readonly #centres = new Map<Storage, Centre>();

  constructor(
    private readonly beyond: { readonly buffer: PooledBuffer },
    private readonly patience: number,
    private readonly least: number,
  ) {}

  /**
   * A parameter is nobody's result, and neither is another view of it: what waits in f16 is what an
   * operation computed. A value that one operation needs exact is so for all that keep it.
   */
  note(
    result: Storage,
    inputs: readonly Storage[],
    saved: readonly Storage[],
    exact: readonly Storage[],
    centred: readonly (readonly [Storage, Centre])[],
  ): void {
    if (!inputs.includes(result)) this.#made.add(result);
    for (const kept of saved) if (kept.bytes >= this.least && this.#made.has(kept)) this.#waiting.add(kept);
    for (const kept of exact) this.#exact.add(kept);
    for (const [kept, centre] of centred) {
      this.#centres.set(kept, centre);
      this.#exact.add(centre.means);
    }
  }

  /** An operation more: packs what has waited long enough. */
  pass(): void {
    tick();
    for (const storage of this.#waiting) {
      if (storage.isFreed || this.#exact.has(storage)) this.#waiting.delete(storage);
      else if (storage.idle >= this.patience) {
        const centre = this.#centres.get(storage);
        storage.pack(this.beyond.buffer, centre?.means.isFreed ? null : centre);
      }
    }
  }
}

let current: Packing | null = null;

/** The packing that goes on now, if one does. */
export const currentPacking = (): Packing | null => current;

/**
 * Runs a forward pass whose graph keeps what waits in f16; its backward pass may come afterwards.
 * Sums and gradients are f32. An operation that comes back to a value late, as a long skip
 * connection does, reads it rounded.
 *
 * @param beyond u32 [1], to which vectors of four with a number beyond ±65,504 are counted; such a
 * number becomes ±65,504; null: nothing is packed
 * @throws ArgumentError when the body is asynchronous.
 */
export function packingSaved<T>(
  beyond: { readonly buffer: PooledBuffer } | null,
  body: () => T,
  { patience = PATIENCE, least = LEAST }: PackingOptions = {},
): T {
  if (!beyond) return body();
  const before = current;
  current = new Packing(beyond, patience, least);
  try {
    const result = body();
    refuseAsync("a forward pass", result);
    return result;
  } finally {
    current = before;
  }
}
