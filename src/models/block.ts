import { BatchNorm } from "../nn/batch-norm";
import { Conv1d, Conv2d } from "../nn/conv";
import { kaimingNormal } from "../nn/init";
import { Linear } from "../nn/linear";
import { Module } from "../nn/module";
import type { Norm } from "../nn/norm";
import { normaliseParts } from "../nn/norm-parts";
import type { Branch } from "../passport/branches";
import { PassportLayer } from "../passport/layer";
import { makeNorm } from "../passport/norms";
import { type LinearMap, mapName } from "../passport/options";
import { relu } from "../tensor/ops/elementwise";
import type { Affine } from "../tensor/ops/norm/affine";
import type { Generator } from "../tensor/random";
import type { Shape } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";
import { sharedStatistics } from "./compat/shared-statistics";
import { branchesOf, hasFc, type NetworkNorm, type NetworkSettings, normOf } from "./config";
import { Flow } from "./flow";
import type { MapLayer } from "./layers";

/** Runs around a batch norm that all branches go through together: `body` normalises x. */
export type AroundNorm = (norm: BatchNorm, x: Tensor, body: () => Tensor) => Tensor;

/** What stands behind the map of a plain block. */
interface BlockEnd {
  /**
   * The norms: one for all branches, those of the public and the private one, or none where it is
   * folded.
   */
  norms: readonly Norm[];
  /** Where there is no norm: end in a ReLU. */
  relu: boolean;
}

/**
 * map → norm → ReLU, without a passport; map is a convolution or a fully connected layer, the ReLU
 * may be left out. Names in state dicts: `conv.weight` or `linear.weight`, with `….bias` where the
 * map has one of its own or the norm is folded into it; `bn.*` whatever the norm, as the authors',
 * or `bn0.*` and `bn1.*` where each branch has a norm.
 */
export class PlainBlock extends Module {
  readonly #map: LinearMap;
  readonly #end: BlockEnd;

  constructor(map: LinearMap, end: BlockEnd) {
    super();
    this.#map = map;
    this.#end = end;
  }

  override *children(): Iterable<[string, Module]> {
    yield [mapName(this.#map), this.#map];
    const { norms } = this.#end;
    for (const [i, norm] of norms.entries()) yield [norms.length > 1 ? `bn${i}` : "bn", norm];
  }

  /** The norm of all branches, or those of the public and the private one. */
  get norms(): readonly Norm[] {
    return this.#end.norms;
  }

  /**
   * W * x, plus the map's bias where it has one: the same for all branches that get the same input.
   */
  convolve(x: Tensor): Tensor {
    return this.#map.forward(x);
  }

  /**
   * What follows the map, in all branches of a pass; a norm that takes statistics of the batch
   * takes them of each branch's.
   * @param affine γ and β in the place of the learned ones
   * @param around runs around a batch norm, where what it gets is the same for all branches
   */
  normalise(h: Flow, branches: readonly Branch[], affine?: Affine, around?: AroundNorm): Flow {
    const [norm, secret] = this.norms;
    if (!norm) return this.#end.relu ? h.map(relu) : h;
    const parts = secret
      ? branches.map((branch) => ({ norm: branch === "private" ? secret : norm, affine }))
      : Array.from({ length: h.parts }, () => ({ norm, affine }));
    const common = around && parts.length === 1 && norm instanceof BatchNorm;
    return new Flow((normaliser) => {
      const x = h.tensor;
      const body = () => normaliseParts(x, parts, { shared: h.parts < parts.length, normaliser });
      return common ? around(norm, x, body) : body();
    }, parts.length);
  }

  /** y of the public branch. */
  forward(x: Tensor): Tensor {
    return this.normalise(new Flow(this.convolve(x)), ["public"]).tensor;
  }
}

/** A linear map of a network and what follows it: plain, or with a passport. */
export type Block = PlainBlock | PassportLayer;

/** @param signature bytes of text in the signature, or undefined for a layer without a passport. */
export function makeBlock(
  layer: MapLayer,
  settings: NetworkSettings,
  signature: Uint8Array | undefined,
  random: Generator,
): Block {
  const norm = normOf(settings);
  const { bias = false, relu: ends = true, kind } = layer;
  if (signature === undefined)
    return new PlainBlock(makeMap(layer, bias || norm === "folded", random), {
      norms: plainNorms(layer, norm),
      relu: ends,
    });
  if (norm === "folded") throw new Error("passport layers keep their norm");
  const map = makeMap(layer, bias && kind === "linear", random.fork("weight"));
  const bound = 1 / Math.sqrt(layer.inChannels);
  // As PyTorch's, but drawn apart from the weight.
  map.bias?.write(random.fork("bias").fill(new Float32Array(layer.channels), "uniform", -bound, bound));
  const own = layer.norm ?? norm;
  const publicBranch = branchesOf(settings.scheme).length > 1;
  const shared = publicBranch && own === "bn" && layer.statistics === "shared";
  return new PassportLayer(map, {
    inputSize: layer.inputSize,
    norm: shared ? sharedStatistics(layer.channels, ends) : own,
    publicBranch,
    fc: hasFc(settings),
    signature,
    relu: ends,
    random,
  });
}

function plainNorms(layer: MapLayer, network: NetworkNorm): Norm[] {
  if (network === "folded") return [];
  const make = () => makeNorm(layer.norm ?? network, layer.channels, { relu: layer.relu ?? true, affine: true });
  return layer.branchNorms ? [make(), make()] : [make()];
}

/** Convolutions of images begin as the authors'; everything else as PyTorch's. */
const fanOut = (shape: Shape, random: Generator) => kaimingNormal(shape, random, { mode: "fanOut" });

function makeMap(layer: MapLayer, bias: boolean, random: Generator): LinearMap {
  const { kind, inChannels, channels, kernel, stride, padding } = layer;
  if (kind === "linear") return new Linear(inChannels, channels, { bias, random });
  const options = { bias, random, stride, padding };
  return kind === "conv1d"
    ? new Conv1d(inChannels, channels, kernel, options)
    : new Conv2d(inChannels, channels, kernel, { ...options, init: fanOut });
}
