import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import { binomialPValue, matchThreshold, twoSidedPValue } from "../../src/ownership/statistics";

/** Σ_{k ≥ matched} C(n, k), exact. */
function ways(matched: number, n: number): bigint {
  let term = 1n;
  let sum = 0n;
  for (let k = n; k >= matched; k--) {
    sum += term;
    term = (term * BigInt(k)) / BigInt(n - k + 1);
  }
  return sum;
}

/** P(X ≥ matched) as an exact fraction, for a probability of hits/of a trial. */
function exactTail(matched: number, n: number, hits: number, of: number): [bigint, bigint] {
  let ways = 1n;
  let sum = 0n;
  for (let k = n; k >= matched; k--) {
    sum += ways * BigInt(hits) ** BigInt(k) * BigInt(of - hits) ** BigInt(n - k);
    ways = (ways * BigInt(k)) / BigInt(n - k + 1);
  }
  return [sum, BigInt(of) ** BigInt(n)];
}

/** A fraction of any size as a double; its leading 62 bits hold all the digits there are. */
function quotient([above, below]: [bigint, bigint]): number {
  const bits = (v: bigint) => v.toString(2).length;
  const shift = 62 + bits(below) - bits(above);
  return Number((above << BigInt(Math.max(0, shift))) / below) * 2 ** -Math.max(0, shift);
}

const relative = (got: number, want: number) => Math.abs(got - want) / want;

describe("binomialPValue", () => {
  it("equals exact arithmetic for every count up to 64 bits", () => {
    let worst = 0;
    for (let n = 1; n <= 64; n++)
      for (let k = 0; k <= n; k++) worst = Math.max(worst, relative(binomialPValue(k, n), Number(ways(k, n)) / 2 ** n));
    expect(worst).toBeLessThan(1e-12);
  });

  it.each([
    [130, 256],
    [167, 256],
    [256, 256],
    [520, 896],
    [896, 896],
    [1000, 1024],
  ])("equals exact arithmetic for %i of %i", (k, n) => {
    // The leading 60 bits hold all the digits that a double has.
    const exact = ways(k, n);
    const shift = Math.max(0, exact.toString(2).length - 60);
    const want = Number(exact >> BigInt(shift)) * 2 ** (shift - n);
    expect(relative(binomialPValue(k, n), want)).toBeLessThan(1e-10);
  });

  it("knows the simple ones", () => {
    expect(binomialPValue(0, 1)).toBe(1);
    expect(binomialPValue(1, 1)).toBeCloseTo(0.5, 15);
    expect(binomialPValue(0, 4000)).toBeCloseTo(1, 10);
    expect(binomialPValue(3, 4)).toBeCloseTo(5 / 16, 15);
    expect(relative(binomialPValue(64, 64), 2 ** -64)).toBeLessThan(1e-12);
    expect(binomialPValue(4000, 4000)).toBe(0);
    // Far beyond where 2^-n leaves the doubles: half of the bits or more, symmetry gives ½ +
    // ½·P(X = 2000).
    expect(binomialPValue(2000, 4000)).toBeCloseTo(0.5 + 0.5 / Math.sqrt(Math.PI * 2000), 5);
  });

  it.each([
    [1, 10],
    [1, 3],
    [1, 2],
    [9, 10],
    [1, 100],
  ])("equals exact arithmetic where a guess hits with %i/%i", (hits, of) => {
    let worst = 0;
    for (const n of [1, 2, 7, 30, 100])
      for (let k = 0; k <= n; k++) {
        const want = quotient(exactTail(k, n, hits, of));
        worst = Math.max(worst, relative(binomialPValue(k, n, hits / of), want));
      }
    expect(worst).toBeLessThan(1e-11);
  });

  it("knows simple ones of other probabilities", () => {
    expect(relative(binomialPValue(100, 100, 0.1), 1e-100)).toBeLessThan(1e-12);
    expect(binomialPValue(1, 1, 0.1)).toBeCloseTo(0.1, 15);
    expect(binomialPValue(1, 2, 0.1)).toBeCloseTo(0.19, 15);
    expect(binomialPValue(0, 5000, 0.1)).toBeCloseTo(1, 10);
    // 100 triggers of ten classes: ten hits are what guessing gives, fifty are nothing it ever
    // does.
    expect(binomialPValue(10, 100, 0.1)).toBeGreaterThan(0.5);
    expect(binomialPValue(50, 100, 0.1)).toBeLessThan(1e-20);
    expect(binomialPValue(30, 100)).toBe(binomialPValue(30, 100, 0.5));
  });

  it.each([0, 1, -0.1, 1.1, Number.NaN, Infinity])("refuses a probability of %d", (probability) => {
    expect(() => binomialPValue(4, 8, probability)).toThrow(ArgumentError);
    expect(() => binomialPValue(4, 8, probability)).toThrow(/probability between 0 and 1.*number of triggers/);
    expect(() => matchThreshold(8, 1e-6, probability)).toThrow(ArgumentError);
  });

  it("falls with every further match", () => {
    for (let k = 1; k <= 300; k++) expect(binomialPValue(k, 300)).toBeLessThanOrEqual(binomialPValue(k - 1, 300));
  });

  it.each([
    [-1, 8],
    [9, 8],
    [1.5, 8],
    [0, 0],
    [1, Number.NaN],
    [Number.NaN, 8],
    [4, 8.5],
    [4, Infinity],
  ])("refuses %d of %d", (k, n) => {
    expect(() => binomialPValue(k, n)).toThrow(ArgumentError);
  });
});

describe("matchThreshold", () => {
  it.each([
    [64, 51],
    [256, 167],
    [896, 520],
  ])("of %i bits is %i at 1e-6", (n, k) => {
    expect(matchThreshold(n)).toBe(k);
    expect(matchThreshold(n, 1e-6)).toBe(k);
    // Exactly: guessing reaches k with 1e-6 at most, k − 1 with more.
    expect(ways(k, n) * 1_000_000n <= 1n << BigInt(n)).toBe(true);
    expect(ways(k - 1, n) * 1_000_000n <= 1n << BigInt(n)).toBe(false);
  });

  it("is the smallest count that exact arithmetic allows, for every length up to 64", () => {
    for (let n = 1; n <= 64; n++)
      for (const denominator of [3n, 100n, 1_000_000n, 10n ** 15n]) {
        let k = n + 1;
        while (k > 0 && ways(k - 1, n) * denominator <= 1n << BigInt(n)) k--;
        expect(matchThreshold(n, 1 / Number(denominator)), `${n} bits at 1/${denominator}`).toBe(k);
      }
  });

  it.each([
    [1, 10],
    [1, 3],
    [3, 4],
  ])("is the smallest count that exact arithmetic allows where a guess hits with %i/%i", (hits, of) => {
    for (const n of [1, 5, 6, 30, 100])
      for (const denominator of [7n, 1_000_003n]) {
        const rare = (k: number) => {
          const [above, below] = exactTail(k, n, hits, of);
          return above * denominator <= below;
        };
        let k = n + 1;
        while (k > 0 && rare(k - 1)) k--;
        expect(matchThreshold(n, 1 / Number(denominator), hits / of), `${n} trials at 1/${denominator}`).toBe(k);
      }
  });

  it("asks fewer hits of triggers than of bits", () => {
    expect(matchThreshold(100, 1e-6, 0.1)).toBe(28);
    expect(matchThreshold(100, 1e-6)).toBe(74);
    expect(matchThreshold(5, 1e-6, 0.1)).toBe(6);
    expect(matchThreshold(7, 1e-6, 0.1)).toBe(7);
  });

  it("cannot be met where even all bits are too likely a guess", () => {
    expect(matchThreshold(16)).toBe(17);
    expect(matchThreshold(19)).toBe(20);
    expect(matchThreshold(20)).toBe(20);
  });

  it("agrees with the p-value: reached exactly when that is at most the rate", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1500 }), fc.double({ min: 1e-12, max: 0.4, noNaN: true }), (n, rate) => {
        const k = matchThreshold(n, rate);
        if (k <= n) expect(binomialPValue(k, n)).toBeLessThanOrEqual(rate);
        if (k > 0) expect(binomialPValue(k - 1, n)).toBeGreaterThan(rate);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    [0, 1e-6],
    [8.5, 1e-6],
    [Number.NaN, 1e-6],
    [8, 0],
    [8, 1],
    [8, -1],
    [8, Number.NaN],
  ])("refuses %d bits at rate %d", (n, rate) => {
    expect(() => matchThreshold(n, rate)).toThrow(ArgumentError);
  });
});

describe("twoSidedPValue", () => {
  it("counts both tails, and is symmetric", () => {
    // Of 8 bits: P(X ≤ 1) + P(X ≥ 7) = 2 · 9 / 256.
    expect(twoSidedPValue(7, 8)).toBeCloseTo(18 / 256, 12);
    expect(twoSidedPValue(1, 8)).toBe(twoSidedPValue(7, 8));
    expect(twoSidedPValue(0, 64)).toBeCloseTo(2 ** -63, 25);
    expect(twoSidedPValue(4, 8)).toBe(1);
    expect(() => twoSidedPValue(9, 8)).toThrow(ArgumentError);
  });
});
