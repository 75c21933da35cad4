/** How products of two activations hand on channels. */
import type { Shape } from "../../tensor/shape";
import type { Tensor } from "../../tensor/tensor";
import { axesOf, block, isEmpty, type Labels, noLabels, permuted } from "./labels";
import { type Ledger, NO_SCALE, ONE, type Op, ones, range, type Sized } from "./ledger";
import { mapped } from "./maps";

/** Sums of products: what is summed over ends here, and is one in both. */
export function product(ledger: Ledger, op: Op): boolean {
  const [a, b] = op.inputs as [Tensor, Tensor];
  const { out, how } = op;
  const [turnA, turnB] = how.turned ?? [false, false];
  const matrix = !ledger.has(b) && b.rank === 2 ? ledger.view(b) : undefined;
  const ofA = turned(ledger, a, turnA);
  if (matrix) return mapped(ledger, op, ofA, { view: matrix, inDim: turnB ? 1 : 0, outDim: turnB ? 0 : 1 });
  if ([a, b].some((t) => ledger.view(t) && !ledger.has(t))) return false;
  const ofB = turned(ledger, b, turnB);
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
  ledger.set(out, drop(place), drop(factorsOf(ledger, onLeft(ofA.factor), onRight(ofB.factor), k)));
  return true;
}

function factorsOf(ledger: Ledger, a: Labels, b: Labels, k: number): Labels {
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

function turned(ledger: Ledger, t: Tensor, turn: boolean): { place: Labels; factor: Labels; shape: Shape } {
  const { place, factor } = ledger.of(t);
  if (!turn) return { place, factor, shape: t.shape };
  const dims = [...range(0, t.rank - 2), t.rank - 1, t.rank - 2];
  return { place: permuted(place, dims), factor: permuted(factor, dims), shape: dims.map((d) => t.shape[d]!) };
}

/** q and k are summed over each head's channels, and weigh the values of that head. */
export function attention(ledger: Ledger, op: Op): boolean {
  const all = op.inputs.map((t) => ledger.of(t));
  const cut = (l: Labels, i: number): Labels => {
    const part = block(l, [0, 0, i, 0, 0], [l.shape[0]!, l.shape[1]!, 1, l.shape[3]!, l.shape[4]!]);
    return { shape: part.shape.filter((_, d) => d !== 2), data: part.data };
  };
  const [packed] = all as [(typeof all)[0]];
  if (all.length === 1)
    for (const l of [packed.place, packed.factor]) if (l.shape[2] === 1 && !isEmpty(l)) return false;
  const [q, k, v] =
    all.length === 3 ? all : [0, 1, 2].map((i) => ({ place: cut(packed.place, i), factor: cut(packed.factor, i) }));
  const places = [q, k, v].map((l) => l!.place);
  if (places.some((l) => axesOf(l).includes(1) || axesOf(l).join() !== axesOf(places[0]!).join())) return false;
  for (const l of places) ledger.use(l);
  ledger.tie(places[0]!, places[1]!);
  const heads = ledger.blocks(places[0]!, [3]);
  if (axesOf(heads).length) ledger.lieIn(places[2]!, heads);
  for (const l of [q, k]) ledger.limit(l!.factor, NO_SCALE);
  ledger.tieFactors(q!.factor, k!.factor);
  ledger.set(op.out, places[2]!, ledger.oneFactor(v!.factor, [1]));
  return true;
}
