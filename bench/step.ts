/**
 * A training step of the quickstart's network, both branches: time, launches and submits, and where
 * the GPU time goes, each kernel as a share of the adapter's ceiling that binds it.
 *
 *     npm run bench -- step            prints a table, writes out/bench/step-ADAPTERCLASS.json
 */
import { mkdir, readFile } from "node:fs/promises";
import { init } from "@pan/core";
import { parseCifar10, subset } from "@pan/core/data";
import { buildNetwork } from "@pan/core/models";
import { dawn, writeFileAtomic } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { Trainer } from "@pan/core/train";
import { CONFIG } from "../examples/quickstart/settings";
import { benchOptions } from "./options";
import { BINDS, describeRoof, RoofMeter, shareOfRoof } from "./roof";

benchOptions({}, "npm run bench -- step    a training step of the quickstart's network");

const BATCH = 50;
const STEPS = 10;
const SHOWN = 16;
const device = await init({ gpu: await dawn() });
const sample = parseCifar10(await readFile(new URL("../examples/data/train_sample.bin", import.meta.url)));
const model = buildNetwork(CONFIG, { seed: 1 });
const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
const meter = new RoofMeter(device);
for (let round = -1; round < 5; round++) await meter.round(round >= 0);

/** Trains `steps` steps and waits for the GPU. */
async function train(steps: number): Promise<void> {
  const trainer = new Trainer(model, optimizer, { batchSize: BATCH, readEvery: STEPS });
  for await (const _ of trainer.fit(subset(sample, 0, steps * BATCH), { epochs: 1 })) await device.sync();
}

await train(3);
// An epoch's end reads the signs of γ: a run of no more than one step tells what that adds to the
// counters.
const before = { ...device.counters };
await train(1);
const one = { ...device.counters };
const started = performance.now();
await train(STEPS);
const milliseconds = (performance.now() - started) / STEPS;
const more = { ...device.counters };
const each = (name: "dispatches" | "submits") => (more[name] - one[name] - (one[name] - before[name])) / (STEPS - 1);
const profile = await device.profile(() => train(STEPS));

const { roof } = meter;
console.log(`\n${device.name}: a step of batch ${BATCH}, both branches`);
console.log(describeRoof(roof));
console.log(`${milliseconds.toFixed(0)} ms, ${each("dispatches")} dispatches, ${each("submits")} submit`);
const table = profile.map((k) => ({ ...k, ...shareOfRoof(k, roof, k.milliseconds / 1000) }));
for (const { kernel, dispatches, milliseconds: ms, binds, share } of table.slice(0, SHOWN)) {
  console.log(
    `${kernel.padEnd(60)} ${(ms / STEPS).toFixed(1).padStart(7)} ms  ${(dispatches / STEPS).toFixed(1).padStart(5)} dispatches  ${Math.round(100 * share)} % of ${BINDS[binds]}`,
  );
}
await mkdir("out/bench", { recursive: true });
const record = {
  adapter: device.name,
  batch: BATCH,
  milliseconds,
  dispatches: each("dispatches"),
  submits: each("submits"),
  roof,
  table,
};
await writeFileAtomic(
  `out/bench/step-${device.caps.adapter}.json`,
  new TextEncoder().encode(JSON.stringify(record, null, 1)),
);
