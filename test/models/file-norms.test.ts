/** Names of norms in files: `ln` of the first files is group norm in one group. */

import { beforeAll, describe, expect, it } from "vitest";
import { buildNetwork } from "../../src/models";
import { deployedConfig, loadDeployed, readCredential } from "../../src/models/build";
import { scope } from "../../src/tensor/storage";
import { noGrad } from "../../src/tensor/tensor";
import { gpu, randomTensor } from "../support/gpu";
import { TINY } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const IN_FILES = { gn1: "ln", ln: "layer", gn: "gn", bn: "bn" } as const;

describe.each(Object.entries(IN_FILES) as ["gn1" | "ln" | "gn" | "bn", string][])("%s", (norm, name) => {
  it(`is "${name}" in files, and comes back as the same network`, async () => {
    const config = { ...TINY, norm, layers: TINY.layers.map((l) => (l === "pool" ? l : { ...l, channels: 32 })) };
    const model = buildNetwork(config, { seed: 4 });
    const [deployed, credential] = [await model.deployed(), await model.credential()];
    for (const file of [deployed, credential]) {
      const said = JSON.parse(file.metadata["model"]!).norm as string | undefined;
      expect(said ?? "bn").toBe(name);
    }
    expect(deployedConfig(deployed).norm ?? "bn").toBe(norm);
    expect(readCredential(credential).config.norm).toBe(norm);
    const loaded = loadDeployed(deployed);
    const x = randomTensor([2, ...TINY.input], 3);
    const [a, b] = scope(() => noGrad(() => [loaded.forward(x), model.eval().forward(x)]));
    expect(await a!.data()).toEqual(await b!.data());
    for (const t of [x, a!, b!, loaded, model]) t.dispose();
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
