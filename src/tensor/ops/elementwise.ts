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
import { ShapeError } from "../../errors";
import { broadcastShapes, broadcastStrides, checkShape, type Shape, sameShape, showShape } from "../shape";
import { scope } from "../storage";
import { record, Tensor } from "../tensor";
import { sumTo } from "./reduce-to";
import { stridedParams } from "./strided";

/** A tensor, or a number that stands for a tensor filled with it. */
export type Operand = Tensor | number;

function unary(op: UnaryOp, x: Tensor, a = 0, b = 0): Tensor {
  expectFloat(op, x);
  const y = Tensor.empty(x.shape);
  x.device.run(unaryKernel, op, { x: x.buffer, y: y.buffer }, { n4: x.vectors, a, b });
  return y;
}

function unaryGrad(op: UnaryGradOp, g: Tensor, s: Tensor, a = 0, b = 0): Tensor {
  const dx = Tensor.empty(g.shape);
  g.device.run(unaryGradKernel, op, { g: g.buffer, s: s.buffer, dx: dx.buffer }, { n4: g.vectors, a, b });
  return dx;
}

/** y = f(x), differentiated from its output. */
function fromOutput(op: UnaryOp, grad: UnaryGradOp, x: Tensor, a = 0, b = 0): Tensor {
  const y = unary(op, x, a, b);
  return record(op, y, [x], [y], (saved) => (g) => [unaryGrad(grad, g, saved, a, b)]);
}

/** y = f(x), differentiated from its input. */
function fromInput(op: UnaryOp, grad: UnaryGradOp, x: Tensor, a = 0, b = 0): Tensor {
  return record(op, unary(op, x, a, b), [x], [x], (saved) => (g) => [unaryGrad(grad, g, saved, a, b)]);
}

/** y = a·x + b with constants a and b. */
export function affine(x: Tensor, a: number, b = 0): Tensor {
  return record("affine", unary("affine", x, a, b), [x], [], () => (g) => [unary("affine", g, a, 0)]);
}

/** y = −x. */
export const neg = (x: Tensor): Tensor => affine(x, -1);
/** y = |x|; the gradient at 0 is 0. */
export const abs = (x: Tensor): Tensor => fromInput("abs", "abs", x);
/** y = eˣ. */
export const exp = (x: Tensor): Tensor => fromOutput("exp", "expOfY", x);
/** y = ln x. */
export const log = (x: Tensor): Tensor => fromInput("log", "log", x);
/** y = √x. */
export const sqrt = (x: Tensor): Tensor => fromOutput("sqrt", "sqrtOfY", x);
/** y = x². */
export const square = (x: Tensor): Tensor => fromInput("square", "square", x);
/** y = 1/x. */
export const reciprocal = (x: Tensor): Tensor => fromOutput("reciprocal", "reciprocalOfY", x);
/** y = 1 / (1 + e⁻ˣ). */
export const sigmoid = (x: Tensor): Tensor => fromOutput("sigmoid", "sigmoidOfY", x);
/** y = tanh x. */
export const tanh = (x: Tensor): Tensor => fromOutput("tanh", "tanhOfY", x);
/** y = max(x, 0); the gradient at 0 is 0. */
export const relu = (x: Tensor): Tensor => fromOutput("relu", "reluOfY", x);
/** y = x where x > 0, else slope·x. */
export const leakyRelu = (x: Tensor, slope = 0.01): Tensor => fromInput("leakyRelu", "leakyReluOfX", x, slope);
/** y = min(max(x, low), high); the gradient passes where low ≤ x ≤ high. */
export const clamp = (x: Tensor, low: number, high: number): Tensor => fromInput("clamp", "clampOfX", x, low, high);
/** y = xᵖ for a constant p; x must be positive unless p is 1 (use {@link square} for squares). */
export const powScalar = (x: Tensor, p: number): Tensor => fromInput("pow", "powOfX", x, p);
/** y = −1, 0 or 1; no gradient. */
export const sign = (x: Tensor): Tensor => unary("sign", x);

/** f(a, b) with broadcasting; no graph. */
function binary(op: BinaryOp, a: Tensor, b: Tensor): Tensor {
  expectFloat(op, a, b);
  if (sameShape(a.shape, b.shape)) {
    const y = Tensor.empty(a.shape);
    a.device.run(binaryKernel, op, { a: a.buffer, b: b.buffer, y: y.buffer }, { n4: y.vectors });
    return y;
  }
  const shape = broadcastShapes(a.shape, b.shape, op);
  const y = Tensor.empty(shape);
  const { rank, params } = stridedParams(shape, broadcastStrides(a.shape, shape), broadcastStrides(b.shape, shape), op);
  a.device.run(binaryStridedKernel, { op, rank }, { x: a.buffer, z: b.buffer, y: y.buffer }, params);
  return y;
}

/** Gives numbers to `f` as tensors of shape [], which are freed after it. */
const withTensors = (operands: readonly Operand[], f: (tensors: Tensor[]) => Tensor): Tensor =>
  scope(() => f(operands.map((v) => (typeof v === "number" ? Tensor.full([], v) : v))));

/** y = a + b, broadcasting. */
export function add(a: Tensor, b: Operand): Tensor {
  if (typeof b === "number") return affine(a, 1, b);
  return record("add", binary("add", a, b), [a, b], [], () => (g) => [sumTo(g, a.shape), sumTo(g, b.shape)]);
}

/** y = a − b, broadcasting. */
export function sub(a: Tensor, b: Operand): Tensor {
  if (typeof b === "number") return affine(a, 1, -b);
  return record("sub", binary("sub", a, b), [a, b], [], () => (g) => [sumTo(g, a.shape), sumTo(neg(g), b.shape)]);
}

/** y = a · b elementwise, broadcasting. */
export function mul(a: Tensor, b: Operand): Tensor {
  if (typeof b === "number") return affine(a, b);
  return record("mul", binary("mul", a, b), [a, b], [a, b], (sa, sb) => (g) => [
    a.requiresGrad ? sumTo(binary("mul", g, sb), a.shape) : null,
    b.requiresGrad ? sumTo(binary("mul", g, sa), b.shape) : null,
  ]);
}

/** y = a / b elementwise, broadcasting. */
export function div(a: Operand, b: Operand): Tensor {
  if (typeof b === "number") return withTensors([a], ([x]) => affine(x!, 1 / b));
  return withTensors([a, b], ([x, z]) => quotient(x!, z!));
}

function quotient(a: Tensor, b: Tensor): Tensor {
  return record("div", binary("div", a, b), [a, b], [a, b], (sa, sb) => (g) => {
    const da = binary("div", g, sb);
    return [
      a.requiresGrad ? sumTo(da, a.shape) : null,
      b.requiresGrad ? sumTo(neg(binary("mul", da, binary("div", sa, sb))), b.shape) : null,
    ];
  });
}

function extremum(op: "max" | "min", a: Tensor, b: Tensor): Tensor {
  return record(op, binary(op, a, b), [a, b], [a, b], (sa, sb) => (g) => {
    const wins = binary(op === "max" ? "greater" : "less", sa, sb);
    const ties = affine(binary("equal", sa, sb), 0.5);
    const share = binary("mul", g, binary("add", wins, ties));
    return [
      a.requiresGrad ? sumTo(share, a.shape) : null,
      b.requiresGrad ? sumTo(binary("sub", g, share), b.shape) : null,
    ];
  });
}

/** y = max(a, b) elementwise, broadcasting; ties share the gradient equally. */
export const maximum = (a: Tensor, b: Operand): Tensor => withTensors([a, b], ([x, z]) => extremum("max", x!, z!));
/** y = min(a, b) elementwise, broadcasting; ties share the gradient equally. */
export const minimum = (a: Tensor, b: Operand): Tensor => withTensors([a, b], ([x, z]) => extremum("min", x!, z!));

/** 1 where the comparison holds, else 0, broadcasting; no gradient. */
export function compare(
  op: "equal" | "greater" | "greaterEqual" | "less" | "lessEqual",
  a: Tensor,
  b: Operand,
): Tensor {
  return withTensors([a, b], ([x, z]) => binary(op, x!, z!));
}

/** y = condition ≠ 0 ? a : b; three tensors of one shape. */
export function where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  if (!sameShape(condition.shape, a.shape) || !sameShape(a.shape, b.shape)) {
    throw new ShapeError(
      `where: three equal shapes expected, found ${[condition, a, b].map((t) => showShape(t.shape)).join(", ")}`,
    );
  }
  const pick = (c: Tensor, x: Tensor, z: Tensor): Tensor => {
    const y = Tensor.empty(x.shape);
    x.device.run(selectKernel, null, { c: c.buffer, a: x.buffer, b: z.buffer, y: y.buffer }, { n4: y.vectors });
    return y;
  };
  return record("where", pick(condition, a, b), [a, b], [condition], (c) => (g) => {
    const zero = Tensor.full(g.shape, 0);
    return [pick(c, g, zero), pick(c, zero, g)];
  });
}

/** The same elements under another shape; one size may be −1, which is then what is left. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const known = shape.reduce((n, d) => (d === -1 ? n : n * d), 1);
  const target = shape.map((d) => (d === -1 ? (known === 0 ? 0 : x.size / known) : d));
  checkShape(target);
  return record("reshape", x.view(target), [x], [], () => (g) => [g.view(x.shape)]);
}

/** Every dimension from `start` on as one. */
export const flatten = (x: Tensor, start = 1): Tensor => {
  const rest = x.shape.slice(start).reduce((n, d) => n * d, 1);
  return reshape(x, [...x.shape.slice(0, start), rest]);
};

function expectFloat(op: string, ...inputs: Tensor[]): void {
  for (const t of inputs) if (t.dtype !== "f32") throw new ShapeError(`${op}: needs f32 tensors, found ${t.dtype}`);
}
