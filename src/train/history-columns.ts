/**
 * A history as tensors: a column of numbers for each field of its records, `F64`, as exact as
 * JavaScript's own numbers; of metrics a column for each name and branch. A run of a million
 * readings is then at most 48 MB of data, and not a header that no reader takes. NaN stands for a
 * field that a record does not have; columns in which every record has 0, or none has anything, are
 * left out, and so is a step's `loss` where it is the sum of its parts. Whatever is checked is
 * checked column by column, both ways.
 */

import { ArgumentError, FormatError, type PanError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import { clip, isPlain, shown } from "../io/shown";
import { BRANCHES, type Branch, type BranchAccuracy } from "../passport/branches";
import type { EpochRecord, History, StepRecord } from "./history";
import { isMetricName } from "./task";

type Kind = "steps" | "epochs";
type Make = (message: string) => PanError;
type Columns = Map<string, Float64Array<ArrayBuffer>>;
type Range = keyof typeof RANGES;

const RANGES = {
  finite: [Number.isFinite, "a finite number"],
  order: [(v: number) => Number.isSafeInteger(v) && v >= 1, "a whole number from 1"],
  count: [(v: number) => Number.isSafeInteger(v) && v >= 0, "a whole number from 0"],
  share: [(v: number) => v >= 0 && v <= 1, "a number from 0 to 1"],
  seconds: [(v: number) => v >= 0 && v < Infinity, "a finite number from 0"],
} as const;

/** A field of a record, and what it may be. */
interface Field {
  readonly name: string;
  readonly range: Range;
  readonly optional: boolean;
  readonly get: (record: never) => unknown;
}

const field = (name: string, range: Range, optional = false): Field => ({
  ...{ name, range, optional },
  get: (record: Record<string, unknown>) => record[name],
});
type Triggered = { triggers?: Record<string, unknown> };
type Measured = { metrics?: Record<string, Record<string, unknown>> };

/** The first field of a record is its number, which rises. */
const FIELDS: Record<Kind, readonly Field[]> = {
  steps: [
    field("step", "order"),
    ...["loss", "publicLoss", "privateLoss", "passportLoss", "signLoss"].map((name) => field(name, "finite")),
    field("regularizerLoss", "finite", true),
  ],
  epochs: [
    field("epoch", "order"),
    field("loss", "finite"),
    ...BRANCHES.map((branch) => field(branch, "share", true)),
    // Whether there were triggers, and what each branch made of them.
    { ...field("triggers", "count", true), get: ({ triggers }: Triggered) => (triggers === undefined ? undefined : 0) },
    ...BRANCHES.map((branch) => ({
      ...field(`triggers.${branch}`, "share", true),
      get: ({ triggers }: Triggered) => triggers?.[branch],
    })),
    // Whether there were metrics, which then stand for accuracies.
    { ...field("metrics", "count", true), get: ({ metrics }: Measured) => (metrics === undefined ? undefined : 0) },
    field("bitsMatched", "count"),
    field("bits", "count"),
    field("seconds", "seconds"),
  ],
};

const METRIC = /^metrics\.(.+)\.([^.]+)$/;

/** The name of a metric and the branch of a column; null of a column that is none of a metric's. */
function metricOf(column: string): { name: string; branch: Branch } | null {
  const [, name = "", branch = ""] = METRIC.exec(column) ?? [];
  return isMetricName(name) && BRANCHES.includes(branch as Branch) ? { name, branch: branch as Branch } : null;
}

/** All fields of records of a kind that have these metrics. */
const fieldsOf = (kind: Kind, metrics: Iterable<string>): readonly Field[] => [
  ...FIELDS[kind],
  ...[...metrics].flatMap((name) =>
    BRANCHES.map((branch) => ({
      ...field(`metrics.${name}.${branch}`, "finite", true),
      get: ({ metrics: own }: Measured) => (own && Object.hasOwn(own, name) ? own[name]![branch] : undefined),
    })),
  ),
];

/** Names of the metrics that columns are of. */
const metricsOf = (columns: Iterable<string>): Set<string> =>
  new Set([...columns].flatMap((column) => metricOf(column)?.name ?? []));

/** Fields of an object that are there. */
function countFields(record: object): number {
  let count = 0;
  for (const name in record) if ((record as Record<string, unknown>)[name] !== undefined) count++;
  return count;
}

/**
 * Every field of every record as a number; what a record has besides cannot be kept and is refused.
 */
function toColumns(records: unknown, kind: Kind, make: Make): Columns {
  if (!Array.isArray(records)) throw make(`history: a list of ${kind} expected, found ${shown(records)}`);
  const list = records as Record<string, unknown>[];
  const where = (row: number) => `history.${kind}[${row}]`;
  const foreign = new Uint16Array(list.length);
  const names = new Set<string>();
  for (let row = 0; row < list.length; row++) {
    const record: unknown = list[row];
    if (typeof record !== "object" || record === null)
      throw make(`${where(row)}: a record expected, found ${shown(record)}`);
    const { triggers } = record as { triggers?: unknown };
    if (triggers !== undefined && (typeof triggers !== "object" || triggers === null || kind === "steps"))
      throw make(`${where(row)}: triggers must be shares of an epoch, found ${shown(triggers)}`);
    const { metrics } = record as { metrics?: unknown };
    if (metrics !== undefined && (!isPlain(metrics) || kind === "steps"))
      throw make(`${where(row)}: metrics must be values by name and branch of an epoch, found ${shown(metrics)}`);
    let count = countFields(record) + (triggers === undefined ? 0 : countFields(triggers));
    for (const [name, values] of Object.entries(metrics ?? {})) {
      if (!isMetricName(name) || !isPlain(values) || countFields(values) === 0)
        throw make(`${where(row)}: metrics must be values by name and branch, found ${shown(values)} at ${clip(name)}`);
      names.add(name);
      count += countFields(values);
    }
    foreign[row] = Math.min(0xffff, count);
  }
  const columns: Columns = new Map();
  for (const { name, get, optional } of fieldsOf(kind, names)) {
    const column = new Float64Array(list.length);
    for (let row = 0; row < list.length; row++) {
      const value = get(list[row] as never);
      if (typeof value === "number" && !Number.isNaN(value)) foreign[row]!--;
      else if (value !== undefined || !optional)
        throw make(`${where(row)}: ${name} must be a number, found ${shown(value)}`);
      column[row] = typeof value === "number" ? value : Number.NaN;
    }
    columns.set(name, column);
  }
  const row = foreign.findIndex((count) => count > 0);
  if (row >= 0)
    throw make(`${where(row)}: unknown fields among ${clip(Object.keys(list[row]!).slice(0, 20).join(", "))}`);
  return columns;
}

/** @throws what `make` makes of the first number out of its range, or that does not rise. */
function checkColumns(columns: Columns, kind: Kind, make: Make): void {
  const fail = (row: number, what: string, found: string): never => {
    throw make(`history.${kind}[${row}]: ${what}, found ${found}`);
  };
  const measured = columns.get("metrics");
  const hasMetrics = (row: number) => measured !== undefined && !Number.isNaN(measured[row]);
  for (const { name, range, optional } of fieldsOf(kind, metricsOf(columns.keys()))) {
    const column = columns.get(name);
    if (!column) continue;
    for (let row = 0; row < column.length; row++) {
      const value = column[row]!;
      // With metrics, what is an accuracy otherwise is the first of them.
      const [test, words] = RANGES[range === "share" && hasMetrics(row) ? "finite" : range];
      if (metricOf(name) && !Number.isNaN(value) && !hasMetrics(row))
        fail(row, `${name} must not be there`, String(value));
      if (!test(value) && !(optional && Number.isNaN(value))) fail(row, `${name} must be ${words}`, String(value));
      if (range === "order" && row > 0 && value <= column[row - 1]!)
        fail(row, `${name} must rise`, `${value} after ${column[row - 1]}`);
    }
  }
  const [bits, matched] = [columns.get("bits"), columns.get("bitsMatched")];
  const row = matched?.findIndex((count, i) => count > (bits?.[i] ?? 0)) ?? -1;
  if (row >= 0) fail(row, `bitsMatched must be at most bits = ${bits?.[row] ?? 0}`, String(matched![row]));
}

/** The loss of a step as the trainer adds it up; NaN stands for no regularizer. */
const sumOfParts = (open: number, secret: number, passport: number, sign: number, regularizer: number): number =>
  open + secret + passport + sign + (Number.isNaN(regularizer) ? 0 : regularizer);

const PARTS = ["publicLoss", "privateLoss", "passportLoss", "signLoss"] as const;

/** Whether a column says nothing; `Object.is` tells −0 from 0. */
const isBlank = (column: Float64Array, optional: boolean): boolean =>
  optional ? column.every(Number.isNaN) : column.every((v) => Object.is(v, 0));

/** Whether every step's loss is the sum of its parts, to the bit. */
function isDerived(columns: Columns): boolean {
  const [open, secret, passport, sign] = PARTS.map((name) => columns.get(name)!);
  const extra = columns.get("regularizerLoss")!;
  return columns
    .get("loss")!
    .every((loss, i) => Object.is(loss, sumOfParts(open![i]!, secret![i]!, passport![i]!, sign![i]!, extra[i]!)));
}

/**
 * @throws ArgumentError for records that are none: fields missing, unknown or out of range, numbers
 * that do not rise.
 */
export function historyColumns(history: History): StateDict {
  const make = (message: string) => new ArgumentError(message);
  const out: StateDict = new Map();
  for (const kind of ["steps", "epochs"] as const) {
    const columns = toColumns(history[kind], kind, make);
    checkColumns(columns, kind, make);
    for (const [at, { name, optional }] of fieldsOf(kind, metricsOf(columns.keys())).entries()) {
      const data = columns.get(name)!;
      // The first column is always there: it says how many records there are.
      if (at > 0 && (kind === "steps" && name === "loss" ? isDerived(columns) : isBlank(data, optional))) continue;
      out.set(`${kind}.${name}`, { dtype: "F64", shape: [data.length], data });
    }
  }
  return out;
}

/** A history out of JSON. @throws FormatError as {@link historyColumns} does. */
export function checkHistory(history: unknown): History {
  const make = (message: string) => new FormatError(message);
  if (typeof history !== "object" || history === null) throw make("its history has no lists of steps and epochs");
  const { steps, epochs } = history as History;
  checkColumns(toColumns(steps, "steps", make), "steps", make);
  checkColumns(toColumns(epochs, "epochs", make), "epochs", make);
  return { steps, epochs };
}

/** The columns of one kind of record, all of one length. */
function takeColumns(tensors: StateDict, kind: Kind): Columns {
  const columns: Columns = new Map();
  const length = tensors.get(`${kind}.${FIELDS[kind][0]!.name}`)?.data.length;
  if (length === undefined) throw new FormatError(`its history has no ${kind}`);
  const held = [...tensors.keys()].flatMap((name) => (name.startsWith(`${kind}.`) ? name.slice(kind.length + 1) : []));
  for (const { name } of fieldsOf(kind, metricsOf(held))) {
    const tensor = tensors.get(`${kind}.${name}`);
    if (!tensor) continue;
    if (!(tensor.data instanceof Float64Array) || tensor.shape.length !== 1 || tensor.data.length !== length)
      throw new FormatError(`history.${kind}.${name} is no column of ${length} numbers`);
    columns.set(name, tensor.data);
  }
  checkColumns(columns, kind, (message) => new FormatError(message));
  return columns;
}

function stepsOf(columns: Columns): StepRecord[] {
  const steps = columns.get("step")!;
  const [open, secret, passport, sign] = PARTS.map((name) => columns.get(name));
  const [losses, regularizer] = [columns.get("loss"), columns.get("regularizerLoss")];
  const out: StepRecord[] = [];
  for (let i = 0; i < steps.length; i++) {
    const [publicLoss, privateLoss, passportLoss] = [open?.[i] ?? 0, secret?.[i] ?? 0, passport?.[i] ?? 0];
    const signLoss = sign?.[i] ?? 0;
    const regularizerLoss = regularizer?.[i] ?? Number.NaN;
    const loss = losses?.[i] ?? sumOfParts(publicLoss, privateLoss, passportLoss, signLoss, regularizerLoss);
    const record: StepRecord = { step: steps[i]!, loss, publicLoss, privateLoss, passportLoss, signLoss };
    if (!Number.isNaN(regularizerLoss)) record.regularizerLoss = regularizerLoss;
    out.push(record);
  }
  return out;
}

function epochsOf(columns: Columns): EpochRecord[] {
  const out: EpochRecord[] = [];
  const length = columns.get("epoch")!.length;
  const measured = [...columns].flatMap(([column, values]) => {
    const metric = metricOf(column);
    return metric ? [{ ...metric, values }] : [];
  });
  for (let row = 0; row < length; row++) {
    const record: Record<string, unknown> = {};
    const triggers: Record<string, number> = {};
    for (const { name, optional } of FIELDS.epochs) {
      const value = columns.get(name)?.[row] ?? (optional ? Number.NaN : 0);
      if (Number.isNaN(value)) continue;
      if (name === "triggers") record["triggers"] = triggers;
      else if (name === "metrics") record["metrics"] = metricsAt(measured, row);
      else if (name.startsWith("triggers.")) triggers[name.slice("triggers.".length)] = value;
      else record[name] = value;
    }
    out.push(record as unknown as EpochRecord);
  }
  return out;
}

/** Values by metric and branch. */
function metricsAt(
  measured: readonly { name: string; branch: Branch; values: Float64Array }[],
  row: number,
): Record<string, BranchAccuracy> {
  const found = new Map<string, BranchAccuracy>();
  for (const { name, branch, values } of measured) {
    const value = values[row]!;
    if (!Number.isNaN(value)) found.set(name, { ...found.get(name), [branch]: value });
  }
  return Object.fromEntries(found);
}

/**
 * The history that {@link historyColumns} took apart, equal to the last bit.
 * @throws FormatError for columns that do not make one.
 */
export function historyOf(tensors: StateDict): History {
  const known = new Set((["steps", "epochs"] as const).flatMap((kind) => FIELDS[kind].map((f) => `${kind}.${f.name}`)));
  for (const name of tensors.keys())
    if (!known.has(name) && !(name.startsWith("epochs.") && metricOf(name.slice("epochs.".length))))
      throw new FormatError(`unknown column history.${clip(name)}`);
  return { steps: stepsOf(takeColumns(tensors, "steps")), epochs: epochsOf(takeColumns(tensors, "epochs")) };
}
