/**
 * Convolutions by Winograd's method, forced on: against loops in float64, against the direct form,
 * and where the choice falls.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device";
import type { ProductCaps } from "../../src/gpu/kernel";
import { productCaps } from "../../src/gpu/products";
import { conv2d } from "../../src/tensor/ops/products/conv";
import { sliceOf, usesWinograd } from "../../src/tensor/ops/products/conv-winograd";
import type { Geometry } from "../../src/tensor/ops/products/geometry";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, randomData, withCaps } from "../support/gpu";

let d: Device;
beforeAll(async () => void (d = await gpu()));

const as = <T>(choice: Partial<ProductCaps>, f: () => Promise<T>) => withCaps(d, choice, f);

/** N, H, W, I, O, padding. */
type Case = [n: number, h: number, w: number, i: number, o: number, padding: [number, number]];
interface Passes {
  y: ArrayLike<number>;
  dx: ArrayLike<number>;
  dw: ArrayLike<number>;
}
interface Data {
  x: Float32Array;
  w: Float32Array;
  bias: Float32Array | null;
  g: Float32Array;
}

function dataOf([n, h, w, i, o, [py, px]]: Case, bias: boolean, seed = 1): Data {
  return {
    x: randomData([n, h, w, i], seed),
    w: randomData([3, 3, i, o], seed + 1),
    bias: bias ? randomData([o], seed + 2) : null,
    g: randomData([n, h + 2 * py - 2, w + 2 * px - 2, o], seed + 3),
  };
}

/** Nested loops in float64. */
function oracle([n, h, w, i, o, [py, px]]: Case, data: Data): Passes {
  const [oh, ow] = [h + 2 * py - 2, w + 2 * px - 2];
  const y = new Float64Array(n * oh * ow * o).map((_, at) => data.bias?.[at % o] ?? 0);
  const [dx, dw] = [new Float64Array(data.x.length), new Float64Array(data.w.length)];
  for (let pixel = 0; pixel < n * oh * ow; pixel++) {
    const [q, p, b] = [pixel % ow, Math.floor(pixel / ow) % oh, Math.floor(pixel / ow / oh)];
    for (let tap = 0; tap < 9; tap++) {
      const [iy, ix] = [p + Math.floor(tap / 3) - py, q + (tap % 3) - px];
      if (iy < 0 || ix < 0 || iy >= h || ix >= w) continue;
      for (let c = 0; c < i; c++) {
        const at = ((b * h + iy) * w + ix) * i + c;
        for (let k = 0; k < o; k++) {
          const [from, to] = [(tap * i + c) * o + k, pixel * o + k];
          y[to]! += data.x[at]! * data.w[from]!;
          dx[at]! += data.g[to]! * data.w[from]!;
          dw[from]! += data.g[to]! * data.x[at]!;
        }
      }
    }
  }
  return { y, dx, dw };
}

/**
 * What conv2d and its gradients give on the device, and how many launches forward and backward
 * passes took.
 */
async function run([n, h, w, i, o, padding]: Case, data: Data): Promise<Passes & { launches: [number, number] }> {
  const leaf = (v: Float32Array, shape: number[]) => {
    const t = Tensor.from(v, shape);
    t.requiresGrad = true;
    return t;
  };
  const [x, wt] = [leaf(data.x, [n, h, w, i]), leaf(data.w, [3, 3, i, o])];
  const bias = data.bias ? Tensor.from(data.bias, [o]) : null;
  const before = d.counters.dispatches;
  const y = scope(() => conv2d(x, wt, bias, { padding }));
  const between = d.counters.dispatches;
  const g = Tensor.from(data.g, y.shape);
  y.backward(g);
  const launches: [number, number] = [between - before, d.counters.dispatches - between];
  const result = { y: await y.data(), dx: await x.grad!.data(), dw: await wt.grad!.data(), launches };
  for (const t of [x, wt, bias, y, g, x.grad, wt.grad]) t?.dispose();
  return result;
}

/** Largest error against `want`, over the largest number there. */
function worst(found: ArrayLike<number>, want: ArrayLike<number>): number {
  let [error, size] = [0, 0];
  for (let k = 0; k < want.length; k++) {
    error = Math.max(error, Math.abs(found[k]! - want[k]!));
    size = Math.max(size, Math.abs(want[k]!));
  }
  return error / size;
}

const PASSES = ["y", "dx", "dw"] as const;

describe("winograd", () => {
  const cases: [Case, boolean][] = [
    [[2, 6, 8, 16, 32, [1, 1]], true],
    [[1, 7, 5, 8, 40, [1, 1]], false],
    [[3, 5, 6, 7, 5, [0, 2]], true],
    [[1, 3, 4, 12, 3, [0, 0]], true],
    [[2, 1, 1, 4, 16, [1, 2]], false],
    [[2, 9, 4, 3, 64, [2, 1]], true],
    [[5, 4, 9, 33, 18, [2, 0]], false],
  ];
  for (const [c, bias] of cases) {
    it(`equals nested loops: N, H, W, I, O, padding ${c}`, async () => {
      const data = dataOf(c, bias);
      const want = oracle(c, data);
      const found = await as({ winograd: true }, () => run(c, data));
      for (const pass of PASSES) expectClose(found[pass], want[pass], { atol: 3e-5, what: pass });
    });
  }

  it("equals nested loops without subgroups", async () => {
    const c: Case = [2, 6, 7, 8, 20, [1, 1]];
    const data = dataOf(c, true);
    const want = oracle(c, data);
    const found = await as({ winograd: true, tiling: "registers" }, () => run(c, data));
    for (const pass of PASSES) expectClose(found[pass], want[pass], { atol: 3e-5, what: pass });
  });

  it("errs by at most three times what the direct form errs by, in three and seven launches", async () => {
    const c: Case = [4, 12, 12, 32, 32, [1, 1]];
    const data = dataOf(c, false, 9);
    const want = oracle(c, data);
    const tiled = await as({ winograd: true }, () => run(c, data));
    const direct = await as({ winograd: false }, () => run(c, data));
    expect(tiled.launches).toEqual([3, 7]);
    expect(direct.launches[0]).toBe(1);
    for (const pass of PASSES) {
      const [a, b] = [worst(tiled[pass], want[pass]), worst(direct[pass], want[pass])];
      expect(a, `${pass}: direct ${b}`).toBeLessThan(3 * b);
      expect(a, pass).toBeGreaterThan(0);
    }
  });

  const sliced: Case = [22, 16, 14, 32, 24, [1, 1]];

  it("goes through a large batch in slices: equals nested loops, images to the bit those of small batches", async () => {
    const [n, h, w, i, o, padding] = sliced;
    const data = dataOf(sliced, true);
    const want = oracle(sliced, data);
    const found = await as({ winograd: true }, () => run(sliced, data));
    // Two slices of x, one of dy, three of both: of those all but the first are added up.
    expect(found.launches).toEqual([1 + 2 * 2, 1 + 2 * 1 + (4 * 3 - 1) + 1]);
    for (const pass of PASSES)
      expectClose(found[pass], want[pass], { atol: 3e-5 * (pass === "dw" ? 8 : 1), what: pass });
    const last = [n - 1, n] as const;
    const cut = (v: Float32Array) => v.slice((v.length / n) * last[0], (v.length / n) * last[1]);
    const one = { ...data, x: cut(data.x), g: cut(data.g) };
    const alone = await as({ winograd: true }, () => run([1, h, w, i, o, padding], one));
    expect(cut(found.y as Float32Array)).toEqual(alone.y);
    expect(cut(found.dx as Float32Array)).toEqual(alone.dx);
  });

  it("has room for the transforms of a quarter of a large batch at most", async () => {
    const c: Case = [64, 16, 16, 32, 32, [1, 1]];
    const batch = 64 * 16 * 16 * 32 * 4;
    const data = dataOf(c, false);
    await as({ winograd: true }, async () => {
      const before = d.pool.current.bytes - d.pool.current.freeBytes;
      d.pool.resetPeak();
      await run(c, data);
      // x, y and their gradients, and of two of them four times a quarter; in classes of the pool.
      expect(d.pool.current.peakUsed - before).toBeLessThan(1.25 * (4 + 2) * batch);
    });
  });

  it("cuts a batch into slices of about the same size", () => {
    const kb = 1024;
    expect(sliceOf(10, 128 * kb, 0)).toBe(10);
    expect(sliceOf(17, 128 * kb, 0)).toBe(9);
    expect(sliceOf(17, 128 * kb, 4096 * kb)).toBe(17);
    expect(sliceOf(100, 128 * kb, 0)).toBe(25);
    expect(sliceOf(5, 64 * 1024 * kb, 0)).toBe(2);
    expect(sliceOf(1, 64 * 1024 * kb, 0)).toBe(1);
  });

  it("gives the same bits twice", async () => {
    const c: Case = [2, 8, 8, 16, 16, [1, 1]];
    const data = dataOf(c, true);
    const [a, b] = await as({ winograd: true }, async () => [await run(c, data), await run(c, data)]);
    for (const pass of PASSES) expect(a[pass]).toEqual(b[pass]);
  });

  it("a number that is none stays in the tiles that read it", async () => {
    const c: Case = [1, 10, 10, 4, 4, [1, 1]];
    const data = dataOf(c, false);
    data.x[(4 * 10 + 4) * 4] = Number.NaN;
    const { y } = await as({ winograd: true }, () => run(c, data));
    const none = (row: number, column: number) => Number.isNaN(y[(row * 10 + column) * 4]);
    // Tiles of outputs 2-3 and 4-5 read row 4: inputs 1-4 and 3-6.
    for (let row = 0; row < 10; row++)
      for (let column = 0; column < 10; column++)
        if (row >= 3 && row <= 5 && column >= 3 && column <= 5) expect(none(row, column)).toBe(true);
        else if (row < 2 || row > 5 || column < 2 || column > 5) expect(none(row, column)).toBe(false);
  });

  it("leaves nothing behind but its results", async () => {
    const c: Case = [2, 8, 8, 16, 16, [1, 1]];
    const data = dataOf(c, true);
    const held = () => {
      const { tensors, storages, bytes } = memory();
      return { tensors, storages, bytes };
    };
    await as({ winograd: true }, async () => {
      const before = held();
      await run(c, data);
      expect(held()).toEqual(before);
    });
  });
});

describe("choice", () => {
  const software: ProductCaps = {
    adapter: "lavapipe",
    subgroupSize: 8,
    maxInvocations: 256,
    maxStorageBuffers: 8,
    tiling: "subgroup",
    precision: "f32",
    winograd: "auto",
    maxWorkgroupStorage: 16_384,
  };
  const layer: Geometry = {
    n: 16,
    in: [16, 16],
    out: [16, 16],
    i: 32,
    o: 64,
    groups: 1,
    kernel: [3, 3],
    stride: [1, 1],
    dilation: [1, 1],
    padding: [1, 1],
  };
  const LIMIT = 2 ** 27;
  const chosen = (caps: Partial<ProductCaps>, size: Partial<Geometry> = {}, limit = LIMIT) =>
    usesWinograd({ ...software, ...caps }, { ...layer, ...size }, limit);

  it("is for software adapters and layers large enough, and can be made and ruled out", () => {
    expect(chosen({})).toBe(true);
    expect(chosen({ winograd: false })).toBe(false);
    expect(chosen({ tiling: "workgroup" })).toBe(false);
    expect(chosen({ tiling: "workgroup", winograd: true })).toBe(true);
    expect(chosen({ adapter: "hardware", tiling: "registers" })).toBe(false);
    expect(chosen({}, { i: 3 })).toBe(false);
    expect(chosen({ winograd: true }, { i: 3 })).toBe(true);
    expect(chosen({}, { n: 1, in: [2, 2], out: [2, 2] })).toBe(false);
  });

  it("is not for what the method cannot do, nor for what does not fit into a binding", () => {
    for (const size of [
      { kernel: [3, 1] },
      { kernel: [5, 5] },
      { stride: [1, 2] },
      { dilation: [2, 1] },
      { groups: 2 },
      { padding: [1, 3] },
    ] as Partial<Geometry>[])
      expect(chosen({ winograd: true }, size), JSON.stringify(size)).toBe(false);
    // Z is the largest: 64 bytes for each of 8·8 tiles in a quarter of 16 images, and 64 channels.
    expect(chosen({}, {}, 4 * 64 * 64 * 64)).toBe(true);
    expect(chosen({}, {}, 4 * 64 * 64 * 64 - 1)).toBe(false);
  });

  it("is an option of the device", () => {
    const device = { limits: { maxComputeWorkgroupStorageSize: 16_384 }, features: new Set() } as unknown as GPUDevice;
    expect(productCaps(software, device, {}).winograd).toBe("auto");
    expect(productCaps(software, device, { winograd: false }).winograd).toBe(false);
    expect(() => productCaps(software, device, { winograd: "yes" as "auto" })).toThrow(/winograd.*yes/);
  });
});
