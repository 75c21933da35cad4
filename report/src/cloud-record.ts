/**
 * Clouds of points as records hold them: trigger shapes with what they are and what they were
 * taught as.
 */

import type { RecordChecks } from "./checks";

/** A point's x, y and z; z points up. */
export type Point3 = readonly [x: number, y: number, z: number];

/** A trigger shape. */
export interface CloudSample {
  /**
   * In the unit sphere around the origin. {@link CLOUD_POINTS} are enough; thin larger clouds with
   * {@link spread}.
   */
  points: [x: number, y: number, z: number][];
  /** Name of the class it was taught as. */
  label: string;
  /** Name of the class it is of. */
  truth: string;
}

/** As many points as a drawing shows. */
export const CLOUD_POINTS = 256;

/** Rounded coordinates and sampled surfaces may pass the sphere by this much. */
const ROOM = 0.01;

/**
 * Up to `count` of the points, spread as evenly as they lie: each next one is the farthest from all
 * that were taken, the first one is the first. All of them, in their order, where there are no more
 * than `count`.
 */
export function spread<P extends Point3>(points: readonly P[], count = CLOUD_POINTS): P[] {
  if (points.length <= count) return [...points];
  const nearest = new Float64Array(points.length).fill(Number.POSITIVE_INFINITY);
  const taken: P[] = [];
  for (let next = 0; taken.length < count; ) {
    const p = points[next]!;
    taken.push(p);
    let farthest = -1;
    for (const [i, q] of points.entries()) {
      const distance = (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2;
      if (distance < nearest[i]!) nearest[i] = distance;
      if (nearest[i]! > farthest) [farthest, next] = [nearest[i]!, i];
    }
  }
  return taken;
}

/**
 * Checks clouds of a record: names, at least one point each, every point in the unit sphere.
 *
 * Raises {@link ArgumentError} naming the entry, such as `clouds[2].points[17]`.
 */
export function checkClouds(clouds: readonly CloudSample[], { fail, list, object, text, number }: RecordChecks): void {
  list("clouds", clouds);
  for (const [i, cloud] of clouds.entries()) {
    const where = `clouds[${i}]`;
    object(where, cloud);
    for (const key of ["label", "truth"] as const) text(`${where}.${key}`, cloud[key]);
    list(`${where}.points`, cloud.points);
    if (cloud.points.length === 0) fail(`${where}.points`, "at least one point", cloud.points);
    for (const [k, point] of cloud.points.entries()) {
      const at = `${where}.points[${k}]`;
      list(at, point);
      if (point.length !== 3) fail(at, "three coordinates", point);
      for (const [axis, value] of point.entries()) number(`${at}[${axis}]`, value);
      const length = Math.hypot(...point);
      if (length > 1 + ROOM) fail(at, "a point of the unit sphere, no farther than 1 from the origin", length);
    }
  }
}
