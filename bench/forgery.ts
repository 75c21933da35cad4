/**
 * `npm run bench -- forgery`: milliseconds that a bound claim takes to be forged, and bits that the
 * forger's copy matches, on a network of the quickstart's size. Median and least of fifteen
 * secrets, after one that warms up. Where there are the files of a quickstart (`--from DIR`, by
 * default out/quickstart), the claim is forged on them too, and verified and judged beside the
 * owner's: nothing is dated.
 */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeSafetensors, init } from "@pan/core";
import { forgeBoundClaim } from "@pan/core/attacks";
import { buildNetwork } from "@pan/core/models";
import { dawn, loadSafetensors } from "@pan/core/node";
import { commit, judge, type Verification, verify } from "@pan/core/ownership";
import { newSigningKey, signerOf } from "@pan/core/signing";
import { CONFIG } from "../examples/quickstart/settings";
import { median } from "./median";
import { benchOptions } from "./options";

const { from } = benchOptions(
  { from: join("out", "quickstart") },
  "npm run bench -- forgery [--from DIR]    how long a claim takes to be forged, and what that is worth",
);

await init({ gpu: await dawn() });
const model = buildNetwork(CONFIG, { seed: 1 });
const deployed = await model.deployed();
model.dispose();
const passports = Object.fromEntries(Object.keys(CONFIG.passports ?? {}).map((layer) => [layer, true]));
console.log("means         milliseconds   least   bits matched");
for (const means of ["none", "negation", "permutation", "inputScaling", "all"] as const) {
  const made = [];
  for (let seed = 0; seed < 16; seed++)
    made.push(await forgeBoundClaim(deployed, { ...CONFIG, passports }, { means, seed, version: 1 }));
  const timed = made.slice(1).map((f) => f.milliseconds);
  const [middle, least] = [median(timed), Math.min(...timed)].map((ms) => ms.toFixed(0));
  const matched = median(made.slice(1).map((f) => f.matched));
  console.log(`${means.padEnd(14)}${middle!.padStart(12)}${least!.padStart(8)}   ${matched} of ${made[0]!.bits}`);
}

/** Forges a claim on a quickstart's files, and has it verified and judged. */
async function onFiles(folder: string): Promise<void> {
  const [released, credential, commitment] = await Promise.all([
    readFile(join(folder, "deployed.safetensors")),
    readFile(join(folder, "owner.credential.safetensors")),
    readFile(join(folder, "commitment.sigstore.json"), "utf8"),
  ]);
  const file = await loadSafetensors(join(folder, "deployed.safetensors"));
  const key = await newSigningKey();
  const forged = await forgeBoundClaim(
    file,
    { ...CONFIG, passports },
    { means: "all", seed: 1, publicKey: key.publicKey },
  );
  const copy = encodeSafetensors(forged.network.tensors, forged.network.metadata);
  const claim = encodeSafetensors(forged.credential.tensors, forged.credential.metadata);
  const own = { commitment: await commit(claim, copy, await signerOf(key.privateKey)), released: copy };
  const owners = { commitment, released };
  const line = (what: string, { verdict, mark }: Verification) => {
    const of = (m: { hits: number; needed: number } | null | undefined) => (m ? `${m.hits} (${m.needed})` : "-");
    const found = `bits ${of(mark?.bits)}, triggers ${of(mark?.triggers)}`;
    console.log(`${what.padEnd(34)} ${verdict.padEnd(14)} ${found}`);
  };
  console.log(`\nfiles of ${folder}                  verdict        found (needed)`);
  line("owner's claim, owner's release", await verify(released, credential, owners));
  line("owner's claim, forger's copy", await verify(copy, credential, owners));
  line("forger's claim, forger's copy", await verify(copy, claim, own));
  line("forger's claim, owner's release", await verify(released, claim, own));
  const { ruling, sentence } = await judge({ credential, ...owners }, { credential: claim, ...own });
  console.log(`judge, owner A, forger B           ${ruling}: ${sentence}`);
}

if (existsSync(join(from, "commitment.sigstore.json"))) await onFiles(from);
