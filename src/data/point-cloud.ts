/** Labelled 3-D point clouds in memory. */

import { objectOf, optionsOf, whole } from "../demand";
import { ArgumentError, FormatError, ShapeError } from "../errors";
import { shown } from "../io/shown";
import { Generator } from "../tensor/random";
import { DIMENSIONS } from "./dimensions";
import { checkedLabels, type LabelledSet, type LabelSource } from "./labelled";

/**
 * n labelled clouds of equally many points. Make one with {@link pointSet}, which checks that the
 * parts agree.
 */
export interface PointSet extends LabelledSet {
  /**
   * n × pointsPerCloud × 3 coordinates: a cloud is its points one after the other, a point x, y, z.
   */
  readonly points: Float32Array;
  readonly pointsPerCloud: number;
}

/** What {@link pointSet} is given: a point set's parts. */
export interface PointParts extends Pick<PointSet, "classes" | "pointsPerCloud"> {
  readonly points: Float32Array | Float64Array;
  readonly labels: LabelSource;
}

/**
 * Puts checked parts together to a {@link PointSet}. The set is a view: nothing is copied except
 * where another type is needed (`Float64Array` is rounded to float32; labels other than
 * `Uint8Array` and `Int32Array` become `Int32Array`). What is written to the arrays later shows in
 * later batches.
 *
 * @throws ArgumentError if pointsPerCloud is not a whole number from 1, the points are an array of
 *   another type, `labels` no array or `classes` no array of names
 * @throws ShapeError if the number of coordinates is not labels × pointsPerCloud × 3
 * @throws FormatError if a label is not a whole number below the number of classes, or a coordinate
 *   not a number that float32 can hold
 */
export function pointSet(parts: PointParts): PointSet {
  const set = pointParts("pointSet", parts);
  const { points } = set;
  const size = set.pointsPerCloud * DIMENSIONS;
  for (let i = 0; i < points.length; i++) {
    if (!Number.isFinite(points[i]!)) {
      const [cloud, point] = [Math.floor(i / size), Math.floor((i % size) / DIMENSIONS)];
      throw new FormatError(`pointSet: cloud ${cloud} has the coordinate ${points[i]} in its point ${point}`);
    }
  }
  return set;
}

/** The parts of a point set, their types and sizes checked but not the coordinates. */
export function pointParts(maker: string, parts: PointParts): PointSet {
  objectOf(maker, "a set of point clouds", parts);
  const { classes, pointsPerCloud } = parts;
  whole(maker, "pointsPerCloud", pointsPerCloud);
  const points = coordinatesOf(maker, parts.points);
  const labels = checkedLabels(parts, maker, "cloud");
  const expected = labels.length * pointsPerCloud * DIMENSIONS;
  if (points.length !== expected) {
    throw new ShapeError(
      `${maker}: expected ${expected} coordinates for ${labels.length} clouds of ${pointsPerCloud} points, ` +
        `got ${points.length}`,
    );
  }
  return { points, labels, classes, pointsPerCloud, length: labels.length };
}

function coordinatesOf(maker: string, points: unknown): Float32Array {
  if (points instanceof Float32Array) return points;
  if (points instanceof Float64Array) return Float32Array.from(points);
  throw new ArgumentError(
    `${maker}: expected points to be a Float32Array of coordinates, got ${shown(points)}; use Float32Array.from`,
  );
}

/**
 * The same clouds with `points` points each: the first ones or, with a seed, a random choice
 * without repetition, in random order, drawn from the seed and the cloud's index alone. The set
 * itself if there is nothing to leave out and no seed.
 *
 * @throws ArgumentError if `points` is not a whole number from 1 to `set.pointsPerCloud`, or `seed`
 *   not one from 0
 * @throws ArgumentError, ShapeError, FormatError if the parts of `set` do not agree
 */
export function takePoints(set: PointSet, points: number, options: { seed?: number } = {}): PointSet {
  const all = pointParts("takePoints", set);
  const { pointsPerCloud, length } = all;
  optionsOf("takePoints", options, ["seed"]);
  whole("takePoints", "points", points);
  if (points > pointsPerCloud) {
    throw new ArgumentError(
      `takePoints: expected at most the ${pointsPerCloud} points that a cloud has, got ${points}; ` +
        "ask for fewer, or load the clouds with more",
    );
  }
  const { seed } = options;
  if (seed === undefined && points === pointsPerCloud) return set;
  if (seed !== undefined) whole("takePoints", "seed", seed, 0);
  const random = seed === undefined ? undefined : new Generator(seed);
  const taken = new Float32Array(length * points * DIMENSIONS);
  for (let i = 0; i < length; i++) {
    const cloud = all.points.subarray(i * pointsPerCloud * DIMENSIONS, (i + 1) * pointsPerCloud * DIMENSIONS);
    const to = i * points * DIMENSIONS;
    if (!random) {
      taken.set(cloud.subarray(0, points * DIMENSIONS), to);
      continue;
    }
    const order = random.fork(i).permutation(pointsPerCloud);
    for (let p = 0; p < points; p++) {
      for (let d = 0; d < DIMENSIONS; d++) taken[to + p * DIMENSIONS + d] = cloud[order[p]! * DIMENSIONS + d]!;
    }
  }
  return { ...set, labels: all.labels, points: taken, pointsPerCloud: points };
}

/**
 * Each cloud moved so that its centroid is the origin, then divided by the distance r of its
 * farthest point: (p − mean p) / max ‖p − mean p‖. A cloud whose points are all the same, which has
 * no size, becomes zeros.
 *
 * Source: Qi et al., "PointNet", CVPR 2017, section 5.1 ("normalized into a unit sphere").
 *
 * @returns new clouds; those of `set` stay as they are
 * @throws ArgumentError, ShapeError, FormatError as {@link pointSet}
 */
export function normalizeUnitSphere(set: PointSet): PointSet {
  const { points: given, pointsPerCloud, labels } = pointSet(set);
  const size = pointsPerCloud * DIMENSIONS;
  const points = new Float32Array(given.length);
  for (let at = 0; at < points.length; at += size) {
    const [cx, cy, cz] = centroid(given, at, at + size);
    let farthest = 0;
    for (let i = at; i < at + size; i += DIMENSIONS) {
      const [x, y, z] = [given[i]! - cx, given[i + 1]! - cy, given[i + 2]! - cz];
      farthest = Math.max(farthest, x * x + y * y + z * z);
    }
    const scale = farthest > 0 ? 1 / Math.sqrt(farthest) : 0;
    for (let i = at; i < at + size; i += DIMENSIONS) {
      points[i] = (given[i]! - cx) * scale;
      points[i + 1] = (given[i + 1]! - cy) * scale;
      points[i + 2] = (given[i + 2]! - cz) * scale;
    }
  }
  return { ...set, labels, points };
}

/** Mean of the points from `start` to `end`, in double precision. */
function centroid(points: Float32Array, start: number, end: number): [x: number, y: number, z: number] {
  let [x, y, z] = [0, 0, 0];
  for (let i = start; i < end; i += DIMENSIONS) {
    x += points[i]!;
    y += points[i + 1]!;
    z += points[i + 2]!;
  }
  const count = (end - start) / DIMENSIONS;
  return [x / count, y / count, z / count];
}
