import { optionsOf, whole } from "../demand";
import { Flatten, MaxPool2d } from "../nn/layers";
import { Linear } from "../nn/linear";
import { Module } from "../nn/module";
import { BUILT_IN } from "../passport/built-in";
import { Generator } from "../tensor/random";
import type { Tensor } from "../tensor/tensor";
import { makeBlocks, NormedMap } from "./block";
import { builtIn } from "./built-in";
import { normOf } from "./config";
import { type ConvNetConfig, checkConvNet, convNetLayers, layerSizes, POOL } from "./described/convnet";
import { checkPlain, type PlainConfig } from "./plain";

/**
 * A chain of convolutions and poolings with a linear classifier; AlexNet in the papers' CIFAR form
 * is one.
 *
 * Shape: x [N, H, W, C] → logits [N, classes]. Names in state dicts: `features.I.conv.…`,
 * `features.I.bn.…`, `classifier.weight`, `classifier.bias`.
 * @throws ArgumentError when the configuration does not hold together, or is one with passports.
 */
export class ConvNet extends Module {
  readonly features: readonly (NormedMap | MaxPool2d)[];
  readonly classifier: Linear;
  readonly #config: ConvNetConfig & { scheme: "plain" };
  readonly #flatten = new Flatten();

  constructor(config: PlainConfig<ConvNetConfig>, options?: { seed?: number }) {
    super();
    const { seed = 0 } = optionsOf("ConvNet", options, ["seed"]);
    const plain = checkPlain("ConvNet", config, checkConvNet);
    const random = new Generator(whole("ConvNet", "seed", seed, 0));
    this.#config = plain;
    const blocks = makeBlocks(convNetLayers(plain), normOf(plain), random);
    this.features = plain.layers.map((layer, i) =>
      layer === "pool" ? new MaxPool2d(POOL) : blocks.get(`features.${i}`)!,
    );
    const [h, w, c] = layerSizes(plain)[plain.layers.length]!;
    this.classifier = new Linear(h * w * c, plain.classes, { random: random.fork("classifier") });
  }

  get config(): ConvNetConfig & { scheme: "plain" } {
    return this.#config;
  }

  /** @internal */
  get [BUILT_IN]() {
    return builtIn(this.#config, convNetLayers(this.#config));
  }

  /** A pooling behind a norm is done in the norm's kernel. */
  forward(x: Tensor): Tensor {
    const { features } = this;
    let h = x;
    for (let i = 0; i < features.length; i++) {
      const [layer, next] = [features[i]!, features[i + 1]];
      if (!(layer instanceof NormedMap && next instanceof MaxPool2d)) h = layer.forward(h);
      else {
        h = layer.pooled(h, POOL);
        i++;
      }
    }
    return this.classifier.forward(this.#flatten.forward(h));
  }
}
