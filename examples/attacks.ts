/**
 * Attacks trained networks of examples/cifar10.ts, says what is left of their owner's claims, and
 * makes one report of it.
 *
 *     npm run attacks -- --checkpoint out/cifar10/cpu/alexnet-pan          (--help lists the options)
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Device, init, type SafetensorsFile } from "@pan/core";
import type { AttackRecord, PlainTarget, Target, WatermarkRecord } from "@pan/core/attacks";
import { dawn, loadSafetensors } from "@pan/core/node";
import { readCredential } from "@pan/core/ownership";
import { type AttackedNetwork, type AttackRuns, renderAttacks, tablesCsv } from "../report/src/index";
import { BUDGETS } from "./attacks/budget";
import { describeNetwork, loadPlain, type Plain } from "./attacks/describe";
import {
  ATTACKS,
  type Attack,
  type AttackName,
  type Findings,
  fineTuneAll,
  namesOfOthers,
  type Setup,
} from "./attacks/list";
import { HELP, readSettings, type Settings } from "./attacks/settings";
import { printFindings } from "./attacks/show";
import { architectureOf, boundGroup, digestOf, loadTrained, type Trained } from "./attacks/target";
import { loadTask } from "./attacks/tasks";
import { attackWatermark, printWatermark, secretOf } from "./attacks/watermarks";
import { json, savePrivate } from "./files";
import { runTask } from "./options";

/** What results on disk were made with. */
interface Made {
  network: string;
  budget: string;
  seed: number;
  /** Whatever else they follow from: digests of files, names of tasks. */
  [read: string]: unknown;
}

/** Results of an earlier run of this attack on this network, where there are some. */
async function earlier<T>(path: string, made: Made): Promise<T | null> {
  try {
    const { made: then, ...kept } = JSON.parse(await readFile(path, "utf8")) as T & { made: Made };
    return JSON.stringify(then) === JSON.stringify(made) ? (kept as T) : null;
  } catch {
    return null;
  }
}

/** Runs one attack, or takes over what it found before. */
async function attack(name: AttackName, setup: Setup, trained: Trained, s: Settings): Promise<Findings> {
  const { run, unless, reads }: Attack = ATTACKS[name];
  const reason = await unless?.(setup);
  if (reason) {
    console.log(`\n${name}: left out, ${reason}`);
    return {};
  }
  const path = join(trained.out, `${name}.json`);
  const credential = digestOf(trained.credential);
  const made = { network: trained.digest, credential, budget: s.budget, seed: s.seed, ...(await reads?.(setup)) };
  const known = s.again ? null : await earlier<Findings>(path, made);
  if (known) {
    console.log(`\n${name}: done before, ${path}`);
    return known;
  }
  const started = performance.now();
  const onStep = (_: unknown, done: number, of: number) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${name} ${done} of ${of}`);
  };
  const findings = await run({ ...setup, options: { seed: s.seed, onStep } });
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const seconds = Math.round((performance.now() - started) / 1000);
  await savePrivate(path, json({ made, seconds, ...findings }));
  printFindings(name, findings, seconds);
  return findings;
}

/**
 * Other people's networks: every deployed.safetensors one folder down.
 * @throws FormatError for one that is damaged.
 */
async function loadStrangers(folder: string): Promise<SafetensorsFile[]> {
  const names = (await readdir(folder).catch(() => [])).sort();
  const paths = names.map((name) => join(folder, name, "deployed.safetensors")).filter((path) => existsSync(path));
  return Promise.all(paths.map((path) => loadSafetensors(path)));
}

/** The same fine-tuning of the plain network, to compare with; beside its own folder's files. */
async function fineTunePlain(plain: Plain, setup: Setup, { out }: Trained, s: Settings): Promise<AttackRecord[]> {
  const network = digestOf(plain.deployed);
  const made = { network, budget: s.budget, seed: s.seed, ...(await namesOfOthers(setup.task)) };
  const path = join(out, "fine-tune-plain.json");
  const known = s.again ? null : await earlier<Findings>(path, made);
  if (known) return known.records ?? [];
  const { test, transform } = setup.target;
  const target: PlainTarget = { deployed: plain.deployed, test, ...(transform && { transform }) };
  const records = await fineTuneAll(target, { ...setup, options: { seed: s.seed } });
  await savePrivate(path, json({ made, records }));
  return records;
}

async function attackNetwork(
  trained: Trained,
  s: Settings,
  { device, command }: { device: Device; command: string },
): Promise<AttackedNetwork> {
  const { config, scheme } = readCredential(trained.credential);
  const task = await loadTask(trained.folder, s.data, BUDGETS[s.budget]);
  const { test } = task;
  // Of images, V3 alone is trained on triggers that are not bound; of clouds, whatever data.json
  // says.
  const photographs = () => (config?.arch === "pointnet" || scheme === "v3" ? task.triggers : null);
  const marks = (await boundGroup(trained.credential)) ?? photographs();
  const target: Target = {
    deployed: trained.deployed,
    credential: trained.credential,
    test,
    transform: task.transform("test"),
    ...(marks && { triggers: marks }),
  };
  const beside = dirname(resolve(trained.folder));
  const strangers = await loadStrangers(s.strangers ?? join(beside, "strangers"));
  const plain = await loadPlain(s.plain ?? join(beside, `${architectureOf(config)}-plain`));
  console.log(
    `\nnetwork    scheme ${scheme}, ${trained.path}; ${test.length} test samples, ${strangers.length} strangers' networks, ${plain ? "a" : "no"} plain one`,
  );
  await mkdir(trained.out, { recursive: true });
  const setup: Setup = { target, task, strangers, budget: BUDGETS[s.budget], options: {} };
  const findings: Findings[] = [];
  for (const name of s.attacks) findings.push(await attack(name, setup, trained, s));
  const { name, claimed } = task;
  const plainAttacks = plain && s.attacks.includes("fine-tune") ? await fineTunePlain(plain, setup, trained, s) : [];
  return {
    ...(await describeNetwork(trained, findings, { target, plain, device, command, task: name, claimed })),
    ...(plainAttacks.length && { plainAttacks }),
  };
}

/** What became of an older watermark, taken over where it was tried before. */
async function watermarkOf(folder: string, s: Settings): Promise<WatermarkRecord> {
  const path = join(folder, "attacks", "watermark.json");
  const deployed = await loadSafetensors(join(folder, "deployed.safetensors"));
  const budget = BUDGETS[s.budget];
  const task = await loadTask(folder, s.data, budget);
  const secret = await readFile(secretOf(folder)).catch(() => null);
  const made = {
    ...{ network: digestOf(deployed), budget: s.budget, seed: s.seed, ...(await namesOfOthers(task)) },
    secret: secret && createHash("sha256").update(secret).digest("hex"),
  };
  let record = s.again ? null : await earlier<WatermarkRecord>(path, made);
  if (!record) {
    record = await attackWatermark(folder, deployed, { task, budget, seed: s.seed });
    await mkdir(dirname(path), { recursive: true });
    await savePrivate(path, json({ made, ...record }));
  }
  printWatermark(folder, record);
  return record;
}

/** The record of a report but for its largest figures, which hold every weight of a layer. */
const withoutWeights = ({ networks, ...others }: AttackRuns): AttackRuns => ({
  networks: networks.map(({ distributions: _, convergence: __, ...network }) => network),
  ...others,
});

async function main(s: Settings, command: string): Promise<void> {
  const started = performance.now();
  const device = await init({ gpu: await dawn() });
  console.log(`adapter    ${device.name} (${device.caps.adapter})`);
  const networks: AttackedNetwork[] = [];
  let out = s.report;
  for (const path of s.checkpoints) {
    const trained = await loadTrained(path, s.out);
    out ??= s.checkpoints.length === 1 ? trained.out : join(dirname(resolve(trained.folder)), "attacks");
    networks.push(await attackNetwork(trained, s, { device, command }));
  }
  const watermarks: WatermarkRecord[] = [];
  for (const folder of s.watermarks) watermarks.push(await watermarkOf(folder, s));
  const runs: AttackRuns = { networks, ...(watermarks.length && { watermarks }) };
  const { html, tables } = renderAttacks(runs);
  await mkdir(join(out!, "tables"), { recursive: true });
  await savePrivate(join(out!, "report.json"), json(withoutWeights(runs)));
  await savePrivate(join(out!, "report.html"), html);
  await savePrivate(join(out!, "tables.json"), json(tables));
  for (const table of tables) await savePrivate(join(out!, "tables", `${table.name}.csv`), tablesCsv(table));
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(
    `\nreport     ${join(out!, "report.html")}, numbers in report.json, tables.json and tables/ beside it  (${seconds} s in all)`,
  );
}

await runTask("attacks", { help: HELP, read: readSettings }, main);
