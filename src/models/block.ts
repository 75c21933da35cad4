import { constant } from "../nn/constant";
import { Conv1d, Conv2d, DEFAULT_GAIN } from "../nn/conv";
import { kaimingNormal, kaimingUniform } from "../nn/init";
import { Linear } from "../nn/linear";
import { Module } from "../nn/module";
import { BatchNorm, type BatchNormCall, normaliseParts } from "../nn/norm";
import { parameter } from "../nn/registration";
import type { Branch } from "../passport/layer";
import { type StatelessNorm, statelessNorm } from "../passport/norm";
import { type BranchNorm, PassportConv1d, PassportConv2d, PassportLinear } from "../passport/passport-aware";
import { type OnlyNorm, PassportOnlyConv1d, PassportOnlyConv2d, PassportOnlyLinear } from "../passport/passport-only";
import { relu } from "../tensor/ops/elementwise";
import { maxPool2d } from "../tensor/ops/pool";
import type { Generator } from "../tensor/random";
import type { Shape } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";
import { branchesOf, hasFc, type NetworkNorm, type NetworkSettings, normOf } from "./config";
import { Flow } from "./flow";
import type { MapLayer } from "./layers";

/** A norm without running statistics, its affine map and a ReLU: relu(γ ⊙ norm(h) + β), γ and β learned, the ReLU optional. Names in state dicts: `weight`, `bias`. */
export class AffineNorm extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;

  constructor(
    readonly norm: StatelessNorm,
    channels: number,
    readonly relu = true,
  ) {
    super();
    this.weight = parameter(constant([channels], 1));
    this.bias = parameter(constant([channels], 0));
  }

  /** @param call γ and β in the place of the learned ones, and the max-pooling at the end, where there is one */
  forward(h: Tensor, { gamma = this.weight, beta = this.bias, rows, pool }: BlockCall = {}): Tensor {
    const { relu } = this;
    return statelessNorm(this.norm, h, { parts: 1, shared: false, affine: [{ gamma, beta, rows }] }, { relu, pool });
  }
}

type LearnedNorm = BatchNorm | AffineNorm;

/** γ and β in the place of a block's own, and the rows and columns of the max-pooling windows behind it. */
type BlockCall = Pick<BatchNormCall, "gamma" | "beta" | "rows" | "pool">;

/** Each part of a batch by its norm, all of one kind. */
function normaliseEach(h: Tensor, norms: readonly LearnedNorm[], shared: boolean, call: BlockCall): Tensor {
  const own = norms.every((n) => n === norms[0]) ? norms.slice(0, 1) : norms;
  const affine = own.map(({ weight, bias }) => {
    const { gamma = weight, beta = bias, rows } = call;
    return { gamma, beta, rows };
  });
  const [head] = norms;
  const { pool } = call;
  return head instanceof AffineNorm
    ? statelessNorm(head.norm, h, { parts: norms.length, shared, affine }, { relu: head.relu, pool })
    : normaliseParts(h, norms as readonly BatchNorm[], { shared, affine, pool });
}

/**
 * map → norm → ReLU, without a passport; map is a convolution or a fully connected layer, the ReLU may be left out. Names in state dicts: `conv.weight` or `linear.weight`, with `….bias` where the
 * map has one of its own or the norm is folded into it; `bn.*` whatever the norm, as the authors', or `bn0.*` and `bn1.*` where each branch has a norm.
 */
export class PlainBlock extends Module {
  readonly conv: Conv2d | Conv1d | null;
  readonly linear: Linear | null;
  /** The norm of all branches; null where it is folded, or each branch has its own. */
  readonly bn: LearnedNorm | null;
  /** The norm of the public branch. */
  readonly bn0: LearnedNorm | null;
  /** The norm of the private branch. */
  readonly bn1: LearnedNorm | null;
  readonly #relu: boolean;

  constructor(layer: MapLayer, norm: NetworkNorm, random: Generator) {
    super();
    const { inChannels, channels, kernel, stride, padding, kind, relu: ends = true, branchNorms = false } = layer;
    const own = { random, bias: (layer.bias ?? false) || norm === "folded" };
    const options = { ...own, stride, padding };
    this.linear = kind === "linear" ? new Linear(inChannels, channels, own) : null;
    this.conv = null;
    if (kind === "conv1d") this.conv = new Conv1d(inChannels, channels, kernel, options);
    if (kind === "conv2d") this.conv = new Conv2d(inChannels, channels, kernel, { ...options, init: fanOut });
    const make = (): LearnedNorm | null => {
      if (norm === "folded") return null;
      const own = layer.norm ?? norm;
      return own === "bn" || own === "sbn"
        ? new BatchNorm(channels, { relu: ends })
        : new AffineNorm(own, channels, ends);
    };
    this.bn = branchNorms ? null : make();
    this.bn0 = branchNorms ? make() : null;
    this.bn1 = branchNorms ? make() : null;
    this.#relu = ends;
  }

  /** W * x, plus the map's bias where it has one: the same for all branches that get the same input. */
  convolve(x: Tensor): Tensor {
    return (this.conv ?? this.linear)!.forward(x);
  }

  /**
   * What follows the map, in one branch.
   * @param call γ and β in the place of the learned ones, how many times a training pass moves the running statistics, where there are some
   * (default once), and the max-pooling at the end, where there is one.
   */
  normalise(h: Tensor, branch: Branch, { updates, ...call }: BatchNormCall = {}): Tensor {
    const norm = this.bn ?? (branch === "private" ? this.bn1 : this.bn0);
    if (norm instanceof BatchNorm) return norm.forward(h, { updates, ...call });
    if (norm) return norm.forward(h, call);
    const y = this.#relu ? relu(h) : h;
    return call.pool ? maxPool2d(y, call.pool) : y;
  }

  /** What follows the map, in all branches of a pass; a norm that takes statistics of the batch takes them of each branch's. @param call as in {@link normalise}, `updates` for what the branches share */
  normaliseFlow(h: Flow, branches: readonly Branch[], { updates, ...call }: BatchNormCall = {}): Flow {
    const { bn, bn0, bn1 } = this;
    const norms: LearnedNorm[] = [];
    if (bn0 && bn1) norms.push(...branches.map((branch) => (branch === "private" ? bn1 : bn0)));
    else if (bn instanceof BatchNorm) norms.push(...Array.from({ length: h.parts }, () => bn));
    if (norms.length < 2) return h.map((t) => this.normalise(t, branches[0]!, { updates, ...call }));
    return new Flow(normaliseEach(h.tensor, norms, h.parts < norms.length, call), norms.length);
  }

  forward(x: Tensor, call?: BatchNormCall): Tensor {
    return this.normalise(this.convolve(x), "public", call);
  }
}

/** A passport layer of any kind of map: with two branches, or one that works with its passports only. */
export type PassportBlock =
  | PassportConv2d
  | PassportConv1d
  | PassportLinear
  | PassportOnlyConv2d
  | PassportOnlyConv1d
  | PassportOnlyLinear;

/** A linear map of a network and what follows it: plain, with two branches, or one that works with its passports only. */
export type Block = PlainBlock | PassportBlock;

/** Convolutions of images. */
const fanOut = (shape: Shape, source: Generator) => kaimingNormal(shape, source, { mode: "fanOut" });
/** PyTorch's default, U(±1/√fan-in), for everything else. */
const torchDefault = (shape: Shape, source: Generator) => kaimingUniform(shape, source, { gain: DEFAULT_GAIN });

/** @param signature bytes of text in the signature, or undefined for a layer without a passport. */
export function makeBlock(
  layer: MapLayer,
  settings: NetworkSettings,
  signature: Uint8Array | undefined,
  random: Generator,
): Block {
  const norm = normOf(settings);
  if (signature === undefined) return new PlainBlock(layer, norm, random);
  if (norm === "folded") throw new Error("passport layers keep their norm");
  const { scheme } = settings;
  const { bias = false, relu: ends = true, statistics = "separate", kind } = layer;
  const common = { signature, random, bias, relu: ends, init: kind === "conv2d" ? fanOut : torchDefault };
  if (branchesOf(scheme).length > 1)
    return awareBlock(layer, { ...common, norm: layer.norm ?? norm, fc: hasFc(settings), statistics });
  if (norm === "sbn") throw new Error("a network of one branch shares nothing");
  return onlyBlock(layer, { ...common, norm: layer.norm ?? norm });
}

interface Common {
  signature: Uint8Array;
  random: Generator;
  bias: boolean;
  relu: boolean;
  init: (shape: Shape, random: Generator) => Tensor;
}

function awareBlock(
  { kind, inChannels, channels, kernel, stride, padding, inputSize: [a, b] }: MapLayer,
  options: Common & { norm: BranchNorm; fc: boolean; statistics: "separate" | "shared" },
): PassportBlock {
  if (kind === "linear") return new PassportLinear(inChannels, channels, options);
  const placed = { ...options, stride, padding };
  if (kind === "conv1d") return new PassportConv1d(inChannels, channels, kernel, { ...placed, inputSize: a! });
  return new PassportConv2d(inChannels, channels, kernel, { ...placed, inputSize: [a!, b!] });
}

function onlyBlock(
  { kind, inChannels, channels, kernel, stride, padding, inputSize: [a, b] }: MapLayer,
  options: Common & { norm: OnlyNorm },
): PassportBlock {
  if (kind === "linear") return new PassportOnlyLinear(inChannels, channels, options);
  const placed = { ...options, stride, padding };
  if (kind === "conv1d") return new PassportOnlyConv1d(inChannels, channels, kernel, { ...placed, inputSize: a! });
  return new PassportOnlyConv2d(inChannels, channels, kernel, { ...placed, inputSize: [a!, b!] });
}
