import { beforeAll, describe, expect, it } from "vitest";
import { reduceLanes } from "../../shaders/reduce.wgsl";
import { ArgumentError, ShapeError } from "../../src/errors";
import { accumulateAt, correctCount, correctRows } from "../../src/tensor/ops/metrics";
import { type Axes, amax, amin, argmax, mean, norm, sum, sumSquares, variance } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { type Shape, sizeOf, stridesOf } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, gradcheck, randomData } from "../support/gpu";

const ops = { sum, mean, amax, amin, variance, sumSquares } as const;
type Name = keyof typeof ops;
const names = Object.keys(ops) as Name[];

const add = (v: number[]) => v.reduce((s, x) => s + x, 0);
const average = (v: number[]) => add(v) / v.length;

/** Value of a reduction of v, and its derivative by every element. */
const oracle: Record<Name, (v: number[]) => { y: number; dx: number[] }> = {
  sum: (v) => ({ y: add(v), dx: v.map(() => 1) }),
  mean: (v) => ({ y: average(v), dx: v.map(() => 1 / v.length) }),
  amax: (v) =>
    ties(
      v,
      v.reduce((a, b) => (a > b || Number.isNaN(a) ? a : b)),
    ),
  amin: (v) =>
    ties(
      v,
      v.reduce((a, b) => (a < b || Number.isNaN(a) ? a : b)),
    ),
  variance: (v) => {
    const m = average(v);
    return { y: add(v.map((x) => (x - m) ** 2)) / (v.length - 1), dx: v.map((x) => (2 * (x - m)) / (v.length - 1)) };
  },
  sumSquares: (v) => ({ y: add(v.map((x) => x * x)), dx: v.map((x) => 2 * x) }),
};

function ties(v: number[], y: number) {
  const n = v.filter((x) => x === y).length;
  return { y, dx: v.map((x) => (x === y ? 1 / n : 0)) };
}

/** Groups the positions of x that are reduced together, in the order of the results. */
function groups(shape: Shape, axes: Axes | undefined): number[][] {
  const gone = new Set(
    (axes === undefined ? shape.map((_, d) => d) : [axes].flat()).map((a) => (a < 0 ? a + shape.length : a)),
  );
  const strides = stridesOf(shape);
  const outer = stridesOf(shape.map((n, d) => (gone.has(d) ? 1 : n)));
  const out: number[][] = Array.from({ length: sizeOf(shape.filter((_, d) => !gone.has(d))) }, () => []);
  for (let i = 0; i < sizeOf(shape); i++) {
    const at = shape.reduce((s, n, d) => s + (gone.has(d) ? 0 : (Math.floor(i / strides[d]!) % n) * outer[d]!), 0);
    out[at]!.push(i);
  }
  return out;
}

async function check(
  name: Name,
  shape: Shape,
  axes: Axes | undefined,
  keepdim: boolean,
  data: Float32Array,
  seed: number,
) {
  const what = `${name} [${shape}] over ${axes} ${keepdim}`;
  const x = Tensor.from(data, shape);
  x.requiresGrad = true;
  const y = name === "variance" ? variance(x, axes, { keepdim }) : ops[name](x, axes, { keepdim });
  const parts = groups(shape, axes);
  const expected = parts.map((p) => oracle[name](p.map((i) => data[i]!)));
  const gone = new Set(
    (axes === undefined ? shape.map((_, d) => d) : [axes].flat()).map((a) => (a < 0 ? a + shape.length : a)),
  );
  expect(y.shape, what).toEqual(
    keepdim ? shape.map((n, d) => (gone.has(d) ? 1 : n)) : shape.filter((_, d) => !gone.has(d)),
  );
  expectClose(
    await y.data(),
    expected.map((e) => e.y),
    { what },
  );
  const seeds = randomData(y.shape, seed);
  y.backward(Tensor.from(seeds, y.shape));
  const dx = new Float64Array(data.length);
  parts.forEach((p, k) => {
    p.forEach((i, j) => {
      dx[i] = seeds[k]! * expected[k]!.dx[j]!;
    });
  });
  expect(x.grad!.shape, what).toEqual(shape);
  expectClose(await x.grad!.data(), dx, { what: `gradient of ${what}` });
  x.dispose();
  y.dispose();
}

/** Rounded to few values, so that maxima tie. */
const coarse = (shape: Shape, seed: number) => randomData(shape, seed, 2).map((v) => Math.round(v * 4) / 4);

beforeAll(gpu);

describe("reductions against plain JavaScript", () => {
  const g = new Generator(11);
  const random = Array.from({ length: 14 }, () => {
    const rank = 1 + g.integer(6);
    const shape = Array.from({ length: rank }, () => [1, 2, 3, 4, 5, 8][g.integer(6)]!);
    const axes = shape.flatMap((_, d) => (g.uniform(0, 1) < 0.5 ? [g.uniform(0, 1) < 0.5 ? d : d - rank] : []));
    return { shape, axes, keepdim: g.uniform(0, 1) < 0.5 };
  });
  const nasty: { shape: Shape; axes: Axes | undefined; keepdim: boolean }[] = [
    { shape: [], axes: undefined, keepdim: false },
    { shape: [1, 1, 1], axes: [0, 2], keepdim: true },
    { shape: [7], axes: [], keepdim: false },
    { shape: [2, 3, 2, 3, 2, 3], axes: [0, 2, 4], keepdim: false },
    { shape: [3, 2, 3, 2, 3, 4], axes: [-1, 1, -3], keepdim: true },
    { shape: [2, 3, 5, 1, 4], axes: [2, 0, 3], keepdim: false },
    { shape: [4099], axes: undefined, keepdim: false },
    { shape: [4100], axes: 0, keepdim: false },
    { shape: [2503, 3], axes: 0, keepdim: false },
    { shape: [2501, 4], axes: 0, keepdim: false },
    { shape: [3, 2600], axes: 1, keepdim: true },
    { shape: [3, 2601], axes: -1, keepdim: false },
    { shape: [61, 3, 53], axes: [0, 2], keepdim: false },
    { shape: [3, 2201, 2], axes: 1, keepdim: false },
  ];
  it.each(names)("%s", async (name) => {
    for (const [i, c] of [...nasty, ...random].entries()) {
      const single = groups(c.shape, c.axes)[0]!.length === 1;
      if (name === "variance" && single) continue;
      await check(
        name,
        c.shape,
        c.axes,
        c.keepdim,
        name.startsWith("am") ? coarse(c.shape, i) : randomData(c.shape, i, 2),
        i + 100,
      );
    }
  });

  it("keeps digits that E[x²] − E[x]² would lose", async () => {
    const data = randomData([3000], 5).map((v) => v + 1000);
    const v = [...data];
    expectClose([await variance(Tensor.from(data, [3000])).item()], [oracle.variance(v).y], { rtol: 1e-3 });
  });

  it("variance takes a correction", async () => {
    const x = Tensor.from(Float32Array.of(1, 2, 4, 9), [4]);
    expectClose([await variance(x, 0, { correction: 0 }).item()], [9.5]);
    expect(await variance(Tensor.from(Float32Array.of(3), [1])).item()).toBeNaN();
  });

  it("norm, with gradient 0 at 0", async () => {
    for (const n of [1, 5, 4100]) {
      const data = randomData([n], n);
      const x = Tensor.from(data, [n]);
      x.requiresGrad = true;
      const y = norm(x);
      const length = Math.hypot(...data);
      expectClose([await y.item()], [length]);
      y.backward();
      expectClose(
        await x.grad!.data(),
        data.map((v) => v / length),
      );
    }
    const zero = Tensor.full([3], 0);
    zero.requiresGrad = true;
    norm(zero).backward();
    expect([...(await zero.grad!.data())]).toEqual([0, 0, 0]);
  });

  it("argmax takes the first of several", async () => {
    for (const [shape, axis] of [
      [[5], 0],
      [[1, 1], 1],
      [[7, 13], -1],
      [[7, 13], 0],
      [[3, 9, 5], 1],
      [[2, 3, 4, 5], -3],
    ] as const) {
      const data = coarse(shape, shape.length);
      const y = argmax(Tensor.from(data, shape), axis);
      expect(y.dtype).toBe("i32");
      const expected = groups(shape, axis)
        .map((p) => p.map((i) => data[i]!))
        .map((v) => v.indexOf(Math.max(...v)));
      expect([...(await y.data())]).toEqual(expected);
    }
    expect(argmax(Tensor.full([2, 3], 0), 0, { keepdim: true }).shape).toEqual([1, 3]);
  });

  it("NaN wins in amax, amin and argmax, infinities are ordinary", async () => {
    const rows = [
      [1, Number.NaN, 3, 2],
      [Number.NaN, 1, Number.NaN, 5],
      [-Infinity, -Infinity, -Infinity, -Infinity],
      [1, Infinity, 2, -Infinity],
    ];
    for (const width of [3, 4]) {
      const x = Tensor.from(Float32Array.from(rows.flatMap((r) => r.slice(0, width))), [4, width]);
      expect([...(await amax(x, 1).data())]).toEqual([Number.NaN, Number.NaN, -Infinity, Infinity]);
      expect([...(await amin(x, 1).data())].slice(0, 3)).toEqual([Number.NaN, Number.NaN, -Infinity]);
      expect([...(await argmax(x, 1).data())]).toEqual([1, 0, 0, 1]);
    }
    const long = new Float32Array(4100).fill(1);
    long[4097] = Number.NaN;
    expect(await amax(Tensor.from(long, [4100])).item()).toBeNaN();
  });
});

describe("reductions against PyTorch", () => {
  const golden = new Golden("reduce");
  it.each(golden.meta("cases") as { name: string; op: Name; axes: number[]; keepdim: boolean }[])("$name", async ({
    name,
    op,
    axes,
    keepdim,
  }) => {
    const x = Tensor.from(golden.data(`${name}.x`), golden.shape(`${name}.x`));
    x.requiresGrad = true;
    const y = op === "variance" ? variance(x, axes, { keepdim }) : ops[op](x, axes, { keepdim });
    expect(y.shape).toEqual(golden.shape(`${name}.y`));
    expectClose(await y.data(), golden.data(`${name}.y`));
    y.backward(Tensor.from(golden.data(`${name}.g`), y.shape));
    expectClose(await x.grad!.data(), golden.data(`${name}.dx`));
  });

  it("norm and argmax", async () => {
    const x = Tensor.from(golden.data("norm.x"), golden.shape("norm.x"));
    x.requiresGrad = true;
    const y = norm(x);
    expectClose(await y.data(), golden.data("norm.y"));
    y.backward();
    expectClose(await x.grad!.data(), golden.data("norm.dx"));
    for (const axis of [0, 1, 2])
      expect([...(await argmax(x, axis).data())]).toEqual([...golden.data(`argmax${axis}.y`)]);
  });
});

describe("reductions by finite differences", () => {
  it.each(names)("%s", async (name) => {
    // Elements of amax and amin lie further apart than the step.
    const spaced = Float32Array.from({ length: 24 }, (_, i) => ((i * 7) % 24) / 8 - 1);
    await gradcheck((x) => ops[name](x, name === "variance" ? [0, 2] : 1), [{ shape: [2, 3, 4], data: spaced }]);
  });
  it("norm", () => gradcheck(norm, [{ shape: [3, 5], data: randomData([3, 5], 3) }]));
});

describe("edges of reductions", () => {
  it("empty tensors: sums 0, means NaN, extrema refused", async () => {
    const x = Tensor.empty([0, 3]);
    x.requiresGrad = true;
    const y = sum(x, 0);
    expect([...(await y.data())]).toEqual([0, 0, 0]);
    y.backward(Tensor.full([3], 1));
    expect(x.grad!.shape).toEqual([0, 3]);
    expect([...(await mean(x, 0).data())]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect([...(await variance(x, 0).data())]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect([...(await sum(x, 1).data())]).toEqual([]);
    expect(await sum(x).item()).toBe(0);
    expect(await norm(x).item()).toBe(0);
    expect(() => amax(x, 0)).toThrow(ShapeError);
    expect(() => amin(x)).toThrow(ShapeError);
    expect(() => argmax(x, 0)).toThrow(ShapeError);
    expect((await amax(x, 1).data()).length).toBe(0);
  });

  it("refuses dimensions that are not there, twice there, and integers", () => {
    const x = Tensor.full([2, 3], 1);
    expect(() => sum(x, 2)).toThrow(ShapeError);
    expect(() => mean(x, [-3])).toThrow(ShapeError);
    expect(() => sum(x, [1, -1])).toThrow(/twice/);
    expect(() => sum(Tensor.full([2], 1, "i32"))).toThrow(ShapeError);
    expect(() => variance(x, 0, { correction: -1 })).toThrow(ArgumentError);
    expect(() => sum(Tensor.full([2, 2, 2, 2, 2, 2, 2, 2, 2, 2], 1), [0, 2, 4, 6, 8])).toThrow(/reshape first/);
  });

  it("more results than 65,535 workgroups hold", async () => {
    const rows = 65_536 * 64 + 3;
    const data = Float32Array.from({ length: rows }, (_, i) => i % 1021);
    const y = await scope(() => sum(Tensor.from(data, [rows, 1]), 1)).data();
    expect(y.every((v, i) => v === data[i])).toBe(true);
  });

  it("splits long reductions to few results, and only those", () => {
    const caps = { adapter: "hardware", subgroupSize: 0, maxInvocations: 256, maxStorageBuffers: 8 } as const;
    expect(reduceLanes(1, 512, caps)).toBe(1);
    expect(reduceLanes(1, 1 << 20, caps)).toBe(8192);
    expect(reduceLanes(100_000, 4096, caps)).toBe(1);
    expect(reduceLanes(100_000, 1 << 16, caps)).toBe(8);
    expect(reduceLanes(1, 4096, { ...caps, adapter: "swiftshader" })).toBe(8);
  });

  it("two and three stages, as a GPU with many invocations takes them", async () => {
    const caps = (await gpu()).caps as { adapter: string };
    const { adapter } = caps;
    caps.adapter = "hardware";
    try {
      for (const [shape, stages] of [
        [[80_000], 2],
        [[79_999], 2],
        [[70_001, 3], 3],
        [[2, 70_004], 2],
        [[66_000, 4], 3],
      ] as const) {
        const axis = shape[0] === 2 ? 1 : 0;
        const data = coarse(shape, 7);
        const parts = groups(shape, axis).map((p) => p.map((i) => data[i]!));
        const x = Tensor.from(data, shape);
        const before = (await gpu()).counters.dispatches;
        expectClose(await sum(x, axis).data(), parts.map(add));
        expect((await gpu()).counters.dispatches - before).toBe(stages);
        expectClose(
          await variance(x, axis).data(),
          parts.map((v) => oracle.variance(v).y),
        );
        expectClose(
          await amin(x, axis).data(),
          parts.map(() => -2),
        );
      }
    } finally {
      caps.adapter = adapter;
    }
  });

  it("leaves no memory behind", () => {
    const before = memory();
    scope(() => {
      const x = Tensor.full([4100], 1);
      x.requiresGrad = true;
      norm(x).backward();
      variance(x).backward();
    });
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages });
  });
});

describe("metrics", () => {
  it("counts rows whose greatest logit is the label's", async () => {
    const logits = Tensor.from(Float32Array.of(1, 2, 0, 5, 5, 1, 0, Number.NaN, 9, 0, 0, 1), [4, 3]);
    const labels = Tensor.from(Int32Array.of(1, 0, 2, -1), [4]);
    expect([...(await correctRows(logits, labels).data())]).toEqual([1, 1, 0, 0]);
    expect(await correctCount(logits, labels).item()).toBe(2);
    expect(await correctCount(Tensor.empty([0, 3]), Tensor.empty([0], "u32")).item()).toBe(0);
    expect(() => correctCount(logits, Tensor.full([3], 0, "i32"))).toThrow(ShapeError);
    expect(() => correctCount(logits, Tensor.full([4], 0))).toThrow(ShapeError);
  });

  it("adds weighted sums in place", async () => {
    const totals = Tensor.full([3], 1);
    accumulateAt(totals, 0, Tensor.full([], 2.5), 4);
    accumulateAt(totals, 2, Tensor.from(Float32Array.of(1, 2, 3, 4, 5), [5]));
    accumulateAt(totals, 2, Tensor.full([5000], 1), -1);
    accumulateAt(totals, 1, Tensor.empty([0]));
    expect([...(await totals.data())]).toEqual([11, 1, 16 - 5000]);
    expect(() => accumulateAt(totals, 3, Tensor.full([], 1))).toThrow(ArgumentError);
    expect(() => accumulateAt(totals, 0.5, Tensor.full([], 1))).toThrow(ArgumentError);
    expect(() => accumulateAt(totals, 0, totals.view([3]))).toThrow(ArgumentError);
    expect(() => accumulateAt(totals, 0, Tensor.full([1], 1, "i32"))).toThrow(ShapeError);
  });
});
