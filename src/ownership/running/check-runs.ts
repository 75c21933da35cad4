/** Checks of what has to run: networks, and samples that they are given. */
import { isImageStream } from "../../data/image-stream";
import { checkedSet, type TrainingSet } from "../../data/sample-set";
import { type Check, refuse } from "../../demand";
import { isObject } from "../../io/shown";
import { Module } from "../../nn/module";

/** A network, or what makes one. */
export const isModel: Check = (what, name, value) =>
  typeof value === "function" ||
  value instanceof Module ||
  refuse(what, name, "a network, or a function that makes one", value);

/**
 * Images in memory or in a stream, or clouds, one or more, whose parts agree.
 * @throws ArgumentError, ShapeError, FormatError
 */
export const isDataset: Check = (what, name, v) => {
  const { labels, classes, images, points, length } = isObject(v) ? v : {};
  const isImages = images instanceof Uint8Array || images instanceof Float32Array;
  const samples = isImages || points instanceof Float32Array || isImageStream(v);
  if (!(labels instanceof Uint8Array || labels instanceof Int32Array) || !Array.isArray(classes) || !samples)
    return refuse(what, name, "a set of images or of point clouds", v);
  if (length !== labels.length || length === 0) refuse(what, name, "a set of one sample or more", v);
  return checkedSet(v as unknown as TrainingSet);
};
