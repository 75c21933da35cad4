/**
 * The closed form of the passport branch against the direct one, avg(W * P): from our convolution,
 * and from a plain loop.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import { toFloat32 } from "../../src/io/host-tensor";
import { type Layout, toTorch } from "../../src/nn/state";
import { passportGammaBeta, passportMeans, windowMeans } from "../../src/passport/closed-form";
import { averageUnder, type MapGeometry, passportShape, positionsOf, tapMeans, tapsOf } from "../../src/passport/place";
import { conv1d, conv2d } from "../../src/tensor/ops/products/conv";
import type { ConvOptions } from "../../src/tensor/ops/products/geometry";
import { linear } from "../../src/tensor/ops/products/matmul";
import { mean } from "../../src/tensor/ops/reduce";
import { windowCount } from "../../src/tensor/ops/windows";
import { Generator } from "../../src/tensor/random";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, gradcheck, randomData, randomTensor } from "../support/gpu";

beforeAll(async () => void (await gpu()));

interface Case {
  size: [number, number];
  i: number;
  o: number;
  k: [number, number];
  stride?: [number, number];
  padding?: [number, number];
  dilation?: [number, number];
}

const CASES: Case[] = [
  { size: [8, 8], i: 3, o: 8, k: [3, 3], padding: [1, 1] },
  { size: [7, 5], i: 4, o: 6, k: [3, 3] },
  { size: [9, 6], i: 2, o: 5, k: [5, 3], stride: [2, 1], padding: [2, 0] },
  { size: [1, 1], i: 1, o: 1, k: [1, 1] },
  { size: [3, 3], i: 1, o: 3, k: [3, 3] },
  { size: [6, 11], i: 3, o: 4, k: [2, 4], stride: [3, 2], padding: [1, 3], dilation: [2, 1] },
  { size: [4, 4], i: 5, o: 7, k: [1, 1], stride: [3, 3] },
  { size: [5, 9], i: 2, o: 9, k: [3, 2], padding: [4, 2], dilation: [1, 3] },
];

/** S, γ, and dL/dW for L = Σ g·γ, by loops over the direct form in float64. */
function oracle(c: Case, passport: Float32Array, w: Float32Array, g: Float32Array) {
  const { size, i: channels, o: outputs, k, stride = [1, 1], padding = [0, 0], dilation = [1, 1] } = c;
  const [oh, ow] = [0, 1].map((d) => windowCount(size[d]!, k[d]!, stride[d]!, padding[d]!, dilation[d]!)) as [
    number,
    number,
  ];
  const means = new Float64Array(k[0] * k[1] * channels);
  const gamma = new Float64Array(outputs);
  const dw = new Float64Array(w.length);
  for (let p = 0; p < oh; p++)
    for (let q = 0; q < ow; q++)
      for (let u = 0; u < k[0]; u++)
        for (let v = 0; v < k[1]; v++) {
          const [y, x] = [p * stride[0] + u * dilation[0] - padding[0], q * stride[1] + v * dilation[1] - padding[1]];
          if (y < 0 || x < 0 || y >= size[0] || x >= size[1]) continue;
          for (let i = 0; i < channels; i++) {
            const value = passport[(y * size[1] + x) * channels + i]! / (oh * ow);
            const row = (u * k[1] + v) * channels + i;
            means[row]! += value;
            for (let o = 0; o < outputs; o++) {
              gamma[o]! += value * w[row * outputs + o]!;
              dw[row * outputs + o]! += value * g[o]!;
            }
          }
        }
  return { means, gamma, dw };
}

const optionsOf = ({ size: _, i: _i, o: _o, k: _k, ...options }: Case) => options;
const shapes = (c: Case) => ({ passport: [1, ...c.size, c.i], weight: [...c.k, c.i, c.o] });

function leaf(data: Float32Array, shape: number[]): Tensor {
  const t = Tensor.from(data, shape);
  t.requiresGrad = true;
  return t;
}

describe("the closed form", () => {
  it.each(
    CASES.map((c, i) => [JSON.stringify(c), c, i] as const),
  )("is the average of the convolution: %s", async (_, c, seed) => {
    const { passport, weight } = shapes(c);
    const [skey, key, wd] = [
      randomData(passport, 3 * seed),
      randomData(passport, 3 * seed + 1),
      randomData(weight, 3 * seed + 2),
    ];
    const g = randomData([2, c.o], seed + 100);
    const [ps, pk] = [Tensor.from(skey, passport), Tensor.from(key, passport)];

    const closed = leaf(wd, weight);
    const means = passportMeans(ps, pk, closed, optionsOf(c));
    const scales = scope(() => {
      const y = passportGammaBeta(means, closed);
      y.backward(Tensor.from(g, [2, c.o]));
      return y;
    });
    expect(means.shape).toEqual([2, c.k[0] * c.k[1] * c.i]);
    expect(scales.shape).toEqual([2, c.o]);

    const direct = leaf(wd, weight);
    const [gamma, beta] = scope(() =>
      [ps, pk].map((p, row) => {
        const y = mean(conv2d(p, direct, null, optionsOf(c)), [0, 1, 2]);
        y.backward(Tensor.from(g.subarray(row * c.o, (row + 1) * c.o), [c.o]));
        return y;
      }),
    );

    const [s, raw] = [await means.data(), await scales.data()];
    const rows = [skey, key].map((p, row) => oracle(c, p, wd, g.subarray(row * c.o, (row + 1) * c.o)));
    rows.forEach((row, r) => {
      expectClose(s.subarray(r * row.means.length, (r + 1) * row.means.length), row.means, { what: "window means" });
      expectClose(raw.subarray(r * c.o, (r + 1) * c.o), row.gamma, { what: "scales" });
    });
    expectClose(raw, [...(await gamma!.data()), ...(await beta!.data())], { what: "scales against conv2d" });
    const dw = await closed.grad!.data();
    expectClose(
      dw,
      rows[0]!.dw.map((v, i) => v + rows[1]!.dw[i]!),
      { what: "dW" },
    );
    expectClose(dw, await direct.grad!.data(), { what: "dW against conv2d" });
    for (const t of [ps, pk, closed, direct, means, scales, gamma!, beta!]) t.dispose();
  });

  it.each([0, 2, 5])("agrees with finite differences towards the weight, case %i", async (n) => {
    const c = CASES[n]!;
    const { passport, weight } = shapes(c);
    const [skey, key, w] = [randomTensor(passport, 1), randomTensor(passport, 2), randomTensor(weight, 3)];
    const means = passportMeans(skey, key, w, optionsOf(c));
    await gradcheck((t) => passportGammaBeta(means, t), [{ shape: weight, data: randomData(weight, 3) }], {
      rtol: 1e-3,
      atol: 1e-3,
    });
    for (const t of [skey, key, w, means]) t.dispose();
  });

  it("leaves nothing behind but its result", () => {
    const [skey, key, w] = [
      randomTensor([1, 4, 4, 2], 1),
      randomTensor([1, 4, 4, 2], 2),
      randomTensor([3, 3, 2, 4], 3),
    ];
    const before = memory();
    passportMeans(skey, key, w, { padding: 1 }).dispose();
    windowMeans(skey, w).dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
    for (const t of [skey, key, w]) t.dispose();
  });
});

/** One random map of any kind: passport and weight shapes, options, and the map itself. */
function randomMap(seed: number) {
  const r = new Generator(seed);
  const [groups, ig, og] = [1 + r.integer(3), 1 + r.integer(3), 1 + r.integer(4)];
  const kind = seed % 3;
  if (kind === 2) {
    const map = (p: Tensor, w: Tensor) => mean(linear(p, w), [0]);
    return { kind: "linear", groups: 1, options: {}, passport: [1, ig * groups], weight: [ig * groups, og], map };
  }
  const axis = () => {
    const [k, dilation, stride, padding] = [1 + r.integer(3), 1 + r.integer(2), 1 + r.integer(3), r.integer(3)];
    return { k, dilation, stride, padding, size: dilation * (k - 1) + 1 + r.integer(5) };
  };
  const [a, b] = [axis(), axis()];
  if (kind === 1) {
    const options = { stride: a.stride, padding: a.padding, dilation: a.dilation, groups };
    const map = (p: Tensor, w: Tensor) => mean(conv1d(p, w, null, options), [0, 1]);
    const shapes = { passport: [1, a.size, ig * groups], weight: [a.k, ig, og * groups] };
    return { kind: "conv1d", groups, options, ...shapes, map };
  }
  const both = (f: (v: typeof a) => number) => [f(a), f(b)] as const;
  const options: ConvOptions = {
    stride: both((v) => v.stride),
    padding: both((v) => v.padding),
    dilation: both((v) => v.dilation),
    groups,
  };
  const map = (p: Tensor, w: Tensor) => mean(conv2d(p, w, null, options), [0, 1, 2]);
  const shapes = { passport: [1, ...both((v) => v.size), ig * groups], weight: [...both((v) => v.k), ig, og * groups] };
  return { kind: "conv2d", groups, options, ...shapes, map };
}

describe("groups, one dimension, linear maps, and gradients towards the passports", () => {
  it.each(
    Array.from({ length: 24 }, (_, seed) => seed),
  )("equals the direct form, forward and both gradients: random map %i", async (seed) => {
    const m = randomMap(seed);
    const o = m.weight[m.weight.length - 1]!;
    const data = [m.passport, m.passport, m.weight].map((shape, i) => randomData(shape, 10 * seed + i));
    const g = randomData([2, o], seed + 500);
    const leaves = () =>
      [m.passport, m.passport, m.weight].map((shape, i) => leaf(data[i]!, shape)) as [Tensor, Tensor, Tensor];
    const [closed, direct] = [leaves(), leaves()];
    const scales = scope(() => {
      const y = passportGammaBeta(passportMeans(closed[0], closed[1], closed[2], m.options), closed[2], m.groups);
      y.backward(Tensor.from(g, [2, o]));
      return y;
    });
    const rows = scope(() =>
      [0, 1].map((row) => {
        const y = m.map(direct[row]!, direct[2]);
        y.backward(Tensor.from(g.subarray(row * o, (row + 1) * o), [o]));
        return y;
      }),
    );
    expect(scales.shape).toEqual([2, o]);
    expectClose(await scales.data(), [...(await rows[0]!.data()), ...(await rows[1]!.data())], { what: m.kind });
    for (const [i, what] of ["dP_γ", "dP_β", "dW"].entries()) {
      expect(closed[i]!.grad!.shape, what).toEqual(direct[i]!.shape);
      expectClose(await closed[i]!.grad!.data(), await direct[i]!.grad!.data(), { what: `${m.kind} ${what}` });
    }
    for (const t of [...closed, ...direct, scales, ...rows]) t.dispose();
  });

  it.each([
    0, 1, 2, 6, 9,
  ])("agrees with finite differences towards passports and weight: random map %i", async (seed) => {
    const m = randomMap(seed);
    const inputs = [m.passport, m.passport, m.weight].map((shape, i) => ({ shape, data: randomData(shape, seed + i) }));
    await gradcheck(
      (skey, key, w) => passportGammaBeta(passportMeans(skey!, key!, w!, m.options), w!, m.groups),
      inputs,
      {
        rtol: 2e-3,
        atol: 2e-3,
        probes: 6,
      },
    );
  });
});

describe("on the host", () => {
  /** The same map as {@link randomMap}, in numbers. */
  function geometry(m: ReturnType<typeof randomMap>): MapGeometry {
    const axes = m.weight.length - 2;
    const { stride = 1, padding = 0, dilation = 1 } = m.options as ConvOptions;
    const each = (v: unknown): number[] => (typeof v === "number" ? Array(axes).fill(v) : [...(v as number[])]);
    return {
      kind: m.kind as MapGeometry["kind"],
      inChannels: m.passport.at(-1)!,
      channels: m.weight.at(-1)!,
      kernel: m.weight.slice(0, -2),
      stride: each(stride),
      padding: each(padding).map((p) => [p, p] as const),
      dilation: each(dilation),
      groups: m.groups,
      inputSize: m.passport.slice(1, -1),
    };
  }

  it.each(
    Array.from({ length: 24 }, (_, seed) => seed),
  )("γ from state dicts is that of the device, with a bias or without: random map %i", async (seed) => {
    const m = randomMap(seed);
    const place = geometry(m);
    const [o, { layout }] = [place.channels, passportShape(place)];
    const [skey, key, w] = [m.passport, m.passport, m.weight].map((shape, i) => randomData(shape, 10 * seed + i));
    const bias = seed % 2 ? Float32Array.from(randomData([o], 7)) : null;
    const scales = scope(() => {
      const [p, q, v] = [Tensor.from(skey!, m.passport), Tensor.from(key!, m.passport), Tensor.from(w!, m.weight)];
      return passportGammaBeta(passportMeans(p, q, v, m.options), v, m.groups, bias && Tensor.from(bias));
    });
    const torch = (data: Float32Array, shape: number[], as: Layout) =>
      toFloat32(toTorch(new Float32Array(data), shape, as));
    const weight = torch(w!, m.weight, place.kind);
    const found = [skey!, key!].map((p) => averageUnder(place, weight, bias, torch(p, m.passport, layout)));
    expectClose([...found[0]!, ...found[1]!], await scales.data(), { what: m.kind });
    // The same from the shares of positions, written out.
    const [taps, area, shares] = [tapsOf(place), positionsOf(place), tapMeans(place)];
    expect(shares.length).toBe(taps * area);
    const means = await scope(() =>
      windowMeans(Tensor.from(skey!, m.passport), Tensor.from(w!, m.weight), m.options),
    ).data();
    const wanted = Array.from({ length: taps * place.inChannels }, (_, row) => {
      const [t, i] = [Math.floor(row / place.inChannels), row % place.inChannels];
      return Array.from({ length: area }, (_, p) => shares[t * area + p]! * skey![p * place.inChannels + i]!).reduce(
        (a, b) => a + b,
        0,
      );
    });
    expectClose(means, wanted, { what: `${m.kind}, shares` });
    scales.dispose();
  });

  it("needs no more memory than the passport, whatever the kernel", () => {
    // The shares of all positions would be 32 GiB.
    const [size, k] = [2 ** 20, 2 ** 6];
    const numbers = { inChannels: 1, channels: 1, groups: 1, stride: [2 ** 14, 1], dilation: [1, 1] };
    const place: MapGeometry = {
      ...numbers,
      kind: "conv2d",
      kernel: [k, k],
      inputSize: [size / k, k],
      padding: [
        [0, 0],
        [0, 0],
      ],
    };
    const ones = new Float32Array(size).fill(1);
    expect([...averageUnder(place, new Float32Array(k * k).fill(0.5), null, ones)]).toEqual([(k * k) / 2]);
  });
});

describe("errors", () => {
  it("refuses groups that the channels do not have, pairs for one dimension, and other passports for linear maps", () => {
    const [p, w] = [randomTensor([1, 4, 4, 4], 1), randomTensor([3, 3, 2, 4], 2)];
    expect(() => windowMeans(p, w)).toThrow(ShapeError);
    expect(() => passportGammaBeta(randomTensor([2, 18], 1), w, 2)).toThrow(/in 2 groups do not belong together/);
    const [line, taps] = [randomTensor([1, 5, 2], 1), randomTensor([3, 2, 4], 2)];
    expect(() => windowMeans(line, taps, { stride: [1, 2] })).toThrow(ArgumentError);
    expect(() => windowMeans(line, w)).toThrow(/\[1, H, W, I\]/);
    expect(() => windowMeans(randomTensor([1, 3], 1), randomTensor([2, 4], 2))).toThrow(ShapeError);
  });

  it.each([0, 2])("refuses a passport of batch %i", (n) => {
    const [p, w] = [randomTensor([n, 4, 4, 2], 1), randomTensor([3, 3, 2, 4], 2)];
    expect(() => windowMeans(p, w)).toThrow(ShapeError);
    expect(() => windowMeans(p, w)).toThrow(`found [${n}, 4, 4, 2]`);
  });

  it("refuses a passport of other channels, or smaller than the kernel", () => {
    const w = randomTensor([3, 3, 2, 4], 2);
    expect(() => windowMeans(randomTensor([1, 4, 4, 3], 1), w)).toThrow(ShapeError);
    expect(() => windowMeans(randomTensor([1, 2, 2, 2], 1), w)).toThrow(ShapeError);
  });
});
