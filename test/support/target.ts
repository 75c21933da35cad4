import type { Target } from "../../src/attacks";
import { buildNetwork, type NetworkConfig } from "../../src/models";
import { SGD } from "../../src/optim";
import { evaluate, Trainer } from "../../src/train";
import { tinySet } from "./tiny";

/**
 * A tiny network trained until both branches classify and every bit is embedded, as an attacker and
 * its owner have it.
 */
export async function trainedTarget(config: NetworkConfig): Promise<Target> {
  const model = buildNetwork(config, { seed: 4 });
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, signLoss: { alpha: 1 } });
  for await (const _ of trainer.fit(tinySet(120, 1), { epochs: 6 }));
  const test = tinySet(60, 2);
  const [deployed, credential] = [await model.deployed(), await model.credential(await evaluate(model, test))];
  optimizer.dispose();
  model.dispose();
  return { deployed, credential, test };
}
