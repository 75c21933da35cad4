/** Other shapes for the same elements, in whatever order their dimensions are. */
import type { Tensor } from "../../tensor/tensor";
import { type Graph, natural, type Op } from "../graph";
import { type Size, sameSizes } from "../sizes";
import type { Rule } from "./rule";

/** Dimensions of size 1. */
const units = (sizes: readonly Size[]): number[] => sizes.flatMap((size, d) => (size === 1 ? [d] : []));
const others = (sizes: readonly Size[]): number[] => sizes.flatMap((size, d) => (size === 1 ? [] : [d]));

export const reshape: Rule = (graph, op) => {
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
