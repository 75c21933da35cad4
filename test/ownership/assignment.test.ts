/** Optimal assignments and the fixed points of random ones, against counting all there are. */
import { expect, it } from "vitest";
import { assigned } from "../../src/ownership/relation/assignment";
import {
  fixedPointsLaw,
  fixedPointsPValue,
  fixedPointsThreshold,
  type Matchings,
} from "../../src/ownership/relation/fixed-points";
import { Generator } from "../../src/tensor/random";

/** All ways to give each of some rows a column of its own; there are no more rows than columns. */
function* injections(rows: number, columns: number, taken: readonly number[] = []): Generator_ {
  if (taken.length === rows) yield taken;
  else for (let c = 0; c < columns; c++) if (!taken.includes(c)) yield* injections(rows, columns, [...taken, c]);
}
type Generator_ = globalThis.Generator<readonly number[]>;

it.each([
  [1, 1],
  [2, 5],
  [5, 5],
  [6, 6],
  [3, 7],
  [7, 3],
  [5, 1],
])("finds the best of all assignments of %i rows to %i columns", (rows, columns) => {
  const random = new Generator(rows * 10 + columns);
  for (let trial = 0; trial < 40; trial++) {
    // Whole numbers make ties; negative ones, and large beside small, are no special case.
    const scores = Float64Array.from({ length: rows * columns }, () =>
      trial % 2 ? random.integer(4) : random.normal(0, 10 ** random.integer(4)),
    );
    const found = assigned(scores, rows, columns);
    const given = [...found].filter((c) => c >= 0);
    expect(new Set(given).size).toBe(Math.min(rows, columns));
    expect(given.length).toBe(Math.min(rows, columns));
    const sum = [...found].reduce((s, c, r) => s + (c < 0 ? 0 : scores[r * columns + c]!), 0);
    const at = (r: number, c: number) => (rows <= columns ? scores[r * columns + c]! : scores[c * columns + r]!);
    let best = Number.NEGATIVE_INFINITY;
    for (const way of injections(Math.min(rows, columns), Math.max(rows, columns)))
      best = Math.max(
        best,
        way.reduce((s, c, r) => s + at(r, c), 0),
      );
    expect(sum).toBeCloseTo(best, 6);
  }
});

it("finds the order of 512 channels in a moment", () => {
  const random = new Generator(1);
  const n = 512;
  const order = random.permutation(n);
  const scores = Float64Array.from({ length: n * n }, (_, i) => {
    const hit = order[Math.floor(i / n)] === i % n ? 0.8 : 0;
    return hit + random.uniform(0, 0.5);
  });
  const started = performance.now();
  const found = assigned(scores, n, n);
  expect(performance.now() - started).toBeLessThan(5000);
  expect([...found].filter((c, r) => c === order[r]).length).toBeGreaterThan(0.95 * n);
});

it.each<Matchings[]>([
  [{ channels: 1, among: 1 }],
  [{ channels: 5, among: 5 }],
  [{ channels: 3, among: 6 }],
  [
    { channels: 3, among: 3 },
    { channels: 2, among: 4 },
  ],
])("fixed points of random injections are counted right: %j", (...all) => {
  let law = [1];
  for (const { channels, among } of all) {
    const counts = new Array<number>(channels + 1).fill(0);
    let ways = 0;
    for (const way of injections(channels, among)) {
      counts[way.filter((c, r) => c === r).length]!++;
      ways++;
    }
    const next = new Array<number>(law.length + channels).fill(0);
    law.forEach((p, i) => {
      counts.forEach((n, k) => {
        next[i + k]! += (p * n) / ways;
      });
    });
    law = next;
  }
  const found = fixedPointsLaw(all);
  expect(found.length).toBe(law.length);
  law.forEach((p, k) => {
    expect(found[k]).toBeCloseTo(p, 14);
    const tail = law.slice(k).reduce((a, b) => a + b, 0);
    expect(fixedPointsPValue(k, all)).toBeCloseTo(tail, 14);
  });
  expect(fixedPointsPValue(law.length, all)).toBe(0);
});

it.each([
  [1, 10, 15],
  [3, 15, 23],
  [5, 20, 28],
  [8, 26, 36],
  [16, 39, 52],
])("of %i layers %i agreements are needed at 1e-6 and %i at 1e-12", (layers, six, twelve) => {
  // As of Poisson(layers), from 64 channels a layer on.
  for (const channels of [64, 512]) {
    const all = new Array<Matchings>(layers).fill({ channels, among: channels });
    expect([fixedPointsThreshold(all, 1e-6), fixedPointsThreshold(all, 1e-12)]).toEqual([six, twelve]);
  }
  let term = Math.exp(-layers);
  const tail = Array.from({ length: 200 }, (_, k) => {
    const p = term;
    term *= layers / (k + 1);
    return p;
  });
  const beyond = (k: number) => tail.slice(k).reduceRight((a, b) => a + b, 0);
  for (const [k, rate] of [
    [six, 1e-6],
    [twelve, 1e-12],
  ] as const) {
    expect(beyond(k)).toBeLessThanOrEqual(rate);
    expect(beyond(k - 1)).toBeGreaterThan(rate);
  }
});

it("nothing compared is no evidence", () => {
  expect([fixedPointsPValue(0, []), fixedPointsThreshold([], 1e-6)]).toEqual([1, 1]);
  // Two channels cannot agree so rarely.
  expect(fixedPointsThreshold([{ channels: 2, among: 2 }], 1e-6)).toBe(3);
});
