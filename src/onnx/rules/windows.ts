/** Convolutions, poolings, and images of other sizes; in ONNX all are of [N, C, H, W]. */
import type { Tensor } from "../../tensor/tensor";
import type { TracedWindows } from "../../tensor/trace";
import { channelsFirst, type Graph, type Op } from "../graph";
import type { Rule, Rules } from "./rule";

const NCHW = channelsFirst(4);
/** Weights of PyTorch and ONNX, [O, I, kH, kW], of ours, [kH, kW, I, O]. */
const OIHW = [3, 2, 0, 1];

const both = <T>(f: (a: 0 | 1) => T): readonly [T, T] => [f(0), f(1)];

/** Height and width. @throws ArgumentError where they go with the batch. */
const sides = (graph: Graph, op: Op, t: Tensor) => both((a) => graph.size(op, t, a + 1));

/** Padding on the far sides, such that there are as many windows as there are. */
function behind(input: readonly number[], output: readonly number[], w: TracedWindows): readonly [number, number] {
  return both((a) => {
    const [size, before] = [w.dilation[a] * (w.kernel[a] - 1) + 1, w.padding[a]];
    const count = (after: number) => Math.floor((input[a]! + before + after - size) / w.stride[a]) + 1;
    // The same on both sides, as people write it, where that does.
    if (count(before) === output[a]) return before;
    return Math.max(0, (output[a]! - 1) * w.stride[a] + size - input[a]! - before);
  });
}

const strides = ({ stride, dilation }: TracedWindows) => ({ strides: stride, dilations: dilation });

/** The tensor that stands one dimension longer in front of a convolution over a line. */
const unfolded = (graph: Graph, t: Tensor): Tensor | null => {
  const made = graph.makerOf(t);
  return made?.name === "reshape" && made.inputs[0]!.rank === 3 ? made.inputs[0]! : null;
};

const convolution: Rule = (graph, op) => {
  const [x, w, bias] = op.inputs as [Tensor, Tensor, Tensor | undefined];
  const windows = op.how.windows!;
  const { kernel, padding, stride, dilation, groups = 1 } = windows;
  const after = behind(sides(graph, op, x), sides(graph, op, op.out), windows);
  const shift = bias ? [graph.get(bias)] : [];
  const [line, taps] = op.name === "conv1d" ? [unfolded(graph, x), unfolded(graph, w)] : [null, null];
  if (line && taps) {
    const inputs = [graph.get(line, channelsFirst(3)), graph.get(taps, [2, 1, 0]), ...shift];
    const attributes = { kernel_shape: [kernel[1]], pads: [padding[1], after[1]], group: groups };
    const name = graph.node("Conv", inputs, { ...attributes, strides: [stride[1]], dilations: [dilation[1]] });
    // Only the reshape behind it, to a line again, asks for what it gave.
    graph.lines.set(op.out, { name, order: channelsFirst(3) });
    return;
  }
  const attributes = { kernel_shape: kernel, pads: [...padding, ...after], group: groups, ...strides(windows) };
  graph.set(op.out, graph.node("Conv", [graph.get(x, NCHW), graph.get(w, OIHW), ...shift], attributes), NCHW);
};

/** Zeros that are cut off are the same on both sides; what is missing behind is asked for. */
const transposed: Rule = (graph, op) => {
  const [x, w] = op.inputs as [Tensor, Tensor];
  const windows = op.how.windows!;
  const { kernel, padding, stride, dilation, groups = 1 } = windows;
  const [from, to] = [sides(graph, op, x), sides(graph, op, op.out)];
  const more = both((a) => to[a] - ((from[a] - 1) * stride[a] - 2 * padding[a] + dilation[a] * (kernel[a] - 1) + 1));
  const attributes = {
    ...{ kernel_shape: kernel, pads: [...padding, ...padding], output_padding: more, group: groups },
    ...strides(windows),
  };
  graph.set(op.out, graph.node("ConvTranspose", [graph.get(x, NCHW), graph.get(w, OIHW)], attributes), NCHW);
};

/** Elements around images [N, C, H, W]. */
const around = (graph: Graph, x: string, before: readonly number[], after: readonly number[], value: number) =>
  graph.node("Pad", [x, graph.integers([0, 0, ...before, 0, 0, ...after]), graph.scalar(value)], { mode: "constant" });

/**
 * The maximum of each window of images [N, C, H, W], which an operation gives of its first input.
 */
export function largestOf(graph: Graph, op: Op, x: string, windows: TracedWindows): string {
  const { kernel, padding } = windows;
  const after = behind(sides(graph, op, op.inputs[0]!), sides(graph, op, op.out), windows);
  const form = { kernel_shape: kernel, ...strides(windows) };
  // ONNX Runtime takes no padding as wide as the window.
  const isWide = [0, 1].some((a) => Math.max(padding[a]!, after[a]!) >= kernel[a]!);
  if (!isWide) return graph.node("MaxPool", [x], { ...form, pads: [...padding, ...after] });
  return graph.node("MaxPool", [around(graph, x, padding, after, -Infinity)], { ...form, pads: [0, 0, 0, 0] });
}

const maxPool: Rule = (graph, op) =>
  graph.set(op.out, largestOf(graph, op, graph.get(op.inputs[0]!, NCHW), op.how.windows!), NCHW);

const avgPool: Rule = (graph, op) => {
  const [x] = op.inputs as [Tensor];
  const windows = op.how.windows!;
  const { kernel, padding, stride, countsPadding = false } = windows;
  const [from, to] = [sides(graph, op, x), sides(graph, op, op.out)];
  const after = behind(from, to, windows);
  const images = graph.get(x, NCHW);
  const form = { kernel_shape: kernel, strides: stride };
  const isUsual = [0, 1].every((a) => after[a]! <= padding[a]! && padding[a]! < kernel[a]!);
  if (isUsual) {
    const attributes = { ...form, pads: [...padding, ...after], count_include_pad: countsPadding ? 1 : 0 };
    return graph.set(op.out, graph.node("AveragePool", [images], attributes), NCHW);
  }
  // A last window that reaches past the padding: zeros all around, and each mean by its own count.
  const counts = both((a) =>
    Array.from({ length: to[a]! }, (_, i) => {
      const start = i * stride[a] - padding[a];
      const [low, high] = countsPadding ? [-padding[a], from[a]! + padding[a]] : [0, from[a]!];
      return Math.min(start + kernel[a], high) - Math.max(start, low);
    }),
  );
  const all = kernel[0] * kernel[1];
  const factors = counts[0].flatMap((rows) => counts[1].map((columns) => all / (rows * columns)));
  const padded = around(graph, images, padding, after, 0);
  const means = graph.node("AveragePool", [padded], { ...form, pads: [0, 0, 0, 0] });
  graph.set(op.out, graph.node("Mul", [means, graph.floats(factors, [1, 1, to[0]!, to[1]!])]), NCHW);
};

const globalMax: Rule = (graph, { inputs: [x], out }) => {
  const order = graph.orderOf(x!);
  const last = x!.rank - 1;
  const axes = order.flatMap((d, i) => (d > 0 && d < last ? [i] : []));
  const rest = order.filter((d) => d === 0 || d === last).map((d) => (d === 0 ? 0 : 1));
  graph.set(out, graph.node("ReduceMax", [graph.get(x!)], { axes, keepdims: 0 }), rest);
};

/** Windows of one size where they divide the image; else means are products with matrices. */
const adaptive: Rule = (graph, op) => {
  const [x] = op.inputs as [Tensor];
  const [from, to] = [sides(graph, op, x), sides(graph, op, op.out)];
  const images = graph.get(x, NCHW);
  if (to[0] === 1 && to[1] === 1) return graph.set(op.out, graph.node("GlobalAveragePool", [images]), NCHW);
  if (both((a) => from[a] % to[a]).every((rest) => rest === 0)) {
    const kernel = both((a) => from[a] / to[a]);
    return graph.set(op.out, graph.node("AveragePool", [images], { kernel_shape: kernel, strides: kernel }), NCHW);
  }
  const rows = graph.node("MatMul", [graph.floats(means(from[0], to[0]), [to[0], from[0]]), images]);
  const columns = graph.floats(means(from[1], to[1]), [to[1], from[1]]);
  const turned = graph.node("Transpose", [columns], { perm: [1, 0] });
  graph.set(op.out, graph.node("MatMul", [rows, turned]), NCHW);
};

/** The matrix [to, from] of means over from ⌊i·from/to⌋ to below ⌈(i + 1)·from/to⌉. */
const means = (from: number, to: number): number[] =>
  Array.from(
    { length: to },
    (_, i) => [Math.floor((i * from) / to), Math.ceil(((i + 1) * from) / to)] as const,
  ).flatMap(([start, end]) => Array.from({ length: from }, (_, p) => (p >= start && p < end ? 1 / (end - start) : 0)));

const resize: Rule = (graph, op) => {
  const [x] = op.inputs as [Tensor];
  const { form, numbers } = op.how;
  const steps = numbers as readonly [number, number];
  const [from, to] = [sides(graph, op, x), sides(graph, op, op.out)];
  const images = graph.get(x, NCHW);
  if (form === "nearest") return graph.set(op.out, nearest(graph, images, from, to, steps), NCHW);
  // Sizes say how far pixels lie apart, unless a scale was given that is not their ratio.
  const isRatio = form === "corners" || both((a) => steps[a] === from[a] / to[a]).every(Boolean);
  const mode = { mode: "linear", coordinate_transformation_mode: form === "corners" ? "align_corners" : "half_pixel" };
  if (!isRatio) {
    const scales = graph.floats([1, 1, ...both((a) => 1 / steps[a])]);
    return graph.set(op.out, graph.node("Resize", [images, "", scales], mode), NCHW);
  }
  const lead = graph.node("Slice", [graph.node("Shape", [images]), ...[[0], [2], [0]].map((n) => graph.integers(n))]);
  const sizes = graph.node("Concat", [lead, graph.integers(to)], { axis: 0 });
  graph.set(op.out, graph.node("Resize", [images, "", "", sizes], mode), NCHW);
};

/** By whole factors an operator of its own; else rows and columns by their numbers. */
function nearest(
  graph: Graph,
  images: string,
  from: readonly [number, number],
  to: readonly [number, number],
  steps: readonly [number, number],
): string {
  const factors = both((a) => to[a] / from[a]);
  if (factors.every((f, a) => Number.isInteger(f) && steps[a] === 1 / f)) {
    const mode = { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" };
    return graph.node("Resize", [images, "", graph.floats([1, 1, ...factors])], mode);
  }
  return both((a) => a).reduce<string>((y, a) => {
    const step = Math.fround(steps[a]!);
    const places = Array.from({ length: to[a]! }, (_, i) => Math.min(Math.floor(Math.fround(i * step)), from[a]! - 1));
    return graph.node("Gather", [y, graph.integers(places)], { axis: a + 2 });
  }, images);
}

export const windows: Rules = {
  conv2d: convolution,
  conv1d: convolution,
  convTranspose2d: transposed,
  maxPool2d: maxPool,
  avgPool2d: avgPool,
  globalMaxPool: globalMax,
  adaptiveAvgPool2d: adaptive,
  upsample2d: resize,
};
