import { Generator } from "@pan/core";
import type { SampleTransform, TrainingSet } from "@pan/core/data";
import { loadSafetensors } from "@pan/core/node";
import { rejoin } from "@pan/core/ownership";
import { countSigns } from "@pan/core/passport";
import { evaluate, type Trainer } from "@pan/core/train";
import { least, most } from "../report/src/index";

/**
 * Runs a training; Ctrl-C and SIGTERM ask it to stop with a checkpoint, a second Ctrl-C ends the
 * process at once. A second SIGTERM is the first once more: schedulers send it to every process of
 * a job, and a parent hands on what it has got.
 */
export async function untilInterrupted(trainer: Trainer, run: () => Promise<void>): Promise<void> {
  let asked = 0;
  const interrupt = () => {
    if (++asked > 1) process.exit(130);
    trainer.stop();
  };
  const terminate = () => trainer.stop();
  process.on("SIGINT", interrupt).on("SIGTERM", terminate);
  try {
    await run();
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", terminate);
  }
}

/** What random passports in the place of the owner's achieve. */
export interface Forgery {
  /** Of the branch that passports open. */
  accuracy: number;
  matched: number;
  /** γ of each layer. */
  gamma: number[][];
}

/**
 * Random passports in the place of the owner's, everything else of the credential known to the
 * forger.
 */
export async function forge(
  { deployed, credential }: { deployed: string; credential: string },
  { test, transform }: { test: TrainingSet; transform: readonly SampleTransform[] },
  { forgeries, seed }: { forgeries: number; seed: number },
): Promise<Forgery[]> {
  const model = rejoin(await loadSafetensors(deployed), await loadSafetensors(credential));
  const secret = model.branches[model.branches.length - 1]!;
  const found: Forgery[] = [];
  for (let i = 0; i < forgeries; i++) {
    model.randomPassports(new Generator(seed).fork(`forgery ${i}`));
    const accuracy = await evaluate(model, test, { branches: [secret], transform });
    const signs = await model.readSigns();
    const gamma = signs.map((l) => [...l.gamma]);
    found.push({ accuracy: accuracy[secret] ?? 0, matched: countSigns(signs).matched, gamma });
  }
  model.dispose();
  return found;
}

/** Smallest and largest of some values, as text. */
export const range = (values: readonly number[], show: (v: number) => string): string =>
  `${show(least(values))} to ${show(most(values))}`;
