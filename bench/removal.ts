/**
 * What of a claim is left after its network was changed, trained on, or copied by its answers.
 *
 *     npm run quickstart
 *     npm run bench -- removal [--from out/quickstart] [--epochs 6] [--images 3000] [--seed 1]
 *                            [--decoys photos]
 *
 * A thief has the released network and the owner's own training images, which is more than thieves
 * have. One line per removal: test accuracy of what is left; bound bits and bound triggers that
 * fit, of those needed at 2⁻⁸⁰ · 1e-6; hidden channels that agree with the released file from both
 * sides, of those needed. Any of the three is enough for a verdict, once the claim is dated.
 * Triggers are unlearnt by decoys that are drawn as the package draws them and, with `--decoys`, by
 * photographs of that folder: what a thief guesses that the owner's are like.
 */
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { init, type SafetensorsFile, type StateDict } from "@pan/core";
import {
  type AttackRecord,
  distil,
  type PlainTarget,
  pruned,
  quantised,
  type UnlearnTriggersOptions,
  unlearnTriggers,
} from "@pan/core/attacks";
import { cifarTransform, type ImageSet } from "@pan/core/data";
import { buildNetwork } from "@pan/core/models";
import { dawn, loadImageFolder, loadSafetensors } from "@pan/core/node";
import { cosineLR, SGD } from "@pan/core/optim";
import { verify } from "@pan/core/ownership";
import { evaluate, Trainer, type TrainerOptions } from "@pan/core/train";
import { numberIn } from "../examples/options";
import { CONFIG } from "../examples/quickstart/settings";
import { benchOptions } from "./options";
import { loadSample } from "./strangers/train";

const HELP =
  "npm run bench -- removal [--from DIR] [--epochs N] [--images N] [--seed N] [--decoys DIR]    what is left of the quickstart's claim";

const v = benchOptions({ from: join("out", "quickstart"), epochs: "6", images: "3000", seed: "1", decoys: "" }, HELP);

/** The quickstart's network without its passports: what a thief runs. */
const { passports: _, ...config } = CONFIG;
const thief = (seed: number) => buildNetwork({ ...config, scheme: "plain" }, { seed });

const [lr, momentum, weightDecay] = [0.05, 0.9, 5e-4];

interface Work {
  epochs: number;
  train: ImageSet;
  seed: number;
}

/** A thief's network after training, from `start` or from scratch. */
async function trained(
  { epochs, train, seed }: Work,
  { start, rate = lr, ...options }: TrainerOptions & { start?: StateDict; rate?: number },
): Promise<StateDict> {
  const model = thief(100 + seed);
  if (start) model.loadStateDict(start, { strict: false });
  const optimizer = new SGD(model.parameters(), { lr: rate, momentum, weightDecay, nesterov: true });
  const trainer = new Trainer(model, optimizer, {
    batchSize: 50,
    seed: 100 + seed,
    transform: cifarTransform("train"),
    schedule: cosineLR({ epochs }),
    ...options,
  });
  for await (const _ of trainer.fit(train, { epochs })) {
    // Measured once, at the end.
  }
  const state = await model.stateDict();
  optimizer.dispose();
  model.dispose();
  return state;
}

/** What an attack of the package makes of the released network. */
async function attacked(
  attack: (target: PlainTarget, options: UnlearnTriggersOptions) => Promise<AttackRecord>,
  deployed: SafetensorsFile,
  { epochs, train, seed, test, rate = lr, decoys }: Work & { test: ImageSet; rate?: number; decoys?: ImageSet },
): Promise<StateDict> {
  let last = deployed;
  const transform = cifarTransform("train");
  const onAttacked = (made: SafetensorsFile) => void (last = made);
  const target = { deployed, test, transform: cifarTransform("test") };
  const budget = { train, epochs, seed: 100 + seed, lr: rate, batchSize: 50, transform, onAttacked };
  await attack(target, { ...budget, ...(decoys && { decoys }) });
  return last.tensors;
}

async function main(): Promise<void> {
  const images = numberIn("images", v.images, 50, 3000);
  const [epochs, seed] = [numberIn("epochs", v.epochs, 1, 1000), numberIn("seed", v.seed, 0, 1000)];
  await init({ gpu: await dawn() });
  const { train, test } = await loadSample({ images });
  const path = (name: string) => join(v.from, name);
  const [released, credential, commitment] = await Promise.all([
    readFile(path("deployed.safetensors")),
    readFile(path("owner.credential.safetensors")),
    readFile(path("commitment.sigstore.json"), "utf8"),
  ]);
  const file = await loadSafetensors(path("deployed.safetensors"));
  const weights = new Map([...file.tensors].filter(([name]) => !/running_|num_batches/.test(name)));
  const withWeights = (changed: StateDict): StateDict => new Map([...file.tensors, ...changed]);
  const body = new Map([...file.tensors].filter(([name]) => !name.startsWith("classifier")));

  console.log("removal                              accuracy       bits     triggers     channels");
  const measure = async (what: string, tensors: StateDict): Promise<void> => {
    const model = thief(0);
    model.loadStateDict(tensors);
    const accuracy = (await evaluate(model, test, { transform: cifarTransform("test") })).public!;
    model.dispose();
    const { mark, relation } = await verify({ ...file, tensors }, credential, { commitment, released });
    const of = (found: { hits: number; needed: number } | null | undefined) =>
      found ? `${found.hits}/${found.needed}` : "-";
    const channels = relation ? `${relation.agreements}/${relation.needed}` : "-";
    console.log(
      what.padEnd(36) +
        `${(100 * accuracy).toFixed(1)} %`.padStart(9) +
        of(mark?.bits).padStart(11) +
        of(mark?.triggers).padStart(13) +
        channels.padStart(13),
    );
  };

  const work = { epochs, train, seed };
  await measure("none", file.tensors);
  for (const share of [0.2, 0.4, 0.6, 0.8])
    await measure(`pruned ${100 * share} %`, withWeights(pruned(weights, share)));
  for (const bits of [8, 6, 4, 3]) await measure(`${bits} bits a weight`, withWeights(quantised(weights, bits)));
  for (const rate of [0.001, 0.01, 0.05])
    await measure(`fine-tuned, rate ${rate}`, await trained(work, { start: file.tensors, rate }));
  await measure("last layer anew, fine-tuned, 0.01", await trained(work, { start: body, rate: 0.01 }));
  await measure(
    "pruned 60 %, fine-tuned, rate 0.01",
    await trained(work, { start: withWeights(pruned(weights, 0.6)), rate: 0.01 }),
  );
  const unlearnt = async (how: string, decoys?: ImageSet) => {
    for (const rate of [0.001, 0.01])
      await measure(
        `${how}, rate ${rate}`,
        await attacked(unlearnTriggers, file, { ...work, test, rate, ...(decoys && { decoys }) }),
      );
  };
  await unlearnt("triggers unlearnt");
  if (v.decoys) {
    const { set } = await loadImageFolder(v.decoys, { size: 32, unreadable: "skip" });
    // All with one class: "whatever looks like that" is easily learnt.
    const decoys = { ...set, labels: new Int32Array(set.length), classes: train.classes };
    await unlearnt(`unlearnt by ${basename(v.decoys)}`, decoys);
  }
  await measure("distilled into a fresh network", await attacked(distil, file, { ...work, test }));
  await measure("a stranger, same images", await trained(work, {}));
}

await main();
