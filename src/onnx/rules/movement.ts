/** What moves elements: other orders, parts, and lookups. */
import type { Tensor } from "../../tensor/tensor";
import { natural, type Order } from "../graph";
import { sameSizes } from "../sizes";
import { reshape } from "./reshape";
import type { Rule, Rules } from "./rule";

/** The end of a dimension, whatever its size is. */
const END = 2 ** 31 - 1;

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
