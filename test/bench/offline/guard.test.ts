/**
 * What the compiler of a graphics card makes of a training step's kernels, where that compiler is
 * installed: registers that do not fit, waves that do not fit and loops that do little else than
 * count show here, without a card.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UnavailableError } from "@pan/core";
import { afterAll, expect, it } from "vitest";
import { type CapturedStep, captureStep } from "../../../bench/offline/capture";
import { CARDS } from "../../../bench/offline/cards";
import { type CompiledKernel, OfflineCompiler } from "../../../bench/offline/compile";
import { predictStep } from "../../../bench/offline/prediction";

/** A little less than what RADV of Mesa 25.0 gives: waves, and multiply-adds in hot loops. */
const LEAST_WAVES = 8;
const LEAST_SHARE = 0.8;
/** Operations a step, below which a product is too small to matter. */
const MUCH = 1e9;

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

let captured: Promise<CapturedStep> | null = null;
const step = () => (captured ??= captureStep("alexnet", { scheme: "pan", precision: "f32", batch: 64, width: 1 }));

/** The step's kernels on navi31, or what is missing for that. */
async function onNavi31({ kernels }: CapturedStep): Promise<ReadonlyMap<string, CompiledKernel> | string> {
  const folder = await mkdtemp(join(tmpdir(), "pan-offline-"));
  folders.push(folder);
  try {
    const compiler = new OfflineCompiler(folder);
    await compiler.add(kernels);
    return await compiler.compile("navi31");
  } catch (error) {
    if (error instanceof UnavailableError) return error.message;
    throw error;
  }
}

it("a step is written down for a card without any adapter", async () => {
  const { kernels, dispatches } = await step();
  expect(new Set(dispatches.map(({ kernel }) => kernel))).toEqual(new Set(kernels.keys()));
  const products = dispatches.filter(({ operations }) => operations > MUCH);
  expect(products.length).toBeGreaterThan(8);
  for (const { kernel } of products) expect(kernel).toContain("-blocks<");
  // Input and output channels, width of kernel and of output: both branches from the fifth on.
  const layers = [
    { sizes: [3, 64, 5, 32], samples: 64 },
    { sizes: [64, 192, 5, 16], samples: 64 },
    { sizes: [192, 384, 3, 8], samples: 64 },
    { sizes: [384, 256, 3, 8], samples: 128 },
    { sizes: [256, 256, 3, 8], samples: 128 },
  ];
  const forward = layers.map(({ sizes: [i, o, k, w], samples }) => 2 * samples * i! * o! * (k! * w!) ** 2);
  // Forward and two gradients, but for the pictures' own.
  const expected = 3 * forward.reduce((a, b) => a + b) - forward[0]!;
  const total = dispatches.reduce((sum, { operations }) => sum + operations, 0);
  expect(total / expected).toBeGreaterThanOrEqual(1);
  expect(total / expected).toBeLessThan(1.01);
});

it("RDNA 3 runs the kernels of AlexNet's step without spills, with waves to wait by, in loops of multiply-adds", async (test) => {
  const captured = await step();
  const compiled = await onNavi31(captured);
  if (typeof compiled === "string") return test.skip(compiled);
  const prediction = predictStep(captured, compiled, CARDS.navi31);
  for (const row of prediction.kernels) {
    expect(row.spills, row.kernel).toBe(0);
    expect(row.waves, row.kernel).toBeGreaterThanOrEqual(LEAST_WAVES);
    if (row.operations > MUCH) expect(row.multiplyAdds, row.kernel).toBeGreaterThanOrEqual(LEAST_SHARE);
  }
}, 300_000);
