/** Functions of one element, and of two that broadcast. */
import type { Tensor } from "../../tensor/tensor";
import { type Graph, natural, type Op } from "../graph";
import type { Attribute } from "../model";
import type { Rule, Rules } from "./rule";

/** A function of one element: from the name of its value. */
const unary =
  (f: (graph: Graph, x: string, numbers: readonly number[], op: Op) => string): Rule =>
  (graph, op) => {
    const [x] = op.inputs as [Tensor];
    graph.set(op.out, f(graph, graph.get(x), op.how.numbers ?? [], op), graph.orderOf(x));
  };

const single = (type: string, attributes?: Readonly<Record<string, Attribute>>): Rule =>
  unary((graph, x) => graph.node(type, [x], attributes));

/** a·x + b; −0 is no summand, and 1 no factor. */
const line = unary((graph, x, [a = 1, b = -0]) => {
  const scaled = a === 1 ? x : a === -1 ? graph.node("Neg", [x]) : graph.node("Mul", [x, graph.scalar(a)]);
  if (Object.is(b, -0)) return scaled;
  return graph.node("Add", [scaled, graph.scalar(b)]);
});

/** f(a, b), broadcasting. */
const binary =
  (type: string, end: (graph: Graph, y: string) => string = (_, y) => y): Rule =>
  (graph, { inputs, out }) => {
    const order = graph.common(inputs, out.rank);
    const [a, b] = inputs.map((t) => graph.aligned(graph.operand(t), out.rank, order)) as [string, string];
    graph.set(out, end(graph, graph.node(type, [a, b])), order);
  };

/** One of two, by how many operands the operation has. */
const either =
  (one: Rule, two: Rule): Rule =>
  (graph, op) =>
    (op.inputs.length === 1 ? one : two)(graph, op);

const COMPARISONS: Readonly<Record<string, string>> = {
  equal: "Equal",
  greater: "Greater",
  greaterEqual: "GreaterOrEqual",
  less: "Less",
  lessEqual: "LessOrEqual",
};

/** Element type float in a `Cast`. */
const FLOAT = 1;
const BOOL = 9;

const compare: Rule = (graph, op) =>
  binary(COMPARISONS[op.how.form!]!, (g, y) => g.node("Cast", [y], { to: FLOAT }))(graph, op);

const where: Rule = (graph, { inputs, out, how: { chosen } }) => {
  const all = [chosen![0]!, ...inputs];
  const order = graph.common(all, out.rank);
  const [c, a, b] = all.map((t) => graph.get(t, order)) as [string, string, string];
  graph.set(out, graph.node("Where", [graph.node("Cast", [c], { to: BOOL }), a, b]), order);
};

/** ½ x (1 + t) for t as a function of x. */
const half = (graph: Graph, x: string, t: string): string =>
  graph.node("Mul", [graph.node("Mul", [x, graph.scalar(0.5)]), graph.node("Add", [t, graph.scalar(1)])]);

const gelu = unary((graph, x) =>
  half(graph, x, graph.node("Erf", [graph.node("Mul", [x, graph.scalar(Math.SQRT1_2)])])),
);

const geluTanh = unary((graph, x) => {
  const cube = graph.node("Mul", [graph.node("Mul", [x, x]), x]);
  const inner = graph.node("Add", [x, graph.node("Mul", [cube, graph.scalar(0.044715)])]);
  return half(graph, x, graph.node("Tanh", [graph.node("Mul", [inner, graph.scalar(Math.sqrt(2 / Math.PI))])]));
});

/** With bounds that cross the upper one wins, which `Clip` does not say. */
const clamp = unary((graph, x, [low = -Infinity, high = Infinity]) => {
  if (low <= high) return graph.node("Clip", [x, graph.scalar(low), graph.scalar(high)]);
  return graph.node("Min", [graph.node("Max", [x, graph.scalar(low)]), graph.scalar(high)]);
});

/** In evaluation it does nothing; a mask that is drawn in each pass is none of a model's. */
const dropout: Rule = (graph, op) => {
  if (op.how.numbers) graph.refuse(op, "drops in evaluation too, and what is drawn at random cannot be exported");
  graph.alias(op.out, op.inputs[0]!);
};

const full: Rule = (graph, { out, how: { numbers } }) => {
  const [value = 0] = numbers ?? [];
  const one = out.dtype === "f32" ? graph.scalar(value) : graph.integers([value], []);
  graph.set(out, out.rank === 0 ? one : graph.node("Expand", [one, graph.shape(graph.sizes(out))]));
};

/** What `forward` made of numbers of its own. */
const constant: Rule = (graph, { out, how: { data } }) => {
  const name = data instanceof Float32Array ? graph.floats(data, out.shape) : graph.integers(data!, out.shape);
  graph.set(out, name, natural(out.rank));
};

export const elementwise: Rules = {
  ...Object.fromEntries(["affine", "neg"].map((name) => [name, line])),
  add: either(line, binary("Add")),
  sub: either(line, binary("Sub")),
  mul: either(line, binary("Mul")),
  div: either(
    unary((graph, x, [b = 1]) => graph.node("Div", [x, graph.scalar(b)])),
    binary("Div"),
  ),
  maximum: binary("Max"),
  minimum: binary("Min"),
  compare,
  where,
  abs: single("Abs"),
  exp: single("Exp"),
  log: single("Log"),
  sqrt: single("Sqrt"),
  square: unary((graph, x) => graph.node("Mul", [x, x])),
  reciprocal: single("Reciprocal"),
  sigmoid: single("Sigmoid"),
  tanh: single("Tanh"),
  relu: single("Relu"),
  sign: single("Sign"),
  leakyRelu: unary((graph, x, [slope = 0]) => graph.node("LeakyRelu", [x], { alpha: { float: slope } })),
  pow: unary((graph, x, [p = 1]) => graph.node("Pow", [x, graph.scalar(p)])),
  clamp,
  silu: unary((graph, x) => graph.node("Mul", [x, graph.node("Sigmoid", [x])])),
  hardswish: single("HardSwish"),
  gelu,
  geluTanh,
  dropout,
  full,
  constant,
};
