/** The maps that passports go through, as modules. */
import { ArgumentError } from "../errors";
import { Conv1d, Conv2d } from "../nn/conv";
import { Linear } from "../nn/linear";
import type { MapGeometry } from "./place";

/** The linear map W * x whose weights a passport goes through. */
export type LinearMap = Conv2d | Conv1d | Linear;

/** Outputs of a map. */
export const outputsOf = (map: LinearMap): number => (map instanceof Linear ? map.outFeatures : map.outChannels);

/** Whether a module is a map that a passport can go through. */
export const isLinearMap = (module: unknown): module is LinearMap =>
  module instanceof Conv2d || module instanceof Conv1d || module instanceof Linear;

/** The numbers of a map for inputs of a size. @throws ArgumentError for another number of axes. */
export function geometryOf(map: LinearMap, inputSize: readonly number[]): MapGeometry {
  const channels = outputsOf(map);
  if (map instanceof Linear) {
    const none = { kernel: [], stride: [], padding: [], dilation: [], groups: 1 };
    return { kind: "linear", inChannels: map.inFeatures, channels, ...none, inputSize };
  }
  const kernel = map.weight.shape.slice(0, -2);
  if (inputSize.length !== kernel.length)
    throw new ArgumentError(
      `a passport of a ${map instanceof Conv2d ? "Conv2d" : "Conv1d"} is an input of ${kernel.length} axes, found size [${inputSize.join(", ")}]`,
    );
  const both = (size: number | readonly number[]) => (typeof size === "number" ? kernel.map(() => size) : size);
  return {
    kind: map instanceof Conv2d ? "conv2d" : "conv1d",
    inChannels: map.inChannels,
    channels,
    kernel,
    stride: both(map.stride),
    padding: map.paddings,
    dilation: both(map.dilation),
    groups: map.groups,
    inputSize,
  };
}

/** Whether a map is the one of a place, but for the names of its tensors. */
export function isGeometryOf(map: LinearMap, place: MapGeometry): boolean {
  const axes = map instanceof Linear ? null : map.weight.rank - 2;
  if (axes !== null && place.inputSize.length !== axes) return false;
  const own = geometryOf(map, place.inputSize);
  const names = ["kind", "inChannels", "channels", "kernel", "stride", "padding", "dilation", "groups"] as const;
  return names.every((name) => JSON.stringify(own[name]) === JSON.stringify(place[name]));
}
