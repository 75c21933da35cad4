/** A run on disk: what its checkpoints hold, and whether one belongs to it. */
import { CheckpointFormatError, NanLossError, StateDictError } from "../errors";
import type { Optimizer } from "../optim/optimizer";
import type { Protected } from "../passport/protected";
import { type CheckpointStore, decodeCheckpoint, encodeCheckpoint, fingerprintDifference } from "./checkpoint";
import { type History, replaceHistory } from "./history";
import type { FullOptions } from "./options";

/** Where a run stands: its next step. */
export interface Position {
  epoch: number;
  batch: number;
}

/** All that a run's steps depend on. */
export interface Run {
  readonly model: Protected;
  readonly optimizer: Optimizer;
  readonly history: History;
  readonly options: FullOptions;
  /** Of the training set. */
  readonly samples: number;
  readonly triggers: { readonly batchSize: number } | null;
}

/** What must be equal for a checkpoint to belong to this run. */
function fingerprintOf({ model, optimizer, options, samples, triggers: joining }: Run): string {
  const { batchSize, seed, mode, triggers, signLoss, trunkUpdates, regularizer, accumulate, batchTransform, task } =
    options;
  return JSON.stringify({
    network: model.fingerprint(),
    batchSize,
    seed,
    mode,
    signLoss,
    trunkUpdates,
    images: samples,
    triggers: triggers?.set.length ?? 0,
    triggerBatch: joining?.batchSize ?? 0,
    ...(triggers?.margin !== undefined && { triggerMargin: triggers.margin }),
    ...(triggers?.perturbation && { triggerPerturbation: triggers.perturbation }),
    ...(triggers?.statistics === "clean" && { triggerStatistics: "clean" }),
    optimizer: optimizer.name,
    lr: optimizer.lr,
    hyper: optimizer.settings,
    average: optimizer.averaging,
    // A function cannot be compared, only whether there is one.
    ...(regularizer && { regularizer: true }),
    ...(batchTransform && { batchTransform: true }),
    ...(!task.classLoss && { loss: true }),
    ...(task.labelSmoothing && { labelSmoothing: task.labelSmoothing }),
    // `best` and `earlyStop` compare epochs by the first.
    ...(!task.classMeasure && { metrics: task.measures.map(({ name }) => name) }),
    // Only where there are parts: checkpoints from before there could be any stay valid.
    ...(accumulate !== 1 && { accumulate }),
    ...(options.clipNorm !== undefined && { clipNorm: options.clipNorm }),
  });
}

/** A fingerprint without what earlier versions did not write into the one beside it. */
function likewise(saved: string, own: string): string {
  const there = Object.keys(JSON.parse(saved) as Record<string, unknown>);
  const known = Object.entries(JSON.parse(own) as Record<string, unknown>);
  const later = ["hyper", "average"];
  return JSON.stringify(Object.fromEntries(known.filter(([name]) => there.includes(name) || !later.includes(name))));
}

/**
 * Writes a checkpoint, where there is somewhere to keep one.
 * @throws NanLossError for weights that are no numbers; the last checkpoint is as it was.
 */
export async function saveRun(store: CheckpointStore | undefined, run: Run, position: Position): Promise<void> {
  if (!store) return;
  const [fingerprint, at] = [fingerprintOf(run), { ...position }];
  const [model, optimizer] = await Promise.all([run.model.stateDict(), run.optimizer.stateDict()]);
  // The last update can overflow after a loss that was still a number: such weights must not
  // replace good ones.
  for (const [name, { data }] of model) {
    if (!(data instanceof Float32Array) || data.every(Number.isFinite)) continue;
    throw new NanLossError(
      `${name} is no longer made of numbers after epoch ${at.epoch}, batch ${at.batch}: lower the learning rate or clip gradients; the last checkpoint is as it was`,
    );
  }
  await store.save(await encodeCheckpoint({ fingerprint, ...at, history: run.history, model, optimizer }));
}

/**
 * Puts a run where its checkpoint ends; null where there is none.
 * @throws CheckpointFormatError when the checkpoint is damaged or of another run.
 */
export async function restoreRun(store: CheckpointStore | undefined, run: Run): Promise<Position | null> {
  const bytes = await store?.load();
  if (!bytes) return null;
  const saved = await decodeCheckpoint(bytes);
  const fingerprint = likewise(saved.fingerprint, fingerprintOf(run));
  if (saved.fingerprint !== fingerprint) {
    const difference = fingerprintDifference(saved.fingerprint, fingerprint);
    throw new CheckpointFormatError(
      `the checkpoint belongs to another run: ${difference}. Start anew, or use the settings it was made with`,
    );
  }
  if (saved.unverified)
    console.warn(
      "resumed from a checkpoint without a digest, made by an earlier version: damage to it would not have been noticed; the next save has one",
    );
  try {
    // Before anything is changed: half of a checkpoint is none.
    run.optimizer.checkState(saved.optimizer);
    run.model.loadStateDict(saved.model);
  } catch (cause) {
    if (!(cause instanceof StateDictError)) throw cause;
    throw new CheckpointFormatError(`the checkpoint belongs to another run: ${cause.message}`, { cause });
  }
  run.optimizer.loadStateDict(saved.optimizer);
  replaceHistory(run.history, saved.history);
  return { epoch: saved.epoch, batch: saved.batch };
}
