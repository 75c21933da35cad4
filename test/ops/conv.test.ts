/**
 * Convolutions three ways: a plain loop, PyTorch's numbers, finite differences; on every tile the
 * kernels come in.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { convGatherKernel, convWeightKernel } from "../../shaders/products/conv-registers.wgsl";
import { ArgumentError, ShapeError } from "../../src/errors";
import { conv1d, conv2d, conv2dWeightGradient } from "../../src/tensor/ops/products/conv";
import type { ConvOptions } from "../../src/tensor/ops/products/geometry";
import { windowCount } from "../../src/tensor/ops/windows";
import { Generator } from "../../src/tensor/random";
import { scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, gradcheck, randomData, randomTensor, withCaps } from "../support/gpu";

beforeAll(async () => void (await gpu()));

type Two = [number, number];

interface Case {
  n: number;
  h: number;
  w: number;
  i: number;
  o: number;
  k: [number, number];
  stride: [number, number];
  padding: [number, number];
  dilation: [number, number];
  groups: number;
}

/** Nested loops in float64: output, and what g sends back to x, w and bias. */
function oracle(c: Case, x: Float32Array, w: Float32Array, b: Float32Array | null, g: Float32Array | null) {
  const [kh, kw] = c.k;
  const oh = windowCount(c.h, kh, c.stride[0], c.padding[0], c.dilation[0]);
  const ow = windowCount(c.w, kw, c.stride[1], c.padding[1], c.dilation[1]);
  const [ig, og] = [c.i / c.groups, c.o / c.groups];
  const y = new Float64Array(c.n * oh * ow * c.o);
  const [dx, dw, db] = [new Float64Array(x.length), new Float64Array(w.length), new Float64Array(c.o)];
  for (let n = 0; n < c.n; n++)
    for (let p = 0; p < oh; p++)
      for (let q = 0; q < ow; q++)
        for (let o = 0; o < c.o; o++) {
          const at = ((n * oh + p) * ow + q) * c.o + o;
          let sum = b ? b[o]! : 0;
          if (g) db[o] = db[o]! + g[at]!;
          for (let u = 0; u < kh; u++)
            for (let v = 0; v < kw; v++) {
              const iy = p * c.stride[0] + u * c.dilation[0] - c.padding[0];
              const ix = q * c.stride[1] + v * c.dilation[1] - c.padding[1];
              if (iy < 0 || ix < 0 || iy >= c.h || ix >= c.w) continue;
              for (let i = 0; i < ig; i++) {
                const xi = ((n * c.h + iy) * c.w + ix) * c.i + Math.floor(o / og) * ig + i;
                const wi = ((u * kw + v) * ig + i) * c.o + o;
                sum += x[xi]! * w[wi]!;
                if (g) {
                  dx[xi]! += g[at]! * w[wi]!;
                  dw[wi]! += g[at]! * x[xi]!;
                }
              }
            }
          y[at] = sum;
        }
  return { y, dx, dw, db, shape: [c.n, oh, ow, c.o] };
}

function leaf(data: Float32Array, shape: number[]): Tensor {
  const t = Tensor.from(data, shape);
  t.requiresGrad = true;
  return t;
}

async function compare(c: Case, seed: number, bias: boolean): Promise<void> {
  const [xs, ws] = [
    [c.n, c.h, c.w, c.i],
    [...c.k, c.i / c.groups, c.o],
  ];
  const [xd, wd, bd] = [randomData(xs!, seed), randomData(ws!, seed + 1), bias ? randomData([c.o], seed + 2) : null];
  const [x, w, b] = [leaf(xd, xs!), leaf(wd, ws!), bd ? leaf(bd, [c.o]) : null];
  const { stride, padding, dilation, groups } = c;
  const options: ConvOptions = { stride, padding, dilation, groups };
  const y = scope(() => conv2d(x, w, b, options));
  const gd = randomData(y.shape, seed + 3);
  const want = oracle(c, xd, wd, bd, gd);
  const what = JSON.stringify(c);
  expect(y.shape).toEqual(want.shape);
  expectClose(await y.data(), want.y, { what: `y ${what}` });
  y.backward(Tensor.from(gd, y.shape));
  expectClose(await x.grad!.data(), want.dx, { what: `dx ${what}` });
  expectClose(await w.grad!.data(), want.dw, { atol: 3e-5, what: `dw ${what}` });
  if (b) expectClose(await b.grad!.data(), want.db, { atol: 3e-5, what: `db ${what}` });
  for (const t of [x, w, b, y]) t?.dispose();
}

function randomCase(r: Generator): Case {
  const pick = <T>(of: readonly T[]) => of[r.integer(of.length)]!;
  const groups = pick([1, 1, 1, 2, 3]);
  const k: [number, number] = [pick([1, 2, 3, 5]), pick([1, 3])];
  const dilation: [number, number] = [pick([1, 1, 2]), pick([1, 1, 3])];
  const padding: [number, number] = [pick([0, 1, 2]), pick([0, 1])];
  return {
    n: pick([1, 2, 5]),
    h: Math.max(1, (k[0] - 1) * dilation[0] + 1 - 2 * padding[0]) + r.integer(6),
    w: Math.max(1, (k[1] - 1) * dilation[1] + 1 - 2 * padding[1]) + r.integer(6),
    i: groups * pick([1, 2, 3, 4, 8]),
    o: groups * pick([1, 3, 4, 5, 16]),
    k,
    stride: [pick([1, 1, 2, 3]), pick([1, 2])],
    padding,
    dilation,
    groups,
  };
}

describe("conv2d", () => {
  const r = new Generator(7);
  for (let t = 0; t < 8; t++) {
    const c = randomCase(r);
    it(`equals nested loops: ${JSON.stringify(c)}`, () => compare(c, 100 + t, t % 2 === 0));
  }

  it("equals nested loops where pixels, channels and columns are all many", () =>
    compare(
      { n: 3, h: 12, w: 11, i: 16, o: 40, k: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 },
      5,
      true,
    ));

  // Channels that are whole vectors and not, strides that tiles hold and not, kernels unrolled and
  // not.
  const depthwise: [channels: number, k: Two, stride: Two, padding: Two, dilation: Two][] = [
    [8, [3, 3], [1, 1], [1, 1], [1, 1]],
    [5, [3, 3], [2, 2], [1, 0], [1, 1]],
    [3, [2, 5], [3, 4], [3, 2], [2, 1]],
    [4, [1, 3], [1, 2], [0, 5], [3, 4]],
    [12, [7, 7], [1, 1], [3, 3], [1, 1]],
    [6, [3, 3], [5, 6], [2, 2], [1, 2]],
    [2, [9, 9], [1, 1], [4, 4], [1, 1]],
    [1, [3, 2], [2, 3], [2, 1], [1, 3]],
  ];
  it.each(
    depthwise,
  )("equals nested loops with %i channels each on its own, kernel %j, stride %j", (i, k, stride, padding, dilation) =>
    compare({ n: 2, h: 11, w: 13, i, o: i, k, stride, padding, dilation, groups: i }, 300 + i, i % 2 === 0));

  // Tiles that images are whole ones of and not, paddings that are whole strides and tiles and not,
  // rows that pair and do not.
  it.each([
    ["here", 1],
    ["here", 2],
    ["hardware", 1],
    ["hardware", 2],
  ] as const)("equals nested loops on every border of depthwise tiles (%s, stride %i)", async (where, stride) => {
    const d = await gpu();
    const caps = where === "hardware" ? ({ adapter: "hardware" } as const) : {};
    await withCaps(d, caps, async () => {
      for (const [h, w] of [
        [3, 9],
        [6, 5],
        [8, 4],
        [9, 8],
      ] as const)
        for (const pad of [0, 1, 2, 5]) {
          const geometry = { k: [3, 3] as Two, stride: [stride, stride] as Two, dilation: [1, 1] as Two };
          await compare({ n: 2, h, w, i: 4, o: 4, ...geometry, padding: [pad, (pad + 1) % 6], groups: 4 }, pad, true);
        }
    });
  });

  it("sums a depthwise weight gradient in chunks, in the same order every time", async () => {
    const [x, dy] = [randomTensor([6, 20, 21, 8], 1), randomTensor([6, 20, 21, 8], 2)];
    const options = { padding: 1, groups: 8 };
    const once = () => conv2dWeightGradient(x, dy, [3, 3], options).data();
    const [first, again] = [await once(), await once()];
    expect(again).toEqual(first);
    const c: Case = {
      ...{ n: 6, h: 20, w: 21, i: 8, o: 8, k: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 8 },
    };
    const want = oracle(c, await x.data(), new Float32Array(72), null, await dy.data());
    expectClose(first, want.dw, { atol: 3e-5 });
  });

  it("handles sizes of 1 everywhere", () =>
    compare(
      { n: 1, h: 1, w: 1, i: 1, o: 1, k: [1, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 },
      6,
      true,
    ));

  it.each([
    ["conv", "conv2d"],
    ["spatial", "depthwise"],
  ])("has PyTorch's output and gradients (%s, %s)", async (file, kind) => {
    const golden = new Golden(file);
    const cases = golden.meta(kind) as (ConvOptions & { bias: boolean })[];
    for (const [i, { bias, ...options }] of cases.entries()) {
      const data = (name: string) => golden.data(`${kind}.${i}.${name}`);
      const of = (name: string) => leaf(data(name), golden.shape(`${kind}.${i}.${name}`));
      const [x, w, b] = [of("x"), of("w"), bias ? of("b") : null];
      const y = conv2d(x, w, b, options);
      expect(y.shape).toEqual(golden.shape(`${kind}.${i}.y`));
      y.backward(of("g"));
      expectClose(await y.data(), data("y"), { what: `y of case ${i}` });
      expectClose(await x.grad!.data(), data("dx"), { what: `dx of case ${i}` });
      expectClose(await w.grad!.data(), data("dw"), { atol: 3e-5, what: `dw of case ${i}` });
      if (b) expectClose(await b.grad!.data(), data("db"), { atol: 3e-5, what: `db of case ${i}` });
    }
  });

  it("agrees with finite differences", () =>
    gradcheck(
      (x, w, b) => conv2d(x, w, b, { stride: 2, padding: 1, groups: 2 }),
      [
        { shape: [2, 5, 4, 4], data: randomData([2, 5, 4, 4], 1) },
        { shape: [3, 3, 2, 6], data: randomData([3, 3, 2, 6], 2) },
        { shape: [6], data: randomData([6], 3) },
      ],
    ));

  it("agrees with finite differences where every channel is on its own", () =>
    gradcheck(
      (x, w, b) => conv2d(x, w, b, { stride: [2, 1], padding: 1, groups: 4 }),
      [
        { shape: [2, 5, 6, 4], data: randomData([2, 5, 6, 4], 1) },
        { shape: [3, 3, 1, 4], data: randomData([3, 3, 1, 4], 2) },
        { shape: [4], data: randomData([4], 3) },
      ],
    ));

  it("gives the same numbers on every tile", async () => {
    const d = await gpu();
    const [n, size, i, o] = [2, 6, 8, 12];
    const [x, w, g] = [
      randomTensor([n, size, size, i], 1),
      randomTensor([3, 3, i, o], 2),
      randomTensor([n, size, size, o], 3),
    ];
    const shape = { kernel: [3, 3], stride: [1, 1], dilation: [1, 1] } as const;
    const pixels = n * size * size;
    const common = { dstH: size, dstW: size, srcH: size, srcW: size, groups: 1, padY: 1, padX: 1, pixels };
    const results: Float32Array[][] = [];
    const lanes = d.caps.subgroupSize > 1 ? [1, d.caps.subgroupSize] : [1];
    const tiles = lanes.flatMap((l) =>
      ([1, 2, 4] as const).flatMap((columns) => [1, 4, 16].map((rows) => ({ rows, columns, lanes: l }))),
    );
    for (const tile of tiles) {
      const [y, dx, dw] = [Tensor.empty([n, size, size, o]), Tensor.empty(x.shape), Tensor.empty(w.shape)];
      const base = { ...shape, bias: false, flat: false, whole: false, tile };
      d.run(
        convGatherKernel,
        { ...base, mode: "forward", vec: true },
        { src: x.buffer, w: w.buffer, bias: w.buffer, dst: y.buffer },
        { ...common, srcK: i, dstN: o },
      );
      d.run(
        convGatherKernel,
        { ...base, mode: "input", vec: true },
        { src: g.buffer, w: w.buffer, bias: w.buffer, dst: dx.buffer },
        { ...common, srcK: o, dstN: i },
      );
      d.run(
        convWeightKernel,
        { ...shape, vec: true, whole: false, oneTap: false, tile },
        { x: x.buffer, dy: g.buffer, dw: dw.buffer },
        {
          pixels,
          chunk: pixels,
          splits: 1,
          dyH: size,
          dyW: size,
          xH: size,
          xW: size,
          i,
          o,
          groups: 1,
          padY: 1,
          padX: 1,
        },
      );
      results.push(await Promise.all([y.data(), dx.data(), dw.data()]));
    }
    const [first, ...rest] = results;
    for (const other of rest) other.forEach((v, k) => expectClose(v, first![k]!, { rtol: 1e-5, atol: 1e-5 }));
  });

  it("takes an empty batch", async () => {
    const x = Tensor.from(new Float32Array(0), [0, 5, 5, 3]);
    const w = leaf(randomData([3, 3, 3, 4], 1), [3, 3, 3, 4]);
    const y = conv2d(x, w);
    expect(y.shape).toEqual([0, 3, 3, 4]);
    y.backward(Tensor.from(new Float32Array(0), y.shape));
    expect(Math.max(...(await w.grad!.data()).map(Math.abs))).toBe(0);
    const alone = leaf(randomData([3, 3, 1, 3], 1), [3, 3, 1, 3]);
    conv2d(x, alone, null, { groups: 3 }).backward(Tensor.from(new Float32Array(0), [0, 3, 3, 3]));
    expect(Math.max(...(await alone.grad!.data()).map(Math.abs))).toBe(0);
  });

  it("refuses what does not fit, with numbers", () => {
    const [x, w] = [randomTensor([1, 4, 4, 3], 1), randomTensor([3, 3, 3, 8], 2)];
    expect(() => conv2d(x, randomTensor([3, 3, 4, 8], 3))).toThrow(ShapeError);
    expect(() => conv2d(x, w, null, { groups: 3 })).toThrow(/3 channels.*9/s);
    expect(() => conv2d(x, randomTensor([5, 5, 3, 8], 3))).toThrow(/5×5 kernel.*4×4/s);
    expect(() => conv2d(x, w, randomTensor([7], 4))).toThrow(/bias \[7\].*8/s);
    expect(() => conv2d(x, w, null, { stride: 0 })).toThrow(ArgumentError);
  });
});

describe("conv1d", () => {
  it("equals nested loops", async () => {
    for (const [t, [l, i, o, k, stride, padding, dilation, groups]] of [
      [9, 3, 5, 3, 2, 1, 1, 1],
      [12, 4, 8, 2, 1, 0, 3, 2],
      [1, 2, 4, 1, 1, 0, 1, 1],
    ].entries() as Iterable<[number, [number, number, number, number, number, number, number, number]]>) {
      const [xd, wd] = [randomData([2, l, i], t), randomData([k, i / groups, o], t + 9)];
      const c: Case = {
        n: 2,
        h: 1,
        w: l,
        i,
        o,
        k: [1, k],
        stride: [1, stride],
        padding: [0, padding],
        dilation: [1, dilation],
        groups,
      };
      const [x, w] = [leaf(xd, [2, l, i]), leaf(wd, [k, i / groups, o])];
      const y = conv1d(x, w, null, { stride, padding, dilation, groups });
      const gd = randomData(y.shape, t + 20);
      const want = oracle(c, xd, wd, null, gd);
      y.backward(Tensor.from(gd, y.shape));
      expectClose(await y.data(), want.y);
      expectClose(await x.grad!.data(), want.dx);
      expectClose(await w.grad!.data(), want.dw);
    }
  });

  it("agrees with finite differences", () =>
    gradcheck(
      (x, w, b) => conv1d(x, w, b, { stride: 2, padding: 1 }),
      [
        { shape: [2, 7, 3], data: randomData([2, 7, 3], 1) },
        { shape: [3, 3, 4], data: randomData([3, 3, 4], 2) },
        { shape: [4], data: randomData([4], 3) },
      ],
    ));

  it("has PyTorch's output and gradients", async () => {
    const golden = new Golden("conv");
    const cases = golden.meta("conv1d") as { stride: number; padding: number; dilation: number; groups: number }[];
    for (const [i, options] of cases.entries()) {
      const of = (name: string) => leaf(golden.data(`conv1d.${i}.${name}`), golden.shape(`conv1d.${i}.${name}`));
      const [x, w, b] = [of("x"), of("w"), of("b")];
      const y = conv1d(x, w, b, options);
      y.backward(of("g"));
      expectClose(await y.data(), golden.data(`conv1d.${i}.y`), { what: `y of case ${i}` });
      expectClose(await x.grad!.data(), golden.data(`conv1d.${i}.dx`), { what: `dx of case ${i}` });
      expectClose(await w.grad!.data(), golden.data(`conv1d.${i}.dw`), { what: `dw of case ${i}` });
      expectClose(await b.grad!.data(), golden.data(`conv1d.${i}.db`), { what: `db of case ${i}` });
    }
  });
});
