/** How sums, means and maxima hand on channels. */
import type { Tensor } from "../../tensor/tensor";
import { axesOf, type Labels, noLabels } from "./labels";
import { type Ledger, NO_SIGN, ONE, type Op, range } from "./ledger";

/** Means, sums and ends of lines: which factors they do not let through. */
export const REDUCED: Readonly<Record<string, number>> = {
  ...{ sum: 0, mean: 0, amax: NO_SIGN, amin: NO_SIGN },
  ...{ variance: ONE, sumSquares: ONE },
};

/** The same of windows of images. */
export const IMAGES: Readonly<Record<string, number>> = {
  ...{ avgPool2d: 0, adaptiveAvgPool2d: 0, upsample2d: 0 },
  ...{ maxPool2d: NO_SIGN, globalMaxPool: NO_SIGN },
};

/** A softmax, or its logarithm. */
export function softmax(ledger: Ledger, { inputs: [x], out, how: { axes } }: Op): boolean {
  if (!axes) return false;
  const { place, factor } = ledger.of(x!);
  ledger.use(place);
  ledger.blocks(place, axes);
  ledger.limit(factor, ONE);
  ledger.set(out, place, noLabels(out.rank));
  return true;
}

/** A sum, a mean, an end of lines. */
export function reduced(ledger: Ledger, op: Op): boolean {
  const flags = REDUCED[op.name]!;
  const [x] = op.inputs as [Tensor];
  const { out } = op;
  const { axes } = op.how;
  if (!axes) return false;
  const { place, factor } = ledger.of(x);
  ledger.use(place);
  const found = ledger.blocks(place, axes);
  ledger.limit(factor, flags);
  const one = ledger.oneFactor(factor, axes);
  const kept = (l: Labels): Labels =>
    out.rank === x.rank ? l : { shape: l.shape.filter((_, d) => !axes.includes(d)), data: l.data };
  ledger.set(out, kept(found), flags === ONE ? noLabels(out.rank) : kept(one));
  return true;
}

/** Images of another size, or no size at all. */
export function resized(ledger: Ledger, op: Op): boolean {
  const flags = IMAGES[op.name]!;
  const [x] = op.inputs as [Tensor];
  const { out } = op;
  const { place, factor } = ledger.of(x);
  const last = x.rank - 1;
  if (axesOf(place).some((d) => d > 0 && d < last)) return false;
  ledger.use(place);
  ledger.limit(factor, flags);
  const one = ledger.oneFactor(factor, range(1, last));
  const kept = ({ shape, data }: Labels): Labels =>
    out.rank === x.rank ? { shape, data } : { shape: [shape[0]!, shape[last]!], data };
  ledger.set(out, kept(place), kept(one));
  return true;
}
