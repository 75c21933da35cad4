/** Networks that run on this package's device, for `verify` and `judge`. */
import type { TrainingSet } from "../../data/sample-set";
import type { SampleTransform } from "../../data/samples";
import { StateDictError } from "../../errors";
import type { SafetensorsFile } from "../../io/safetensors";
import type { CredentialInfo } from "../../models/credential";
import type { Network } from "../../passport/trace";
import { predict } from "../../train/predict";
import { triggerSet, triggerTransform } from "../claim/trigger-set";
import { assigned } from "../relation/assignment";
import { type SuspectWeights, weightsOf } from "../suspect/suspect-weights";
import { type ExamineOptions, examine } from "./examine";
import type { Answered, Asked, Runner } from "./runner";
import { running } from "./suspect-network";

/** What a runner is given: a network or what makes one, and samples. */
export type RunnerOptions = {
  readonly [K in "model" | "test" | "transform" | "tolerance" | "falsePositiveRate"]?: ExamineOptions[K] | undefined;
};

/** Runs networks of this package, and any that is given. */
export function deviceRunner(options: RunnerOptions): Runner {
  const { model, test, transform = [] } = options;
  const given = Object.fromEntries(Object.entries(options).filter(([, v]) => v !== undefined));
  return {
    takesAny: model !== undefined,
    answers: (file, asked) => rightAnswers(file, asked, { model, test, transform }),
    examine: (suspect, owner) => examine(suspect, owner, given),
  };
}

type Given = { model: RunnerOptions["model"]; test: TrainingSet | undefined; transform: readonly SampleTransform[] };

/** How triggers are answered; null where nothing can be asked. */
async function rightAnswers(
  file: SafetensorsFile,
  { read, claim, released, notes }: Asked,
  given: Given,
): Promise<Answered | null> {
  const { info, derived } = claim;
  const triggers = derived.spec.triggers!;
  const clean = released && (await cleanAnswers(released.file, info, given));
  const runs = await asRun(file, read, info, given.model);
  notes.push(...runs.reasons);
  if (!runs.network) return null;
  try {
    const { network } = runs;
    const transform = triggerTransform(triggers);
    const found = clean && (await classesOf(network, clean, triggers.classes.length));
    let right = 0;
    for (const { inputs, labels } of derived.groups) {
      const answers = await predict(network, triggerSet(triggers, inputs, labels), { transform });
      right += answers.filter((answer, i) => (found?.classes[answer] ?? answer) === labels[i]).length;
    }
    return { right, ways: found?.ways ?? 0 };
  } finally {
    runs.end();
  }
}

/** What answers: a network with the file's weights, as it was given away. */
async function asRun(
  file: SafetensorsFile,
  read: SuspectWeights | null,
  info: CredentialInfo,
  model: Network | (() => Network) | undefined,
): Promise<{ network: Network | null; reasons: string[]; end: () => void }> {
  if (!read) {
    const network = typeof model === "function" ? model() : model!;
    const kept = network === model ? await network.stateDict() : null;
    const end = () => (kept ? void network.loadStateDict(kept) : network.dispose());
    try {
      network.loadStateDict(file.tensors);
    } catch (cause) {
      end();
      if (!(cause instanceof StateDictError)) throw cause;
      return { network: null, reasons: [`the triggers were not asked: ${cause.message}`], end: () => {} };
    }
    return { network, reasons: [], end };
  }
  const { joined, reasons, end } = await running("verify", read, file, info, model);
  if (!joined) return { network: null, reasons, end };
  const { idle, otherClasses, isFolded } = joined;
  if (idle !== undefined || otherClasses === null) {
    end();
    const why = idle ?? "the network has no classifier";
    return { network: null, reasons: [...reasons, `the triggers were not asked: ${why}`], end: () => {} };
  }
  return { network: isFolded ? joined.model.network : joined.model, reasons, end };
}

/** Clean samples, and the class that the committed network gives each. */
interface CleanAnswers {
  readonly set: TrainingSet;
  readonly answers: Int32Array;
  readonly transform: readonly SampleTransform[];
}

/** How the committed network answers clean samples; null where there are none, or it cannot run. */
async function cleanAnswers(
  file: SafetensorsFile,
  info: CredentialInfo,
  { model, test, transform }: Given,
): Promise<CleanAnswers | null> {
  if (!test) return null;
  const runs = await asRun(file, weightsOf(file, info, []), info, model);
  if (!runs.network) return null;
  try {
    return { set: test, answers: await predict(runs.network, test, { transform }), transform };
  } finally {
    runs.end();
  }
}

/** Which class of the claim each output is, and in how many ways that could have been. */
interface Classes {
  readonly classes: Int32Array;
  /** As a logarithm to base 2. */
  readonly ways: number;
}

/** Share of the rate that all orders of outputs have together which are not the claim's own. */
const OTHER_ORDERS = 2 ** -20;

/**
 * Which class of the claim each output of a network is, from how it answers clean samples, never
 * from triggers: outputs in another order keep nothing from being found. But whoever made the
 * committed file could give it that order, which fits labels best: every other order than the
 * claim's own is one of k!, all of which share a part of the rate.
 */
async function classesOf(
  network: Network,
  { set, answers, transform }: CleanAnswers,
  classes: number,
): Promise<Classes> {
  const theirs = await predict(network, set, { transform });
  const greatest = (of: Int32Array) => of.reduce((most, answer) => Math.max(most, answer), 0);
  const outputs = Math.max(classes, 1 + greatest(theirs), 1 + greatest(answers));
  const together = new Float64Array(outputs * outputs);
  theirs.forEach((answer, i) => {
    together[answer * outputs + answers[i]!]! += 1;
  });
  // Where nothing tells them apart, each output stays what it is.
  for (let c = 0; c < outputs; c++) together[c * outputs + c]! += 0.5;
  const found = assigned(together, outputs, outputs);
  if (found.every((c, output) => c === output)) return { classes: found, ways: -Math.log2(1 - OTHER_ORDERS) };
  let ways = -Math.log2(OTHER_ORDERS);
  for (let c = 0; c < classes; c++) ways += Math.log2(outputs - c);
  return { classes: found, ways };
}
