/**
 * Files that the first format's own writer left: test/golden/first_deployed and first_credential,
 * and beside them what that version computed (first_results): logits of both branches for images of
 * the seed below, and γ of each layer.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deployedConfig, loadDeployed, readCredential } from "../../src/models";
import { examine, rejoin } from "../../src/ownership";
import type { Protected } from "../../src/passport";
import { scope } from "../../src/tensor/storage";
import { noGrad, type Tensor } from "../../src/tensor/tensor";
import { firstFiles } from "../support/first-files";
import { Golden } from "../support/golden";
import { expectClose, gpu, randomTensor } from "../support/gpu";
import type { Network } from "../support/networks";
import { TINY, TINY_PLAIN } from "../support/tiny";

const [deployed, credential] = [new Golden("first_deployed").file, new Golden("first_credential").file];
const results = new Golden("first_results");
const CONFIG = { ...TINY, signature: "ok" };

let owned: Protected;
beforeAll(async () => {
  await gpu();
  owned = rejoin(deployed, credential);
});
afterAll(() => owned.dispose());

const logitsOf = async (f: (x: Tensor) => unknown): Promise<Float32Array> => {
  const x = randomTensor([3, 8, 8, 3], 4);
  const y = scope(() => noGrad(() => f(x))) as Tensor;
  const data = await y.data();
  for (const t of [x, y]) t.dispose();
  return data;
};

/** To a share of the largest number. */
function expectNear(found: Float32Array, name: string): void {
  const wanted = results.data(name);
  expectClose(found, wanted, { rtol: 0, atol: 1e-5 * Math.max(...wanted.map(Math.abs)), what: name });
}

describe("files of the first format", () => {
  it("say what they said", () => {
    expect(deployedConfig(deployed)).toEqual(TINY_PLAIN);
    const { format, scheme, config, claimed, texts, places } = readCredential(credential);
    expect({ format, scheme, config, claimed }).toEqual({
      format: 1,
      scheme: "pan",
      config: TINY_PLAIN,
      claimed: { public: 0.75, private: 0.5 },
    });
    expect(texts).toEqual([
      { text: "PAN!", layers: ["features.3.bn"] },
      { text: "ok", layers: ["features.2.bn"] },
    ]);
    expect(places.map(({ norm, text }) => [norm, text])).toEqual([
      ["features.2.bn", 2],
      ["features.3.bn", 4],
    ]);
  });

  it("give the deployed network that they were made of", async () => {
    const plain = loadDeployed(deployed);
    expectNear(await logitsOf((x) => plain.forward(x)), "logits.public");
    plain.dispose();
  });

  it("give both branches, joined, and γ of every layer", async () => {
    for (const branch of owned.branches)
      expectNear(await logitsOf((x) => owned.forward(x, branch)), `logits.${branch}`);
    for (const { name, gamma } of await owned.readSigns()) expectNear(gamma, `gamma.${name.replace(/\.bn$/, "")}`);
  });

  it("are examined: as many signs match as did", async () => {
    const { layers } = await examine(deployed, credential);
    const bits = new Map((await owned.readSigns()).map((s) => [s.name, s.bits]));
    for (const { name, matched } of layers) {
      const gamma = results.data(`gamma.${name.replace(/\.bn$/, "")}`);
      expect(matched, name).toBe(gamma.reduce((n, g, i) => n + (g * bits.get(name)![i]! > 0 ? 1 : 0), 0));
    }
    expect(layers.map((l) => l.name)).toEqual(["features.2.bn", "features.3.bn"]);
  });

  it("are those that other tests make by hand", async () => {
    const made = await firstFiles(owned as Network, CONFIG, { public: 0.75, private: 0.5 });
    for (const [found, wanted] of [
      [made.deployed, deployed],
      [made.credential, credential],
    ] as const) {
      expect([...found.tensors.keys()].sort()).toEqual([...wanted.tensors.keys()].sort());
      for (const [name, t] of wanted.tensors) expect(found.tensors.get(name), name).toEqual(t);
      const said = ({ model, ...rest }: Record<string, string>) => ({ ...rest, model: JSON.parse(model!) });
      expect(said(found.metadata)).toEqual(said(wanted.metadata));
    }
  });
});
