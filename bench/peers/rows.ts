/** What is measured: a list of plain data that every library reads. */
import type { ConvSizes } from "../mobilenet";
import { alexNet, type Block, blocksOf, CLASSES, mobileNet, type NetworkSpec, resNet18, smallNet } from "./networks";
import { type TransformerSpec, tokenMaps, visionTransformer } from "./transformer";

/** What of a convolution is computed. */
export type ConvPass = "forward" | "input gradient" | "weight gradient";

/**
 * Geometry of a convolution of square images: x [batch, size, size, in] → y
 * [batch, outSize, outSize, out].
 */
export interface Conv extends ConvSizes {
  batch: number;
  size: number;
  outSize: number;
}

/**
 * Sizes of softmax(Q · Kᵀ / √width) · V: queries, keys and values [batch, positions, heads, width].
 */
export interface Attention {
  batch: number;
  positions: number;
  heads: number;
  width: number;
}

/**
 * One thing to measure. `flop`: operations of one run, a multiply-add counting two and padding like
 * any pixel; of a training step those of convolutions, linear layers and attention alone.
 */
export type Row =
  | { kind: "matmul"; name: string; flop: number; n: number }
  | { kind: "conv"; name: string; flop: number; pass: ConvPass; conv: Conv }
  /** `gradient`: forward, and backward to queries, keys and values. */
  | { kind: "attention"; name: string; flop: number; gradient: boolean; attention: Attention }
  | { kind: "step"; name: string; flop: number; batch: number; network: NetworkSpec | TransformerSpec };

/** Sizes that the user may choose. */
export interface RowSizes {
  /** Share of the papers' channels in AlexNet, ResNet-18 and MobileNet. */
  width: number;
  /** Images a batch of AlexNet, MobileNet, the transformer and depthwise convolutions. */
  batch: number;
  /** Images a batch of ResNet-18. */
  resnetBatch: number;
}

const SMALL_BATCH = 16;

const matmulRow = (n: number): Row => ({ kind: "matmul", name: `matmul ${n}³`, flop: 2 * n ** 3, n });

const convOf = (b: Block, batch: number): Conv => ({
  batch,
  size: b.size,
  outSize: Math.floor((b.size + 2 * b.padding - b.kernel) / b.stride) + 1,
  in: b.in,
  out: b.out,
  kernel: b.kernel,
  stride: b.stride,
  padding: b.padding,
  groups: b.groups,
});

/** Operations of one pass of a convolution; all three have as many. */
export const convFlop = (c: Conv): number => 2 * c.batch * c.outSize ** 2 * c.kernel ** 2 * (c.in / c.groups) * c.out;

/**
 * Every distinct convolution of a network, all passes of each; nobody asks for the gradient towards
 * the images.
 */
function convRows(label: string, network: NetworkSpec, batch: number): Row[] {
  const seen = new Set<string>();
  return blocksOf(network).flatMap((block, index): Row[] => {
    const conv = convOf(block, batch);
    const { kernel, stride, size } = conv;
    const what = `${kernel}×${kernel} ${conv.in}→${conv.out}, ${size}×${size}${stride > 1 ? ` stride ${stride}` : ""}`;
    if (seen.has(what)) return [];
    seen.add(what);
    const passes: ConvPass[] = ["forward", ...(index > 0 ? ["input gradient" as const] : []), "weight gradient"];
    return passes.map((pass) => ({
      kind: "conv",
      name: `${label} conv ${what}, ${pass}`,
      flop: convFlop(conv),
      pass,
      conv,
    }));
  });
}

/** Channels, size and stride of depthwise 3×3 convolutions as MobileNet has them. */
const DEPTHWISE = [
  [64, 32, 1],
  [128, 16, 1],
  [128, 16, 2],
  [512, 4, 1],
] as const;

const depthwiseRows = (batch: number): Row[] =>
  DEPTHWISE.flatMap(([channels, size, stride]) => {
    const between = { in: channels, out: channels, groups: channels, outSize: size / stride };
    const conv: Conv = { batch, size, kernel: 3, stride, padding: 1, ...between };
    const what = `${channels} channels, ${size}×${size}${stride > 1 ? ` stride ${stride}` : ""}`;
    return (["forward", "input gradient", "weight gradient"] as const).map((pass) => ({
      kind: "conv",
      name: `depthwise conv 3×3, ${what}, ${pass}`,
      flop: convFlop(conv),
      pass,
      conv,
    }));
  });

/** Attention that is measured; the first is that of the transformer's blocks. */
export const ATTENTION: readonly Attention[] = [
  { batch: 16, positions: 64, heads: 4, width: 16 },
  { batch: 8, positions: 64, heads: 4, width: 32 },
  { batch: 4, positions: 128, heads: 4, width: 64 },
];

export const attentionName = ({ batch, positions, heads, width }: Attention): string =>
  `${batch}×${positions}, ${heads} heads of ${width}`;

/** Operations of Q · Kᵀ and of its product with V. */
const attentionFlop = ({ batch, positions, heads, width }: Attention): number =>
  4 * batch * heads * positions ** 2 * width;

/** A product has two gradients, each a product as large. */
const attentionRows = (): Row[] =>
  ATTENTION.flatMap((attention) =>
    [false, true].map((gradient) => ({
      kind: "attention",
      name: `attention ${attentionName(attention)}, ${gradient ? "forward and backward" : "forward"}`,
      flop: (gradient ? 3 : 1) * attentionFlop(attention),
      gradient,
      attention,
    })),
  );

/** Forward, weight gradient and, but for the first convolution, input gradient of every map. */
function stepFlop(network: NetworkSpec, batch: number): number {
  const maps = blocksOf(network).map((block, i) => (i > 0 ? 3 : 2) * convFlop(convOf(block, batch)));
  const head = 3 * 2 * batch * network.head.inputs * CLASSES;
  return maps.reduce((a, b) => a + b, head);
}

/** The same of a transformer, whose first map is that of the patches. */
function transformerFlop(spec: TransformerSpec, batch: number): number {
  const { patch, tokens, dim, heads, blocks } = spec;
  const patches = 2 * 2 * batch * tokens * patch ** 2 * 3 * dim;
  const maps = tokenMaps(spec).map(({ inputs, outputs }) => 3 * 2 * batch * tokens * inputs * outputs);
  const attention = 3 * blocks * attentionFlop({ batch, positions: tokens, heads, width: dim / heads });
  return maps.reduce((a, b) => a + b, patches + attention + 3 * 2 * batch * dim * CLASSES);
}

const stepRow = (label: string, network: NetworkSpec | TransformerSpec, batch: number): Row => ({
  kind: "step",
  name: `training step, ${label}, batch ${batch}`,
  flop: network.arch === "vit" ? transformerFlop(network, batch) : stepFlop(network, batch),
  batch,
  network,
});

/** All rows, in the order they are measured. */
export function allRows({ width, batch, resnetBatch }: RowSizes): Row[] {
  const [small, alex, resnet] = [smallNet(), alexNet(width), resNet18(width)];
  return [
    matmulRow(512),
    matmulRow(1024),
    ...convRows("AlexNet", alex, batch),
    ...convRows("ResNet-18", resnet, resnetBatch),
    ...depthwiseRows(batch),
    ...attentionRows(),
    stepRow("small CNN", small, SMALL_BATCH),
    stepRow("AlexNet", alex, batch),
    stepRow("ResNet-18", resnet, resnetBatch),
    stepRow("MobileNet", mobileNet(width), batch),
    stepRow("vision transformer", visionTransformer(), batch),
  ];
}
