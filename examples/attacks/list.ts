import type { SafetensorsFile } from "@pan/core";
import {
  type AttackOptions,
  type AttackRecord,
  disguises,
  distil,
  type ForgingBudget,
  fineTune,
  flipSigns,
  overwrite,
  type PassportVariant,
  type PlainTarget,
  prune,
  quantise,
  randomPassports,
  replaceScales,
  type Target,
  trainPassports,
  trainScales,
  unlearnTriggers,
} from "@pan/core/attacks";
import { type NullSample, nullOfCredentials, nullOfNetworks } from "@pan/core/ownership";
import type { ForgedClaim } from "../../report/src/index";
import type { Budget } from "./budget";
import { plant, solvable, solve, tryForged, unsolvable } from "./forge";
import { digestOf } from "./target";
import { cut, type TaskData } from "./tasks";

/** What an attack is given. */
export interface Setup {
  target: Target;
  /** The owner's task. */
  task: TaskData;
  /** Other people's networks of the same sizes. */
  strangers: readonly SafetensorsFile[];
  budget: Budget;
  options: AttackOptions;
}

/** What an attack finds. JSON-able. */
export interface Findings {
  records?: AttackRecord[];
  forgeries?: ForgedClaim[];
  nulls?: NullSample[];
}

/** An attack of the runner. */
export interface Attack {
  /** One line for the help. */
  about: string;
  run(setup: Setup): Promise<Findings>;
  /** What it reads beside network, credential, seed and budget; results hold for the same alone. */
  reads?(setup: Setup): Readonly<Record<string, unknown>> | Promise<Readonly<Record<string, unknown>>>;
  /** Why it cannot be run here. */
  unless?(setup: Setup): string | false | Promise<string | false>;
}

const one = async (record: Promise<AttackRecord>): Promise<Findings> => ({ records: [await record] });

/** Images, epochs and batches of an attack that trains. */
const training = ({ task, budget, options }: Setup): ForgingBudget => ({
  ...options,
  train: cut(task.train, budget.images),
  epochs: budget.epochs,
  batchSize: budget.batchSize,
  transform: task.transform("train"),
});

/** The other tasks there are, as results say that they were made with them. */
export const namesOfOthers = async ({ others }: TaskData): Promise<{ tasks: string[] }> => ({
  tasks: (await others()).map(({ name, train, test }) => `${name}, ${train.length} and ${test.length}`),
});

/** Fine-tuning to every other task there is. */
export async function fineTuneAll(target: Target | PlainTarget, s: Setup): Promise<AttackRecord[]> {
  const records: AttackRecord[] = [];
  for (const { name, train, test } of await s.task.others())
    records.push(await fineTune(target, { ...training(s), train: cut(train, s.budget.images), test, task: name }));
  return records;
}

/**
 * Turned signs in the last passport layer, in the last two, … in all for which passports can be
 * solved.
 */
async function flipByLayers(setup: Setup): Promise<Findings> {
  const { plan, wide } = solvable(setup.target.credential);
  const names = plan.places.filter((p) => !wide.includes(p)).map((p) => p.norm);
  const records: AttackRecord[] = [];
  for (let n = 1; n <= names.length; n++)
    records.push(
      await flipSigns(setup.target, { ...setup.options, shares: setup.budget.shares, layers: names.slice(-n) }),
    );
  return { records };
}

const passports = (variant: PassportVariant, about: string): Attack => ({
  about,
  run: async (setup) => {
    const { shares } = setup.budget;
    const signs = variant !== "noise" && variant !== "near, fresh FC";
    const forgeries: ForgedClaim[] = [];
    const record = await trainPassports(setup.target, {
      ...training(setup),
      variant,
      shares,
      onForged: async ({ share, credential }) => {
        // One forged claim a variant: that whose bits are wanted as unlike the owner's as coins.
        if (signs && share !== 0.5) return;
        forgeries.push(
          await tryForged(setup.target, credential, {
            method: `trained passports, ${variant}`,
            knowledge: ["the deployed network", "the owner's credential", "labelled images"],
            budget: {
              ...(signs && { share }),
              epochs: setup.budget.epochs,
              images: Math.min(setup.budget.images, setup.task.train.length),
            },
          }),
        );
      },
    });
    return { records: [record], forgeries };
  },
  ...(variant.includes("fresh FC") && {
    unless: (s) => !solvable(s.target.credential).plan.fc && "the network has no FC",
  }),
});

/** Every attack of the runner by name. */
export const ATTACKS = {
  "random-passports": {
    about: "passports drawn at random (fake 1)",
    run: ({ target, budget, options }) => one(randomPassports(target, { ...options, draws: budget.draws })),
  },
  "flip-signs": { about: "shares of the signs of γ turned, by layers", run: flipByLayers },
  prune: {
    about: "small weights set to 0",
    run: ({ target, budget, options }) => one(prune(target, { ...options, shares: budget.pruneShares })),
  },
  quantise: { about: "weights rounded to 8 and 4 bits", run: ({ target, options }) => one(quantise(target, options)) },
  "fine-tune": {
    about: "trained on for other tasks",
    run: async (s) => ({ records: await fineTuneAll(s.target, s) }),
    reads: ({ task }) => namesOfOthers(task),
    unless: async (s) => !(await s.task.others()).length && "there is no other task to train it on for",
  },
  "train-on": {
    about: "trained on for the owner's task, at rising rates",
    run: async (s) => {
      const records: AttackRecord[] = [];
      for (const lr of [0.001, 0.01, 0.05])
        records.push(await fineTune(s.target, { ...training(s), mode: "ftal", lr }));
      return { records };
    },
  },
  distil: {
    about: "a fresh network learns its answers",
    run: (s) => one(distil(s.target, training(s))),
  },
  "unlearn-triggers": {
    about: "inputs like the bound triggers answered with one class",
    run: (s) => one(unlearnTriggers(s.target, training(s))),
    unless: (s) => !s.target.triggers && "the network has no triggers",
  },
  overwrite: {
    about: "another signature trained in",
    run: (s) => one(overwrite(s.target, { ...training(s), lr: 0.01 })),
  },
  disguise: {
    about: "channels shuffled, scaled, negated; and put back",
    run: ({ target, options }) => one(disguises(target, options)),
  },
  "train-scales": {
    about: "γ and β trained without passports (fake 2)",
    run: (s) => one(trainScales(s.target, { ...training(s), shares: s.budget.shares })),
  },
  "train-passports": passports("near", "passports trained beside the owner's (fake 3)"),
  "train-passports-other": passports("other", "passports trained from other random ones (attack 1)"),
  "train-passports-noise": passports("noise", "passports trained from noise (PAN attack I)"),
  "train-passports-fc": passports("near, fresh FC", "passports and a new FC trained (PAN attack II)"),
  "train-passports-fc-signs": passports("near, fresh FC, signs", "the same with a signature of the forger's"),
  "individual-blocks": {
    about: "expanded residual blocks, one a channel (IERB)",
    run: (s) => one(replaceScales(s.target, { ...training(s), kind: "individual" })),
  },
  "collective-blocks": {
    about: "expanded residual blocks, one a layer (CERB)",
    run: (s) => one(replaceScales(s.target, { ...training(s), kind: "collective" })),
  },
  solve: {
    about: "a whole credential computed from the weights",
    run: async (s) => ({ forgeries: [await solve(s.target)] }),
    unless: (s) => unsolvable(s.target.credential),
  },
  "bound-claims": {
    about: "bound claims planted into a copy that computes the same",
    run: ({ target, options }) => plant(target, options),
  },
  nulls: {
    about: "how many bits strangers' credentials match, and strangers' networks",
    run: async ({ target: { deployed, credential }, strangers, budget, options: { seed = 0 } }) => {
      const draws = budget.strangers;
      const nulls = [
        await nullOfCredentials(deployed, credential, { draws, seed }),
        await nullOfCredentials(deployed, credential, { draws, seed, bits: "owner" }),
      ];
      if (strangers.length > 1) nulls.push(await nullOfNetworks(deployed, credential, strangers));
      return { nulls };
    },
    reads: ({ strangers }) => ({ strangers: strangers.map(digestOf) }),
  },
} satisfies Record<string, Attack>;

export type AttackName = keyof typeof ATTACKS;
