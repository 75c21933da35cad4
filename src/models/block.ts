import { Conv2d } from "../nn/conv";
import { kaimingNormal } from "../nn/init";
import { Module, parameter } from "../nn/module";
import { type Affine, BatchNorm, type BatchNormCall } from "../nn/norm";
import { type StatelessNorm, statelessNorm } from "../passport/norm";
import { PassportConv2d } from "../passport/passport-aware";
import { PassportOnlyConv2d } from "../passport/passport-only";
import { relu } from "../tensor/ops/elementwise";
import type { Generator } from "../tensor/random";
import type { Shape } from "../tensor/shape";
import { Tensor } from "../tensor/tensor";
import { type ConvLayer, type NetworkNorm, type NetworkSettings, normOf } from "./config";

/** A norm without running statistics, its affine map and a ReLU: relu(γ ⊙ norm(h) + β), γ and β learned. Names in state dicts: `weight`, `bias`. */
export class AffineNorm extends Module {
  readonly weight: Tensor;
  readonly bias: Tensor;

  constructor(
    readonly norm: StatelessNorm,
    channels: number,
  ) {
    super();
    this.weight = parameter(Tensor.full([channels], 1));
    this.bias = parameter(Tensor.full([channels], 0));
  }

  forward(h: Tensor, { gamma = this.weight, beta = this.bias }: Affine = {}): Tensor {
    return statelessNorm(this.norm, h, { gamma, beta }, true);
  }
}

/**
 * conv → norm → ReLU, without a passport. Names in state dicts: `conv.weight`, `bn.*` whatever the norm, as the authors';
 * `conv.weight` and `conv.bias` where the norm is folded into the convolution.
 */
export class ConvBlock extends Module {
  readonly conv: Conv2d;
  readonly bn: BatchNorm | AffineNorm | null;

  constructor(layer: ConvLayer, norm: NetworkNorm, random: Generator) {
    super();
    const { inChannels, channels, kernel, stride, padding } = layer;
    const init = (shape: Shape, source: Generator) => kaimingNormal(shape, source, { mode: "fanOut" });
    this.conv = new Conv2d(inChannels, channels, kernel, { stride, padding, random, bias: norm === "folded", init });
    if (norm === "folded") this.bn = null;
    else if (norm === "bn" || norm === "sbn") this.bn = new BatchNorm(channels, { relu: true });
    else this.bn = new AffineNorm(norm, channels);
  }

  /**
   * @param call γ and β in the place of the learned ones, and how many times a training pass moves the running statistics, where there are some
   * (default once).
   */
  forward(x: Tensor, { updates, ...affine }: BatchNormCall = {}): Tensor {
    const h = this.conv.forward(x);
    if (this.bn instanceof BatchNorm) return this.bn.forward(h, { updates, ...affine });
    return this.bn ? this.bn.forward(h, affine) : relu(h);
  }
}

/** A convolution of a network: plain, with two branches, or one that works with its passports only. */
export type Block = ConvBlock | PassportConv2d | PassportOnlyConv2d;

/** @param signature bytes of text in the signature, or undefined for a layer without a passport. */
export function makeBlock(
  layer: ConvLayer,
  settings: NetworkSettings,
  signature: Uint8Array | undefined,
  random: Generator,
): Block {
  const norm = normOf(settings);
  if (signature === undefined) return new ConvBlock(layer, norm, random);
  const { inChannels, channels, kernel, stride, padding, inputSize } = layer;
  if (norm === "folded") throw new Error("passport layers keep their norm");
  const options = { stride, padding, inputSize, signature, random };
  if (settings.scheme !== "v1") {
    const fc = settings.scheme === "pan" && (settings.fc ?? true);
    return new PassportConv2d(inChannels, channels, kernel, { ...options, norm, fc });
  }
  if (norm === "sbn") throw new Error("a network of one branch shares nothing");
  return new PassportOnlyConv2d(inChannels, channels, kernel, { ...options, norm });
}
