/** Sums, means, ends of lines, and what runs along a line. */
import type { Tensor } from "../../tensor/tensor";
import { channelsFirst, type Graph, type Op, type Order } from "../graph";
import type { Rule, Rules } from "./rule";

/** Reduces a value along some of its places, which stay with size 1 or go. */
export function reduced(graph: Graph, type: string, x: string, places: readonly number[], keepdims: 0 | 1): string {
  // Of operator set 17, the sum alone has its axes as an input.
  if (type === "ReduceSum") return graph.node(type, [x, graph.integers(places)], { keepdims });
  return graph.node(type, [x], { axes: places, keepdims });
}

/**
 * @param f from the reduced tensor's value, the places of what is reduced, and whether they stay
 */
const reduction =
  (f: (graph: Graph, x: string, places: readonly number[], keepdims: 0 | 1, op: Op) => string): Rule =>
  (graph, op) => {
    const [x] = op.inputs as [Tensor];
    const { out } = op;
    const axes = op.how.axes ?? x.shape.map((_, d) => d);
    const order = graph.orderOf(x);
    const keepdims = out.rank === x.rank ? 1 : 0;
    const places = axes.map((d) => order.indexOf(d)).sort((a, b) => a - b);
    graph.set(out, f(graph, graph.get(x), places, keepdims, op), keepdims ? order : left(order, axes));
  };

/** The order of what is left. */
function left(order: Order, axes: readonly number[]): Order {
  const rest = order.filter((d) => !axes.includes(d));
  const sorted = [...rest].sort((a, b) => a - b);
  return rest.map((d) => sorted.indexOf(d));
}

const simple = (type: string): Rule =>
  reduction((graph, x, places, keepdims) => (places.length ? reduced(graph, type, x, places, keepdims) : x));

/**
 * The mean over all pixels is an operator of its own: `globalAvgPool` lays them in a row and takes
 * their mean.
 */
const mean: Rule = (graph, op) => {
  const [row] = op.inputs as [Tensor];
  const made = graph.makerOf(row);
  const [x] = made?.name === "reshape" ? made.inputs : [];
  const isRow = x?.rank === 4 && row.rank === 3 && x.shape[0] === row.shape[0] && x.shape[3] === row.shape[2];
  if (!(x && isRow && op.how.axes?.join() === "1" && op.out.rank === 2)) return simple("ReduceMean")(graph, op);
  const pooled = graph.node("GlobalAveragePool", [graph.get(x, channelsFirst(4))]);
  graph.set(op.out, graph.node("Flatten", [pooled], { axis: 1 }));
};

const variance = reduction((graph, x, places, keepdims, op) => {
  const [correction] = op.how.numbers ?? [];
  if (correction === undefined) return graph.refuse(op, "is of too few elements to have a value");
  const centred = graph.node("Sub", [x, reduced(graph, "ReduceMean", x, places, 1)]);
  const squares = graph.node("Mul", [centred, centred]);
  if (correction === 0) return reduced(graph, "ReduceMean", squares, places, keepdims);
  const count = op.how.axes!.reduce((n, d) => n * graph.size(op, op.inputs[0]!, d), 1);
  return graph.node("Div", [reduced(graph, "ReduceSum", squares, places, keepdims), graph.scalar(count - correction)]);
});

const along =
  (f: (graph: Graph, x: string, place: number, op: Op) => string): Rule =>
  (graph, op) => {
    const [x] = op.inputs as [Tensor];
    const order = graph.orderOf(x);
    graph.set(op.out, f(graph, graph.get(x), order.indexOf(op.how.axes![0]!), op), order);
  };

const argmax = reduction((graph, x, [axis = 0], keepdims) => graph.node("ArgMax", [x], { axis, keepdims }));

export const reductions: Rules = {
  sum: simple("ReduceSum"),
  mean,
  amax: simple("ReduceMax"),
  amin: simple("ReduceMin"),
  sumSquares: reduction((graph, x, places, keepdims) =>
    places.length ? reduced(graph, "ReduceSumSquare", x, places, keepdims) : graph.node("Mul", [x, x]),
  ),
  norm2: reduction((graph, x, places) =>
    places.length ? reduced(graph, "ReduceL2", x, places, 0) : graph.node("Abs", [x]),
  ),
  variance,
  argmax,
  softmax: along((graph, x, axis) => graph.node("Softmax", [x], { axis })),
  logSoftmax: along((graph, x, axis) => graph.node("LogSoftmax", [x], { axis })),
  cumsum: along((graph, x, axis) => graph.node("CumSum", [x, graph.integers([axis], [])])),
};
