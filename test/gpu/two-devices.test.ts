/** Two devices in one process, in a process of its own: the current one is replaced here. */

import { ArgumentError, add, type Device, device, init, keep, matmul, mul, recordStep, sum, Tensor } from "@pan/core";
import { imageSet } from "@pan/core/data";
import { dawn } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { protect } from "@pan/core/passport";
import { evaluate, Trainer } from "@pan/core/train";
import { beforeAll, describe, expect, it } from "vitest";
import { type AnyNetwork, buildNetwork } from "../../src/models";
import { buildPlain } from "../../src/models/build";
import type { Network } from "../support/networks";

let gpu: GPU;
let first: Device;
let second: Device;
let model: Network;
let plain: AnyNetwork;
beforeAll(async () => {
  gpu = await dawn();
  first = await init({ gpu });
  model = network();
  plain = buildPlain(CONFIG as never);
  second = await init({ gpu });
});

const CONFIG = {
  classes: 2,
  input: [4, 4, 1] as const,
  layers: [{ channels: 16, kernel: 3, padding: 1 }] as const,
  scheme: "pan",
  passports: { 0: "A" },
} as const;
const network = () => buildNetwork(CONFIG as never, { seed: 1 });

const set = imageSet({
  images: Uint8Array.from({ length: 12 * 16 }, (_, i) => (i * 37) % 256),
  labels: Uint8Array.from({ length: 12 }, (_, i) => i % 2),
  channels: 1,
  height: 4,
  width: 4,
  classes: ["a", "b"],
});

async function trained(net: Network): Promise<number[][]> {
  const trainer = new Trainer(net, new SGD(net.parameters(), { lr: 0.1, momentum: 0.9 }), { batchSize: 4, seed: 1 });
  for await (const _ of trainer.fit(set, { epochs: 2, test: set }));
  const state = await net.stateDict();
  return [...state.values()].map(({ data }) => Array.from(data as Float32Array, Number));
}

describe("two devices", () => {
  it("are two: the last one opened is current", () => {
    expect(second).not.toBe(first);
    expect(device()).toBe(second);
  });

  it("each go on with what lives on them, to the same bits", async () => {
    const on = Tensor.from([1, 2], [2], first);
    expect(Array.from(await add(on, on).data())).toEqual([2, 4]);
    const [before, after] = [await trained(model), await trained(network())];
    expect(before).toEqual(after);
    expect(model.parameters()[0]!.device).toBe(first);
    expect(await evaluate(model, set)).toEqual(await evaluate(model, set));
  });

  it("protect a network where it lies", async () => {
    const owned = protect(plain, { scheme: "pan", at: true, sample: [1, 4, 4, 1] });
    expect(new Set(owned.namedTensors().map(([, t]) => t.device))).toEqual(new Set([first]));
    expect(device()).toBe(second);
    const history = await new Trainer(owned, new SGD(owned, { lr: 0.1 }), { batchSize: 4 }).fit(set, { epochs: 1 });
    expect(history.epochs.length).toBe(1);
  });

  it("do not mix", () => {
    const a = Tensor.from([[1, 2]], [1, 2], first);
    const b = Tensor.from([[1, 2]], [1, 2], second);
    for (const mix of [() => add(a, b), () => mul(b, a), () => matmul(a, b, { transposeB: true })]) {
      expect(mix).toThrow(ArgumentError);
      expect(mix).toThrow(/another device/);
    }
    expect(() => new SGD([leaf(first), leaf(second)], { lr: 0.1 })).toThrow(ArgumentError);
  });

  it("record steps each on its own", async () => {
    const w = leaf(first);
    expect(() => recordStep(() => sum(w))).toThrow(/pass that as second argument/);
    const step = recordStep(() => sum(w), first);
    w.fill(3);
    step.replay();
    expect(await step.result.item()).toBe(3);
    step.dispose();
  });

  it("are opened once by calls at the same time with equal options, and the last call decides", async () => {
    const [a, b, c] = await Promise.all([init({ gpu }), init({ gpu }), init({ gpu, subgroups: false })]);
    expect(b).toBe(a);
    expect(c).not.toBe(a);
    expect(device()).toBe(c);
    for (const d of [a, c]) d.destroy();
  });
});

function leaf(d: Device): Tensor {
  const t = keep(Tensor.full([1], 1, "f32", d));
  t.requiresGrad = true;
  return t;
}
