/**
 * What the examples of networks of one's own have in common: the network is bound to its owner and
 * trained, given away with a signed commitment, verified by a stranger, and attacked.
 */
import type { SafetensorsFile } from "@pan/core";
import { pruned } from "@pan/core/attacks";
import { type AnySet, cifarTransform } from "@pan/core/data";
import { AdamW, cosineLR, type Optimizer, type Params } from "@pan/core/optim";
import { bind, boundCredential, commit, newSecret, rejoin, verify } from "@pan/core/ownership";
import { type BranchAccuracy, type Network, type Protected, type ProtectOptions, protect } from "@pan/core/passport";
import { newSigningKey, signerOf } from "@pan/core/signing";
import { type EpochRecord, evaluate, Trainer, type TrainerOptions } from "@pan/core/train";
import { pictures } from "./pictures";

export const percent = (share: number | undefined): string => `${(100 * (share ?? 0)).toFixed(1)} %`;

/** A network of one's own, what it learns, and how. */
export interface Work<N extends Network> {
  /** Makes the network without its passports: what a stranger and a thief run. */
  network: () => N;
  passports: ProtectOptions;
  train: AnySet;
  test: AnySet;
  epochs: number;
  optimizer: (parameters: Params) => Optimizer;
  options: TrainerOptions;
  /** What is measured of the branches, and how it is written. */
  measure: (opened: Protected) => Promise<BranchAccuracy>;
  show: Show;
}

type Show = (value: number | undefined) => string;

const bothBranches = (of: BranchAccuracy, show: Show) => `public ${show(of.public)}, private ${show(of.private)}`;

const epochLine = (e: EpochRecord, show: Show) =>
  `epoch ${e.epoch}    ${bothBranches(e, show)}, ${e.bitsMatched} of ${e.bits} bits, ${e.seconds.toFixed(0)} s`;

/**
 * Trains it as its owner, gives it away, and lets a stranger verify the claim on what has become of
 * it.
 * @param trained called with the trained network before it is gone
 */
export async function prove<N extends Network>(
  work: Work<N>,
  trained?: (owned: Protected<N>) => Promise<void>,
): Promise<void> {
  const { network, train, test, show } = work;
  const owned = protect(network(), work.passports);
  const key = await newSigningKey();
  const binding = {
    statement: "Trained by ACME, with @pan/core",
    secret: newSecret(), // keep the secret and the private key: who has them claims as you
    publicKey: key.publicKey,
  };
  await bind(owned, binding);
  const optimizer = work.optimizer(owned.parameters());
  const trainer = new Trainer(owned, optimizer, { seed: 1, ...work.options });
  for await (const e of trainer.fit(train, { epochs: work.epochs, test })) console.log(epochLine(e, show));
  optimizer.dispose();
  await trained?.(owned.eval());

  const released = await owned.deployed(); // give this away
  const credential = await boundCredential(await owned.credential(), binding); // keep this secret
  // publish this, with a time stamp, before the release
  const commitment = await commit(credential, released, await signerOf(key.privateKey));
  owned.dispose();

  /** A stranger: the verdict from the files alone, then the branches with the network's code. */
  const check = async (what: string, suspect: SafetensorsFile) => {
    const { mark, verdict, sentence } = await verify(suspect, credential, { commitment, released });
    const opened = rejoin(suspect, credential, network());
    const bits = mark?.bits ? `, ${mark.bits.hits} of ${mark.bits.count} bound bits (${mark.bits.needed} needed)` : "";
    console.log(`${what.padEnd(10)} ${bothBranches(await work.measure(opened), show)}${bits}`);
    console.log(`           ${verdict}. ${sentence}`);
    opened.dispose();
  };
  await check("released", released);
  const other = network();
  await check("stranger's", { ...released, tensors: await other.stateDict() });
  other.dispose();
  await check("pruned", { ...released, tensors: pruned(released.tensors, 0.3) });

  // A thief trains on without the passports, even on the owner's data.
  const stolen = network();
  stolen.loadStateDict(released.tensors);
  const tuning = new AdamW(stolen.parameters(), { lr: 0.001 });
  const thief = new Trainer(stolen, tuning, { ...work.options, seed: 7 });
  for await (const _ of thief.fit(train, { epochs: 1 }));
  await check("fine-tuned", { ...released, tensors: await stolen.stateDict() });
  tuning.dispose();
  stolen.dispose();
  console.log('A dated commitment and the suspect\'s date are missing for "holds": npm run quickstart -- --help');
}

/** The same for a classifier of the CIFAR-10 sample, six epochs. */
export async function provePictures(
  work: Pick<Work<Network>, "network" | "optimizer"> & { passports: Omit<ProtectOptions, "sample" | "scheme"> },
) {
  const epochs = 6;
  const transform = cifarTransform("test");
  const { train, test } = await pictures();
  await prove({
    ...work,
    passports: { scheme: "pan", sample: [1, 32, 32, 3], ...work.passports },
    train,
    test,
    epochs,
    options: {
      batchSize: 50,
      transform: cifarTransform("train"),
      testTransform: transform,
      schedule: cosineLR({ epochs, warmup: 1 }),
    },
    measure: (opened) => evaluate(opened, test, { transform }),
    show: percent,
  });
}
