/**
 * A network that the authors' own PyTorch code trained and saved: loads as it is, classifies as theirs, and verifies. Its files are large and not part of this
 * repository: name their folder in PAN_TRAINED. PAN_TRAINED_IMAGES (default 48) of the 512 reference images are run.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { cifarTransform, parseCifar10, subset } from "../../src/data";
import { DataLoader } from "../../src/data/loader";
import { toFloat32 } from "../../src/io/host-tensor";
import { decodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { AlexNet, loadDeployed } from "../../src/models";
import { verify } from "../../src/ownership";
import { Generator } from "../../src/tensor/random";
import { scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { evaluate } from "../../src/train/evaluate";
import { expectClose, gpu } from "../support/gpu";

const folder = process.env["PAN_TRAINED"] ?? "";
const present = existsSync(join(folder, "pan_alexnet_trained.safetensors")) && folder !== "";
if (!present)
  console.warn(
    "The trained network of the authors is not here: its tests are skipped. Name its folder in PAN_TRAINED.",
  );
const COUNT = Number(process.env["PAN_TRAINED_IMAGES"] ?? 48);

describe.skipIf(!present)("a network trained by the authors' code", () => {
  const read = (name: string): SafetensorsFile => decodeSafetensors(readFileSync(join(folder, name)));
  const images = subset(
    parseCifar10(readFileSync(new URL("../../examples/data/test_sample.bin", import.meta.url))),
    0,
    COUNT,
  );
  let model: AlexNet;
  let expected: SafetensorsFile;
  let signature: string;
  beforeAll(async () => {
    await gpu();
    const trained = read("pan_alexnet_trained.safetensors");
    expected = read("pan_alexnet_trained_expect.safetensors");
    signature = trained.metadata["signature"]!;
    model = new AlexNet({ scheme: "pan", passports: { 4: true, 5: true, 6: signature } });
    model.loadStateDict(trained.tensors);
    model.eval();
  });

  for (const branch of ["public", "private"] as const)
    it(`gives its logits in the ${branch} branch`, async () => {
      const logits = toFloat32(expected.tensors.get(`logits.${branch}`)!);
      for await (const batch of new DataLoader(images, { batchSize: 48, transform: cifarTransform("test") }).epoch(0)) {
        const y = scope(() => noGrad(() => model.forward(Tensor.from(batch.images, batch.shape), branch)));
        const at = 48 * batch.index * 10;
        expectClose(await y.data(), logits.subarray(at, at + batch.size * 10), {
          rtol: 1e-3,
          atol: 1e-3,
          what: `batch ${batch.index}`,
        });
        y.dispose();
      }
    });

  it("splits into a deployed half that verifies with the credential, exactly as accurate, and not with random passports", async () => {
    const right = (branch: string) => {
      const logits = toFloat32(expected.tensors.get(`logits.${branch}`)!);
      const labels = toFloat32(expected.tensors.get("labels")!);
      let n = 0;
      for (let i = 0; i < COUNT; i++) {
        const row = logits.subarray(10 * i, 10 * i + 10);
        if (row.indexOf(Math.max(...row)) === labels[i]) n++;
      }
      return n / COUNT;
    };
    const claimed = { public: right("public"), private: right("private") };
    const [deployed, credential] = [await model.deployed(), await model.credential(claimed)];
    const found = await verify(deployed, credential, { test: images, transform: cifarTransform("test") });
    expect(found.accuracy).toEqual(claimed);
    expect(found.decodedText).toBe(signature);
    expect([found.matched, found.bits]).toEqual([896, 896]);
    expect(found.holds).toBe(true);
    const plain = loadDeployed(deployed);
    expect(
      (await evaluate(plain, subset(images, 0, 16), { transform: cifarTransform("test") })).private,
    ).toBeUndefined();
    plain.dispose();
    model.randomPassports(new Generator(5));
    const signs = await model.readSigns();
    const matched = signs.reduce((s, l) => s + l.matched, 0);
    expect(matched).toBeLessThan(520);
    const forged = await evaluate(model, images, { branches: ["private"], transform: cifarTransform("test") });
    expect(forged.private).toBeLessThan(0.35);
  });
});
