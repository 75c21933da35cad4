import { refuse } from "../demand";
import { isObject } from "../io/shown";
import { BRANCHES, type BranchAccuracy } from "../passport/branches";

/** Mean losses over a stretch of training steps; 0 for a branch that did not run. */
export interface StepRecord {
  /** Number of the stretch's last step, from 1. */
  step: number;
  /** Sum of those below. */
  loss: number;
  /** Cross-entropy, or a loss of one's own, and what the network itself adds to a branch's loss. */
  publicLoss: number;
  privateLoss: number;
  /** Of a network that works with its passports only. */
  passportLoss: number;
  signLoss: number;
  /** Of the trainer's `regularizer`, where there is one. */
  regularizerLoss?: number;
}

/**
 * What one epoch came to, with the test accuracy of each branch, where there are test samples. Of a
 * trainer with metrics of its own, `public`, `private` and `passport` are values of the first of
 * them, as those of `triggers` are; with a loss of its own and no metrics, only `metrics` has
 * values.
 */
export interface EpochRecord extends BranchAccuracy {
  /** From 1. */
  epoch: number;
  /** Mean training loss; in alternating mode that of the branches together, stretch by stretch. */
  loss: number;
  /**
   * By name, what each branch came to in the test: metrics of one's own, or, without any, a loss of
   * one's own. Not there where samples are classified.
   */
  metrics?: Record<string, BranchAccuracy>;
  /** Share of trigger images that each branch classifies as assigned, where there are some. */
  triggers?: BranchAccuracy;
  /** Signature bits that the signs of γ match, of how many. */
  bitsMatched: number;
  bits: number;
  seconds: number;
}

/** A run so far: losses by stretches of steps, findings by epochs. JSON-able. */
export interface History {
  steps: StepRecord[];
  epochs: EpochRecord[];
}

/**
 * Puts other records in the place of a history's own; the lists stay the same objects. One by one:
 * a call takes only so many arguments.
 */
export function replaceHistory(history: History, { steps, epochs }: History): void {
  history.steps.length = 0;
  history.epochs.length = 0;
  for (const step of steps) history.steps.push(step);
  for (const epoch of epochs) history.epochs.push(epoch);
}

/**
 * Mean loss of the steps behind `first`, `count` of them. Stretches differ in length: the last of
 * an epoch is what is left, and a stop cuts one short.
 */
export function meanLoss({ steps }: History, first: number, count: number): number {
  const recent = steps.filter((s) => s.step > first);
  return recent.reduce((sum, s, i) => sum + s.loss * (s.step - (recent[i - 1]?.step ?? first)), 0) / count;
}

/** Mean test accuracy, or first metric, of an epoch's branches; undefined without test samples. */
export function meanAccuracy(record: BranchAccuracy): number | undefined {
  const values = BRANCHES.flatMap((b) => record[b] ?? []);
  return values.length ? values.reduce((a, b) => a + b) / values.length : undefined;
}

/** Records of a history. @throws ArgumentError for what is none. */
function recordsOf<K extends keyof History>(what: string, kind: K, history: History): History[K] {
  const records: unknown = (history as Partial<History> | null | undefined)?.[kind];
  if (Array.isArray(records) && records.every(isObject)) return records as unknown[] as History[K];
  return refuse(what, "its argument", "a history { steps, epochs }, such as a trainer's", history);
}

/**
 * The epoch of the highest mean test accuracy, or first metric, the first of equals; undefined
 * without test samples.
 * @throws ArgumentError for what is no history.
 */
export function bestEpoch(history: History): EpochRecord | undefined {
  const epochs = recordsOf("bestEpoch", "epochs", history);
  let best: EpochRecord | undefined;
  for (const e of epochs) {
    const mean = meanAccuracy(e);
    if (mean !== undefined && (!best || mean > meanAccuracy(best)!)) best = e;
  }
  return best;
}

const csv = (header: readonly string[], rows: (number | undefined)[][]): string =>
  [header.join(","), ...rows.map((r) => r.map((v) => v ?? "").join(",")), ""].join("\n");

/** Losses as CSV, a row a stretch of steps; a column for the regularizer where there was one. */
export function stepsCsv(history: History): string {
  const steps = recordsOf("stepsCsv", "steps", history);
  const always = ["step", "loss", "publicLoss", "privateLoss", "passportLoss", "signLoss"] as const;
  const regularized = steps.some((s) => s.regularizerLoss !== undefined);
  const columns = [...always, ...(regularized ? (["regularizerLoss"] as const) : [])];
  return csv(
    columns,
    steps.map((s) => columns.map((c) => s[c])),
  );
}

/** Epochs as CSV, a row each; empty where a branch, metric or trigger set is not there. */
export function epochsCsv(history: History): string {
  const epochs = recordsOf("epochsCsv", "epochs", history);
  const names = [...new Set(epochs.flatMap((e) => Object.keys(e.metrics ?? {})))];
  const measured = names
    .flatMap((name) => BRANCHES.map((branch) => [name, branch] as const))
    .filter(([name, branch]) => epochs.some((e) => e.metrics?.[name]?.[branch] !== undefined));
  const header = ["epoch", "loss", ...BRANCHES, ...BRANCHES.map((b) => `triggers.${b}`), "bitsMatched", "bits"];
  return csv(
    [...header, "seconds", ...measured.map((at) => `metrics.${at.join(".")}`)],
    epochs.map((e) => [
      e.epoch,
      e.loss,
      ...BRANCHES.map((b) => e[b]),
      ...BRANCHES.map((b) => e.triggers?.[b]),
      e.bitsMatched,
      e.bits,
      e.seconds,
      ...measured.map(([name, branch]) => e.metrics?.[name]?.[branch]),
    ]),
  );
}
