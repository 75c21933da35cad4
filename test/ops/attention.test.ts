/** Attention three ways: plain loops in float64, PyTorch's numbers, finite differences. */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import { type AttentionOptions, packedAttention, scaledDotProductAttention } from "../../src/tensor/ops/attention";
import { stack } from "../../src/tensor/ops/movement";
import { Generator } from "../../src/tensor/random";
import type { Shape } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { computed, expectClose, gpu, gradcheck, randomData, withCaps } from "../support/gpu";

beforeAll(async () => void (await gpu()));

const leaf = (data: Float32Array, shape: Shape): Tensor => {
  const t = Tensor.from(data, shape);
  t.requiresGrad = true;
  return t;
};

/** Samples, queries, keys, heads, numbers in a head's row. */
type Sizes = readonly [n: number, t: number, s: number, heads: number, d: number];
type Arrays = readonly [q: Float32Array, k: Float32Array, v: Float32Array];

interface Mask {
  readonly causal?: boolean;
  /** Sample by sample. */
  readonly padding?: readonly number[] | undefined;
}

/** Output and gradients in double precision; rows that see nothing are 0. */
function oracle([n, t, s, heads, d]: Sizes, [q, k, v]: Arrays, g: Float32Array, mask: Mask, scale: number) {
  const [y, dq] = [new Float64Array(q.length), new Float64Array(q.length)];
  const [dk, dv] = [new Float64Array(k.length), new Float64Array(v.length)];
  const dims = Array.from({ length: d }, (_, i) => i);
  for (let b = 0; b < n; b++)
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < t; i++) {
        const at = ((b * t + i) * heads + h) * d;
        const keys = Array.from({ length: s }, (_, j) => j)
          .filter((j) => !(mask.causal && j > i) && !mask.padding?.[b * s + j])
          .map((j) => ((b * s + j) * heads + h) * d);
        const scores = keys.map((o) => scale * dims.reduce((sum, c) => sum + q[at + c]! * k[o + c]!, 0));
        const most = Math.max(...scores);
        const powers = scores.map((x) => Math.exp(x - most));
        const total = powers.reduce((a, x) => a + x, 0);
        const weights = powers.map((x) => x / total);
        keys.forEach((o, j) => dims.forEach((c) => void (y[at + c]! += weights[j]! * v[o + c]!)));
        const parts = keys.map((o) => dims.reduce((sum, c) => sum + g[at + c]! * v[o + c]!, 0));
        const mean = parts.reduce((sum, x, j) => sum + x * weights[j]!, 0);
        keys.forEach((o, j) => {
          const e = scale * weights[j]! * (parts[j]! - mean);
          for (const c of dims) {
            dq[at + c]! += e * k[o + c]!;
            dk[o + c]! += e * q[at + c]!;
            dv[o + c]! += weights[j]! * g[at + c]!;
          }
        });
      }
  return { y, dq, dk, dv };
}

/** Forward and backward, apart and, where there are as many keys as queries, packed. */
async function compare(sizes: Sizes, mask: Mask, seed: number, options: AttentionOptions = {}): Promise<void> {
  const [n, t, s, heads, d] = sizes;
  const shapes = [t, s, s].map((rows) => [n, rows, heads, d]);
  const data = shapes.map((shape, i) => randomData(shape, 3 * seed + i, 2)) as unknown as Arrays;
  const g = randomData([n, t, heads, d], seed + 77);
  const want = oracle(sizes, data, g, mask, options.scale ?? 1 / Math.sqrt(d));
  const keyPadding = mask.padding ? Tensor.from(Int32Array.from(mask.padding), [n, s]) : null;
  const all = { ...options, causal: mask.causal ?? false, keyPadding };
  const what = JSON.stringify([sizes, Object.keys(mask)]);
  const [q, k, v] = data.map((x, i) => leaf(x, shapes[i]!)) as [Tensor, Tensor, Tensor];
  const y = scaledDotProductAttention(q, k, v, all);
  expect(y.shape).toEqual(q.shape);
  expectClose(await y.data(), want.y, { what: `y ${what}` });
  y.backward(Tensor.from(g, y.shape));
  for (const [name, x] of Object.entries({ dq: q, dk: k, dv: v }))
    expectClose(await x.grad!.data(), want[name as "dq"], { what: `${name} ${what}` });
  if (t !== s) return;
  const qkv = scope(() => stack([q, k, v], 2).detach());
  qkv.requiresGrad = true;
  const z = packedAttention(qkv, all);
  expect([...(await z.data())]).toEqual([...(await y.data())]);
  z.backward(Tensor.from(g, y.shape));
  expect([...(await qkv.grad!.data())]).toEqual([...(await scope(() => stack([q.grad!, k.grad!, v.grad!], 2)).data())]);
}

describe("attention against plain JavaScript", () => {
  const random = new Generator(5);
  const some: Sizes[] = Array.from({ length: 4 }, () => {
    const [n, t, s, heads] = [2, 20, 20, 3].map((most) => 1 + random.integer(most)) as [number, number, number, number];
    return [n, t, s, heads, 8];
  });
  const nasty: Sizes[] = [
    [1, 1, 1, 1, 8],
    [2, 17, 17, 2, 8],
    [1, 16, 16, 1, 8],
    [2, 3, 33, 1, 8],
    [1, 33, 3, 2, 8],
  ];

  it.each([...nasty, ...some])("%i samples, %i queries, %i keys, %i heads of %i", async (...sizes) => {
    const [n, , s] = sizes;
    const draw = new Generator(s);
    // The first key of the first sample is padding too: a causal row then sees none.
    const padding = Array.from({ length: n * s }, (_, i) => (i === 0 || draw.uniform(0, 1) < 0.3 ? 1 : 0));
    for (const [i, mask] of [{}, { causal: true }, { padding }, { causal: true, padding }].entries())
      await compare(sizes, mask, i);
  });

  it("rows of other lengths: what fills no vector of four, one row a time", async () => {
    await compare([2, 5, 6, 2, 3], {}, 1);
    await compare([1, 6, 6, 2, 6], { causal: true }, 2, { scale: -0.3 });
    await compare([1, 6, 5, 1, 68], {}, 3);
  });

  it("as on a graphics processor", async () => {
    await withCaps(await gpu(), { tiling: "workgroup" }, () => compare([2, 40, 40, 1, 8], { causal: true }, 1));
  });
});

describe("attention against PyTorch", () => {
  const golden = new Golden("attention");
  it.each(
    (golden.meta("attention") as AttentionOptions[]).map((options, i) => ({ i, options })),
  )("case $i: $options", async ({ i, options }) => {
    const name = (part: string) => `attention.${i}.${part}`;
    const of = (part: string) => leaf(golden.data(name(part)), golden.shape(name(part)));
    const [q, k, v] = [of("q"), of("k"), of("v")];
    const keyPadding = golden.has(name("padding"))
      ? Tensor.from(Int32Array.from(golden.data(name("padding"))), golden.shape(name("padding")))
      : null;
    const { causal = false, scale } = options;
    const y = scaledDotProductAttention(q, k, v, { causal, keyPadding, ...(scale && { scale }) });
    expectClose(await y.data(), golden.data(name("y")));
    y.backward(of("g"));
    for (const [part, x] of Object.entries({ dq: q, dk: k, dv: v }))
      expectClose(await x.grad!.data(), golden.data(name(part)), { what: part });
  });
});

describe("attention by finite differences", () => {
  const input = (shape: Shape, seed: number) => ({ shape, data: randomData(shape, seed) });
  it("apart", () =>
    gradcheck(
      (q, k, v) => scaledDotProductAttention(q, k, v, { keyPadding: [[0, 0, 1, 0, 0]] }),
      [input([1, 3, 2, 8], 1), input([1, 5, 2, 8], 2), input([1, 5, 2, 8], 3)],
    ));
  it("packed and causal", () => gradcheck((x) => packedAttention(x, { causal: true }), [input([1, 5, 3, 1, 8], 4)]));
});

describe("edges of attention", () => {
  const inputs = () => [1, 2, 3].map((seed) => leaf(randomData([1, 4, 1, 8], seed), [1, 4, 1, 8]));
  const rowsOf = async (x: Tensor) => {
    const data = await x.data();
    return [0, 1, 2, 3].map((r) => [...data.slice(8 * r, 8 * r + 8)]);
  };
  const zero = Array(8).fill(0);

  it("queries that see no key give 0, and neither they nor padding get a gradient", async () => {
    const [q, k, v] = inputs() as [Tensor, Tensor, Tensor];
    k.write(randomData([1, 4, 1, 8], 2).map((x, i) => (i < 16 ? Number.NaN : x)));
    v.write(randomData([1, 4, 1, 8], 3).map((x, i) => (i < 16 ? Infinity : x)));
    const y = scaledDotProductAttention(q, k, v, { causal: true, keyPadding: [[1, 1, 0, 0]] });
    const rows = await rowsOf(y);
    expect(rows.slice(0, 2)).toEqual([zero, zero]);
    expect(rows.slice(2).flat().every(Number.isFinite)).toBe(true);
    y.backward(Tensor.full(y.shape, 1));
    expect((await rowsOf(q.grad!)).slice(0, 2)).toEqual([zero, zero]);
    for (const x of [k, v]) {
      const grads = await rowsOf(x.grad!);
      expect(grads.slice(0, 2)).toEqual([zero, zero]);
      expect(grads.slice(2).flat().every(Number.isFinite)).toBe(true);
    }
  });

  it("NaN in a query is its row's alone; NaN and +∞ of a key are everyone's", async () => {
    const isBad = async (x: Tensor) => (await rowsOf(x)).map((row) => row.every(Number.isNaN));
    const [q, k, v] = inputs() as [Tensor, Tensor, Tensor];
    q.write(randomData([1, 4, 1, 8], 1).map((x, i) => (i === 9 ? Number.NaN : x)));
    const y = scaledDotProductAttention(q, k, v);
    expect(await isBad(y)).toEqual([false, true, false, false]);
    y.backward(Tensor.full(y.shape, 1));
    expect(await isBad(q.grad!)).toEqual([false, true, false, false]);
    for (const x of [k, v]) expect(await isBad(x.grad!)).toEqual([true, true, true, true]);
    for (const bad of [Number.NaN, Infinity]) {
      const [a, b, c] = inputs() as [Tensor, Tensor, Tensor];
      a.write(randomData([1, 4, 1, 8], 1).map(Math.abs));
      b.write(randomData([1, 4, 1, 8], 1).map((x, i) => (i === 26 ? bad : x)));
      expect(await isBad(scaledDotProductAttention(a, b, c))).toEqual([true, true, true, true]);
      expect(await isBad(scaledDotProductAttention(a, b, c, { causal: true }))).toEqual([false, false, false, true]);
    }
  });

  it("is stable far from 0", async () => {
    const [q, k, v] = inputs() as [Tensor, Tensor, Tensor];
    const y = scaledDotProductAttention(q, k, v, { scale: 1e5 });
    const [a, b, values] = await Promise.all([q, k, v].map((x) => rowsOf(x)));
    const dots = (row: number[]) => b!.map((other) => other.reduce((s, x, i) => s + x * row[i]!, 0));
    for (const [i, row] of (await rowsOf(y)).entries()) {
      const scores = dots(a![i]!);
      expectClose(row, values![scores.indexOf(Math.max(...scores))]!);
    }
  });

  it("gives the same bits each time", async () => {
    const bits = async () => {
      const [q, k, v] = inputs() as [Tensor, Tensor, Tensor];
      const y = scaledDotProductAttention(q, k, v);
      y.backward(Tensor.full(y.shape, 1));
      return Promise.all([y, q.grad!, k.grad!, v.grad!].map(async (x) => [...(await x.data())]));
    };
    expect(await bits()).toEqual(await bits());
  });

  it("holds no tensor of as many elements as queries times keys", async () => {
    const [t, d] = [1024, 8];
    const x = [1, 2, 3].map((seed) => leaf(randomData([1, t, 1, d], seed), [1, t, 1, d]));
    const before = memory().bytes;
    const y = scaledDotProductAttention(x[0]!, x[1]!, x[2]!);
    expect(memory().bytes - before).toBe(4 * t * (d + 1));
    await y.data();
  });

  it("takes computed padding of either type, lists, and nothing at all", async () => {
    const x = inputs() as [Tensor, Tensor, Tensor];
    const known = Tensor.from(Uint32Array.of(0, 7, 0, 1), [1, 4]);
    const want = [...(await scaledDotProductAttention(...x, { keyPadding: known }).data())];
    const made = computed(Tensor.from(Int32Array.of(0, -1, 0, 5))).view([1, 4]);
    for (const keyPadding of [[[0, 1, 0, 1]], made])
      expect([...(await scaledDotProductAttention(...x, { keyPadding }).data())]).toEqual(want);
    const none = leaf(new Float32Array(0), [1, 0, 1, 8]);
    const y = scaledDotProductAttention(x[0], none, none);
    expect([...(await y.data())]).toEqual(Array(32).fill(0));
    y.backward(Tensor.full(y.shape, 1));
    expect([...(await x[0].grad!.data())]).toEqual(Array(32).fill(0));
    expect(scaledDotProductAttention(none, x[1], x[2]).shape).toEqual([1, 0, 1, 8]);
  });

  it("computes no gradient that nobody wants", async () => {
    const d = await gpu();
    const [q, k, v] = inputs().map((x) => x.detach()) as [Tensor, Tensor, Tensor];
    v.requiresGrad = true;
    const y = scaledDotProductAttention(q, k, v);
    const seed = Tensor.full(y.shape, 1);
    const before = d.counters.dispatches;
    y.backward(seed);
    expect(d.counters.dispatches - before).toBe(2);
    expect([q.grad, k.grad]).toEqual([null, null]);
  });

  it("refuses what does not fit", () => {
    const of = (...shape: number[]) => Tensor.full(shape, 0);
    const x = of(2, 4, 1, 8);
    expect(() => scaledDotProductAttention(of(4, 8), of(4, 8), of(4, 8))).toThrow(/\[N, T, H, D\].*found \[4, 8\]/);
    expect(() => scaledDotProductAttention(x, of(2, 5, 1, 8), of(2, 4, 1, 8))).toThrow(ShapeError);
    expect(() => scaledDotProductAttention(x, of(2, 5, 2, 8), of(2, 5, 2, 8))).toThrow(ShapeError);
    expect(() => scaledDotProductAttention(x, of(1, 4, 1, 8), of(1, 4, 1, 8))).toThrow(ShapeError);
    const wide = of(1, 1, 1, 257);
    expect(() => scaledDotProductAttention(wide, wide, wide)).toThrow(/up to 256 numbers.*found 257: use more heads/);
    expect(() => scaledDotProductAttention(x, x, x, { keyPadding: [0, 0, 0, 0] })).toThrow(
      /keyPadding of shape \[2, 4\]/,
    );
    expect(() => scaledDotProductAttention(x, x, x, { keyPadding: of(2, 4) })).toThrow(/i32 or u32/);
    expect(() => scaledDotProductAttention(x, x, x, { scale: Number.NaN })).toThrow(ArgumentError);
    expect(() => packedAttention(x)).toThrow(ShapeError);
  });
});
