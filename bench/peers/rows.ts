/** What is measured: a list of plain data that every library reads. */
import { alexNet, type Block, blocksOf, CLASSES, type NetworkSpec, resNet18, smallNet } from "./networks";

/** What of a convolution is computed. */
export type ConvPass = "forward" | "input gradient" | "weight gradient";

/**
 * Geometry of a convolution of square images: x [batch, size, size, in] → y
 * [batch, outSize, outSize, out].
 */
export interface Conv {
  batch: number;
  size: number;
  outSize: number;
  in: number;
  out: number;
  kernel: number;
  stride: number;
  padding: number;
}

/**
 * One thing to measure. `flop`: operations of one run, a multiply-add counting two and padding like
 * any pixel; of a training step those of convolutions and the linear layer alone.
 */
export type Row =
  | { kind: "matmul"; name: string; flop: number; n: number }
  | { kind: "conv"; name: string; flop: number; pass: ConvPass; conv: Conv }
  | { kind: "step"; name: string; flop: number; batch: number; network: NetworkSpec };

/** Sizes that the user may choose. */
export interface RowSizes {
  /** Share of the papers' channels in AlexNet and ResNet-18. */
  width: number;
  /** Images a batch of AlexNet. */
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
});

/** Operations of one pass of a convolution; all three have as many. */
export const convFlop = (c: Conv): number => 2 * c.batch * c.outSize ** 2 * c.kernel ** 2 * c.in * c.out;

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

/** Forward, weight gradient and, but for the first convolution, input gradient of every map. */
function stepFlop(network: NetworkSpec, batch: number): number {
  const maps = blocksOf(network).map((block, i) => (i > 0 ? 3 : 2) * convFlop(convOf(block, batch)));
  const head = 3 * 2 * batch * network.head.inputs * CLASSES;
  return maps.reduce((a, b) => a + b, head);
}

const stepRow = (label: string, network: NetworkSpec, batch: number): Row => ({
  kind: "step",
  name: `training step, ${label}, batch ${batch}`,
  flop: stepFlop(network, batch),
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
    stepRow("small CNN", small, SMALL_BATCH),
    stepRow("AlexNet", alex, batch),
    stepRow("ResNet-18", resnet, resnetBatch),
  ];
}
