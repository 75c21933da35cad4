/** The FC of passports in one launch against its three layers, gradients included. */
import { beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device";
import { fitsPassportFc, passportFc } from "../../src/passport/fc";
import { leakyRelu } from "../../src/tensor/ops/elementwise";
import { linear } from "../../src/tensor/ops/products/matmul";
import { memory, scope } from "../../src/tensor/storage";
import type { Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, gradcheck, randomData, randomTensor, withCaps } from "../support/gpu";

let device: Device;
beforeAll(async () => {
  device = await gpu();
});

const SLOPE = 0.01;
type Wanted = "raw" | "a" | "b";
const ALL: readonly Wanted[] = ["raw", "a", "b"];

async function measure(channels: number, hidden: number, wanted: readonly Wanted[], together: boolean) {
  const leaf = (name: Wanted, shape: readonly number[], seed: number): Tensor => {
    const t = randomTensor(shape, seed);
    t.requiresGrad = wanted.includes(name);
    return t;
  };
  const raw = leaf("raw", [2, channels], 1);
  const a = leaf("a", [channels, hidden], 2);
  const b = leaf("b", [hidden, channels], 3);
  const rows = scope(() => {
    const y = together ? passportFc(raw, a, b, SLOPE) : linear(leakyRelu(linear(raw, a), SLOPE), b);
    if (wanted.length) y.backward(randomTensor(y.shape, 4));
    return y;
  });
  const found = new Map([["rows", await rows.data()]]);
  for (const [name, t] of Object.entries({ raw, a, b }))
    if (wanted.includes(name as Wanted)) found.set(name, await t.grad!.data());
  for (const t of [rows, raw, a, b]) t.dispose();
  return found;
}

describe("a passport's FC", () => {
  it.each([
    [64, 16, ALL],
    [6, 1, ALL],
    [130, 33, ALL],
    [512, 128, ALL],
    [48, 12, ["raw"]],
    [48, 12, ["a", "b"]],
    [48, 12, []],
  ] as const)("is its three layers: %i channels, %i hidden, gradients of %j", async (channels, hidden, wanted) => {
    const before = memory();
    const theirs = await measure(channels, hidden, wanted, false);
    for (const caps of [{}, { adapter: "hardware", maxInvocations: 32 } as const]) {
      const mine = await withCaps(device, caps, () => measure(channels, hidden, wanted, true));
      for (const [name, expected] of theirs) {
        const size = Math.max(...expected.map(Math.abs));
        expectClose(mine.get(name)!, expected, { rtol: 1e-5, atol: 1e-6 * size, what: name });
      }
    }
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });

  it("has the gradient of finite differences", async () => {
    await gradcheck(
      (raw, a, b) => passportFc(raw!, a!, b!, SLOPE),
      [
        { shape: [2, 8], data: randomData([2, 8], 1) },
        { shape: [8, 2], data: randomData([8, 2], 2) },
        { shape: [2, 8], data: randomData([2, 8], 3) },
      ],
    );
  });

  it("is left to its layers where one workgroup would not do", async () => {
    await withCaps(device, { adapter: "hardware" }, async () => {
      expect(fitsPassportFc(device, 512, 128)).toBe(true);
      expect(fitsPassportFc(device, 513, 128)).toBe(false);
      expect(fitsPassportFc(device, 512, 512)).toBe(false);
    });
    await withCaps(device, { adapter: "lavapipe" }, async () => {
      expect(fitsPassportFc(device, 256, 64)).toBe(true);
      expect(fitsPassportFc(device, 257, 64)).toBe(false);
    });
  });
});
