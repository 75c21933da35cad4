import type { ConvNetConfig, LayerSpec } from "./config";
import { ConvNet } from "./convnet";

const conv = (channels: number, kernel: number): LayerSpec => ({ channels, kernel, padding: (kernel - 1) / 2 });

/** Layers 0, 2, 4, 5 and 6 are convolutions. */
const LAYERS: readonly LayerSpec[] = [
  conv(64, 5),
  "pool",
  conv(192, 5),
  "pool",
  conv(384, 3),
  conv(256, 3),
  conv(256, 3),
  "pool",
];

/** What of an {@link AlexNet} can be chosen. */
export interface AlexNetOptions {
  /** Default 10. */
  classes?: number;
  scheme?: ConvNetConfig["scheme"];
  /** Layer → `true` or a signature text, for example `{ 4: true, 5: true, 6: "(c) ACME" }`. */
  passports?: ConvNetConfig["passports"];
  /** Decides weights, passports and random signature bits (default 0). */
  seed?: number;
}

/**
 * AlexNet in the papers' CIFAR form: conv 64@5 · pool · 192@5 · pool · 384@3 · 256@3 · 256@3 · pool · linear, norm and ReLU after each convolution.
 *
 * Shape: x [N, 32, 32, 3] → logits [N, classes]. State-dict names are the authors' own, so a checkpoint converted from their code loads as it is.
 *
 * @example
 * const model = new AlexNet({ scheme: "pan", passports: { 4: true, 5: true, 6: "(c) ACME" }, seed: 1 });
 */
export class AlexNet extends ConvNet {
  constructor({ classes = 10, scheme = "plain", passports = {}, seed = 0 }: AlexNetOptions = {}) {
    super({ classes, input: [32, 32, 3], layers: LAYERS, scheme, passports }, { seed });
  }
}
