/** Normalisations, by ONNX's own operators where there are such. */
import type { Over } from "../../tensor/ops/norm/over";
import { sizeOf } from "../../tensor/shape";
import type { Tensor } from "../../tensor/tensor";
import { channelsFirst, type Graph, natural, type Op, type Operand, type Order } from "../graph";
import { reduced } from "./reductions";
import type { Rule, Rules } from "./rule";
import { largestOf } from "./windows";

/** γ and β of a normalisation, where they are there. */
interface Affine {
  readonly gamma: Operand | null;
  readonly beta: Operand | null;
}

/** A value and its order. */
type Found = readonly [name: string, order: Order];

const normalisation: Rule = (graph, op) => {
  const { norm } = op.how;
  if (!norm) return graph.refuse(op, "is a normalisation of several branches at once: export one network");
  const [x] = op.inputs as [Tensor];
  const [name, order] = normalised(graph, op, x, norm.over as Over, affineOf(graph, op));
  const ended = norm.relu ? graph.node("Relu", [name]) : name;
  if (norm.pooled === null) return graph.set(op.out, ended, order);
  const k = norm.pooled;
  const images = sameOrder(order, channelsFirst(4)) ? ended : graph.node("Transpose", [ended], { perm: [0, 3, 1, 2] });
  const sides = { kernel: [k, k], stride: [k, k], padding: [0, 0], dilation: [1, 1] } as const;
  graph.set(op.out, largestOf(graph, op, images, sides), channelsFirst(4));
};

const sameOrder = (a: Order, b: Order) => a.every((d, i) => d === b[i]);

function affineOf(graph: Graph, op: Op): Affine {
  const { affine } = op.how.norm!;
  if (affine !== "rows") {
    const operand = (t: Tensor | null | undefined) => (t ? graph.operand(t) : null);
    return { gamma: operand(affine.gamma), beta: operand(affine.beta) };
  }
  const rows = op.inputs[1]!;
  const row = (i: number): Operand => ({
    rank: rows.rank - 1,
    get: (order) =>
      graph.node("Gather", [graph.get(rows, [0, ...order.map((d) => d + 1)]), graph.integers([i], [])], { axis: 0 }),
  });
  return { gamma: row(0), beta: row(1) };
}

function normalised(graph: Graph, op: Op, x: Tensor, over: Over, affine: Affine): Found {
  const { running, eps } = op.how.norm!;
  const epsilon = { float: eps };
  const channels = x.shape[x.rank - 1]!;
  const own = (t: Operand | null, value: number) => t?.get([0]) ?? graph.floats(new Float32Array(channels).fill(value));
  const first = channelsFirst(x.rank);
  const [gamma, beta] = [() => own(affine.gamma, 1), () => own(affine.beta, 0)];
  if (over === "nothing") return scaled(graph, x.rank, [graph.get(x), graph.orderOf(x)], affine);
  if (running) {
    const [mean, variance] = [graph.get(running.mean), graph.get(running.variance)];
    const inputs = [graph.get(x, first), gamma(), beta(), mean, variance];
    return [graph.node("BatchNormalization", inputs, { epsilon }), first];
  }
  if (over === "batch") {
    const order = graph.orderOf(x);
    const places = order.flatMap((d, i) => (d === x.rank - 1 ? [] : [i]));
    const values = graph.get(x);
    const centred = graph.node("Sub", [values, reduced(graph, "ReduceMean", values, places, 1)]);
    return scaled(graph, x.rank, [divided(graph, centred, centred, places, eps), order], affine);
  }
  if (over === "positions")
    return [graph.node("InstanceNormalization", [graph.get(x, first), gamma(), beta()], { epsilon }), first];
  if ("groups" in over) {
    const { groups } = over;
    // Channels of a group, and all positions, as the positions of one channel.
    const rows = graph.node("Reshape", [graph.get(x, first), graph.integers([0, groups, -1])]);
    const [one, zero] = [1, 0].map((value) => graph.floats(new Float32Array(groups).fill(value)));
    const normed = graph.node("InstanceNormalization", [rows, one!, zero!], { epsilon });
    const sizes = graph.sizes(x);
    const back = first.map((d) => (typeof sizes[d] === "number" ? sizes[d] : -1));
    return scaled(graph, x.rank, [graph.node("Reshape", [normed, graph.integers(back)]), first], affine);
  }
  return overShape(graph, x, over, affine, eps);
}

/** Over the last dimensions, in any order of these that leaves them the last. */
function overShape(
  graph: Graph,
  x: Tensor,
  over: Extract<Over, { shape: unknown }>,
  affine: Affine,
  eps: number,
): Found {
  const lead = x.rank - over.shape.length;
  const given = graph.orderOf(x);
  const order = given.slice(0, lead).every((d) => d < lead) ? given : natural(x.rank);
  const values = graph.get(x, order);
  const inner = order.slice(lead).map((d) => d - lead);
  if (!over.aboutZero) {
    const scale = affine.gamma?.get(inner) ?? ones(graph, over.shape, inner);
    const shift = affine.beta ? [affine.beta.get(inner)] : [];
    const attributes = { axis: lead, epsilon: { float: eps } };
    return [graph.node("LayerNormalization", [values, scale, ...shift], attributes), order];
  }
  const places = natural(x.rank).slice(lead);
  return scaled(graph, x.rank, [divided(graph, values, values, places, eps), order], affine);
}

const ones = (graph: Graph, shape: readonly number[], inner: Order): string =>
  graph.floats(
    new Float32Array(sizeOf(shape)).fill(1),
    inner.map((d) => shape[d]!),
  );

/** x / √(mean(y²) + eps). */
function divided(graph: Graph, x: string, y: string, places: readonly number[], eps: number): string {
  const squares = reduced(graph, "ReduceMean", graph.node("Mul", [y, y]), places, 1);
  return graph.node("Div", [x, graph.node("Sqrt", [graph.node("Add", [squares, graph.scalar(eps)])])]);
}

/** γ ⊙ x + β. */
function scaled(graph: Graph, rank: number, [x, order]: Found, { gamma, beta }: Affine): Found {
  const product = gamma ? graph.node("Mul", [x, graph.aligned(gamma, rank, order)]) : x;
  return [beta ? graph.node("Add", [product, graph.aligned(beta, rank, order)]) : product, order];
}

export const norms: Rules = Object.fromEntries(
  ["batchNorm", "instanceNorm", "groupNorm", "layerNorm", "rmsNorm", "scale"].map((name) => [name, normalisation]),
);
