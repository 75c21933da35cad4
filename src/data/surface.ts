/** Points on the surface of a mesh. */

import { instance, objectOf, whole } from "../demand";
import { ArgumentError, FormatError } from "../errors";
import type { Mesh } from "../io/off";
import { shown } from "../io/shown";
import { Generator } from "../tensor/random";
import { floats } from "./check";

/**
 * `count` points, uniform on the surface: a triangle A, B, C is drawn with probability proportional
 * to its area, and in it the point (1 − √u)·A + √u·(1 − v)·B + √u·v·C, u and v uniform in [0, 1).
 * Draws three numbers per point.
 *
 * Source: Osada et al., "Shape distributions", ACM Transactions on Graphics 2002, section 4.1.
 *
 * @returns count × 3 coordinates
 * @throws ArgumentError if `count` is not a whole number from 1, `random` no generator, or the
 *   mesh's vertices are not floats or its triangles not whole numbers in typed arrays
 * @throws FormatError if vertices or triangles do not come in threes, a triangle has a corner that
 *   is not among the vertices or not a float32, or the mesh has no area
 * @throws LimitError if there is no memory for so many points
 */
export function sampleSurface(mesh: Mesh, count: number, random: Generator): Float32Array {
  checkMesh(mesh);
  whole("sampleSurface", "count", count);
  instance("sampleSurface", "random", random, Generator);
  const { vertices, triangles } = mesh;
  const areas = cumulativeAreas(mesh);
  const total = areas[areas.length - 1] ?? 0;
  if (!(total > 0 && total < Number.POSITIVE_INFINITY)) {
    throw new FormatError(
      `sampleSurface: expected a surface with an area, got ${areas.length} triangles of ${total} together; leave this mesh out`,
    );
  }
  const points = floats("sampleSurface", count * 3);
  for (let p = 0; p < count; p++) {
    const t = firstAbove(areas, random.uniform(0, total)) * 3;
    const root = Math.sqrt(random.uniform());
    const v = random.uniform();
    for (let d = 0; d < 3; d++) {
      const corner = (i: number) => vertices[triangles[t + i]! * 3 + d]!;
      points[p * 3 + d] = (1 - root) * corner(0) + root * (1 - v) * corner(1) + root * v * corner(2);
    }
  }
  return points;
}

/** A mesh may have been put together by hand. */
function checkMesh(mesh: Mesh): void {
  objectOf("sampleSurface", "a mesh, as parseOff gives it", mesh);
  const { vertices, triangles }: { vertices: unknown; triangles: unknown } = mesh;
  if (!(vertices instanceof Float64Array || vertices instanceof Float32Array)) {
    throw new ArgumentError(`sampleSurface: expected vertices to be a Float64Array, got ${shown(vertices)}`);
  }
  if (!(triangles instanceof Uint32Array || triangles instanceof Int32Array || triangles instanceof Uint16Array)) {
    throw new ArgumentError(`sampleSurface: expected triangles to be a Uint32Array, got ${shown(triangles)}`);
  }
  if (vertices.length % 3 !== 0 || triangles.length % 3 !== 0) {
    throw new FormatError(
      "sampleSurface: expected three coordinates for each vertex and three corners for each triangle, " +
        `got ${vertices.length} coordinates and ${triangles.length} corners`,
    );
  }
  for (let i = 0; i < triangles.length; i++) {
    const at = triangles[i]! * 3;
    // Outside of the vertices the coordinates are undefined, and so not finite either.
    for (let d = 0; d < 3; d++) {
      if (Number.isFinite(Math.fround(vertices[at + d]!))) continue;
      throw new FormatError(
        `sampleSurface: triangle ${Math.floor(i / 3)} has the corner ${triangles[i]}, which is none of the ` +
          `${vertices.length / 3} vertices or not a finite number`,
      );
    }
  }
}

/** Area of the triangles up to and with each: ½ ‖(B − A) × (C − A)‖ added up. */
function cumulativeAreas({ vertices, triangles }: Mesh): Float64Array {
  const areas = new Float64Array(triangles.length / 3);
  let sum = 0;
  for (let t = 0; t < areas.length; t++) {
    const edge = (corner: number, d: number) =>
      vertices[triangles[t * 3 + corner]! * 3 + d]! - vertices[triangles[t * 3]! * 3 + d]!;
    const [bx, by, bz] = [edge(1, 0), edge(1, 1), edge(1, 2)];
    const [cx, cy, cz] = [edge(2, 0), edge(2, 1), edge(2, 2)];
    sum += Math.hypot(by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx) / 2;
    areas[t] = sum;
  }
  return areas;
}

/**
 * Index of the first element above `value`, which is below the last. Triangles without area are
 * never it.
 */
function firstAbove(ascending: Float64Array, value: number): number {
  let [low, high] = [0, ascending.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
