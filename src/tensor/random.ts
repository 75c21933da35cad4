/**
 * Random numbers that can be replayed: a counter-based generator, Threefry-2x32 with 20 rounds.
 *
 * Word number w of the stream with key (k0, k1) is a pure function of (k0, k1, w), so a stream can
 * be resumed anywhere from three numbers, forked without touching its parent, and computed by a GPU
 * kernel in any order with the same bits.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
import { objectOf, refuse } from "../demand";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";

const TWO_32 = 2 ** 32;
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
/** Skein's key-schedule parity constant, 32-bit half. */
const PARITY = 0x1bd11bda;

/**
 * Threefry-2x32-20: encrypts the counter (c0, c1) under the key (k0, k1).
 *
 * All arguments are taken modulo 2³²; `out[0]` and `out[1]` receive the two words.
 */
export function threefry2x32(k0: number, k1: number, c0: number, c1: number, out: Uint32Array): void {
  const k2 = PARITY ^ k0 ^ k1;
  let x0 = (c0 + k0) | 0;
  let x1 = (c1 + k1) | 0;
  // The schedule k0, k1, k2 turns by one place at each injection, every four rounds.
  let a = k1;
  let b = k2;
  let c = k0;
  for (let round = 0; round < 20; round++) {
    const r = ROTATIONS[round & 7]!;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << r) | (x1 >>> (32 - r))) ^ x0;
    if ((round & 3) === 3) {
      x0 = (x0 + a) | 0;
      x1 = (x1 + b + (round >> 2) + 1) | 0;
      const first = a;
      a = b;
      b = c;
      c = first;
    }
  }
  out[0] = x0;
  out[1] = x1;
}

/** Everything there is to know of a {@link Generator}: plain numbers, safe to store as JSON. */
export interface GeneratorState {
  /** The stream's key, two unsigned 32-bit words. */
  key: [number, number];
  /** How many 32-bit words have been drawn. */
  counter: number;
}

// The stream's own counters have a high word below 2²⁰; these marks keep the counters that make
// child keys apart from them, and children by number apart from children by name.
const CHILD_BY_NUMBER = 0x80000000;
const CHILD_BY_NAME = 0xc0000000;

const block = new Uint32Array(2);

/** @throws ArgumentError unless `value` is an array, typed or not. */
function listed<A>(method: string, value: A): A {
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && "length" in value)) return value;
  return refuse(`Generator.${method}`, "its first argument", "an array", value);
}

/**
 * A seeded stream of random numbers.
 *
 * The same seed and the same calls give the same numbers. `uint32`, `integer`, `uniform`, `bits`
 * and `permutation` are exact on every machine; `normal` uses `Math.log` and `Math.cos`, whose last
 * bit may differ between JavaScript engines.
 *
 * @example
 * const random = new Generator(1);
 * const weights = random.fork("conv1").fill(new Float32Array(1728), "normal", 0, 0.05);
 */
export class Generator {
  #k0: number;
  #k1: number;
  #counter = 0;
  /**
   * Second word of the block that was drawn from last, the one wanted when the counter is odd; −1
   * before any draw.
   */
  #second = -1;

  /**
   * @param seed a whole number from 0 to 2⁵³ − 1
   * @throws ArgumentError if `seed` is anything else
   */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new ArgumentError(
        `Generator: expected a seed that is a whole number from 0 to 2^53 - 1, got ${shown(seed)}`,
      );
    }
    this.#k0 = seed >>> 0;
    this.#k1 = Math.floor(seed / TWO_32);
  }

  /**
   * The generator that was in this state: it draws what the other would have drawn next.
   *
   * @throws ArgumentError if the state's numbers are out of range
   */
  static from(state: GeneratorState): Generator {
    const { key, counter } = objectOf("Generator.from", "a state { key, counter }", state);
    const isWord = (x: unknown) => Number.isInteger(x) && (x as number) >= 0 && (x as number) < TWO_32;
    if (
      !Array.isArray(key) ||
      key.length !== 2 ||
      !key.every(isWord) ||
      !Number.isSafeInteger(counter) ||
      counter < 0
    ) {
      throw new ArgumentError(
        "Generator.from: expected { key: [two unsigned 32-bit numbers], counter: a whole number from 0 }, got " +
          `${shown(state)}; pass what state() returned`,
      );
    }
    const generator = Generator.#keyed(key[0], key[1]);
    generator.#counter = counter;
    return generator;
  }

  /** A generator with any 64-bit key; seeds reach only 53 bits. */
  static #keyed(k0: number, k1: number): Generator {
    const generator = new Generator(0);
    generator.#k0 = k0;
    generator.#k1 = k1;
    return generator;
  }

  /** Where the stream stands; `Generator.from(state)` goes on from here. */
  state(): GeneratorState {
    return { key: [this.#k0, this.#k1], counter: this.#counter };
  }

  /**
   * An independent stream whose key depends on this stream's key and the label alone: not on how
   * much has been drawn, and without drawing anything. Labels that differ give streams that differ;
   * the number 1 and the string "1" are two labels.
   *
   * A numeric label costs one block of the cipher, cheap enough for a stream per sample; a string
   * is chained through the cipher, four UTF-16 units per block.
   *
   * @throws ArgumentError if a label is neither a text nor a whole number from 0 to 2⁵³ − 1
   */
  fork(label: string | number): Generator {
    if (typeof label === "number") {
      if (!Number.isSafeInteger(label) || label < 0) {
        throw new ArgumentError(`Generator.fork: expected a string or a whole number from 0, got ${label}`);
      }
      threefry2x32(this.#k0, this.#k1, label >>> 0, CHILD_BY_NUMBER | Math.floor(label / TWO_32), block);
    } else {
      if (typeof label !== "string") refuse("Generator.fork", "label", "a text or a whole number from 0", label);
      block.fill(0);
      for (let i = 0; i < label.length; i += 4) {
        const unit = (j: number) => label.charCodeAt(i + j) || 0;
        threefry2x32(
          this.#k0,
          this.#k1,
          block[0]! ^ (unit(0) | (unit(1) << 16)),
          block[1]! ^ (unit(2) | (unit(3) << 16)),
          block,
        );
      }
      // The length tells a label from the same with zeros behind it.
      const last = block[0]! ^ label.length;
      threefry2x32(this.#k0, this.#k1, last, CHILD_BY_NAME | (block[1]! & 0x3fffffff), block);
    }
    return Generator.#keyed(block[0]!, block[1]!);
  }

  /** The next word of the stream, uniform in [0, 2³²). */
  uint32(): number {
    const word = this.#counter++;
    const half = word % 2;
    if (half === 1 && this.#second >= 0) return this.#second;
    const index = (word - half) / 2;
    threefry2x32(this.#k0, this.#k1, index >>> 0, Math.floor(index / TWO_32), block);
    this.#second = block[1]!;
    return block[half]!;
  }

  /**
   * low + (high − low)·u with u uniform over the 2²⁴ multiples of 2⁻²⁴ in [0, 1): u is exact in
   * float32. One word.
   */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * ((this.uint32() >>> 8) / 0x1000000);
  }

  /**
   * A normal deviate by Box–Muller, mean + std·√(−2 ln u₁)·cos(2πu₂), u₁ in (0, 1] and u₂ in [0, 1)
   * of 32 bits each (so at most 6.7 standard deviations from the mean). Two words.
   */
  normal(mean = 0, std = 1): number {
    const radius = Math.sqrt(-2 * Math.log((this.uint32() + 1) / TWO_32));
    return mean + std * radius * Math.cos((2 * Math.PI * this.uint32()) / TWO_32);
  }

  /**
   * A whole number, uniform in [0, n) without bias: words beyond the last multiple of n are
   * rejected. One word, rarely more.
   *
   * @throws ArgumentError if `n` is not a whole number from 1 to 2³²
   */
  integer(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > TWO_32) {
      throw new ArgumentError(`Generator.integer: expected n to be a whole number from 1 to 2^32, got ${shown(n)}`);
    }
    const limit = TWO_32 - (TWO_32 % n);
    let word = this.uint32();
    while (word >= limit) word = this.uint32();
    return word % n;
  }

  /** The numbers 0 … n − 1 in random order, every order equally likely (Fisher–Yates). */
  permutation(n: number): Uint32Array {
    if (!Number.isInteger(n) || n < 0 || n > TWO_32) {
      throw new ArgumentError(`Generator.permutation: expected n to be a whole number from 0 to 2^32, got ${shown(n)}`);
    }
    const order = new Uint32Array(n);
    for (let i = 0; i < n; i++) order[i] = i;
    return this.shuffle(order);
  }

  /** Puts the elements in random order, in place, and returns the array. */
  shuffle<A extends { readonly length: number; [index: number]: unknown }>(array: A): A {
    // A generic A forbids writing to its index signature; the elements only change places, so their
    // type is kept.
    const items: { readonly length: number; [index: number]: unknown } = listed("shuffle", array);
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const held = items[i];
      items[i] = items[j];
      items[j] = held;
    }
    return array;
  }

  /**
   * Fills the array with deviates, `"uniform"` in [a, b) (default 0, 1) or `"normal"` with mean a
   * and deviation b (default 0, 1), and returns it. The same numbers as that many calls of
   * `uniform` or `normal`, rounded to the array's type.
   *
   * @throws ArgumentError if the distribution is neither, or there is no array to fill
   */
  fill<A extends Float32Array | Float64Array>(array: A, distribution: "uniform" | "normal", a = 0, b = 1): A {
    listed("fill", array);
    if (distribution === "uniform") {
      for (let i = 0; i < array.length; i++) array[i] = this.uniform(a, b);
    } else if (distribution === "normal") {
      for (let i = 0; i < array.length; i++) array[i] = this.normal(a, b);
    } else {
      throw new ArgumentError(`Generator.fill: expected "uniform" or "normal", got ${shown(distribution)}`);
    }
    return array;
  }

  /**
   * n fair bits, one per element (0 or 1), taken from each word most significant first. ⌈n / 32⌉
   * words.
   *
   * @throws ArgumentError if `n` is not a whole number from 0
   */
  bits(n: number): Uint8Array {
    if (!Number.isSafeInteger(n) || n < 0) {
      throw new ArgumentError(`Generator.bits: expected n to be a whole number from 0, got ${shown(n)}`);
    }
    const out = new Uint8Array(n);
    let word = 0;
    for (let i = 0; i < n; i++) {
      if (i % 32 === 0) word = this.uint32();
      out[i] = (word >>> (31 - (i % 32))) & 1;
    }
    return out;
  }
}
