/**
 * Augmentation of point clouds. Each transform changes one cloud in place and draws from a
 * generator of that cloud's own, so what becomes of a cloud does not depend on the rest of its
 * batch.
 *
 * Source: the data provider of Qi et al., "PointNet", CVPR 2017, whose constants are the defaults.
 */
import { mat3, quat, vec3 } from "gl-matrix";
import { FLOAT_MAX, instance, oneOf, optionsOf, within } from "../demand";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";
import { Generator } from "../tensor/random";
import { checkRoom } from "./check";
import { DIMENSIONS } from "./dimensions";
import { type PointSet, pointParts } from "./point-cloud";
import { checkTransforms } from "./transform-kinds";

/**
 * Something done to every cloud of a batch; see {@link pointTransform} for those customary in
 * training.
 */
export interface PointTransform {
  readonly kind: "points";
  /** Changes P × 3 coordinates in place. */
  apply(points: Float32Array, random: Generator): void;
}

/** A transform that looks at what it is given before it changes it. */
const onCloud = (maker: string, apply: PointTransform["apply"]): PointTransform => ({
  kind: "points",
  apply(points, random) {
    if (!(points instanceof Float32Array) || points.length % DIMENSIONS !== 0) {
      throw new ArgumentError(`${maker}: expected a Float32Array of three coordinates a point, got ${shown(points)}`);
    }
    instance(maker, "random", random, Generator);
    apply(points, random);
  },
});

/** A coordinate axis. */
export type CoordinateAxis = "x" | "y" | "z";

const AXES: Readonly<Record<CoordinateAxis, readonly [number, number, number]>> = {
  x: [1, 0, 0],
  y: [0, 1, 0],
  z: [0, 0, 1],
};

/**
 * Drops points: a ratio r is drawn from [0, maxRatio) for the cloud, and each of its points becomes
 * the cloud's first point with probability r, so that the number of points stays. Draws one number
 * and one per point.
 *
 * @throws ArgumentError if maxRatio is not in [0, 1]
 */
export function randomPointDropout(options: { maxRatio?: number } = {}): PointTransform {
  const { maxRatio = 0.875 } = optionsOf("randomPointDropout", options, ["maxRatio"]);
  within("randomPointDropout", "maxRatio", maxRatio, 0, 1);
  return onCloud("randomPointDropout", (points, random) => {
    const ratio = random.uniform(0, maxRatio);
    for (let i = 0; i < points.length; i += DIMENSIONS) {
      if (random.uniform() < ratio) points.copyWithin(i, 0, DIMENSIONS);
    }
  });
}

/**
 * Multiplies all coordinates of a cloud by one factor from [low, high). Draws one number.
 *
 * @throws ArgumentError if not 0 < low ≤ high < ∞
 */
export function randomCloudScale(options: { low?: number; high?: number } = {}): PointTransform {
  const { low = 0.8, high = 1.25 } = optionsOf("randomCloudScale", options, ["low", "high"]);
  within("randomCloudScale", "low", low, 0, FLOAT_MAX);
  within("randomCloudScale", "high", high, 0, FLOAT_MAX);
  if (!(low > 0 && low <= high)) {
    throw new ArgumentError(`randomCloudScale: expected finite 0 < low <= high, got low ${low}, high ${high}`);
  }
  return onCloud("randomCloudScale", (points, random) => {
    const factor = random.uniform(low, high);
    for (let i = 0; i < points.length; i++) points[i]! *= factor;
  });
}

/**
 * Adds one vector to all points of a cloud, each of its three parts from [−range, range). Draws
 * three numbers.
 *
 * @throws ArgumentError if range is not a finite number from 0
 */
export function randomCloudShift(options: { range?: number } = {}): PointTransform {
  const { range = 0.1 } = optionsOf("randomCloudShift", options, ["range"]);
  within("randomCloudShift", "range", range, 0, FLOAT_MAX);
  return onCloud("randomCloudShift", (points, random) => {
    const by = Float64Array.from({ length: DIMENSIONS }, () => random.uniform(-range, range));
    for (let i = 0; i < points.length; i++) points[i]! += by[i % DIMENSIONS]!;
  });
}

/**
 * Turns a cloud about an axis through the origin, by an angle from [0, 2π). Choose the axis that
 * points up in the data (default z): a chair turned about it is still a chair that stands. Draws
 * one number.
 *
 * The sine and cosine are the engine's own, whose last bit may differ between JavaScript engines.
 *
 * @throws ArgumentError if axis is none of "x", "y", "z"
 */
export function randomCloudRotation(options: { axis?: CoordinateAxis } = {}): PointTransform {
  const { axis = "z" } = optionsOf("randomCloudRotation", options, ["axis"]);
  oneOf("randomCloudRotation", "axis", axis, Object.keys(AXES));
  const [turn, matrix] = [quat.create(), mat3.create()];
  return onCloud("randomCloudRotation", (points, random) => {
    quat.setAxisAngle(turn, AXES[axis], random.uniform(0, 2 * Math.PI));
    vec3.forEach(points, DIMENSIONS, 0, 0, vec3.transformMat3, mat3.fromQuat(matrix, turn));
  });
}

/**
 * Moves every coordinate by a normal deviate of mean 0 and deviation std, cut off at ±clip. Draws
 * two numbers a coordinate.
 *
 * @throws ArgumentError if std or clip is not a finite number from 0
 */
export function randomPointJitter(options: { std?: number; clip?: number } = {}): PointTransform {
  const { std = 0.01, clip = 0.05 } = optionsOf("randomPointJitter", options, ["std", "clip"]);
  within("randomPointJitter", "std", std, 0, FLOAT_MAX);
  within("randomPointJitter", "clip", clip, 0, FLOAT_MAX);
  return onCloud("randomPointJitter", (points, random) => {
    for (let i = 0; i < points.length; i++) points[i]! += Math.min(clip, Math.max(-clip, random.normal(0, std)));
  });
}

/**
 * The customary treatment of clouds that are normalised already: for training points are dropped,
 * then the cloud is scaled and shifted, as PointNet's and the passport papers' code do; for testing
 * nothing is done.
 *
 * @throws ArgumentError if `use` is neither
 */
export function pointTransform(use: "train" | "test"): readonly PointTransform[] {
  oneOf("pointTransform", "use", use, ["train", "test"]);
  return use === "train" ? [randomPointDropout(), randomCloudScale(), randomCloudShift()] : [];
}

/** Writes clouds through a list of transforms, in the order of the list. */
export class PointWriter {
  readonly #set: PointSet;
  readonly #transforms: readonly PointTransform[];
  /** Points and coordinates of a cloud. */
  readonly shape: readonly [points: number, coordinates: number];

  /**
   * @throws ArgumentError if one of `transforms` is not of kind points
   * @throws ArgumentError, ShapeError, FormatError if the parts of `set` do not agree
   */
  constructor(set: PointSet, transforms: readonly PointTransform[]) {
    this.#set = pointParts("PointWriter", set);
    checkTransforms(transforms);
    const other = transforms.findIndex((transform) => transform.kind !== "points");
    if (other >= 0) {
      throw new ArgumentError(
        `transforms: the data are point clouds, but number ${other} is for images; ` +
          "use pointTransform() or transforms of kind points",
      );
    }
    this.#transforms = [...transforms];
    this.shape = [set.pointsPerCloud, DIMENSIONS];
  }

  /**
   * Writes cloud `index` as P × 3 floats to `out` from `offset` on; `random` decides the
   * augmentation.
   *
   * @throws ArgumentError if there is no cloud `index`, or no room in `out`
   */
  write(index: number, out: Float32Array, offset: number, random: Generator): void {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.#set.length) {
      throw new ArgumentError(`PointWriter.write: expected the index of a cloud of the set, got ${shown(index)}`);
    }
    const size = this.#set.pointsPerCloud * DIMENSIONS;
    checkRoom("PointWriter.write", size, out, offset);
    instance("PointWriter.write", "random", random, Generator);
    const cloud = out.subarray(offset, offset + size);
    cloud.set(this.#set.points.subarray(index * size, (index + 1) * size));
    for (const transform of this.#transforms) transform.apply(cloud, random);
  }
}
