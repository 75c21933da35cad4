/**
 * Augmentation of point clouds. Each transform changes one cloud in place and draws from a generator of that cloud's own, so what
 * becomes of a cloud does not depend on the rest of its batch.
 *
 * Source: the data provider of Qi et al., "PointNet", CVPR 2017, whose constants are the defaults.
 */
import { mat3, quat, vec3 } from "gl-matrix";
import { ArgumentError } from "../errors";
import type { Generator } from "../tensor/random";
import { DIMENSIONS, type PointSet } from "./point-cloud";

/** Something done to every cloud of a batch; see {@link pointTransform} for those customary in training. */
export interface PointTransform {
  readonly kind: "points";
  /** Changes P × 3 coordinates in place. */
  apply(points: Float32Array, random: Generator): void;
}

/** A coordinate axis. */
export type CoordinateAxis = "x" | "y" | "z";

const AXES: Readonly<Record<CoordinateAxis, readonly [number, number, number]>> = {
  x: [1, 0, 0],
  y: [0, 1, 0],
  z: [0, 0, 1],
};

/**
 * Drops points: a ratio r is drawn from [0, maxRatio) for the cloud, and each of its points becomes the cloud's first point with
 * probability r, so that the number of points stays. Draws one number and one a point.
 *
 * @throws ArgumentError if maxRatio is not in [0, 1]
 */
export function randomPointDropout({ maxRatio = 0.875 }: { maxRatio?: number } = {}): PointTransform {
  if (!(maxRatio >= 0 && maxRatio <= 1)) {
    throw new ArgumentError(`randomPointDropout: expected maxRatio from 0 to 1, got ${maxRatio}`);
  }
  return {
    kind: "points",
    apply(points, random) {
      const ratio = random.uniform(0, maxRatio);
      for (let i = 0; i < points.length; i += DIMENSIONS) {
        if (random.uniform() < ratio) points.copyWithin(i, 0, DIMENSIONS);
      }
    },
  };
}

/**
 * Multiplies all coordinates of a cloud by one factor from [low, high). Draws one number.
 *
 * @throws ArgumentError if not 0 < low ≤ high < ∞
 */
export function randomCloudScale({ low = 0.8, high = 1.25 }: { low?: number; high?: number } = {}): PointTransform {
  if (!(low > 0 && low <= high && high < Number.POSITIVE_INFINITY)) {
    throw new ArgumentError(`randomCloudScale: expected finite 0 < low <= high, got low ${low}, high ${high}`);
  }
  return {
    kind: "points",
    apply(points, random) {
      const factor = random.uniform(low, high);
      for (let i = 0; i < points.length; i++) points[i]! *= factor;
    },
  };
}

/**
 * Adds one vector to all points of a cloud, each of its three parts from [−range, range). Draws three numbers.
 *
 * @throws ArgumentError if range is not a finite number from 0
 */
export function randomCloudShift({ range = 0.1 }: { range?: number } = {}): PointTransform {
  demandFromZero("randomCloudShift", "range", range);
  return {
    kind: "points",
    apply(points, random) {
      const by = Float64Array.from({ length: DIMENSIONS }, () => random.uniform(-range, range));
      for (let i = 0; i < points.length; i++) points[i]! += by[i % DIMENSIONS]!;
    },
  };
}

/**
 * Turns a cloud about an axis through the origin, by an angle from [0, 2π). Choose the axis that points up in the data (default z): a
 * chair turned about it is still a chair that stands. Draws one number.
 *
 * The sine and cosine are the engine's own, whose last bit may differ between JavaScript engines.
 *
 * @throws ArgumentError if axis is none of "x", "y", "z"
 */
export function randomCloudRotation({ axis = "z" }: { axis?: CoordinateAxis } = {}): PointTransform {
  if (!Object.hasOwn(AXES, axis)) {
    throw new ArgumentError(`randomCloudRotation: expected axis "x", "y" or "z", got ${JSON.stringify(axis)}`);
  }
  const [turn, matrix] = [quat.create(), mat3.create()];
  return {
    kind: "points",
    apply(points, random) {
      quat.setAxisAngle(turn, AXES[axis], random.uniform(0, 2 * Math.PI));
      vec3.forEach(points, DIMENSIONS, 0, 0, vec3.transformMat3, mat3.fromQuat(matrix, turn));
    },
  };
}

/**
 * Moves every coordinate by a normal deviate of mean 0 and deviation std, cut off at ±clip. Draws two numbers a coordinate.
 *
 * @throws ArgumentError if std or clip is not a finite number from 0
 */
export function randomPointJitter({ std = 0.01, clip = 0.05 }: { std?: number; clip?: number } = {}): PointTransform {
  demandFromZero("randomPointJitter", "std", std);
  demandFromZero("randomPointJitter", "clip", clip);
  return {
    kind: "points",
    apply(points, random) {
      for (let i = 0; i < points.length; i++) points[i]! += Math.min(clip, Math.max(-clip, random.normal(0, std)));
    },
  };
}

/**
 * The customary treatment of clouds that are normalised already: for training points are dropped, then the cloud is scaled and
 * shifted, as PointNet's and the passport papers' code do; for testing nothing is done.
 */
export function pointTransform(use: "train" | "test"): readonly PointTransform[] {
  return use === "train" ? [randomPointDropout(), randomCloudScale(), randomCloudShift()] : [];
}

/** Writes clouds through a list of transforms, in the order of the list. */
export class PointWriter {
  readonly #set: PointSet;
  readonly #transforms: readonly PointTransform[];
  /** Points and coordinates a cloud. */
  readonly shape: readonly [points: number, coordinates: number];

  constructor(set: PointSet, transforms: readonly PointTransform[]) {
    this.#set = set;
    this.#transforms = transforms;
    this.shape = [set.pointsPerCloud, DIMENSIONS];
  }

  /** Writes cloud `index` as P × 3 floats to `out` from `offset` on; `random` decides the augmentation. */
  write(index: number, out: Float32Array, offset: number, random: Generator): void {
    const floats = this.#set.pointsPerCloud * DIMENSIONS;
    const cloud = out.subarray(offset, offset + floats);
    cloud.set(this.#set.points.subarray(index * floats, (index + 1) * floats));
    for (const transform of this.#transforms) transform.apply(cloud, random);
  }
}

function demandFromZero(transform: string, name: string, value: number): void {
  if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) {
    throw new ArgumentError(`${transform}: expected ${name} to be a finite number from 0, got ${value}`);
  }
}
