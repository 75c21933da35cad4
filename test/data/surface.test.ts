import { describe, expect, it } from "vitest";
import { type Mesh, sampleSurface } from "../../src/data";
import { ArgumentError, FormatError } from "../../src/errors";
import { Generator } from "../../src/tensor/random";

/**
 * A unit square at z = 0 as two triangles, one of three times its area at z = 1, and a triangle
 * without area.
 */
const MESH: Mesh = {
  vertices: Float64Array.of(0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 3, 0, 1, 0, 2, 1),
  triangles: Uint32Array.of(0, 1, 2, 0, 2, 3, 1, 1, 2, 4, 5, 6),
};
const N = 8000;
const sample = (seed: number) => sampleSurface(MESH, N, new Generator(seed));
const pointsOf = (flat: Float32Array) =>
  Array.from({ length: flat.length / 3 }, (_, p) => flat.slice(p * 3, p * 3 + 3));
/** Five deviations of a count of N draws with probability p. */
const slack = (p: number) => 5 * Math.sqrt(N * p * (1 - p));

describe("sampleSurface", () => {
  it("gives each part of the surface its share by area", () => {
    const points = pointsOf(sample(1));
    const low = points.filter(([, , z]) => z === 0);
    const high = points.filter(([, , z]) => z === 1);
    expect(low.length + high.length).toBe(N);
    expect(Math.abs(low.length - N / 4)).toBeLessThan(slack(1 / 4));
    for (const [x, y] of low) expect(x! >= 0 && x! <= 1 && y! >= 0 && y! <= 1).toBe(true);
    for (const [x, y] of high) expect(x! >= 0 && y! >= 0 && x! / 3 + y! / 2 <= 1 + 1e-6).toBe(true);
  });

  it("is uniform inside of a triangle", () => {
    const high = pointsOf(sample(2)).filter(([, , z]) => z === 1);
    // The triangle falls into four of equal area: the middle one, and one at each corner.
    const at = (inside: (u: number, v: number) => boolean) => high.filter(([x, y]) => inside(x! / 3, y! / 2)).length;
    const corners = [
      at((u) => u > 0.5),
      at((_, v) => v > 0.5),
      at((u, v) => u + v < 0.5),
      at((u, v) => u <= 0.5 && v <= 0.5 && u + v >= 0.5),
    ];
    for (const count of corners) expect(Math.abs(count - (N * 3) / 16)).toBeLessThan(slack(3 / 16));
  });

  it("depends on the generator alone", () => {
    expect(sample(3)).toEqual(sample(3));
    expect(sample(3)).not.toEqual(sample(4));
  });

  it("refuses a mesh without area, and no points", () => {
    const random = new Generator(0);
    const flat = { ...MESH, triangles: Uint32Array.of(1, 1, 2) };
    expect(() => sampleSurface(flat, 1, random)).toThrow(FormatError);
    expect(() => sampleSurface({ ...MESH, triangles: new Uint32Array(0) }, 1, random)).toThrow(/0 triangles/);
    for (const count of [0, 2.5]) expect(() => sampleSurface(MESH, count, random)).toThrow(ArgumentError);
  });
});
