import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors";
import { cumsum } from "../../src/tensor/ops/cumsum";
import { type Shape, sizeOf } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, gradcheck, randomData } from "../support/gpu";

/** Running sums along the middle of [outer, n, inner] in double precision, from either end. */
function oracle(data: ArrayLike<number>, shape: Shape, d: number, reverse = false): Float64Array {
  const [n, inner] = [shape[d]!, sizeOf(shape.slice(d + 1))];
  const y = new Float64Array(data.length);
  for (let line = 0; line < data.length / n; line++) {
    let total = 0;
    for (let i = 0; i < n; i++) {
      const at = (Math.floor(line / inner) * n + (reverse ? n - 1 - i : i)) * inner + (line % inner);
      total += data[at]!;
      y[at] = total;
    }
  }
  return y;
}

async function run(data: Float32Array, shape: Shape, axis: number) {
  const x = Tensor.from(data, shape);
  x.requiresGrad = true;
  const y = cumsum(x, axis);
  const g = randomData(shape, 5);
  y.backward(Tensor.from(g, shape));
  return { y: await y.data(), dx: await x.grad!.data(), g };
}

beforeAll(async () => {
  await gpu();
});

describe("cumsum", () => {
  // One chunk, its end, two and more; chunks of chunks.
  it.each([
    [[1], 0],
    [[7], -1],
    [[3, 256], 1],
    [[3, 257], 1],
    [[2, 512, 3], 1],
    [[1000, 2], 0],
    [[2, 3, 5], 0],
    [[2, 3, 5], -1],
    [[70_000], 0],
    [[2, 66_000], 1],
  ] as [number[], number][])("agrees with the plain loop: %j along %i", async (shape, axis) => {
    const d = axis < 0 ? axis + shape.length : axis;
    const data = randomData(shape, sizeOf(shape));
    const got = await run(data, shape, axis);
    // Errors of f32 sums grow with the root of their length; of 1000 numbers they are 1e-5.
    const atol = 1e-6 * Math.max(10, Math.sqrt(shape[d]!));
    expectClose(got.y, oracle(data, shape, d), { rtol: 1e-6, atol, what: "y" });
    expectClose(got.dx, oracle(got.g, shape, d, true), { rtol: 1e-6, atol, what: "dx" });
  });

  it("counts exactly as far as f32 does", async () => {
    const n = 300_001;
    const y = await cumsum(Tensor.full([n], 1), 0).data();
    expect(y.findIndex((v, i) => v !== i + 1)).toBe(-1);
  });

  it("gives the same bits each time", async () => {
    const x = Tensor.from(randomData([2, 2000], 1), [2, 2000]);
    const [a, b] = [await cumsum(x, 1).data(), await cumsum(x, 1).data()];
    expect(a).toEqual(b);
  });

  it("passes NaN and infinities on to what follows", async () => {
    const data = new Float32Array(600).fill(1);
    data[300] = Infinity;
    data[520] = -Infinity;
    const y = await cumsum(Tensor.from(data, [600]), 0).data();
    expect([y[299], y[300], y[519], y[520], y[599]]).toEqual([300, Infinity, Infinity, Number.NaN, Number.NaN]);
  });

  it("has finite differences for gradients", async () => {
    const shape = [2, 5, 2];
    await gradcheck((x) => cumsum(x, 1), [{ shape, data: randomData(shape, 2) }]);
    await gradcheck((x) => cumsum(x, 0), [{ shape: [300], data: randomData([300], 2) }], { probes: 4 });
  });

  it("agrees with PyTorch", async () => {
    const golden = new Golden("order");
    for (const { name, axis } of golden.meta("sums")) {
      const shape = golden.shape(`${name}.x`);
      const x = Tensor.from(golden.data(`${name}.x`), shape);
      x.requiresGrad = true;
      const y = cumsum(x, axis);
      y.backward(Tensor.from(golden.data(`${name}.g`), shape));
      expectClose(await y.data(), golden.data(`${name}.y`), { what: name });
      expectClose(await x.grad!.data(), golden.data(`${name}.dx`), { what: `gradient of ${name}` });
    }
  });

  it("of nothing is nothing; refuses what has no such dimension; leaves nothing behind", () => {
    const before = memory();
    scope(() => {
      expect(cumsum(Tensor.empty([2, 0]), 1).shape).toEqual([2, 0]);
      expect(cumsum(Tensor.empty([0, 300]), 1).shape).toEqual([0, 300]);
      expect(() => cumsum(Tensor.full([2], 1), 1)).toThrow(ShapeError);
      expect(() => cumsum(Tensor.full([], 1), 0)).toThrow(ShapeError);
    });
    const x = Tensor.full([2, 70_000], 1);
    cumsum(x, 1).dispose();
    x.dispose();
    const after = memory();
    expect([after.tensors, after.storages]).toEqual([before.tensors, before.storages]);
  });
});
