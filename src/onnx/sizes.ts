/**
 * Which sizes of a network's tensors go with the size of its batch: two passes, of two batches,
 * tell.
 */
import { ArgumentError } from "../errors";
import { sameShape, showShape } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";
import type { TracedOp } from "../tensor/trace";

type Op = TracedOp<Tensor>;

/** A size of a dimension: a number, or so many for each item of the batch. */
export type Size = number | { readonly perItem: number };

/** What of a traced pass leads to its outputs, in order. */
export interface Route {
  readonly batch: number;
  readonly inputs: readonly Tensor[];
  readonly ops: readonly Op[];
  readonly outputs: readonly Tensor[];
}

/** Sizes of the tensors of a pass, as those of batches of any size. */
export class Sizes {
  readonly #pairs = new Map<Tensor, Tensor>();
  readonly #batches: readonly [number, number] | null;

  /**
   * @param other the same of another batch; null where the batch has one size
   * @throws ArgumentError where the two passes are of different operations.
   */
  constructor(first: Route, other: Route | null) {
    this.#batches = other && [first.batch, other.batch];
    if (!other) return;
    if (first.ops.length !== other.ops.length || first.outputs.length !== other.outputs.length)
      differ(first, other, "it runs other operations");
    first.inputs.forEach((t, i) => this.#pairs.set(t, other.inputs[i]!));
    first.ops.forEach((op, i) => {
      const twin = other.ops[i]!;
      const same = op.name === twin.name && op.inputs.length === twin.inputs.length && toldOf(op) === toldOf(twin);
      if (!same || !sameData(op.how.data, twin.how.data)) differ(first, other, `"${op.name}" does something else`);
      this.#pairs.set(op.out, twin.out);
      for (const t of operandsOf(op)) this.sizes(t);
      for (const t of [op.out]) this.sizes(t);
    });
  }

  /**
   * Sizes of a tensor's dimensions.
   * @throws ArgumentError for one that goes with the batch otherwise.
   */
  sizes(t: Tensor): readonly Size[] {
    const twin = this.#pairs.get(t);
    if (!twin || !this.#batches) return t.shape;
    const [n, m] = this.#batches;
    if (twin.rank === t.rank)
      return t.shape.map((size, d): Size => {
        const other = twin.shape[d]!;
        if (size === other) return size;
        if (size * m === other * n && size % n === 0) return { perItem: size / n };
        return refuse(t, twin);
      });
    return refuse(t, twin);
  }
}

/** Tensors that an operation is given. */
export const operandsOf = ({ inputs, how: { chosen = [], norm } }: Op): readonly Tensor[] => [
  ...inputs,
  ...chosen,
  ...(norm?.running ? [norm.running.mean, norm.running.variance] : []),
];

/** What is told of an operation beside its tensors, as text. */
function toldOf({ how: { norm, data: _, chosen, ...rest } }: Op): string {
  const stated = norm && {
    ...{ over: norm.over, eps: norm.eps, relu: norm.relu, pooled: norm.pooled, running: norm.running !== null },
    affine: norm.affine === "rows" ? "rows" : [!!norm.affine.gamma, !!norm.affine.beta],
  };
  return JSON.stringify({ ...rest, chosen: chosen?.length, norm: stated }, (_, value: unknown) =>
    typeof value === "number" ? String(value) : value,
  );
}

const sameData = (a: ArrayLike<number> | undefined, b: ArrayLike<number> | undefined): boolean =>
  a === b || (!!a && !!b && a.length === b.length && Array.prototype.every.call(a, (v, i) => Object.is(v, b[i])));

const ADVICE = 'export it for batches of one size, with { batch: "fixed" }';

function differ(first: Route, other: Route, what: string): never {
  throw new ArgumentError(
    `exportOnnx: the network computes otherwise for batches of ${first.batch} and of ${other.batch} (${what}): ${ADVICE}`,
  );
}

function refuse(a: Tensor, b: Tensor): never {
  throw new ArgumentError(
    `exportOnnx: a tensor inside is ${showShape(a.shape)} for one batch and ${showShape(b.shape)} for another, which is no multiple of the batch: ${ADVICE}`,
  );
}

/** Whether two lists of sizes are the same. */
export const sameSizes = (a: readonly Size[], b: readonly Size[]): boolean =>
  sameShape(a.map(asNumber), b.map(asNumber)) && a.every((s, d) => typeof s === typeof b[d]);

const asNumber = (size: Size): number => (typeof size === "number" ? size : size.perItem);
