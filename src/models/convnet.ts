import { knownKeys, optionsOf, unexpected } from "../demand";
import { ArgumentError } from "../errors";
import { isObject } from "../io/shown";
import { Flatten, MaxPool2d } from "../nn/layers";
import { Linear } from "../nn/linear";
import { windowCount } from "../tensor/ops/windows";
import type { Block } from "./block";
import { checkSettings, type ImageNetworkSettings } from "./config";
import type { Flow } from "./flow";
import { checkForm, checkNames, isWhole, wholeFrom } from "./form";
import { type MapLayer, MOST_LAYERS } from "./layers";
import { Network } from "./network";
import type { Pass } from "./pass";
import { plainSettings } from "./plain";

/** A convolution of a {@link ConvNet} (conv → norm → ReLU), or a 2×2 max-pooling. */
export type LayerSpec = "pool" | { channels: number; kernel: number; padding?: number; stride?: number };

/** Rows and columns of a pooling's windows. */
const POOL = 2;

/** Structure of a {@link ConvNet}. */
export interface ConvNetConfig extends ImageNetworkSettings {
  arch?: "convnet";
  layers: readonly LayerSpec[];
}

/**
 * Output sizes [H, W, C] of every layer, its input's first.
 * @throws ArgumentError when an image shrinks to nothing.
 */
export function layerSizes({ input, layers }: ConvNetConfig): [number, number, number][] {
  const sizes: [number, number, number][] = [[...input]];
  layers.forEach((layer, i) => {
    const [h, w, c] = sizes[i]!;
    const size = (n: number) =>
      layer === "pool" ? Math.floor(n / POOL) : windowCount(n, layer.kernel, layer.stride ?? 1, layer.padding ?? 0);
    const next: [number, number, number] = [size(h), size(w), layer === "pool" ? c : layer.channels];
    if (next[0] < 1 || next[1] < 1)
      throw new ArgumentError(`layer ${i} leaves nothing of a ${h}×${w} image: drop a pooling, or use larger images`);
    sizes.push(next);
  });
  return sizes;
}

/** The convolutions, keyed by their index. */
export function convNetLayers(config: ConvNetConfig): MapLayer[] {
  const sizes = layerSizes(config);
  return config.layers.flatMap((layer, i) => {
    if (layer === "pool") return [];
    const [h, w, inChannels] = sizes[i]!;
    const { channels, kernel, stride = 1, padding = 0 } = layer;
    const place = { name: `features.${i}`, key: String(i), inputSize: [h, w] as const };
    return [{ ...place, kind: "conv2d", inChannels, channels, kernel, stride, padding }];
  });
}

/**
 * @throws ArgumentError when the configuration does not hold together; it may have come out of a
 * file.
 */
export function checkConvNet(config: ConvNetConfig): void {
  checkForm(config, { arch: "convnet" });
  const { layers } = config as ConvNetConfig;
  if (!Array.isArray(layers) || layers.length > MOST_LAYERS)
    return unexpected(`layers: a list of at most ${MOST_LAYERS}`, Array.isArray(layers) ? layers.length : layers);
  layers.forEach((layer: unknown, i) => {
    if (layer === "pool") return;
    if (!isObject(layer)) return unexpected(`layer ${i}: "pool" or { channels, kernel, padding?, stride? }`, layer);
    knownKeys(`layer ${i}`, layer, ["channels", "kernel", "padding", "stride"]);
    const { channels, kernel, padding = 0, stride = 1 } = layer;
    const whole = [channels, kernel, stride].every((n) => isWhole(n, 1)) && isWhole(padding, 0);
    if (!whole) unexpected(`layer ${i}: ${wholeFrom(1)} (channels, kernel and stride from 1, padding from 0)`, layer);
  });
  if (layers.every((l) => l === "pool")) unexpected("layers: one convolution or more", layers);
  checkSettings(config, convNetLayers(config as ConvNetConfig));
  checkNames(config, { arch: "convnet", own: ["layers"] });
}

/**
 * A chain of convolutions and poolings with a linear classifier, in any scheme; AlexNet in the
 * papers' CIFAR form is one.
 *
 * Shape: x [N, H, W, C] → logits [N, classes]. Names in state dicts: `features.I.…`,
 * `classifier.weight`, `classifier.bias`.
 * @throws ArgumentError when the configuration does not hold together.
 */
export class ConvNet extends Network {
  declare readonly config: ConvNetConfig;
  readonly features: readonly (Block | MaxPool2d)[];
  readonly classifier: Linear;
  readonly #flatten = new Flatten();

  constructor(config: ConvNetConfig, options?: { seed?: number }) {
    const { seed = 0 } = optionsOf("ConvNet", options, ["seed"]);
    checkConvNet(config);
    super(config, convNetLayers(config), seed);
    this.features = config.layers.map((layer, i) =>
      layer === "pool" ? new MaxPool2d(POOL) : this.blocks.get(`features.${i}`)!,
    );
    const [h, w, c] = layerSizes(config)[config.layers.length]!;
    this.classifier = new Linear(h * w * c, config.classes, { random: this.random.fork("classifier") });
  }

  override plainConfig(): ConvNetConfig {
    return { ...plainSettings(this.config), layers: this.config.layers };
  }

  protected override body(pass: Pass, x: Flow): Flow {
    const features = this.features.reduce<Flow>(
      (flow, f, i) => (f instanceof MaxPool2d ? flow.maxPool(POOL) : pass.block(`features.${i}`, f, flow)),
      x,
    );
    return features.map((t) => this.classifier.forward(this.#flatten.forward(t)));
  }
}
