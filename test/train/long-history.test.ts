import { describe, expect, it } from "vitest";
import { decodeSafetensors } from "../../src/io/safetensors";
import { Generator } from "../../src/tensor/random";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "../../src/train/checkpoint";
import {
  bestEpoch,
  type EpochRecord,
  epochsCsv,
  type History,
  replaceHistory,
  type StepRecord,
  stepsCsv,
} from "../../src/train/history";
import { historyColumns, historyOf } from "../../src/train/history-columns";

const random = new Generator(3);
const draw = () => random.uniform() / 3;

/** A reading as the trainer records it: its loss is the sum of the parts. */
function reading(step: number, regularized: boolean): StepRecord {
  const [publicLoss, privateLoss, passportLoss, signLoss] = [draw(), draw(), 0, draw()];
  const regularizerLoss = -draw();
  const loss = publicLoss + privateLoss + passportLoss + signLoss + (regularized ? regularizerLoss : 0);
  return { step, loss, publicLoss, privateLoss, passportLoss, signLoss, ...(regularized && { regularizerLoss }) };
}

const checkpointOf = (history: History): Checkpoint => ({
  fingerprint: "{}",
  epoch: history.epochs.length,
  batch: 0,
  history,
  model: new Map(),
  optimizer: {},
});

const roundTrip = async (history: History) =>
  (await decodeCheckpoint(await encodeCheckpoint(checkpointOf(history)))).history;

describe("a history in columns", () => {
  it("comes back equal, whatever its records have", async () => {
    const step = { step: 5, loss: -0, publicLoss: 1e-300, privateLoss: 1 / 3, passportLoss: -0, signLoss: 5e-324 };
    const epoch: EpochRecord = { epoch: 1, loss: 0, bitsMatched: 0, bits: 0, seconds: 0 };
    const histories: History[] = [
      { steps: [], epochs: [] },
      { steps: [step], epochs: [epoch] },
      { steps: [step, { ...step, step: 2 ** 40, regularizerLoss: -1 }], epochs: [] },
      { steps: [reading(1, true), reading(2, false)], epochs: [] },
      { steps: [{ ...step, loss: 0, passportLoss: 0 }], epochs: [{ ...epoch, public: 0, passport: 1 }] },
      {
        steps: [],
        epochs: [
          { ...epoch, triggers: {} },
          { ...epoch, epoch: 7, triggers: { private: 0.1, public: 0 } },
        ],
      },
    ];
    for (const history of histories) {
      const back = historyOf(historyColumns(history));
      expect(back).toStrictEqual(history);
      // -0 and 0 are told apart.
      for (const [i, s] of history.steps.entries()) expect(Object.is(back.steps[i]!.loss, s.loss)).toBe(true);
    }
    for (const history of histories) {
      const epochs = history.epochs.map((e, i) => ({ ...e, epoch: i + 1 }));
      expect(await roundTrip({ ...history, epochs })).toStrictEqual({ ...history, epochs });
    }
  });

  it("of a quarter of a million readings takes at most 50 bytes a record and seconds, in data and not in the header", async () => {
    const n = 250_000;
    for (const regularized of [false, true]) {
      const steps = Array.from({ length: n }, (_, i) => reading(10 * (i + 1), regularized));
      const started = performance.now();
      const bytes = await encodeCheckpoint(checkpointOf({ steps, epochs: [] }));
      const encoded = performance.now();
      const back = (await decodeCheckpoint(bytes)).history;
      const decoded = performance.now();
      expect(bytes.length / n).toBeLessThanOrEqual(50);
      expect(Number(new DataView(bytes.buffer).getBigUint64(0, true))).toBeLessThan(4000);
      // A million in two seconds, with room for a busy machine.
      expect(encoded - started).toBeLessThan(4000);
      expect(decoded - encoded).toBeLessThan(4000);
      expect(back.steps.length).toBe(n);
      const same = (a: StepRecord, b: StepRecord) =>
        (Object.keys(a) as (keyof StepRecord)[]).every((key) => Object.is(a[key], b[key])) &&
        Object.keys(a).length === Object.keys(b).length;
      expect(back.steps.every((s, i) => same(steps[i]!, s))).toBe(true);
    }
  });

  it("does not pass records as arguments", () => {
    const n = 200_000;
    const steps = Array.from({ length: n }, (_, i) => reading(i + 1, false));
    const epochs = steps.map(({ step }) => ({
      epoch: step,
      loss: 1,
      public: step / n,
      bitsMatched: 0,
      bits: 0,
      seconds: 1,
    }));
    const history: History = { steps: [reading(1, false)], epochs: [] };
    const { steps: own } = history;
    replaceHistory(history, { steps, epochs });
    expect(history.steps).toBe(own);
    expect([history.steps.length, history.epochs.length]).toEqual([n, n]);
    expect(bestEpoch(history)?.epoch).toBe(n);
    const rows = (csv: string) => csv.trimEnd().split("\n").length;
    expect(rows(stepsCsv(history))).toBe(n + 1);
    expect(rows(epochsCsv(history))).toBe(n + 1);
  });

  it("leaves out columns that say nothing", async () => {
    const bytes = await encodeCheckpoint(checkpointOf({ steps: [reading(1, false)], epochs: [] }));
    const names = [...decodeSafetensors(bytes).tensors.keys()].filter((n) => n.startsWith("history.steps."));
    expect(names.sort()).toEqual(["privateLoss", "publicLoss", "signLoss", "step"].map((n) => `history.steps.${n}`));
  });
});
