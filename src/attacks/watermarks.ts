import { checkBytes, checkedParts, type ImageSet } from "../data/sample-set";
import { isTransforms } from "../data/transform-kinds";
import type { ImageTransform } from "../data/transforms";
import { callable, instance, objectOf, optionsOf, refuse, text, whole } from "../demand";
import { ArgumentError } from "../errors";
import type { SafetensorsFile } from "../io/safetensors";
import { checkFile } from "../passport/files";
import type { Network } from "../passport/trace";
import { Generator } from "../tensor/random";
import { evaluate } from "../train/evaluate";
import { FeatureWatermark } from "../watermarks/feature";
import { detectTriggers } from "../watermarks/trigger-set";
import { trainingOptions } from "./checked";
import { fineTune } from "./fine-tune";
import { type ForgeTriggersOptions, forgeTriggers } from "./forge-triggers";
import { type ForgeWatermarkOptions, forgeWatermark } from "./forge-watermark";
import { type TrainingBudget, underHeadOf } from "./training";
import { victim } from "./victim";
import type { WatermarkDetection, WatermarkRecord } from "./watermark-record";

/** A plain network that was trained with one of the older methods. */
export interface MarkedNetwork {
  deployed: SafetensorsFile;
  /** What it was trained on, such as "CIFAR-10". */
  task: string;
  test: ImageSet;
  /** What is done to test images, of every task. */
  transform?: readonly ImageTransform[];
  /** Makes the network, where it is none of this package. */
  model?: () => Network;
}

/**
 * Another task that somebody fine-tunes the network to: the last layer anew, all layers trained.
 */
export interface TransferTask extends Omit<TrainingBudget, "seed" | "onStep" | "onAttacked"> {
  task: string;
  test: ImageSet;
}

/** What both attacks take. */
export interface WatermarkAttackOptions {
  /** Tasks to fine-tune to, each from the network as it was trained (default none). */
  tasks?: readonly TransferTask[];
  /** Decides all random choices (default 0). */
  seed?: number;
  /** Called with what was found on the network as trained, then task by task. */
  onStep?: (found: WatermarkRecord["fineTuned"][number], done: number, of: number) => unknown;
}

/**
 * Table 2 of DeepIPR for the feature watermark: the forger makes an X' for as many random bits of
 * the same layer, and both watermarks are read from the network as it was trained and after
 * fine-tuning.
 * Source: Fan et al., "DeepIPR", TPAMI 2021, section 3.2.1.
 * @throws ArgumentError as {@link forgeWatermark}, and for tasks whose test images are of other
 * classes or whose epochs are none; StateDictError when the watermark is of another network.
 */
export async function attackFeatureWatermark(
  network: MarkedNetwork,
  watermark: FeatureWatermark,
  options?: WatermarkAttackOptions & { forging?: Omit<ForgeWatermarkOptions, "layer" | "bits" | "seed"> },
): Promise<WatermarkRecord> {
  const what = "attackFeatureWatermark";
  checkNetwork(what, network);
  instance(what, "watermark", watermark, FeatureWatermark);
  const given = optionsOf(what, options, [...OPTIONS, "forging"]);
  const forging = optionsOf(`${what}'s forging`, given.forging, ["steps", "lr"]);
  checkOptions(what, given);
  const { seed = 0 } = given;
  const owners = await watermark.read(network.deployed.tensors);
  const { layer } = watermark;
  const forged = await forgeWatermark(network.deployed, { ...forging, layer, bits: owners.bits, seed });
  const share = async (mark: FeatureWatermark, { tensors }: SafetensorsFile) => {
    const { matched, bits } = await mark.read(tensors);
    return matched / bits;
  };
  const found = await detections(network, given, async (file) => ({
    real: await share(watermark, file),
    forged: await share(forged.watermark, file),
  }));
  const own = { method: "feature watermark", count: owners.bits, task: network.task, seed } as const;
  return { ...own, ...found, ...compared({ owners, forged }), values: samples(watermark.x, forged.watermark.x, seed) };
}

/**
 * Table 2 of DeepIPR for the trigger set: the forger makes as many triggers from images of its own,
 * and the network is asked for both sets, as it was trained and after fine-tuning. A network
 * fine-tuned to other classes cannot answer with the triggers' labels: the owner's classifier is
 * put back over its body.
 * Source: Fan et al., "DeepIPR", TPAMI 2021, section 3.2.2.
 * @throws ArgumentError as {@link forgeTriggers}, and for tasks whose test images are of other
 * classes or whose epochs are none.
 */
export async function attackTriggerSet(
  network: MarkedNetwork,
  triggers: ImageSet,
  options: WatermarkAttackOptions & { forging: Omit<ForgeTriggersOptions, "transform" | "count" | "seed" | "model"> },
): Promise<WatermarkRecord> {
  const what = "attackTriggerSet";
  checkBytes(what, triggers);
  checkNetwork(what, network);
  const given = optionsOf(what, options, [...OPTIONS, "forging"]);
  const forging = optionsOf(`${what}'s forging`, given.forging, ["base", "eta", "steps", "lr", "batchSize"]);
  checkOptions(what, given);
  const { deployed, transform = [], model } = network;
  const { seed = 0 } = given;
  const detect = async (file: SafetensorsFile, set: ImageSet) => {
    const asked = victim({ ...network, deployed: file });
    return detectTriggers(asked, set, { transform }).finally(() => asked.dispose());
  };
  const owners = await detect(deployed, triggers);
  const forged = await forgeTriggers(deployed, {
    ...forging,
    transform,
    count: triggers.length,
    seed,
    ...(model && { model }),
  });
  const found = await detections(network, given, async (file, { classes }) => {
    const asked = sameClasses(classes, network.test.classes) ? file : underHeadOf(network, file);
    const hits = async (set: ImageSet) => (await detect(asked, set)).hits / set.length;
    return { real: await hits(triggers), forged: await hits(forged.triggers) };
  });
  const own = { method: "trigger set", count: triggers.length, task: network.task, seed } as const;
  const values = samples(triggers.images, forged.triggers.images, seed);
  return { ...own, ...found, ...compared({ owners, forged }), values };
}

/** What the forger needed, and how likely guessing finds either mark. */
const compared = ({
  owners,
  forged,
}: {
  owners: { pValue: number };
  forged: { pValue: number; steps: number; seconds: number };
}): Pick<WatermarkRecord, "forging" | "pValue"> => ({
  forging: { steps: forged.steps, seconds: forged.seconds },
  pValue: { real: owners.pValue, forged: forged.pValue },
});

type Detect = (file: SafetensorsFile, images: ImageSet) => Promise<Omit<WatermarkDetection, "accuracy">>;

/** Both watermarks on the network as trained, then after each task. */
async function detections(
  network: MarkedNetwork,
  { tasks = [], seed = 0, onStep }: WatermarkAttackOptions,
  detect: Detect,
): Promise<Pick<WatermarkRecord, "trained" | "fineTuned">> {
  const at = async (file: SafetensorsFile, test: ImageSet): Promise<WatermarkDetection> => {
    const asked = victim({ ...network, deployed: file });
    const accuracy = await evaluate(asked, test, { transform: network.transform }).finally(() => asked.dispose());
    return { accuracy: accuracy.public!, ...(await detect(file, test)) };
  };
  const trained = await at(network.deployed, network.test);
  await onStep?.({ task: network.task, ...trained }, 1, tasks.length + 1);
  const fineTuned: WatermarkRecord["fineTuned"] = [];
  for (const task of tasks) {
    const found = { task: task.task, ...(await at(await transferred(network, task, seed), task.test)) };
    fineTuned.push(found);
    await onStep?.(found, fineTuned.length + 1, tasks.length + 1);
  }
  return { trained, fineTuned };
}

/** The network fine-tuned to another task (RTAL). */
async function transferred(network: MarkedNetwork, task: TransferTask, seed: number): Promise<SafetensorsFile> {
  let last = network.deployed;
  await fineTune(network, { ...task, seed, onAttacked: (attacked) => (last = attacked) });
  return last;
}

const sameClasses = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, i) => name === b[i]);

function checkNetwork(attack: string, network: MarkedNetwork): void {
  const { deployed, task, test, transform, model } = objectOf(attack, "a network { deployed, task, test }", network);
  checkFile(deployed, `${attack}: network.deployed`);
  text(attack, "network.task", task);
  checkedParts(`${attack}: network.test`, test);
  if (transform !== undefined) isTransforms(attack, "network.transform", transform);
  if (model !== undefined) callable(attack, "network.model", model);
}

const OPTIONS = ["tasks", "seed", "onStep"] as const;

function checkOptions(attack: string, { tasks = [], seed = 0, onStep }: WatermarkAttackOptions): void {
  whole(attack, "seed", seed, 0);
  if (onStep !== undefined) callable(attack, "onStep", onStep);
  if (!Array.isArray(tasks)) refuse(attack, "tasks", "a list of tasks", tasks);
  for (const task of tasks) {
    objectOf(attack, "tasks { task, train, test, epochs }", task);
    trainingOptions(`fine-tuning to ${text(attack, "task of tasks", task.task)}`, task);
    checkedParts(`${attack}: test of a task`, task.test);
    if (!sameClasses(task.train.classes, task.test.classes))
      throw new ArgumentError(
        `fine-tuning to ${task.task}: training and test images of the same classes expected, found ${task.train.classes.length} and ${task.test.classes.length}`,
      );
  }
}

/**
 * Values whose distributions are compared: as many as there are, or a random sample of this size.
 */
const SAMPLE = 2000;

function samples(real: ArrayLike<number>, forged: ArrayLike<number>, seed: number): WatermarkRecord["values"] {
  const sample = (values: ArrayLike<number>) => {
    const random = new Generator(seed).fork("sample");
    return values.length <= SAMPLE
      ? Array.from(values)
      : Array.from({ length: SAMPLE }, () => values[random.integer(values.length)]!);
  };
  return { real: sample(real), forged: sample(forged) };
}
