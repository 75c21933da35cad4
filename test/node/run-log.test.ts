import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import { crc32c } from "../../src/io/crc32c";
import { fieldsOf } from "../../src/io/protobuf";
import { buildNetwork } from "../../src/models";
import { jsonLines, tensorBoard } from "../../src/node/run-log";
import { SGD } from "../../src/optim/sgd";
import type { EpochRecord } from "../../src/train/history";
import type { Progress } from "../../src/train/options";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import { TINY, tinySet } from "../support/tiny";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pan-log-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const losses = { loss: 3.5, publicLoss: 1.25, privateLoss: 1.5, passportLoss: 0, signLoss: 0.75 };
const progress = (step: number): Progress => ({ step, steps: 20, epoch: 1, record: { step, ...losses } });
const epoch: EpochRecord = {
  ...{ epoch: 1, loss: 3.5, public: 0.5, private: 0.25, triggers: { public: 1 } },
  ...{ bitsMatched: 6, bits: 8, seconds: 2 },
};

/** Events of a file, read by another way than they were written. */
function events(path: string) {
  const bytes = readFileSync(path);
  const found: { step: number; version?: string; scalars: Record<string, number> }[] = [];
  // CRC-32C bit by bit, unmasked as TensorFlow's reader does it.
  const crc = (data: Uint8Array) => {
    let c = ~0;
    for (const byte of data) {
      c ^= byte;
      for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
    }
    return ~c >>> 0;
  };
  const unmasked = (value: number) => {
    const rotated = (value - 0xa282ead8) >>> 0;
    return ((rotated >>> 17) | (rotated << 15)) >>> 0;
  };
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(unmasked(bytes.readUInt32LE(at + 8))).toBe(crc(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(unmasked(bytes.readUInt32LE(at + 12 + length))).toBe(crc(data));
    const event = { step: 0, scalars: {} } as (typeof found)[number];
    for (const field of fieldsOf(data)) {
      if (field.number === 2 && field.kind === "varint") event.step = Number(field.value);
      if (field.number === 3 && field.kind === "bytes") event.version = new TextDecoder().decode(field.value);
      if (field.number === 5 && field.kind === "bytes")
        for (const value of fieldsOf(field.value)) {
          const parts = [...fieldsOf(value.value as Uint8Array)];
          const tag = new TextDecoder().decode(parts.find((p) => p.number === 1)!.value as Uint8Array);
          const float = parts.find((p) => p.number === 2)!.value as Uint8Array;
          event.scalars[tag] = new DataView(float.buffer, float.byteOffset).getFloat32(0, true);
        }
    }
    found.push(event);
    at += 16 + length;
  }
  return found;
}

const only = () => join(folder, readdirSync(folder)[0]!);

it("CRC-32C has the check value of its catalogue, and RFC 3720's", () => {
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
});

describe("tensorBoard", () => {
  it("writes the version, losses against steps, and what an epoch came to", async () => {
    const log = tensorBoard(folder);
    log.onProgress(progress(10));
    log.onProgress(progress(20));
    await log.onEpoch(epoch);
    const [first, ten, twenty, end, ...rest] = events(only());
    expect(rest).toEqual([]);
    expect(first).toEqual({ step: 0, version: "brain.Event:2", scalars: {} });
    expect(ten).toMatchObject({
      step: 10,
      scalars: { "loss/total": 3.5, "loss/publicLoss": 1.25, "loss/signLoss": 0.75 },
    });
    expect(twenty!.step).toBe(20);
    expect(end).toEqual({
      step: 20,
      scalars: {
        ...{ "epoch/loss": 3.5, "epoch/seconds": 2, "accuracy/public": 0.5, "accuracy/private": 0.25 },
        ...{ "triggers/public": 1, "signature/matched": 0.75 },
      },
    });
  });

  it("has metrics of one's own by their names", async () => {
    const log = tensorBoard(folder);
    await log.onEpoch({ ...epoch, metrics: { iou: { public: 0.75, private: 0.5 } } });
    const { scalars } = events(only())[1]!;
    expect(scalars).toMatchObject({ "iou/public": 0.75, "iou/private": 0.5 });
    expect(scalars).not.toHaveProperty("accuracy/public");
  });

  it("begins a file for each call, also within one second", () => {
    tensorBoard(folder);
    tensorBoard(folder);
    expect(readdirSync(folder)).toHaveLength(2);
  });
});

describe("jsonLines", () => {
  it("appends a line a record, and goes on in the same file", async () => {
    const path = join(folder, "deep", "run.jsonl");
    jsonLines(path).onProgress(progress(10));
    await jsonLines(path).onEpoch(epoch);
    const [step, end] = readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(step).toMatchObject({ kind: "step", step: 10, ...losses });
    expect(end).toMatchObject({ kind: "epoch", ...epoch });
    expect(new Date(end.time).toISOString()).toBe(end.time);
  });
});

it.each([[null], [5], [{}], [undefined]])("a path that is none is refused: %s", (path) => {
  expect(() => jsonLines(path as never)).toThrow(ArgumentError);
  expect(() => tensorBoard(path as never)).toThrow(ArgumentError);
});

it("a trainer takes them among its options", async () => {
  await gpu();
  const model = buildNetwork(TINY, { seed: 1 });
  const optimizer = new SGD(model, { lr: 0.02 });
  const path = join(folder, "run.jsonl");
  const trainer = new Trainer(model, optimizer, { batchSize: 12, readEvery: 2, ...jsonLines(path) });
  for await (const _ of trainer.fit(tinySet(60, 1), { epochs: 2 }));
  const kinds = readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).kind);
  expect(kinds).toEqual(["step", "step", "step", "epoch", "step", "step", "step", "epoch"]);
  optimizer.dispose();
  model.dispose();
});
