import { optionsOf, within } from "../demand";
import { ConvNet } from "./convnet";
import type { ConvNetConfig, LayerSpec } from "./described/convnet";
import { OF_PASSPORTS, type PlainConfig } from "./plain";

const conv = (channels: number, kernel: number): LayerSpec => ({ channels, kernel, padding: (kernel - 1) / 2 });

/** Channels of the convolutions, at layers 0, 2, 4, 5 and 6. */
const CHANNELS = [64, 192, 384, 256, 256] as const;

/** Names of what of an {@link AlexNet} can be chosen. */
const CHOICES = ["width", "classes", "norm", "scheme"] as const;

/** What of an {@link AlexNet} can be chosen. */
export interface AlexNetOptions extends Partial<Omit<PlainConfig<ConvNetConfig>, "arch" | "layers" | "input">> {
  /**
   * Multiplies the channels of every convolution (default 1): 0.25 is a network for small machines.
   */
  width?: number;
  /** Decides the initial weights (default 0, so that two networks without it begin alike). */
  seed?: number;
}

/**
 * AlexNet in the papers' CIFAR form: conv 64@5 · pool · 192@5 · pool · 384@3 · 256@3 · 256@3 ·
 * pool · linear, norm and ReLU after each convolution; convolutions are layers 0, 2, 4, 5 and 6.
 *
 * Shape: x [N, 32, 32, 3] → logits [N, classes] (10 by default). State-dict names are the authors'
 * own, so a checkpoint converted from their code loads as it is.
 *
 * @example
 * const owned = protect(new AlexNet({ width: 0.25, seed: 1 }), {
 *   scheme: "pan", at: ["features.4", "features.5", "features.6"], signature: "(c) ACME", sample: [1, 32, 32, 3],
 * });
 */
export class AlexNet extends ConvNet {
  constructor(options?: AlexNetOptions) {
    const { seed = 0, ...chosen } = optionsOf("AlexNet", options, [...CHOICES, "seed"]);
    super(alexNetConfig(chosen) as PlainConfig<ConvNetConfig>, { seed });
  }
}

/** Options of {@link alexNetConfig}. */
export interface AlexNetSettings extends Partial<Omit<ConvNetConfig, "arch" | "layers" | "input">> {
  /** As {@link AlexNetOptions}. */
  width?: number;
}

/**
 * The configuration of an {@link AlexNet}, for `buildNetwork`: with passports too.
 * @throws ArgumentError for a width that is none, and other options.
 */
export function alexNetConfig(options?: AlexNetSettings): ConvNetConfig {
  const { width = 1, ...settings } = optionsOf("alexNetConfig", options, [...CHOICES, ...OF_PASSPORTS]);
  within("AlexNet", "width", width, 0);
  const [a, b, c, d, e] = CHANNELS.map((n) => Math.round(n * width)) as [number, number, number, number, number];
  const layers = [conv(a, 5), "pool", conv(b, 5), "pool", conv(c, 3), conv(d, 3), conv(e, 3), "pool"] as const;
  return { classes: 10, input: [32, 32, 3], scheme: "plain", ...settings, layers };
}
