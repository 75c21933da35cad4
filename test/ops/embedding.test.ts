/** Embeddings three ways: plain loops, PyTorch's numbers, finite differences. */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import { Embedding } from "../../src/nn";
import { embedding } from "../../src/tensor/ops/gather";
import { Generator } from "../../src/tensor/random";
import { type Shape, sizeOf } from "../../src/tensor/shape";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { computed, expectClose, gpu, gradcheck, randomData } from "../support/gpu";

beforeAll(async () => void (await gpu()));

const leaf = (data: Float32Array, shape: Shape): Tensor => {
  const t = Tensor.from(data, shape);
  t.requiresGrad = true;
  return t;
};

describe("embedding against plain JavaScript", () => {
  const draw = new Generator(8);
  const shapes: Shape[] = [[1], [2, 3], [70], [3, 1, 40], [0], [300]];
  it.each(shapes.map((shape, i) => [shape, i] as const))("indices %j", async (shape, i) => {
    const [n, d] = [1 + draw.integer(12), 1 + draw.integer(6)];
    const indices = Array.from({ length: sizeOf(shape) }, () => draw.integer(n));
    const paddingIdx = i % 2 ? draw.integer(n) : null;
    const [w, g] = [randomData([n, d], i), randomData([...shape, d], i + 9)];
    const weight = leaf(w, [n, d]);
    const y = embedding(Tensor.from(Uint32Array.from(indices), shape), weight, { paddingIdx });
    expect(y.shape).toEqual([...shape, d]);
    expect([...(await y.data())]).toEqual(indices.flatMap((row) => [...w.slice(row * d, row * d + d)]));
    y.backward(Tensor.from(g, y.shape));
    // To the bit: f32 sums in the order of the indices.
    const dw = new Float32Array(n * d);
    indices.forEach((row, k) => {
      if (row !== paddingIdx) for (let c = 0; c < d; c++) dw[row * d + c]! += g[k * d + c]!;
    });
    expect([...(await weight.grad!.data())]).toEqual([...dw]);
  });
});

it("embedding has PyTorch's numbers, and the layer its names", async () => {
  const golden = new Golden("embedding");
  for (const [i, { num, dim, padding }] of golden.meta("cases").entries()) {
    const of = (part: string) => Tensor.from(golden.data(`${i}.${part}`), golden.shape(`${i}.${part}`));
    const layer = new Embedding(num, dim, { paddingIdx: padding });
    layer.loadStateDict(new Map([["weight", golden.file.tensors.get(`${i}.weight`)!]]));
    const indices = Tensor.from(Int32Array.from(golden.data(`${i}.indices`)), golden.shape(`${i}.indices`));
    const y = layer.forward(indices);
    expect(y.shape).toEqual(golden.shape(`${i}.y`));
    expectClose(await y.data(), golden.data(`${i}.y`));
    y.backward(of("g"));
    expectClose(await layer.weight.grad!.data(), golden.data(`${i}.dweight`));
  }
});

it("embedding agrees with finite differences", () =>
  gradcheck(
    (w) =>
      embedding(
        [
          [0, 2],
          [2, 1],
          [2, 0],
        ],
        w,
      ),
    [{ shape: [4, 3], data: randomData([4, 3], 1) }],
  ));

describe("Embedding", () => {
  it("begins as N(0, 1), its padding row as 0", async () => {
    const w = await new Embedding(100, 50, { paddingIdx: 3, random: new Generator(1) }).weight.data();
    expect([...w.slice(150, 200)]).toEqual(Array(50).fill(0));
    const mean = w.reduce((s, x) => s + x, 0) / 4950;
    const variance = w.reduce((s, x) => s + x * x, 0) / 4950;
    expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(4950));
    expect(Math.abs(variance - 1)).toBeLessThan(4 * Math.sqrt(2 / 4950));
  });

  it("refuses indices out of range where the host knows them; computed ones give NaN and no gradient", async () => {
    const layer = new Embedding(3, 2);
    for (const bad of [[3], [-1], [0.5], Tensor.from(Int32Array.of(0, 5))])
      expect(() => layer.forward(bad)).toThrow(ArgumentError);
    expect(() => layer.forward(Tensor.full([2], 0))).toThrow(ShapeError);
    for (const bad of [3, -1, 0.5, "0"])
      expect(() => new Embedding(3, 2, { paddingIdx: bad as number })).toThrow(
        /paddingIdx is a whole number from 0 to 2/,
      );
    expect(() => new Embedding(0, 2)).toThrow(ArgumentError);
    const y = layer.forward(computed(Tensor.from(Int32Array.of(-1, 1, 3))));
    expect([...(await y.data())].map(Number.isNaN)).toEqual([true, true, false, false, true, true]);
    y.backward(Tensor.full([3, 2], 1));
    expect([...(await layer.weight.grad!.data())]).toEqual([0, 0, 1, 1, 0, 0]);
  });
});
