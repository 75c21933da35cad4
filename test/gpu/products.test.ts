/**
 * Which form of the products' kernels a device uses, and which block a product gets: decisions
 * only, no kernel runs.
 */
import { describe, expect, it } from "vitest";
import { blockBytes, blockThreads } from "../../shaders/products/blocks.wgsl";
import { ArgumentError, GpuError } from "../../src/errors";
import type { Caps, ProductCaps } from "../../src/gpu/kernel";
import { type ProductOptions, productCaps } from "../../src/gpu/products";
import { BLOCKS, chunks, planBlocks } from "../../src/tensor/ops/products/blocks";
import { planTile } from "../../src/tensor/ops/products/registers";
import { Generator } from "../../src/tensor/random";
import { ownDevice } from "../support/own-device";

const caps: Caps = { adapter: "hardware", subgroupSize: 32, maxInvocations: 256, maxStorageBuffers: 8 };
const software: Caps = { ...caps, adapter: "lavapipe", subgroupSize: 8 };

const resolve = (c: Caps, options: ProductOptions, { storage = 16_384, features = [] as string[] } = {}) => {
  const gpu = { limits: { maxComputeWorkgroupStorageSize: storage }, features: new Set(features) };
  return productCaps(c, gpu as unknown as GPUDevice, options);
};

describe("tiling", () => {
  it("is blocks on graphics processors, subgroups on software adapters that have small ones, else registers", () => {
    expect(resolve(caps, {}).tiling).toBe("workgroup");
    expect(resolve(software, {}).tiling).toBe("subgroup");
    expect(resolve({ ...software, subgroupSize: 0 }, {}).tiling).toBe("registers");
    expect(resolve(software, {})).toMatchObject({ ...software, precision: "f32", maxWorkgroupStorage: 16_384 });
  });

  it("is what was asked for, where the device can", () => {
    expect(resolve(software, { tiling: "workgroup" }).tiling).toBe("workgroup");
    expect(resolve(software, { tiling: "registers" }).tiling).toBe("registers");
    expect(resolve(caps, { tiling: "subgroup" }).tiling).toBe("registers");
    expect(resolve({ ...caps, maxInvocations: 128 }, {}).tiling).toBe("registers");
    expect(resolve({ ...software, maxInvocations: 128 }, { tiling: "workgroup" }).tiling).toBe("subgroup");
    expect(resolve(caps, {}, { storage: 8192 }).tiling).toBe("registers");
  });

  it("reaches the device's caps and the choice of tiles", async () => {
    const d = await ownDevice({ tiling: "registers" });
    expect(d.caps.tiling).toBe("registers");
    expect(d.caps.maxWorkgroupStorage).toBe(d.gpu.limits.maxComputeWorkgroupStorageSize);
    expect(planTile(d.caps, "matmul", 64, 64).lanes).toBe(1);
    d.destroy();
    expect(planTile(resolve(software, {}), "matmul", 64, 64).lanes).toBe(8);
    expect(planBlocks(resolve(software, {}), { rows: 512, columns: 512, depth: 512, planes: 1 })).toBeNull();
  });

  it("f16 chooses blocks, and says what is missing", () => {
    const f16 = { features: ["shader-f16"] };
    expect(resolve(software, { precision: "f16" }, f16)).toMatchObject({ tiling: "workgroup", precision: "f16" });
    expect(() => resolve(caps, { precision: "f16" })).toThrow(GpuError);
    expect(() => resolve(caps, { precision: "f16" })).toThrow(/shader-f16/);
    expect(() => resolve({ ...caps, maxInvocations: 128 }, { precision: "f16" }, f16)).toThrow(/256.*128/);
    expect(() => resolve(software, { precision: "f16", tiling: "subgroup" }, f16)).toThrow(ArgumentError);
  });

  it("refuses words it does not know", () => {
    expect(() => resolve(caps, { tiling: "tiles" as "auto" })).toThrow(/workgroup.*tiles/);
    expect(() => resolve(caps, { precision: "bf16" as "f16" })).toThrow(ArgumentError);
  });
});

describe("blocks", () => {
  const halves = [false, true];

  it("divide evenly among their invocations and fit every WebGPU device", () => {
    for (const half of halves)
      for (const { block: b } of BLOCKS) {
        const block = { ...b, bk: half ? 2 * b.bk : b.bk, half };
        const threads = blockThreads(block);
        const [byA, byB] = [[block.bk / 4, block.bm / 4] as const, [block.bk, block.bn / 4] as const];
        expect([block.tm % 4, block.tn % 4, block.bk % 4]).toEqual([0, 0, 0]);
        expect(threads).toBeLessThanOrEqual(256);
        expect(blockBytes(block)).toBeLessThanOrEqual(16_384);
        expect(((block.bm * block.bk) / 4) % threads).toBe(0);
        expect(((block.bn * block.bk) / 4) % threads).toBe(0);
        for (const per of [...byA, ...byB]) expect(threads % per).toBe(0);
      }
  });

  it("cover every product within the device's limits, with whole and not empty chunks", () => {
    const r = new Generator(5);
    for (let t = 0; t < 300; t++) {
      const precision = t % 3 === 0 ? "f16" : "f32";
      const size = {
        rows: 1 + r.integer(t % 2 ? 40 : 5000),
        columns: 1 + r.integer(600),
        depth: r.integer(t % 5 ? 5000 : 200_000),
        planes: 1 + r.integer(4),
      };
      const limits = t % 4 === 0 ? { maxInvocations: 128 } : {};
      const c: ProductCaps = {
        ...caps,
        tiling: "workgroup",
        precision,
        winograd: "auto",
        maxWorkgroupStorage: 16_384,
        ...limits,
      };
      const plan = planBlocks(c, size);
      if (!plan) {
        expect(Math.min(size.rows, size.columns)).toBeLessThan(8);
        continue;
      }
      expect(blockThreads(plan.block)).toBeLessThanOrEqual(c.maxInvocations);
      expect(plan.block.half).toBe(precision === "f16");
      expect(plan.chunk % plan.block.bk).toBe(0);
      expect(plan.chunk * plan.splits).toBeGreaterThanOrEqual(size.depth);
      expect(plan.chunk * (plan.splits - 1)).toBeLessThan(Math.max(size.depth, 1));
    }
    expect(chunks(0, 9, 16)).toEqual({ splits: 1, chunk: 16 });
  });

  it("are large where outputs are many, and split k where they are few", () => {
    const c: ProductCaps = {
      ...caps,
      tiling: "workgroup",
      precision: "f32",
      winograd: "auto",
      maxWorkgroupStorage: 16_384,
    };
    const many = planBlocks(c, { rows: 8192, columns: 1024, depth: 1024, planes: 1 })!;
    expect([many.block.bm, many.block.bn, many.splits]).toEqual([128, 128, 1]);
    const narrow = planBlocks(c, { rows: 131_072, columns: 64, depth: 576, planes: 1 })!;
    expect([narrow.block.bn, narrow.splits]).toEqual([64, 1]);
    const weights = planBlocks(c, { rows: 27, columns: 64, depth: 131_072, planes: 1 })!;
    expect(weights.splits).toBeGreaterThan(64);
    // A depthwise convolution has one column a group: an invocation on its own does it.
    expect(planBlocks(c, { rows: 50_000, columns: 1, depth: 9, planes: 64 })).toBeNull();
    expect(planBlocks(c, { rows: 2, columns: 256, depth: 4608, planes: 1 })!.splits).toBeGreaterThan(16);
  });
});
