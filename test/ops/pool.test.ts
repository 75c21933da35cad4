import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import { avgPool2d, globalAvgPool, globalMaxPool, maxPool2d } from "../../src/tensor/ops/pool";
import { Generator } from "../../src/tensor/random";
import { type Shape, sizeOf } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, gradcheck, randomData } from "../support/gpu";

type Two = [number, number];

interface Config {
  shape: [number, number, number, number];
  kernel: Two;
  stride: Two;
  padding: Two;
  dilation: Two;
  ceilMode?: boolean;
}

/** Places of the input that a window covers, −1 for padding, in row-major order; none behind it. */
function windowOf({ shape: [, h, w], kernel, stride, padding, dilation }: Config, i: number, j: number): number[] {
  const places: number[] = [];
  for (let a = 0; a < kernel[0]; a++) {
    for (let b = 0; b < kernel[1]; b++) {
      const y = i * stride[0] - padding[0] + a * dilation[0];
      const x = j * stride[1] - padding[1] + b * dilation[1];
      if (y >= h + padding[0] || x >= w + padding[1]) continue;
      places.push(y < 0 || x < 0 || y >= h || x >= w ? -1 : y * w + x);
    }
  }
  return places;
}

/** Starts of windows are tried one after the other. */
const outputOf = ({ shape, kernel, stride, padding, dilation, ceilMode }: Config): Two =>
  [0, 1].map((d) => {
    const [size, around, step] = [shape[d + 1]!, padding[d]!, stride[d]!];
    const last = dilation[d]! * (kernel[d]! - 1);
    let count = 0;
    for (let start = -around; start + last < size + around; start += step) count++;
    // One more where the one before it ends before the end, and this one starts before it.
    const next = count * step - around;
    return ceilMode && next - step + last < size + around - 1 && next < size ? count + 1 : count;
  }) as Two;

/** Plain pooling with its gradient for the output gradient g. */
function oracle(kind: "max" | "avg" | "avgInside", config: Config, x: Float32Array, g: (i: number) => number) {
  const [n, h, w, c] = config.shape;
  const [oh, ow] = outputOf(config);
  const y = new Float64Array(n * oh * ow * c);
  const dx = new Float64Array(x.length);
  for (let index = 0; index < y.length; index++) {
    const [channel, column, row, image] = [
      index % c,
      Math.floor(index / c) % ow,
      Math.floor(index / c / ow) % oh,
      Math.floor(index / c / ow / oh),
    ];
    const all = windowOf(config, row, column);
    const inside = all.filter((p) => p >= 0).map((p) => (image * h * w + p) * c + channel);
    if (kind === "max") {
      let best = -1;
      for (const p of inside) if (best < 0 || x[p]! > x[best]!) best = p;
      y[index] = best < 0 ? -Infinity : x[best]!;
      if (best >= 0) dx[best]! += g(index);
    } else {
      const count = kind === "avg" ? all.length : inside.length;
      y[index] = inside.reduce((s, p) => s + x[p]!, 0) / count;
      for (const p of inside) dx[p]! += g(index) / count;
    }
  }
  return { y, dx, shape: [n, oh, ow, c] };
}

/** Values with many ties, in steps of 0.25. */
const coarse = (shape: Shape, seed: number) => randomData(shape, seed, 3).map((v) => Math.round(v * 4) / 4);

async function run(f: (x: Tensor) => Tensor, data: Float32Array, shape: Shape, seed: number) {
  const x = Tensor.from(data, shape);
  x.requiresGrad = true;
  const y = f(x);
  const g = randomData(y.shape, seed);
  const seedGrad = Tensor.from(g, y.shape);
  y.backward(seedGrad);
  const result = { y: await y.data(), dx: await x.grad!.data(), g, shape: y.shape };
  for (const t of [seedGrad, y, x]) t.dispose();
  return result;
}

function randomConfigs(count: number, dilated: boolean): Config[] {
  const r = new Generator(dilated ? 5 : 6);
  const both = (f: () => number): Two => [f(), f()];
  const found: Config[] = [];
  while (found.length < count) {
    const kernel = both(() => 1 + r.integer(4));
    const config: Config = {
      shape: [1 + r.integer(3), 1 + r.integer(11), 1 + r.integer(11), [1, 3, 4, 5, 8][r.integer(5)]!],
      kernel,
      stride: both(() => 1 + r.integer(4)),
      padding: [r.integer(Math.floor(kernel[0] / 2) + 1), r.integer(Math.floor(kernel[1] / 2) + 1)],
      dilation: dilated ? both(() => 1 + r.integer(3)) : [1, 1],
    };
    const ceiled = { ...config, ceilMode: true };
    if (outputOf(config).every((n) => n >= 1)) found.push(config);
    if (found.length < count && outputOf(ceiled).every((n, d) => n > Math.max(0, outputOf(config)[d]!)))
      found.push(ceiled);
  }
  return found;
}

const nasty: Config[] = [
  { shape: [1, 1, 1, 1], kernel: [1, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1] },
  { shape: [2, 1, 1, 4], kernel: [2, 3], stride: [3, 1], padding: [1, 1], dilation: [1, 1] },
  { shape: [1, 9, 2, 3], kernel: [2, 2], stride: [7, 5], padding: [0, 1], dilation: [1, 1] },
  // No window fits but the last; one that would start behind the image, which does not count.
  { shape: [1, 2, 3, 4], kernel: [3, 4], stride: [2, 3], padding: [0, 0], dilation: [1, 1], ceilMode: true },
  { shape: [2, 3, 5, 3], kernel: [2, 2], stride: [4, 3], padding: [1, 1], dilation: [1, 1], ceilMode: true },
];

beforeAll(async () => {
  await gpu();
});

describe("maxPool2d", () => {
  // The last configuration has a window whose two rows both lie in the padding.
  const beside: Config = { shape: [1, 4, 3, 4], kernel: [2, 1], stride: [1, 1], padding: [1, 0], dilation: [5, 1] };

  it("agrees with the plain loop, ties, overlap, padding and dilation included", async () => {
    for (const [i, config] of [...randomConfigs(14, true), ...nasty, beside].entries()) {
      const data = coarse(config.shape, i);
      const { shape, kernel, ...options } = config;
      const got = await run((x) => maxPool2d(x, kernel, options), data, shape, 100 + i);
      const want = oracle("max", config, data, (k) => got.g[k]!);
      expect(got.shape).toEqual(want.shape);
      expectClose(got.y, want.y, { what: `y of ${JSON.stringify(config)}`, rtol: 0, atol: 0 });
      expectClose(got.dx, want.dx, { what: `dx of ${JSON.stringify(config)}` });
    }
  });

  it("has finite differences for gradients", async () => {
    const shape = [1, 4, 5, 3];
    // Distinct values further apart than the probing step, so that no maximum changes hands.
    const data = Float32Array.from(new Generator(3).permutation(sizeOf(shape)), (v) => v / 10 - 3);
    await gradcheck((x) => maxPool2d(x, [3, 2], { stride: [1, 2], padding: 1 }), [{ shape, data }]);
    await gradcheck((x) => maxPool2d(x, 2, { stride: [3, 2], ceilMode: true }), [{ shape, data }]);
  });

  it("takes −∞ for a value and passes NaN on", async () => {
    const shape = [1, 2, 2, 4];
    const data = Float32Array.from({ length: 16 }, (_, i) =>
      i % 4 === 0 ? -Infinity : i % 4 === 1 && i < 8 ? Number.NaN : i,
    );
    const got = await run((x) => maxPool2d(x, 2), data, shape, 1);
    expectClose(got.y, [-Infinity, Number.NaN, 14, 15]);
    expectClose([got.dx[0]!, got.dx[14]!, got.dx[15]!], [got.g[0]!, got.g[2]!, got.g[3]!]);
    const alone = await run((x) => maxPool2d(x, 2), Float32Array.of(1, Number.NaN, 3, 2), [1, 2, 2, 1], 1);
    expectClose(alone.y, [Number.NaN]);
  });

  it("takes its stride from the kernel, numbers for pairs, and empty batches", async () => {
    const x = Tensor.full([2, 7, 6, 3], 1);
    expect(maxPool2d(x, [3, 2]).shape).toEqual([2, 2, 3, 3]);
    expect(maxPool2d(x, 3, { stride: 2, padding: 1 }).shape).toEqual([2, 4, 3, 3]);
    const none = await run((t) => maxPool2d(t, 2), new Float32Array(0), [0, 4, 4, 3], 1);
    expect(none.shape).toEqual([0, 2, 2, 3]);
    expect(none.dx.length).toBe(0);
    x.dispose();
  });

  it("covers outputs whose workgroups fill more than one row of the grid", async () => {
    const shape = [1, 2049, 2050, 1];
    const data = Float32Array.from({ length: sizeOf(shape) }, (_, i) => i);
    const y = await maxPool2d(Tensor.from(data, shape), 1).data();
    expect(y.findIndex((v, i) => v !== i)).toBe(-1);
  });

  it("has a last window with ceilMode where PyTorch has one", () => {
    const sizes = (n: number, kernel: number, stride: number, padding = 0) =>
      [false, true].map((ceilMode) => {
        const shape = scope(() => maxPool2d(Tensor.full([1, n, n, 1], 1), kernel, { stride, padding, ceilMode }).shape);
        return shape[1];
      });
    expect(sizes(112, 3, 2)).toEqual([55, 56]);
    expect(sizes(6, 2, 2)).toEqual([3, 3]);
    expect(sizes(5, 2, 2)).toEqual([2, 3]);
    // A window from row 3 on would begin in the padding behind the image.
    expect(sizes(3, 2, 4, 1)).toEqual([1, 1]);
    expect(sizes(4, 2, 4, 1)).toEqual([2, 2]);
    expect(() => maxPool2d(Tensor.full([1, 2, 2, 1], 1), 3)).toThrow(ShapeError);
    expect(() => maxPool2d(Tensor.full([1, 2, 2, 1], 1), 4, { stride: 2, ceilMode: true })).toThrow(ShapeError);
  });

  it("refuses what does not fit", () => {
    const x = Tensor.full([1, 4, 4, 2], 1);
    expect(() => maxPool2d(x, 2, { padding: 2 })).toThrow(ShapeError);
    expect(() => maxPool2d(x, 5)).toThrow(/0×0/);
    expect(() => maxPool2d(x, 3, { dilation: 2 })).toThrow(ShapeError);
    expect(() => maxPool2d(Tensor.full([4, 4, 2], 1), 2)).toThrow(/\[N, H, W, C\]/);
    expect(() => maxPool2d(Tensor.full([1, 4, 4, 2], 1, "i32"), 2)).toThrow(ShapeError);
    expect(() => maxPool2d(x, 0)).toThrow(ArgumentError);
    expect(() => maxPool2d(x, 2, { stride: [1, 1.5] })).toThrow(ArgumentError);
    expect(() => maxPool2d(x, 2, { padding: -1 })).toThrow(ArgumentError);
    expect(() => maxPool2d(Tensor.full([1, 0, 4, 2], 1), 2, { padding: 1 })).toThrow(ShapeError);
  });
});

describe("avgPool2d", () => {
  it("agrees with the plain loop, with and without the padding's zeros", async () => {
    for (const [i, config] of [...randomConfigs(10, false), ...nasty].entries()) {
      for (const countIncludePad of [true, false]) {
        const data = randomData(config.shape, i);
        const { shape: _, kernel, dilation: _d, ...options } = config;
        const got = await run(
          (x) => avgPool2d(x, kernel, { ...options, countIncludePad }),
          data,
          config.shape,
          100 + i,
        );
        const want = oracle(countIncludePad ? "avg" : "avgInside", config, data, (k) => got.g[k]!);
        expect(got.shape).toEqual(want.shape);
        expectClose(got.y, want.y, { what: `y of ${JSON.stringify(config)}` });
        expectClose(got.dx, want.dx, { what: `dx of ${JSON.stringify(config)}` });
      }
    }
  });

  it("has finite differences for gradients", async () => {
    const shape = [2, 5, 4, 2];
    await gradcheck(
      (x) => avgPool2d(x, 3, { stride: 2, padding: 1, countIncludePad: false }),
      [{ shape, data: randomData(shape, 1) }],
    );
    await gradcheck((x) => avgPool2d(x, 3, { stride: 3, ceilMode: true }), [{ shape, data: randomData(shape, 1) }]);
  });

  it("refuses what does not fit", () => {
    const x = Tensor.full([1, 4, 4, 2], 1);
    expect(() => avgPool2d(x, 3, { padding: 2 })).toThrow(ShapeError);
    expect(() => avgPool2d(x, [2, 5])).toThrow(ShapeError);
    expect(() => avgPool2d(x, 2, { stride: 0 })).toThrow(ArgumentError);
  });
});

describe("global pools", () => {
  // Long and short, few and many outputs: one stage and two, chunks that divide the length and
  // chunks that do not.
  const shapes: Shape[] = [
    [2, 3, 5, 3],
    [1, 1, 1, 1],
    [2, 7, 4],
    [1, 500, 4],
    [2, 257, 3],
    [3, 65, 1],
    [1, 20, 20, 8],
    [1, 70, 17000],
  ];

  it("agree with the plain loop", async () => {
    for (const [i, shape] of shapes.entries()) {
      const [n, c] = [shape[0]!, shape[shape.length - 1]!];
      const length = sizeOf(shape) / n / c;
      for (const kind of ["max", "avg"] as const) {
        const data = kind === "max" ? coarse(shape, i) : randomData(shape, i);
        const got = await run(kind === "max" ? globalMaxPool : globalAvgPool, data, shape, 50 + i);
        const config: Config = {
          shape: [n, length, 1, c],
          kernel: [length, 1],
          stride: [1, 1],
          padding: [0, 0],
          dilation: [1, 1],
        };
        const want = oracle(kind, config, data, (k) => got.g[k]!);
        expect(got.shape).toEqual([n, c]);
        expectClose(got.y, want.y, { what: `${kind} of [${shape}]` });
        expectClose(got.dx, want.dx, { what: `gradient of ${kind} of [${shape}]` });
      }
    }
  });

  it("pass NaN on through both stages", async () => {
    const data = randomData([1, 300, 4], 1);
    data[4 * 123 + 2] = Number.NaN;
    const got = await run(globalMaxPool, data, [1, 300, 4], 2);
    expect([...got.y].map(Number.isNaN)).toEqual([false, false, true, false]);
    expectClose([got.dx[4 * 123 + 2]!], [got.g[2]!]);
  });

  it("have finite differences for gradients", async () => {
    const shape = [2, 9, 3];
    const data = Float32Array.from(new Generator(4).permutation(sizeOf(shape)), (v) => v / 10 - 2);
    await gradcheck(globalMaxPool, [{ shape, data }]);
    await gradcheck(globalAvgPool, [{ shape: [2, 3, 3, 3], data }]);
  });

  it("of nothing: the mean is NaN, the maximum refused, an empty batch empty", async () => {
    const nothing = () => Tensor.empty([2, 0, 3]);
    expectClose(await globalAvgPool(nothing()).data(), new Array(6).fill(Number.NaN));
    expect(() => globalMaxPool(nothing())).toThrow(ShapeError);
    expect(globalMaxPool(Tensor.empty([0, 5, 3])).shape).toEqual([0, 3]);
    expect(globalAvgPool(Tensor.empty([0, 5, 5, 3])).shape).toEqual([0, 3]);
    expect(() => globalAvgPool(Tensor.empty([2, 3]))).toThrow(ShapeError);
    expect(() => globalMaxPool(Tensor.empty([2, 3]))).toThrow(ShapeError);
  });
});

describe("PyTorch", () => {
  it("gives the same numbers", async () => {
    const golden = new Golden("pool");
    for (const [i, { kind, kernel, ...options }] of golden.meta("cases").entries()) {
      const shape = golden.shape(`${i}.x`);
      const x = Tensor.from(golden.data(`${i}.x`), shape);
      x.requiresGrad = true;
      const pools: Record<string, () => Tensor> = {
        max: () => maxPool2d(x, kernel, options),
        avg: () => avgPool2d(x, kernel, options),
        globalMax: () => globalMaxPool(x),
        globalAvg: () => globalAvgPool(x),
      };
      const y = pools[kind]!();
      expect(y.shape).toEqual(golden.shape(`${i}.y`));
      y.backward(Tensor.from(golden.data(`${i}.g`), y.shape));
      expectClose(await y.data(), golden.data(`${i}.y`), { what: `case ${i}, y` });
      expectClose(await x.grad!.data(), golden.data(`${i}.dx`), { what: `case ${i}, dx` });
    }
  });
});

describe("memory", () => {
  it("leaves nothing behind", () => {
    const before = memory();
    scope(() => {
      const x = Tensor.full([1, 100, 4], 1);
      x.requiresGrad = true;
      globalMaxPool(x);
      const y = maxPool2d(Tensor.full([1, 4, 4, 4], 1), 2);
      globalAvgPool(y);
      globalMaxPool(x).backward(Tensor.full([1, 4], 1));
    });
    const after = memory();
    expect([after.tensors, after.storages]).toEqual([before.tensors, before.storages]);
  });
});
