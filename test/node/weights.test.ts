import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ArgumentError, FormatError } from "../../src/errors";
import { encodeSafetensors } from "../../src/io/safetensors";
import { loadSafetensors, loadWeights } from "../../src/node/read-files";
import { floats } from "../support/edits";

const fixtures = resolve(import.meta.dirname, "../fixtures/weights");
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pan-weights-"));
});
afterAll(() => rm(folder, { recursive: true }));

it("reads a file of PyTorch, and a model of TensorFlow.js with its shards", async () => {
  expect((await loadWeights(join(fixtures, "checkpoint.pth"))).tensors.size).toBe(8);
  expect((await loadWeights(join(fixtures, "tfjs-model.json"))).tensors.get("conv/kernel")!.shape).toEqual([
    3, 2, 3, 4,
  ]);
});

it("reads a model in several files, and says which is missing or damaged", async () => {
  const index = join(folder, "model.safetensors.index.json");
  await writeFile(index, JSON.stringify({ weight_map: { a: "1.safetensors" } }));
  await expect(loadWeights(index)).rejects.toThrow(/1\.safetensors: there is no such file/);
  await writeFile(join(folder, "1.safetensors"), "nothing");
  await expect(loadWeights(index)).rejects.toThrow(FormatError);
  await writeFile(join(folder, "1.safetensors"), encodeSafetensors(new Map([["a", floats([2])]])));
  expect((await loadWeights(index)).tensors.get("a")).toEqual(floats([2]));
});

it("reads nothing beside the folder of the index", async () => {
  const index = join(folder, "out.json");
  await writeFile(index, JSON.stringify({ weight_map: { a: "../secret.safetensors" } }));
  await expect(loadWeights(index)).rejects.toThrow(/a file beside it/);
});

it("takes paths of files that are there", async () => {
  await expect(loadWeights("")).rejects.toThrow(ArgumentError);
  await expect(loadWeights(join(folder, "none.pth"))).rejects.toThrow(/none\.pth: there is no such file/);
});

it("takes the file that a digest names, and no other", async () => {
  const path = join(folder, "digest.safetensors");
  const bytes = encodeSafetensors(new Map([["a", floats([2, 3])]]));
  await writeFile(path, bytes);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  for (const load of [loadSafetensors, loadWeights]) {
    expect((await load(path, { sha256: sha256.toUpperCase() })).tensors.size).toBe(1);
    await expect(load(path, { sha256: "0".repeat(64) })).rejects.toThrow(
      `digest.safetensors: not the file that is meant: SHA-256 ${"0".repeat(64)} expected, found ${sha256}`,
    );
    for (const none of ["", "abc", 5, null])
      await expect(load(path, { sha256: none as string })).rejects.toThrow(ArgumentError);
    await expect(load(path, null as never)).rejects.toThrow(ArgumentError);
  }
  await writeFile(path, bytes.subarray(0, -1));
  await expect(loadSafetensors(path, { sha256 })).rejects.toThrow(/not the file that is meant/);
});
