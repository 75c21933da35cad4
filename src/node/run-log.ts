/** Records of a training as files that other tools read, line by line while it runs. */
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { text } from "../demand";
import { crc32c } from "../io/crc32c";
import { Message } from "../io/protobuf-writer";
import type { BranchAccuracy } from "../passport/branches";
import { BRANCHES } from "../passport/branches";
import type { EpochRecord, StepRecord } from "../train/history";
import type { TrainerOptions } from "../train/options";

/** What a `Trainer` takes among its options: spread it there. */
export type RunLog = Required<Pick<TrainerOptions, "onProgress" | "onEpoch">>;

/**
 * Appends a line of JSON for each reading of the losses and each epoch,
 * `{ "kind": "step" | "epoch", "time": ISO 8601, … }` with the fields of `StepRecord` and
 * `EpochRecord`: what notebooks, `jq` and experiment trackers take. A run that is resumed goes on
 * in the same file.
 * @param path folders above it are made
 * @throws ArgumentError for a path that is none; what the file system says, when it is written.
 *
 * @example
 * new Trainer(model, optimizer, { batchSize: 50, ...jsonLines("runs/first.jsonl") });
 */
export function jsonLines(path: string): RunLog {
  text("jsonLines", "path", path);
  mkdirSync(dirname(path), { recursive: true });
  const append = (kind: "step" | "epoch", record: StepRecord | EpochRecord) =>
    appendFileSync(path, `${JSON.stringify({ kind, time: new Date().toISOString(), ...record })}\n`);
  return {
    onProgress: ({ record }) => append("step", record),
    onEpoch: (record) => append("epoch", record),
  };
}

/**
 * Writes scalars that TensorBoard draws (`tensorboard --logdir FOLDER`), against the number of
 * steps: `loss/…` at each reading, and after each epoch test accuracies or metrics by branch,
 * triggers, matched signature bits and seconds. Each call begins an event file of its own, as
 * TensorBoard expects of a run that is resumed: it draws the files of a folder as one.
 * @param folder is made; one run in each
 * @throws ArgumentError for a folder that is none; what the file system says, when it is written.
 *
 * Source: `tensorflow/core/util/event.proto`, `tensorflow/core/lib/io/record_writer.cc`.
 *
 * @example
 * new Trainer(model, optimizer, { batchSize: 50, ...tensorBoard("runs/first") });
 */
export function tensorBoard(folder: string): RunLog {
  text("tensorBoard", "folder", folder);
  mkdirSync(folder, { recursive: true });
  const now = () => Date.now() / 1000;
  const begun = Math.floor(now());
  const path = join(folder, `events.out.tfevents.${begun}.${hostname()}.${process.pid}.${count++}`);
  writeFileSync(path, framed(new Message().double(WALL_TIME, now()).text(FILE_VERSION, "brain.Event:2").bytes()));
  let step = 0;
  const write = (scalars: Iterable<readonly [tag: string, value: number]>) => {
    const values = [...scalars].map(([tag, value]) => new Message().text(TAG, tag).float(SIMPLE_VALUE, value));
    const summary = new Message().messages(VALUE, values);
    const event = new Message().double(WALL_TIME, now()).integer(STEP, step).message(SUMMARY, summary);
    appendFileSync(path, framed(event.bytes()));
  };
  return {
    onProgress({ record }) {
      step = record.step;
      write(lossScalars(record));
    },
    onEpoch: (record) => write(epochScalars(record)),
  };
}

/** Files of one process in one second have names of their own. */
let count = 0;

// Fields of Event, of Summary and of Summary.Value.
const [WALL_TIME, STEP, FILE_VERSION, SUMMARY] = [1, 2, 3, 5];
const VALUE = 1;
const [TAG, SIMPLE_VALUE] = [1, 2];

/** A record of TensorFlow's: length, its checksum, data, their checksum. */
function framed(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(8 + 4 + data.length + 4);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, masked(crc32c(record.subarray(0, 8))), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, masked(crc32c(data)), true);
  return record;
}

/**
 * A checksum of data that hold checksums would be likely to collide: TensorFlow turns and shifts
 * it.
 */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

type Scalar = readonly [tag: string, value: number];

function* lossScalars({ step: _, ...losses }: StepRecord): Generator<Scalar> {
  for (const [name, value] of Object.entries(losses)) yield [`loss/${name === "loss" ? "total" : name}`, value];
}

function* branches(tag: string, of: BranchAccuracy): Generator<Scalar> {
  for (const branch of BRANCHES) if (of[branch] !== undefined) yield [`${tag}/${branch}`, of[branch]];
}

function* epochScalars(record: EpochRecord): Generator<Scalar> {
  yield ["epoch/loss", record.loss];
  yield ["epoch/seconds", record.seconds];
  if (record.metrics) for (const [name, of] of Object.entries(record.metrics)) yield* branches(name, of);
  else yield* branches("accuracy", record);
  if (record.triggers) yield* branches("triggers", record.triggers);
  if (record.bits) yield ["signature/matched", record.bitsMatched / record.bits];
}
