/** Transposed convolutions: scattered in float64, PyTorch's numbers, finite differences. */
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors";
import { ConvTranspose2d } from "../../src/nn";
import { type ConvTransposeOptions, convTranspose2d } from "../../src/tensor/ops/products/conv-transpose";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, gradcheck, randomData, randomTensor } from "../support/gpu";

beforeAll(async () => void (await gpu()));

type Two = [number, number];

function leaf(data: Float32Array, shape: number[]): Tensor {
  const t = Tensor.from(data, shape);
  t.requiresGrad = true;
  return t;
}

describe("convTranspose2d", () => {
  // Input size, inputs, outputs, kernel, stride, padding, output padding, dilation, groups.
  const cases: [Two, number, number, Two, Two, Two, Two, Two, number][] = [
    [[3, 4], 4, 8, [3, 3], [2, 2], [1, 1], [1, 1], [1, 1], 1],
    [[4, 3], 6, 4, [2, 3], [1, 3], [0, 1], [0, 2], [1, 2], 2],
    [[3, 3], 5, 5, [3, 2], [2, 1], [1, 0], [1, 0], [1, 1], 5],
  ];
  it.each(cases)("equals scattering in float64: %j, %i to %i channels, kernel %j", async (...c) => {
    const [[h, wd], i, o, k, stride, padding, outputPadding, dilation, groups] = c;
    const [n, og, ig] = [2, o / groups, i / groups];
    const xd = randomData([n, h, wd, i], 1);
    const w0 = randomData([...k, og, i], 2);
    const bd = randomData([o], 3);
    const [x, w, b] = [leaf(xd, [n, h, wd, i]), leaf(w0, [...k, og, i]), leaf(bd, [o])];
    const y = convTranspose2d(x, w, b, { stride, padding, outputPadding, dilation, groups });
    const side = (a: 0 | 1) =>
      ([h, wd][a]! - 1) * stride[a] - 2 * padding[a] + dilation[a] * (k[a] - 1) + outputPadding[a] + 1;
    const [oh, ow] = [side(0), side(1)];
    expect(y.shape).toEqual([n, oh, ow, o]);
    const g = randomData(y.shape, 4);
    y.backward(Tensor.from(g, y.shape));
    const want = Float64Array.from(g, (_, at) => bd[at % o]!);
    const [dx, dw, db] = [new Float64Array(xd.length), new Float64Array(w0.length), new Float64Array(o)];
    for (const [at, v] of g.entries()) db[at % o]! += v;
    for (let pixel = 0; pixel < n * h * wd; pixel++)
      for (let tap = 0; tap < k[0] * k[1]; tap++) {
        const p = (Math.floor(pixel / wd) % h) * stride[0] + Math.floor(tap / k[1]) * dilation[0] - padding[0];
        const q = (pixel % wd) * stride[1] + (tap % k[1]) * dilation[1] - padding[1];
        if (p < 0 || q < 0 || p >= oh || q >= ow) continue;
        for (let from = 0; from < i; from++)
          for (let j = 0; j < og; j++) {
            const to = ((Math.floor(pixel / wd / h) * oh + p) * ow + q) * o + Math.floor(from / ig) * og + j;
            const [xi, wi] = [pixel * i + from, (tap * og + j) * i + from];
            want[to]! += xd[xi]! * w0[wi]!;
            dx[xi]! += g[to]! * w0[wi]!;
            dw[wi]! += g[to]! * xd[xi]!;
          }
      }
    expectClose(await y.data(), want, { what: "y" });
    expectClose(await x.grad!.data(), dx, { what: "dx" });
    expectClose(await w.grad!.data(), dw, { atol: 3e-5, what: "dw" });
    expectClose(await b.grad!.data(), db, { atol: 3e-5, what: "db" });
  });

  it("has PyTorch's output and gradients", async () => {
    const golden = new Golden("spatial");
    const all = golden.meta("transposed") as (ConvTransposeOptions & { bias: boolean })[];
    for (const [i, { bias, ...options }] of all.entries()) {
      const name = (part: string) => `transposed.${i}.${part}`;
      const of = (part: string) => leaf(golden.data(name(part)), golden.shape(name(part)));
      const [x, w, b] = [of("x"), of("w"), bias ? of("b") : null];
      const y = convTranspose2d(x, w, b, options);
      expect(y.shape).toEqual(golden.shape(name("y")));
      y.backward(of("g"));
      expectClose(await y.data(), golden.data(name("y")), { what: name("y") });
      expectClose(await x.grad!.data(), golden.data(name("dx")), { what: name("dx") });
      expectClose(await w.grad!.data(), golden.data(name("dw")), { atol: 3e-5, what: name("dw") });
      if (b) expectClose(await b.grad!.data(), golden.data(name("db")), { atol: 3e-5, what: name("db") });
    }
  });

  it("agrees with finite differences", () =>
    gradcheck(
      (x, w, b) => convTranspose2d(x, w, b, { stride: 2, padding: 1, outputPadding: 1 }),
      [
        { shape: [1, 3, 3, 4], data: randomData([1, 3, 3, 4], 1) },
        { shape: [3, 3, 2, 4], data: randomData([3, 3, 2, 4], 2) },
        { shape: [2], data: randomData([2], 3) },
      ],
    ));

  it("takes an empty batch and refuses what does not fit", () => {
    const w = randomTensor([3, 3, 2, 4], 1);
    expect(convTranspose2d(Tensor.empty([0, 3, 3, 4]), w).shape).toEqual([0, 5, 5, 2]);
    const x = randomTensor([1, 3, 3, 4], 2);
    expect(() => convTranspose2d(randomTensor([1, 3, 3, 5], 3), w)).toThrow(/w \[kH, kW, O\/groups, I\]/);
    expect(() => convTranspose2d(x, w, null, { outputPadding: 1 })).toThrow(/less than the stride/);
    expect(() => convTranspose2d(x, w, null, { padding: 3 })).toThrow(/would be -1×-1/);
    expect(() => convTranspose2d(x, w, randomTensor([3], 4))).toThrow(/bias \[3\] for 2/);
    expect(() => convTranspose2d(x, w, null, { groups: 3 })).toThrow(ShapeError);
  });

  it("is a layer with PyTorch's state dict", async () => {
    const layer = new ConvTranspose2d(4, 6, [2, 3], { stride: 3, padding: [0, 1], outputPadding: [2, 0], groups: 2 });
    const state = await layer.stateDict();
    expect(state.get("weight")!.shape).toEqual([4, 3, 2, 3]);
    expect(state.get("bias")!.shape).toEqual([6]);
    const x = randomTensor([2, 3, 3, 4], 5);
    const options = { stride: 3, padding: [0, 1], outputPadding: [2, 0], groups: 2 } as const;
    const want = convTranspose2d(x, layer.weight, layer.bias, options);
    expect(await layer.forward(x).data()).toEqual(await want.data());
  });
});
