import { inspect } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, PanError, ShapeError } from "../../src/errors";
import { DTYPES, type HostTensor } from "../../src/io/host-tensor";
import { indexSelect } from "../../src/tensor/ops/gather";
import { type DType, Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";

beforeAll(gpu);

const BIG = 16777217; // 2²⁴ + 1: no f32.
const read = async (t: Tensor) => Array.from(await t.data(), Number);

/** Every typed array that JavaScript has, and what becomes of small whole numbers in it. */
const ARRAYS: [array: new (values: number[]) => unknown, dtype: DType][] = [
  [Float32Array, "f32"],
  [Float64Array, "f32"],
  [Int8Array, "i32"],
  [Int16Array, "i32"],
  [Int32Array, "i32"],
  [Uint8Array, "i32"],
  [Uint8ClampedArray, "i32"],
  [Uint16Array, "i32"],
  [Uint32Array, "u32"],
];
const BIGS = [
  [BigInt64Array, "i32"],
  [BigUint64Array, "u32"],
] as const;

describe("Tensor.from", () => {
  it.each(ARRAYS)("converts a %o", async (Make, dtype) => {
    const data = new Make([1, 2, 127]) as Float32Array;
    for (const [asked, found] of [
      [undefined, dtype],
      ["f32", "f32"],
      ["i32", "i32"],
      ["u32", "u32"],
    ] as const) {
      const t = Tensor.from(data, [3], asked);
      expect(t.dtype).toBe(found);
      expect(await read(t)).toEqual([1, 2, 127]);
    }
    const t = Tensor.full([3], 0);
    t.write(data);
    expect(await read(t)).toEqual([1, 2, 127]);
  });

  it("has a row for every typed array", () => {
    const known = [...ARRAYS.map(([array]) => array), ...BIGS.map(([array]) => array), Float16()].filter(Boolean);
    const TypedArray = Object.getPrototypeOf(Uint8Array) as object;
    const all = Object.getOwnPropertyNames(globalThis)
      .map((name) => (globalThis as Record<string, unknown>)[name])
      .filter((v) => typeof v === "function" && Object.getPrototypeOf(v) === TypedArray);
    expect(new Set(known)).toEqual(new Set(all));
  });

  it.each(BIGS)("converts a %o where the type holds it", async (Make, dtype) => {
    const t = Tensor.from(Make.from([1n, 2n, BigInt(BIG)]));
    expect([t.dtype, t.shape]).toEqual([dtype, [3]]);
    expect(await read(t)).toEqual([1, 2, BIG]);
    expect(await read(Tensor.from(Make.from([3n]), [1], "f32"))).toEqual([3]);
    expect(() => Tensor.from(Make.from([1n, 2n ** 40n]))).toThrow(/element 1 is 1099511627776/);
  });

  it("takes fractions from doubles and lists, of the shape that the lists have", async () => {
    expect(await read(Tensor.from(Float64Array.of(1.5, 2.5)))).toEqual([1.5, 2.5]);
    const t = Tensor.from([
      [1, 2, 3],
      [4, 5.5, 6],
    ]);
    expect([t.dtype, t.shape]).toEqual(["f32", [2, 3]]);
    expect(await read(t)).toEqual([1, 2, 3, 4, 5.5, 6]);
    expect(Tensor.from([1, 2, 3]).shape).toEqual([3]);
    expect(Tensor.from(7).shape).toEqual([]);
    expect(Tensor.from([]).shape).toEqual([0]);
    expect(Tensor.from([Float32Array.of(1, 2), Float32Array.of(3, 4)]).shape).toEqual([2, 2]);
    expect(Tensor.from([1, 2], 2, "i32").dtype).toBe("i32");
    expect(await read(Tensor.from([Number.NaN, Number.POSITIVE_INFINITY]))).toEqual([Number.NaN, Infinity]);
  });

  it.each(Object.keys(DTYPES) as (keyof typeof DTYPES)[])("takes %s as files hold it", async (dtype) => {
    const bits: Partial<Record<string, number[]>> = { F16: [0x3c00, 0xc000], BF16: [0x3f80, 0xc000], BOOL: [1, 0] };
    const Make = DTYPES[dtype];
    const isBig = dtype === "I64" || dtype === "U64";
    const values = bits[dtype] ?? [1, 2];
    const data = isBig
      ? (Make as typeof BigInt64Array).from(values.map(BigInt))
      : new (Make as typeof Uint8Array)(values);
    const t = Tensor.from({ dtype, shape: [1, 2], data } as HostTensor);
    expect(t.shape).toEqual([1, 2]);
    const floats = ["F64", "F32", "F16", "BF16"].includes(dtype);
    expect(t.dtype).toBe(floats ? "f32" : dtype === "U32" || dtype === "U64" ? "u32" : "i32");
    expect(await read(t)).toEqual(dtype === "F16" || dtype === "BF16" ? [1, -2] : dtype === "BOOL" ? [1, 0] : [1, 2]);
  });

  it("refuses what it cannot hold or understand, in words", () => {
    const refused: [unknown, RegExp, ([number[]] | [number[] | undefined, DType])?][] = [
      [undefined, /found undefined/],
      [null, /found null/],
      ["1, 2", /found "1, 2"/],
      [Promise.resolve([1]), /await it first/],
      [new ArrayBuffer(8), /new Float32Array\(buffer\)/],
      [new DataView(new ArrayBuffer(8)), /new Float32Array\(buffer\)/],
      [new Set([1]), /found a Set/],
      [{ dtype: "F8_E4M3", shape: [1], data: new Uint8Array(1) }, /found \{"dtype":"F8_E4M3"/],
      [() => 1, /found a function/],
      [Tensor.full([1], 0), /on the GPU already/],
      [[1, "2"], /found "2" at 1/],
      [[1, true], /found true at 1/],
      [[1, undefined], /found undefined at 1/],
      [[1, [2]], /of one shape/],
      [[[1, 2], [3]], /\[2\] and \[1\]/],
      [[1, 2, 3], /holds 4 elements, the data has 3/, [[2, 2]]],
      [[1e300], /f32 goes to/],
      [[0.5], /whole numbers/, [undefined, "i32"]],
      [[Number.NaN], /element 0 is NaN/, [undefined, "i32"]],
      [[-1], /u32 holds/, [undefined, "u32"]],
      [[2 ** 31], /i32 holds/, [undefined, "i32"]],
      [Uint32Array.of(2 ** 32 - 1), /i32 holds/, [undefined, "i32"]],
      [[1], /dtype/, [undefined, "f64" as DType]],
      [[1], /sizes/, ["x" as never]],
      [[1], /non-negative integers/, [[0.5]]],
      [[1], /non-negative integers/, [[-1]]],
    ];
    for (const [data, words, rest = []] of refused) {
      const make = () => Tensor.from(data as number[], ...(rest as []));
      expect(make, String(words)).toThrow(PanError);
      expect(make).toThrow(words);
    }
  });
});

describe("elements of a tensor", () => {
  it("are read back in the tensor's own type, whole numbers to the last bit", async () => {
    const signed = Tensor.from(Int32Array.of(BIG, -(2 ** 31), 2 ** 31 - 1));
    expect(await signed.data<"i32">()).toEqual(Int32Array.of(BIG, -(2 ** 31), 2 ** 31 - 1));
    const unsigned = Tensor.from(Uint32Array.of(BIG, 2 ** 32 - 1));
    expect(await unsigned.data<"u32">()).toEqual(Uint32Array.of(BIG, 2 ** 32 - 1));
    expect(await Tensor.from(Int32Array.of(BIG)).item()).toBe(BIG);
    const picked = indexSelect(signed, 0, Tensor.from(Int32Array.of(2, 0)));
    expect(await picked.data<"i32">()).toEqual(Int32Array.of(2 ** 31 - 1, BIG));
    expect(await Tensor.full([2], 1.5).data()).toEqual(Float32Array.of(1.5, 1.5));
  });

  it("are written and filled only with what the type holds", async () => {
    const t = Tensor.full([2], 1, "i32");
    for (const bad of [[0.5, 1], [1], Float32Array.of(Number.NaN, 0), "x", undefined]) {
      expect(() => t.write(bad as number[]), String(bad)).toThrow(PanError);
    }
    for (const bad of [0.5, 2 ** 31, Number.NaN, "1", undefined])
      expect(() => t.fill(bad as number)).toThrow(ArgumentError);
    expect(() => Tensor.full([2], -1, "u32")).toThrow(ArgumentError);
    expect(await read(t)).toEqual([1, 1]);
    t.write([3, 4]);
    expect(await read(t)).toEqual([3, 4]);
    t.write(BigInt64Array.of(5n, 6n));
    expect(await read(t)).toEqual([5, 6]);
  });

  it("have a known range while they are what the host wrote", () => {
    const t = Tensor.from(Int32Array.of(3, -1, 7));
    expect([t.range, t.view([3, 1]).range]).toEqual([
      [-1, 7],
      [-1, 7],
    ]);
    t.write([0, 1, 2]);
    expect(t.range).toEqual([0, 2]);
    t.fill(9);
    expect(t.range).toBeNull();
    expect(Tensor.from([1, 2]).range).toBeNull();
    expect(Tensor.from(new Int32Array(0)).range).toBeNull();
  });
});

describe("shapes", () => {
  it("may be one number, and are refused in words", async () => {
    expect(Tensor.full(3, 1).shape).toEqual([3]);
    expect(Tensor.empty(2).shape).toEqual([2]);
    expect(Tensor.full([2, 2], 1).view(4).shape).toEqual([4]);
    for (const bad of [undefined, null, "3", {}, [1, "2"], [Number.NaN], -1, 0.5, [undefined]])
      expect(() => Tensor.empty(bad as number), JSON.stringify(bad)).toThrow(ShapeError);
    expect(() => Tensor.empty([2], "f16" as DType)).toThrow(ArgumentError);
    expect(() => Tensor.full([2], undefined as never)).toThrow(ArgumentError);
    // A shape is the tensor's own: the caller's list may change.
    const sizes = [2, 3];
    const t = Tensor.empty(sizes);
    sizes[0] = 9;
    expect(t.shape).toEqual([2, 3]);
  });
});

describe("a tensor in JavaScript", () => {
  it("says what it is and how to read it", () => {
    const t = Tensor.from([[1, 2]]);
    const where = `on ${t.device.caps.adapter}`;
    expect(String(t)).toBe(`Tensor f32 [1, 2] ${where} (values: await tensor.data())`);
    expect(`${t}`).toBe(String(t));
    expect(inspect(t)).toBe(String(t));
    t.requiresGrad = true;
    expect(String(t)).toBe(`Tensor f32 [1, 2] ${where}, requiresGrad (values: await tensor.data())`);
    t.dispose();
    expect(String(t)).toBe("Tensor f32 [1, 2] (disposed)");
    const { counters } = t.device;
    const read = counters.bytesRead;
    expect(String(Tensor.from(Uint32Array.of(7)))).toBe(`Tensor u32 [1] ${where} (values: await tensor.data())`);
    expect(counters.bytesRead).toBe(read);
  });

  it("is no number", () => {
    const t = Tensor.from([1]) as unknown as number;
    for (const compute of [() => +t, () => t * 2, () => t < 3, () => Math.max(t, 1)])
      expect(compute).toThrow(ArgumentError);
  });

  it("has gradients only where they can be", () => {
    const t = Tensor.from(Int32Array.of(1));
    expect(() => {
      t.requiresGrad = true;
    }).toThrow(ShapeError);
    expect(t.requiresGrad).toBe(false);
  });
});

function Float16(): unknown {
  return (globalThis as { Float16Array?: unknown }).Float16Array;
}
