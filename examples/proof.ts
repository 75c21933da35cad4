/**
 * What the examples of networks of one's own end with: the network is given away, a stranger
 * verifies the claim, and somebody tries to get rid of the signature.
 */
import { type AttackRecord, fineTune, prune } from "@pan/core/attacks";
import type { SampleSet, SampleTransform } from "@pan/core/data";
import { type Binding, boundCredential, commit, verify } from "@pan/core/ownership";
import type { Network, Protected } from "@pan/core/passport";

export const percent = (share: number | undefined): string => `${(100 * (share ?? 0)).toFixed(1)} %`;

/** A trained network of one's own, and what it is tried with. */
export interface Proof {
  owned: Protected;
  binding: Binding;
  /** Makes the network without its passports: what a stranger runs needs its code. */
  model: () => Network;
  /** What an attacker trains on. */
  train: SampleSet;
  test: SampleSet;
  transform: readonly SampleTransform[];
}

/** Deploys, verifies as a stranger would, and attacks; the network is gone afterwards. */
export async function prove({ owned, binding, model, train, test, transform }: Proof): Promise<void> {
  // give this away: the network's own state dict, and nothing else
  const deployed = await owned.deployed();
  const credential = await boundCredential(await owned.credential(), binding); // keep this secret
  const commitment = await commit(credential, deployed); // publish this before the release
  owned.dispose();
  console.log(`deployed   ${deployed.tensors.size} tensors, none of them private`);

  const files = await verify(deployed, credential, { commitment });
  console.log(
    `verified   from the files alone: "${files.decodedText}", ${files.matched} of ${files.bits} bits: the claim ${files.holds ? "holds" : "fails"}`,
  );
  const run = await verify(deployed, credential, { commitment, model, test, transform });
  console.log(
    `           with the code: public ${percent(run.accuracy.public)}, private ${percent(run.accuracy.private)}`,
  );
  const stranger = model();
  const { tensors } = await verifiable(stranger);
  const other = await verify({ ...deployed, tensors }, credential, { commitment });
  console.log(`           a stranger's network: ${other.matched} of ${other.bits} bits`);

  const target = { deployed, credential, test, transform, model };
  say(await prune(target, { shares: [0.3, 0.6] }));
  say(await fineTune(target, { mode: "ftal", train, epochs: 1, transform }));
}

/** A network that was never trained, as a file. */
async function verifiable(network: Network) {
  const tensors = await network.stateDict();
  network.dispose();
  return { tensors };
}

function say({ attack, steps }: AttackRecord): void {
  for (const { setting, after } of steps) {
    const at = Object.entries(setting).map(([name, value]) => `${name} ${value}`);
    const { accuracy, matched, bits } = after;
    console.log(
      `attacked   ${attack}, ${at}: ${matched} of ${bits} bits, public ${percent(accuracy.public)}, private ${percent(accuracy.private)}`,
    );
  }
}
