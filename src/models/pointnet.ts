import { DIMENSIONS } from "../data/point-cloud";
import { optionsOf, unexpected } from "../demand";
import { Dropout } from "../nn/layers";
import type { Module } from "../nn/module";
import { affine } from "../tensor/ops/elementwise";
import { expand } from "../tensor/ops/movement";
import { globalMaxPool } from "../tensor/ops/pool";
import { matmul } from "../tensor/ops/products/matmul";
import { Generator } from "../tensor/random";
import type { Tensor } from "../tensor/tensor";
import type { Block } from "./block";
import { checkSettings, type NetworkSettings, normOf } from "./config";
import { type Flow, join } from "./flow";
import { checkForm, checkNames } from "./form";
import type { MapLayer } from "./layers";
import { Network } from "./network";
import type { Pass } from "./pass";
import { plainSettings } from "./plain";
import { type PointNetChannels, TNet, tNetLayers, transformDistances } from "./tnet";

/** Structure of a {@link PointNet}. */
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
/** Weight of the feature transform's penalty in the loss of a branch. */
const PENALTY = 0.001;
const DROPOUT = 0.4;
/**
 * Of a network that is wider, the feature transform alone has more numbers than a tensor can hold.
 */
const WIDEST = 12;

/**
 * Every point of a cloud times the cloud's matrix; a cloud that branches share is repeated for
 * each. Shapes: [N, P, k] or [1, N, P, k], [N, k, k] or [parts, N, k, k].
 */
const transformed = (points: Tensor, matrix: Tensor): Tensor =>
  matmul(expand(points, [...matrix.shape.slice(0, -2), -1, -1]), matrix);

const channelsOf = ({ width = 1 }: PointNetConfig): PointNetChannels => {
  const scaled = CHANNELS.map((n) => Math.max(8, 8 * Math.round((n * width) / 8)));
  return scaled as unknown as PointNetChannels;
};

/**
 * The linear maps in the order they run, those that can take a passport keyed by their names:
 * `convp1` … `convp3`, `p1` … `p3`.
 */
export function pointNetLayers(config: PointNetConfig): MapLayer[] {
  const { classes, scheme, branchStatistics: statistics = "shared" } = config;
  const [points, dimensions] = config.input;
  const channels = channelsOf(config);
  const [a, b, c, d, e] = channels;
  // Passport-aware normalisation gives every norm a branch of its own; `sbn` is that without.
  const branchNorms = scheme === "pan" && normOf(config) !== "sbn";
  const common = { kernel: 1, stride: 1, padding: 0, statistics };
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

/** What of a {@link PointNet} can be chosen. */
export interface PointNetOptions extends Partial<Omit<PointNetConfig, "arch" | "input">> {
  /** Points of a cloud (default 1024). */
  points?: number;
  /** Decides weights, passports, random signature bits and dropout (default 0). */
  seed?: number;
}

/**
 * PointNet for 3-D point clouds in the authors' form, plain or with passports at any of six layers:
 *
 *     x · T(x) → convp1 64 → · A(h) → convp2 128 → convp3 1024 (no ReLU) → max over the points → p1 512 → p2 256 → p3 classes
 *
 * T and A are T-Nets of 3×3 and of 64×64 (`stn`, `fstn`); convolutions are of one point and without
 * bias, p1 … p3 fully connected with one; each is followed by norm, γ, β and ReLU, p3 by γ and β
 * alone, p2 has dropout in front of its norm. In scheme `pan` the T-Nets carry no passports, but a
 * norm per branch: public and private branch part at the first layer. A training pass adds 0.001 ·
 * `transformPenalty` of A to the loss of each branch.
 *
 * Shape: x [N, points, 3] → logits [N, classes] (40 by default). State-dict names are the authors'
 * own, so a checkpoint converted from their code loads as it is. Initialised as PyTorch's layers.
 * Source: Qi et al., "PointNet", CVPR 2017; with passports, Zhang et al., "Passport-aware
 * Normalization", NeurIPS 2020.
 * @throws ArgumentError when the configuration does not hold together.
 *
 * @example
 * const model = new PointNet({ classes: 40, scheme: "pan", passports: { convp3: true, p1: true, p2: "(c) ACME" }, seed: 1 });
 */
export class PointNet extends Network {
  declare readonly config: PointNetConfig;
  readonly stn: TNet;
  readonly fstn: TNet;
  readonly dropout: Dropout;

  constructor(options?: PointNetOptions) {
    const { points = 1024, seed = 0, ...chosen } = optionsOf("PointNet", options);
    const config: PointNetConfig = {
      arch: "pointnet",
      classes: 40,
      input: [points, DIMENSIONS],
      scheme: "plain",
      ...chosen,
    };
    checkPointNet(config);
    super(config, pointNetLayers(config), seed);
    const [features, , , , hidden] = channelsOf(config);
    const tNet = (name: string, k: number) =>
      new TNet(name, this.blocks, { k, hidden, random: this.random.fork(`${name}.fc3`) });
    this.stn = tNet("stn", DIMENSIONS);
    this.fstn = tNet("fstn", features);
    this.dropout = new Dropout(config.dropout ?? DROPOUT, { random: this.random.fork("dropout") });
  }

  /** The authors' names and order. */
  override *children(): Iterable<[string, Module]> {
    yield ["stn", this.stn];
    yield ["convp1", this.#block("convp1")];
    yield ["fstn", this.fstn];
    for (const name of ["convp2", "convp3", "p1", "p2", "p3"]) yield [name, this.#block(name)];
    yield ["dropout", this.dropout];
  }

  override plainConfig(): PointNetConfig {
    const { width, dropout } = this.config;
    return {
      ...plainSettings(this.config),
      arch: "pointnet",
      ...(width !== undefined && { width }),
      ...(dropout !== undefined && { dropout }),
    };
  }

  override beginStep(seed: number, step: number): void {
    const { key } = new Generator(seed).fork("dropout").state();
    this.dropout.stream.restore({ key, step, draw: 0 });
  }

  protected override body(pass: Pass, x: Flow): Flow {
    const run = (name: string, flow: Flow) => pass.block(name, this.#block(name), flow);
    const first = run("convp1", join(x, this.stn.run(pass, x), transformed));
    const transform = this.fstn.run(pass, first);
    pass.penalise(transform, (a) => affine(transformDistances(a), PENALTY));
    const points = run("convp3", run("convp2", join(first, transform, transformed)));
    const cloud = run("p1", points.map(globalMaxPool));
    const hidden = pass.block("p2", this.#block("p2"), cloud, (h) => this.#drop(h));
    return run("p3", hidden);
  }

  /** Without anything to drop nothing is launched. */
  #drop(h: Tensor): Tensor {
    return this.dropout.p > 0 && this.dropout.training ? this.dropout.forward(h) : h;
  }

  #block(name: string): Block {
    return this.blocks.get(name)!;
  }
}
