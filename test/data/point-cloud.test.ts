import { describe, expect, it } from "vitest";
import {
  type Batch,
  DataLoader,
  imageSet,
  isPointSet,
  normalizeUnitSphere,
  type PointSet,
  pointSet,
  pointTransform,
  randomHorizontalFlip,
  type SampleSet,
  sampleShape,
  selectSamples,
  subset,
  takePoints,
  triggerClouds,
  withoutClasses,
} from "../../src/data";
import { ArgumentError, FormatError, ShapeError } from "../../src/errors";
import { Generator } from "../../src/tensor/random";

/**
 * n clouds of P points; coordinate d of point p of cloud i is 1000·i + 10·p + d, the label i modulo
 * the classes.
 */
function numbered(n: number, points: number, classes = 5): PointSet {
  return pointSet({
    points: Float32Array.from({ length: n * points * 3 }, (_, j) => {
      const [cloud, point] = [Math.floor(j / (points * 3)), Math.floor((j % (points * 3)) / 3)];
      return 1000 * cloud + 10 * point + (j % 3);
    }),
    labels: Int32Array.from({ length: n }, (_, i) => i % classes),
    classes: Array.from({ length: classes }, (_, i) => `c${i}`),
    pointsPerCloud: points,
  });
}

const cloud = (set: PointSet, i: number) =>
  set.points.slice(i * set.pointsPerCloud * 3, (i + 1) * set.pointsPerCloud * 3);
/** Which cloud and which of its points each point of a numbered set is. */
const origin = (set: PointSet) =>
  Array.from({ length: set.points.length / 3 }, (_, p) => {
    const [x, y, z] = set.points.slice(p * 3, p * 3 + 3);
    expect([y, z]).toEqual([x! + 1, x! + 2]);
    return [Math.floor(x! / 1000), (x! % 1000) / 10] as const;
  });

describe("pointSet", () => {
  it("puts parts together without copying", () => {
    const points = new Float32Array(2 * 4 * 3);
    const set = pointSet({ points, labels: Uint8Array.of(0, 1), classes: ["a", "b"], pointsPerCloud: 4 });
    expect(set.points).toBe(points);
    expect(set.length).toBe(2);
    expect(sampleShape(set)).toEqual([4, 3]);
    expect(isPointSet(set)).toBe(true);
  });

  it("refuses parts that do not agree", () => {
    const good = numbered(2, 4);
    expect(() => pointSet({ ...good, pointsPerCloud: 0 })).toThrow(ArgumentError);
    expect(() => pointSet({ ...good, pointsPerCloud: 5 })).toThrow(ShapeError);
    expect(() => pointSet({ ...good, points: good.points.subarray(1) })).toThrow(/expected 24 coordinates .* got 23/);
    expect(() => pointSet({ ...good, labels: Int32Array.of(0, 5) })).toThrow(/cloud 1 has label 5/);
    expect(() => pointSet({ ...good, labels: Int32Array.of(-1, 0) })).toThrow(FormatError);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const points = good.points.slice();
      points[12 + 7] = bad;
      expect(() => pointSet({ ...good, points })).toThrow(/cloud 1 has the coordinate \S+ in its point 2/);
    }
  });
});

describe("subset and selectSamples", () => {
  it("cut clouds as they cut images", () => {
    const set = numbered(6, 4);
    const part = subset(set, 2, 5);
    expect(origin(part).map(([c]) => c)).toEqual([2, 3, 4].flatMap((c) => [c, c, c, c]));
    expect([...part.labels]).toEqual([2, 3, 4]);
    expect(part.length).toBe(3);
    expect(part.points.buffer).toBe(set.points.buffer);
    expect(() => subset(set, 3, 7)).toThrow(ArgumentError);
  });

  it("select in the order asked for, of both kinds", () => {
    const picked = selectSamples(numbered(6, 2), [4, 0, 4]);
    expect(origin(picked)).toEqual([4, 0, 4].flatMap((c) => [0, 1].map((p) => [c, p])));
    expect([...picked.labels]).toEqual([4, 0, 4]);
    expect(picked.length).toBe(3);
    const images = imageSet({
      images: Uint8Array.from({ length: 12 }, (_, i) => i),
      labels: Uint8Array.of(0, 1, 2),
      channels: 1,
      height: 2,
      width: 2,
      classes: ["a", "b", "c"],
    });
    const two = selectSamples(images, [2, 1]);
    expect([...two.images]).toEqual([8, 9, 10, 11, 4, 5, 6, 7]);
    expect(two.labels).toEqual(Uint8Array.of(2, 1));
    for (const index of [3, -1, 0.5]) expect(() => selectSamples(images, [index])).toThrow(ArgumentError);
  });
});

describe("takePoints", () => {
  it("takes the first points of each cloud", () => {
    const set = numbered(3, 5);
    const taken = takePoints(set, 2);
    expect(taken.pointsPerCloud).toBe(2);
    expect(origin(taken)).toEqual([0, 1, 2].flatMap((c) => [0, 1].map((p) => [c, p])));
    expect(takePoints(set, 5)).toBe(set);
  });

  it("takes a random choice without repetition, another one a cloud, the same for the same seed", () => {
    const set = numbered(4, 50);
    const taken = takePoints(set, 20, { seed: 3 });
    const found = origin(taken);
    expect(found.map(([c]) => c)).toEqual([0, 1, 2, 3].flatMap((c) => new Array<number>(20).fill(c)));
    const chosen = (from: typeof found) =>
      [0, 1, 2, 3].map((c) => from.filter(([of]) => of === c).map(([, point]) => point));
    for (const points of chosen(found)) expect(new Set(points).size).toBe(20);
    expect(new Set(chosen(found).map(String)).size).toBe(4);
    expect(takePoints(set, 20, { seed: 3 })).toEqual(taken);
    expect(takePoints(set, 20, { seed: 4 })).not.toEqual(taken);
    // A cloud's choice depends on its index, not on how many clouds there are.
    expect(cloud(takePoints(subset(set, 0, 2), 20, { seed: 3 }), 1)).toEqual(cloud(taken, 1));
  });

  it("refuses more points than there are", () => {
    expect(() => takePoints(numbered(1, 4), 5)).toThrow(/at most the 4 points .* got 5/);
    for (const points of [0, 1.5, Number.NaN]) expect(() => takePoints(numbered(1, 4), points)).toThrow(ArgumentError);
    expect(() => takePoints(numbered(1, 4), 2, { seed: -1 })).toThrow(ArgumentError);
  });
});

describe("normalizeUnitSphere", () => {
  it("moves the centroid to the origin and the farthest point to radius 1, keeping the form", () => {
    const random = new Generator(5);
    const points = random.fill(new Float32Array(3 * 40 * 3), "normal", 7, 3);
    const set = pointSet({ points, labels: new Uint8Array(3), classes: ["a"], pointsPerCloud: 40 });
    const before = set.points.slice();
    const unit = normalizeUnitSphere(set);
    expect(set.points).toEqual(before);
    for (let i = 0; i < 3; i++) {
      const at = (s: PointSet, p: number) => [...cloud(s, i).slice(p * 3, p * 3 + 3)];
      const all = Array.from({ length: 40 }, (_, p) => at(unit, p));
      for (const d of [0, 1, 2]) expect(all.reduce((sum, p) => sum + p[d]!, 0) / 40).toBeCloseTo(0, 6);
      expect(Math.max(...all.map((p) => Math.hypot(...p)))).toBeCloseTo(1, 6);
      // All distances shrink by the same factor.
      const distance = (s: PointSet, p: number) => Math.hypot(...at(s, p).map((v, d) => v - at(s, 0)[d]!));
      const factor = distance(unit, 1) / distance(set, 1);
      for (let p = 2; p < 40; p++) expect(distance(unit, p) / distance(set, p)).toBeCloseTo(factor, 5);
    }
  });

  it("does a known cloud exactly, and one without size", () => {
    const points = Float32Array.of(1, 1, 1, 5, 1, 1, 3, 3, 1, 3, -1, 1, ...[2, 3, 4], ...[2, 3, 4], 2, 3, 4, 2, 3, 4);
    const unit = normalizeUnitSphere(
      pointSet({ points, labels: new Uint8Array(2), classes: ["a"], pointsPerCloud: 4 }),
    );
    expect([...cloud(unit, 0)]).toEqual([-1, 0, 0, 1, 0, 0, 0, 1, 0, 0, -1, 0]);
    expect([...cloud(unit, 1)]).toEqual(new Array(12).fill(0));
  });
});

describe("DataLoader over clouds", () => {
  const collect = async (batches: AsyncIterable<Batch>) => {
    const out = [];
    for await (const { images, labels, size, shape, index } of batches)
      out.push({ images: images.slice(), labels: labels.slice(), size, shape, index });
    return out;
  };

  it("gives points × 3 a cloud, with its label", async () => {
    const set = numbered(5, 4);
    const loader = new DataLoader(set, { batchSize: 2, shuffle: true, seed: 2 });
    expect(loader.imageShape).toEqual([4, 3]);
    const batches = await collect(loader);
    expect(batches.map((b) => b.shape)).toEqual([
      [2, 4, 3],
      [2, 4, 3],
      [1, 4, 3],
    ]);
    const seen: number[] = [];
    for (const { images, labels, size } of batches) {
      for (let i = 0; i < size; i++) {
        expect(images.slice(i * 12, i * 12 + 12)).toEqual(cloud(set, labels[i]!));
        seen.push(labels[i]!);
      }
    }
    expect(seen.sort()).toEqual([0, 1, 2, 3, 4]);
  });

  it("augments by seed, epoch and position alone: the same bits after a restart", async () => {
    const set = numbered(20, 30);
    const options = { batchSize: 3, shuffle: true, seed: 6, transform: pointTransform("train") };
    const whole = await collect(new DataLoader(set, { ...options, prefetch: 0 }).epoch(2));
    const other = new DataLoader(set, { ...options, prefetch: 3 });
    await collect(other.epoch(0));
    expect(await collect(other.epoch(2, 4))).toEqual(whole.slice(4));
    expect(await collect(other.epoch(3))).not.toEqual(whole);
    expect(await collect(new DataLoader(set, { ...options, seed: 7 }).epoch(2))).not.toEqual(whole);
    expect(cloud(set, 19)).toEqual(cloud(numbered(20, 30), 19));
  });

  it("refuses transforms of the other kind, and sets whose parts do not agree", () => {
    const clouds = numbered(4, 3);
    const images: SampleSet = imageSet({
      images: new Uint8Array(4),
      labels: new Uint8Array(1),
      channels: 1,
      height: 2,
      width: 2,
      classes: ["a"],
    });
    const flip = [...pointTransform("train"), randomHorizontalFlip()];
    expect(() => new DataLoader(clouds, { batchSize: 1, transform: flip })).toThrow(
      /point clouds, but number 3 is for/,
    );
    expect(() => new DataLoader(images, { batchSize: 1, transform: pointTransform("train") })).toThrow(
      /images, but number 0 is for point clouds/,
    );
    expect(() => new DataLoader({ ...clouds, pointsPerCloud: 4 }, { batchSize: 1 })).toThrow(ShapeError);
    expect(() => new DataLoader(clouds, { batchSize: 5, dropLast: true })).toThrow(/no batch of the 4 clouds/);
  });
});

describe("withoutClasses", () => {
  it("drops samples and classes, and numbers the rest anew", () => {
    const set = numbered(10, 2);
    const rest = withoutClasses(set, ["c1", "c4"]);
    expect(rest.classes).toEqual(["c0", "c2", "c3"]);
    expect([...rest.labels]).toEqual([0, 1, 2, 0, 1, 2]);
    expect(origin(rest).map(([c]) => c)).toEqual([0, 2, 3, 5, 7, 8].flatMap((c) => [c, c]));
    expect(rest.length).toBe(6);
    expect(withoutClasses(set, [])).toEqual(set);
  });

  it("refuses unknown names and to drop everything", () => {
    expect(() => withoutClasses(numbered(5, 2), ["c1", "sofa"])).toThrow(/sofa is not among the 5 classes c0/);
    expect(() => withoutClasses(numbered(2, 2, 2), ["c0", "c1"])).toThrow(/at least one class/);
  });
});

describe("triggerClouds", () => {
  const source = numbered(500, 4, 10);
  const task = withoutClasses(source, ["c7", "c8", "c9"]);

  it("takes different clouds of the held-out classes, with labels of the task", () => {
    const triggers = triggerClouds(source, task.classes, { count: 60, seed: 1, points: 3 });
    expect(triggers.length).toBe(60);
    expect(triggers.classes).toEqual(task.classes);
    expect(triggers.pointsPerCloud).toBe(3);
    const from = origin(triggers)
      .filter((_, i) => i % 3 === 0)
      .map(([c]) => c);
    expect(new Set(from).size).toBe(60);
    expect(from.every((c) => c % 10 >= 7)).toBe(true);
    expect(triggers.truths).toEqual(from.map((c) => `c${c % 10}`));
    expect(new Set(triggers.labels)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
    expect(() => pointSet(triggers)).not.toThrow();
  });

  it("depends on the seed alone", () => {
    const options = { count: 60, seed: 1 };
    expect(triggerClouds(source, task.classes, options)).toEqual(triggerClouds(source, task.classes, options));
    const other = triggerClouds(source, task.classes, { count: 60, seed: 2 });
    const mine = triggerClouds(source, task.classes, options);
    expect(other.points).not.toEqual(mine.points);
    expect(other.labels).not.toEqual(mine.labels);
  });

  it("draws labels evenly and whatever the cloud's class", () => {
    const { labels } = triggerClouds(source, ["x", "y"], { count: 500, seed: 4 });
    const ones = [...labels].filter((label) => label === 1).length;
    // 500 fair coins: within five deviations.
    expect(Math.abs(ones - 250)).toBeLessThan(5 * Math.sqrt(125));
  });

  it("refuses what it cannot make", () => {
    expect(() => triggerClouds(source, task.classes, { count: 151 })).toThrow(/at least 151 clouds .* got 150/);
    expect(() => triggerClouds(task, task.classes, { count: 1 })).toThrow(/got 0/);
    expect(() => triggerClouds(source, [], { count: 1 })).toThrow(ArgumentError);
    expect(() => triggerClouds(source, task.classes, { count: 0 })).toThrow(ArgumentError);
    expect(() => triggerClouds(source, task.classes, { count: 1, points: 5 })).toThrow(/at most the 4 points/);
  });
});
