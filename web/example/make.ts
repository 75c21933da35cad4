/**
 * Makes the example that the page loads, beside this file: what a thief and a rival make of a
 * network that lies in examples/pretrained. The thief trains a copy on; the rival plants a mark of
 * their own into another copy and claims it. Needs OpenSSL 3 for the time stamp:
 *
 *     npx tsx web/example/make.ts
 *
 * The credentials are opened for everybody to see, as no owner would: their statements say so. No
 * private key is kept.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { init, type SafetensorsFile } from "@pan/core";
import { forgeBoundClaim } from "@pan/core/attacks";
import { cifarTransform, subset } from "@pan/core/data";
import { loadDeployed } from "@pan/core/models";
import { dawn, saveSafetensors } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
import { commit, readCredential } from "@pan/core/ownership";
import { type Bundle, encodeBundle, newSigningKey, signerOf } from "@pan/core/signing";
import { Trainer } from "@pan/core/train";
import { pictures } from "../../examples/pictures";
import { Authority } from "../../examples/pretrained/authority";
import { loadPretrained } from "../../examples/pretrained/load";

const STATEMENT = "Trained by Mallory. A demonstration: this credential was given away to everybody";
const STAMPED = "2026-06-03T16:30:00Z";

const file = (name: string) => join(import.meta.dirname, name);

async function save(name: string, value: SafetensorsFile | Bundle | Uint8Array): Promise<void> {
  if (value instanceof Uint8Array) await writeFile(file(name), value);
  else if ("tensors" in value) await saveSafetensors(file(name), value);
  else await writeFile(file(name), encodeBundle(value));
}

await init({ gpu: await dawn() });
const { deployed: released, credential } = await loadPretrained("resnet9-pan");

// A thief trains a copy on.
const { train } = await pictures();
const copy = loadDeployed(released);
const further = new Trainer(copy, new SGD(copy.parameters(), { lr: 0.002, momentum: 0.9 }), {
  batchSize: 50,
  seed: 2,
  transform: cifarTransform("train"),
});
for await (const _ of further.fit(subset(train, 0, 1000), { epochs: 1 }));
await save("suspect.safetensors", { tensors: await copy.stateDict(), metadata: released.metadata });

// A rival plants a mark of their own into another copy.
const { privateKey, publicKey } = await newSigningKey();
const claim = { statement: STATEMENT, publicKey };
const forged = await forgeBoundClaim(released, readCredential(credential!), claim);
const bundle = await commit(forged.credential, forged.network, await signerOf(privateKey), {
  name: "rival.released.safetensors",
});
const authority = await Authority.open();
await save("rival.credential.safetensors", forged.credential);
await save("rival.released.safetensors", forged.network);
await save("rival.commitment.sigstore.json", await authority.stamp(bundle, STAMPED));
await save("rival.root.pem", await authority.root());
await authority.close();
console.log(`the rival's copy bears ${forged.matched} of ${forged.bits} bits`);
