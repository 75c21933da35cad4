import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors";
import { add, mul } from "../../src/tensor/ops/elementwise";
import { sum } from "../../src/tensor/ops/reduce";
import { unstack } from "../../src/tensor/ops/unstack";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, randomData } from "../support/gpu";

beforeAll(async () => void (await gpu()));

const SHAPE = [3, 4, 5];
const SIZE = 20;

/**
 * Slices of a tensor, and its gradient for L = Σ weights[i] · Σ slice_i² over the slices that have
 * a weight.
 */
async function measure(weights: readonly (number | null)[]) {
  const data = randomData(SHAPE, 1);
  const x = Tensor.from(data, SHAPE);
  x.requiresGrad = true;
  const slices = scope(() => {
    // Something between: the gradient is not only delivered to a leaf.
    const slices = unstack(mul(x, 2));
    slices
      .flatMap((s, i) => (weights[i] === null ? [] : [mul(sum(mul(s, s)), weights[i]!)]))
      .reduce((a, b) => add(a, b))
      .backward();
    return slices;
  });
  const read = await Promise.all(slices.map((s) => s.data()));
  const grad = await x.grad!.data();
  for (const t of [x, ...slices]) t.dispose();
  return { data, slices: read, shapes: slices.map((s) => s.shape), grad };
}

describe("unstack", () => {
  it.each([
    ["all", [1, -2, 0.5]],
    ["some", [1, null, 3]],
    ["one", [null, -1, null]],
  ] as const)("gives the slices, and the gradient where %s of them are used", async (_, weights) => {
    const before = memory();
    const { data, slices, shapes, grad } = await measure(weights);
    expect(shapes).toEqual([1, 2, 3].map(() => [4, 5]));
    expectClose(
      slices.flatMap((s) => [...s]),
      data.map((v) => 2 * v),
    );
    expectClose(
      grad,
      data.map((v, i) => 8 * (weights[Math.floor(i / SIZE)] ?? 0) * v),
    );
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });

  it("keeps its gradient apart from another use of the tensor", async () => {
    const x = Tensor.from(randomData([2, 3], 1), [2, 3]);
    x.requiresGrad = true;
    scope(() => {
      const [a, b] = unstack(x) as [Tensor, Tensor];
      add(add(sum(a), mul(sum(b), 2)), mul(sum(x), 10)).backward();
    });
    expect([...(await x.grad!.data())]).toEqual([11, 11, 11, 12, 12, 12]);
    x.dispose();
  });

  it("refuses a number", () => {
    scope(() => expect(() => unstack(Tensor.full([], 1))).toThrow(ShapeError));
  });
});

describe("backward passes one after the other", () => {
  it("through one slice each, or the same ones twice, add up", async () => {
    const x = Object.assign(Tensor.from(randomData(SHAPE, 1), SHAPE), { requiresGrad: true });
    const slices = unstack(mul(x, 2));
    slices.forEach((slice, i) => void sum(mul(slice, i + 1)).backward(undefined, { retainGraph: i < 2 }));
    const expected = Float32Array.from({ length: 3 * SIZE }, (_, i) => 2 * (Math.floor(i / SIZE) + 1));
    expect(await x.grad!.data()).toEqual(expected);
    x.zeroGrad();
    const loss = unstack(mul(x, 2)).reduce((total, slice) => add(total, sum(slice)), Tensor.full([], 0));
    loss.backward(undefined, { retainGraph: true });
    loss.backward();
    expect(await x.grad!.data()).toEqual(new Float32Array(3 * SIZE).fill(4));
    x.dispose();
  });
});
