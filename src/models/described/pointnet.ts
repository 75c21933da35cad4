/** What the configuration of a `PointNet` says, before one is built. */
import { DIMENSIONS } from "../../data/dimensions";
import { unexpected } from "../../demand";
import { checkSettings, type NetworkSettings, normOf } from "../config";
import { checkForm, checkNames } from "../form";
import type { MapLayer } from "../layers";

/** Channels of a PointNet's layers of each kind: 64, 128, 1024, 512 and 256 in the paper. */
export type PointNetChannels = readonly [number, number, number, number, number];

/** The maps of a T-Net on [N, points, k], the last one (`fc3`) excepted. */
function tNetLayers(
  name: string,
  { k, points, channels: [a, b, c, d, e] }: { k: number; points: number; channels: PointNetChannels },
  branchNorms: boolean,
): MapLayer[] {
  const common = { key: null, kernel: 1, stride: 1, padding: 0, bias: true, branchNorms };
  const conv = (part: string, inChannels: number, channels: number): MapLayer => {
    return { ...common, name: `${name}.${part}`, kind: "conv1d", inChannels, channels, inputSize: [points] };
  };
  const linear = (part: string, inChannels: number, channels: number): MapLayer => {
    return { ...common, name: `${name}.${part}`, kind: "linear", inChannels, channels, inputSize: [] };
  };
  return [conv("conv1", k, a), conv("conv2", a, b), conv("conv3", b, c), linear("fc1", c, d), linear("fc2", d, e)];
}

/** Structure of a `PointNet`. */
export interface PointNetConfig extends NetworkSettings {
  arch: "pointnet";
  /** Points of a cloud, and their 3 coordinates. */
  input: readonly [points: number, coordinates: number];
  /** Multiplies the channels of every layer, rounded to multiples of 8 from 8 on (default 1). */
  width?: number;
  /**
   * Probability that dropout in front of the second hidden layer's norm zeroes an element (default
   * 0.4).
   */
  dropout?: number;
  /**
   * Running statistics of batch-normed passport layers: one set for both branches (`shared`,
   * default, as the authors'), or one per branch.
   */
  branchStatistics?: "shared" | "separate";
}

const CHANNELS: PointNetChannels = [64, 128, 1024, 512, 256];
/** Probability of dropout where nothing else is said. */
export const DROPOUT = 0.4;
/**
 * Of a network that is wider, the feature transform alone has more numbers than a tensor can hold.
 */
const WIDEST = 12;

/** Channels of the layers of each kind. */
export const pointNetChannels = ({ width = 1 }: PointNetConfig): PointNetChannels => {
  const scaled = CHANNELS.map((n) => Math.max(8, 8 * Math.round((n * width) / 8)));
  return scaled as unknown as PointNetChannels;
};

/**
 * The linear maps in the order they run, those that can take a passport keyed by their names:
 * `convp1` … `convp3`, `p1` … `p3`.
 */
export function pointNetLayers(config: PointNetConfig): MapLayer[] {
  const { classes, scheme } = config;
  const [points, dimensions] = config.input;
  const channels = pointNetChannels(config);
  const [a, b, c, d, e] = channels;
  // Passport-aware normalisation gives every norm a branch of its own; `sbn` is that without.
  const branchNorms = scheme === "pan" && normOf(config) !== "sbn";
  const common = { kernel: 1, stride: 1, padding: 0 };
  const conv = (name: string, inChannels: number, channels: number, relu: boolean): MapLayer => {
    return { ...common, name, key: name, kind: "conv1d", inChannels, channels, inputSize: [points], relu };
  };
  const linear = (name: string, inChannels: number, channels: number): MapLayer => {
    return { ...common, name, key: name, kind: "linear", inChannels, channels, inputSize: [], bias: true };
  };
  return [
    ...tNetLayers("stn", { k: dimensions, points, channels }, branchNorms),
    conv("convp1", dimensions, a, true),
    ...tNetLayers("fstn", { k: a, points, channels }, branchNorms),
    conv("convp2", a, b, true),
    conv("convp3", b, c, false),
    linear("p1", c, d),
    linear("p2", d, e),
    { ...linear("p3", e, classes), relu: false, norm: "none" },
  ];
}

/**
 * @throws ArgumentError when the configuration does not hold together; it may have come out of a
 * file.
 */
export function checkPointNet(config: PointNetConfig): void {
  checkForm(config, { arch: "pointnet", sizes: ["points", "coordinates"] });
  const { input, width = 1, dropout = DROPOUT, branchStatistics = "shared" } = config as PointNetConfig;
  if (input[1] !== DIMENSIONS) unexpected(`input: [points, ${DIMENSIONS}]`, input);
  if (!(typeof width === "number" && width > 0 && width <= WIDEST))
    unexpected(`width: a finite number above 0 and up to ${WIDEST}`, width);
  if (!(typeof dropout === "number" && dropout >= 0 && dropout < 1))
    unexpected("dropout: a probability from 0 and below 1", dropout);
  if (branchStatistics !== "shared" && branchStatistics !== "separate")
    unexpected('branchStatistics: "shared" or "separate"', branchStatistics);
  checkSettings(config, pointNetLayers(config as PointNetConfig));
  checkNames(config, { arch: "pointnet", own: ["width", "dropout", "branchStatistics"] });
}
