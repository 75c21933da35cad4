import {
  type BinaryOp,
  binaryKernel,
  binaryStridedKernel,
  selectKernel,
  type UnaryGradOp,
  type UnaryOp,
  unaryGradKernel,
  unaryKernel,
} from "../../../shaders/elementwise.wgsl";
import { number, within } from "../../demand";
import { ShapeError } from "../../errors";
import { bitsOf } from "../elements";
import { refuseSizes } from "../parts";
import { axisOf, broadcastShapes, broadcastStrides, type Shape, sameShape, showShape, sizeOf } from "../shape";
import { scope } from "../storage";
import { derived, record, Tensor } from "../tensor";
import { lifted, together } from "./lift";
import { ALL, expectNumbers, expectTensors } from "./operands";
import { sumTo } from "./reduce-to";
import { stridedParams } from "./strided";

/** A tensor, or a number that stands for a tensor filled with it. */
export type Operand = Tensor | number;

function unary(op: UnaryOp, x: Tensor, a = 0, b = 0): Tensor {
  const y = x.newEmpty(x.shape);
  x.device.run(unaryKernel, op, { x: x.buffer, y: y.buffer }, { n4: x.vectors, a, b });
  return y;
}

function unaryGrad(op: UnaryGradOp, g: Tensor, s: Tensor, a = 0, b = 0): Tensor {
  const dx = g.newEmpty(g.shape);
  g.device.run(unaryGradKernel, op, { g: g.buffer, s: s.buffer, dx: dx.buffer }, { n4: g.vectors, a, b });
  return dx;
}

/** y = f(x), differentiated from its output, which is divided by where `exact`. */
function fromOutput(op: UnaryOp, grad: UnaryGradOp, x: Tensor, exact = false): Tensor {
  expectTensors(op, { x });
  const y = unary(op, x);
  return record(op, y, [x], [y], (saved) => (g) => [unaryGrad(grad, g, saved)], undefined, { exact: exact ? [y] : [] });
}

/** y = f(x), differentiated from its input, which is divided by or compared where `exact`. */
export function fromInput(op: UnaryOp, grad: UnaryGradOp, x: Tensor, a = 0, b = 0, exact = false): Tensor {
  expectTensors(op, { x });
  const backward = (saved: Tensor) => (g: Tensor) => [unaryGrad(grad, g, saved, a, b)];
  return record(op, unary(op, x, a, b), [x], [x], backward, { numbers: [a, b] }, { exact: exact ? [x] : [] });
}

/**
 * y = a·x + b. What is to be no sum at all has b = −0, which leaves zeros their signs; so has the
 * gradient.
 */
function line(op: string, x: Tensor, a: number, b = -0): Tensor {
  expectTensors(op, { x });
  return record(op, unary("affine", x, a, b), [x], [], () => (g) => [unary("affine", g, a, -0)], { numbers: [a, b] });
}

/** y = a·x + b with constants a and b. */
export function affine(x: Tensor, a: number, b = 0): Tensor {
  number("affine", "a", a);
  number("affine", "b", b);
  return line("affine", x, a, b);
}

/** y = −x. */
export function neg(x: Tensor): Tensor {
  return line("neg", x, -1);
}
/** y = |x|; the gradient at 0 is 0. */
export const abs = (x: Tensor): Tensor => fromInput("abs", "abs", x);
/** y = eˣ. */
export const exp = (x: Tensor): Tensor => fromOutput("exp", "expOfY", x);
/** y = ln x; −∞ at 0, NaN below. */
export const log = (x: Tensor): Tensor => fromInput("log", "log", x, 0, 0, true);
/** y = √x; NaN below 0. */
export const sqrt = (x: Tensor): Tensor => fromOutput("sqrt", "sqrtOfY", x, true);
/** y = x². */
export const square = (x: Tensor): Tensor => fromInput("square", "square", x);
/** y = 1/x; ±∞ at ±0. */
export const reciprocal = (x: Tensor): Tensor => fromOutput("reciprocal", "reciprocalOfY", x);
/** y = 1 / (1 + e⁻ˣ). */
export const sigmoid = (x: Tensor): Tensor => fromOutput("sigmoid", "sigmoidOfY", x);
/** y = tanh x. */
export const tanh = (x: Tensor): Tensor => fromOutput("tanh", "tanhOfY", x);
/** y = max(x, 0); the gradient at 0 is 0. */
export const relu = (x: Tensor): Tensor => fromOutput("relu", "reluOfY", x);

/** y = x where x > 0, else slope·x. @throws ArgumentError for a slope that is no number. */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  within("leakyRelu", "slope", slope, -Infinity, Infinity);
  return fromInput("leakyRelu", "leakyReluOfX", x, slope);
}

/**
 * y = min(max(x, low), high), `high` everywhere if it is less than `low`; the gradient passes where
 * low ≤ x ≤ high. Either may be infinite. @throws ArgumentError for a bound that is no number.
 */
export function clamp(x: Tensor, low: number, high: number): Tensor {
  within("clamp", "low", low, -Infinity, Infinity);
  within("clamp", "high", high, -Infinity, Infinity);
  // What lies on a bound that f16 has not would be rounded to either side of it.
  const exact = [low, high].some((bound) => (bitsOf(bound, "f32") & 0x1fff) !== 0);
  return fromInput("clamp", "clampOfX", x, low, high, exact);
}

/**
 * y = xᵖ for a constant p (rounded to f32), as PyTorch's `pow`: negative x have a real power where
 * p is whole, else NaN; x⁰ is 1 for every x, 1ᵖ is 1 for every p, and 0ᵖ is ∞ for p < 0.
 *
 * Right to a few units in the last place, and to 2⁻¹⁶ of y near the ends of f32's range.
 * @throws ArgumentError for a p that is no number (NaN is one).
 */
export function pow(x: Tensor, p: number): Tensor {
  number("pow", "p", p);
  expectTensors("pow", { x });
  // Even NaN to the power of 0 is 1, and its derivative 0.
  if (p === 0)
    return record("pow", x.newFull(x.shape, 1), [x], [], () => (g) => [g.newFull(g.shape, 0)], { numbers: [p] });
  return fromInput("pow", "powOfX", x, p, p - 1, p < 1);
}

/** y = −1, 0 or 1, and NaN for NaN; no gradient. */
export function sign(x: Tensor): Tensor {
  expectTensors("sign", { x });
  return derived("sign", unary("sign", x), [x]);
}

/** f(a, b) with broadcasting; no graph. */
function binary(op: BinaryOp, a: Tensor, b: Tensor, name: string = op): Tensor {
  expectTensors(name, { a, b });
  if (sameShape(a.shape, b.shape)) {
    const y = a.newEmpty(a.shape);
    a.device.run(binaryKernel, op, { a: a.buffer, b: b.buffer, y: y.buffer }, { n4: y.vectors });
    return y;
  }
  const shape = broadcastShapes(a.shape, b.shape, name);
  const y = a.newEmpty(shape);
  const { rank, params } = stridedParams(
    shape,
    broadcastStrides(a.shape, shape),
    broadcastStrides(b.shape, shape),
    name,
  );
  a.device.run(binaryStridedKernel, { op, rank }, { x: a.buffer, z: b.buffer, y: y.buffer }, params);
  return y;
}

/** Gives two operands to `f` as tensors; numbers have shape [], and are freed after it. */
function withTensors(op: string, a: Operand, b: Operand, f: (a: Tensor, b: Tensor) => Tensor): Tensor {
  const like = [a, b].find((v) => v instanceof Tensor);
  if (!like) expectTensors(op, { a });
  const asTensor = (name: string, v: Operand): Tensor => {
    if (typeof v === "number") return like!.newFull([], Math.fround(v));
    expectTensors(op, { [name]: v });
    return v;
  };
  return scope(() => together(op, asTensor("a", a), asTensor("b", b), f));
}

/** y = a + b, broadcasting. */
export function add(a: Tensor, b: Operand): Tensor {
  if (typeof b === "number") return line("add", a, 1, b);
  return together("add", a, b, sumOf);
}

const sumOf = (a: Tensor, b: Tensor): Tensor =>
  record("add", binary("add", a, b), [a, b], [], () => (g) => [sumTo(g, a.shape), sumTo(g, b.shape)]);

/** y = a − b, broadcasting. */
export function sub(a: Tensor, b: Operand): Tensor {
  if (typeof b === "number") return line("sub", a, 1, -b);
  return together("sub", a, b, difference);
}

const difference = (a: Tensor, b: Tensor): Tensor =>
  record("sub", binary("sub", a, b), [a, b], [], () => (g) => [sumTo(g, a.shape), sumTo(neg(g), b.shape)]);

/** y = a · b elementwise, broadcasting. */
export function mul(a: Tensor, b: Operand): Tensor {
  if (typeof b === "number") return line("mul", a, b);
  return together("mul", a, b, productOf);
}

const productOf = (a: Tensor, b: Tensor): Tensor =>
  record("mul", binary("mul", a, b), [a, b], [a, b], (sa, sb) => (g) => [
    a.requiresGrad ? sumTo(binary("mul", g, sb), a.shape) : null,
    b.requiresGrad ? sumTo(binary("mul", g, sa), b.shape) : null,
  ]);

/** y = a / b elementwise, broadcasting. At least one is a tensor. */
export function div(a: Operand, b: Operand): Tensor {
  if (typeof b !== "number") return withTensors("div", a, b, quotient);
  expectTensors("div", { a });
  const x = a as Tensor;
  return record("div", unary("divide", x, b), [x], [], () => (g) => [unary("divide", g, b)], { numbers: [b] });
}

function quotient(a: Tensor, b: Tensor): Tensor {
  const backward = (sa: Tensor, sb: Tensor) => (g: Tensor) => [
    a.requiresGrad ? sumTo(binary("div", g, sb), a.shape) : null,
    b.requiresGrad ? sumTo(neg(binary("mul", g, binary("div", binary("div", sa, sb), sb))), b.shape) : null,
  ];
  return record("div", binary("div", a, b), [a, b], [a, b], backward, undefined, { exact: [a, b] });
}

function extremum(op: "max" | "min", a: Operand, b: Operand): Tensor {
  const name = `${op}imum`;
  return withTensors(name, a, b, (x, z) => {
    const backward = (sx: Tensor, sz: Tensor) => (g: Tensor) => {
      // `share` is the greater one's: the less one's is that of the exchanged operands.
      const part = (mine: Tensor, other: Tensor) =>
        binary("part", g, op === "max" ? binary("share", mine, other) : binary("share", other, mine));
      return [
        x.requiresGrad ? sumTo(part(sx, sz), x.shape) : null,
        z.requiresGrad ? sumTo(part(sz, sx), z.shape) : null,
      ];
    };
    return record(name, binary(op, x, z, name), [x, z], [x, z], backward, undefined, { exact: [x, z] });
  });
}

/**
 * y = max(a, b) elementwise, broadcasting; NaN where either is. Ties share the gradient equally.
 */
export const maximum = (a: Tensor, b: Operand): Tensor => extremum("max", a, b);
/**
 * y = min(a, b) elementwise, broadcasting; NaN where either is. Ties share the gradient equally.
 */
export const minimum = (a: Tensor, b: Operand): Tensor => extremum("min", a, b);

type Comparison = "equal" | "greater" | "greaterEqual" | "less" | "lessEqual";

/** 1 where the comparison holds, else 0, broadcasting; no gradient. */
const compared = (op: Comparison, a: Tensor, b: Operand): Tensor =>
  withTensors(op, a, b, (x, z) => derived("compare", binary(op, x, z, op), [x, z], { form: op }));

/** 1 where a > b, else 0, broadcasting; no gradient. Nothing compares with NaN. */
export const greater = (a: Tensor, b: Operand): Tensor => compared("greater", a, b);
/** 1 where a ≥ b, else 0, otherwise as {@link greater}. */
export const greaterEqual = (a: Tensor, b: Operand): Tensor => compared("greaterEqual", a, b);
/** 1 where a < b, else 0, otherwise as {@link greater}. */
export const less = (a: Tensor, b: Operand): Tensor => compared("less", a, b);
/** 1 where a ≤ b, else 0, otherwise as {@link greater}. */
export const lessEqual = (a: Tensor, b: Operand): Tensor => compared("lessEqual", a, b);
/** 1 where a = b, else 0, otherwise as {@link greater}. */
export const equal = (a: Tensor, b: Operand): Tensor => compared("equal", a, b);

/** The bits that tell a number from 0: −0 is 0 too. */
const NONZERO = { f32: 0x7fffffff, i32: 0xffffffff, u32: 0xffffffff } as const;

/**
 * y = condition ≠ 0 ? a : b; three tensors of one shape. The condition is of any type (NaN is not
 * 0), a and b are of one type, integers too.
 * @throws ShapeError for other shapes or types.
 */
export function where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  expectTensors("where", { condition, a, b }, ALL);
  return selected(...lifted([condition, a, b] as const));
}

function selected(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  if (a.dtype !== b.dtype)
    throw new ShapeError(`where: a and b are tensors of one type, found ${a.dtype} and ${b.dtype}`);
  if (!sameShape(condition.shape, a.shape) || !sameShape(a.shape, b.shape)) {
    throw new ShapeError(
      `where: three equal shapes expected, found ${[condition, a, b].map((t) => showShape(t.shape)).join(", ")}`,
    );
  }
  const pick = (c: Tensor, x: Tensor, z: Tensor): Tensor => {
    const y = x.newEmpty(x.shape);
    const buffers = { c: c.buffer, a: x.buffer, b: z.buffer, y: y.buffer };
    x.device.run(selectKernel, null, buffers, { n4: y.vectors, mask: NONZERO[c.dtype] });
    return y;
  };
  const y = derived("where", pick(condition, a, b), [condition]);
  const backward = (c: Tensor) => (g: Tensor) => {
    const zero = g.newFull(g.shape, 0);
    return [pick(c, g, zero), pick(c, zero, g)];
  };
  return record("where", y, [a, b], [condition], backward, { chosen: [condition] }, { exact: [condition] });
}

/**
 * The same elements under another shape; one size may be −1, which is then what is left. Never a
 * copy: both share their memory, and what is written to one, the other has too.
 * @throws ArgumentError for a shape that is no list of numbers, or does not say whether it is of
 * one branch of a network or of all; ShapeError when it does not hold as many elements.
 */
export function reshape(x: Tensor, shape: Shape | number): Tensor {
  expectTensors("reshape", { x }, ALL);
  const sizes = expectNumbers("reshape", "shape", shape);
  const known = sizes.reduce((n, d) => (d === -1 ? n : n * d), 1);
  const open = sizes.filter((d) => d === -1).length;
  if (open > 1 || (open === 1 && known === 0))
    throw new ShapeError(
      `reshape: ${showShape(sizes)} may be several shapes: expected ${open > 1 ? "−1 once" : "every size, where one of them is 0"}`,
    );
  const target = sizesOfParts(x, sizes, known, open > 0).map((d) => (d === -1 ? x.size / known : d));
  if (sizeOf(target) !== x.size || !target.every((d) => Number.isSafeInteger(d) && d >= 0))
    throw new ShapeError(
      `reshape: ${showShape(x.shape)} holds ${x.size} elements, which do not fill shape ${showShape(sizes)}`,
    );
  return record("reshape", x.view(target), [x], [], () => (g) => [g.view(x.shape)]);
}

/**
 * The sizes of a reshape of all parts of a batch. A network's code may have the first one from a
 * tensor in front of the branches, and means each part then: it does where all sizes are given, and
 * are those of a part. Behind an open one there may be anything, and either may be meant.
 */
function sizesOfParts(x: Tensor, sizes: readonly number[], known: number, isOpen: boolean): readonly number[] {
  const { parts } = x;
  const [first, ...rest] = sizes;
  if (parts === 1 || first === undefined || first === -1) return sizes;
  const each = x.size / parts;
  if (!isOpen) return known === each && known > 0 ? [first * parts, ...rest] : sizes;
  if (first !== x.shape[0] && each % known === 0) refuseSizes("reshape", x, sizes);
  return sizes;
}

/** Every dimension from `start` on as one. @throws ShapeError when there is no such dimension. */
export function flatten(x: Tensor, start = 1): Tensor {
  expectTensors("flatten", { x }, ALL);
  const d = axisOf(start, x.rank, "flatten");
  return reshape(x, [...x.shape.slice(0, d), sizeOf(x.shape.slice(d))]);
}
