/**
 * `npm run torture [-- PART… --seed N --commit|--full --case N --list]`: tries to break what
 * docs/reliability.md promises. Each part runs in a process of its own, which may die or hang; what
 * it prints is one line, out/torture/PART.json is its record, and the exit code is 1 where a
 * promise was broken.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ArgumentError, PanError } from "@pan/core";
import { writeFileAtomic } from "@pan/core/node";
import { numberIn } from "../examples/options";
import type { Broken, Message, Outcome, Size, Task } from "./part";
import { PARTS, type PartName } from "./parts";

const OUT = join("out", "torture");
const HELP = `npm run torture -- [PART…] [--seed N] [--commit | --full] [--case N] [--list]

Parts: ${Object.keys(PARTS).join(", ")} (default: all, one after another).
--commit   the size for every change, minutes in all; --full (default): many more cases
--seed N   other random numbers (default 1); --case N runs one case of one part again`;
/** Broken cases that are shown; all are in the record. */
const SHOWN = 5;
/** Milliseconds between two looks at whether a part still moves. */
const LOOK = 1000;

interface Settings extends Task {
  names: PartName[];
}

/** @throws ArgumentError for a part or an option that is not there. */
function settings(args: string[]): Settings | "help" | "list" {
  const options = {
    seed: { type: "string", default: "1" },
    case: { type: "string" },
    commit: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  } as const;
  let given: ReturnType<typeof parseArgs<{ args: string[]; options: typeof options; allowPositionals: true }>>;
  try {
    given = parseArgs({ args, options, allowPositionals: true });
  } catch (cause) {
    throw new ArgumentError(`${(cause as Error).message}\n\n${HELP}`, { cause });
  }
  const { values: v, positionals } = given;
  if (v.help) return "help";
  if (v.list) return "list";
  if (v.commit && v.full) throw new ArgumentError("--commit and --full are two sizes: give one");
  const unknown = positionals.find((name) => !Object.hasOwn(PARTS, name));
  if (unknown !== undefined)
    throw new ArgumentError(`one of the parts ${Object.keys(PARTS).join(", ")} expected, found "${unknown}"`);
  const names = (positionals.length ? positionals : Object.keys(PARTS)) as PartName[];
  if (v.case !== undefined && names.length !== 1)
    throw new ArgumentError("--case: the one part that the case belongs to expected");
  const only = v.case === undefined ? null : numberIn("case", v.case, 0, 2 ** 32);
  const size: Size = v.commit ? "commit" : "full";
  return { names, size, only, seed: numberIn("seed", v.seed, 0, 2 ** 32) };
}

/** How a case can be run again. */
const again = (name: PartName, { size, seed }: Task, { case: number }: Broken): string =>
  `npm run torture -- ${name} --seed ${seed}${size === "commit" ? " --commit" : ""} --case ${number}`;

/** The number of the case that a part is in. */
const caseNow = async (file: string): Promise<number> => Number(await readFile(file, "utf8").catch(() => "0"));

/**
 * Ends a part that stays in one case for longer than it may.
 * @returns the end of the watch, and whether it had to.
 */
function watch(child: ChildProcess, file: string, patience: number): () => number | null {
  let [at, since, hung] = [-1, performance.now(), null as number | null];
  const timer = setInterval(async () => {
    const now = await caseNow(file);
    if (now !== at) [at, since] = [now, performance.now()];
    else if (performance.now() - since > 1000 * patience) {
      hung = now;
      child.kill("SIGKILL");
    }
  }, LOOK);
  return () => {
    clearInterval(timer);
    return hung;
  };
}

/** Runs a part in a process of its own. */
async function runPart(name: PartName, task: Task): Promise<Outcome> {
  const file = join(OUT, `${name}.case`);
  await rm(file, { force: true });
  const child = fork(fileURLToPath(new URL("child.ts", import.meta.url)), [name, JSON.stringify(task), file], {
    execArgv: ["--expose-gc", "--import", "tsx"],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const { patience } = (await PARTS[name]()).default;
  const end = watch(child, file, patience);
  const broken: Broken[] = [];
  const answer = await new Promise<Omit<Outcome, "broken"> | string>((resolve) => {
    child.on("message", (message: Message) => {
      if ("broken" in message) broken.push(message.broken);
      else resolve(message.outcome);
    });
    child.once("error", (error) => resolve(`its process could not be started: ${error.message}`));
    child.once("exit", (code, signal) => resolve(`its process ended with ${signal ?? code}`));
  });
  const hung = end();
  const number = await caseNow(file);
  await rm(file, { force: true });
  if (typeof answer !== "string") return { ...answer, broken };
  const what = hung === null ? answer : `it hangs: no end after ${patience} s`;
  return { figure: what, cases: number + 1, broken: [...broken, { case: number, what }], facts: {} };
}

async function main(): Promise<void> {
  const asked = settings(process.argv.slice(2));
  if (asked === "help") return console.log(HELP);
  if (asked === "list") {
    for (const [name, load] of Object.entries(PARTS))
      console.log(`${name.padEnd(12)} ${(await load()).default.promise}`);
    return;
  }
  await mkdir(OUT, { recursive: true });
  const { names, ...task } = asked;
  for (const name of names) {
    const started = performance.now();
    const outcome = await runPart(name, task);
    const seconds = (performance.now() - started) / 1000;
    console.log(`${name.padEnd(12)} ${outcome.figure} (${seconds.toFixed(0)} s)`);
    for (const broken of outcome.broken.slice(0, SHOWN))
      console.error(`  case ${broken.case}: ${broken.what}\n    ${again(name, task, broken)}`);
    if (outcome.broken.length > SHOWN) console.error(`  … ${outcome.broken.length} broken promises in all`);
    if (outcome.broken.length) process.exitCode = 1;
    const record = { part: name, ...task, seconds, ...outcome };
    const path = join(OUT, `${name}${task.only === null ? "" : `-${task.only}`}.json`);
    await writeFileAtomic(path, new TextEncoder().encode(JSON.stringify(record, null, 1)));
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof PanError)) throw error;
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 2;
}
