import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CheckpointFormatError, PanError } from "../../src/errors";
import type { StateDict } from "../../src/io/host-tensor";
import { encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { fileCheckpoints } from "../../src/node/files";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "../../src/train/checkpoint";

const checkpoint = (): Checkpoint => ({
  fingerprint: '{"config":"schön €"}',
  epoch: 3,
  batch: 17,
  history: {
    steps: [{ step: 10, loss: 1.5, publicLoss: 0.1, privateLoss: 1.3, passportLoss: 0, signLoss: 1e-300 }],
    epochs: [{ epoch: 1, loss: 1 / 3, public: 0.5, bitsMatched: 7, bits: 8, seconds: 0.25 }],
  },
  model: new Map([
    ["features.0.conv.weight", { dtype: "F32", shape: [2, 1, 1, 2], data: Float32Array.of(1, -0, 1e-45, 3.4e38) }],
    ["features.0.bn.num_batches_tracked", { dtype: "I64", shape: [], data: BigInt64Array.of(12345678901234n) }],
    ["model.optimizer.x", { dtype: "F32", shape: [0], data: new Float32Array(0) }],
  ]),
  optimizer: {
    "momentum_buffer.0": Float32Array.of(0.1, 0.2),
    "momentum_buffer.1": new Float32Array(0),
    step: Float32Array.of(16777216),
  },
});

/** The same as it was written before there were digests. */
function unsealed(): SafetensorsFile {
  const { fingerprint, epoch, batch, history, model, optimizer } = checkpoint();
  const tensors: StateDict = new Map([...model].map(([name, t]) => [`model.${name}`, t]));
  for (const [name, data] of Object.entries(optimizer))
    tensors.set(`optimizer.${name}`, { dtype: "F32", shape: [data.length], data: Float32Array.from(data) });
  const progress = JSON.stringify({ epoch, batch });
  return { tensors, metadata: { format: "pan-checkpoint-1", fingerprint, progress, history: JSON.stringify(history) } };
}

describe("encodeCheckpoint and decodeCheckpoint", () => {
  it("bring everything back, bit for bit", async () => {
    const back = await decodeCheckpoint(await encodeCheckpoint(checkpoint()));
    expect({ ...back, model: new Map([...back.model].sort()) }).toEqual({
      ...checkpoint(),
      model: new Map([...checkpoint().model].sort()),
    });
    const bits = (c: Checkpoint) =>
      new Uint32Array((c.model.get("features.0.conv.weight")!.data as Float32Array).slice().buffer);
    expect(bits(back)).toEqual(bits(checkpoint()));
  });

  it("do not depend on the buffers they were given", async () => {
    const source = checkpoint();
    const encoding = encodeCheckpoint(source);
    source.optimizer["step"]!.fill(0);
    expect((await decodeCheckpoint(await encoding)).optimizer["step"]![0]).toBe(16777216);
  });

  it("refuse every truncation", async () => {
    const bytes = await encodeCheckpoint(checkpoint());
    for (let n = 0; n < bytes.length; n += 7)
      await expect(decodeCheckpoint(bytes.subarray(0, n)), `${n} bytes`).rejects.toThrow(CheckpointFormatError);
    await expect(decodeCheckpoint(bytes.subarray(0, bytes.length - 1))).rejects.toThrow(/not a whole checkpoint/);
    await expect(decodeCheckpoint(Uint8Array.of(...bytes, 0))).rejects.toThrow(CheckpointFormatError);
  });

  it.each<[string, Record<string, string | undefined>]>([
    ["another format", { format: "pan-deployed-1" }],
    ["no format", { format: undefined }],
    ["no progress", { progress: undefined }],
    ["progress null", { progress: "null" }],
    ["half an epoch", { progress: '{"epoch":0.5,"batch":0}' }],
    ["a negative batch", { progress: '{"epoch":0,"batch":-1}' }],
    ["no history", { history: undefined }],
    ["a history of another form", { history: "[]" }],
    ["a history null", { history: "null" }],
    ["a history that is no JSON", { history: "{" }],
  ])("of before there were digests: refuse %s", async (_, change) => {
    const { tensors, metadata } = unsealed();
    const changed = Object.fromEntries(
      Object.entries({ ...metadata, ...change }).filter((e): e is [string, string] => e[1] !== undefined),
    );
    await expect(decodeCheckpoint(encodeSafetensors(tensors, changed))).rejects.toThrow(CheckpointFormatError);
  });

  it("read a file of before there were digests, and say so", async () => {
    const { tensors, metadata } = unsealed();
    const back = await decodeCheckpoint(encodeSafetensors(tensors, metadata));
    const { model, ...rest } = checkpoint();
    expect(back).toEqual({
      ...rest,
      model: new Map([...model].sort(([a], [b]) => (a < b ? -1 : 1))),
      unverified: true,
    });
    expect(await decodeCheckpoint(await encodeCheckpoint(back))).not.toHaveProperty("unverified");
  });
});

describe("fileCheckpoints", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pan-checkpoint-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("gives null before the first save, then what was saved last", async () => {
    const store = fileCheckpoints(join(folder, "run.checkpoint"));
    expect(await store.load()).toBeNull();
    await store.save(Uint8Array.of(1, 2, 3));
    await store.save(Uint8Array.of(4));
    expect(Uint8Array.from((await store.load())!)).toEqual(Uint8Array.of(4));
    expect(await readdir(folder)).toEqual(["run.checkpoint"]);
  });

  it("keeps the earlier file, and no other, when a save breaks off after some bytes", async () => {
    const store = fileCheckpoints(join(folder, "run.checkpoint"));
    await store.save(Uint8Array.of(1, 2, 3));
    // writeFile takes a stream too: this one writes two bytes, then fails as a full disk would.
    const breaking = (async function* () {
      yield Uint8Array.of(9, 9);
      throw Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" });
    })();
    await expect(store.save(breaking as never)).rejects.toThrow(PanError);
    expect(Uint8Array.from(await readFile(join(folder, "run.checkpoint")))).toEqual(Uint8Array.of(1, 2, 3));
    expect(await readdir(folder)).toEqual(["run.checkpoint"]);
  });

  it("reports a folder that is not there on save, and a path that cannot be read on load", async () => {
    await expect(fileCheckpoints(join(folder, "no", "run")).save(Uint8Array.of(1))).rejects.toThrow(
      /folder does not exist/,
    );
    await expect(fileCheckpoints(folder).load()).rejects.toThrow(PanError);
  });

  it("holds a checkpoint that a cut short file is not taken for", async () => {
    const path = join(folder, "run.checkpoint");
    const store = fileCheckpoints(path);
    const bytes = await encodeCheckpoint(checkpoint());
    await store.save(bytes);
    expect((await decodeCheckpoint((await store.load())!)).batch).toBe(17);
    await writeFile(path, bytes.subarray(0, 100));
    await expect(decodeCheckpoint(new Uint8Array())).rejects.toThrow(CheckpointFormatError);
    const cut = (await store.load())!;
    await expect(decodeCheckpoint(cut)).rejects.toThrow(CheckpointFormatError);
  });
});
