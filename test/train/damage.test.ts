import { describe, expect, it } from "vitest";
import { ArgumentError, CheckpointFormatError } from "../../src/errors";
import { decodeSafetensors, encodeSafetensors } from "../../src/io/safetensors";
import { Generator } from "../../src/tensor/random";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint, fingerprintDifference } from "../../src/train/checkpoint";

const random = new Generator(1);
const floats = (n: number) => random.fill(new Float32Array(n), "normal");

const checkpoint = (): Checkpoint => ({
  fingerprint: '{"lr":0.1}',
  epoch: 2,
  batch: 3,
  history: {
    steps: [1, 2, 3].map((step) => ({
      ...{ step, loss: 1 / step, publicLoss: 0.25, privateLoss: 0.5, passportLoss: 0, signLoss: 0.125 },
      ...(step === 2 && { regularizerLoss: -0.5 }),
    })),
    epochs: [
      { epoch: 1, loss: 1, public: 0.5, private: 0, bitsMatched: 3, bits: 8, seconds: 0.5 },
      { epoch: 2, loss: 0.5, triggers: { public: 1 }, bitsMatched: 8, bits: 8, seconds: 0 },
    ],
  },
  model: new Map([
    ["a.weight", { dtype: "F32", shape: [16, 8], data: floats(128) }],
    ["b.weight", { dtype: "F32", shape: [16, 8], data: floats(128) }],
  ]),
  optimizer: { "momentum_buffer.0": floats(128), step: Float32Array.of(7) },
});

/** Decodes to a refusal of the one class. */
async function expectRefused(bytes: Uint8Array, what: string): Promise<void> {
  const error = await decodeCheckpoint(bytes).then(
    () => null,
    (e: unknown) => e,
  );
  expect(error, what).toBeInstanceOf(CheckpointFormatError);
}

describe("damage to a checkpoint is found", () => {
  it("bit by bit in length, header and padding, and in samples of the data", async () => {
    const bytes = await encodeCheckpoint(checkpoint());
    const dataStart = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const flips = Array.from({ length: 600 }, () => random.integer(8 * dataStart));
    for (let i = 0; i < 400; i++) flips.push(8 * dataStart + random.integer(8 * (bytes.length - dataStart)));
    // Every bit of the format's name and of the digest: what would turn the check off.
    for (let bit = 0; bit < 8 * 220; bit += 3) flips.push(bit);
    for (const bit of flips) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      await expectRefused(damaged, `bit ${bit}`);
    }
    expect((await decodeCheckpoint(bytes)).batch).toBe(3);
  });

  it("when bytes are missing, added, or swapped", async () => {
    const bytes = await encodeCheckpoint(checkpoint());
    for (const n of [0, 1, 8, 100, bytes.length - 512, bytes.length - 1])
      await expectRefused(bytes.slice(0, n), `${n}`);
    for (const extra of [1, 8, 4096])
      await expectRefused(Uint8Array.from([...bytes, ...new Uint8Array(extra)]), `+${extra}`);
    const { tensors, metadata } = decodeSafetensors(bytes);
    const [a, b] = [tensors.get("model.a.weight")!, tensors.get("model.b.weight")!];
    await expectRefused(
      encodeSafetensors(new Map([...tensors, ["model.a.weight", b], ["model.b.weight", a]]), metadata),
      "swap",
    );
    await expectRefused(encodeSafetensors(tensors, { ...metadata, fingerprint: '{"lr":0.2}' }), "fingerprint");
    const { digest: _, ...stripped } = metadata;
    await expectRefused(encodeSafetensors(tensors, stripped), "digest taken out");
    await expectRefused(encodeSafetensors(tensors, { ...stripped, format: "pan-checkpoint-1" }), "called an older one");
    await expectRefused(encodeSafetensors(tensors, { ...metadata, format: "pan-checkpoint-1" }), "called an older one");
  });
});

describe("records that are none", () => {
  const step = { step: 1, loss: 1, publicLoss: 1, privateLoss: 0, passportLoss: 0, signLoss: 0 };
  const epoch = { epoch: 1, loss: 1, bitsMatched: 0, bits: 0, seconds: 1 };
  const histories: [string, unknown][] = [
    ["a step that is no whole number", { steps: [{ ...step, step: 1.5 }], epochs: [] }],
    ["steps that do not rise", { steps: [step, step], epochs: [] }],
    ["a loss that is not finite", { steps: [{ ...step, loss: Number.POSITIVE_INFINITY }], epochs: [] }],
    ["a loss that is text", { steps: [{ ...step, signLoss: "1" }], epochs: [] }],
    ["a loss that is missing", { steps: [{ step: 1, loss: 1 }], epochs: [] }],
    ["an unknown field", { steps: [{ ...step, extra: 1 }], epochs: [] }],
    ["a record that is null", { steps: [null], epochs: [] }],
    ["epochs that do not rise", { steps: [], epochs: [epoch, epoch] }],
    ["more bits than there are", { steps: [], epochs: [{ ...epoch, bitsMatched: 2, bits: 1 }] }],
    ["an accuracy above 1", { steps: [], epochs: [{ ...epoch, public: 1.5 }] }],
    ["trigger hits that are none", { steps: [], epochs: [{ ...epoch, triggers: { public: -1 } }] }],
    ["triggers that are a number", { steps: [], epochs: [{ ...epoch, triggers: 1 }] }],
    ["negative seconds", { steps: [], epochs: [{ ...epoch, seconds: -1 }] }],
    ["an epoch beyond the progress", { steps: [], epochs: [{ ...epoch, epoch: 9 }] }],
  ];

  it.each(histories)("%s: not read out of an older file", async (_, history) => {
    const progress = '{"epoch":1,"batch":0}';
    const text = JSON.stringify(history);
    const file = encodeSafetensors(new Map(), { format: "pan-checkpoint-1", fingerprint: "", progress, history: text });
    const started = performance.now();
    await expectRefused(file, text.slice(0, 80));
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it("deep nesting: not read out of an older file", async () => {
    const history = `{"steps":${"[".repeat(1e5)}${"]".repeat(1e5)},"epochs":[]}`;
    const metadata = { format: "pan-checkpoint-1", fingerprint: "", progress: '{"epoch":1,"batch":0}', history };
    await expectRefused(encodeSafetensors(new Map(), metadata), "deep");
  });

  it.each(histories.filter(([name]) => !/beyond/.test(name)))("%s: not written", async (_, history) => {
    const c = { ...checkpoint(), history: history as Checkpoint["history"] };
    await expect(encodeCheckpoint(c)).rejects.toThrow(ArgumentError);
  });

  it.each<[string, (c: Checkpoint) => unknown]>([
    ["nothing", () => undefined],
    ["a promise", (c) => Promise.resolve(c)],
    ["a state dict that was not awaited", (c) => ({ ...c, model: Promise.resolve(c.model) })],
    ["optimiser state that was not awaited", (c) => ({ ...c, optimizer: Promise.resolve(c.optimizer) })],
    ["optimiser state in a list", (c) => ({ ...c, optimizer: { step: [1] } })],
    ["half a batch", (c) => ({ ...c, batch: 0.5 })],
    ["no fingerprint", (c) => ({ ...c, fingerprint: undefined })],
    ["no history", (c) => ({ ...c, history: undefined })],
  ])("%s: no checkpoint to write", async (_, change) => {
    await expect(encodeCheckpoint(change(checkpoint()) as Checkpoint)).rejects.toThrow(ArgumentError);
  });

  it.each([undefined, "run.checkpoint", Promise.resolve(new Uint8Array()), [1, 2]])("%s: no bytes", async (value) => {
    await expect(decodeCheckpoint(value as never)).rejects.toThrow(ArgumentError);
  });
});

describe("fingerprintDifference", () => {
  it("names what differs, in bounded length", () => {
    expect(fingerprintDifference('{"lr":0.1,"seed":1}', '{"lr":0.2,"seed":1}')).toBe("lr is 0.1 there, 0.2 here");
    for (const other of ["x".repeat(1e6), `{"lr":"${"x".repeat(1e6)}"}`, `{"lr":${"[".repeat(1e5)}${"]".repeat(1e5)}}`])
      expect(fingerprintDifference(other, '{"lr":0.2}').length).toBeLessThan(800);
  });
});
