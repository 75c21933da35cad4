/**
 * A training run and the claim that follows it: train, save both halves, verify as a stranger
 * would, try forgeries, write everything down.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ArgumentError, type Device } from "@pan/core";
import type { FeatureWatermark } from "@pan/core/attacks";
import { isPointSet, type SampleSet, type SampleTransform, type TrainingSet } from "@pan/core/data";
import { fileCheckpoints, loadSafetensors } from "@pan/core/node";
import type { Optimizer, Schedule } from "@pan/core/optim";
import { boundTriggers, type DerivedClaim, type Examination, examine, triggersLike } from "@pan/core/ownership";
import type { Protected } from "@pan/core/passport";
import { bestEpoch, epochsCsv, stepsCsv, Trainer, type TrainingMode } from "@pan/core/train";
import {
  type CloudSample,
  formatPValue,
  PRIVATE_NOTICE,
  renderTraining,
  type TrainingReport,
  verdictOf,
} from "../report/src/index";
import {
  aboutFiles,
  accuracies,
  type BoundTriggers,
  bindNetwork,
  claimReport,
  type Dates,
  described,
  fewLooks,
  type Saved,
  saveClaim,
  verifyClaim,
} from "./claim";
import { RunClock } from "./clock";
import { json, savePrivate, saveText } from "./files";
import { TrainingBar } from "./progress";
import { forge, untilInterrupted } from "./run";
import { ScaleLog } from "./scales";
import { describeEpoch, printVerdict, say } from "./show";
import { triggersFrom } from "./trigger-photos";

/** Settings that runs of every kind have. */
export interface RunSettings {
  epochs: number;
  batchSize: number;
  /** Parts that a step takes its batch in, for batches that do not fit. */
  accumulate: number;
  /** ε of label smoothing. */
  labelSmoothing: number;
  /** Most joint norm of gradients; 0 for none. */
  clipNorm: number;
  /** Names of modules that are run again in the backward pass. */
  recompute: readonly string[];
  /** What activations wait in for the backward pass. */
  activations: "f32" | "f16";
  mode: TrainingMode;
  trunkUpdates: 1 | 2;
  /** Triggers that join each batch. */
  triggerBatch: number;
  /** How far the weights are moved against bound triggers, as a share of their norm. */
  triggerPerturbation: number;
  /**
   * Triggers of a bound network, that follow from its secret: how many in each of how many groups.
   */
  boundTriggers: BoundTriggers | null;
  /** A folder of photographs that those are chosen from; else they are drawn. */
  triggerPhotos?: string | undefined;
  /** End after so many epochs without a better accuracy; 0 never. */
  earlyStop: number;
  /** What the owner says of the network: binds passports and bits to a secret. */
  statement: string | undefined;
  dates: Dates;
  /** Random passports to try afterwards. */
  forgeries: number;
  seed: number;
  out: string;
  resume: boolean;
}

/** A data set and what was taken of it. */
export interface DataSource {
  name: "CIFAR-10" | "ModelNet40" | "photographs";
  /** Points a cloud. */
  points?: number;
  /** Classes that are learnt, where not all are. */
  classes?: readonly string[];
  /**
   * Test samples that the claimed accuracies were measured on, and the seed that drew them, where
   * they are not the first.
   */
  tests: { count: number; seed?: number };
  /** Triggers made of clouds of other classes, and the seed they were made with. */
  triggers?: { count: number; seed: number };
}

/** What is trained on what, and how. */
export interface Experiment {
  /** "alexnet, pan, CIFAR-10". */
  title: string;
  command: string;
  device: Device;
  arch: string;
  model: Protected;
  /**
   * What the images or clouds are, for whoever attacks or verifies the network later; goes to
   * data.json.
   */
  data: DataSource;
  train: TrainingSet;
  test: TrainingSet;
  /** Trained on too, and asked for afterwards. */
  triggers: SampleSet | null;
  transform: (use: "train" | "test") => readonly SampleTransform[];
  /** What images are normalised by there. */
  normalize?: { mean: readonly number[]; std: readonly number[] };
  /** Shape of what the network is given, where transforms make it of larger samples. */
  inputShape?: readonly number[];
  optimizer: Optimizer;
  schedule: Schedule;
  /** Where the passports come from. */
  passports: string;
  /** What the report shows of the settings. */
  shown: TrainingReport["settings"];
  settings: RunSettings;
  watermark?: FeatureWatermark | null;
  /** Triggers to draw in the report. */
  clouds?: CloudSample[];
}

/** Trains to the end, or to Ctrl-C. */
async function train(e: Experiment, claim: DerivedClaim | null, clock: RunClock): Promise<Trainer> {
  const { model, settings: s, watermark } = e;
  const bound = claim?.spec.triggers
    ? boundTriggers(claim, { batchSize: s.triggerBatch, perturbation: s.triggerPerturbation })
    : null;
  const triggers = bound ?? (e.triggers && { set: e.triggers, batchSize: s.triggerBatch });
  const bar = new TrainingBar(s.epochs, s.batchSize);
  const scales = new ScaleLog(model, s.out);
  await scales.start(s);
  const trainer = new Trainer(model, e.optimizer, {
    mode: s.mode,
    trunkUpdates: s.trunkUpdates,
    batchSize: s.batchSize,
    accumulate: s.accumulate,
    labelSmoothing: s.labelSmoothing,
    ...(s.clipNorm && { clipNorm: s.clipNorm }),
    recompute: s.recompute,
    activations: s.activations,
    seed: s.seed,
    transform: e.transform("train"),
    testTransform: e.transform("test"),
    schedule: e.schedule,
    ...(triggers && { triggers }),
    ...(watermark && { regularizer: (network) => watermark.loss(network) }),
    ...(s.earlyStop && { earlyStop: { patience: s.earlyStop } }),
    checkpoints: fileCheckpoints(join(s.out, "last.checkpoint")),
    best: fileCheckpoints(join(s.out, "best.checkpoint")),
    onProgress: (progress) => bar.update(progress),
    onEpoch: (record) => scales.epoch(record),
  });
  try {
    await untilInterrupted(trainer, async () => {
      for await (const epoch of trainer.fit(e.train, { epochs: s.epochs, test: e.test, resume: s.resume })) {
        clock.epoch(epoch);
        bar.line(describeEpoch(epoch));
        await saveHistory(trainer, s);
      }
    });
  } finally {
    bar.stop();
  }
  return trainer;
}

/** Binds the network to what its owner says of it; null where that is nothing. */
async function bindTo({ model, train, normalize, inputShape, settings: s }: Experiment) {
  if (s.statement === undefined) return null;
  const triggers = async () => {
    if (!s.boundTriggers) return null;
    const like = triggersLike(train, { ...s.boundTriggers, ...(normalize && { normalize }) });
    return triggersFrom(s.triggerPhotos, { ...like, ...(inputShape && { shape: inputShape }) });
  };
  return bindNetwork(model, { ...s, statement: s.statement, triggers });
}

async function saveHistory({ history }: Trainer, { out }: RunSettings): Promise<void> {
  await saveText(join(out, "history.json"), json(history));
  await saveText(join(out, "epochs.csv"), epochsCsv(history));
  await saveText(join(out, "steps.csv"), stepsCsv(history));
}

/**
 * Runs it all; the model is disposed at the end. An interrupted run says how to go on, and leaves
 * exit code 130.
 */
export async function runExperiment(e: Experiment): Promise<void> {
  const { model, settings: s, test, triggers, watermark } = e;
  if (e.train.length < s.batchSize)
    throw new ArgumentError(
      `--batch: at most the ${e.train.length} training samples expected, found ${s.batchSize}: batches are whole`,
    );
  await mkdir(s.out, { recursive: true });
  const clock = await RunClock.start(s.out, s);
  await saveText(join(s.out, "data.json"), json(e.data));
  const bound = await bindTo(e);
  const parameters = model.parameterCount();
  const passportLayers = model.passportSites().map((l) => l.name);
  const { scheme } = model;
  const classes = model.classes ?? test.classes.length;
  say(`network    ${e.arch}, ${scheme}, ${parameters.toLocaleString("en")} parameters; passports: ${e.passports}`);
  const steps = s.epochs * Math.floor(e.train.length / s.batchSize);
  const few = bound && s.boundTriggers && fewLooks(s.boundTriggers, { steps, triggerBatch: s.triggerBatch });
  if (few) say(`triggers   ${few}`);
  const trainer = await train(e, bound?.claim ?? null, clock);
  if (trainer.interrupted) {
    const again = `${e.command.replace(/ --resume\b/, "")} --resume`;
    say(`\nstopped; everything so far is in ${join(s.out, "last.checkpoint")}. Go on with:\n  ${again}`);
    process.exitCode = 130;
    return;
  }
  const last = trainer.history.epochs[trainer.history.epochs.length - 1]!;
  const saved = await saveClaim(model, accuracies(last), s.out, bound?.binding ?? null);
  aboutFiles(saved, s.out).forEach((line, i) => void say(`${i ? "          " : "saved     "} ${line}`));
  if (watermark) {
    const { matched, bits, pValue } = await watermark.read(model);
    say(`  feature watermark  ${matched} of ${bits} bits, p = ${formatPValue(pValue)}`);
  }
  model.dispose();
  const transform = e.transform("test");
  const { deployed, credential } = saved;
  const options = { test, transform };
  const verified = credential ? await verifyClaim({ ...saved, credential }, s.dates, options) : null;
  const asked =
    credential && triggers
      ? await examine(await loadSafetensors(deployed), await loadSafetensors(credential), { triggers, transform })
      : null;
  const forged = credential ? await forge({ deployed, credential }, options, s) : [];
  if (verified) printVerdict(verified, { dates: s.dates, triggers: asked?.triggers ?? null, forged });
  const best = bestEpoch(trainer.history);
  const report: TrainingReport = {
    ...(verified && { notice: PRIVATE_NOTICE }),
    title: e.title,
    command: e.command,
    adapter: { kind: e.device.caps.adapter, name: e.device.name },
    startedAt: clock.startedAt,
    seconds: clock.seconds(trainer.history.epochs),
    network: { arch: e.arch, scheme, parameters, passportLayers },
    data: {
      train: e.train.length,
      test: test.length,
      triggers: s.boundTriggers ? s.boundTriggers.count * s.boundTriggers.groups : (triggers?.length ?? 0),
      ...(isPointSet(test) && { samples: "shapes" as const }),
    },
    ...(e.clouds && { clouds: e.clouds }),
    settings: e.shown,
    ...trainer.history,
    best: best ? { epoch: best.epoch, accuracy: accuracies(best) } : null,
    chance: 1 / classes,
    signature: verified && signatureOf(verified.examination!),
    triggers: asked?.triggers ?? null,
    forged: forged.map(({ accuracy, matched }) => ({ accuracy, matched })),
    verdict: verified && verdictOf(verified, s.dates.published),
    files: await describeFiles(saved, s),
  };
  await savePrivate(join(s.out, "report.json"), json(report));
  await savePrivate(join(s.out, "report.html"), renderTraining(report));
  say(`report     ${join(s.out, "report.html")}  (${Math.round(report.seconds)} s in all)`);
}

function signatureOf(v: Examination): NonNullable<TrainingReport["signature"]> {
  const { claimedText, decodedText, bits, matched, pValue, threshold } = v;
  const layers = v.layers.map((l) => ({ name: l.name, bits: l.bits, matched: l.matched }));
  return { text: claimedText, decodedText, bits, matched, pValue, threshold, layers };
}

async function describeFiles(saved: Saved, { out }: RunSettings): Promise<TrainingReport["files"]> {
  const secret = saved.credential !== null;
  return [
    ...(await claimReport(saved, out)),
    await described(join(out, "last.checkpoint"), "Everything a further epoch needs.", { secret }),
    await described(join(out, "best.checkpoint"), "The same after the best epoch.", { secret }),
    await described(join(out, "epochs.csv"), "Accuracies and bits by epoch."),
    await described(join(out, "steps.csv"), "Losses by step."),
  ];
}
