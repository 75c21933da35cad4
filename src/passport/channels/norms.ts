/** How normalisations hand on channels. */
import type { Over } from "../../tensor/ops/norm/over";
import type { Tensor } from "../../tensor/tensor";
import { along, axesOf, type Labels, noLabels } from "./labels";
import { type Ledger, NO_SCALE, NO_SIGN, ONE, type Op, range, type View } from "./ledger";

/** A normalisation; also γ and β alone. */
export function norm(ledger: Ledger, op: Op): boolean {
  const { inputs, out } = op;
  const [x] = inputs as [Tensor];
  const { over: given, affine, running, eps, relu } = op.how.norm!;
  const over = given as Over;
  const { place, factor } = ledger.of(x);
  const [rank, last] = [x.rank, x.rank - 1];
  const first = typeof over === "object" && "shape" in over ? rank - over.shape.length : last;
  const groups = typeof over === "object" && "groups" in over ? over.groups : 0;
  const inner = axesOf(place).filter((d) => d >= first);
  const beside = axesOf(place).some((d) => d > 0 && d < first);
  const own = affine === "rows" ? [undefined] : [affine.gamma, affine.beta, running?.mean, running?.variance];
  const [gamma, beta, mean, variance] = own.map((t) => (t ? ledger.view(t) : null));
  const strange = [gamma, beta, mean, variance].includes(undefined) || inner.length > 1;
  if (strange || (beside && (first === last && typeof over !== "object" ? true : groups > 0))) return false;
  ledger.use(place);
  const dim = inner[0] ?? last;
  for (const view of [gamma, beta, mean, variance]) if (view) ledger.usedAlong(view, [dim - first]);
  const places = (view: View) => along(ledger.placePort(view, dim - first, "norm"), dim, rank);
  for (const view of [gamma, beta, mean, variance])
    if (view && inner.length) ledger.tie(place, places(view));
    else if (view) ledger.fix(places(view));
  if (first < last || (typeof over === "object" && !groups)) ledger.blocks(place, range(first, rank));
  const perGroup = groups ? x.shape[last]! / groups : 1;
  const inGroups = (labels: Labels): Labels => ({ shape: [groups, perGroup], data: labels.data });
  if (groups > 1 && perGroup > 1 && inner.length) {
    const blocks = { shape: [groups, 1], data: ledger.places.fresh(groups) };
    ledger.lieIn(inGroups(place), blocks);
  }
  // Factors: those in front end here, and those behind begin.
  const port = (view: View, kind: string, power: 1 | -1 | 2 | "sign") =>
    along(ledger.factorPort(view, dim - first, kind, power), dim, rank);
  if (mean && variance) {
    ledger.tieFactors(factor, port(mean, "statistic", 1));
    ledger.tieFactors(factor, port(variance, "statistic", 2));
    ledger.epsilons.set(variance.tensor, eps);
  } else if (over !== "nothing") ledger.limit(factor, NO_SCALE);
  const perChannel = typeof over === "string" || (typeof over === "object" && "shape" in over && over.aboutZero);
  if (!perChannel && groups !== x.shape[last]) {
    if (groups > 1 && factor.data.length === x.shape[last]) ledger.oneFactor(inGroups(factor), [1]);
    else ledger.oneFactor(factor, range(first, rank));
  }
  if (over === "nothing" && gamma) ledger.tieFactors(factor, port(gamma, "scale-in", -1));
  else if (over === "nothing") ledger.limit(factor, ONE);
  else if (gamma) ledger.tieFactors(factor, port(gamma, "norm-in", "sign"));
  else ledger.limit(factor, NO_SIGN);
  const behind = gamma ? port(gamma, over === "nothing" ? "scale-out" : "norm-out", 1) : noLabels(rank);
  if (beta) ledger.tieFactors(behind, port(beta, "value", 1));
  if (relu) ledger.limit(behind, NO_SIGN);
  // A maximum behind it is in its kernel.
  if (out.shape.some((n, d) => n !== x.shape[d])) ledger.limit(behind, NO_SIGN);
  ledger.set(out, place, behind);
  return true;
}
