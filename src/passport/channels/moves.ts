/** How operations that only move elements hand on channels. */
import type { Shape } from "../../tensor/shape";
import { block, joined, type Labels, noLabels, permuted, reshaped } from "./labels";
import { inBlock, type Ledger, ONE, type Op, ones, type View } from "./ledger";

/** Operations that move elements of one tensor; null where labels cannot follow. */
export const MOVED: Readonly<Record<string, (l: Labels, op: Op) => Labels | null>> = {
  concat: () => null,
  reshape: (l, { inputs: [x], out }) => reshaped(l, x!.shape, out.shape),
  unstack: (l) => l,
  permute: (l, { how }) => permuted(l, how.dims!),
  narrow: (l, { out, how }) => block(l, how.from!, out.shape),
  slice: (l, { out, how }) => {
    const { shape, data } = block(l, how.from!, [1, ...out.shape]);
    return { shape: shape.slice(1), data };
  },
  pad: (l, { out, how }) =>
    block(
      l,
      how.from!.map((n) => -n),
      out.shape,
    ),
  flip: (l, { how }) => (how.axes!.some((d) => l.shape[d]! > 1) ? null : l),
  expand: (l, { out }) => ({ shape: ones(l.shape, out.rank), data: l.data }),
  indexSelect: (l, { inputs: [x], out, how }) => {
    const [axis] = how.axes as [number];
    if (l.shape[axis]! > 1) return null;
    const more = new Array(out.rank - x!.rank + 1).fill(1);
    return { shape: [...l.shape.slice(0, axis), ...more, ...l.shape.slice(axis + 1)], data: l.data };
  },
};

/**
 * Where the dimensions of a moved part of one of the network's tensors come from; null for other
 * moves.
 */
export function viewAxes(name: string, { axes, shape }: View, to: Shape, how: Op["how"]): View["axes"] | null {
  if (name === "permute") return how.dims!.map((d) => axes[d]!);
  if (name === "narrow") return axes.map((a, d) => a && { ...a, from: a.from + how.from![d]! });
  if (name === "expand")
    return to.map((n, d) => {
      const own = d - to.length + shape.length;
      return own >= 0 && shape[own] === n ? axes[own]! : null;
    });
  if (name === "indexSelect" || name === "embedding") {
    const [axis] = how.axes as [number];
    return [...axes.slice(0, axis), ...new Array(to.length - axes.length + 1).fill(null), ...axes.slice(axis + 1)];
  }
  if (name !== "reshape") return null;
  const kept = axes.filter((_, d) => shape[d]! !== 1);
  if (to.filter((n) => n !== 1).join() !== shape.filter((n) => n !== 1).join()) return null;
  return to.map((n) => (n === 1 ? null : kept.shift()!));
}

/** An operation that moves elements. */
export function move(ledger: Ledger, op: Op): boolean {
  const shapes = op.inputs.map((t) => t.shape);
  const all = op.inputs.map((t) => ledger.of(t));
  const { name, how } = op;
  if (name === "concat") {
    for (const { place } of all) ledger.use(place);
    const [axis] = how.axes as [number];
    const join = (labels: Labels[], tie: () => Labels) =>
      labels.some((l) => l.shape[axis]! > 1) ? joined(labels, shapes, axis) : tie();
    const places = all.map((l) => l.place);
    const factors = all.map((l) => l.factor);
    // What is joined along a dimension without channels has the same ones.
    const oneOf = () =>
      places.reduce((a, b, i) =>
        ledger.join(
          { labels: a, shape: shapes[0]!.map((n, d) => (d === axis ? 1 : n)) },
          { labels: b, shape: shapes[i]!.map((n, d) => (d === axis ? 1 : n)) },
        ),
      );
    const oneFactor = () => {
      for (const f of factors) ledger.tieFactors(factors[0]!, f);
      return factors.reduce((a, b) => (a.data.length >= b.data.length ? a : b));
    };
    ledger.set(op.out, join(places, oneOf), join(factors, oneFactor));
    return true;
  }
  const [known] = all as [(typeof all)[0]];
  const move = (l: Labels) => MOVED[name]!(l, op);
  const [place, factor] = [move(known.place), move(known.factor)];
  if (!place || !factor) return false;
  ledger.use(known.place, name === "narrow" ? inBlock(known.place, how.from!, op.out.shape) : undefined);
  if (name === "pad" && how.value !== 0) ledger.limit(known.factor, ONE);
  ledger.set(op.out, place, name === "pad" && how.value !== 0 ? noLabels(op.out.rank) : factor);
  return true;
}
