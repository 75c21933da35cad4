import { ArgumentError, CheckpointFormatError, FormatError } from "../errors";
import { bytesOf } from "../io/bytes";
import type { StateDict } from "../io/host-tensor";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../io/safetensors";
import { clip, isPlain, isPromise, quote, shown } from "../io/shown";
import type { OptimizerState } from "../optim/optimizer";
import type { History } from "./history";
import { checkHistory, historyColumns, historyOf } from "./history-columns";
import { isSealed, seal, sealHolds, UNSEALED } from "./seal";

/**
 * Where a trainer keeps its checkpoint; `fileCheckpoints` of `@pan/core/node` is one on disk.
 * `save` must leave the old or the new bytes, nothing between.
 */
export interface CheckpointStore {
  save(bytes: Uint8Array): Promise<void>;
  /** The last saved bytes, or null when there are none. */
  load(): Promise<Uint8Array | null>;
}

/** Everything a run needs to go on with the same bits. */
export interface Checkpoint {
  /** What the run is: a resumed one must be the same. */
  fingerprint: string;
  /** Next step: epoch (from 0) and batch within it. */
  epoch: number;
  batch: number;
  history: History;
  model: StateDict;
  optimizer: OptimizerState;
  /** True of a file from before checkpoints had a digest: nothing vouches for its bits. */
  unverified?: true;
}

const FORMAT = "pan-checkpoint-2";
/** The history as JSON in the metadata, and no digest. */
const UNSEALED_FORMAT = "pan-checkpoint-1";
/** Bytes of an entry that holds two numbers. */
const MAX_PROGRESS = 200;

/**
 * A checkpoint as one safetensors file: tensors `model.*`, `optimizer.*` and the columns
 * `history.*`, the rest as metadata, sealed by a SHA-256 over every bit. Equal checkpoints give
 * equal bytes.
 *
 * @throws ArgumentError for parts that are missing or no records, a promise among them; ShapeError
 * as `encodeSafetensors`.
 */
export async function encodeCheckpoint(c: Checkpoint): Promise<Uint8Array> {
  const { fingerprint, epoch, batch, history, model, optimizer } = checkParts(c);
  const tensors: StateDict = new Map();
  for (const [name, tensor] of model) tensors.set(`model.${name}`, tensor);
  for (const [name, data] of Object.entries(optimizer)) {
    if (!(data instanceof Float32Array))
      throw new ArgumentError(
        `checkpoint: optimizer.${clip(name)}: a Float32Array expected, found ${shown(data)}: pass await optimizer.stateDict()`,
      );
    tensors.set(`optimizer.${name}`, { dtype: "F32", shape: [data.length], data: data as Float32Array<ArrayBuffer> });
  }
  for (const [name, column] of historyColumns(history)) tensors.set(`history.${name}`, column);
  const progress = JSON.stringify({ epoch, batch });
  const file = encodeSafetensors(tensors, { digest: UNSEALED, fingerprint, format: FORMAT, progress });
  await seal(file);
  return file;
}

function checkParts(c: Checkpoint): Checkpoint {
  const wrong = (part: string, expected: string, found: unknown): never => {
    const help = isPromise(found) ? ": await it first" : "";
    throw new ArgumentError(`${part}: ${expected} expected, found ${shown(found)}${help}`);
  };
  if (!isPlain(c)) return wrong("checkpoint", "an object of its parts", c);
  if (typeof c.fingerprint !== "string") wrong("checkpoint.fingerprint", "text", c.fingerprint);
  for (const part of ["epoch", "batch"] as const)
    if (!isCount(c[part])) wrong(`checkpoint.${part}`, "a whole number from 0", c[part]);
  if (!(c.model instanceof Map)) wrong("checkpoint.model", "a state dict", c.model);
  if (!isPlain(c.optimizer)) wrong("checkpoint.optimizer", "an object of names to Float32Arrays", c.optimizer);
  if (!isPlain(c.history)) wrong("checkpoint.history", "{ steps, epochs }", c.history);
  return c;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/**
 * Reads a checkpoint and checks it to the last bit: its digest, then every field.
 *
 * Files from before there were digests are read too; `unverified` says so.
 *
 * @throws ArgumentError for anything but bytes; CheckpointFormatError when a bit has changed, bytes
 * are missing or added, or it is no checkpoint.
 */
export async function decodeCheckpoint(bytes: Uint8Array): Promise<Checkpoint> {
  const file = bytesOf(bytes, "decodeCheckpoint");
  try {
    const { tensors, metadata } = decodeSafetensors(file);
    const { format, fingerprint } = metadata;
    if (format !== FORMAT && format !== UNSEALED_FORMAT)
      throw new FormatError(`format ${FORMAT} expected, found ${format === undefined ? "none" : quote(format)}`);
    const sealed = format === FORMAT;
    expectEntries(
      metadata,
      sealed ? ["digest", "fingerprint", "format", "progress"] : ["fingerprint", "format", "history", "progress"],
    );
    // Bits that turn one format's name into the other's must not turn the check off.
    if (isSealed(file) !== sealed || (sealed && !(await sealHolds(file))))
      throw new FormatError("its SHA-256 is not that of its contents, some of which have changed since it was saved");
    const parts = sort(tensors, sealed);
    const { epoch, batch } = readProgress(metadata["progress"]!);
    const history = sealed ? historyOf(parts.history) : checkHistory(parseHistory(metadata["history"]!));
    const last = history.epochs.at(-1)?.epoch ?? 0;
    if (last > epoch) throw new FormatError(`its history has epoch ${last}, its progress only ${epoch}`);
    const { model, optimizer } = parts;
    return { fingerprint: fingerprint!, epoch, batch, history, model, optimizer, ...(!sealed && { unverified: true }) };
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new CheckpointFormatError(
      `not a whole checkpoint: ${cause.message.replace(/\.$/, "")}. Remove it and start anew, or give the right file`,
      { cause },
    );
  }
}

function expectEntries(metadata: SafetensorsFile["metadata"], expected: readonly string[]): void {
  const found = Object.keys(metadata).sort();
  if (found.join() !== expected.join())
    throw new FormatError(`entries ${expected.join(", ")} expected, found ${clip(found.slice(0, 8).join(", "))}`);
}

/** The tensors by what they belong to. */
function sort(tensors: StateDict, sealed: boolean) {
  const parts = { model: new Map() as StateDict, history: new Map() as StateDict };
  const optimizer: [string, Float32Array<ArrayBuffer>][] = [];
  for (const [name, tensor] of tensors) {
    const part = name.slice(0, name.indexOf("."));
    const rest = name.slice(part.length + 1);
    if (part === "model" || (part === "history" && sealed)) parts[part].set(rest, tensor);
    else if (part !== "optimizer") throw new FormatError(`${quote(name)} is no tensor of a checkpoint`);
    else if (tensor.dtype !== "F32" || tensor.shape.length !== 1)
      throw new FormatError(`${quote(name)} is no list of 32-bit floats`);
    else optimizer.push([rest, tensor.data as Float32Array<ArrayBuffer>]);
  }
  return { ...parts, optimizer: Object.fromEntries(optimizer) };
}

function readProgress(text: string): { epoch: number; batch: number } {
  const progress: unknown = text.length <= MAX_PROGRESS ? parse(text, "progress") : null;
  if (isPlain(progress) && isCount(progress["epoch"]) && isCount(progress["batch"]))
    return { epoch: progress["epoch"], batch: progress["batch"] };
  throw new FormatError(`its progress is no epoch and batch: ${quote(text)}`);
}

/**
 * The history of a file without a digest. Brackets are counted first: its records nest four deep.
 */
function parseHistory(text: string): unknown {
  let depth = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth += bracket === "[" || bracket === "{" ? 1 : -1;
    if (depth > 4) throw new FormatError("its history nests deeper than records do");
  }
  return parse(text, "history");
}

function parse(text: string, entry: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`its ${entry} is no JSON: ${quote(text)}`, { cause });
  }
}

/** In what two runs differ, by their fingerprints, a line that does not grow with them. */
export function fingerprintDifference(saved: string, own: string): string {
  const read = (text: string): Record<string, unknown> => {
    try {
      const value: unknown = JSON.parse(text);
      if (isPlain(value)) return Object.assign(Object.create(null), value);
    } catch {
      // No fingerprint of a trainer's: it is shown as it is.
    }
    return Object.assign(Object.create(null), { run: text });
  };
  const [a, b] = [read(saved), read(own)];
  const text = (value: unknown) => (value === undefined ? "none" : clip(bounded(value), 200));
  const differing = [...new Set([...Object.keys(b), ...Object.keys(a)])].filter(
    (key) => bounded(a[key]) !== bounded(b[key]),
  );
  return differing
    .slice(0, 4)
    .map((key) => `${clip(key)} is ${text(a[key])} there, ${text(b[key])} here`)
    .join("; ");
}

function bounded(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "none";
  } catch {
    return "something that is too deep to show";
  }
}
