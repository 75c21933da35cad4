import {
  argmaxKernel,
  partialOp,
  type ReduceGradOp,
  type ReduceOp,
  type ReduceRank,
  reduceGradKernel,
  reduceKernel,
  reduceLanes,
} from "../../../shaders/reduce.wgsl";
import { flag, within } from "../../demand";
import { ShapeError } from "../../errors";
import type { PooledBuffer } from "../../gpu/pool";
import { keepBatch } from "../parts";
import { axisOf, collapse, type Shape, showShape, sizeOf, stridesOf } from "../shape";
import { derived, record, type Tensor } from "../tensor";
import type { TracedHow } from "../trace";
import { euclidean } from "./euclidean";
import { expectNumbers, expectOptions, expectTensors } from "./operands";
import { addSplits } from "./splits";

/**
 * Dimensions to reduce: one, several, or (left out) all. Negative ones count from the end; an empty
 * list reduces nothing.
 */
export type Axes = number | readonly number[];

/** Options of every reduction. */
export interface ReduceOptions {
  /** Keep reduced dimensions with size 1 (default false). */
  readonly keepdim?: boolean | undefined;
}

/** What a reduction does to a shape. */
interface Plan {
  /** By dimension: whether it is reduced. */
  readonly reduced: readonly boolean[];
  /** Shape of the result. */
  readonly shape: Shape;
  /** Elements that go into one result. */
  readonly length: number;
  /** For traces. */
  readonly how: TracedHow<Tensor>;
}

const OPTIONS = ["keepdim"] as const;

function plan(what: string, x: Tensor, axes: Axes | undefined, options: ReduceOptions = {}): Plan {
  expectTensors(what, { x });
  expectOptions(what, options, OPTIONS);
  const { keepdim = false } = options;
  flag(what, "keepdim", keepdim);
  const list =
    axes === undefined
      ? x.shape.map((_, d) => d)
      : expectNumbers(what, "axes", axes).map((a) => axisOf(a, x.rank, what));
  if (new Set(list).size !== list.length) {
    throw new ShapeError(
      `${what}: dimensions [${[axes].flat().join(", ")}] of a tensor of shape ${showShape(x.shape)} name one twice`,
    );
  }
  const reduced = x.shape.map((_, d) => list.includes(d));
  keepBatch(what, x, reduced[0] === true);
  return {
    reduced,
    shape: x.shape.flatMap((n, d) => (!reduced[d] ? [n] : keepdim ? [1] : [])),
    length: sizeOf(x.shape.filter((_, d) => reduced[d])),
    how: { axes: list },
  };
}

/** Merges neighbouring dimensions that are kept alike, innermost last. */
function merged(shape: Shape, reduced: readonly boolean[]): { n: number; reduced: boolean }[] {
  const out: { n: number; reduced: boolean }[] = [];
  shape.forEach((n, d) => {
    const last = out[out.length - 1];
    if (n === 1) return;
    if (last && last.reduced === reduced[d]) last.n *= n;
    else out.push({ n, reduced: reduced[d]! });
  });
  return out;
}

const RANKS = [1, 2, 4] as const;

/**
 * y = scale · reduction of x into `into`, without a graph. Long reductions to few results go in
 * stages.
 * @param centre One value for each result, for the operations that need it.
 */
function reduceInto(
  op: ReduceOp,
  x: Tensor,
  shape: Shape,
  reduced: readonly boolean[],
  into: Tensor,
  scale: number,
  centre?: Tensor,
): void {
  const dims = merged(shape, reduced);
  const inner = dims[dims.length - 1];
  const vector = !inner || inner.n % 4 ? "none" : inner.reduced ? "rows" : "columns";
  if (inner && vector !== "none") inner.n /= 4;
  const strides = stridesOf(dims.map((d) => d.n));
  const part = (isReduced: boolean) =>
    dims.flatMap((d, i) => (d.reduced === isReduced ? [{ n: d.n, s: strides[i]! }] : []));
  const [kept, gone] = [part(false), part(true)];
  const rank: ReduceRank | undefined = RANKS.find((r) => r >= kept.length && r >= gone.length);
  if (!rank)
    throw new ShapeError(
      `${op}: reducing ${showShape(shape)} alternates between kept and reduced dimensions more than 4 times: reshape first`,
    );
  const outputs = kept.reduce((m, d) => m * d.n, 1);
  const length = gone.reduce((m, d) => m * d.n, 1);
  const lanes = reduceLanes(outputs, length, x.device.caps);
  const innerReduced = inner?.reduced ?? false;
  const sizes: Record<string, number> = {};
  for (let d = 0; d < rank; d++) {
    sizes[`k_n${d}`] = kept[d - rank + kept.length]?.n ?? 1;
    sizes[`k_s${d}`] = kept[d - rank + kept.length]?.s ?? 0;
    sizes[`r_n${d}`] = gone[d - rank + gone.length]?.n ?? 1;
    sizes[`r_s${d}`] = gone[d - rank + gone.length]?.s ?? 0;
  }
  // Lanes of one result lie beside each other when the innermost dimension is reduced, else the
  // results do: whoever is a neighbour reads a neighbour.
  const partialShape = innerReduced ? [into.size, lanes] : [lanes, into.size];
  const run = (y: PooledBuffer) =>
    x.device.run(
      reduceKernel,
      { op, rank, vector },
      { x: x.buffer, c: (centre ?? x).buffer, y },
      {
        outputs,
        length,
        lanes,
        kept_div: innerReduced ? lanes : 1,
        lane_div: innerReduced ? 1 : outputs,
        scale: lanes > 1 ? 1 : scale,
        ...(sizes as Record<`${"k" | "r"}_${"n" | "s"}${0 | 1 | 2 | 3}`, number>),
      },
    );
  if (lanes === 1) return run(into.buffer);
  const isSum = partialOp(op) === "sum" && scale === 1;
  if (isSum && !innerReduced && reduceLanes(into.size, lanes, x.device.caps) === 1) return addSplits(into, lanes, run);
  const y = into.newEmpty(partialShape);
  run(y.buffer);
  reduceInto(partialOp(op), y, partialShape, [!innerReduced, innerReduced], into, scale);
  y.dispose();
}

function reduce(op: ReduceOp, x: Tensor, { reduced, shape, length }: Plan, scale = 1, centre?: Tensor): Tensor {
  if (length === 0) return x.newFull(shape, 0);
  const y = x.newEmpty(shape);
  if (y.size > 0) reduceInto(op, x, x.shape, reduced, y, scale, centre);
  return y;
}

/** Gradient towards x (shape and reduced dimensions given) from values for each result. */
function spread(
  op: ReduceGradOp,
  shape: Shape,
  reduced: readonly boolean[],
  of: { g: Tensor; x?: Tensor; c?: Tensor; d?: Tensor },
  scale = 1,
): Tensor {
  const { g, x = g, c = g, d = g } = of;
  const dx = g.newEmpty(shape);
  const own = stridesOf(shape.map((n, i) => (reduced[i] ? 1 : n)));
  const { shape: sizes, strides } = collapse(
    shape,
    own.map((s, i) => (reduced[i] ? 0 : s)),
  );
  const rank = ([2, 4, 8] as const).find((r) => r >= sizes.length);
  if (!rank)
    throw new ShapeError(
      `the gradient of a reduction of ${showShape(shape)} alternates between kept and reduced dimensions too often: reshape first`,
    );
  const params: Record<string, number> = {};
  for (let i = 0; i < rank; i++) {
    params[`n${i}`] = sizes[i - rank + sizes.length] ?? 1;
    params[`s${i}`] = strides[0]![i - rank + sizes.length] ?? 0;
  }
  const buffers = { g: g.buffer, x: x.buffer, c: c.buffer, d: d.buffer, dx: dx.buffer };
  g.device.run(reduceGradKernel, { op, rank }, buffers, {
    count: dx.size,
    scale,
    ...(params as Record<`${"n" | "s"}${0 | 1 | 2 | 3}`, number>),
  });
  return dx;
}

/**
 * y = Σ x over `axes` (all by default), in a fixed order. An empty sum is 0.
 * @throws ShapeError for a dimension that x does not have or that is named twice, or integers.
 */
export function sum(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  const p = plan("sum", x, axes, options);
  const backward = () => (g: Tensor) => [spread("sum", x.shape, p.reduced, { g })];
  return record("sum", reduce("sum", x, p), [x], [], backward, p.how);
}

/**
 * y = the mean of x over `axes` (all by default). The mean of nothing is NaN.
 * @throws ShapeError as {@link sum}.
 */
export function mean(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  const p = plan("mean", x, axes, options);
  const y = p.length === 0 ? x.newFull(p.shape, Number.NaN) : reduce("sum", x, p, 1 / p.length);
  return record("mean", y, [x], [], () => (g) => [spread("sum", x.shape, p.reduced, { g }, 1 / p.length)], p.how);
}

function extremum(op: "amax" | "amin", x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  const p = plan(op, x, axes, options);
  if (p.length === 0)
    throw new ShapeError(`${op}: no elements to choose from along the reduced dimensions of ${showShape(x.shape)}`);
  const y = reduce(op, x, p);
  const backward = (sx: Tensor, sy: Tensor) => (g: Tensor) => {
    const d = reduce("ties", sx, p, 1, sy);
    return [spread("extremum", sx.shape, p.reduced, { g, x: sx, c: sy, d })];
  };
  return record(op, y, [x], [x, y], backward, p.how, { exact: [x, y] });
}

/**
 * y = the greatest of x over `axes` (all by default); NaN when one is NaN. Elements that tie share
 * the gradient equally.
 * @throws ShapeError as {@link sum}, and when there is nothing to reduce.
 */
export const amax = (x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor => extremum("amax", x, axes, options);

/** y = the smallest of x over `axes`, otherwise as {@link amax}. */
export const amin = (x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor => extremum("amin", x, axes, options);

/** Options of {@link variance}. */
export interface VarianceOptions extends ReduceOptions {
  /** 1 (default) for the unbiased estimate, 0 for the variance of x itself. */
  readonly correction?: number | undefined;
}

/**
 * y = Σ (x − mean)² / (n − correction) over `axes` (all by default), in two passes. With n ≤
 * correction it is NaN.
 * @throws ShapeError as {@link sum}. @throws ArgumentError for a negative correction.
 */
export function variance(x: Tensor, axes?: Axes, options: VarianceOptions = {}): Tensor {
  expectOptions("variance", options, ["correction", ...OPTIONS]);
  const { correction = 1, ...rest } = options;
  within("variance", "correction", correction, 0, Infinity);
  const p = plan("variance", x, axes, rest);
  const degrees = p.length - correction;
  if (degrees <= 0) {
    return record("variance", x.newFull(p.shape, Number.NaN), [x], [], () => (g) => [g.newFull(x.shape, Number.NaN)]);
  }
  const centre = reduce("sum", x, p, 1 / p.length);
  const y = reduce("centredSquares", x, p, 1 / degrees, centre);
  const backward = (sx: Tensor, sc: Tensor) => (g: Tensor) => [
    spread("centredSquares", sx.shape, p.reduced, { g, x: sx, c: sc }, 2 / degrees),
  ];
  const out = record(
    "variance",
    y,
    [x],
    [x, centre],
    backward,
    { ...p.how, numbers: [correction] },
    // Its derivative is x − mean: of numbers that are far from 0 and near each other, what rounding
    // took.
    { exact: [x, centre] },
  );
  centre.dispose();
  return out;
}

/** y = Σ x² over `axes` (all by default). @throws ShapeError as {@link sum}. */
export function sumSquares(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  const p = plan("sumSquares", x, axes, options);
  const backward = (sx: Tensor) => (g: Tensor) => [spread("sumSquares", sx.shape, p.reduced, { g, x: sx })];
  return record("sumSquares", reduce("sumSquares", x, p), [x], [x], backward, p.how);
}

/**
 * y = √(Σ x²) over all elements, of shape [], without overflow of the squares; the gradient at 0
 * is 0.
 * @throws ShapeError for integers.
 */
export function norm(x: Tensor): Tensor {
  const p = plan("norm", x, undefined);
  const y = euclidean(x.size ? [x] : [], x.device);
  const backward = (sx: Tensor, sy: Tensor) => (g: Tensor) => [
    spread("norm", sx.shape, p.reduced, { g, x: sx, c: sy }),
  ];
  return record("norm2", y, [x], [x, y], backward, undefined, { exact: [x, y] });
}

/**
 * Position of the greatest element along `axis`, as i32: the first of several, and a NaN before
 * all. No gradient. One invocation walks one line of x.
 * @throws ShapeError for a dimension that x does not have, one of size 0, or integers.
 */
export function argmax(x: Tensor, axis: number, options?: ReduceOptions): Tensor {
  expectTensors("argmax", { x });
  within("argmax", "axis", axis, -Infinity, Infinity);
  const { shape, reduced } = plan("argmax", x, axis, options);
  const d = reduced.indexOf(true);
  const n = x.shape[d] ?? 1;
  if (n === 0) throw new ShapeError(`argmax: dimension ${axis} of ${showShape(x.shape)} has no elements`);
  const y = x.newEmpty(shape, "i32");
  x.device.run(
    argmaxKernel,
    null,
    { x: x.buffer, y: y.buffer },
    { count: y.size, n, inner: sizeOf(x.shape.slice(d + 1)) },
  );
  return derived("argmax", y, [x], { axes: [d] });
}
