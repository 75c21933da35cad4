import { refuse } from "../../../demand";
import { ArgumentError, ShapeError } from "../../../errors";
import { shown } from "../../../io/shown";
import { keepBatch } from "../../parts";
import { type Shape, showShape, sizeOf, stridesOf } from "../../shape";
import { scope } from "../../storage";
import { record, type Tensor } from "../../tensor";
import { mul, reshape } from "../elementwise";
import { repeated } from "../lift";
import { permute } from "../movement";
import { expectTensors } from "../operands";
import { sum } from "../reduce";
import { copyRegion } from "../strided";
import { matmul } from "./matmul";

/** A tensor with a label for each of its dimensions, no label twice. */
interface Labelled {
  readonly t: Tensor;
  readonly labels: readonly string[];
}

/** A side of the equation for one tensor: letters, and where an ellipsis stands among them. */
interface Term {
  readonly text: string;
  readonly before: readonly string[];
  /** Letters behind the ellipsis; null where there is none. */
  readonly behind: readonly string[] | null;
}

/**
 * Sums of products, by Einstein's convention: dimensions with the same letter are walked together,
 * and letters that the output does not have are summed over.
 *
 *     einsum("bik,bkj->bij", a, b)     y[b, i, j] = Σ_k a[b, i, k] · b[b, k, j]
 *
 * Without `->` the output has the letters that stand once in the equation, in the alphabet's order
 * (capitals first), behind the ellipsis's dimensions. A letter twice in one operand is its
 * diagonal. An ellipsis stands for any dimensions, aligned from the right; those not in the output
 * are summed over. Sizes of 1 are repeated. All as PyTorch's `einsum`.
 *
 * Operands are joined from left to right, each pair by a (batched) {@link matmul} over what is
 * summed there; where nothing is, or nothing else is left of either, by {@link mul} and
 * {@link sum}. Gradients are those of these operations. What leaves one operand as it is is a view.
 *
 * @throws ArgumentError for an equation that is none, or is of another number of operands.
 * @throws ShapeError for operands whose dimensions do not fit the letters, or integers.
 */
export function einsum(equation: string, ...operands: Tensor[]): Tensor {
  const { inputs, output } = parse(equation);
  if (inputs.length !== operands.length)
    throw new ArgumentError(`einsum: ${shown(equation)} is of ${inputs.length} operands, found ${operands.length}`);
  expectTensors("einsum", Object.fromEntries(operands.map((t, i) => [`operand ${i}`, t])));
  const named = inputs.map((term, i) => labelsOf(term, operands[i]!, i));
  const wanted = outputOf(output, named, equation);
  return scope(() => {
    const whole = liftedBy(named, operands);
    const sizes = sizesOf(named, whole);
    const parts = named.map((labels, i) => prepared(whole[i]!, labels, sizes));
    const joined = parts.reduce((a, b, i) => {
      const later = new Set([...wanted, ...parts.slice(i + 1).flatMap((p) => p.labels)]);
      return join(a, b, later, sizes);
    });
    const { t, labels } = summed(joined, (l) => wanted.includes(l));
    return permute(
      t,
      wanted.map((l) => labels.indexOf(l)),
    );
  });
}

/** @throws ArgumentError */
function parse(equation: string): { inputs: Term[]; output: Term | null } {
  if (typeof equation !== "string") return refuse("einsum", "equation", 'a text such as "ij,jk->ik"', equation);
  const [left, right, more] = equation.replaceAll(" ", "").split("->");
  if (more !== undefined) refuse("einsum", "equation", 'a text with "->" at most once', equation);
  const term = (text: string): Term => {
    if (!/^[A-Za-z]*(\.{3}[A-Za-z]*)?$/.test(text))
      refuse("einsum", "equation", 'letters, with "..." at most once for each tensor', equation, `not ${shown(text)}`);
    const [before, behind] = text.split("...");
    return { text, before: [...before!], behind: behind === undefined ? null : [...behind] };
  };
  return { inputs: left!.split(",").map(term), output: right === undefined ? null : term(right) };
}

/** Labels of an ellipsis's dimensions: numbers, counted from the right. */
const dotted = (count: number): string[] => Array.from({ length: count }, (_, i) => String(count - 1 - i));

const isDotted = (label: string) => /\d/.test(label);

/** A label for each dimension. @throws ShapeError where there are more or fewer. */
function labelsOf({ text, before, behind }: Term, t: Tensor, i: number): string[] {
  const free = t.rank - before.length - (behind?.length ?? 0);
  if (behind ? free < 0 : free !== 0)
    throw new ShapeError(
      `einsum: ${shown(text)} is of ${t.rank - free} dimensions${behind ? " or more" : ""}, operand ${i} has ${t.rank}: ${showShape(t.shape)}`,
    );
  return [...before, ...(behind ? [...dotted(free), ...behind] : [])];
}

/** Operands with the batch of one that is in parts: what the parts share is repeated. */
function liftedBy(named: readonly string[][], operands: readonly Tensor[]): readonly Tensor[] {
  const at = operands.findIndex((t) => t.parts > 1);
  if (at < 0) return operands;
  const parted = operands[at]!;
  const batch = named[at]![0]!;
  return operands.map((t, i) => {
    if (t.parts > 1) return t;
    const d = named[i]!.indexOf(batch);
    keepBatch("einsum", parted, d > 0 && t.shape[d] !== 1);
    return d === 0 && t.shape[0]! * parted.parts === parted.shape[0] ? repeated(t, parted.parts) : t;
  });
}

/** The size of each label; 1 repeats. @throws ShapeError where sizes differ. */
function sizesOf(named: readonly string[][], operands: readonly Tensor[]): Map<string, number> {
  const sizes = new Map<string, number>();
  named.forEach((labels, i) => {
    const { shape } = operands[i]!;
    labels.forEach((label, d) => {
      const [n, first, known = 1] = [shape[d]!, shape[labels.indexOf(label)]!, sizes.get(label)];
      const name = isDotted(label) ? "a dimension of the ellipsis" : `"${label}"`;
      if (n !== first)
        throw new ShapeError(`einsum: ${name} has sizes ${first} and ${n} in operand ${i} ${showShape(shape)}`);
      if (n !== known && n !== 1 && known !== 1)
        throw new ShapeError(`einsum: ${name} has size ${n} in operand ${i} ${showShape(shape)}, and ${known} before`);
      sizes.set(label, n === 1 ? known : n);
    });
  });
  return sizes;
}

/** The output's labels. @throws ArgumentError where they are not those of the operands. */
function outputOf(output: Term | null, named: readonly string[][], equation: string): string[] {
  const all = named.flat();
  const dots = dotted(Math.max(0, ...all.filter(isDotted).map((l) => Number(l) + 1)));
  if (!output) {
    const once = all.filter((l) => !isDotted(l) && all.indexOf(l) === all.lastIndexOf(l));
    return [...dots, ...once.sort()];
  }
  const { before, behind } = output;
  const letters = [...before, ...(behind ?? [])];
  for (const l of letters) {
    if (!all.includes(l))
      refuse("einsum", "equation", "one whose output has letters of the operands alone", equation, `"${l}"`);
    if (letters.indexOf(l) !== letters.lastIndexOf(l))
      refuse("einsum", "equation", "one whose output has each letter once", equation, `"${l}" is there twice`);
  }
  return [...before, ...(behind ? [...dots, ...behind] : [])];
}

/** An operand with each label once, and without dimensions that are to be repeated. */
function prepared(t: Tensor, labels: readonly string[], sizes: ReadonlyMap<string, number>): Labelled {
  const own = [...new Set(labels)];
  keepBatch("einsum", t, labels.indexOf(labels[0]!, 1) > 0);
  const single = own.length === labels.length ? t : diagonal(t, labels, own);
  const kept = own.filter((l, d) => single.shape[d] === sizes.get(l));
  return { t: kept.length === own.length ? single : reshape(single, shapeOf(kept, sizes)), labels: kept };
}

const shapeOf = (labels: readonly string[], sizes: ReadonlyMap<string, number>) => labels.map((l) => sizes.get(l)!);

/** y[i, j, …] = x[…] where the dimensions of each label have its index. */
function diagonal(x: Tensor, labels: readonly string[], own: readonly string[]): Tensor {
  const strides = stridesOf(x.shape);
  const shape = own.map((l) => x.shape[labels.indexOf(l)]!);
  const along = own.map((l) => strides.reduce((s, stride, d) => (labels[d] === l ? s + stride : s), 0));
  const y = x.newEmpty(shape);
  copyRegion(x, y, { shape, fromStrides: along, toStrides: stridesOf(shape) }, "einsum");
  return record("diagonal", y, [x], [], () => (g) => {
    const dx = g.newFull(x.shape, 0);
    copyRegion(g, dx, { shape, fromStrides: stridesOf(shape), toStrides: along }, "einsum");
    return [dx];
  });
}

/** The sum over all labels but those to keep. */
function summed({ t, labels }: Labelled, keep: (label: string) => boolean): Labelled {
  const axes = labels.flatMap((l, d) => (keep(l) ? [] : [d]));
  return axes.length ? { t: sum(t, axes), labels: labels.filter(keep) } : { t, labels };
}

/**
 * The product of two operands, summed over what neither the output nor a `later` operand has: with
 * what both keep as the batch, what one has alone as rows and columns.
 */
function join(
  first: Labelled,
  second: Labelled,
  later: ReadonlySet<string>,
  sizes: ReadonlyMap<string, number>,
): Labelled {
  const a = summed(first, (l) => later.has(l) || second.labels.includes(l));
  const b = summed(second, (l) => later.has(l) || first.labels.includes(l));
  const both = a.labels.filter((l) => b.labels.includes(l));
  const batch = both.filter((l) => later.has(l));
  const inner = both.filter((l) => !later.has(l));
  const rows = a.labels.filter((l) => !both.includes(l));
  const columns = b.labels.filter((l) => !both.includes(l));
  const labels = [...batch, ...rows, ...columns];
  const count = (ls: readonly string[]) => sizeOf(shapeOf(ls, sizes));
  const [planes, m, n, k] = [count(batch), count(rows), count(columns), count(inner)];
  const arranged = ({ t, labels: have }: Labelled, order: readonly string[], shape: Shape) =>
    reshape(
      permute(
        t,
        order.map((l) => have.indexOf(l)),
      ),
      shape,
    );
  let y: Tensor;
  if (!inner.length || m * n === 1) {
    const left = arranged(a, [...batch, ...rows, ...inner], [planes, m, 1, k]);
    y = mul(left, arranged(b, [...batch, ...columns, ...inner], [planes, 1, n, k]));
    if (inner.length) y = sum(y, -1);
  } else {
    const lead = batch.length ? [planes] : [];
    /** Matrices as they lie where they lie transposed, so that nothing need be moved. */
    const matrices = (of: Labelled, down: readonly string[], across: readonly string[]) => {
      const turned = down.length > 0 && [...batch, ...across, ...down].every((l, d) => of.labels[d] === l);
      const [y, x] = turned ? [across, down] : [down, across];
      return { t: arranged(of, [...batch, ...y, ...x], [...lead, count(y), count(x)]), turned };
    };
    const [left, right] = [matrices(a, rows, inner), matrices(b, inner, columns)];
    y = matmul(left.t, right.t, { transposeA: left.turned, transposeB: right.turned });
  }
  return { t: reshape(y, shapeOf(labels, sizes)), labels };
}
