/**
 * What the processor does beside the adapter:
 *
 *     npm run bench -- host [--rounds 60] [--starts 3]
 *
 * 1. Its time per step, on the thread that runs JavaScript: a step whose forward and backward pass
 *    are run, and the same step replayed (`recordStep`), each up to the end of its submit and after
 *    a wait for the adapter; and replayed steps given one behind the other, as the trainer gives
 *    them. A software adapter runs on the same processor: after a wait its work has taken the
 *    caches. Interleaved, medians.
 * 2. The first step of a fresh process, kernels compiled beside each other and one after another,
 *    driver caches off and on.
 * 3. An epoch of the trainer (shuffling, crops and flips, upload, losses) beside the bare steps of
 *    one batch: what is not hidden behind the adapter's work.
 *
 * Writes out/bench/host-ADAPTERCLASS.json.
 */
import { fork } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type Device, init, keep, recordStep, scope, Tensor } from "@pan/core";
import { normalize, parseCifar10, randomCrop, randomHorizontalFlip } from "@pan/core/data";
import { buildNetwork } from "@pan/core/models";
import { dawn, writeFileAtomic } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { Trainer } from "@pan/core/train";
import { numberIn } from "../../examples/options";
import { CONFIG } from "../../examples/quickstart/settings";
import { trainStep } from "../../src/train/step";
import { median } from "../median";
import { benchOptions } from "../options";
import { NAMES, type Name, prepare } from "./networks";

const v = benchOptions({ rounds: "60", starts: "3" }, "npm run bench -- host [--rounds N] [--starts N]");
const rounds = numberIn("rounds", v.rounds, 1, 10_000);
const starts = numberIn("starts", v.starts, 0, 100);

/** Replayed steps that follow one without a wait. */
const IN_ROW = 4;

/** Milliseconds on this thread, a step, up to the end of the submit. */
async function hostTime(device: Device, name: Name) {
  const { step, dispose } = prepare(name, device);
  for (let i = 0; i < 5; i++) {
    scope(step);
    await device.sync();
  }
  const recorded = recordStep(step);
  await device.sync();
  const times = { run: [] as number[], replayed: [] as number[], inRow: [] as number[] };
  const timed = (form: keyof typeof times, give: () => void) => {
    const started = performance.now();
    give();
    device.flush();
    times[form].push(performance.now() - started);
  };
  for (let round = 0; round < rounds; round++) {
    timed("run", () => scope(step));
    await device.sync();
    timed("replayed", () => recorded.replay());
    for (let i = 0; i < IN_ROW; i++) timed("inRow", () => recorded.replay());
    await device.sync();
  }
  const result = {
    name,
    commands: recorded.commands,
    run: median(times.run),
    replayed: median(times.replayed),
    inRow: median(times.inRow),
  };
  recorded.dispose();
  dispose();
  return result;
}

interface Start {
  adapter: string;
  pipelines: number;
  init: number;
  record: number;
  wait: number;
  total: number;
  second: number;
}

/** One first step, in a process of its own. */
function startOnce(mode: "beside" | "in-turn", cached: boolean): Promise<Start> {
  const child = fork(fileURLToPath(new URL("start.ts", import.meta.url)), [mode], {
    env: { ...process.env, MESA_SHADER_CACHE_DISABLE: String(!cached) },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  return new Promise((resolve, reject) => {
    child.once("message", (message) => resolve(message as Start));
    child.once("exit", (code) => reject(new Error(`the first step's process ended with ${code} and sent no figures`)));
  });
}

/**
 * The quickstart's network on its images: milliseconds a step of the trainer's epochs, and of its
 * bare step on one batch.
 */
async function hidden(device: Device) {
  const set = parseCifar10(await readFile(new URL("../../examples/data/train_sample.bin", import.meta.url)));
  const model = buildNetwork(CONFIG, { seed: 1 });
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const batchSize = 50;
  const transform = [
    randomCrop({ padding: 4 }),
    randomHorizontalFlip(),
    normalize([0.5, 0.5, 0.5], [0.25, 0.25, 0.25]),
  ];
  const steps = Math.floor(set.length / batchSize);
  const epoch = async () => {
    const trainer = new Trainer(model, optimizer, { batchSize, transform, readEvery: steps });
    const started = performance.now();
    let seconds = 0;
    for await (const record of trainer.fit(set, { epochs: 1 })) seconds = record.seconds;
    return { ms: (1000 * seconds) / steps, all: performance.now() - started };
  };
  const x = keep(Tensor.full([batchSize, 32, 32, 3], 0.5));
  const y = keep(Tensor.full([batchSize], 1, "i32"));
  optimizer.prepare();
  const bare = async () => {
    const recorded = recordStep(() => trainStep(model, optimizer, [() => ({ x, y })]));
    await device.sync();
    const started = performance.now();
    for (let i = 0; i < steps; i++) {
      recorded.replay();
      device.flush();
    }
    await device.sync();
    const ms = (performance.now() - started) / steps;
    recorded.dispose();
    return ms;
  };
  const times = { trainer: [] as number[], bare: [] as number[] };
  for (let round = -1; round < 3; round++) {
    const [whole, alone] = [(await epoch()).ms, await bare()];
    if (round < 0) continue;
    times.trainer.push(whole);
    times.bare.push(alone);
  }
  for (const each of [optimizer, model, x, y]) each.dispose();
  const ratio = median(times.trainer.map((t, i) => t / times.bare[i]!));
  return { steps, batchSize, trainer: median(times.trainer), bare: median(times.bare), ratio };
}

const device = await init({ gpu: await dawn() });
console.log(`\n${device.name}: milliseconds of the processor a step, medians of ${rounds}`);
const host: Awaited<ReturnType<typeof hostTime>>[] = [];
for (const name of NAMES) {
  const row = await hostTime(device, name);
  host.push(row);
  console.log(
    `${name.padEnd(18)} ${String(row.commands).padStart(4)} dispatches   run ${row.run.toFixed(2).padStart(6)} ms   replayed ${row.replayed.toFixed(2).padStart(6)} ms   in a row ${row.inRow.toFixed(2).padStart(6)} ms`,
  );
}
const epoch = await hidden(device);
console.log(
  `trainer, quickstart's network, batch ${epoch.batchSize}: ${epoch.trainer.toFixed(1)} ms a step of an epoch, ${epoch.bare.toFixed(1)} ms a bare step: ${epoch.ratio.toFixed(2)} times`,
);
const first: { cached: boolean; beside: Start; inTurn: Start }[] = [];
for (const cached of [false, true]) {
  const runs: { beside: Start; inTurn: Start }[] = [];
  for (let i = 0; i < starts; i++)
    runs.push({ beside: await startOnce("beside", cached), inTurn: await startOnce("in-turn", cached) });
  if (!runs.length) continue;
  const middle = (mode: "beside" | "inTurn"): Start => {
    const total = median(runs.map((r) => r[mode].total));
    return runs.map((r) => r[mode]).find((r) => r.total === total)!;
  };
  const row = { cached, beside: middle("beside"), inTurn: middle("inTurn") };
  first.push(row);
  console.log(
    `first step, AlexNet pan, ${row.beside.pipelines} kernels, driver's cache ${cached ? "on" : "off"}: ${row.beside.total.toFixed(0)} ms from init (compiled one after another ${row.inTurn.total.toFixed(0)} ms), the second ${row.beside.second.toFixed(0)} ms`,
  );
}
await mkdir("out/bench", { recursive: true });
const record = { adapter: device.name, kind: device.caps.adapter, rounds, host, epoch, first };
await writeFileAtomic(
  `out/bench/host-${device.caps.adapter}.json`,
  new TextEncoder().encode(JSON.stringify(record, null, 1)),
);
