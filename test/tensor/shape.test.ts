import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors";
import {
  axisOf,
  broadcastShapes,
  broadcastStrides,
  checkShape,
  collapse,
  sameShape,
  showShape,
  sizeOf,
  stridesOf,
} from "../../src/tensor/shape";
import { Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 5 });

/** Every index of a shape, in row-major order. */
function* indices(shape: readonly number[]): Iterable<number[]> {
  if (!shape.length) return yield [];
  for (let i = 0; i < shape[0]!; i++) for (const rest of indices(shape.slice(1))) yield [i, ...rest];
}

const offset = (index: readonly number[], strides: readonly number[]) =>
  index.reduce((sum, i, d) => sum + i * strides[d]!, 0);

describe("shapes", () => {
  it("have sizes, also the empty one and those with a 0", () => {
    expect([sizeOf([]), sizeOf([2, 3]), sizeOf([4, 0, 2])]).toEqual([1, 6, 0]);
    expect([showShape([]), showShape([2, 3])]).toEqual(["[]", "[2, 3]"]);
    expect([sameShape([], []), sameShape([2], [2, 1]), sameShape([2, 3], [2, 3]), sameShape([2, 3], [3, 2])]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  it("walk memory in order by their strides", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const strides = stridesOf(shape);
        expect([...indices(shape)].map((i) => offset(i, strides))).toEqual([...Array(sizeOf(shape)).keys()]);
      }),
    );
  });

  it("are refused when they are no shapes", () => {
    for (const bad of [[-1], [1.5], [Number.NaN], [2, Number.POSITIVE_INFINITY], [2 ** 53]]) {
      expect(() => checkShape(bad), String(bad)).toThrow(ShapeError);
    }
    checkShape([]);
    checkShape([0, 3]);
  });

  it("count dimensions from the end too", () => {
    expect([axisOf(0, 3, "op"), axisOf(-1, 3, "op"), axisOf(-3, 3, "op"), axisOf(0, 0, "op")]).toEqual([0, 2, 0, 0]);
    for (const bad of [3, -4, 0.5, Number.NaN])
      expect(() => axisOf(bad, 3, "op"), String(bad)).toThrow(/^op: dimension/);
  });
});

describe("broadcasting", () => {
  it("follows PyTorch's rule", () => {
    const cases: [number[], number[], number[]][] = [
      [[], [], []],
      [[], [2, 3], [2, 3]],
      [[3], [2, 3], [2, 3]],
      [
        [2, 1],
        [1, 3],
        [2, 3],
      ],
      [
        [5, 1, 4],
        [3, 1],
        [5, 3, 4],
      ],
      [[0], [1], [0]],
      [
        [2, 0],
        [1, 1],
        [2, 0],
      ],
    ];
    for (const [a, b, expected] of cases) {
      expect(broadcastShapes(a, b, "op")).toEqual(expected);
      expect(broadcastShapes(b, a, "op")).toEqual(expected);
    }
    for (const [a, b] of [
      [[2], [3]],
      [[0], [2]],
      [
        [2, 3],
        [2, 1, 2],
      ],
    ] as const) {
      expect(() => broadcastShapes(a, b, "op")).toThrow(/^op: shapes/);
    }
  });

  it("reads each operand where NumPy would", () => {
    const drop = fc.tuple(shapes, fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), fc.nat(5));
    fc.assert(
      fc.property(drop, ([target, ones, skip]) => {
        const shape = target.map((n, d) => (ones[d] ? 1 : n)).slice(Math.min(skip, target.length));
        const strides = broadcastStrides(shape, target);
        const own = stridesOf(shape);
        const shift = target.length - shape.length;
        for (const index of indices(target)) {
          const mine = index.slice(shift).map((i, d) => (shape[d] === 1 ? 0 : i));
          expect(offset(index, strides)).toBe(offset(mine, own));
        }
      }),
    );
  });

  it("collapses dimensions without changing what is visited", () => {
    const any = fc.tuple(
      shapes,
      fc.array(fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), { minLength: 1, maxLength: 3 }),
    );
    fc.assert(
      fc.property(any, ([target, masks]) => {
        const operands = masks.map((ones) =>
          broadcastStrides(
            target.map((n, d) => (ones[d] ? 1 : n)),
            target,
          ),
        );
        const { shape, strides } = collapse(target, ...operands);
        expect(strides.length).toBe(operands.length);
        operands.forEach((own, k) => {
          const wanted = [...indices(target)].map((i) => offset(i, own));
          expect([...indices(shape)].map((i) => offset(i, strides[k]!))).toEqual(wanted);
        });
        expect(shape).not.toContain(1);
      }),
    );
    expect(collapse([2, 3, 4], [12, 4, 1])).toEqual({ shape: [24], strides: [[1]] });
    expect(collapse([2, 3, 4], [12, 4, 1], [0, 0, 1]).shape).toEqual([6, 4]);
  });
});

describe("a tensor's shape", () => {
  beforeAll(gpu);

  it("must hold the data it is given", async () => {
    expect(() => Tensor.from(new Float32Array(5), [2, 3])).toThrow(ShapeError);
    expect(() => Tensor.from(new Float32Array(2), [-1, -2])).toThrow(ShapeError);
    expect(() => Tensor.empty([2, 1.5])).toThrow(ShapeError);
    const t = Tensor.full([2, 3], 4);
    expect([t.size, t.rank, t.vectors]).toEqual([6, 2, 2]);
    expect(() => t.view([5])).toThrow(/\[2, 3\] \(6 elements\) as \[5\]/);
    expect(() => t.write(new Float32Array(5))).toThrow(ShapeError);
    await expect(t.item()).rejects.toThrow(ShapeError);
    t.dispose();
  });

  it("is its own: changing the list it was made from changes nothing", () => {
    const shape = [2, 3];
    const t = Tensor.full(shape, 0);
    shape[0] = 9;
    expect(t.shape).toEqual([2, 3]);
    t.dispose();
  });

  it("may be empty or of no dimensions", async () => {
    expect(Array.from(await Tensor.from(new Float32Array(0), [3, 0]).data())).toEqual([]);
    expect(await Tensor.from(Float32Array.of(6), []).item()).toBe(6);
    expect(Array.from(await Tensor.full([0], 1).data())).toEqual([]);
  });

  it("keeps integers integers, and converts what is written to them", async () => {
    const t = Tensor.from(Int32Array.of(-3, 2 ** 24), [2]);
    expect([t.dtype, ...(await t.data())]).toEqual(["i32", -3, 2 ** 24]);
    t.write(Float32Array.of(7, -8));
    expect(Array.from(await t.data())).toEqual([7, -8]);
    expect(Array.from(await t.fill(-5).data())).toEqual([-5, -5]);
    expect(Array.from(await Tensor.full([2], 2 ** 31, "u32").data())).toEqual([2 ** 31, 2 ** 31]);
    t.dispose();
  });
});
