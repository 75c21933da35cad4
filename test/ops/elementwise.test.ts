import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors";
import { gelu, hardswish, silu } from "../../src/tensor/ops/activations";
import * as ops from "../../src/tensor/ops/elementwise";
import { Generator } from "../../src/tensor/random";
import { broadcastShapes, broadcastStrides, type Shape, sizeOf, stridesOf } from "../../src/tensor/shape";
import { scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, gradcheck, randomData } from "../support/gpu";

const leaf = (data: Float32Array, shape: Shape): Tensor => {
  const t = Tensor.from(data, shape);
  t.requiresGrad = true;
  return t;
};
const coarse = (data: Float32Array) => data.map((v) => Math.round(v * 2) / 2);
const positive = (data: Float32Array) => data.map((v) => Math.abs(v) + 0.05);
const logistic = (x: number) => 1 / (1 + Math.exp(-x));
const normalDensity = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
/**
 * Φ(x), by the series ½ + φ(x) (x + x³/3 + x⁵/15 + …), whose terms have one sign; below 0 by
 * symmetry.
 */
function normalBelow(x: number): number {
  if (x < 0) return 1 - normalBelow(-x);
  let [sum, term] = [0, x];
  for (let k = 1; term > 1e-18; k += 2) {
    sum += term;
    term *= (x * x) / (k + 2);
  }
  return 0.5 + normalDensity(x) * sum;
}
const geluInner = (x: number) => 2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);

interface Unary {
  op: (x: Tensor) => Tensor;
  y: (x: number) => number;
  dx: (x: number) => number;
  /** What the inputs are made: numbers that tie and fall on kinks, or positive ones. */
  inputs?: (data: Float32Array) => Float32Array;
}

/** Every unary operation: value and derivative. */
const unary: Record<string, Unary> = {
  neg: { op: ops.neg, y: (x) => -x, dx: () => -1 },
  abs: { op: ops.abs, y: Math.abs, dx: Math.sign, inputs: coarse },
  exp: { op: ops.exp, y: Math.exp, dx: Math.exp },
  log: { op: ops.log, y: Math.log, dx: (x) => 1 / x, inputs: positive },
  sqrt: { op: ops.sqrt, y: Math.sqrt, dx: (x) => 0.5 / Math.sqrt(x), inputs: positive },
  square: { op: ops.square, y: (x) => x * x, dx: (x) => 2 * x },
  reciprocal: { op: ops.reciprocal, y: (x) => 1 / x, dx: (x) => -1 / x / x, inputs: positive },
  sigmoid: { op: ops.sigmoid, y: logistic, dx: (x) => logistic(x) * (1 - logistic(x)) },
  tanh: { op: ops.tanh, y: Math.tanh, dx: (x) => 1 - Math.tanh(x) ** 2 },
  relu: { op: ops.relu, y: (x) => Math.max(x, 0), dx: (x) => (x > 0 ? 1 : 0), inputs: coarse },
  leakyRelu: {
    op: (x) => ops.leakyRelu(x, 0.1),
    y: (x) => (x > 0 ? x : 0.1 * x),
    dx: (x) => (x > 0 ? 1 : 0.1),
    inputs: coarse,
  },
  clamp: {
    op: (x) => ops.clamp(x, -0.5, 1),
    y: (x) => Math.min(Math.max(x, -0.5), 1),
    dx: (x) => (x >= -0.5 && x <= 1 ? 1 : 0),
    inputs: coarse,
  },
  pow: { op: (x) => ops.pow(x, 2.5), y: (x) => x ** 2.5, dx: (x) => 2.5 * x ** 1.5, inputs: positive },
  affine: { op: (x) => ops.affine(x, 3, -1), y: (x) => 3 * x - 1, dx: () => 3 },
  gelu: { op: (x) => gelu(x), y: (x) => x * normalBelow(x), dx: (x) => normalBelow(x) + x * normalDensity(x) },
  geluTanh: {
    op: (x) => gelu(x, { approximate: "tanh" }),
    y: (x) => x * logistic(geluInner(x)),
    dx: (x) => {
      const gate = logistic(geluInner(x));
      return gate + x * gate * (1 - gate) * 2 * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x ** 2);
    },
  },
  silu: { op: silu, y: (x) => x * logistic(x), dx: (x) => logistic(x) * (1 + x * (1 - logistic(x))) },
  hardswish: {
    op: hardswish,
    y: (x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
    dx: (x) => (x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5),
    inputs: (data) => coarse(data.map((v) => 1.5 * v)),
  },
  addNumber: { op: (x) => ops.add(x, 4), y: (x) => x + 4, dx: () => 1 },
  subNumber: { op: (x) => ops.sub(x, 4), y: (x) => x - 4, dx: () => 1 },
  mulNumber: { op: (x) => ops.mul(x, -3), y: (x) => -3 * x, dx: () => -3 },
  divNumber: { op: (x) => ops.div(x, 8), y: (x) => x / 8, dx: () => 1 / 8 },
  numberDiv: { op: (x) => ops.div(3, x), y: (x) => 3 / x, dx: (x) => -3 / x / x, inputs: positive },
  maximumNumber: {
    op: (x) => ops.maximum(x, 0.5),
    y: (x) => Math.max(x, 0.5),
    dx: (x) => share(x > 0.5, x === 0.5),
    inputs: coarse,
  },
  minimumNumber: {
    op: (x) => ops.minimum(x, 0.5),
    y: (x) => Math.min(x, 0.5),
    dx: (x) => share(x < 0.5, x === 0.5),
    inputs: coarse,
  },
};

function share(wins: boolean, ties: boolean): number {
  if (ties) return 0.5;
  return wins ? 1 : 0;
}

interface Binary {
  op: (a: Tensor, b: Tensor) => Tensor;
  y: (a: number, b: number) => number;
  da: (a: number, b: number) => number;
  db: (a: number, b: number) => number;
  /** What the second operand is made. */
  second?: (data: Float32Array) => Float32Array;
}

/** Every binary operation: value and both derivatives. */
const binary: Record<string, Binary> = {
  add: { op: ops.add, y: (a, b) => a + b, da: () => 1, db: () => 1 },
  sub: { op: ops.sub, y: (a, b) => a - b, da: () => 1, db: () => -1 },
  mul: { op: ops.mul, y: (a, b) => a * b, da: (_, b) => b, db: (a) => a },
  div: {
    op: ops.div,
    y: (a, b) => a / b,
    da: (_, b) => 1 / b,
    db: (a, b) => -a / b / b,
    second: (d) => positive(coarse(d)),
  },
  maximum: { op: ops.maximum, y: Math.max, da: (a, b) => share(a > b, a === b), db: (a, b) => share(b > a, a === b) },
  minimum: { op: ops.minimum, y: Math.min, da: (a, b) => share(a < b, a === b), db: (a, b) => share(b < a, a === b) },
};

/** Values and gradients of f over broadcast operands. */
function broadcast(
  f: Binary,
  a: { data: Float32Array; shape: Shape },
  b: { data: Float32Array; shape: Shape },
  seed: number,
) {
  const shape = broadcastShapes(a.shape, b.shape, "test");
  const g = randomData(shape, seed);
  const strides = stridesOf(shape);
  const [as, bs] = [broadcastStrides(a.shape, shape), broadcastStrides(b.shape, shape)];
  const y = new Float64Array(g.length);
  const da = new Float64Array(a.data.length);
  const db = new Float64Array(b.data.length);
  for (let i = 0; i < g.length; i++) {
    const at = (own: number[]) => shape.reduce((s, n, d) => s + (Math.floor(i / strides[d]!) % n) * own[d]!, 0);
    const [p, q] = [at(as), at(bs)];
    const [u, v] = [a.data[p]!, b.data[q]!];
    y[i] = f.y(u, v);
    da[p]! += g[i]! * f.da(u, v);
    db[q]! += g[i]! * f.db(u, v);
  }
  return { shape, g, y, da, db };
}

beforeAll(gpu);

describe("unary operations against plain JavaScript", () => {
  const g = new Generator(31);
  const shapes: Shape[] = [
    [],
    [1],
    [3],
    [257],
    [2, 0, 3],
    ...Array.from({ length: 8 }, () => Array.from({ length: 1 + g.integer(5) }, () => 1 + g.integer(6))),
  ];
  it.each(Object.keys(unary))("%s", async (name) => {
    const { op, y: value, dx, inputs } = unary[name]!;
    for (const [i, shape] of shapes.entries()) {
      const data = (inputs ?? ((d: Float32Array) => d))(randomData(shape, i, 3));
      const x = leaf(data, shape);
      const y = op(x);
      expect(y.shape).toEqual(shape);
      expectClose(await y.data(), [...data].map(value), { what: `${name} [${shape}]` });
      const seeds = randomData(shape, i + 40);
      y.backward(Tensor.from(seeds, shape));
      expectClose(
        await x.grad!.data(),
        [...data].map((v, k) => seeds[k]! * dx(v)),
        { what: `gradient of ${name} [${shape}]` },
      );
    }
  });

  it("sign", async () => {
    expect([...(await ops.sign(Tensor.from(Float32Array.of(-3, 0, 0.5), [3])).data())]).toEqual([-1, 0, 1]);
  });

  it("NaN stays NaN, whatever the adapter's built-in functions make of it", async () => {
    const x = Tensor.from(new Float32Array(5).fill(Number.NaN), [5]);
    for (const [name, { op }] of Object.entries(unary)) {
      expect([...(await op(x).data())].every(Number.isNaN), name).toBe(true);
    }
    const one = Tensor.full([5], 1);
    for (const [name, { op }] of Object.entries(binary)) {
      expect([...(await op(x, one).data()), ...(await op(one, x).data())].every(Number.isNaN), name).toBe(true);
      expect([...(await op(x, Tensor.full([], 1)).data())].every(Number.isNaN), `${name}, broadcast`).toBe(true);
    }
  });

  it("goes to the limits at the ends of the range", async () => {
    const x = Tensor.from(Float32Array.of(-Infinity, -200, 200, Infinity, 0), [5]);
    expectClose(await ops.sigmoid(x).data(), [0, 0, 1, 1, 0.5]);
    expectClose(await ops.tanh(x).data(), [-1, -1, 1, 1, 0]);
    expectClose(await ops.exp(x).data(), [0, 0, Infinity, Infinity, 1]);
    expectClose(await ops.log(x).data(), [Number.NaN, Number.NaN, Math.log(200), Infinity, -Infinity]);
    expectClose(await ops.relu(x).data(), [0, 0, 200, Infinity, 0]);
  });
});

it("gelu knows the normal distribution to 2e-7, and its lower tail to 1e-5 of itself", async () => {
  const x = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) / 200);
  const y = await gelu(Tensor.from(x)).data();
  for (const [i, v] of x.entries())
    expect(Math.abs(y[i]! - v * normalBelow(v)), `gelu(${v})`).toBeLessThanOrEqual(2e-7 * Math.max(Math.abs(v), 0.01));
  // 1 − Φ(t) = φ(t) (1/t − 1/t³ + 3/t⁵ − …) for large t.
  const far = Float32Array.of(-7, -8, -9, -10);
  const tail = (t: number) => normalDensity(t) * (1 / t - 1 / t ** 3 + 3 / t ** 5 - 15 / t ** 7 + 105 / t ** 9);
  expectClose(
    await gelu(Tensor.from(far)).data(),
    [...far].map((v) => v * tail(-v)),
    { rtol: 2e-5, atol: 0 },
  );
});

describe("binary operations against plain JavaScript", () => {
  const g = new Generator(32);
  const random = Array.from({ length: 8 }, () => {
    const shape = Array.from({ length: 1 + g.integer(5) }, () => 1 + g.integer(4));
    const thin = () => shape.map((n) => (g.uniform(0, 1) < 0.4 ? 1 : n)).slice(g.integer(shape.length));
    return [thin(), thin()] as const;
  });
  const nasty: (readonly [Shape, Shape])[] = [
    [[], []],
    [
      [5, 7],
      [5, 7],
    ],
    [[4, 3], []],
    [[1], [3, 1, 5]],
    [[33, 4], [4]],
    [
      [3, 1],
      [1, 5],
    ],
    [
      [2, 1, 3, 1, 2],
      [1, 3, 1, 2, 1],
    ],
    [[0, 3], [3]],
    [
      [2, 1, 2, 1, 2, 1, 2],
      [1, 2, 1, 2, 1, 2, 1],
    ],
  ];
  it.each(Object.keys(binary))("%s", async (name) => {
    const f = binary[name]!;
    for (const [i, [sa, sb]] of [...nasty, ...random].entries()) {
      const a = { data: coarse(randomData(sa, i, 2)), shape: sa };
      const b = { data: (f.second ?? coarse)(randomData(sb, i + 20, 2)), shape: sb };
      const expected = broadcast(f, a, b, i + 60);
      const [x, z] = [leaf(a.data, sa), leaf(b.data, sb)];
      const y = f.op(x, z);
      const what = `${name} [${sa}] [${sb}]`;
      expect(y.shape, what).toEqual(expected.shape);
      expectClose(await y.data(), expected.y, { what });
      y.backward(Tensor.from(expected.g, expected.shape));
      expect(x.grad!.shape, what).toEqual(sa);
      expect(z.grad!.shape, what).toEqual(sb);
      expectClose(await x.grad!.data(), expected.da, { what: `${what} by the first` });
      expectClose(await z.grad!.data(), expected.db, { what: `${what} by the second` });
    }
  });

  it("an operand used twice, and one without gradient", async () => {
    const x = leaf(Float32Array.of(2, 3), [2]);
    ops.mul(x, x).backward(Tensor.full([2], 1));
    expectClose(await x.grad!.data(), [4, 6]);
    const c = Tensor.full([2], 5);
    ops.div(ops.mul(c, x), c).backward(Tensor.full([2], 1));
    expectClose(await x.grad!.data(), [5, 7]);
    expect(c.grad).toBeNull();
  });

  it("comparisons", async () => {
    const { equal, greater, greaterEqual, less, lessEqual } = ops;
    const holds: [typeof equal, (a: number, b: number) => boolean][] = [
      [equal, (a, b) => a === b],
      [greater, (a, b) => a > b],
      [greaterEqual, (a, b) => a >= b],
      [less, (a, b) => a < b],
      [lessEqual, (a, b) => a <= b],
    ];
    const [a, b] = [coarse(randomData([37], 1)), coarse(randomData([37], 2))];
    for (const [op, f] of holds) {
      const y = op(Tensor.from(a, [37]), Tensor.from(b, [37]));
      expect([...(await y.data())]).toEqual([...a].map((v, i) => Number(f(v, b[i]!))));
      const z = op(Tensor.from(a, [37]), 0.5);
      expect([...(await z.data())]).toEqual([...a].map((v) => Number(f(v, 0.5))));
    }
  });

  it("where", async () => {
    for (const n of [0, 1, 6, 129]) {
      const [c, a, b, g] = [
        randomData([n], 1).map((v) => Number(v > 0)),
        randomData([n], 2),
        randomData([n], 3),
        randomData([n], 4),
      ];
      const [x, z] = [leaf(a, [n]), leaf(b, [n])];
      const y = ops.where(Tensor.from(c, [n]), x, z);
      expectClose(
        await y.data(),
        [...a].map((v, i) => (c[i] ? v : b[i]!)),
      );
      y.backward(Tensor.from(g, [n]));
      expectClose(
        await x.grad!.data(),
        [...g].map((v, i) => (c[i] ? v : 0)),
      );
      expectClose(
        await z.grad!.data(),
        [...g].map((v, i) => (c[i] ? 0 : v)),
      );
    }
  });

  it("reshape and flatten", async () => {
    const data = randomData([2, 3, 4], 1);
    for (const [shape, expected] of [
      [
        [4, 6],
        [4, 6],
      ],
      [[-1], [24]],
      [
        [3, -1, 2],
        [3, 4, 2],
      ],
    ] as const) {
      const x = leaf(data, [2, 3, 4]);
      const y = ops.reshape(x, shape);
      expect(y.shape).toEqual(expected);
      expect([...(await y.data())]).toEqual([...data]);
      y.backward(Tensor.from(data, expected));
      expect(x.grad!.shape).toEqual([2, 3, 4]);
      expect([...(await x.grad!.data())]).toEqual([...data]);
    }
    expect(ops.flatten(Tensor.empty([2, 3, 4])).shape).toEqual([2, 12]);
    expect(ops.flatten(Tensor.empty([2, 3, 4]), 0).shape).toEqual([24]);
    expect(ops.reshape(Tensor.empty([0, 3]), [3, -1]).shape).toEqual([3, 0]);
    expect(() => ops.reshape(Tensor.empty([5]), [2, -1])).toThrow(ShapeError);
    // Any size would do, or several: nothing is guessed.
    expect(() => ops.reshape(Tensor.empty([0, 3]), [0, -1])).toThrow(/may be several shapes: expected every size/);
    expect(() => ops.reshape(Tensor.empty([1]), [-1, -1])).toThrow(/may be several shapes: expected −1 once/);
    expect(() => ops.reshape(Tensor.empty([4]), [-1, -1])).toThrow(ShapeError);
  });
});

describe("elementwise operations against PyTorch", () => {
  const golden = new Golden("elementwise");
  const named: Record<string, (...x: Tensor[]) => Tensor> = {
    ...Object.fromEntries(
      [...Object.entries(unary), ...Object.entries(binary)].map(([k, v]) => [k, v.op as (...x: Tensor[]) => Tensor]),
    ),
    reshape: (x) => ops.reshape(x!, [7, -1]),
    flatten: (x) => ops.flatten(x!),
  };
  it.each(golden.meta("cases") as { name: string; op: string; inputs: number }[])("$name", async ({
    name,
    op,
    inputs,
  }) => {
    const x = Array.from({ length: inputs }, (_, i) =>
      leaf(golden.data(`${name}.x${i}`), golden.shape(`${name}.x${i}`)),
    );
    const y = named[op]!(...x);
    expect(y.shape).toEqual(golden.shape(`${name}.y`));
    const smooth = ["gelu", "geluTanh", "silu", "hardswish"].includes(op);
    expectClose(await y.data(), golden.data(`${name}.y`), smooth ? { rtol: 1e-6, atol: 1e-6 } : {});
    y.backward(Tensor.from(golden.data(`${name}.g`), y.shape));
    for (const [i, t] of x.entries())
      expectClose(await t.grad!.data(), golden.data(`${name}.dx${i}`), { what: `gradient of input ${i}` });
  });
});

describe("elementwise operations by finite differences", () => {
  // Far enough from every kink (0, ±0.5, 1) and from each other.
  const a = Float32Array.from({ length: 12 }, (_, i) => 0.2 + ((i * 5) % 12) / 5 + (i > 5 ? 0.07 : 0));
  const b = Float32Array.from({ length: 4 }, (_, i) => 0.31 + ((i * 3) % 4) / 1.6);
  it.each(Object.keys(unary))("%s", (name) => gradcheck(unary[name]!.op, [{ shape: [3, 4], data: a }], { step: 5e-3 }));
  it.each(Object.keys(binary))("%s", (name) =>
    gradcheck(
      binary[name]!.op,
      [
        { shape: [3, 4], data: a },
        { shape: [4], data: b },
      ],
      { step: 5e-3 },
    ));
  it("where", () =>
    gradcheck(
      (x, z) => ops.where(Tensor.from(Float32Array.of(1, 0, 0, 1), [4]), x, z),
      [
        { shape: [4], data: b },
        { shape: [4], data: b.map((v) => v + 1) },
      ],
    ));
  it("reshape", () => gradcheck((x) => ops.reshape(x, [2, -1]), [{ shape: [3, 4], data: a }]));
});

describe("edges of elementwise operations", () => {
  it("refuses shapes and types that do not fit", () => {
    const x = Tensor.full([2, 3], 0);
    expect(() => ops.add(x, Tensor.full([2], 0))).toThrow(/broadcast/);
    expect(() => ops.mul(x, Tensor.full([2, 3], 0, "i32"))).toThrow(ShapeError);
    expect(() => ops.exp(Tensor.full([2], 0, "u32"))).toThrow(ShapeError);
    expect(() => ops.where(x, x, Tensor.full([3], 0))).toThrow(ShapeError);
    const zigzag = (from: number) => Array.from({ length: 10 }, (_, d) => (d % 2 === from ? 2 : 1));
    expect(() => ops.add(Tensor.full(zigzag(0), 0), Tensor.full(zigzag(1), 0))).toThrow(/reshape first/);
  });

  it("more results than 65,535 workgroups hold", async () => {
    const rows = 32_768 * 64 + 5;
    const data = Float32Array.from({ length: 2 * rows }, (_, i) => i % 1021);
    const y = await scope(() => ops.add(Tensor.from(data, [rows, 2]), Tensor.from(Float32Array.of(1, 2), [2]))).data();
    expect(y.length).toBe(sizeOf([rows, 2]));
    expect(y.every((v, i) => v === data[i]! + 1 + (i % 2))).toBe(true);
  });
});
