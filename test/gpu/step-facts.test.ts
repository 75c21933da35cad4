/**
 * What a training step of each model costs in launches, bytes and allocations: facts of the code,
 * the same on every machine, beside which a change shows.
 */

import { beforeAll, expect, it } from "vitest";
import { CONFIG as QUICKSTART } from "../../examples/quickstart/settings";
import type { DeviceCounters } from "../../src/gpu/counters";
import type { Device } from "../../src/gpu/device";
import { type AlexNetSettings, buildNetwork, type ResNetConfig } from "../../src/models";
import { SGD } from "../../src/optim/sgd";
import { Tensor } from "../../src/tensor/tensor";
import { trainStep } from "../../src/train/step";
import { gpu, randomData } from "../support/gpu";
import { alexNet, type Network, pointNet, resNet9 } from "../support/networks";

let d: Device;
beforeAll(async () => {
  d = await gpu();
});

const BATCH = 8;
const alexnet = (options: AlexNetSettings) => () => alexNet({ width: 0.125, seed: 1, ...options });
const resnet = (options: Partial<ResNetConfig>) => () => resNet9({ width: 8, seed: 1, ...options });
const LAST = { passports: { 4: true, 5: true, 6: true } };
const STAGE = { passports: { layer4: true } };

/**
 * Networks of the papers' structure with few channels. Software adapters take Winograd's method
 * where it pays, whose three passes are three or four launches each.
 */
const MODELS: Record<string, () => Network> = {
  quickstart: () => buildNetwork(QUICKSTART, { seed: 1 }),
  "alexnet plain": alexnet({ scheme: "plain" }),
  "alexnet v1": alexnet({ scheme: "v1", ...LAST }),
  "alexnet v2": alexnet({ scheme: "v2", ...LAST }),
  "alexnet pan": alexnet({ scheme: "pan", ...LAST }),
  "resnet9 plain": resnet({ scheme: "plain" }),
  "resnet9 pan": resnet({ scheme: "pan", ...STAGE }),
  "pointnet pan": () =>
    pointNet({ scheme: "pan", classes: 10, points: 64, width: 0.125, passports: { p1: true, p2: true }, seed: 1 }),
};

/** Counters of one step in steady state. */
async function stepFacts(model: Network): Promise<DeviceCounters> {
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 });
  const shape = [BATCH, ...model.sampleShape!];
  const samples = randomData(shape, 3);
  const labels = Int32Array.from({ length: BATCH }, (_, i) => i % 10);
  const step = () => {
    trainStep(model, optimizer, [() => ({ x: Tensor.from(samples, shape), y: Tensor.from(labels, [BATCH]) })]);
    d.flush();
  };
  for (let i = 0; i < 6; i++) step();
  await d.sync();
  const before = { ...d.counters };
  for (let i = 0; i < 2; i++) step();
  const after = { ...d.counters };
  await d.sync();
  optimizer.dispose();
  model.dispose();
  const each = Object.entries(after).map(([name, n]) => [name, (n - before[name as keyof DeviceCounters]) / 2]);
  return Object.fromEntries(each) as DeviceCounters;
}

it("costs what is committed (npx vitest run test/gpu/step-facts.test.ts -u, to commit other figures)", async (test) => {
  // Kernels are chosen by the adapter: the committed figures are those of the embedded one.
  test.skip(d.caps.adapter !== "swiftshader", `${d.name} has other kernels`);
  const facts: Record<string, DeviceCounters> = {};
  for (const [name, make] of Object.entries(MODELS)) {
    facts[name] = await stepFacts(make());
    // A steady step allocates, compiles and reads nothing, whatever the figures are.
    expect(facts[name], name).toMatchObject({ submits: 1, buffersCreated: 0, pipelines: 0, bytesRead: 0 });
  }
  await expect(`${JSON.stringify(facts, null, 2)}\n`).toMatchFileSnapshot("../../bench/step-facts.json");
}, 300_000);
