import { optionsOf, unexpected } from "../demand";
import { GlobalAvgPool } from "../nn/layers";
import { Linear } from "../nn/linear";
import { Module } from "../nn/module";
import { add, relu } from "../tensor/ops/elementwise";
import { windowCount } from "../tensor/ops/windows";
import type { Block } from "./block";
import { checkSettings, type ImageNetworkSettings } from "./config";
import { type Flow, join } from "./flow";
import { checkForm, checkNames, isWhole, wholeFrom } from "./form";
import { type MapLayer, MOST_LAYERS } from "./layers";
import { Network } from "./network";
import type { Pass } from "./pass";
import { plainSettings } from "./plain";

/** Structure of a {@link ResNet}. */
export interface ResNetConfig extends ImageNetworkSettings {
  arch: "resnet";
  /** Basic blocks in each of the four stages: [2, 2, 2, 2] is ResNet-18, [1, 1, 1, 1] ResNet-9. */
  blocks: readonly number[];
  /**
   * Channels of the stem and the first stage; every further stage has twice those before it
   * (default 64).
   */
  width?: number;
}

const WIDTH = 64;

/** The convolutions in the order they run, keyed by their names. */
export function resNetLayers(config: ResNetConfig): MapLayer[] {
  const { input, blocks, width = WIDTH } = config;
  const layers: MapLayer[] = [];
  let [h, w, channels] = input;
  const conv = (
    name: string,
    [inChannels, out, kernel, stride]: readonly [number, number, number, number],
    inputSize: readonly [number, number],
  ) => {
    const padding = (kernel - 1) / 2;
    layers.push({ name, key: name, kind: "conv2d", inChannels, channels: out, kernel, stride, padding, inputSize });
  };
  conv("convbnrelu_1", [channels, width, 3, 1], [h, w]);
  channels = width;
  blocks.forEach((count, stage) => {
    const out = width * 2 ** stage;
    for (let i = 0; i < count; i++) {
      const stride = stage > 0 && i === 0 ? 2 : 1;
      const name = `layer${stage + 1}.${i}`;
      const before: readonly [number, number] = [h, w];
      [h, w] = [windowCount(h, 3, stride, 1), windowCount(w, 3, stride, 1)];
      conv(`${name}.convbnrelu_1`, [channels, out, 3, stride], before);
      conv(`${name}.convbn_2`, [out, out, 3, 1], [h, w]);
      if (stride > 1 || channels !== out) conv(`${name}.shortcut`, [channels, out, 1, stride], before);
      channels = out;
    }
  });
  return layers;
}

/**
 * @throws ArgumentError when the configuration does not hold together; it may have come out of a
 * file.
 */
export function checkResNet(config: ResNetConfig): void {
  checkForm(config, { arch: "resnet" });
  const { blocks, width = WIDTH } = config as ResNetConfig;
  if (!Array.isArray(blocks) || !blocks.length || !blocks.every((n) => isWhole(n, 1)))
    return unexpected(`blocks: ${wholeFrom(1)}, one a stage,`, blocks);
  // A block makes two layers, or three: so much is known before any of them is.
  if (2 * blocks.reduce((a, b) => a + b, 0) > MOST_LAYERS)
    unexpected(`blocks: at most ${MOST_LAYERS} layers in all`, blocks);
  if (!Number.isSafeInteger(width) || width < 1) unexpected("width: a whole number from 1", width);
  if (!isWhole(width * 2 ** (blocks.length - 1), 1))
    unexpected(`channels of the last stage, width · 2^(stages − 1): ${wholeFrom(1)}`, width * 2 ** (blocks.length - 1));
  const layers = resNetLayers(config as ResNetConfig);
  checkSettings(config, layers);
  checkNames(config, { arch: "resnet", own: ["blocks", "width"] });
}

/**
 * y = relu(convbn_2(convbnrelu_1(x)) + shortcut(x)); the shortcut is x itself where shapes agree.
 * Every convolution ends in norm and ReLU, the second and the shortcut's too: so the authors' code
 * has it, unlike the paper on residual networks.
 */
class BasicBlock extends Module {
  constructor(
    readonly name: string,
    readonly first: Block,
    readonly second: Block,
    readonly shortcut: Block | null,
  ) {
    super();
  }

  /** The authors' names. */
  override *children(): Iterable<[string, Module]> {
    yield ["convbnrelu_1", this.first];
    yield ["convbn_2", this.second];
    if (this.shortcut) yield ["shortcut", this.shortcut];
  }

  run(pass: Pass, x: Flow): Flow {
    const inner = pass.block(`${this.name}.convbnrelu_1`, this.first, x);
    const outer = pass.block(`${this.name}.convbn_2`, this.second, inner);
    const beside = this.shortcut ? pass.block(`${this.name}.shortcut`, this.shortcut, x) : x;
    return join(outer, beside, add).map(relu);
  }
}

/**
 * ResNet of basic blocks in the papers' CIFAR form, in any scheme: 3×3 stem without pooling, stages
 * of 64, 128, 256 and 512 channels, mean over positions, linear.
 *
 * Shape: x [N, H, W, C] → logits [N, classes]. Names in state dicts are the authors':
 * `convbnrelu_1`, `layerL.B.{convbnrelu_1, convbn_2, shortcut}`, `linear`.
 * Source: He et al., "Deep residual learning for image recognition", CVPR 2016.
 * @throws ArgumentError when the configuration does not hold together.
 */
export class ResNet extends Network {
  declare readonly config: ResNetConfig;
  readonly stem: Block;
  readonly stages: readonly (readonly BasicBlock[])[];
  readonly linear: Linear;
  readonly #pool = new GlobalAvgPool();

  constructor(config: ResNetConfig, options?: { seed?: number }) {
    const { seed = 0 } = optionsOf("ResNet", options, ["seed"]);
    checkResNet(config);
    super(config, resNetLayers(config), seed);
    const { blocks } = this;
    this.stem = blocks.get("convbnrelu_1")!;
    this.stages = config.blocks.map((count, stage) =>
      Array.from({ length: count }, (_, i) => {
        const name = `layer${stage + 1}.${i}`;
        const [first, second] = [blocks.get(`${name}.convbnrelu_1`)!, blocks.get(`${name}.convbn_2`)!];
        return new BasicBlock(name, first, second, blocks.get(`${name}.shortcut`) ?? null);
      }),
    );
    const channels = this.layers[this.layers.length - 1]!.channels;
    this.linear = new Linear(channels, config.classes, { random: this.random.fork("linear") });
  }

  /** The authors' names. */
  override *children(): Iterable<[string, Module]> {
    yield ["convbnrelu_1", this.stem];
    for (const block of this.stages.flat()) yield [block.name, block];
    yield ["linear", this.linear];
  }

  override plainConfig(): ResNetConfig {
    const { blocks, width } = this.config;
    return { ...plainSettings(this.config), arch: "resnet", blocks, ...(width !== undefined && { width }) };
  }

  protected override body(pass: Pass, x: Flow): Flow {
    const stem = pass.block("convbnrelu_1", this.stem, x);
    const out = this.stages.flat().reduce<Flow>((flow, block) => block.run(pass, flow), stem);
    return out.map((t) => this.linear.forward(this.#pool.forward(t)));
  }
}

/** What of a {@link ResNet18} or {@link ResNet9} can be chosen. */
export interface ResNetOptions extends Partial<Omit<ResNetConfig, "arch" | "blocks">> {
  /** Decides weights, passports and random signature bits (default 0). */
  seed?: number;
}

function ofBlocks(what: string, blocks: readonly number[], options: ResNetOptions | undefined) {
  const { seed = 0, ...chosen } = optionsOf(what, options);
  const config: ResNetConfig = {
    arch: "resnet",
    classes: 10,
    input: [32, 32, 3],
    scheme: "plain",
    ...chosen,
    blocks,
  };
  return [config, { seed }] as const;
}

/**
 * {@link ResNet} of two basic blocks per stage. By default for 10 classes of 32×32 images.
 *
 * @example
 * const model = new ResNet18({ scheme: "v1", passports: { layer4: true }, signature: "(c) ACME", seed: 1 });
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
