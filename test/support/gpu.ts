import { expect } from "vitest";
import type { Device } from "../../src/gpu/device";
import { init } from "../../src/gpu/init";
import type { ProductCaps } from "../../src/gpu/kernel";
import { dawn } from "../../src/node/dawn";
import { concat, narrow } from "../../src/tensor/ops/movement";
import { Generator } from "../../src/tensor/random";
import type { Shape } from "../../src/tensor/shape";
import { sizeOf } from "../../src/tensor/shape";
import { scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";

let shared: Promise<Device> | null = null;

/** The device all tests of one process share, with its compiled pipelines. */
export function gpu(): Promise<Device> {
  shared ??= dawn().then((g) => init({ gpu: g }));
  return shared;
}

/**
 * Has the device choose the kernels of products as one with these abilities would, until the
 * returned function is called.
 */
export function setCaps({ caps }: Device, choice: Partial<ProductCaps>): () => void {
  const before = { ...caps };
  Object.assign(caps, choice);
  return () => void Object.assign(caps, before);
}

/** Runs `f` as on a device with these abilities. */
export async function withCaps<T>(device: Device, choice: Partial<ProductCaps>, f: () => Promise<T>): Promise<T> {
  const restore = setCaps(device, choice);
  try {
    return await f();
  } finally {
    restore();
  }
}

/** Uniform numbers in [-scale, scale), the same for the same seed. */
export function randomData(shape: Shape, seed: number, scale = 1): Float32Array {
  const g = new Generator(seed);
  return Float32Array.from({ length: sizeOf(shape) }, () => g.uniform(-scale, scale));
}

export function randomTensor(shape: Shape, seed: number, scale = 1): Tensor {
  return Tensor.from(randomData(shape, seed, scale), shape);
}

/** The same integers as the GPU computed them: of those the host knows nothing. */
export const computed = (integers: Tensor): Tensor => {
  const [n = 0] = integers.shape;
  return narrow(concat([integers, integers], 0), 0, 0, n);
};

/** |a − e| ≤ atol + rtol·|e| for every element; NaN and infinities must agree. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { rtol = 1e-4, atol = 1e-5, what = "" } = {},
): void {
  expect(actual.length, `${what} length`).toBe(expected.length);
  let worst = 0;
  let at = -1;
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    if (Object.is(a, e) || a === e) continue;
    const excess = Math.abs(a - e) - (atol + rtol * Math.abs(e));
    if (!(excess <= 0) && (!(excess <= worst) || at < 0)) {
      worst = excess;
      at = i;
    }
  }
  if (at >= 0)
    expect.fail(
      `${what}: element ${at} of ${expected.length} is ${actual[at]}, expected ${expected[at]} (rtol ${rtol}, atol ${atol})`,
    );
}

/**
 * Checks the gradients of `f` against central differences of L = Σ f(inputs)·r for fixed random r:
 * each to `rtol` of itself plus `atol` of the largest element of its input's gradient. The numeric
 * side runs the same kernels in f32, hence the default tolerance; the exact comparison is with the
 * oracle's gradients.
 */
export async function gradcheck(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: { shape: Shape; data: Float32Array }[],
  { step = 1e-2, rtol = 1e-3, atol = 1e-3, probes = 12, seed = 99 } = {},
): Promise<void> {
  const run = async (values: Float32Array[]): Promise<number> => {
    const out = scope(() => f(...values.map((v, i) => Tensor.from(v, inputs[i]!.shape))));
    const y = await out.data();
    const r = randomData(out.shape, seed);
    out.dispose();
    return y.reduce((s, v, i) => s + v * r[i]!, 0);
  };
  const leaves = inputs.map(({ data, shape }) => {
    const t = Tensor.from(data, shape);
    t.requiresGrad = true;
    return t;
  });
  scope(() => {
    const y = f(...leaves);
    y.backward(Tensor.from(randomData(y.shape, seed), y.shape));
  });
  const pick = new Generator(seed + 1);
  for (let k = 0; k < leaves.length; k++) {
    const grad = leaves[k]!.grad;
    expect(grad, `gradient of input ${k}`).not.toBeNull();
    expect(grad!.shape).toEqual(inputs[k]!.shape);
    const analytic = await grad!.data();
    const largest = analytic.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
    expect(largest, `gradient of input ${k}`).toBeGreaterThan(0);
    const n = inputs[k]!.data.length;
    for (let j = 0; j < Math.min(probes, n); j++) {
      const i = n <= probes ? j : pick.integer(n);
      const shifted = (d: number) =>
        inputs.map((x, m) => (m === k ? x.data.map((v, q) => (q === i ? v + d : v)) : x.data));
      const numeric = ((await run(shifted(step))) - (await run(shifted(-step)))) / (2 * step);
      expectClose([analytic[i]!], [numeric], { rtol, atol: atol * largest, what: `d/d input ${k}[${i}]` });
    }
  }
  for (const t of leaves) t.dispose();
}
