import { Conv1d, Conv2d } from "../nn/conv";
import { kaimingNormal } from "../nn/init";
import { Linear } from "../nn/linear";
import { Module } from "../nn/module";
import type { Norm } from "../nn/norm";
import type { LinearMap } from "../passport/linear-map";
import { add, relu } from "../tensor/ops/elementwise";
import { maxPool2d } from "../tensor/ops/pool";
import type { Generator } from "../tensor/random";
import type { Shape } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";
import type { NetworkNorm } from "./config";
import { type MapLayer, mapName } from "./layers";
import { makeNorm } from "./norms";

/**
 * map → norm → ReLU: a convolution or a fully connected layer, its norm, and a ReLU in the norm's
 * kernel where there is one.
 *
 * Names in state dicts: `conv.weight` or `linear.weight`, with `….bias` where the map has one of
 * its own or the norm is folded into it; `bn.*` whatever the norm, as the authors'.
 */
export class NormedMap extends Module {
  readonly map: LinearMap;
  /** Null where it is folded into the map. */
  readonly norm: Norm | null;
  readonly #mapName: "conv" | "linear";
  readonly #relu: boolean;

  constructor(layer: MapLayer, norm: NetworkNorm, random: Generator) {
    super();
    const { bias = false, relu: ends = true } = layer;
    this.map = makeMap(layer, bias || norm === "folded", random);
    this.norm = norm === "folded" ? null : makeNorm(layer.norm ?? norm, layer.channels, { relu: ends, affine: true });
    this.#mapName = mapName(layer);
    this.#relu = ends;
  }

  /** The authors' names. */
  override *children(): Iterable<[string, Module]> {
    yield [this.#mapName, this.map];
    if (this.norm) yield ["bn", this.norm];
  }

  /** @param between what happens between map and norm, such as dropout */
  forward(x: Tensor, between: (h: Tensor) => Tensor = (h) => h): Tensor {
    const h = between(this.map.forward(x));
    if (this.norm) return this.norm.forward(h);
    return this.#relu ? relu(h) : h;
  }

  /** y = max(· + r, 0), in the norm's kernel where there is one. */
  residual(x: Tensor, r: Tensor): Tensor {
    return this.norm ? this.norm.residual(this.map.forward(x), r) : relu(add(this.forward(x), r));
  }

  /** With the maximum of k×k windows side by side behind it, in the norm's kernel. */
  pooled(x: Tensor, k: number): Tensor {
    return this.norm ? this.norm.pooled(this.map.forward(x), k) : maxPool2d(this.forward(x), k);
  }
}

/** The blocks of a network's layers, by name. */
export const makeBlocks = (
  layers: readonly MapLayer[],
  norm: NetworkNorm,
  random: Generator,
): ReadonlyMap<string, NormedMap> => new Map(layers.map((l) => [l.name, new NormedMap(l, norm, random.fork(l.name))]));

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
