import { ShapeError } from "../../../errors";
import type { SumSoFar } from "../../graph";
import { expectUnparted, keepBatch } from "../../parts";
import { broadcastShapes, type Shape, sameShape, showShape, sizeOf } from "../../shape";
import { scope } from "../../storage";
import { record, type Tensor } from "../../tensor";
import { lifted } from "../lift";
import { expectFlag, expectOptional, expectOptions, expectTensors } from "../operands";
import { sum } from "../reduce";
import { sumTo } from "../reduce-to";
import { matmulFor } from "./matmul-strategies";

/** Options of {@link matmul}. */
export interface MatmulOptions {
  /** Use the transpose of a's last two dimensions (default false). */
  transposeA?: boolean;
  /** Use the transpose of b's last two dimensions (default false). */
  transposeB?: boolean;
}

interface Extents {
  m: number;
  n: number;
  k: number;
  batch: Shape;
}

/**
 * Matrix product over the last two dimensions, batched over the rest.
 *
 *     y[…, m, n] = Σ_k op(a)[…, m, k] · op(b)[…, k, n]
 *
 * Shapes: a [..., M, K] (or [..., K, M] with `transposeA`), b [..., K, N] (or [..., N, K]); leading
 * dimensions are equal, or missing on one side, which is then repeated. Both have at least two
 * dimensions.
 * @throws ShapeError when K differs, the leading dimensions neither agree nor are missing, or for
 * integers.
 */
export function matmul(left: Tensor, right: Tensor, options: MatmulOptions = {}): Tensor {
  expectTensors("matmul", { a: left, b: right });
  expectOptions("matmul", options, ["transposeA", "transposeB"]);
  const { transposeA = false, transposeB = false } = options;
  expectFlag("matmul", "transposeA", transposeA);
  expectFlag("matmul", "transposeB", transposeB);
  // Rows of two dimensions are the batch: they may be a's, and nothing else.
  keepBatch("matmul", left, left.rank === 2 && (transposeA || right.rank > 2));
  keepBatch("matmul", right, right.rank === 2);
  const [a, b] = left.rank > 2 ? lifted([left, right] as const) : [left, right];
  const y = product(a, b, transposeA, transposeB, null);
  const backward = (sa: Tensor, sb: Tensor) => (g: Tensor, sumSoFar: SumSoFar<Tensor>) => [
    a.requiresGrad ? gradA(g, sb, transposeA, transposeB, { shape: a.shape, sumSoFar: () => sumSoFar(0) }) : null,
    b.requiresGrad ? gradB(g, sa, transposeA, transposeB, { shape: b.shape, sumSoFar: () => sumSoFar(1) }) : null,
  ];
  return record("matmul", y, [a, b], [a, b], backward, { turned: [transposeA, transposeB] });
}

/**
 * y = x · W + b, the affine map of a fully connected layer. Shapes: x [..., I], w [I, O], bias
 * [O] → [..., O].
 * @throws ShapeError when I or O differ, or for integers.
 */
export function linear(x: Tensor, w: Tensor, bias: Tensor | null = null): Tensor {
  expectTensors("linear", { x, w });
  expectOptional("linear", { bias });
  expectUnparted("linear", { w, bias });
  const [i, o] = w.shape;
  if (w.rank !== 2 || x.shape[x.rank - 1] !== i) {
    throw new ShapeError(
      `linear: input ${showShape(x.shape)} and weight ${showShape(w.shape)}: the input's last size must be the weight's first`,
    );
  }
  if (bias && !sameShape(bias.shape, [o!]))
    throw new ShapeError(`linear: bias ${showShape(bias.shape)} for ${o} outputs`);
  const lead = x.shape.slice(0, -1);
  const rows = [sizeOf(lead), i!];
  const y = scope(() => product(x.view(rows), w, false, false, bias).view([...lead, o!]));
  return record("linear", y, bias ? [x, w, bias] : [x, w], [x, w], (sx, sw) => (grad, sumSoFar) => {
    const g = grad.view([rows[0]!, o!]);
    return [
      x.requiresGrad ? product(g, sw, false, true, null).view(x.shape) : null,
      w.requiresGrad ? gradient(sx.view(rows), g, true, false, { shape: w.shape, sumSoFar: () => sumSoFar(1) }) : null,
      bias?.requiresGrad ? sum(g, [0]) : null,
    ];
  });
}

/** Where a gradient goes. */
interface Toward {
  readonly shape: Shape;
  readonly sumSoFar: () => Tensor | null;
}

function gradA(g: Tensor, b: Tensor, ta: boolean, tb: boolean, toward: Toward): Tensor | null {
  return ta ? gradient(b, g, tb, true, toward) : gradient(g, b, false, !tb, toward);
}

function gradB(g: Tensor, a: Tensor, ta: boolean, tb: boolean, toward: Toward): Tensor | null {
  return tb ? gradient(g, a, true, ta, toward) : gradient(a, g, !ta, false, toward);
}

/** A product, summed to the shape it goes to; null where it was added to the sum so far. */
function gradient(a: Tensor, b: Tensor, ta: boolean, tb: boolean, { shape, sumSoFar }: Toward): Tensor | null {
  const { m, n, k, batch } = extents(a, b, ta, tb);
  const whole = sameShape([...batch, m, n], shape) && k > 0 && sizeOf(shape) > 0;
  const size = { m, n, k, planes: sizeOf(batch), transA: ta, transB: tb };
  const sum = whole && matmulFor(a.device, size).adds ? sumSoFar() : null;
  const grad = product(a, b, ta, tb, null, sum);
  return sum ? null : sumTo(grad, shape);
}

function extents(a: Tensor, b: Tensor, ta: boolean, tb: boolean): Extents {
  if (a.rank < 2 || b.rank < 2)
    throw new ShapeError(`matmul: at least two dimensions each, found ${showShape(a.shape)} and ${showShape(b.shape)}`);
  const [ar, ac] = a.shape.slice(-2) as [number, number];
  const [br, bc] = b.shape.slice(-2) as [number, number];
  const [m, k] = ta ? [ac, ar] : [ar, ac];
  const [kb, n] = tb ? [bc, br] : [br, bc];
  if (k !== kb) {
    const show = (t: Tensor, flag: boolean) => showShape(t.shape) + (flag ? " transposed" : "");
    throw new ShapeError(`matmul: ${show(a, ta)} times ${show(b, tb)}: the inner sizes ${k} and ${kb} differ`);
  }
  const [la, lb] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  if (la.length && lb.length && !sameShape(la, lb)) {
    throw new ShapeError(
      `matmul: batch dimensions ${showShape(la)} and ${showShape(lb)} differ: make them equal (expand), or leave them off one side`,
    );
  }
  return { m, n, k, batch: broadcastShapes(la, lb, "matmul") };
}

function product(
  a: Tensor,
  b: Tensor,
  transA: boolean,
  transB: boolean,
  bias: Tensor | null,
  sum: Tensor | null = null,
): Tensor {
  const { m, n, k, batch } = extents(a, b, transA, transB);
  const shape = [...batch, m, n];
  // An empty sum is zero.
  if (k === 0 && !bias) return a.newFull(shape, 0);
  if (sizeOf(shape) === 0) return a.newEmpty(shape);
  const size = { m, n, k, planes: sizeOf(batch), transA, transB };
  return matmulFor(a.device, size).product(a, b, bias, size, shape, sum);
}
