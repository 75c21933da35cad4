/** A norm that ends in max-pooling equals the norm and maxPool2d behind it, gradients included. */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import type { Affine } from "../../src/tensor/ops/norm/affine";
import { type Normalisation, normalise, normaliseThenPool } from "../../src/tensor/ops/norm/normalise";
import { maxPool2d } from "../../src/tensor/ops/pool";
import type { Shape } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, gradcheck, randomData, randomTensor, withCaps } from "../support/gpu";
import { NORM_FORMS } from "../support/norms";

let device: Device;
beforeAll(async () => {
  device = await gpu();
});

type Form = "scale" | "shift" | "both" | "rows" | "none";
/** What x holds: random numbers, few different ones, or numbers whose norm is mostly below 0. */
type Values = "random" | "ties" | "low";

interface Case {
  norm: "bn" | "gn" | "in" | "none";
  /** Of one part. */
  shape: Shape;
  forms: readonly Form[];
  relu: boolean;
  parts?: number;
  shared?: boolean;
  pool?: number;
  values?: Values;
  /** Running sets; evaluated with them where `training` is false. */
  running?: number;
  training?: boolean;
  /** γ and β need no gradient. */
  constant?: boolean;
}

const OVER = { bn: "batch", gn: { groups: 2 }, in: "positions", none: "nothing" } as const;

const valuesOf = (shape: Shape, values: Values): Float32Array =>
  randomData(shape, 1, 2).map((v) => (values === "ties" ? Math.round(v) : v));

const leaf = (data: Float32Array, shape: Shape, requiresGrad = true) => {
  const t = Tensor.from(data, shape);
  t.requiresGrad = requiresGrad;
  return t;
};

function affineOf(form: Form, c: number, seed: number, { values, constant = false }: Case): Affine {
  const make = (shape: Shape, k: number, offset = 0) =>
    leaf(
      randomData(shape, seed + k).map((v) => v + offset),
      shape,
      !constant,
    );
  if (form === "rows") return make([2, c], 0);
  return {
    ...((form === "scale" || form === "both") && { gamma: make([c], 0) }),
    ...((form === "shift" || form === "both") && { beta: make([c], 1, values === "low" ? -1 : 0) }),
  };
}

/** Output, gradients and running statistics. */
async function measure(c: Case, fused: boolean): Promise<Map<string, Float32Array>> {
  const { norm, shape, forms, relu, parts = 1, shared = false, pool = 2, values = "random", training = true } = c;
  const channels = shape[3]!;
  const whole = shared ? shape : [parts * shape[0]!, ...shape.slice(1)];
  const x = leaf(valuesOf(whole, values), whole);
  const affine = forms.map((form, a) => affineOf(form, channels, 10 * (a + 1), c));
  const running = Array.from({ length: c.running ?? 0 }, (_, r) => ({
    mean: randomTensor([channels], 41 + r),
    variance: Tensor.from(
      randomData([channels], 51 + r).map((v) => 1 + v * v),
      [channels],
    ),
  }));
  const y = scope(() => {
    const n: Normalisation = {
      over: OVER[norm],
      ...{ parts, shared, affine, relu, eps: 1e-3 },
      running: norm === "bn" ? { sets: running, training, momentum: 0.3 } : undefined,
    };
    const y = fused ? normaliseThenPool(x, n, pool) : maxPool2d(normalise(x, n), pool);
    y.backward(Tensor.from(randomData(y.shape, 7), y.shape));
    return y;
  });
  const found = new Map([["y", await y.data()]]);
  const tensors: [string, Tensor][] = [
    ["dx", x],
    ...affine.flatMap((a, i) =>
      Object.entries(a instanceof Tensor ? { rows: a } : a).map(
        ([name, t]) => [`d${name} ${i}`, t] as [string, Tensor],
      ),
    ),
  ];
  for (const [name, t] of tensors) if (t.grad) found.set(name, await t.grad.data());
  for (const [i, { mean, variance }] of running.entries()) {
    found.set(`mean ${i}`, await mean.data());
    found.set(`variance ${i}`, await variance.data());
  }
  for (const t of [y, ...tensors.map(([, t]) => t), ...running.flatMap((r) => [r.mean, r.variance])]) t.dispose();
  return found;
}

const EVEN = [3, 4, 6, 8] as const;
const ODD = [2, 5, 7, 8] as const;
const TALL = [2, 4, 5, 3] as const;
const LONG = [4, 16, 16, 4] as const;

const CASES: Case[] = [
  { norm: "bn", shape: EVEN, forms: ["both"], relu: true, running: 1 },
  { norm: "bn", shape: ODD, forms: ["both"], relu: true, running: 1 },
  { norm: "bn", shape: LONG, forms: ["rows"], relu: true },
  { norm: "bn", shape: TALL, forms: ["scale"], relu: false },
  { norm: "bn", shape: EVEN, forms: ["none"], relu: true },
  { norm: "bn", shape: ODD, forms: ["both"], relu: true, constant: true },
  { norm: "bn", shape: EVEN, forms: ["both"], relu: true, values: "ties" },
  { norm: "bn", shape: ODD, forms: ["rows"], relu: false, values: "ties" },
  { norm: "bn", shape: LONG, forms: ["both"], relu: true, values: "low" },
  { norm: "bn", shape: LONG, forms: ["both"], relu: false, values: "low" },
  { norm: "bn", shape: EVEN, forms: ["both"], relu: true, running: 1, training: false },
  { norm: "bn", shape: ODD, forms: ["shift"], relu: false, running: 1, training: false },
  { norm: "bn", shape: [2, 7, 8, 4], forms: ["both"], relu: true, pool: 3 },
  { norm: "bn", shape: EVEN, forms: ["both", "rows"], relu: true, parts: 2, running: 2 },
  { norm: "bn", shape: EVEN, forms: ["both", "rows"], relu: true, parts: 2, shared: true, running: 2 },
  { norm: "bn", shape: ODD, forms: ["both"], relu: true, parts: 2, running: 1 },
  { norm: "bn", shape: [5, 9, 11, 8], forms: ["both"], relu: true, running: 1, values: "ties" },
  { norm: "bn", shape: [5, 9, 11, 8], forms: ["both", "rows"], relu: true, parts: 2, running: 2 },
  { norm: "bn", shape: [5, 8, 12, 8], forms: ["rows", "none"], relu: false, parts: 2, shared: true, running: 1 },
  { norm: "bn", shape: ODD, forms: ["rows", "both"], relu: true, parts: 2, running: 2, training: false },
  { norm: "bn", shape: EVEN, forms: ["both", "rows"], relu: true, parts: 2, shared: true, running: 2, training: false },
  { norm: "gn", shape: EVEN, forms: ["both"], relu: true },
  { norm: "gn", shape: ODD, forms: ["rows"], relu: true, values: "ties" },
  { norm: "gn", shape: [2, 5, 4, 6], forms: ["both"], relu: true },
  { norm: "gn", shape: LONG, forms: ["both", "rows"], relu: true, parts: 2, shared: true },
  { norm: "gn", shape: ODD, forms: ["both", "rows"], relu: true, parts: 2 },
  { norm: "in", shape: ODD, forms: ["both"], relu: true },
  { norm: "in", shape: EVEN, forms: ["both", "rows"], relu: true, parts: 2 },
  { norm: "none", shape: ODD, forms: ["both"], relu: true },
  { norm: "none", shape: EVEN, forms: ["rows", "both"], relu: true, parts: 2, shared: true },
];

const title = (c: Case) =>
  [
    `${c.norm} of ${c.shape.join("×")}`,
    `${c.forms.join(" and ")}${c.constant ? " (constant)" : ""}`,
    c.relu ? "ReLU" : "no ReLU",
    ...(c.values ? [`${c.values} values`] : []),
    ...(c.parts ? [`${c.parts} parts${c.shared ? " of one input" : ""}`] : []),
    ...(c.running ? [`${c.running} running${c.training === false ? ", evaluated" : ""}`] : []),
    `windows of ${c.pool ?? 2}`,
  ].join(", ");

describe("a norm that ends in max-pooling", () => {
  const cases = Object.entries(NORM_FORMS).flatMap(([form, caps], f) =>
    CASES.filter((c) => f === 0 || c.norm === "bn").map((c) => [`${title(c)}, ${form}`, c, caps] as const),
  );
  it.each(cases)("is the norm with maxPool2d behind it: %s", async (_, c, caps) => {
    const before = memory();
    const measured = (fused: boolean) => withCaps(device, caps, () => measure(c, fused));
    const [mine, theirs] = [await measured(true), await measured(false)];
    expect([...mine.keys()]).toEqual([...theirs.keys()]);
    expectClose(mine.get("y")!, theirs.get("y")!, { rtol: 0, atol: 0, what: "y" });
    for (const [name, expected] of theirs) {
      const size = Math.max(...expected.map(Math.abs));
      expect(size, name).toBeGreaterThan(0);
      expectClose(mine.get(name)!, expected, { rtol: 1e-6, atol: 1e-6 * size, what: name });
    }
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });

  it("passes the gradient of a tie to the first maximum, and none where ReLU left nothing", async () => {
    // One channel without statistics: windows [5 5; 1 5], [−1 −2; −3 −1] and, in the column behind,
    // none.
    const x = leaf(Float32Array.of(5, 5, -1, -2, 9, 1, 5, -3, -1, 9), [1, 2, 5, 1]);
    const y = scope(() => {
      const y = normaliseThenPool(x, { over: "nothing", relu: true }, 2);
      y.backward(Tensor.from(Float32Array.of(3, 4), y.shape));
      return y;
    });
    expect([...(await y.data())]).toEqual([5, 0]);
    expect([...(await x.grad!.data())]).toEqual([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (const t of [x, y]) t.dispose();
  });

  it("passes NaN on", async () => {
    const y = scope(() => {
      const x = Tensor.from(Float32Array.of(1, Number.NaN, 3, 4, 1, 2, 3, 4), [2, 2, 2, 1]);
      return normaliseThenPool(x, { over: "nothing", relu: true }, 2);
    });
    expect([...(await y.data())]).toEqual([Number.NaN, 4]);
    y.dispose();
  });

  it.each([
    [
      "batch norm",
      true,
      (x: Tensor, gamma: Tensor, beta: Tensor) => normaliseThenPool(x, { over: "batch", affine: [{ gamma, beta }] }, 2),
    ],
    [
      "group norm",
      false,
      (x: Tensor, gamma: Tensor, beta: Tensor) =>
        normaliseThenPool(x, { over: { groups: 1 }, affine: [{ gamma, beta }], relu: true }, 2),
    ],
  ] as const)("has the gradient of finite differences: %s", async (_, odd, f) => {
    const shape = odd ? [2, 3, 2, 2] : [1, 4, 4, 2];
    // Far enough apart that no step changes the winner of a window.
    const x = randomData(shape, 3, 0.04).map((v, i) => v + ((i * 5) % 13) / 3);
    const [gamma, beta] = [Float32Array.of(0.7, -1.2), Float32Array.of(1.1, 0.9)];
    await gradcheck(
      (...inputs) => f(...(inputs as [Tensor, Tensor, Tensor])),
      [
        { shape, data: x },
        { shape: [2], data: gamma },
        { shape: [2], data: beta },
      ],
      { probes: 32 },
    );
  });

  it("takes two launches less a step than the norm and the pooling", async () => {
    const launches = (fused: boolean) => {
      const before = device.counters.dispatches;
      scope(() => {
        const x = leaf(randomData([4, 6, 6, 8], 1), [4, 6, 6, 8]);
        const n: Normalisation = { over: "batch", affine: [{ gamma: leaf(randomData([8], 2), [8]) }], relu: true };
        const y = fused ? normaliseThenPool(x, n, 2) : maxPool2d(normalise(x, n), 2);
        y.backward(randomTensor(y.shape, 9));
      });
      return device.counters.dispatches - before;
    };
    expect(launches(true)).toBe(launches(false) - 2);
  });

  it("may be empty", () => {
    scope(() =>
      expect(normaliseThenPool(Tensor.full([0, 5, 4, 3], 0), { over: "positions" }, 2).shape).toEqual([0, 2, 2, 3]),
    );
  });

  it("leaves what has no windows to the pooling behind it", () => {
    scope(() => {
      const x = Tensor.full([2, 3, 4, 8], 1);
      const run = (x: Tensor, k: number) => () => normaliseThenPool(x, { over: "batch" }, k);
      expect(run(x, 1)().shape).toEqual([2, 3, 4, 8]);
      expect(run(x, 0)).toThrow(ArgumentError);
      expect(run(x, 4)).toThrow(ShapeError);
      expect(run(Tensor.full([2, 8], 1), 2)).toThrow(ShapeError);
    });
  });
});
