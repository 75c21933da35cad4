/**
 * Adaptive means and upsampling three ways: plain loops in float64, PyTorch's numbers, finite
 * differences.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import { adaptiveAvgPool2d, type UpsampleOptions, upsample2d } from "../../src/tensor/ops/resize";
import type { Shape } from "../../src/tensor/shape";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, gradcheck, randomData } from "../support/gpu";

beforeAll(async () => void (await gpu()));

/** For each output place of one axis the input places it is made of, and their weights. */
type Axis = (readonly [place: number, weight: number])[][];
type Both<T> = readonly [T, T];

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

const adaptiveAxis = (input: number, output: number): Axis =>
  range(output).map((i) => {
    const [start, end] = [Math.floor((i * input) / output), Math.ceil(((i + 1) * input) / output)];
    return range(end - start).map((k) => [start + k, 1 / (end - start)] as const);
  });

function upsampleAxis(input: number, output: number, step: number, { mode, alignCorners }: UpsampleOptions): Axis {
  const last = (i: number) => Math.min(i, input - 1);
  return range(output).map((i) => {
    if (mode !== "bilinear") return [[last(Math.floor(i * step)), 1]];
    const aligned = output > 1 ? (i * (input - 1)) / (output - 1) : 0;
    const at = alignCorners ? aligned : Math.max((i + 0.5) * step - 0.5, 0);
    const weight = at - Math.floor(at);
    return [
      [last(Math.floor(at)), 1 - weight],
      [last(Math.floor(at) + 1), weight],
    ];
  });
}

/** Weighted sums along both axes, and what g sends back. */
function oracle([n, h, w, c]: Shape, [rows, columns]: Both<Axis>, x: Float32Array, g: Float32Array) {
  const y = new Float64Array(g.length);
  const dx = new Float64Array(x.length);
  for (let image = 0; image < n!; image++)
    for (const [p, row] of rows.entries())
      for (const [q, column] of columns.entries())
        for (const [i, wy] of row)
          for (const [j, wx] of column)
            for (let k = 0; k < c!; k++) {
              const to = ((image * rows.length + p) * columns.length + q) * c! + k;
              const of = ((image * h! + i) * w! + j) * c! + k;
              y[to]! += wy * wx * x[of]!;
              dx[of]! += wy * wx * g[to]!;
            }
  return { y, dx };
}

/** Forward and backward against the oracle. */
async function compare(f: (x: Tensor) => Tensor, shape: Shape, axes: Both<Axis>, what: string): Promise<void> {
  const data = randomData(shape, 1);
  const x = Tensor.from(data, shape);
  x.requiresGrad = true;
  const y = f(x);
  expect(y.shape, what).toEqual([shape[0], axes[0].length, axes[1].length, shape[3]]);
  const g = randomData(y.shape, 2);
  y.backward(Tensor.from(g, y.shape));
  const want = oracle(shape, axes, data, g);
  expectClose(await y.data(), want.y, { what: `y of ${what}` });
  expectClose(await x.grad!.data(), want.dx, { what: `dx of ${what}` });
}

/** PyTorch's cases of one kind. */
async function likePyTorch(kind: string, f: (x: Tensor, options: UpsampleOptions) => Tensor): Promise<void> {
  const golden = new Golden("spatial");
  for (const [i, options] of golden.meta(kind).entries()) {
    const name = (part: string) => `${kind}.${i}.${part}`;
    const of = (part: string) => Tensor.from(golden.data(name(part)), golden.shape(name(part)));
    const x = of("x");
    x.requiresGrad = true;
    const y = f(x, options);
    expect(y.shape).toEqual(golden.shape(name("y")));
    y.backward(of("g"));
    expectClose(await y.data(), golden.data(name("y")), { what: name("y") });
    expectClose(await x.grad!.data(), golden.data(name("dx")), { what: name("dx") });
  }
}

const empty = async (f: (x: Tensor) => Tensor): Promise<Shape> => {
  const x = Tensor.empty([0, 4, 4, 3]);
  x.requiresGrad = true;
  const y = f(x);
  y.backward(Tensor.empty(y.shape));
  expect(x.grad!.shape).toEqual(x.shape);
  return y.shape;
};

describe("adaptiveAvgPool2d", () => {
  it.each([
    [
      [2, 8, 8, 4],
      [2, 4],
    ],
    [
      [1, 7, 10, 3],
      [3, 4],
    ],
    [
      [2, 3, 2, 5],
      [7, 5],
    ],
    [
      [1, 1, 1, 1],
      [1, 1],
    ],
    [
      [1, 13, 11, 8],
      [13, 1],
    ],
  ] as [Shape, [number, number]][])("of %j to %j equals plain loops", (shape, size) =>
    compare(
      (x) => adaptiveAvgPool2d(x, size),
      shape,
      [adaptiveAxis(shape[1]!, size[0]), adaptiveAxis(shape[2]!, size[1])],
      `${shape} to ${size}`,
    ));

  it("has PyTorch's output and gradient", () => likePyTorch("adaptive", (x, { size }) => adaptiveAvgPool2d(x, size!)));

  it("agrees with finite differences", () =>
    gradcheck((x) => adaptiveAvgPool2d(x, [3, 2]), [{ shape: [2, 5, 5, 3], data: randomData([2, 5, 5, 3], 1) }]));

  it("takes one number for both sizes, and an empty batch; refuses images without pixels", async () => {
    expect(await empty((x) => adaptiveAvgPool2d(x, 3))).toEqual([0, 3, 3, 3]);
    expect(() => adaptiveAvgPool2d(Tensor.empty([1, 0, 4, 3]), 2)).toThrow(/at least one pixel.*\[1, 0, 4, 3\]/);
    expect(() => adaptiveAvgPool2d(Tensor.empty([4, 4, 3]), 2)).toThrow(ShapeError);
    expect(() => adaptiveAvgPool2d(Tensor.empty([1, 4, 4, 3]), [2, 0])).toThrow(ArgumentError);
  });
});

describe("upsample2d", () => {
  const shapes: [Shape, Both<number>][] = [
    [
      [1, 3, 5, 4],
      [6, 10],
    ],
    [
      [2, 4, 6, 3],
      [7, 9],
    ],
    [
      [1, 9, 8, 5],
      [3, 5],
    ],
    [
      [1, 1, 2, 8],
      [4, 1],
    ],
    [
      [1, 7, 33, 2],
      [50, 1],
    ],
    [
      [1, 40, 3, 1],
      [7, 64],
    ],
  ];
  const modes: UpsampleOptions[] = [
    {},
    { mode: "nearest" },
    { mode: "bilinear" },
    { mode: "bilinear", alignCorners: true },
  ];
  it.each(modes)("%j equals plain loops, upwards and downwards", async (mode) => {
    for (const [shape, size] of shapes) {
      const axis = (a: 0 | 1) => upsampleAxis(shape[a + 1]!, size[a], shape[a + 1]! / size[a], mode);
      await compare((x) => upsample2d(x, { size, ...mode }), shape, [axis(0), axis(1)], `${shape} to ${size}`);
    }
  });

  it.each(modes)("%j by scales that do not divide", async (mode) => {
    const scale = [2.3, 0.6] as const;
    const axis = (input: number, a: 0 | 1) => upsampleAxis(input, Math.floor(input * scale[a]), 1 / scale[a], mode);
    await compare((x) => upsample2d(x, { scale, ...mode }), [2, 5, 8, 3], [axis(5, 0), axis(8, 1)], "scales");
  });

  it("has PyTorch's output and gradient", () => likePyTorch("upsample", upsample2d));

  it.each(modes)("%j agrees with finite differences", (mode) =>
    gradcheck(
      (x) => upsample2d(x, { size: [5, 7], ...mode }),
      [{ shape: [2, 3, 4, 3], data: randomData([2, 3, 4, 3], 1) }],
    ));

  it("takes an empty batch; refuses an output without pixels, and options that contradict each other", async () => {
    expect(await empty((x) => upsample2d(x, { scale: 2 }))).toEqual([0, 8, 8, 3]);
    const x = Tensor.empty([1, 4, 4, 3]);
    expect(() => upsample2d(x, { scale: 0.2 })).toThrow(/4×4 would become 0×0/);
    expect(() => upsample2d(Tensor.empty([1, 4, 0, 3]), { scale: 2 })).toThrow(ShapeError);
    expect(() => upsample2d(x, {})).toThrow(/either size or scale.*neither/);
    expect(() => upsample2d(x, { scale: 2, size: 3 })).toThrow(/either size or scale.*both/);
    expect(() => upsample2d(x, { scale: 2, alignCorners: true })).toThrow(/mode is "bilinear"/);
  });
});
