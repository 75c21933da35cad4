/**
 * The convolutional networks whose training step is measured, as data: each library builds them
 * from this description, ours with the package's own models and layers, whose parameters carry the
 * same names.
 */
import { convNetLayers } from "../../src/models/described/convnet";
import { resNetLayers } from "../../src/models/described/resnet";
import { type MapLayer, weightName } from "../../src/models/layers";
import { type ConvSizes, mobileConvs } from "../mobilenet";
import { sizeOf } from "./inputs";

/**
 * Convolution without bias → batch norm → ReLU; names of its weight [k, k, in/groups, out], γ and β
 * [out].
 */
export interface Block extends ConvSizes {
  weight: string;
  gamma: string;
  beta: string;
  /** Height and width of its input. */
  size: number;
}

/**
 * What comes one after the other: a block, a 2×2 max-pooling, or relu(second(first(x)) +
 * shortcut(x)), the shortcut x itself where it is null.
 */
export type Part =
  | { kind: "block"; block: Block }
  | { kind: "pool" }
  | { kind: "residual"; first: Block; second: Block; shortcut: Block | null };

/**
 * A network of 32×32 RGB images in ten classes: parts, then positions gathered, then a linear
 * layer.
 */
export interface NetworkSpec {
  arch: "small" | "mobilenet" | "alexnet" | "resnet18";
  /** Share of the papers' channels. */
  width: number;
  parts: Part[];
  /**
   * Before the linear layer: the mean over positions, or all of them in the order channel, row,
   * column; with the shape [H, W, C] they have.
   */
  gather: { kind: "mean" | "flatten"; shape: readonly [number, number, number] };
  /** Linear layer y = x · W + b: names of W [inputs, classes] and b. */
  head: { weight: string; bias: string; inputs: number };
}

export const CLASSES = 10;
const INPUT = [32, 32, 3] as const;
const PLAIN = { classes: CLASSES, input: INPUT, scheme: "plain" } as const;

/** Images in, in the middle and out of a training step. */
export const INPUT_SHAPE = (batch: number): [number, number, number, number] => [batch, ...INPUT];

/** Labels of a batch: the classes in turn. */
export const labelsOf = (batch: number): Int32Array => Int32Array.from({ length: batch }, (_, i) => i % CLASSES);

/**
 * Learning rate and momentum of every training step: at a rate of 0.01 rounding alone decides on
 * MobileNet's third loss, and nothing could be compared.
 */
export const SGD_SETTINGS = { lr: 0.002, momentum: 0.9 } as const;

const blockOf = (layer: MapLayer): Block => ({
  weight: weightName(layer),
  gamma: `${layer.name}.bn.weight`,
  beta: `${layer.name}.bn.bias`,
  in: layer.inChannels,
  out: layer.channels,
  kernel: layer.kernel,
  stride: layer.stride,
  padding: layer.padding,
  groups: 1,
  size: layer.inputSize[0]!,
});

/** What a block of a plain sequence is, but for its names; and whether a max-pooling follows. */
type Layer = Omit<Block, "weight" | "gamma" | "beta"> & { pool: boolean };

/**
 * Blocks and the mean over positions, as a `Sequential` numbers its layers, poolings among them.
 */
function sequence(arch: NetworkSpec["arch"], width: number, layers: readonly Layer[]): NetworkSpec {
  let next = 0;
  const parts = layers.flatMap(({ pool, ...layer }): Part[] => {
    const [conv, norm] = [next++, next++];
    const block = { weight: `${conv}.weight`, gamma: `${norm}.weight`, beta: `${norm}.bias`, ...layer };
    if (!pool) return [{ kind: "block", block }];
    next++;
    return [{ kind: "block", block }, { kind: "pool" }];
  });
  const { size, stride, out } = layers[layers.length - 1]!;
  // Behind the mean.
  const linear = next + 1;
  const head = { weight: `${linear}.weight`, bias: `${linear}.bias`, inputs: out };
  return { arch, width, parts, gather: { kind: "mean", shape: [size / stride, size / stride, out] }, head };
}

/**
 * Three convolutions of 32, 64 and 128 channels with batch norm, a max-pooling behind the first
 * two.
 */
export function smallNet(): NetworkSpec {
  const channels = [3, 32, 64, 128];
  const same = { kernel: 3, stride: 1, padding: 1, groups: 1 };
  return sequence(
    "small",
    1,
    [32, 16, 8].map((size, i) => ({ in: channels[i]!, out: channels[i + 1]!, ...same, size, pool: i < 2 })),
  );
}

/** MobileNet in its CIFAR form, `width` times the channels. */
export function mobileNet(width: number): NetworkSpec {
  let size: number = INPUT[0];
  const layers = mobileConvs(width).map((conv): Layer => {
    const layer = { ...conv, size, pool: false };
    size /= conv.stride;
    return layer;
  });
  return sequence("mobilenet", width, layers);
}

/** AlexNet in the papers' CIFAR form, `width` times the channels. */
export function alexNet(width: number): NetworkSpec {
  const conv = (channels: number, kernel: number) => {
    return { channels: Math.round(channels * width), kernel, padding: (kernel - 1) / 2 };
  };
  const tail = [conv(384, 3), conv(256, 3), conv(256, 3)];
  const layers = [conv(64, 5), "pool", conv(192, 5), "pool", ...tail, "pool"] as const;
  const blocks = convNetLayers({ ...PLAIN, layers }).map(blockOf);
  const parts = layers.map(
    (layer): Part => (layer === "pool" ? { kind: "pool" } : { kind: "block", block: blocks.shift()! }),
  );
  const shape = [4, 4, tail[2]!.channels] as const;
  const head = { weight: "classifier.weight", bias: "classifier.bias", inputs: sizeOf(shape) };
  return { arch: "alexnet", width, parts, gather: { kind: "flatten", shape }, head };
}

/** ResNet-18 in the papers' CIFAR form, `width` times the channels. */
export function resNet18(width: number): NetworkSpec {
  const layers = resNetLayers({ ...PLAIN, arch: "resnet", blocks: [2, 2, 2, 2], width: Math.round(64 * width) });
  const byName = new Map(layers.map((layer) => [layer.name, blockOf(layer)]));
  const [stem, ...others] = layers;
  const residuals = [...new Set(others.map(({ name }) => name.slice(0, name.lastIndexOf("."))))];
  const parts: Part[] = [{ kind: "block", block: byName.get(stem!.name)! }];
  for (const name of residuals) {
    const [first, second] = [byName.get(`${name}.convbnrelu_1`)!, byName.get(`${name}.convbn_2`)!];
    parts.push({ kind: "residual", first, second, shortcut: byName.get(`${name}.shortcut`) ?? null });
  }
  const channels = layers[layers.length - 1]!.channels;
  const head = { weight: "linear.weight", bias: "linear.bias", inputs: channels };
  return { arch: "resnet18", width, parts, gather: { kind: "mean", shape: [4, 4, channels] }, head };
}

/** The blocks in the order they run. */
export const blocksOf = ({ parts }: NetworkSpec): Block[] =>
  parts.flatMap((part) => {
    if (part.kind === "pool") return [];
    if (part.kind === "block") return [part.block];
    return [part.first, part.second, ...(part.shortcut ? [part.shortcut] : [])];
  });
