/** Labelled 3-D point clouds in memory. */
import { ArgumentError, FormatError, ShapeError } from "../errors";
import { Generator } from "../tensor/random";
import { checkLabels, checkWhole, type LabelledSet } from "./labelled";

/** Coordinates a point. */
export const DIMENSIONS = 3;

/** n labelled clouds of equally many points. Make one with {@link pointSet}, which checks that the parts agree. */
export interface PointSet extends LabelledSet {
  /** n × pointsPerCloud × 3 coordinates: a cloud is its points one after the other, a point x, y, z. */
  readonly points: Float32Array;
  readonly pointsPerCloud: number;
}

/**
 * Puts checked parts together to a {@link PointSet}. Nothing is copied.
 *
 * @throws ArgumentError if pointsPerCloud is not a whole number from 1
 * @throws ShapeError if the number of coordinates is not labels × pointsPerCloud × 3
 * @throws FormatError if a label is not below the number of classes, or a coordinate is not a finite number
 */
export function pointSet(parts: Omit<PointSet, "length">): PointSet {
  const { points, labels, classes, pointsPerCloud } = parts;
  checkWhole("pointSet", { pointsPerCloud }, 1);
  const floats = pointsPerCloud * DIMENSIONS;
  if (points.length !== labels.length * floats) {
    throw new ShapeError(
      `pointSet: expected ${labels.length * floats} coordinates for ${labels.length} clouds of ${pointsPerCloud} points, ` +
        `got ${points.length}`,
    );
  }
  checkLabels(parts, "pointSet", "cloud");
  for (let i = 0; i < points.length; i++) {
    if (!Number.isFinite(points[i]!)) {
      const [cloud, point] = [Math.floor(i / floats), Math.floor((i % floats) / DIMENSIONS)];
      throw new FormatError(`pointSet: cloud ${cloud} has the coordinate ${points[i]} in its point ${point}`);
    }
  }
  return { points, labels, classes, pointsPerCloud, length: labels.length };
}

/**
 * The same clouds with `points` points each: the first ones or, with a seed, a random choice without repetition, in random
 * order, drawn from the seed and the cloud's index alone. The set itself if there is nothing to leave out and no seed.
 *
 * @throws ArgumentError if `points` is not a whole number from 1 to `set.pointsPerCloud`, or `seed` not one from 0
 */
export function takePoints(set: PointSet, points: number, { seed }: { seed?: number } = {}): PointSet {
  const { pointsPerCloud, length } = set;
  checkWhole("takePoints", { points }, 1);
  if (points > pointsPerCloud) {
    throw new ArgumentError(
      `takePoints: expected at most the ${pointsPerCloud} points that a cloud has, got ${points}; ` +
        "ask for fewer, or load the clouds with more",
    );
  }
  if (seed === undefined && points === pointsPerCloud) return set;
  const random = seed === undefined ? undefined : new Generator(seed);
  const taken = new Float32Array(length * points * DIMENSIONS);
  for (let i = 0; i < length; i++) {
    const cloud = set.points.subarray(i * pointsPerCloud * DIMENSIONS, (i + 1) * pointsPerCloud * DIMENSIONS);
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
  return { ...set, points: taken, pointsPerCloud: points };
}

/**
 * Each cloud moved so that its centroid is the origin, then divided by the distance r of its farthest point:
 * (p − mean p) / max ‖p − mean p‖. A cloud whose points are all the same, which has no size, becomes zeros.
 *
 * Source: Qi et al., "PointNet", CVPR 2017, section 5.1 ("normalized into a unit sphere").
 *
 * @returns new clouds; those of `set` stay as they are
 */
export function normalizeUnitSphere(set: PointSet): PointSet {
  const floats = set.pointsPerCloud * DIMENSIONS;
  const points = new Float32Array(set.points.length);
  for (let at = 0; at < points.length; at += floats) {
    const [cx, cy, cz] = centroid(set.points, at, at + floats);
    let farthest = 0;
    for (let i = at; i < at + floats; i += DIMENSIONS) {
      const [x, y, z] = [set.points[i]! - cx, set.points[i + 1]! - cy, set.points[i + 2]! - cz];
      farthest = Math.max(farthest, x * x + y * y + z * z);
    }
    const scale = farthest > 0 ? 1 / Math.sqrt(farthest) : 0;
    for (let i = at; i < at + floats; i += DIMENSIONS) {
      points[i] = (set.points[i]! - cx) * scale;
      points[i + 1] = (set.points[i + 1]! - cy) * scale;
      points[i + 2] = (set.points[i + 2]! - cz) * scale;
    }
  }
  return { ...set, points };
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
