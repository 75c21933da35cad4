import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import { add, mul } from "../../src/tensor/ops/elementwise";
import { argsort, sort, topK } from "../../src/tensor/ops/sort";
import { Generator } from "../../src/tensor/random";
import { type Shape, sizeOf } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { type DType, Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, gradcheck, randomData } from "../support/gpu";

/** Plain comparison: NaN is greater than all numbers, and equal to itself. */
const compare = (a: number, b: number): number =>
  Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(a)) - Number(Number.isNaN(b)) : a < b ? -1 : a > b ? 1 : 0;

/** Places along the middle of [outer, n, inner] in order; `Array.sort` is stable. */
function oracle(data: ArrayLike<number>, shape: Shape, d: number, descending: boolean, k = shape[d]!) {
  const [n, inner] = [shape[d]!, sizeOf(shape.slice(d + 1))];
  const outer = sizeOf(shape.slice(0, d));
  const indices = new Array<number>(outer * k * inner);
  const places = new Array<number>(outer * k * inner);
  for (let line = 0; line < outer * inner; line++) {
    const [o, lane] = [Math.floor(line / inner), line % inner];
    const at = (i: number) => (o * n + i) * inner + lane;
    const order = Array.from({ length: n }, (_, i) => i).sort(
      (i, j) => (descending ? -1 : 1) * compare(data[at(i)]!, data[at(j)]!),
    );
    for (let i = 0; i < k; i++) {
      indices[(o * k + i) * inner + lane] = order[i]!;
      places[(o * k + i) * inner + lane] = at(order[i]!);
    }
  }
  return { indices, places };
}

/** Many ties, and some of what is no common number. */
function coarse(shape: Shape, seed: number): Float32Array {
  const g = new Generator(seed);
  const odd = [Number.NaN, -0, 0, Infinity, -Infinity, 1e-42, -1e-42];
  return Float32Array.from({ length: sizeOf(shape) }, () =>
    g.integer(6) === 0 ? odd[g.integer(odd.length)]! : g.integer(9) - 4,
  );
}

const numbers = async (t: Tensor) => [...(await t.data<"i32">())];
const words = (t: Float32Array) => [...new Uint32Array(t.buffer)];

// Within one run, at its end, one and several merges, the last runs of any length; lines and
// columns.
const LINES: readonly (readonly [shape: Shape, axis: number])[] = [
  [[1], 0],
  [[5], -1],
  [[64], 0],
  [[3, 65], 1],
  [[2, 128], 1],
  [[2, 129, 3], 1],
  [[200, 4], 0],
  [[1, 1000], -1],
  [[3, 4, 5], 0],
  [[2, 513, 2], -2],
];

beforeAll(async () => {
  await gpu();
});

describe("sort", () => {
  it.each(
    LINES.map((l) => [JSON.stringify(l), l] as const),
  )("is the stable order of plain JavaScript, and its gradient goes back: %s", async (_, [shape, axis]) => {
    const d = axis < 0 ? axis + shape.length : axis;
    for (const descending of [false, true]) {
      const data = coarse(shape, sizeOf(shape));
      const x = Tensor.from(data, shape);
      x.requiresGrad = true;
      const { values, indices } = sort(x, { axis, descending });
      const { indices: wanted, places } = oracle(data, shape, d, descending);
      const g = randomData(shape, 8);
      values.backward(Tensor.from(g, shape));
      const back = new Float32Array(data.length);
      places.forEach((p, i) => {
        back[p] = g[i]!;
      });
      expect([values.shape, indices.shape, indices.dtype]).toEqual([shape, shape, "i32"]);
      expect(await numbers(indices)).toEqual(wanted);
      // Bit for bit: −0 is not 0 then.
      expect(words(await values.data())).toEqual(words(Float32Array.from(places, (p) => data[p]!)));
      expect([...(await x.grad!.data())]).toEqual([...back]);
      expect(await numbers(argsort(x, { axis, descending }))).toEqual(wanted);
    }
  });

  it.each(["i32", "u32"] as const)("orders integers of all bits: %s", async (dtype: DType) => {
    const large = dtype === "i32" ? [-(2 ** 31), 2 ** 31 - 1, -1, 0, 1] : [2 ** 32 - 1, 2 ** 31, 2 ** 31 - 1, 0, 1];
    const g = new Generator(4);
    const data = Array.from({ length: 150 }, () => large[g.integer(large.length)]!);
    for (const descending of [false, true]) {
      const { values, indices } = sort(Tensor.from(data, [150], dtype), { descending });
      const { indices: wanted } = oracle(data, [150], 0, descending);
      expect(values.dtype).toBe(dtype);
      expect(await numbers(indices)).toEqual(wanted);
      expect(await numbers(values)).toEqual(wanted.map((i) => data[i]!));
    }
  });

  it("covers lines of many merges, and more elements than a row of the grid has", async () => {
    const n = 100_003;
    const data = Float32Array.from(new Generator(2).permutation(n));
    const { values, indices } = sort(Tensor.from(data, [n]));
    const at = await numbers(indices);
    expect((await values.data()).findIndex((v, i) => v !== i)).toBe(-1);
    expect(at.findIndex((i, place) => data[i] !== place)).toBe(-1);
    const wide = [2, 2_100_000];
    const pairs = Float32Array.from({ length: sizeOf(wide) }, (_, i) => (i % 3) - i / 2 ** 24);
    const top = sort(Tensor.from(pairs, wide), { axis: 0 });
    const found = await top.values.data();
    const half = wide[1]!;
    expect(
      found.findIndex((v, i) => v !== Math[i < half ? "min" : "max"](pairs[i % half]!, pairs[(i % half) + half]!)),
    ).toBe(-1);
  });

  it("has finite differences for gradients", async () => {
    const shape = [3, 4];
    const data = Float32Array.from(new Generator(3).permutation(12), (v) => v / 5 - 1);
    await gradcheck((x) => sort(x, { axis: 0 }).values, [{ shape, data }]);
    await gradcheck((x) => topK(x, 2).values, [{ shape, data }]);
  });

  it("of nothing is nothing; without dimensions it is refused", async () => {
    expect(sort(Tensor.empty([2, 0])).values.shape).toEqual([2, 0]);
    expect(sort(Tensor.empty([0, 3])).indices.shape).toEqual([0, 3]);
    for (const f of [sort, argsort, (x: Tensor) => topK(x, 1)])
      expect(() => f(Tensor.full([], 1))).toThrow(/^(sort|argsort|topK): a tensor without dimensions/);
    expect(() => sort(Tensor.full([3], 1), { axis: 1 })).toThrow(ShapeError);
  });

  it("leaves nothing behind", () => {
    const before = memory();
    scope(() => {
      const x = Tensor.full([2, 300], 1);
      x.requiresGrad = true;
      const [a, b] = [sort(x), topK(x, 3)];
      add(mul(a.values, 2), a.values).backward(Tensor.full([2, 300], 1));
      b.values.backward(Tensor.full([2, 3], 1));
    });
    const x = Tensor.full([2, 300], 1);
    for (const { values, indices } of [sort(x), topK(x, 3), topK(x, 300)])
      for (const t of [values, indices]) t.dispose();
    argsort(x).dispose();
    x.dispose();
    const after = memory();
    expect([after.tensors, after.storages]).toEqual([before.tensors, before.storages]);
  });
});

describe("topK", () => {
  it("is the head of the order, of equals the first, and its gradient is 0 elsewhere", async () => {
    for (const [shape, d, k] of [
      [[7], 0, 3],
      [[3, 150], 1, 70],
      [[150, 3], 0, 2],
      [[2, 5, 2], 1, 5],
      [[2, 5], 1, 0],
    ] as const)
      for (const largest of [true, false]) {
        const data = coarse(shape, 7);
        const x = Tensor.from(data, shape);
        x.requiresGrad = true;
        const { values, indices } = topK(x, k, { axis: d, largest });
        const { indices: wanted, places } = oracle(data, shape, d, largest, k);
        const g = randomData(values.shape, 9);
        values.backward(Tensor.from(g, values.shape));
        const back = new Float32Array(data.length);
        places.forEach((p, i) => {
          back[p] = g[i]!;
        });
        expect(indices.shape).toEqual(shape.map((n, i) => (i === d ? k : n)));
        expect(await numbers(indices)).toEqual(wanted);
        expect(words(await values.data())).toEqual(words(Float32Array.from(places, (p) => data[p]!)));
        expect([...(await x.grad!.data())]).toEqual([...back]);
      }
  });

  it("refuses more than there are", () => {
    const x = Tensor.full([2, 3], 1);
    expect(() => topK(x, 4)).toThrow(ArgumentError);
    expect(() => topK(x, 3, { axis: 0 })).toThrow(/topK: k is a whole number from 0 to 2, found 3/);
  });
});

describe("PyTorch", () => {
  it("gives the same order and gradients", async () => {
    const golden = new Golden("order");
    const cases = [...golden.meta("sorts"), ...golden.meta("tops")];
    expect(cases.length).toBe(20);
    for (const { name, axis, k, descending, largest } of cases) {
      const x = Tensor.from(golden.data(`${name}.x`), golden.shape(`${name}.x`));
      x.requiresGrad = true;
      const { values, indices } = k === undefined ? sort(x, { axis, descending }) : topK(x, k, { axis, largest });
      values.backward(Tensor.from(golden.data(`${name}.g`), values.shape));
      expect(values.shape, name).toEqual(golden.shape(`${name}.y`));
      expect([...(await values.data())], name).toEqual([...golden.data(`${name}.y`)]);
      expect(await numbers(indices), name).toEqual([...golden.data(`${name}.at`)]);
      expectClose(await x.grad!.data(), golden.data(`${name}.dx`), { rtol: 0, atol: 0, what: name });
    }
  });
});
