/**
 * `hostile`: inputs made to exhaust, one a process of its own: each is refused, or read where it is valid after all, soon and in little memory. Time is measured beyond that of one look at every
 * byte by the same machine, memory beyond what the input itself takes.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { HOSTILE } from "./hostile-cases";
import { type Cases, demand, LONGEST_MESSAGE, type Part, type Task } from "./part";

/** Milliseconds beyond the time to read the bytes. */
const BEYOND = 100;
/** Bytes beyond those that were there, and as many times the input's. */
const ROOM = 64 * 2 ** 20;
const COPIES = 8;
/** Heap of a case's process in MiB, and milliseconds after which it is ended. */
const HEAP = 1024;
const ENDLESS = 20_000;

/** What the process of a case says. */
export interface Report {
  /** Class of the error; null for a result. */
  error: string | null;
  /** Whether the class is the package's. */
  typed: boolean;
  message: string;
  messageLength: number;
  inputBytes: number;
  /** Milliseconds of the reader, and of one look at every byte. */
  ms: number;
  lookMs: number;
  /** Growth of the process's largest size. */
  grownBytes: number;
}

/** Runs a case in a process of its own. */
async function report(name: string): Promise<Report> {
  const script = fileURLToPath(new URL("hostile-child.ts", import.meta.url));
  const flags = [`--max-old-space-size=${HEAP}`, "--expose-gc", "--import", "tsx"];
  const child = spawn(process.execPath, [...flags, script, name], { stdio: ["ignore", "pipe", "pipe"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), ENDLESS);
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => (out += chunk));
  child.stderr.on("data", (chunk) => (err += chunk));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.once("close", (...how) => resolve(how));
  });
  clearTimeout(timer);
  const fatal = /FATAL ERROR: (.*)/.exec(err)?.[1] ?? err.trim().split("\n").at(-1)?.slice(0, 200);
  demand(signal !== "SIGKILL", `no end after ${ENDLESS / 1000} s`);
  demand(code === 0, `the process ended with ${signal ?? code}: ${fatal}`);
  return JSON.parse(out) as Report;
}

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

/** @throws Breach where the report of a case is not what was promised. */
function check(r: Report, expected: "refused" | "either"): void {
  demand(r.typed, `${r.error} instead of a PanError: ${r.message}`);
  demand(r.messageLength <= LONGEST_MESSAGE, `a message of ${r.messageLength} characters: ${r.message} …`);
  demand(expected === "either" || r.error !== null, "it was read");
  // Valid after all, and read: that takes what its bytes take, at some rate.
  const most = r.error === null ? BEYOND + READ_RATE * r.lookMs : BEYOND + r.lookMs;
  const beyond = `${r.ms.toFixed(0)} ms, where a look at the bytes takes ${r.lookMs.toFixed(0)}`;
  demand(r.ms <= most, `${r.error ?? "read"} after ${beyond}`);
  const room = ROOM + COPIES * r.inputBytes;
  demand(r.grownBytes <= room, `${r.error ?? "read"} in ${mib(r.grownBytes)} for an input of ${mib(r.inputBytes)}`);
}

/** How many times one look at its bytes a valid input may take to be read. */
const READ_RATE = 20;

async function run(task: Task, cases: Cases) {
  const names = Object.keys(HOSTILE);
  const reports: Record<string, Report> = {};
  await cases.each(
    names.length,
    async (_, number) => {
      const name = names[number]!;
      const { expected = "refused" } = HOSTILE[name]!;
      const attempt = async () => check((reports[name] = await report(name)), expected);
      try {
        // What is slow once, when the machine is busy, is not slow twice.
        await attempt().catch(attempt);
      } catch (error) {
        throw Object.assign(error as Error, { message: `${name}: ${(error as Error).message}` });
      }
    },
    { beside: task.size === "full" ? 1 : 2 },
  );
  const all = Object.entries(reports);
  const slowest = all.reduce((a, b) => (b[1].ms - b[1].lookMs > a[1].ms - a[1].lookMs ? b : a), all[0]!);
  const largest = all.reduce((a, b) => (b[1].grownBytes > a[1].grownBytes ? b : a), all[0]!);
  return {
    figure: `${cases.kept} of ${cases.count} hostile inputs refused in time and room; slowest ${(slowest[1].ms - slowest[1].lookMs).toFixed(0)} ms beyond reading (${slowest[0]}), most memory ${mib(largest[1].grownBytes)} (${largest[0]})`,
    facts: { reports },
  };
}

export default {
  promise: `inputs made to exhaust are refused within ${BEYOND} ms beyond the time to look at their bytes, in bounded memory`,
  patience: 60,
  run,
} satisfies Part;
