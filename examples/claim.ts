/**
 * What a training run leaves for its owner's claim: the two halves, and, where the network is
 * bound, the commitment to publish.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ArgumentError } from "@pan/core";
import { loadSafetensors, saveSafetensors } from "@pan/core/node";
import { type Binding, bind, boundCredential, commit, newSecret } from "@pan/core/ownership";
import type { BranchAccuracy, Protected } from "@pan/core/passport";
import type { Commitment } from "../src/ownership/commitment";
import { json, savePrivate, saveText } from "./files";

/** Where a run keeps its secret. */
const secretFile = (out: string) => join(out, "binding.secret.json");

/**
 * Binds a network to a statement and a fresh secret. The secret outlives an interrupted run: a
 * resumed one must have the same.
 */
export async function bindNetwork(
  model: Protected,
  { statement, out, resume }: { statement: string; out: string; resume: boolean },
): Promise<Binding> {
  const path = secretFile(out);
  const known = resume && existsSync(path);
  const binding: Binding = known
    ? (JSON.parse(await readFile(path, "utf8")) as Binding)
    : { statement, secret: newSecret() };
  if (binding.statement !== statement)
    throw new ArgumentError(`--statement: the run in ${out} says "${binding.statement}"; resume with that`);
  await bind(model, binding);
  await savePrivate(path, json(binding));
  return binding;
}

/** Files of a claim. */
export interface ClaimPaths {
  deployed: string;
  /** Null for a plain network. */
  credential: string | null;
  /** Null for a network that is not bound. */
  commitment: string | null;
}

/** Writes the half to give away and the owner's, and the commitment of a bound one. */
export async function saveClaim(
  model: Protected,
  claimed: BranchAccuracy,
  out: string,
  binding: Binding | null,
): Promise<ClaimPaths> {
  const deployed = join(out, "deployed.safetensors");
  await saveSafetensors(deployed, await model.deployed());
  if (model.scheme === "plain") return { deployed, credential: null, commitment: null };
  const credential = join(out, "owner.credential.safetensors");
  const own = await model.credential(claimed);
  const kept = binding ? await boundCredential(own, binding) : own;
  await saveSafetensors(credential, kept);
  if (!binding) return { deployed, credential, commitment: null };
  const commitment = join(out, "commitment.json");
  await saveText(commitment, json(await commit(kept, await loadSafetensors(deployed))));
  return { deployed, credential, commitment };
}

/** What `verify` is told of a claim: an unbound one is checked as the papers check it. */
export async function strictness({ commitment }: Pick<ClaimPaths, "commitment">) {
  if (!commitment) return { requireBinding: false };
  return { commitment: JSON.parse(await readFile(commitment, "utf8")) as Commitment };
}

/** Accuracies of the branches that an epoch measured. */
export const accuracies = ({ public: open, private: secret, passport }: BranchAccuracy): BranchAccuracy => ({
  ...(open !== undefined && { public: open }),
  ...(secret !== undefined && { private: secret }),
  ...(passport !== undefined && { passport }),
});
