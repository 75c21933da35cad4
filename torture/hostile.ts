/**
 * `hostile`: inputs made to exhaust, in a process that may die of them: each is refused, or read
 * where it is valid after all, soon and in little memory. Time is measured beyond that of one look
 * at every byte by the same machine, memory beyond what the input itself takes.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { HOSTILE } from "./hostile-cases";
import { Breach, type Cases, demand, LONGEST_MESSAGE, type Part, type Task } from "./part";

/** Milliseconds beyond the time to read the bytes. */
const BEYOND = 100;
/**
 * How many looks at each byte reading is: of what is refused, and of what is valid after all, whose
 * numbers are made.
 */
const LOOKS = { refused: 10, read: 50 };
/**
 * Bytes beyond those that were there, and how many times the input's: what is valid has a result,
 * too.
 */
const ROOM = 64 * 2 ** 20;
const COPIES = { refused: 8, read: 20 };
/** Heap of a case's process in MiB, and milliseconds after which it is ended. */
const HEAP = 1024;
const ENDLESS = 30_000;

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

/** A process that runs cases until one ends it; the next then gets another. */
class Cell {
  #child: ChildProcess | null = null;

  /** The report of a case. @throws Breach when its process dies or does not come back. */
  async report(name: string): Promise<Report> {
    const child = (this.#child ??= fork(fileURLToPath(new URL("hostile-child.ts", import.meta.url)), {
      execArgv: [`--max-old-space-size=${HEAP}`, "--expose-gc", "--import", "tsx"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    }));
    let [err, endless] = ["", false];
    const listen = (chunk: Buffer) => void (err += chunk);
    child.stderr!.on("data", listen);
    const timer = setTimeout(() => (endless = child.kill("SIGKILL")), ENDLESS);
    const answer = await new Promise<Report | null>((resolve) => {
      child.once("message", (report) => resolve(report as Report));
      child.once("close", () => resolve(null));
      child.send(name);
    });
    clearTimeout(timer);
    child.stderr!.off("data", listen);
    child.removeAllListeners("close");
    if (answer) return answer;
    this.#child = null;
    demand(!endless, `no end after ${ENDLESS / 1000} s`);
    const last = /FATAL ERROR: (.*)/.exec(err)?.[1] ?? err.trim().split("\n").at(-1)?.slice(0, 200);
    throw new Breach(`the process died: ${last}`);
  }

  close(): void {
    this.#child?.kill("SIGKILL");
  }
}

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

/** Milliseconds beyond the time to read the bytes. */
const beyondReading = ({ ms, lookMs, error }: Report): number =>
  Math.max(0, ms - LOOKS[error === null ? "read" : "refused"] * lookMs);

/** @throws Breach where the report of a case is not what was promised. */
function check(r: Report, expected: "refused" | "either"): void {
  demand(r.typed, `${r.error} instead of a PanError: ${r.message}`);
  demand(r.messageLength <= LONGEST_MESSAGE, `a message of ${r.messageLength} characters: ${r.message} …`);
  demand(expected === "either" || r.error !== null, "it was read");
  const beyond = `${r.ms.toFixed(0)} ms, where a look at the bytes takes ${r.lookMs.toFixed(0)}`;
  demand(beyondReading(r) <= BEYOND, `${r.error ?? "read"} after ${beyond}`);
  const room = ROOM + COPIES[r.error === null ? "read" : "refused"] * r.inputBytes;
  demand(r.grownBytes <= room, `${r.error ?? "read"} in ${mib(r.grownBytes)} for an input of ${mib(r.inputBytes)}`);
}

async function run(_task: Task, cases: Cases) {
  const names = Object.keys(HOSTILE);
  const reports: Record<string, Report> = {};
  const cell = new Cell();
  await cases.each(names.length, async (_, number) => {
    const name = names[number]!;
    const { expected = "refused" } = HOSTILE[name]!;
    const attempt = async () => check((reports[name] = await cell.report(name)), expected);
    try {
      // What is slow or large once, when the machine is busy or the collector late, is not so
      // twice.
      await attempt().catch((error: Error) => {
        if (!/ (ms|MiB)\b/.test(error.message)) throw error;
        return attempt();
      });
    } catch (error) {
      throw Object.assign(error as Error, { message: `${name}: ${(error as Error).message}` });
    }
  });
  cell.close();
  const all = Object.entries(reports);
  const slowest = all.reduce((a, b) => (beyondReading(b[1]) > beyondReading(a[1]) ? b : a), all[0]!);
  const largest = all.reduce((a, b) => (b[1].grownBytes > a[1].grownBytes ? b : a), all[0]!);
  return {
    figure: `${cases.kept} of ${cases.count} hostile inputs refused in time and room; slowest ${beyondReading(slowest[1]).toFixed(0)} ms beyond reading (${slowest[0]}), most memory ${mib(largest[1].grownBytes)} (${largest[0]})`,
    facts: { reports },
  };
}

export default {
  promise: `inputs made to exhaust are refused within ${BEYOND} ms beyond the time to read their bytes, in bounded memory`,
  patience: 90,
  run,
} satisfies Part;
