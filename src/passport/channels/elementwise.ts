/** How functions of one element, and of two, hand on channels. */
import type { Tensor } from "../../tensor/tensor";
import { along, axesOf, isEmpty, noLabels } from "./labels";
import { aligned, type Ledger, NO_SCALE, NO_SIGN, ONE, type Op, type View } from "./ledger";

/** Functions of one number: which factors they do not let through. */
export const UNARY: Readonly<Record<string, number>> = {
  ...Object.fromEntries(["neg", "mul", "div", "dropout"].map((name) => [name, 0])),
  ...Object.fromEntries(["relu", "leakyRelu", "abs"].map((name) => [name, NO_SIGN])),
  ...Object.fromEntries(["tanh", "sign"].map((name) => [name, NO_SCALE])),
  ...Object.fromEntries(["affine", "add", "sub", "sigmoid", "silu", "gelu", "geluTanh"].map((name) => [name, ONE])),
  ...Object.fromEntries(["hardswish", "clamp", "exp", "log", "sqrt", "square"].map((name) => [name, ONE])),
  ...Object.fromEntries(["reciprocal", "pow", "where", "maximum", "minimum", "compare"].map((name) => [name, ONE])),
};

/** Functions of two: which factors they do not let through where both have the same. */
export const BINARY: Readonly<Record<string, number>> = {
  add: 0,
  sub: 0,
  where: 0,
  maximum: NO_SIGN,
  minimum: NO_SIGN,
};

/** A function of one number. */
export function unary(ledger: Ledger, { name, inputs: [x], out }: Op): boolean {
  const flags = UNARY[name]!;
  const { place, factor } = ledger.of(x!);
  ledger.use(place);
  ledger.limit(factor, flags);
  ledger.set(out, place, flags === ONE ? noLabels(out.rank) : factor);
  return true;
}

/** A function of two numbers, broadcasting. */
export function binary(ledger: Ledger, op: Op): boolean {
  const { name, inputs, out } = op;
  const [a, b] = inputs as [Tensor, Tensor];
  const own = [a, b].filter((t) => ledger.view(t) && !ledger.has(t));
  if (own.length === 1) return withOwn(ledger, op, own[0] === b ? a : b, ledger.view(own[0]!)!);
  const [x, y] = [ledger.of(a), ledger.of(b)];
  for (const { place } of [x, y]) ledger.use(place);
  let place = ledger.join({ labels: x.place, shape: a.shape }, { labels: y.place, shape: b.shape });
  // The condition of a choice was told of before.
  if (name === "where" && ledger.has(out))
    place = ledger.join({ labels: place, shape: out.shape }, { labels: ledger.of(out).place, shape: out.shape });
  if (name in BINARY) {
    ledger.tieFactors(x.factor, y.factor);
    for (const { factor } of [x, y]) ledger.limit(factor, BINARY[name]!);
    const factor = x.factor.data.length >= y.factor.data.length ? x.factor : y.factor;
    ledger.set(out, place, aligned(factor, out.rank));
    return true;
  }
  // A product has the product of both factors: one of them is 1.
  const keep = isEmpty(x.factor) && name === "mul" ? y : x;
  ledger.limit((keep === x ? y : x).factor, ONE);
  if (name === "compare") ledger.limit(keep.factor, ONE);
  ledger.set(out, place, name === "compare" ? noLabels(out.rank) : aligned(keep.factor, out.rank));
  return true;
}

/** Of values and numbers of the network's own: a shift, or a scale, per channel. */
function withOwn(ledger: Ledger, { name, out }: Op, x: Tensor, view: View): boolean {
  const { place, factor } = ledger.of(x);
  const lead = out.rank - view.axes.length;
  const fits = axesOf(aligned(place, out.rank)).filter((d) => d >= lead && view.shape[d - lead]! > 1);
  const dim = fits.length === 1 ? fits[0]! - lead : undefined;
  const at = dim ?? view.shape.findLastIndex((n) => n > 1);
  ledger.use(place);
  const joint = ledger.join(
    { labels: place, shape: x.shape },
    { labels: ledger.placesOf(view, at), shape: view.shape },
  );
  const port = (kind: string, power: 1 | -1) =>
    at < 0 ? noLabels(view.axes.length) : along(ledger.factorPort(view, at, kind, power), at, view.axes.length);
  if (name === "mul" && at >= 0) {
    ledger.tieFactors(factor, port("scale-in", -1));
    ledger.set(out, joint, aligned(port("scale-out", 1), out.rank));
    return true;
  }
  const through = name in BINARY;
  const shift = port("value", 1);
  if (through) ledger.tieFactors(factor, shift);
  for (const labels of [factor, shift]) ledger.limit(labels, through ? BINARY[name]! : ONE);
  ledger.set(out, joint, through ? aligned(factor, out.rank) : noLabels(out.rank));
  return true;
}
