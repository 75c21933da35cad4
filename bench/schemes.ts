/**
 * What passports cost: a training step of each scheme, and inference of what is given away of it,
 * beside the plain network's, in the same run.
 *
 *     npm run bench -- schemes [--arch alexnet|resnet18] [--width 0.125] [--batch 50] [--rounds 5] [--steps 2]
 *
 * Rounds go through all schemes in turn, so that a drifting machine meets all of them alike;
 * medians over rounds; ratios to plain. Writes out/bench/schemes-ARCH.json.
 */
import { mkdir } from "node:fs/promises";
import { Generator, init, noGrad, scope, Tensor } from "@pan/core";
import {
  type AnyNetwork,
  alexNetConfig,
  buildNetwork,
  loadDeployed,
  type Passports,
  resNetConfig,
} from "@pan/core/models";
import { dawn, writeFileAtomic } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import type { Protected, Scheme } from "@pan/core/passport";
import { numberIn, oneOf } from "../examples/options";
import { trainStep } from "../src/train/step";
import { median } from "./median";
import { benchOptions } from "./options";

const HELP = "npm run bench -- schemes [--arch alexnet|resnet18] [--width S] [--batch N] [--rounds N] [--steps N]";
const v = benchOptions({ arch: "alexnet", width: "0.125", batch: "50", rounds: "5", steps: "2" }, HELP);
const arch = oneOf("arch", v.arch, ["alexnet", "resnet18"]);
const width = numberIn("width", v.width, 0.02, 1, false);
const batch = numberIn("batch", v.batch, 1, 1024);
const rounds = numberIn("rounds", v.rounds, 1, 1000);
const steps = numberIn("steps", v.steps, 1, 1000);

/** The papers' passport layers: the last three convolutions, the last stage; and all of them. */
const LAYERS: Record<typeof arch, { last: Passports; all: Passports }> = {
  alexnet: { last: { 4: true, 5: true, 6: true }, all: { 0: true, 2: true, 4: true, 5: true, 6: true } },
  resnet18: {
    last: { layer4: true },
    all: { convbnrelu_1: true, layer1: true, layer2: true, layer3: true, layer4: true },
  },
};
const CASES: readonly [name: string, scheme: Scheme, where: "last" | "all"][] = [
  ["plain", "plain", "last"],
  ["v1", "v1", "last"],
  ["v2", "v2", "last"],
  ["v3", "v3", "last"],
  ["pan", "pan", "last"],
  ["pan, all layers", "pan", "all"],
];

const device = await init({ gpu: await dawn() });
const random = new Generator(1);
const [IMAGE, TRIGGERS, EPOCH] = [32 * 32 * 3, 2, 50_000];
const images = random.fill(new Float32Array((batch + TRIGGERS) * IMAGE), "normal", 0, 1);
const labels = Int32Array.from({ length: batch + TRIGGERS }, () => random.integer(10));

function build(scheme: Scheme, where: "last" | "all"): Protected<AnyNetwork> {
  const options = { scheme, ...(scheme !== "plain" && { passports: LAYERS[arch][where] }) };
  const config =
    arch === "alexnet"
      ? alexNetConfig({ ...options, width })
      : resNetConfig([2, 2, 2, 2], { ...options, width: Math.round(64 * width) });
  return buildNetwork(config, { seed: 1 });
}

/**
 * A network with its optimiser, what is given away of it, and what was measured in milliseconds.
 */
async function prepare([name, scheme, where]: (typeof CASES)[number]) {
  const model = build(scheme, where);
  const given = loadDeployed(await model.deployed());
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 });
  // V3 is V2 with two triggers in every batch.
  const rows = batch + (scheme === "v3" ? TRIGGERS : 0);
  const samples = () => ({
    x: Tensor.from(images.subarray(0, rows * IMAGE), [rows, 32, 32, 3]),
    y: Tensor.from(labels.subarray(0, rows), [rows]),
  });
  const step = () => {
    trainStep(model, optimizer, [samples]);
    device.flush();
  };
  const infer = () =>
    scope(() => {
      noGrad(() => given.forward(Tensor.from(images.subarray(0, batch * IMAGE), [batch, 32, 32, 3])));
      device.flush();
    });
  const measured = { train: [] as number[], inference: [] as number[], dispatches: 0 };
  return { name, model, given, optimizer, step, infer, ...measured };
}
const runs: Awaited<ReturnType<typeof prepare>>[] = [];
for (const each of CASES) runs.push(await prepare(each));

/** Milliseconds of `steps` calls, a call. */
async function timed(call: () => void): Promise<number> {
  await device.sync();
  const started = performance.now();
  for (let i = 0; i < steps; i++) call();
  await device.sync();
  return (performance.now() - started) / steps;
}

for (let round = -1; round < rounds; round++)
  for (const run of runs) {
    const before = device.counters.dispatches;
    const train = await timed(run.step);
    run.dispatches = (device.counters.dispatches - before) / steps;
    const inference = await timed(run.infer);
    // The round before the first compiles.
    if (round >= 0) {
      run.train.push(train);
      run.inference.push(inference);
    }
  }

/** Median of the ratios to plain, round by round. */
const ratio = (key: "train" | "inference", run: (typeof runs)[number]) =>
  median(run[key].map((t, i) => t / runs[0]![key][i]!));
const table = runs.map((run) => ({
  scheme: run.name,
  trainMs: median(run.train),
  trainRatio: ratio("train", run),
  inferenceMs: median(run.inference),
  inferenceRatio: ratio("inference", run),
  epochSeconds: (median(run.train) * EPOCH) / batch / 1000,
  dispatches: run.dispatches,
}));
console.log(`\n${device.name}: ${arch}, width ${width}, batch ${batch}, medians of ${rounds} interleaved rounds`);
for (const r of table)
  console.log(
    `${r.scheme.padEnd(16)} step ${r.trainMs.toFixed(1).padStart(8)} ms  ${r.trainRatio.toFixed(2)} of plain  ${String(r.dispatches).padStart(4)} dispatches  ${r.epochSeconds.toFixed(1).padStart(7)} s for 50,000 images   inference ${r.inferenceMs.toFixed(1).padStart(7)} ms  ${r.inferenceRatio.toFixed(2)} of plain`,
  );
for (const { model, given, optimizer } of runs) {
  optimizer.dispose();
  model.dispose();
  given.dispose();
}
await mkdir("out/bench", { recursive: true });
const record = { adapter: device.name, kind: device.caps.adapter, arch, width, batch, rounds, steps, table };
await writeFileAtomic(`out/bench/schemes-${arch}.json`, new TextEncoder().encode(JSON.stringify(record, null, 1)));
