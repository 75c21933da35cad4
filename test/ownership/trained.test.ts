/**
 * Networks that PyTorch trained and saved under the authors' names load as they are, classify as
 * there, and verify. A small one is committed (test/golden/trained_alexnet.py); a full-size one by
 * the authors' own code is large and not part of this repository: name its folder in PAN_TRAINED.
 * PAN_TRAINED_IMAGES (default 48) of its 512 reference images are run.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cifarTransform, parseCifar10, subset } from "../../src/data";
import { DataLoader } from "../../src/data/loader";
import { type StateDict, toFloat32 } from "../../src/io/host-tensor";
import { decodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { loadDeployed, type Passports } from "../../src/models";
import { examine, matchThreshold } from "../../src/ownership";
import { Generator } from "../../src/tensor/random";
import { scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { evaluate } from "../../src/train/evaluate";
import { expectClose, gpu } from "../support/gpu";
import { alexNet, type Network } from "../support/networks";

interface Trained {
  state: StateDict;
  /** Logits of both branches and labels, by name. */
  expected: StateDict;
  signature: string;
  width: number;
  images: number;
  /** Most that random passports may reach. */
  chance: number;
}

const read = (path: string | URL): SafetensorsFile => decodeSafetensors(readFileSync(path));

function small(): Trained {
  const { tensors, metadata } = read(new URL("../golden/trained_alexnet.safetensors", import.meta.url));
  const pick = (expected: boolean) => [...tensors].filter(([n]) => n.startsWith("expect.") === expected);
  return {
    state: new Map(pick(false)),
    expected: new Map(pick(true).map(([n, t]) => [n.replace("expect.", ""), t])),
    signature: metadata["signature"]!,
    width: 0.125,
    images: 100,
    chance: 0.25,
  };
}

const folder = process.env["PAN_TRAINED"] ?? "";
const present = folder !== "" && existsSync(join(folder, "pan_alexnet_trained.safetensors"));
if (!present)
  console.warn(
    "The trained network of the authors is not here: its tests are skipped. Name its folder in PAN_TRAINED.",
  );

function large(): Trained {
  const { tensors, metadata } = read(join(folder, "pan_alexnet_trained.safetensors"));
  return {
    state: tensors,
    expected: read(join(folder, "pan_alexnet_trained_expect.safetensors")).tensors,
    signature: metadata["signature"]!,
    width: 1,
    images: Number(process.env["PAN_TRAINED_IMAGES"] ?? 48),
    chance: 0.35,
  };
}

const transform = cifarTransform("test");
const sample = parseCifar10(readFileSync(new URL("../../examples/data/test_sample.bin", import.meta.url)));

function checks(load: () => Trained): void {
  let model: Network;
  let trained: Trained;
  beforeAll(async () => {
    await gpu();
    trained = load();
    const passports: Passports = { 4: true, 5: true, 6: trained.signature };
    model = alexNet({ scheme: "pan", passports, width: trained.width });
    model.loadStateDict(trained.state);
    model.eval();
  });
  afterAll(() => model.dispose());

  const logitsOf = (branch: string) => toFloat32(trained.expected.get(`logits.${branch}`)!);

  for (const branch of ["public", "private"] as const)
    it(`gives its logits in the ${branch} branch`, async () => {
      const logits = logitsOf(branch);
      const images = subset(sample, 0, trained.images);
      for await (const batch of new DataLoader(images, { batchSize: 48, transform }).epoch(0)) {
        const y = scope(() => noGrad(() => model.forward(Tensor.from(batch.images, batch.shape), branch)));
        const at = 48 * batch.index * 10;
        const expected = logits.subarray(at, at + batch.size * 10);
        expectClose(await y.data(), expected, { rtol: 1e-3, atol: 1e-3, what: `batch ${batch.index}` });
        y.dispose();
      }
    });

  it("splits into a deployed half that verifies with the credential, exactly as accurate, and not with random passports", async () => {
    const images = subset(sample, 0, trained.images);
    const labels = toFloat32(trained.expected.get("labels")!);
    const right = (branch: string) => {
      const logits = logitsOf(branch);
      const best = (row: Float32Array) => row.indexOf(Math.max(...row));
      const hits = Array.from(
        { length: trained.images },
        (_, i) => best(logits.subarray(10 * i, 10 * i + 10)) === labels[i],
      );
      return hits.filter(Boolean).length / trained.images;
    };
    const claimed = { public: right("public"), private: right("private") };
    expect(claimed.public).toBeGreaterThan(0.3);
    const [deployed, credential] = [await model.deployed(), await model.credential(claimed)];
    const found = await examine(deployed, credential, { test: images, transform });
    expect(found.accuracy).toEqual(claimed);
    expect(found.decodedText).toBe(trained.signature);
    expect(found.bits).toBe(896 * trained.width);
    expect(found.matched).toBe(found.bits);
    expect(found.passes).toBe(true);
    const plain = loadDeployed(deployed);
    expect(await evaluate(plain, images, { transform })).toEqual({ public: claimed.public });
    plain.dispose();
    model.randomPassports(new Generator(5));
    const signs = await model.readSigns();
    expect(signs.reduce((s, l) => s + l.matched, 0)).toBeLessThan(matchThreshold(found.bits));
    const forged = await evaluate(model, images, { branches: ["private"], transform });
    expect(forged.private).toBeLessThan(trained.chance);
  });
}

describe("a small network trained by PyTorch under the authors' names", () => checks(small));
describe.skipIf(!present)("a network trained by the authors' code", () => checks(large));
