/** Matrix products, and attention, which is two of them around a softmax. */
import type { Tensor } from "../../tensor/tensor";
import { type Graph, natural, type Op } from "../graph";
import type { Rule, Rules } from "./rule";

/** x · W + b; the weights stay as PyTorch has them, [O, I]. */
const linear: Rule = (graph, { inputs, out }) => {
  const [x, w, bias] = inputs as [Tensor, Tensor, Tensor | undefined];
  const shift = bias ? [graph.get(bias)] : [];
  const rows = graph.get(x, natural(x.rank));
  if (x.rank === 2) {
    const transB = graph.orderOf(w)[0] === 1 ? 1 : 0;
    return graph.set(out, graph.node("Gemm", [rows, graph.get(w), ...shift], { transB }));
  }
  const product = graph.node("MatMul", [rows, graph.get(w, [0, 1])]);
  graph.set(out, shift.length ? graph.node("Add", [product, ...shift]) : product);
};

/** The last two dimensions in this order or the other. */
const matrices = (graph: Graph, t: Tensor, turned: boolean): string => {
  const lead = natural(t.rank - 2);
  const [row, column] = [t.rank - 2, t.rank - 1];
  return graph.get(t, turned ? [...lead, column, row] : [...lead, row, column]);
};

const matmul: Rule = (graph, { inputs, out, how: { turned = [false, false] } }) => {
  const [a, b] = inputs as [Tensor, Tensor];
  graph.set(out, graph.node("MatMul", [matrices(graph, a, turned[0]), matrices(graph, b, turned[1])]));
};

/** What scores become that nobody shall see; their exponential is 0. */
const LOWEST = -3.4e38;
const BOOL = 9;
const FLOAT = 1;

/**
 * softmax(scale · Q Kᵀ) V for each head, [N, H, T, D] in between. A query that sees no key gives 0,
 * as the operation does.
 */
const attention: Rule = (graph, op) => {
  const { inputs, out, how } = op;
  const [scale = 1] = how.numbers ?? [];
  const [q, k, v] = inputs.length === 1 ? packed(graph, inputs[0]!) : apart(graph, inputs as [Tensor, Tensor, Tensor]);
  const scores = graph.node("Mul", [graph.node("MatMul", [q, k]), graph.scalar(scale)]);
  const seen = visible(graph, op);
  const shown = seen ? graph.node("Where", [seen, scores, graph.scalar(LOWEST)]) : scores;
  const weights = graph.node("Softmax", [shown], { axis: -1 });
  // Of keys that are all hidden none has any weight.
  const own = how.chosen?.length ? graph.node("Mul", [weights, graph.node("Cast", [seen!], { to: FLOAT })]) : weights;
  graph.set(out, graph.node("MatMul", [own, v]), [0, 2, 1, 3]);
};

/** Q [N, H, T, D], Kᵀ [N, H, D, S], V [N, H, S, D] of tensors [N, T, H, D]. */
const apart = (graph: Graph, [q, k, v]: readonly [Tensor, Tensor, Tensor]): readonly [string, string, string] => [
  graph.get(q, [0, 2, 1, 3]),
  graph.get(k, [0, 2, 3, 1]),
  graph.get(v, [0, 2, 1, 3]),
];

/** The same of one tensor [N, T, 3, H, D]. */
function packed(graph: Graph, qkv: Tensor): readonly [string, string, string] {
  const all = graph.get(qkv, [2, 0, 3, 1, 4]);
  const [q, k, v] = [0, 1, 2].map((i) => graph.node("Gather", [all, graph.integers([i], [])], { axis: 0 }));
  return [q!, graph.node("Transpose", [k!], { perm: [0, 1, 3, 2] }), v!];
}

/** Which keys each query sees, broadcasting to [N, H, T, S]; null where it sees all. */
function visible(graph: Graph, op: Op): string | null {
  const { inputs, how } = op;
  const [t, s] = [graph.size(op, inputs[0]!, 1), graph.size(op, inputs[1] ?? inputs[0]!, 1)];
  const causal = Array.from({ length: t * s }, (_, i) => i % s <= Math.floor(i / s));
  const past = how.form === "causal" ? graph.flags(causal, [t, s]) : null;
  const [padding] = how.chosen ?? [];
  if (!padding) return past;
  const hidden = graph.node("Unsqueeze", [graph.get(padding, [0, 1]), graph.integers([1, 2])]);
  const there = graph.node("Not", [graph.node("Cast", [hidden], { to: BOOL })]);
  return past ? graph.node("And", [there, past]) : there;
}

export const products: Rules = { linear, matmul, scaledDotProductAttention: attention };
