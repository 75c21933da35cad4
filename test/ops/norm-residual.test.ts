/**
 * A norm that ends in a residual equals the norm, the sum and the ReLU behind it, gradients too.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device";
import { BatchNorm } from "../../src/nn/batch-norm";
import { GroupNorm, LayerNorm, type Norm } from "../../src/nn/norm";
import { add, mul, relu } from "../../src/tensor/ops/elementwise";
import type { Affine } from "../../src/tensor/ops/norm/affine";
import { addsResidual, type Normalisation, normalise, normaliseThenAdd } from "../../src/tensor/ops/norm/normalise";
import type { Shape } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { traceOps } from "../../src/tensor/trace";
import { expectClose, gpu, gradcheck, randomData, randomTensor, withCaps } from "../support/gpu";
import { NORM_FORMS } from "../support/norms";

let device: Device;
beforeAll(async () => {
  device = await gpu();
});

interface Case {
  norm: "bn" | "gn" | "in" | "none";
  /** Of one part. */
  shape: Shape;
  forms: readonly ("both" | "rows" | "none")[];
  /** Of the norm, before the sum. */
  relu: boolean;
  parts?: number;
  shared?: boolean;
  /** Evaluated by running statistics. */
  evaluated?: boolean;
  /** Of these nothing is wanted. */
  constant?: readonly ("x" | "affine" | "residual")[];
  /** The residual is the norm's own input. */
  same?: boolean;
}

const OVER = { bn: "batch", gn: { groups: 2 }, in: "positions", none: "nothing" } as const;

async function measure(c: Case, fused: boolean): Promise<Map<string, Float32Array>> {
  const { norm, shape, forms, parts = 1, shared = false, constant = [] } = c;
  const channels = shape.at(-1)!;
  const whole = [parts * shape[0]!, ...shape.slice(1)];
  const leaf = (of: Shape, seed: number, from: "x" | "affine" | "residual") => {
    const t = randomTensor(of, seed, 2);
    t.requiresGrad = !constant.includes(from);
    return t;
  };
  const x = leaf(shared ? shape : whole, 1, "x");
  const r = c.same ? x : leaf(whole, 2, "residual");
  const affine = forms.map((form, a): Affine => {
    if (form === "rows") return leaf([2, channels], 11 + a, "affine");
    if (form === "none") return {};
    return { gamma: leaf([channels], 21 + a, "affine"), beta: leaf([channels], 31 + a, "affine") };
  });
  const running = { mean: randomTensor([channels], 41), variance: Tensor.full([channels], 1.5) };
  const n: Normalisation = {
    over: OVER[norm],
    ...{ parts, shared, affine, relu: c.relu, eps: 1e-3 },
    running: norm === "bn" ? { sets: [running], training: !c.evaluated, momentum: 0.3 } : undefined,
  };
  const y = scope(() => {
    const residual = parts > 1 ? inParts(r, parts) : r;
    if (fused) expect(addsResidual(x, n, residual)).toBe(true);
    const y = fused ? normaliseThenAdd(x, n, residual) : relu(add(normalise(x, n), residual));
    if (y.requiresGrad) y.backward(randomTensor(y.shape, 7));
    return y;
  });
  const found = new Map([["y", await y.data()]]);
  const tensors: [string, Tensor][] = [
    ["dx", x],
    ["dr", r],
    ...affine.flatMap((a, i) =>
      Object.entries(a instanceof Tensor ? { rows: a } : a).map(([k, t]) => [`d${k} ${i}`, t] as [string, Tensor]),
    ),
  ];
  for (const [name, t] of tensors) if (t.grad) found.set(name, await t.grad.data());
  for (const [name, t] of Object.entries(running)) found.set(name, await t.data());
  for (const t of new Set([y, ...tensors.map(([, t]) => t), ...Object.values(running)])) t.dispose();
  return found;
}

/** The same tensor, known to hold parts. */
function inParts(t: Tensor, parts: number): Tensor {
  const marked = mul(t, 1);
  marked.parts = parts;
  return marked;
}

const IMAGE = [3, 4, 6, 8] as const;
const LARGE = [5, 9, 11, 8] as const;
const ODD = [2, 5, 7, 3] as const;

const CASES: Case[] = [
  { norm: "bn", shape: IMAGE, forms: ["both"], relu: true },
  { norm: "bn", shape: ODD, forms: ["both"], relu: false },
  { norm: "bn", shape: [70, 6], forms: ["rows"], relu: true },
  { norm: "bn", shape: LARGE, forms: ["both"], relu: true },
  { norm: "bn", shape: LARGE, forms: ["rows", "both"], relu: false, parts: 2 },
  { norm: "bn", shape: LARGE, forms: ["both"], relu: true, parts: 2, shared: true },
  { norm: "bn", shape: LARGE, forms: ["both"], relu: true, constant: ["x", "affine"] },
  { norm: "bn", shape: IMAGE, forms: ["none"], relu: true },
  { norm: "bn", shape: IMAGE, forms: ["both"], relu: true, same: true },
  { norm: "bn", shape: IMAGE, forms: ["both"], relu: true, constant: ["residual"] },
  { norm: "bn", shape: IMAGE, forms: ["both"], relu: true, constant: ["x"] },
  { norm: "bn", shape: IMAGE, forms: ["both"], relu: true, constant: ["x", "affine"] },
  { norm: "bn", shape: IMAGE, forms: ["both"], relu: false, constant: ["affine"] },
  { norm: "bn", shape: IMAGE, forms: ["both"], relu: true, constant: ["x", "affine", "residual"] },
  { norm: "bn", shape: IMAGE, forms: ["both", "rows"], relu: true, parts: 2 },
  { norm: "bn", shape: ODD, forms: ["rows", "both"], relu: true, parts: 2, shared: true },
  { norm: "bn", shape: IMAGE, forms: ["both"], relu: true, evaluated: true },
  { norm: "bn", shape: IMAGE, forms: ["both"], relu: true, evaluated: true, constant: ["affine"] },
  { norm: "bn", shape: ODD, forms: ["both", "rows"], relu: false, evaluated: true, parts: 2 },
  { norm: "gn", shape: IMAGE, forms: ["both"], relu: true },
  { norm: "gn", shape: [5, 8], forms: ["both"], relu: true },
  { norm: "gn", shape: IMAGE, forms: ["both", "rows"], relu: true, parts: 2, shared: true },
  { norm: "in", shape: ODD, forms: ["both"], relu: false },
  { norm: "none", shape: IMAGE, forms: ["rows"], relu: true },
];

const title = (c: Case) => JSON.stringify(c);

describe("a norm that ends in a residual", () => {
  const cases = Object.entries(NORM_FORMS).flatMap(([form, caps], f) =>
    CASES.filter((c) => f === 0 || c.norm === "bn").map((c) => [`${title(c)}, ${form}`, c, caps] as const),
  );
  it.each(cases)("is the norm, the sum and a ReLU: %s", async (_, c, caps) => {
    const before = memory();
    const measured = (fused: boolean) => withCaps(device, caps, () => measure(c, fused));
    const [mine, theirs] = [await measured(true), await measured(false)];
    expect([...mine.keys()]).toEqual([...theirs.keys()]);
    for (const [name, expected] of theirs) {
      const size = Math.max(...expected.map(Math.abs));
      expect(size, name).toBeGreaterThan(0);
      expectClose(mine.get(name)!, expected, { rtol: 1e-6, atol: 2e-6 * size, what: name });
    }
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });

  it("has the gradient of finite differences", async () => {
    const shape = [3, 2, 2, 2];
    await gradcheck(
      (x, gamma, beta, r) => {
        const n: Normalisation = { over: "batch", affine: [{ gamma, beta }], relu: true };
        return normaliseThenAdd(x!, n, r!);
      },
      [
        { shape, data: randomData(shape, 3, 2) },
        { shape: [2], data: Float32Array.of(0.7, -1.2) },
        { shape: [2], data: Float32Array.of(1.1, 0.9) },
        { shape, data: randomData(shape, 4, 2) },
      ],
      { probes: 32 },
    );
  });

  it("takes two launches less forward and one backward", async () => {
    const launches = (fused: boolean) => {
      const before = device.counters.dispatches;
      scope(() => {
        const [x, r] = [randomTensor(IMAGE, 1), randomTensor(IMAGE, 2)];
        for (const t of [x, r]) t.requiresGrad = true;
        const n: Normalisation = { over: "batch", relu: true };
        const y = fused ? normaliseThenAdd(x, n, r) : relu(add(normalise(x, n), r));
        y.backward(randomTensor(y.shape, 9));
      });
      return device.counters.dispatches - before;
    };
    expect(launches(true)).toBe(launches(false) - 3);
  });
});

describe("norm.residual", () => {
  const norms: [string, () => Norm][] = [
    ["batch norm with a ReLU of its own", () => new BatchNorm(8, { relu: true })],
    ["group norm", () => new GroupNorm(2, 8)],
    ["layer norm, whose kernel adds none", () => new LayerNorm(8)],
  ];

  it.each(norms)("is max(norm(x) + r, 0): %s", async (_, make) => {
    const norm = make();
    const [y, expected] = scope(() => {
      const [x, r] = [randomTensor(IMAGE, 1), randomTensor(IMAGE, 2)];
      return noGrad(() => [norm.residual(x, r), relu(add(norm.forward(x), r))]);
    }) as [Tensor, Tensor];
    expectClose(await y.data(), await expected.data(), { rtol: 1e-6, atol: 1e-6 });
    for (const each of [y, expected, norm]) each.dispose();
  });

  it("adds a residual of another shape as the sum does", async () => {
    const norm = new BatchNorm(8);
    const [y, expected] = scope(() => {
      const [x, r] = [randomTensor(IMAGE, 1), randomTensor([8], 2)];
      return [norm.residual(x, r), relu(add(norm.forward(x), r))];
    }) as [Tensor, Tensor];
    expectClose(await y.data(), await expected.data(), { rtol: 1e-6, atol: 1e-6 });
    for (const each of [y, expected, norm]) each.dispose();
  });

  it("shows a trace the three operations", () => {
    const norm = new BatchNorm(8);
    scope(() => {
      const [x, r] = [randomTensor(IMAGE, 1), randomTensor(IMAGE, 2)];
      const names = traceOps(() => void norm.residual(x, r)).map(({ name }) => name);
      expect(names).toEqual(["batchNorm", "add", "relu"]);
    });
    norm.dispose();
  });
});
