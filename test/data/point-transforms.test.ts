import { describe, expect, it } from "vitest";
import {
  type CoordinateAxis,
  type PointTransform,
  PointWriter,
  pointSet,
  pointTransform,
  randomCloudRotation,
  randomCloudScale,
  randomCloudShift,
  randomPointDropout,
  randomPointJitter,
} from "../../src/data";
import { ArgumentError } from "../../src/errors";
import { Generator } from "../../src/tensor/random";

/** A cloud of normal deviates, all its points different. */
const someCloud = (points = 200) => new Generator(11).fill(new Float32Array(points * 3), "normal", 0, 0.5);

function applied(transform: PointTransform, seed: number, cloud = someCloud()): Float32Array {
  const out = cloud.slice();
  transform.apply(out, new Generator(seed));
  return out;
}
const point = (cloud: Float32Array, p: number) => [...cloud.slice(p * 3, p * 3 + 3)];

describe("randomPointDropout", () => {
  it("replaces points by the first, with the ratio that was drawn for the cloud", () => {
    const cloud = someCloud(500);
    const ratios: number[] = [];
    for (let seed = 0; seed < 20; seed++) {
      const out = applied(randomPointDropout(), seed, cloud);
      const draws = new Generator(seed);
      const ratio = draws.uniform(0, 0.875);
      let dropped = 0;
      for (let p = 0; p < 500; p++) {
        const drop = draws.uniform() < ratio;
        if (drop) dropped++;
        expect(point(out, p)).toEqual(point(cloud, drop ? 0 : p));
      }
      expect(Math.abs(dropped / 500 - ratio)).toBeLessThan(0.12);
      ratios.push(dropped / 500);
    }
    expect(Math.max(...ratios)).toBeLessThan(0.95);
    expect(Math.max(...ratios)).toBeGreaterThan(0.6);
    expect(Math.min(...ratios)).toBeLessThan(0.3);
  });

  it("drops nothing at ratio 0", () => {
    expect(applied(randomPointDropout({ maxRatio: 0 }), 1)).toEqual(someCloud());
  });
});

describe("randomCloudScale", () => {
  it("multiplies a cloud by one factor from 0.8 to 1.25", () => {
    const cloud = someCloud();
    const factors = Array.from({ length: 200 }, (_, seed) => {
      const out = applied(randomCloudScale(), seed);
      const factor = new Generator(seed).uniform(0.8, 1.25);
      expect(out).toEqual(cloud.map((v) => v * factor));
      return factor;
    });
    expect(Math.min(...factors)).toBeLessThan(0.82);
    expect(Math.max(...factors)).toBeGreaterThan(1.23);
  });

  it("takes other bounds", () => {
    expect(applied(randomCloudScale({ low: 2, high: 2 }), 0)).toEqual(someCloud().map((v) => v * 2));
  });
});

describe("randomCloudShift", () => {
  it("adds one vector to all points, within ±0.1 on each axis", () => {
    const cloud = someCloud();
    const shifts = Array.from({ length: 200 }, (_, seed) => {
      const out = applied(randomCloudShift(), seed);
      const draws = new Generator(seed);
      const by = [0, 1, 2].map(() => draws.uniform(-0.1, 0.1));
      expect(out).toEqual(cloud.map((v, i) => v + by[i % 3]!));
      return by;
    });
    for (const d of [0, 1, 2]) {
      expect(Math.min(...shifts.map((s) => s[d]!))).toBeLessThan(-0.09);
      expect(Math.max(...shifts.map((s) => s[d]!))).toBeGreaterThan(0.09);
    }
  });
});

describe("randomCloudRotation", () => {
  it.each<[CoordinateAxis, number]>([
    ["x", 0],
    ["y", 1],
    ["z", 2],
  ])("turns about %s by the angle drawn", (axis, up) => {
    const cloud = someCloud(20);
    const [a, b] = [(up + 1) % 3, (up + 2) % 3];
    for (let seed = 0; seed < 20; seed++) {
      const out = applied(randomCloudRotation({ axis }), seed, cloud);
      const angle = new Generator(seed).uniform(0, 2 * Math.PI);
      for (let p = 0; p < 20; p++) {
        const [from, to] = [point(cloud, p), point(out, p)];
        expect(to[up]).toBeCloseTo(from[up]!, 5);
        // The right-hand rule: the axis towards the viewer, angles count against the clock.
        expect(to[a]).toBeCloseTo(from[a]! * Math.cos(angle) - from[b]! * Math.sin(angle), 5);
        expect(to[b]).toBeCloseTo(from[a]! * Math.sin(angle) + from[b]! * Math.cos(angle), 5);
      }
    }
  });

  it("turns about z unless told otherwise, the whole way round", () => {
    expect(applied(randomCloudRotation(), 3)).toEqual(applied(randomCloudRotation({ axis: "z" }), 3));
    const angles = Array.from({ length: 200 }, (_, seed) => {
      const [x, y] = applied(randomCloudRotation(), seed, Float32Array.of(1, 0, 0));
      return Math.floor(((Math.atan2(y!, x!) + 2 * Math.PI) % (2 * Math.PI)) / (Math.PI / 4));
    });
    expect(new Set(angles)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7]));
  });
});

describe("randomPointJitter", () => {
  it("moves each coordinate by its own clipped deviate", () => {
    const still = new Float32Array(30_000);
    const moved = applied(randomPointJitter(), 2, still);
    const mean = moved.reduce((a, b) => a + b, 0) / moved.length;
    const std = Math.sqrt(moved.reduce((a, b) => a + b * b, 0) / moved.length);
    expect(Math.abs(mean)).toBeLessThan(0.0005);
    expect(Math.abs(std - 0.01)).toBeLessThan(0.0005);
    expect(new Set(moved).size).toBeGreaterThan(29_000);
  });

  it("cuts off at the clip on both sides", () => {
    const moved = applied(randomPointJitter({ std: 1, clip: 0.25 }), 2, new Float32Array(3000));
    expect([Math.min(...moved), Math.max(...moved)]).toEqual([-0.25, 0.25]);
    expect(moved.filter((v) => Math.abs(v) < 0.25).length).toBeGreaterThan(300);
  });
});

describe("PointWriter", () => {
  it("applies the transforms in the order given, to its cloud alone", () => {
    const set = pointSet({
      points: someCloud(30),
      labels: new Uint8Array(3),
      classes: ["only"],
      pointsPerCloud: 10,
    });
    const before = set.points.slice();
    const scale = randomCloudScale({ low: 3, high: 3 });
    const add: PointTransform = { kind: "points", apply: (points) => points.forEach((v, i) => (points[i] = v + 1)) };
    for (const [transforms, expected] of [
      [[scale, add], (v: number) => Math.fround(v * 3) + 1],
      [[add, scale], (v: number) => Math.fround(v + 1) * 3],
    ] as const) {
      const writer = new PointWriter(set, transforms);
      expect(writer.shape).toEqual([10, 3]);
      // A border of sentinels shows writes outside of the cloud.
      const out = new Float32Array(34).fill(77);
      writer.write(1, out, 2, new Generator(0));
      expect([...out.slice(0, 2), ...out.slice(-2)]).toEqual([77, 77, 77, 77]);
      expect(out.slice(2, -2)).toEqual(before.slice(30, 60).map(expected));
    }
    expect(set.points).toEqual(before);
  });

  it("pointTransform drops, scales and shifts for training and does nothing for testing", () => {
    expect(pointTransform("test")).toEqual([]);
    const cloud = someCloud();
    const byHand = cloud.slice();
    const random = new Generator(4);
    for (const t of [randomPointDropout(), randomCloudScale(), randomCloudShift()]) t.apply(byHand, random);
    const all = cloud.slice();
    const again = new Generator(4);
    for (const t of pointTransform("train")) t.apply(all, again);
    expect(all).toEqual(byHand);
    expect(all).not.toEqual(cloud);
  });
});

it("options out of range are refused", () => {
  for (const maxRatio of [-0.1, 1.1, Number.NaN]) expect(() => randomPointDropout({ maxRatio })).toThrow(ArgumentError);
  for (const options of [{ low: 0 }, { low: 2 }, { high: Number.POSITIVE_INFINITY }, { low: Number.NaN }]) {
    expect(() => randomCloudScale(options)).toThrow(ArgumentError);
  }
  for (const range of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => randomCloudShift({ range })).toThrow(ArgumentError);
    expect(() => randomPointJitter({ std: range })).toThrow(/std/);
    expect(() => randomPointJitter({ clip: range })).toThrow(/clip/);
  }
  expect(() => randomCloudRotation({ axis: "up" as CoordinateAxis })).toThrow(/"x", "y" or "z", found "up"/);
});
