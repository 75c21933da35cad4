/** What the configuration of a `ConvNet` says, before one is built. */
import { knownKeys, unexpected } from "../../demand";
import { ArgumentError } from "../../errors";
import { isObject } from "../../io/shown";
import { windowCount } from "../../tensor/ops/windows";
import { checkSettings, type ImageNetworkSettings } from "../config";
import { checkForm, checkNames, isWhole, wholeFrom } from "../form";
import { type MapLayer, MOST_LAYERS } from "../layers";

/** A convolution of a `ConvNet` (conv → norm → ReLU), or a 2×2 max-pooling. */
export type LayerSpec = "pool" | { channels: number; kernel: number; padding?: number; stride?: number };

/** Rows and columns of a pooling's windows. */
export const POOL = 2;

/** Structure of a `ConvNet`. */
export interface ConvNetConfig extends ImageNetworkSettings {
  /** Which of the networks it is; one without is a `ConvNet`. */
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
