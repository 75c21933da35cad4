/** Sweeps whose programs compute nothing: what they would leave is written at once. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Ended, Launch } from "../../../examples/sweep/child";
import { parsePlan } from "../../../examples/sweep/plan";
import { type Task, tasksOf } from "../../../examples/sweep/tasks";

export const PLAN = {
  program: "cifar10",
  options: { epochs: 2, passports: "random" },
  grid: { scheme: ["plain", "pan"], seed: [1, 2] },
  attacks: { grid: { attack: ["prune"] }, exclude: [{ "on.scheme": "plain" }] },
};
export const tasks = (plan: unknown = PLAN): Task[] => tasksOf(parsePlan(plan, "plan.json"));

/** What a launch was asked for, and how to end it. */
export interface Started {
  program: string;
  args: readonly string[];
  stopped: boolean;
  end(how?: Partial<Ended>): void;
}

const option = (args: readonly string[], name: string) =>
  args.find((a) => a.startsWith(`--${name}=`))!.slice(name.length + 3);

/** A report as programs leave it; every number follows from the arguments. */
async function report(program: string, args: readonly string[], adapter: string): Promise<void> {
  const out = option(args, "out");
  const shared = { adapter: { kind: "software", name: adapter } };
  const claim = { matched: 9, bits: 10 };
  const verdict = { verdict: "mark present" };
  const trained = () => {
    const accuracy = 1 / 3 + Number(option(args, "seed")) / 10;
    const epochs = [{ epoch: 2, loss: 1 - accuracy, public: accuracy, seconds: Math.random() }];
    const signed = option(args, "scheme") === "pan";
    const best = { epoch: 2, accuracy: { public: accuracy } };
    return { ...shared, epochs, best, signature: signed ? claim : null, triggers: null, forged: [], verdict: null };
  };
  const step = (share: number) => ({ setting: { share }, after: { ...claim, accuracy: { public: share }, pValue: 1 } });
  const attacked = () => ({
    networks: [
      {
        ...shared,
        claim,
        verdict,
        attacks: [{ attack: "pruning", budget: {}, steps: [step(0.5), step(1)] }],
        forgeries: [],
      },
    ],
  });
  await mkdir(out, { recursive: true });
  await writeFile(join(out, "report.json"), JSON.stringify(program === "attacks" ? attacked() : trained()));
}

/** Programs that end at once, or when a test says so. */
export function programs({ waits = false, adapter = "A" } = {}): { launch: Launch; started: Started[] } {
  const started: Started[] = [];
  const launch: Launch = async (program, args) => {
    let settle = (_: Ended) => {};
    const ended = new Promise<Ended>((resolve) => (settle = resolve));
    const one: Started = {
      program,
      args,
      stopped: false,
      end: (how) => settle({ code: null, signal: null, ...how }),
    };
    started.push(one);
    if (!waits) {
      await report(program, args, adapter);
      one.end({ code: 0 });
    }
    return { pid: process.pid, ended, stop: () => void (one.stopped = true) };
  };
  return { launch, started };
}
