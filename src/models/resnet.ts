import { optionsOf, refuse, whole } from "../demand";
import { GlobalAvgPool } from "../nn/layers";
import { Linear } from "../nn/linear";
import { Module } from "../nn/module";
import { BUILT_IN } from "../passport/built-in";
import { Generator } from "../tensor/random";
import type { Tensor } from "../tensor/tensor";
import { makeBlocks, type NormedMap } from "./block";
import { builtIn } from "./built-in";
import { normOf } from "./config";
import { checkResNet, type ResNetConfig, resNetLayers } from "./described/resnet";
import { checkPlain, OF_PASSPORTS, type PlainConfig } from "./plain";

/**
 * y = relu(convbn_2(convbnrelu_1(x)) + shortcut(x)); the shortcut is x itself where shapes agree.
 * Every convolution ends in norm and ReLU, the second and the shortcut's too: so the authors' code
 * has it, unlike the paper on residual networks.
 */
export class BasicBlock extends Module {
  constructor(
    readonly first: NormedMap,
    readonly second: NormedMap,
    readonly shortcut: NormedMap | null,
  ) {
    super();
  }

  /** The authors' names. */
  override *children(): Iterable<[string, Module]> {
    yield ["convbnrelu_1", this.first];
    yield ["convbn_2", this.second];
    if (this.shortcut) yield ["shortcut", this.shortcut];
  }

  forward(x: Tensor): Tensor {
    return this.second.residual(this.first.forward(x), this.shortcut ? this.shortcut.forward(x) : x);
  }
}

/**
 * ResNet of basic blocks in the papers' CIFAR form: 3×3 stem without pooling, stages of 64, 128,
 * 256 and 512 channels, mean over positions, linear.
 *
 * Shape: x [N, H, W, C] → logits [N, classes]. Names in state dicts are the authors':
 * `convbnrelu_1`, `layerL.B.{convbnrelu_1, convbn_2, shortcut}`, `linear`.
 * Source: He et al., "Deep residual learning for image recognition", CVPR 2016.
 * @throws ArgumentError when the configuration does not hold together, or is one with passports.
 */
export class ResNet extends Module {
  readonly stem: NormedMap;
  readonly stages: readonly (readonly BasicBlock[])[];
  readonly linear: Linear;
  readonly #config: ResNetConfig & { scheme: "plain" };
  readonly #pool = new GlobalAvgPool();

  constructor(config: PlainConfig<ResNetConfig>, options?: { seed?: number }) {
    super();
    const { seed = 0 } = optionsOf("ResNet", options, ["seed"]);
    const plain = checkPlain("ResNet", config, checkResNet);
    const random = new Generator(whole("ResNet", "seed", seed, 0));
    this.#config = plain;
    const layers = resNetLayers(plain);
    const blocks = makeBlocks(layers, normOf(plain), random);
    this.stem = blocks.get("convbnrelu_1")!;
    this.stages = plain.blocks.map((count, stage) =>
      Array.from({ length: count }, (_, i) => {
        const at = (part: string) => blocks.get(`layer${stage + 1}.${i}.${part}`);
        return new BasicBlock(at("convbnrelu_1")!, at("convbn_2")!, at("shortcut") ?? null);
      }),
    );
    this.linear = new Linear(layers.at(-1)!.channels, plain.classes, { random: random.fork("linear") });
  }

  get config(): ResNetConfig & { scheme: "plain" } {
    return this.#config;
  }

  /** @internal */
  get [BUILT_IN]() {
    return builtIn(this.#config, resNetLayers(this.#config));
  }

  /** The authors' names. */
  override *children(): Iterable<[string, Module]> {
    yield ["convbnrelu_1", this.stem];
    for (const [s, stage] of this.stages.entries())
      for (const [b, block] of stage.entries()) yield [`layer${s + 1}.${b}`, block];
    yield ["linear", this.linear];
  }

  forward(x: Tensor): Tensor {
    const out = this.stages.flat().reduce((h, block) => block.forward(h), this.stem.forward(x));
    return this.linear.forward(this.#pool.forward(out));
  }
}

/** Names of what of a {@link ResNet18} or {@link ResNet9} can be chosen. */
const CHOICES = ["classes", "input", "width", "norm", "scheme"] as const;

/** What of a {@link ResNet18} or {@link ResNet9} can be chosen. */
export interface ResNetOptions extends Partial<Omit<PlainConfig<ResNetConfig>, "arch" | "blocks">> {
  /** Decides the initial weights (default 0, so that two networks without it begin alike). */
  seed?: number;
}

/**
 * The configuration of a {@link ResNet} of so many blocks per stage, for 10 classes of 32×32 images
 * by default, for `buildNetwork`: with passports too.
 * @throws ArgumentError for other options.
 */
export function resNetConfig(
  blocks: readonly number[],
  options?: Partial<Omit<ResNetConfig, "arch" | "blocks">>,
): ResNetConfig {
  if (!Array.isArray(blocks)) refuse("resNetConfig", "blocks", "a list of whole numbers", blocks);
  const chosen = optionsOf("resNetConfig", options, [...CHOICES, ...OF_PASSPORTS]);
  return { arch: "resnet", classes: 10, input: [32, 32, 3], scheme: "plain", ...chosen, blocks };
}

function ofBlocks(what: string, blocks: readonly number[], options: ResNetOptions | undefined) {
  const { seed = 0, ...chosen } = optionsOf(what, options, [...CHOICES, "seed"]);
  return [resNetConfig(blocks, chosen) as PlainConfig<ResNetConfig>, { seed }] as const;
}

/**
 * {@link ResNet} of two basic blocks per stage. By default for 10 classes of 32×32 images.
 *
 * @example
 * const owned = protect(new ResNet18({ seed: 1 }), { scheme: "v1", at: "layer4", signature: "(c) ACME", sample: [1, 32, 32, 3] });
 */
export class ResNet18 extends ResNet {
  constructor(options?: ResNetOptions) {
    super(...ofBlocks("ResNet18", [2, 2, 2, 2], options));
  }
}

/** {@link ResNet} of one basic block per stage. */
export class ResNet9 extends ResNet {
  constructor(options?: ResNetOptions) {
    super(...ofBlocks("ResNet9", [1, 1, 1, 1], options));
  }
}
