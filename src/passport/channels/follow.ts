/** How each operation hands on channels. What is not here keeps those it is given in their place. */
import type { Over } from "../../tensor/ops/norm/over";
import type { Shape } from "../../tensor/shape";
import { Tensor } from "../../tensor/tensor";
import type { TracedOp } from "../../tensor/trace";
import type { NetworkTrace } from "../trace";
import { aligned, inBlock, Ledger, NO_SCALE, NO_SIGN, ONE, ones, type Sized, type View } from "./known";
import { along, axesOf, block, isEmpty, joined, type Labels, noLabels, permuted, reshaped } from "./labels";

type Op = TracedOp<Tensor>;

/** Functions of one number: which factors they let through. */
const UNARY: Readonly<Record<string, number>> = {
  ...Object.fromEntries(["neg", "mul", "div", "dropout"].map((name) => [name, 0])),
  ...Object.fromEntries(["relu", "leakyRelu", "abs"].map((name) => [name, NO_SIGN])),
  ...Object.fromEntries(["tanh", "sign"].map((name) => [name, NO_SCALE])),
  ...Object.fromEntries(["affine", "add", "sub", "sigmoid", "silu", "gelu", "geluTanh"].map((name) => [name, ONE])),
  ...Object.fromEntries(["hardswish", "clamp", "exp", "log", "sqrt", "square"].map((name) => [name, ONE])),
  ...Object.fromEntries(["reciprocal", "pow", "where", "maximum", "minimum", "compare"].map((name) => [name, ONE])),
};

/** Elementwise functions of two tensors: which factors they let through where both have the same. */
const BINARY: Readonly<Record<string, number>> = { add: 0, sub: 0, where: 0, maximum: NO_SIGN, minimum: NO_SIGN };

/** Means, sums and ends of lines. */
const REDUCED: Readonly<Record<string, number>> = {
  ...{ sum: 0, mean: 0, amax: NO_SIGN, amin: NO_SIGN },
  ...{ variance: ONE, sumSquares: ONE },
};

const IMAGES: Readonly<Record<string, number>> = {
  ...{ avgPool2d: 0, adaptiveAvgPool2d: 0, upsample2d: 0 },
  ...{ maxPool2d: NO_SIGN, globalMaxPool: NO_SIGN },
};

/** Goes through a trace, and writes down what hangs together. */
export class Follower {
  readonly ledger: Ledger;

  constructor(trace: NetworkTrace) {
    this.ledger = new Ledger(trace);
    for (const op of trace.ops) this.#follow(op);
    for (const t of tensorsIn(trace.output)) {
      const { place, factor } = this.ledger.of(t);
      this.ledger.fix(place);
      this.ledger.limit(factor, ONE);
    }
  }

  #follow(op: Op): void {
    const { name, inputs } = op;
    const two = inputs.length === 2;
    if (this.#viewed(op)) return;
    if (name === "linear" || name.startsWith("conv")) return this.#map(op);
    if (op.how.norm && inputs.length >= 1) return this.#norm(op);
    if (two && (name in BINARY || name === "mul" || name === "div" || name === "compare")) return this.#binary(op);
    if (inputs.length === 1 && name in UNARY) return this.#unary(op, UNARY[name]!);
    if (name in REDUCED) return this.#reduce(op, REDUCED[name]!);
    if (name in IMAGES) return this.#images(op, IMAGES[name]!);
    if (name === "softmax" || name === "logSoftmax") return this.#softmax(op);
    if (name === "matmul") return this.#product(op);
    if (name === "scaledDotProductAttention") return this.#attention(op);
    if (name in MOVED) return this.#move(op);
    this.#unknown(op);
  }

  /** Nothing is known of what this does: its channels stay where they are. */
  #unknown({ inputs, out }: Op): void {
    const { ledger } = this;
    for (const t of inputs) {
      const view = ledger.view(t);
      if (view) ledger.frozen.add(view.tensor);
      if (view && !ledger.has(t)) continue;
      const { place, factor } = ledger.of(t);
      ledger.fix(place);
      ledger.limit(factor, ONE);
    }
    ledger.set(out, noLabels(out.rank), noLabels(out.rank));
  }

  /** Parts of the network's own tensors that are moved before they are used stay such parts. */
  #viewed({ name, inputs: [x], out, how }: Op): boolean {
    const view = x && !this.ledger.has(x) ? this.ledger.view(x) : undefined;
    if (!x || !view) return false;
    const axes = viewAxes(name, view, out.shape, how);
    if (!axes) return false;
    this.ledger.setView(out, { tensor: view.tensor, axes, shape: out.shape });
    return true;
  }

  /** @param flags factors that it does not let through */
  #unary({ inputs: [x], out }: Op, flags: number): void {
    const { place, factor } = this.ledger.of(x!);
    this.ledger.use(place);
    this.ledger.limit(factor, flags);
    this.ledger.set(out, place, flags === ONE ? noLabels(out.rank) : factor);
  }

  #binary(op: Op): void {
    const { ledger } = this;
    const { name, inputs, out } = op;
    const [a, b] = inputs as [Tensor, Tensor];
    const own = [a, b].filter((t) => ledger.view(t) && !ledger.has(t));
    if (own.length === 1) return this.#withOwn(op, own[0] === b ? a : b, ledger.view(own[0]!)!, own[0] === b);
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
      return ledger.set(out, place, aligned(factor, out.rank));
    }
    // A product has the product of both factors: one of them is 1.
    const keep = isEmpty(x.factor) && name === "mul" ? y : x;
    ledger.limit((keep === x ? y : x).factor, ONE);
    if (name === "compare") ledger.limit(keep.factor, ONE);
    ledger.set(out, place, name === "compare" ? noLabels(out.rank) : aligned(keep.factor, out.rank));
  }

  /** Of values and numbers of the network's own: a shift, or a scale, per channel. */
  #withOwn({ name, out }: Op, x: Tensor, view: View, second: boolean): void {
    const { ledger } = this;
    const { place, factor } = ledger.of(x);
    const lead = out.rank - view.axes.length;
    const fits = axesOf(aligned(place, out.rank)).filter((d) => d >= lead && view.shape[d - lead]! > 1);
    const dim = fits.length === 1 ? fits[0]! - lead : undefined;
    const values = ledger.asValues(view, dim);
    const at = dim ?? view.shape.findLastIndex((n) => n > 1);
    ledger.use(place);
    const joint = ledger.join({ labels: place, shape: x.shape }, { labels: values.place, shape: view.shape });
    const port = (kind: string, power: 1 | -1) =>
      at < 0 ? noLabels(view.axes.length) : along(ledger.factorPort(view, at, kind, power), at, view.axes.length);
    if (name === "mul" && second && at >= 0) {
      ledger.tieFactors(factor, port("scale-in", -1));
      return ledger.set(out, joint, aligned(port("scale-out", 1), out.rank));
    }
    const through = name in BINARY;
    const shift = port("value", 1);
    if (through) ledger.tieFactors(factor, shift);
    for (const labels of [factor, shift]) ledger.limit(labels, through ? BINARY[name]! : ONE);
    ledger.set(out, joint, through ? aligned(factor, out.rank) : noLabels(out.rank));
  }

  /** A linear map with weights of the network's own: its outputs are new channels. */
  #map(op: Op): void {
    const [x, w, bias] = op.inputs as [Tensor, Tensor, Tensor | undefined];
    const view = this.ledger.view(w);
    const shift = bias && this.ledger.view(bias);
    if (!view || this.ledger.has(w) || (bias && !shift)) return this.#unknown(op);
    const turned = op.name.startsWith("convTranspose");
    const [inDim, outDim] = turned ? [w.rank - 1, w.rank - 2] : [w.rank - 2, w.rank - 1];
    this.#linear(op, { ...this.ledger.of(x), shape: x.shape }, { view, inDim, outDim, turned, shift });
  }

  #linear(
    op: Op,
    x: { place: Labels; factor: Labels; shape: Shape },
    map: { view: View; inDim: number; outDim: number; turned?: boolean; shift?: View | undefined },
  ): void {
    const { ledger } = this;
    const { view, inDim, outDim, turned = false, shift } = map;
    const { out } = op;
    const rank = x.shape.length;
    const [last, inputs, outputs] = [rank - 1, x.shape.at(-1)!, out.shape.at(-1)!];
    const groups = turned ? outputs / view.shape[outDim]! : inputs / view.shape[inDim]!;
    const isImage = op.name.startsWith("conv");
    const used = axesOf(x.place);
    if (isImage && used.some((d) => d > 0 && d < last)) return this.#unknown(op);
    const of = (dim: number, kind: string) => {
      const g = (kind === "out") === turned ? groups : 1;
      return {
        place: ledger.placePort(view, dim, kind, g),
        factor: ledger.factorPort(view, dim, kind, kind === "in" ? -1 : 1, g),
      };
    };
    const [into, from] = [of(inDim, "in"), of(outDim, "out")];
    const offset = shift && ledger.asValues(shift);
    const [ins, outs] = [along(into.place, last, rank), along(from.place, last, rank)];
    ledger.use(x.place);
    ledger.tieFactors(x.factor, along(into.factor, last, rank));
    const factor = along(from.factor, last, rank);
    if (offset) ledger.tieFactors(factor, offset.factor);
    if (used.length && !used.includes(last)) {
      // It mixes what has no channels, and those that there are stand beside.
      ledger.fix(ins, outs, ...(offset ? [offset.place] : []));
      return ledger.set(out, x.place, factor);
    }
    ledger.tie(x.place, ins);
    if (offset) ledger.tie(outs, offset.place);
    if (groups > 1) this.#grouped(into.place, from.place, groups);
    ledger.set(out, outs, factor);
  }

  /** Channels of one group of a grouped map go together. */
  #grouped(ins: Int32Array, outs: Int32Array, groups: number): void {
    const { ledger } = this;
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

  #norm(op: Op): void {
    const { ledger } = this;
    const { inputs, out } = op;
    const [x] = inputs as [Tensor];
    const { over: given, affine, running, relu } = op.how.norm!;
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
    if (strange || (beside && (first === last && typeof over !== "object" ? true : groups > 0)))
      return this.#unknown(op);
    ledger.use(place);
    const dim = inner[0] ?? last;
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
  }

  #softmax({ inputs: [x], out, how: { axes = [] } }: Op): void {
    const { place, factor } = this.ledger.of(x!);
    this.ledger.use(place);
    this.ledger.blocks(place, axes);
    this.ledger.limit(factor, ONE);
    this.ledger.set(out, place, noLabels(out.rank));
  }

  #reduce(op: Op, flags: number): void {
    const [x] = op.inputs as [Tensor];
    const { out } = op;
    const { axes } = op.how;
    if (!axes) return this.#unknown(op);
    const { place, factor } = this.ledger.of(x);
    this.ledger.use(place);
    const found = this.ledger.blocks(place, axes);
    this.ledger.limit(factor, flags);
    const one = this.ledger.oneFactor(factor, axes);
    const kept = (l: Labels): Labels =>
      out.rank === x.rank ? l : { shape: l.shape.filter((_, d) => !axes.includes(d)), data: l.data };
    this.ledger.set(out, kept(found), flags === ONE ? noLabels(out.rank) : kept(one));
  }

  #images(op: Op, flags: number): void {
    const [x] = op.inputs as [Tensor];
    const { out } = op;
    const { place, factor } = this.ledger.of(x);
    const last = x.rank - 1;
    if (axesOf(place).some((d) => d > 0 && d < last)) return this.#unknown(op);
    this.ledger.use(place);
    this.ledger.limit(factor, flags);
    const one = this.ledger.oneFactor(factor, range(1, last));
    const kept = ({ shape, data }: Labels): Labels =>
      out.rank === x.rank ? { shape, data } : { shape: [shape[0]!, shape[last]!], data };
    this.ledger.set(out, kept(place), kept(one));
  }

  /** Sums of products: what is summed over ends here, and is one in both. */
  #product(op: Op): void {
    const { ledger } = this;
    const [a, b] = op.inputs as [Tensor, Tensor];
    const { out, how } = op;
    const [turnA, turnB] = how.turned ?? [false, false];
    const matrix = !ledger.has(b) && b.rank === 2 ? ledger.view(b) : undefined;
    const ofA = this.#turned(a, turnA);
    if (matrix) return this.#linear(op, ofA, { view: matrix, inDim: turnB ? 1 : 0, outDim: turnB ? 0 : 1 });
    if ([a, b].some((t) => ledger.view(t) && !ledger.has(t))) return this.#unknown(op);
    const ofB = this.#turned(b, turnB);
    const rank = out.rank;
    const [m, n] = [rank - 2, rank - 1];
    const wide = (l: Labels) => ({ shape: ones(l.shape, rank), data: l.data });
    // Dimensions [batch…, rows, columns, summed] of everything.
    const left = (shape: Shape) => [...ones(shape, rank).slice(0, m), ones(shape, rank)[m]!, 1, ones(shape, rank)[n]!];
    const right = (shape: Shape) => [...ones(shape, rank).slice(0, m), 1, ones(shape, rank)[n]!, ones(shape, rank)[m]!];
    const onLeft = (l: Labels) => ({ shape: left(l.shape), data: l.data });
    const onRight = (l: Labels) => {
      const turned = permuted(wide(l), [...range(0, m), n, m]);
      return { shape: [...turned.shape.slice(0, m), 1, ...turned.shape.slice(m)], data: turned.data };
    };
    const [pa, pb] = [onLeft(ofA.place), onRight(ofB.place)];
    for (const l of [pa, pb]) ledger.use(l);
    const [k, inA, inB] = [rank, axesOf(pa), axesOf(pb)];
    let place: Labels;
    const summed = inA.includes(k) && inB.includes(k) && !inA.includes(m) && !inB.includes(n);
    if (summed || (!inA.includes(k) && !inB.includes(k))) {
      const shapes = [left(ofA.shape), right(ofB.shape)];
      // Rows and columns say nothing of what is summed over, nor that of them.
      const cut = (shape: number[]) => shape.map((s, d) => ((summed ? d === m || d === n : d === k) ? 1 : s));
      const [x, y] = [pa, pb].map((labels, i): Sized => ({ labels, shape: cut(shapes[i]!) })) as [Sized, Sized];
      place = ledger.blocks(ledger.join(x, y), [k]);
    } else {
      ledger.fix(pa, pb);
      place = noLabels(rank + 1);
    }
    const drop = (l: Labels): Labels => ({ shape: l.shape.slice(0, rank), data: l.data });
    ledger.set(out, drop(place), drop(this.#productOfFactors(onLeft(ofA.factor), onRight(ofB.factor), k)));
  }

  #productOfFactors(a: Labels, b: Labels, k: number): Labels {
    const { ledger } = this;
    if (!isEmpty(a) && !isEmpty(b) && [a, b].every((l) => axesOf(l).includes(k))) {
      // f · x times y / f is the same; one factor for both is a sign.
      for (const l of [a, b]) ledger.limit(l, NO_SCALE);
      ledger.tieFactors(a, b);
      return noLabels(k + 1);
    }
    const [keep, other] = isEmpty(a) ? [b, a] : [a, b];
    ledger.limit(other, ONE);
    return ledger.oneFactor(keep, [k]);
  }

  #turned(t: Tensor, turned: boolean): { place: Labels; factor: Labels; shape: Shape } {
    const { place, factor } = this.ledger.of(t);
    if (!turned) return { place, factor, shape: t.shape };
    const dims = [...range(0, t.rank - 2), t.rank - 1, t.rank - 2];
    return { place: permuted(place, dims), factor: permuted(factor, dims), shape: dims.map((d) => t.shape[d]!) };
  }

  /** q and k are summed over each head's channels, and weigh the values of that head. */
  #attention(op: Op): void {
    const { ledger } = this;
    const all = op.inputs.map((t) => ledger.of(t));
    const cut = (l: Labels, i: number): Labels => {
      const part = block(l, [0, 0, i, 0, 0], [l.shape[0]!, l.shape[1]!, 1, l.shape[3]!, l.shape[4]!]);
      return { shape: part.shape.filter((_, d) => d !== 2), data: part.data };
    };
    const [packed] = all as [(typeof all)[0]];
    if (all.length === 1)
      for (const l of [packed.place, packed.factor]) if (l.shape[2] === 1 && !isEmpty(l)) return this.#unknown(op);
    const [q, k, v] =
      all.length === 3 ? all : [0, 1, 2].map((i) => ({ place: cut(packed.place, i), factor: cut(packed.factor, i) }));
    const places = [q, k, v].map((l) => l!.place);
    if (places.some((l) => axesOf(l).includes(1) || axesOf(l).join() !== axesOf(places[0]!).join()))
      return this.#unknown(op);
    for (const l of places) ledger.use(l);
    ledger.tie(places[0]!, places[1]!);
    const heads = ledger.blocks(places[0]!, [3]);
    if (axesOf(heads).length) ledger.lieIn(places[2]!, heads);
    for (const l of [q, k]) ledger.limit(l!.factor, NO_SCALE);
    ledger.tieFactors(q!.factor, k!.factor);
    ledger.set(op.out, places[2]!, ledger.oneFactor(v!.factor, [1]));
  }

  #move(op: Op): void {
    const { ledger } = this;
    const shapes = op.inputs.map((t) => t.shape);
    const all = op.inputs.map((t) => this.ledger.of(t));
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
      return ledger.set(op.out, join(places, oneOf), join(factors, oneFactor));
    }
    const [known] = all as [(typeof all)[0]];
    const move = (l: Labels) => MOVED[name]!(l, op);
    const [place, factor] = [move(known.place), move(known.factor)];
    if (!place || !factor) return this.#unknown(op);
    ledger.use(known.place, name === "narrow" ? inBlock(known.place, how.from!, op.out.shape) : undefined);
    if (name === "pad" && how.value !== 0) ledger.limit(known.factor, ONE);
    ledger.set(op.out, place, name === "pad" && how.value !== 0 ? noLabels(op.out.rank) : factor);
  }
}

/** Operations that move elements of one tensor; null where labels cannot follow. */
const MOVED: Readonly<Record<string, (l: Labels, op: Op) => Labels | null>> = {
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

/** Where the dimensions of a moved part of one of the network's tensors come from; null for other moves. */
function viewAxes(name: string, { axes, shape }: View, to: Shape, how: Op["how"]): View["axes"] | null {
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

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

/** Tensors in what a network returns. */
function* tensorsIn(output: unknown, seen = new Set<unknown>()): Iterable<Tensor> {
  if (output instanceof Tensor) yield output;
  else if (typeof output === "object" && output !== null && !seen.has(output)) {
    seen.add(output);
    for (const value of output instanceof Map ? output.values() : Object.values(output)) yield* tensorsIn(value, seen);
  }
}
