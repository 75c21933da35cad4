/** What moves elements: other shapes, other orders, parts, and lookups. */
import type { Tensor } from "../../tensor/tensor";
import { type Graph, natural, type Op, type Order } from "../graph";
import { type Size, sameSizes } from "../sizes";
import type { Rule, Rules } from "./rule";

/** The end of a dimension, whatever its size is. */
const END = 2 ** 31 - 1;

/** Dimensions of size 1. */
const units = (sizes: readonly Size[]): number[] => sizes.flatMap((size, d) => (size === 1 ? [d] : []));
const others = (sizes: readonly Size[]): number[] => sizes.flatMap((size, d) => (size === 1 ? [] : [d]));

const reshape: Rule = (graph, op) => {
  const [x] = op.inputs as [Tensor];
  const { out } = op;
  const [from, to] = [graph.sizes(x), graph.sizes(out)];
  const line = graph.lines.get(x);
  if (line && out.rank === 3) return graph.set(out, line.name, line.order);
  if (sameSizes(from, to)) return graph.alias(out, x);
  const [kept, wanted] = [others(from), others(to)];
  const sameButUnits = sameSizes(
    kept.map((d) => from[d]!),
    wanted.map((d) => to[d]!),
  );
  if (sameButUnits) return withUnits(graph, x, out, kept, wanted);
  const blocks = blocksOf(from, to);
  const order = graph.orderOf(x);
  const keeps = blocks.every(({ source: [first], source }) =>
    source.every((d, i) => order[order.indexOf(first!) + i] === d),
  );
  if (!keeps) return graph.set(out, reshaped(graph, op, graph.get(x, natural(x.rank)), to));
  const sorted = [...blocks].sort((a, b) => order.indexOf(a.source[0]!) - order.indexOf(b.source[0]!));
  const next = sorted.flatMap(({ target }) => target);
  graph.set(
    out,
    reshaped(
      graph,
      op,
      graph.get(x),
      next.map((d) => to[d]!),
    ),
    next,
  );
};

/** Dimensions that become others, of as many elements. */
interface Block {
  readonly source: number[];
  readonly target: number[];
}

/** The smallest blocks that a reshape is made of; in any order of them it is a reshape too. */
function blocksOf(from: readonly Size[], to: readonly Size[]): Block[] {
  const blocks: Block[] = [];
  let [s, t] = [0, 0];
  while (s < from.length || t < to.length) {
    const block: Block = { source: [], target: [] };
    const [left, right]: [Size[], Size[]] = [[], []];
    do {
      // The side that has fewer elements so far takes one more.
      const isSource = s < from.length && (t >= to.length || left.length === 0 || elements(left) < elements(right));
      if (isSource) {
        left.push(from[s]!);
        block.source.push(s++);
      } else {
        right.push(to[t]!);
        block.target.push(t++);
      }
    } while (!sameCount(left, right) && (s < from.length || t < to.length));
    const last = blocks.at(-1);
    // What has no counterpart is of size 1, and goes with what is in front of it.
    if (last && (block.source.length === 0 || block.target.length === 0)) {
      last.source.push(...block.source);
      last.target.push(...block.target);
    } else blocks.push(block);
  }
  return blocks;
}

/** An item of the batch is more than any number of elements in one. */
const elements = (sizes: readonly Size[]): number =>
  sizes.reduce<number>((n, size) => n * (typeof size === "number" ? size : 2 ** 60 * size.perItem), 1);

const sameCount = (a: readonly Size[], b: readonly Size[]): boolean =>
  a.length > 0 && b.length > 0 && elements(a) === elements(b);

/** A value with other sizes: one that goes with the batch is what the others leave. */
function reshaped(graph: Graph, op: Op, x: string, to: readonly Size[]): string {
  const free = to.filter((size) => typeof size !== "number").length;
  if (free > 1) return graph.refuse(op, `has the batch in several dimensions: export it with { batch: "fixed" }`);
  const sizes = to.map((size) => (typeof size === "number" ? size : -1));
  return graph.node("Reshape", [x, graph.integers(sizes)], sizes.includes(0) ? { allowzero: 1 } : {});
}

/** Dimensions of size 1 go and come in any order of the others. */
function withUnits(graph: Graph, x: Tensor, out: Tensor, kept: readonly number[], next: readonly number[]): void {
  const { name, order } = graph.values(x)[0]!;
  const gone = units(graph.sizes(x)).map((d) => order.indexOf(d));
  const squeezed = gone.length ? graph.node("Squeeze", [name, graph.integers(gone.sort((a, b) => a - b))]) : name;
  const rest = order.filter((d) => kept.includes(d)).map((d) => next[kept.indexOf(d)]!);
  // Each new one in front of the dimension that follows it.
  const whole = [...rest];
  for (const d of units(graph.sizes(out)).reverse()) {
    const at = whole.indexOf(d + 1);
    whole.splice(at < 0 ? whole.length : at, 0, d);
  }
  const axes = whole.flatMap((d, i) => (rest.includes(d) ? [] : [i]));
  graph.set(out, axes.length ? graph.node("Unsqueeze", [squeezed, graph.integers(axes)]) : squeezed, whole);
}

/** Nothing moves: the same value is there in another order. */
const permute: Rule = (graph, { inputs: [x], out, how: { dims } }) =>
  graph.alias(out, x!, (order) => order.map((d) => dims!.indexOf(d)));

/** The block that begins somewhere. */
const narrow: Rule = (graph, op) => {
  const [x] = op.inputs as [Tensor];
  const { out } = op;
  const { from } = op.how;
  const [sizes, order] = [graph.sizes(out), graph.orderOf(x)];
  const cut = graph.sizes(x).flatMap((size, d) => (sameSizes([size], [sizes[d]!]) ? [] : [d]));
  if (cut.length === 0) return graph.alias(out, x);
  const ends = cut.map((d) => from![d]! + graph.size(op, out, d));
  for (const d of cut) graph.size(op, x, d);
  const list = (values: readonly number[]) => graph.integers(values);
  const axes = list(cut.map((d) => order.indexOf(d)));
  graph.set(out, graph.node("Slice", [graph.get(x), list(cut.map((d) => from![d]!)), list(ends), axes]), order);
};

const pad: Rule = (graph, op) => {
  const [x] = op.inputs as [Tensor];
  const { out } = op;
  const { from, value = 0 } = op.how;
  const [before, after, order] = [graph.sizes(x), graph.sizes(out), graph.orderOf(x)];
  const behind = before.map((size, d) =>
    sameSizes([size], [after[d]!]) ? 0 : graph.size(op, out, d) - graph.size(op, x, d) - from![d]!,
  );
  const pads = [...order.map((d) => from![d]!), ...order.map((d) => behind[d]!)];
  const fill = x.dtype === "f32" ? graph.scalar(value) : graph.integers([value], []);
  graph.set(out, graph.node("Pad", [graph.get(x), graph.integers(pads), fill], { mode: "constant" }), order);
};

const concat: Rule = (graph, { inputs, out, how: { axes } }) => {
  const order = graph.common(inputs, out.rank);
  const values = inputs.map((t) => graph.get(t, order));
  graph.set(out, graph.node("Concat", values, { axis: order.indexOf(axes![0]!) }), order);
};

const flip: Rule = (graph, { inputs: [x], out, how: { axes } }) => {
  const order = graph.orderOf(x!);
  const all = (value: number) => graph.integers(axes!.map(() => value));
  const places = graph.integers(axes!.map((d) => order.indexOf(d)));
  const flipped = axes!.length
    ? graph.node("Slice", [graph.get(x!), all(-1), all(-END), places, all(-1)])
    : graph.get(x!);
  graph.set(out, flipped, order);
};

const expand: Rule = (graph, { inputs: [x], out }) => {
  const [from, to] = [graph.sizes(x!), graph.sizes(out)];
  const order: Order = x!.rank === out.rank ? graph.orderOf(x!) : natural(out.rank);
  // What stays as it is need not be named, so that sizes of the batch are, where they can be, left
  // out.
  const sizes = to.map((size, d) => (sameSizes([size], [from[d - out.rank + x!.rank] ?? -1]) ? 1 : size));
  const name = graph.aligned(graph.operand(x!), out.rank, order);
  graph.set(out, graph.node("Expand", [name, graph.shape(order.map((d) => sizes[d]!))]), order);
};

const unstack: Rule = (graph, { inputs: [x], out }) => graph.alias(out, x!);

const slice: Rule = (graph, { inputs: [x], out, how: { from } }) =>
  graph.set(out, graph.node("Gather", [graph.get(x!, natural(x!.rank)), graph.integers([from![0]!], [])], { axis: 0 }));

/** Rows by their numbers. */
const lookup: Rule = (graph, { inputs: [x], out, how: { axes, chosen } }) => {
  const [indices] = chosen as [Tensor];
  const [values, places] = [graph.get(x!, natural(x!.rank)), graph.get(indices, natural(indices.rank))];
  graph.set(out, graph.node("Gather", [values, places], { axis: axes![0]! }));
};

const oneHot: Rule = (graph, op) => {
  const [labels] = op.how.chosen as [Tensor];
  const { out } = op;
  const classes = graph.size(op, out, out.rank - 1);
  const inputs = [graph.get(labels, natural(labels.rank)), graph.integers([classes], []), graph.floats([0, 1])];
  graph.set(out, graph.node("OneHot", inputs, { axis: -1 }));
};

const argsort: Rule = (graph, op) => {
  const [x] = op.inputs as [Tensor];
  const [d] = op.how.axes as [number];
  const order = graph.orderOf(x);
  const inputs = [graph.get(x), graph.integers([graph.size(op, x, d)])];
  const largest = op.how.form === "descending" ? 1 : 0;
  const [, places] = graph.several("TopK", inputs, { axis: order.indexOf(d), largest, sorted: 1 }, 2);
  graph.set(op.out, places!, order);
};

const takeAlong: Rule = (graph, { inputs: [x], out, how: { axes, chosen } }) => {
  const order = graph.orderOf(x!);
  const inputs = [graph.get(x!), graph.get(chosen![0]!, order)];
  graph.set(out, graph.node("GatherElements", inputs, { axis: order.indexOf(axes![0]!) }), order);
};

export const movement: Rules = {
  reshape,
  permute,
  narrow,
  pad,
  concat,
  flip,
  expand,
  unstack,
  slice,
  indexSelect: lookup,
  embedding: lookup,
  oneHot,
  argsort,
  sort: takeAlong,
  topK: takeAlong,
};
