/** Batch norms whose mean and variance are those of the first samples alone. */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import { add, div, mul, relu, sqrt, sub } from "../../src/tensor/ops/elementwise";
import { concat, narrow } from "../../src/tensor/ops/movement";
import { type Normalisation, normalise, normaliseThenPool } from "../../src/tensor/ops/norm/normalise";
import { maxPool2d } from "../../src/tensor/ops/pool";
import { mean, variance } from "../../src/tensor/ops/reduce";
import { scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, randomData, withCaps } from "../support/gpu";
import { NORM_FORMS } from "../support/norms";

let device: Device;
beforeAll(async () => {
  device = await gpu();
});

const EPS = 1e-3;
const MOMENTUM = 0.3;

interface Case {
  /** Of one part. */
  shape: readonly [number, number, number, number];
  measured: number;
  parts: 1 | 2;
  shared?: boolean;
  relu?: boolean;
  pool?: number;
}

const leaf = (shape: readonly number[], seed: number, scale = 1, offset = 0) => {
  const t = Tensor.from(
    randomData(shape, seed, scale).map((v) => v + offset),
    shape,
  );
  t.requiresGrad = true;
  return t;
};

/**
 * x normalised by the mean and variance of its first samples, from operations that have tests of
 * their own.
 */
function composed(x: Tensor, gamma: Tensor, beta: Tensor, measured: number): Tensor {
  const first = narrow(x, 0, 0, measured);
  const [mu, sigma] = [mean(first, [0, 1, 2]), variance(first, [0, 1, 2], { correction: 0 })];
  return add(mul(gamma, div(sub(x, mu), sqrt(add(sigma, EPS)))), beta);
}

async function measure(c: Case, fused: boolean): Promise<Map<string, Float32Array>> {
  const [n, h, w, channels] = c.shape;
  const x = leaf([c.shared ? n : c.parts * n, h, w, channels], 1, 2, 3);
  const affine = Array.from({ length: c.parts }, (_, k) => ({
    gamma: leaf([channels], 10 + k, 1, 0.5),
    beta: leaf([channels], 20 + k),
  }));
  const running = affine.map((_, k) => ({
    mean: Tensor.from(randomData([channels], 30 + k), [channels]),
    variance: Tensor.from(
      randomData([channels], 40 + k).map((v) => 1 + v * v),
      [channels],
    ),
  }));
  const moved: [string, Tensor][] = [];
  scope(() => {
    let y: Tensor;
    if (fused) {
      const how: Normalisation = {
        ...{ over: "batch", affine, parts: c.parts, shared: !!c.shared, eps: EPS, relu: !!c.relu },
        ...{ measured: c.measured, running: { sets: running, training: true, momentum: MOMENTUM } },
      };
      y = c.pool ? normaliseThenPool(x, how, c.pool) : normalise(x, how);
      // The output's own gradient is asked for by one branch after the other.
      y.parts = 1;
      moved.push(
        ...running.flatMap((r, k): [string, Tensor][] => [
          [`mean ${k}`, r.mean],
          [`variance ${k}`, r.variance],
        ]),
      );
    } else {
      const each = affine.map(({ gamma, beta }, k) => {
        const part = c.shared ? x : narrow(x, 0, k * n, n);
        const first = narrow(part, 0, 0, c.measured).detach();
        const toward = (old: Tensor, batch: Tensor) => add(mul(old, 1 - MOMENTUM), mul(batch, MOMENTUM));
        moved.push(
          [`mean ${k}`, toward(running[k]!.mean, mean(first, [0, 1, 2]))],
          [`variance ${k}`, toward(running[k]!.variance, variance(first, [0, 1, 2], { correction: 1 }))],
        );
        const z = composed(part, gamma, beta, c.measured);
        return c.relu ? relu(z) : z;
      });
      const whole = each.length > 1 ? concat(each, 0) : each[0]!;
      y = c.pool ? maxPool2d(whole, c.pool) : whole;
    }
    y.backward(Tensor.from(randomData(y.shape, 7), y.shape));
    moved.push(["y", y]);
    return moved.map(([, t]) => t);
  });
  const grads = [
    ["dx", x],
    ...affine.flatMap((a, k) => [
      [`dγ ${k}`, a.gamma],
      [`dβ ${k}`, a.beta],
    ]),
  ] as [string, Tensor][];
  const found = new Map<string, Float32Array>();
  for (const [name, t] of moved) found.set(name, await t.data());
  for (const [name, t] of grads) found.set(name, await t.grad!.data());
  return found;
}

const CASES: Case[] = [
  { shape: [6, 3, 4, 8], measured: 4, parts: 1 },
  { shape: [5, 2, 3, 3], measured: 3, parts: 1, relu: true },
  { shape: [6, 3, 4, 8], measured: 4, parts: 2, relu: true },
  { shape: [6, 3, 4, 5], measured: 2, parts: 2, shared: true, relu: true },
  { shape: [6, 4, 4, 8], measured: 4, parts: 1, relu: true, pool: 2 },
  { shape: [4, 5, 7, 3], measured: 3, parts: 2, relu: true, pool: 2 },
  { shape: [4, 4, 6, 8], measured: 3, parts: 2, shared: true, pool: 2 },
  { shape: [12, 16, 16, 4], measured: 9, parts: 1, relu: true },
  { shape: [5, 9, 11, 8], measured: 3, parts: 2, relu: true },
  { shape: [64, 3, 3, 16], measured: 6, parts: 1 },
  { shape: [40, 4, 4, 8], measured: 2, parts: 2, shared: true, relu: true },
  { shape: [5, 9, 11, 8], measured: 4, parts: 2, relu: true, pool: 2 },
];

describe("mean and variance of the first samples", () => {
  const cases = Object.entries(NORM_FORMS).flatMap(([form, caps]) => CASES.map((c) => ({ form, caps, c })));
  for (const { form, caps, c } of cases)
    it(`${JSON.stringify(c)}, ${form}`, async () => {
      const fused = await withCaps(device, caps, () => measure(c, true));
      const oracle = await measure(c, false);
      expect([...fused.keys()].sort()).toEqual([...oracle.keys()].sort());
      for (const [name, values] of oracle)
        expectClose(fused.get(name)!, values, { rtol: 1e-3, atol: 1e-4, what: name });
    });

  it("all of them give the whole batch's, to the bit", async () => {
    const x = leaf([4, 3, 3, 8], 1);
    const all = normalise(x, { over: "batch" });
    const counted = normalise(x, { over: "batch", measured: 4 });
    expect(await counted.data()).toEqual(await all.data());
  });

  it("refuses what is no number of samples, and norms that take no batch as one", () => {
    const x = Tensor.from(randomData([4, 3, 3, 8], 1), [4, 3, 3, 8]);
    for (const measured of [0, 5, 1.5, -1, Number.NaN])
      expect(() => normalise(x, { over: "batch", measured })).toThrow(ArgumentError);
    for (const over of ["positions", "nothing", { groups: 2 }] as const)
      expect(() => normalise(x, { over, measured: 2 })).toThrow(/normalised as one/);
  });
});
