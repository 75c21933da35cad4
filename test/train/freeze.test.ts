import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import { BatchNorm } from "../../src/nn";
import { SGD } from "../../src/optim/sgd";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import type { Network } from "../support/networks";
import { TINY, TINY_PLAIN, tinySet } from "../support/tiny";

beforeAll(gpu);

const images = tinySet(60, 1);

async function values(model: Network): Promise<Map<string, string>> {
  const read = async ([name, p]: [string, { data(): Promise<Float32Array> }]) =>
    [name, (await p.data()).join()] as const;
  return new Map(await Promise.all(model.namedParameters().map(read)));
}

/** Names of the parameters that one epoch moved. */
async function moved(model: Network, trainer: Trainer, epochs: number): Promise<string[]> {
  const before = await values(model);
  for await (const _ of trainer.fit(images, { epochs }));
  const after = await values(model);
  return [...after.keys()].filter((name) => after.get(name) !== before.get(name));
}

describe("a trainer", () => {
  it.each([true, false])("leaves frozen parameters as they are, and trains them again (replay: %s)", async (replay) => {
    const model = buildNetwork(TINY, { seed: 2 });
    const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9, weightDecay: 5e-4 });
    const trainer = new Trainer(model, optimizer, { batchSize: 10, seed: 1, replay });
    const all = model.namedParameters().map(([name]) => name);
    const isFrozen = (name: string) => name.startsWith("features.0.") || name.endsWith(".bias");
    expect(await moved(model, trainer, 1)).toEqual(all);
    model.freeze("features.0").freeze("*.bias");
    expect(await moved(model, trainer, 2)).toEqual(all.filter((name) => !isFrozen(name)));
    model.unfreeze();
    expect(await moved(model, trainer, 3)).toEqual(all);
    for (const x of [optimizer, model]) x.dispose();
  });

  it("leaves statistics of norms in evaluation mode as they are", async () => {
    const model = buildNetwork(TINY_PLAIN, { seed: 2 });
    const optimizer = new SGD(model, { lr: 0.02 });
    for (const [, norm] of model.find(BatchNorm)) norm.freeze().eval();
    const before = (await model.stateDict()).get("features.0.bn.running_mean");
    const trainer = new Trainer(model, optimizer, { batchSize: 10, seed: 1 });
    expect((await moved(model, trainer, 1)).some((name) => name.includes(".bn."))).toBe(false);
    expect((await model.stateDict()).get("features.0.bn.running_mean")).toEqual(before);
    for (const x of [optimizer, model]) x.dispose();
  });

  it("refuses a network whose parameters are all frozen", async () => {
    const model = buildNetwork(TINY_PLAIN, { seed: 2 }).freeze();
    const optimizer = new SGD(model, { lr: 0.02 });
    const trainer = new Trainer(model, optimizer, { batchSize: 10 });
    const run = trainer.fit(images, { epochs: 1 });
    await expect(run.next()).rejects.toThrow(ArgumentError);
    await expect(trainer.fit(images, { epochs: 1 }).next()).rejects.toThrow(/frozen.*unfreeze\(\)/);
    model.unfreeze("features.0");
    expect(await moved(model, trainer, 1)).toEqual([
      "features.0.conv.weight",
      "features.0.bn.weight",
      "features.0.bn.bias",
    ]);
    for (const x of [optimizer, model]) x.dispose();
  });
});
