/**
 * Checks of what the functions that decide about ownership take, beside those of `demand.ts`: a
 * value that nobody can mean is refused, never read as absent.
 */
import { checkedSet, type SampleSet } from "../data/sample-set";
import type { SampleTransform } from "../data/samples";
import { type Check, refuse, whole, within } from "../demand";
import { isObject } from "../io/shown";
import { certificatesOf } from "../signing/certificate";

/** A share from 0 to 1. */
export const isShare: Check = (what, name, v) => within(what, name, v, 0, 1);

/** A probability that is neither 0 nor 1. */
export const isRate: Check = (what, name, v) =>
  (typeof v === "number" && v > 0 && v < 1) || refuse(what, name, "a number between 0 and 1", v);

export const isSeed: Check = (what, name, v) => whole(what, name, v, 0);

/**
 * Images or clouds, one or more, whose parts agree.
 * @throws ArgumentError, ShapeError, FormatError
 */
export const isDataset: Check = (what, name, v) => {
  const { labels, classes, images, points, length } = isObject(v) ? v : {};
  const samples = images instanceof Uint8Array || points instanceof Float32Array;
  if (!(labels instanceof Uint8Array || labels instanceof Int32Array) || !Array.isArray(classes) || !samples)
    return refuse(what, name, "a set of images or of point clouds", v);
  if (length !== labels.length || length === 0) refuse(what, name, "a set of one sample or more", v);
  return checkedSet(v as unknown as SampleSet);
};

const KINDS: readonly unknown[] = [
  "resample",
  "geometry",
  "color",
  "value",
  "pixels",
  "points",
] satisfies SampleTransform["kind"][];

/** Certificates, each PEM or DER. @throws FormatError for one that is none. */
export const isRoots: Check = (what, name, v) =>
  Array.isArray(v) && v.every((root) => typeof root === "string" || root instanceof Uint8Array)
    ? certificatesOf(v as (string | Uint8Array)[], `${what}: ${name}`)
    : refuse(what, name, "a list of certificates, each PEM or DER", v);

/** Transforms of samples. */
export const isTransforms: Check = (what, name, v) =>
  (Array.isArray(v) && v.every((t) => isObject(t) && KINDS.includes(t["kind"]))) ||
  refuse(what, name, "a list of transforms", v);
