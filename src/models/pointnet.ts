import { DIMENSIONS } from "../data/dimensions";
import { optionsOf, whole } from "../demand";
import { Dropout } from "../nn/layers";
import { Module } from "../nn/module";
import { penalise } from "../nn/pass";
import { BUILT_IN } from "../passport/built-in";
import { affine } from "../tensor/ops/elementwise";
import { globalMaxPool } from "../tensor/ops/pool";
import { matmul } from "../tensor/ops/products/matmul";
import { Generator } from "../tensor/random";
import type { Tensor } from "../tensor/tensor";
import { makeBlocks, type NormedMap } from "./block";
import { builtIn } from "./built-in";
import { normOf } from "./config";
import { checkPointNet, DROPOUT, type PointNetConfig, pointNetChannels, pointNetLayers } from "./described/pointnet";
import { checkPlain, OF_PASSPORTS, type PlainConfig } from "./plain";
import { TNet, transformDistances } from "./tnet";

/** Weight of the feature transform's penalty in the loss of a branch. */
const PENALTY = 0.001;

/** Names of what of a {@link PointNet} can be chosen. */
const CHOICES = ["points", "width", "dropout", "classes", "norm", "scheme"] as const;

/** What of a {@link PointNet} can be chosen. */
export interface PointNetOptions extends Partial<Omit<PlainConfig<PointNetConfig>, "arch" | "input">> {
  /** Points of a cloud (default 1024). */
  points?: number;
  /** Decides the initial weights and what dropout draws (default 0: two without it begin alike). */
  seed?: number;
}

/** Options of {@link pointNetConfig}. */
export interface PointNetSettings extends Partial<Omit<PointNetConfig, "arch" | "input">> {
  /** Points of a cloud (default 1024). */
  points?: number;
}

/**
 * The configuration of a {@link PointNet}, for `buildNetwork`: with passports too.
 * @throws ArgumentError for other options.
 */
export function pointNetConfig(options?: PointNetSettings): PointNetConfig {
  const known = [...CHOICES, ...OF_PASSPORTS, "branchStatistics"] as const;
  const { points = 1024, ...chosen } = optionsOf("pointNetConfig", options, known);
  return { arch: "pointnet", classes: 40, input: [points, DIMENSIONS], scheme: "plain", ...chosen };
}

/**
 * PointNet for 3-D point clouds in the authors' form:
 *
 *     x · T(x) → convp1 64 → · A(h) → convp2 128 → convp3 1024 (no ReLU) → max over the points → p1 512 → p2 256 → p3 classes
 *
 * T and A are T-Nets of 3×3 and of 64×64 (`stn`, `fstn`); convolutions are of one point and without
 * bias, p1 … p3 fully connected with one; each is followed by norm, γ, β and ReLU, p3 by γ and β
 * alone, p2 has dropout in front of its norm. It penalises 0.001 · `transformPenalty` of A.
 *
 * Shape: x [N, points, 3] → logits [N, classes] (40 by default). State-dict names are the authors'
 * own, so a checkpoint converted from their code loads as it is. Initialised as PyTorch's layers.
 * Source: Qi et al., "PointNet", CVPR 2017; with passports, Zhang et al., "Passport-aware
 * Normalization", NeurIPS 2020.
 * @throws ArgumentError when the configuration does not hold together, or is one with passports.
 *
 * @example
 * const owned = protect(new PointNet({ classes: 40, seed: 1 }), {
 *   scheme: "pan", at: { convp3: true, p1: true, p2: "(c) ACME" }, statistics: "shared", separate: ["stn", "fstn"], sample: [1, 1024, 3],
 * });
 */
export class PointNet extends Module {
  readonly stn: TNet;
  readonly convp1: NormedMap;
  readonly fstn: TNet;
  readonly convp2: NormedMap;
  readonly convp3: NormedMap;
  readonly p1: NormedMap;
  readonly p2: NormedMap;
  readonly p3: NormedMap;
  readonly dropout: Dropout;
  readonly #config: PointNetConfig & { scheme: "plain" };

  constructor(options?: PointNetOptions) {
    super();
    const { points = 1024, seed = 0, ...chosen } = optionsOf("PointNet", options, [...CHOICES, "seed"]);
    const given = pointNetConfig({ points, ...chosen }) as PlainConfig<PointNetConfig>;
    const config = checkPlain("PointNet", given, checkPointNet);
    const random = new Generator(whole("PointNet", "seed", seed, 0));
    this.#config = config;
    const blocks = makeBlocks(pointNetLayers(config), normOf(config), random);
    const block = (name: string) => blocks.get(name)!;
    const [features, , , , hidden] = pointNetChannels(config);
    const tNet = (name: string, k: number) => {
      const own = (part: string) => block(`${name}.${part}`);
      return new TNet(own, { k, hidden, random: random.fork(`${name}.fc3`) });
    };
    this.stn = tNet("stn", DIMENSIONS);
    this.convp1 = block("convp1");
    this.fstn = tNet("fstn", features);
    this.convp2 = block("convp2");
    this.convp3 = block("convp3");
    this.p1 = block("p1");
    this.p2 = block("p2");
    this.p3 = block("p3");
    this.dropout = new Dropout(config.dropout ?? DROPOUT, { random: random.fork("dropout") });
  }

  get config(): PointNetConfig & { scheme: "plain" } {
    return this.#config;
  }

  /** @internal */
  get [BUILT_IN]() {
    return builtIn(this.#config, pointNetLayers(this.#config), "bn0");
  }

  forward(x: Tensor): Tensor {
    const first = this.convp1.forward(matmul(x, this.stn.forward(x)));
    const transform = this.fstn.forward(first);
    penalise(affine(transformDistances(transform), PENALTY));
    const points = this.convp3.forward(this.convp2.forward(matmul(first, transform)));
    const cloud = this.p1.forward(globalMaxPool(points));
    return this.p3.forward(this.p2.forward(cloud, (h) => this.#drop(h)));
  }

  /** Without anything to drop nothing is launched. */
  #drop(h: Tensor): Tensor {
    return this.dropout.p > 0 && this.dropout.training ? this.dropout.forward(h) : h;
  }
}
