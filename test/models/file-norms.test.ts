/** Names of norms in files: `ln` of the first files is group norm in one group. */

import { beforeAll, describe, expect, it } from "vitest";
import { buildNetwork, deployedConfig, loadDeployed, type NetworkConfig, readCredential } from "../../src/models";
import { scope } from "../../src/tensor/storage";
import { noGrad } from "../../src/tensor/tensor";
import { firstFiles } from "../support/first-files";
import { gpu, randomTensor } from "../support/gpu";
import { TINY } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const IN_FILES = { gn1: "ln", ln: "layer", gn: "gn", bn: "bn" } as const;

const configOf = (norm: keyof typeof IN_FILES): NetworkConfig => ({
  ...TINY,
  norm,
  layers: TINY.layers.map((l) => (l === "pool" ? l : { ...l, channels: 32 })),
});

describe.each(Object.entries(IN_FILES) as ["gn1" | "ln" | "gn" | "bn", string][])("%s", (norm, name) => {
  it(`is "${name}" in files, and comes back as the same network`, async () => {
    const config = configOf(norm);
    const model = buildNetwork(config, { seed: 4 });
    const first = await firstFiles(model, config);
    const x = randomTensor([2, ...TINY.input], 3);
    const b = scope(() => noGrad(() => model.eval().forward(x)));
    for (const { deployed, credential } of [
      first,
      { deployed: await model.deployed(), credential: await model.credential() },
    ]) {
      for (const file of [deployed, credential]) {
        const said = JSON.parse(file.metadata["model"]!).norm as string | undefined;
        expect(said ?? "bn").toBe(name);
      }
      expect(deployedConfig(deployed).norm ?? "bn").toBe(norm);
      expect(readCredential(credential).config!.norm ?? "bn").toBe(norm);
      const loaded = loadDeployed(deployed);
      const a = scope(() => noGrad(() => loaded.forward(x)));
      expect(await a.data()).toEqual(await b.data());
      for (const t of [a, loaded]) t.dispose();
    }
    for (const t of [x, b, model]) t.dispose();
  });

  it("makes a credential of the first format the same secret as one of the second", async () => {
    const config = configOf(norm);
    const model = buildNetwork(config, { seed: 4 });
    const [first, second] = [
      readCredential((await firstFiles(model, config, { public: 0.5 })).credential),
      readCredential(await model.credential({ public: 0.5 })),
    ];
    expect([first.format, second.format]).toEqual([1, 2]);
    for (const key of ["scheme", "fc", "statistics", "places", "separate", "texts", "claimed", "config"] as const)
      expect(first[key], key).toEqual(second[key]);
    expect([...first.tensors.keys()].sort()).toEqual([...second.tensors.keys()].sort());
    for (const [name, t] of second.tensors) expect(first.tensors.get(name), name).toEqual(t);
    model.dispose();
  });
});

it("the two kinds of layer norm are two functions", async () => {
  const outputs = [];
  for (const norm of ["gn1", "ln"] as const) {
    const model = buildNetwork({ ...TINY, norm }, { seed: 4 }).eval();
    const x = randomTensor([2, ...TINY.input], 3);
    const y = scope(() => noGrad(() => model.forward(x)));
    outputs.push([...(await y.data())]);
    for (const t of [x, y, model]) t.dispose();
  }
  expect(outputs[0]).not.toEqual(outputs[1]);
});
