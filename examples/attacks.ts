/**
 * Attacks a trained network of examples/cifar10.ts and says what is left of its owner's claim.
 *
 *     npm run attacks -- --run out/cifar10/cpu/alexnet-pan          (--help lists the options)
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type AttackRecord,
  cifarTransform,
  type ImageSet,
  init,
  type Measurement,
  matchThreshold,
  PanError,
  readCredential,
  solvePassports,
  subset,
  type Target,
  verify,
} from "../src/index";
import { dawn, loadCifar10, loadSafetensors, writeFileAtomic } from "../src/node/index";
import { ATTACKS, type AttackName } from "./attacks/list";
import { HELP, readSettings, type Settings } from "./attacks/settings";
import { range } from "./run";

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function show(m: Measurement): string {
  const accuracy = Object.entries(m.accuracy).map(([branch, share]) => `${branch} ${percent(share)}`);
  return [...accuracy, `${m.matched} of ${m.bits} bits`].join("  ");
}

const settingOf = (setting: Readonly<Record<string, number | string>>) =>
  Object.entries(setting)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");

/** The record of an earlier run of this attack, where there is one. */
async function earlier(path: string): Promise<AttackRecord | null> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as AttackRecord;
  } catch {
    return null;
  }
}

async function attack(name: AttackName, target: Target, train: ImageSet, s: Settings): Promise<void> {
  const path = join(s.out, `${name}.json`);
  const known = s.again ? null : await earlier(path);
  if (known) {
    console.log(`\n${known.attack}: done before, ${path}`);
    return;
  }
  const started = performance.now();
  const progress = (_: unknown, done: number, of: number) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${name} ${done} of ${of}`);
  };
  const record = await ATTACKS[name]({ target, train, budget: s.budget, options: { seed: s.seed, onStep: progress } });
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  await writeFileAtomic(path, new TextEncoder().encode(JSON.stringify(record, null, 1)));
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(`\n${record.attack}  (knows ${record.knowledge.join(", ")}; ${seconds} s)`);
  console.log(`  ${"before".padEnd(14)} ${show(record.before)}`);
  const { steps } = record;
  if (name !== "random-passports")
    for (const { setting, after } of steps) console.log(`  ${settingOf(setting).padEnd(14)} ${show(after)}`);
  else console.log(`  ${`${steps.length} draws`.padEnd(14)} ${spread(steps.map((step) => step.after))}`);
}

/** Smallest to largest over many draws. */
function spread(after: readonly Measurement[]): string {
  const secret = after.map((m) => m.accuracy.private ?? m.accuracy.passport ?? 0);
  const bits = after.map((m) => m.matched);
  return `${range(secret, percent)}, ${range(bits, String)} of ${after[0]!.bits} bits`;
}

/** A credential made for the deployed network by solving equations, and what verification makes of it. */
async function forge({ deployed, credential, test, transform }: Target): Promise<void> {
  const { config } = readCredential(credential);
  const { signature: _, ...own } = config;
  const started = performance.now();
  const forged = solvePassports(deployed, { ...own, passports: bare(own.passports) } as typeof config, { seed: 1 });
  const milliseconds = performance.now() - started;
  const options = { test, ...(transform && { transform }) };
  const found = await verify(deployed, forged, options);
  const strict = await verify(deployed, forged, { ...options, requireBinding: true });
  console.log(`\nsolved passports  (knows the deployed network; ${milliseconds.toFixed(0)} ms)`);
  const accuracy = Object.entries(found.accuracy).map(([branch, share]) => `${branch} ${percent(share)}`);
  console.log(`  forged claim   ${accuracy.join("  ")}  ${found.matched} of ${found.bits} bits`);
  console.log(
    `  verdict        as in the papers: ${found.holds ? "holds" : "does not hold"}; with binding asked for: ${strict.holds ? "holds" : "does not hold"}`,
  );
}

type Bare = ReturnType<typeof readCredential>["config"]["passports"];

/** The same layers without texts: without an FC a forged signature spells none. */
const bare = (passports: Bare): Bare =>
  JSON.parse(JSON.stringify(passports ?? {}), (_, value) => (typeof value === "string" ? true : value));

async function main(s: Settings): Promise<void> {
  const device = await init({ gpu: await dawn() });
  console.log(`adapter    ${device.name} (${device.caps.adapter})`);
  const { train, test } = await loadCifar10(s.data);
  const target: Target = {
    deployed: await loadSafetensors(join(s.run, "deployed.safetensors")),
    credential: await loadSafetensors(join(s.run, "owner.credential.safetensors")),
    test: subset(test, 0, Math.min(s.budget.testImages, test.length)),
    transform: cifarTransform("test"),
  };
  const { config } = readCredential(target.credential);
  await mkdir(s.out, { recursive: true });
  console.log(`network    scheme ${config.scheme}, ${s.run}; ${target.test.length} test images`);
  for (const name of s.attacks) await attack(name, target, train, s);
  await forge(target);
  const record = await earlier(join(s.out, "random-passports.json"));
  const bits = record?.before.bits;
  if (bits)
    console.log(
      `\n${matchThreshold(bits)} of ${bits} bits are needed at a false-positive rate of 1e-6; records in ${s.out}`,
    );
}

try {
  const settings = readSettings(process.argv.slice(2));
  if (settings === "help") console.log(HELP);
  else await main(settings);
} catch (error) {
  if (!(error instanceof PanError)) throw error;
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 1;
}
