import { Generator } from "@pan/core";
import type { SampleTransform, TrainingSet } from "@pan/core/data";
import { loadSafetensors } from "@pan/core/node";
import { rejoin } from "@pan/core/ownership";
import { countSigns } from "@pan/core/passport";
import { evaluate, type Trainer } from "@pan/core/train";
import { least, most } from "../report/src/index";

/**
 * Runs a training; Ctrl-C asks it to stop with a checkpoint, a second one ends the process at once.
 */
export async function untilInterrupted(trainer: Trainer, run: () => Promise<void>): Promise<void> {
  const interrupt = () => {
    if (trainer.interrupted) process.exit(130);
    trainer.stop();
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  try {
    await run();
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
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
