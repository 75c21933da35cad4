/** How linear maps hand on channels: their inputs end there, and their outputs are new ones. */
import type { Shape } from "../../tensor/shape";
import type { Tensor } from "../../tensor/tensor";
import { along, axesOf, type Labels, noLabels } from "./labels";
import type { Ledger, Op, View } from "./ledger";

/** A linear map with weights of the network's own: its outputs are new channels. */
export function linearMap(ledger: Ledger, op: Op): boolean {
  const [x, w, bias] = op.inputs as [Tensor, Tensor, Tensor | undefined];
  const view = ledger.view(w);
  const shift = bias && ledger.view(bias);
  if (!view || ledger.has(w) || (bias && !shift)) return false;
  const turned = op.name.startsWith("convTranspose");
  const [inDim, outDim] = turned ? [w.rank - 1, w.rank - 2] : [w.rank - 2, w.rank - 1];
  return mapped(ledger, op, { ...ledger.of(x), shape: x.shape }, { view, inDim, outDim, turned, shift });
}

/** A map by a matrix, or filters, of the network's own. */
export function mapped(
  ledger: Ledger,
  op: Op,
  x: { place: Labels; factor: Labels; shape: Shape },
  map: { view: View; inDim: number; outDim: number; turned?: boolean; shift?: View | undefined },
): boolean {
  const { view, inDim, outDim, turned = false, shift } = map;
  const { out } = op;
  const rank = x.shape.length;
  const [last, inputs, outputs] = [rank - 1, x.shape.at(-1)!, out.shape.at(-1)!];
  const groups = turned ? outputs / view.shape[outDim]! : inputs / view.shape[inDim]!;
  const isImage = op.name.startsWith("conv");
  // Positions are mixed with their neighbours: what is a channel there stays.
  const mixes = isImage && axesOf(x.place).some((d) => d > 0 && d < last);
  if (mixes) ledger.fix(x.place);
  const place = mixes ? noLabels(rank) : x.place;
  const used = axesOf(place);
  const of = (dim: number, kind: string) => {
    const g = (kind === "out") === turned ? groups : 1;
    return {
      place: ledger.placePort(view, dim, kind, g),
      factor: ledger.factorPort(view, dim, kind, kind === "in" ? -1 : 1, g),
    };
  };
  ledger.usedAlong(view, [inDim, outDim]);
  const [into, from] = [of(inDim, "in"), of(outDim, "out")];
  const offset = shift && ledger.asValues(shift);
  const [ins, outs] = [along(into.place, last, rank), along(from.place, last, rank)];
  ledger.use(place);
  ledger.tieFactors(x.factor, along(into.factor, last, rank));
  const factor = along(from.factor, last, rank);
  if (offset) ledger.tieFactors(factor, offset.factor);
  if (used.length && !used.includes(last)) {
    // It mixes what has no channels, and those that there are stand beside.
    ledger.fix(ins, outs, ...(offset ? [offset.place] : []));
    ledger.set(out, place, factor);
    return true;
  }
  ledger.tie(place, ins);
  if (offset) ledger.tie(outs, offset.place);
  if (groups > 1) grouped(ledger, into.place, from.place, groups);
  ledger.set(out, outs, factor);
  return true;
}

/** Channels of one group of a grouped map go together. */
function grouped(ledger: Ledger, ins: Int32Array, outs: Int32Array, groups: number): void {
  const cut = (data: Int32Array): Labels => ({ shape: [groups, data.length / groups], data });
  const [a, b] = [cut(ins), cut(outs)];
  const [single, one] = [a, b].map((l) => l.shape[1] === 1);
  if (single && one) return ledger.tie(a, b);
  if (single) return ledger.lieIn(b, a);
  if (one) return ledger.lieIn(a, b);
  const blocks = { shape: [groups, 1], data: ledger.places.fresh(groups) };
  ledger.lieIn(a, blocks);
  ledger.lieIn(b, blocks);
}
