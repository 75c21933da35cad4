import { describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import { imagePassports, randomPassport, shufflePassport } from "../../src/passport/generators";
import { Generator } from "../../src/tensor/random";

/** Feature map [positions, channels] of candidate n whose every number says where it is from. */
const marked = (n: number, positions: number, channels: number) =>
  Float32Array.from({ length: positions * channels }, (_, k) => 10_000 * n + k);

describe("randomPassport", () => {
  it("is uniform in [−1, 1), by the seed alone", () => {
    const p = randomPassport(2000, new Generator(1));
    expect(p).toEqual(randomPassport(2000, new Generator(1)));
    expect(p).not.toEqual(randomPassport(2000, new Generator(2)));
    expect(p.every((v) => v >= -1 && v < 1)).toBe(true);
    // Six standard deviations of the mean of 2000.
    expect(Math.abs(p.reduce((s, v) => s + v, 0) / 2000)).toBeLessThan(0.08);
    expect(p.some((v) => v < -0.9) && p.some((v) => v > 0.9)).toBe(true);
  });
});

describe("imagePassports", () => {
  it("cuts feature maps into one passport an image, copied", () => {
    const features = marked(0, 12, 1);
    const [a, b, ...rest] = imagePassports(features, [2, 1, 3, 2]);
    features.fill(0);
    expect([[...a!], [...b!], rest]).toEqual([[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], []]);
  });

  it.each([[[2, 5]], [[0, 3]], [[12]], [[]]])("refuses 12 numbers as %j", (shape) => {
    expect(() => imagePassports(new Float32Array(12), shape)).toThrow(ShapeError);
  });
});

describe("shufflePassport", () => {
  it.each([
    [20, 64, 6],
    [3, 7, 4],
    [5, 4, 1],
    [1, 8, 9],
  ])("takes channel j whole from candidate j mod N, none twice: %i candidates, %i channels, %i positions", (n, channels, positions) => {
    const candidates = Array.from({ length: n }, (_, i) => marked(i, positions, channels));
    const out = shufflePassport(candidates, channels, new Generator(7));
    const used = new Set<string>();
    for (let j = 0; j < channels; j++) {
      const source = Math.floor(out[j]! / 10_000);
      const channel = out[j]! % 10_000;
      expect(source).toBe(j % n);
      for (let at = 0; at < positions; at++)
        expect(out[at * channels + j]).toBe(candidates[source]![at * channels + channel]);
      used.add(`${source}/${channel}`);
    }
    expect(used.size).toBe(channels);
  });

  it("depends on the seed, and takes any channel", () => {
    const candidates = [marked(0, 1, 16), marked(1, 1, 16)];
    const of = (seed: number) => shufflePassport(candidates, 16, new Generator(seed));
    expect(of(1)).toEqual(of(1));
    expect(of(1)).not.toEqual(of(2));
    const firsts = new Set(Array.from({ length: 200 }, (_, seed) => of(seed)[0]));
    expect(firsts.size).toBe(16);
  });

  it("takes one whole image for three channels, any of them", () => {
    const candidates = [0, 1, 2, 3].map((n) => marked(n, 5, 3));
    const taken = Array.from({ length: 60 }, (_, seed) => shufflePassport(candidates, 3, new Generator(seed)));
    for (const p of taken) expect(candidates).toContainEqual(p);
    expect(new Set(taken.map((p) => p[0])).size).toBe(4);
    taken[0]!.fill(-1);
    expect(candidates.every((c) => c[0]! >= 0)).toBe(true);
  });

  it("refuses no candidates, candidates of different sizes, and channels that do not divide them", () => {
    const random = new Generator(1);
    expect(() => shufflePassport([], 4, random)).toThrow(ArgumentError);
    expect(() => shufflePassport([marked(0, 2, 4), marked(1, 3, 4)], 4, random)).toThrow(/found 8, 12 numbers/);
    for (const channels of [5, 0, 1.5])
      expect(() => shufflePassport([marked(0, 2, 4)], channels, random)).toThrow(ShapeError);
  });
});
