/**
 * What a training run leaves for its owner's claim, and what a stranger makes of it: the network to
 * give away, the owner's half, and, where the network is bound, a signed commitment with the query
 * for a time stamp.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ArgumentError } from "@pan/core";
import { saveSafetensors, writeFileAtomic } from "@pan/core/node";
import {
  type Binding,
  bind,
  boundCredential,
  commit,
  type DerivedClaim,
  newSecret,
  type TriggerSpec,
  type Verification,
  type VerifyOptions,
  verify,
} from "@pan/core/ownership";
import type { BranchAccuracy, Protected } from "@pan/core/passport";
import {
  bundleSignature,
  decodeBundle,
  encodeBundle,
  newSigningKey,
  signerOf,
  timestampQuery,
} from "@pan/core/signing";
import type { RunFile } from "../report/src/index";
import { json, savePrivate, saveText } from "./files";
import { numberIn } from "./options";

/** Where the files of a claim are in the folder of a run. */
const claimFiles = (out: string) => ({
  deployed: join(out, "deployed.safetensors"),
  credential: join(out, "owner.credential.safetensors"),
  key: join(out, "owner.key.pem"),
  secret: join(out, "binding.secret.json"),
  commitment: join(out, "commitment.sigstore.json"),
  query: join(out, "commitment.tsq"),
  response: join(out, "commitment.tsr"),
});

/** Files that a run has written. */
export interface Saved {
  deployed: string;
  /** Null for a plain network. */
  credential: string | null;
  /** Null for a network that is not bound. */
  commitment: string | null;
}

/** What somebody who verifies knows of dates. */
export interface Dates {
  /** Answer of a time-stamp authority; `commitment.tsr` beside the commitment by default. */
  stamp: string | undefined;
  /** Certificate of the authority's root, PEM. */
  root: string | undefined;
  /** When the suspect was there at the latest. */
  published: string | undefined;
}

/** Options of the command line that say them, and their help. */
export const DATE_OPTIONS = { stamp: "", root: "", published: "" } as const;
export const DATE_HELP = `dates of a bound claim, with --resume once the run is over
  --stamp FILE         a time-stamp authority's answer to commitment.tsq (default: commitment.tsr beside it)
  --root FILE          certificate of the authority's root, PEM
  --published DATE     when the network that is accused, here the released one, was published`;

/** @throws ArgumentError for a date that is none. */
export function datesOf(v: Record<keyof typeof DATE_OPTIONS, string>): Dates {
  if (v.published && Number.isNaN(Date.parse(v.published)))
    throw new ArgumentError(`--published: a date such as 2026-12-24 expected, found "${v.published}"`);
  return { stamp: v.stamp || undefined, root: v.root || undefined, published: v.published || undefined };
}

/** Triggers of a bound network: how many in each of how many groups. */
export type BoundTriggers = Pick<TriggerSpec, "count" | "groups">;

/** Options of the command line that say them, and their help. */
export const TRIGGER_OPTIONS = { "bound-triggers": "100", "trigger-groups": "2", "trigger-perturbation": "0" } as const;
export const TRIGGER_HELP = `\
  --bound-triggers N   with a statement: inputs in a group that follow from the secret too, and that the network learns
                       beside its task: evidence without its weights (default 100, in the place of --triggers; 0: none)
  --trigger-groups N   groups of them, of which one is opened in a dispute (default 2)
  --trigger-perturbation X  share of their norm that weights are moved by against the bound triggers, so that they
                       are learnt to stay (default 0; 0.02 in the paper)`;

/**
 * How often a network should see a bound trigger: all were learnt after 43 looks and more, a third
 * after 23 to 31 (docs/results.md).
 */
const LOOKS = 60;

/**
 * A sentence for a run that shows its bound triggers too seldom; null for one that does not.
 * @param run steps of the whole run, and triggers that join each
 */
export function fewLooks(
  { count, groups }: BoundTriggers,
  run: { readonly steps: number; readonly triggerBatch: number },
): string | null {
  const all = count * groups;
  const looks = Math.floor((run.steps * Math.min(run.triggerBatch, all)) / all);
  if (looks >= LOOKS || !run.steps) return null;
  const more = Math.ceil((LOOKS * all) / run.steps);
  const how = more <= all ? `--trigger-batch ${more}` : "more epochs, or fewer triggers";
  return `${all} bound ones, each seen ${looks} times, and some ${LOOKS} are what they need: ${how}`;
}

/**
 * Null for a run that is not bound, or that shall learn none.
 * @throws ArgumentError for numbers that are none, and other triggers beside.
 */
export function boundTriggersOf(
  v: Record<keyof typeof TRIGGER_OPTIONS, string>,
  { statement, triggers }: { statement: string; triggers: boolean },
): BoundTriggers | null {
  const count = numberIn("bound-triggers", v["bound-triggers"], 0, 10_000);
  const groups = numberIn("trigger-groups", v["trigger-groups"], 1, 64);
  if (statement === "" || count === 0) return null;
  if (triggers)
    throw new ArgumentError(
      "--triggers: with a statement the network learns bound triggers in their place: leave it out, or say --bound-triggers 0",
    );
  return { count, groups };
}

/** What a binding takes of triggers. */
export type ChosenTriggers = Pick<Binding, "inputs"> & { triggers: TriggerSpec };

/** What a run binds its network to. */
export interface BindingSettings {
  statement: string;
  /** Inputs that the network shall learn beside, where there are some: asked for once a run. */
  triggers?: () => Promise<ChosenTriggers | null>;
  out: string;
  resume: boolean;
}

/**
 * Binds a network to a statement, triggers, a fresh secret and a fresh key. They outlive an
 * interrupted run: a resumed one must have the same.
 */
export async function bindNetwork(
  model: Protected,
  { statement, triggers, out, resume }: BindingSettings,
): Promise<{ binding: Binding; claim: DerivedClaim }> {
  const { key, secret } = claimFiles(out);
  let binding: Binding;
  if (resume && existsSync(secret)) {
    binding = JSON.parse(await readFile(secret, "utf8")) as Binding;
  } else {
    const { privateKey, publicKey } = await newSigningKey();
    await savePrivate(key, privateKey);
    binding = { statement, secret: newSecret(), publicKey, ...(await triggers?.()) };
    await savePrivate(secret, json(binding));
  }
  if (binding.statement !== statement)
    throw new ArgumentError(`--statement: the run in ${out} says "${binding.statement}"; resume with that`);
  return { binding, claim: await bind(model, binding) };
}

/** The bytes of files, empty where they are not there. */
const bytes = (...paths: string[]) => Promise.all(paths.map((path) => readFile(path).catch(() => Buffer.alloc(0))));

/**
 * Writes the half to give away and the owner's, and signs a commitment to a bound one. What was
 * committed to before, and is the same still, keeps its commitment: a time stamp is for that.
 */
export async function saveClaim(
  model: Protected,
  claimed: BranchAccuracy,
  out: string,
  binding: Binding | null,
): Promise<Saved> {
  const { deployed, credential, key, commitment, query } = claimFiles(out);
  const before = await bytes(deployed, credential);
  await saveSafetensors(deployed, await model.deployed());
  if (model.scheme === "plain") return { deployed, credential: null, commitment: null };
  const own = await model.credential(claimed);
  await saveSafetensors(credential, binding ? await boundCredential(own, binding) : own);
  if (!binding) return { deployed, credential, commitment: null };
  const [released, kept] = await bytes(deployed, credential);
  if (existsSync(commitment) && before[0]!.equals(released!) && before[1]!.equals(kept!))
    return { deployed, credential, commitment };
  const signer = await signerOf(await readFile(key, "utf8"));
  const bundle = await commit(kept!, released!, signer, { name: "deployed.safetensors" });
  await saveText(commitment, encodeBundle(bundle));
  await writeFileAtomic(query, await timestampQuery(bundleSignature(bundle)));
  return { deployed, credential, commitment };
}

/** What to do with the files, a line each. */
export function aboutFiles({ deployed, credential, commitment }: Saved, out: string): string[] {
  const { key, secret, query, response } = claimFiles(out);
  const files = [`${deployed} (give this away)`];
  if (credential) files.push(`${credential} (keep this secret)`);
  if (!commitment) return files;
  return [
    ...files,
    `${key}, ${secret} (keep these secret: who has them claims as you)`,
    `${commitment} (publish this before the release, with a time stamp)`,
    `a stamp: curl -H "Content-Type: application/timestamp-query" --data-binary @${query} URL > ${response}`,
  ];
}

/** A file that a run left, as its report lists it. */
export async function described(path: string, about: string, more: Partial<RunFile> = {}): Promise<RunFile> {
  return { path, bytes: (await stat(path)).size, about, ...more };
}

/**
 * The files of a claim, for the report: what to publish with its digest, and where the secrets lie.
 */
export async function claimReport({ deployed, credential, commitment }: Saved, out: string): Promise<RunFile[]> {
  const { key, secret, query } = claimFiles(out);
  const published = async (path: string, part: NonNullable<RunFile["part"]>, about: string) =>
    described(path, about, {
      part,
      sha256: createHash("sha256")
        .update(await readFile(path))
        .digest("hex"),
    });
  const files = [
    published(deployed, "deployed", "To hand out: the network as a plain one, no passport, no signature."),
  ];
  if (credential)
    files.push(
      described(credential, "Passports, signature and all that makes the branch they open.", {
        part: "credential",
        secret: true,
      }),
    );
  if (commitment)
    files.push(
      published(
        commitment,
        "commitment",
        "To publish before the release, signed and, once it is sent for, time-stamped: says nothing of the secret.",
      ),
      described(query, "What a time-stamping authority is sent; says nothing of network or secret."),
      described(
        secret,
        "The secret that passports and bits follow from, and the statement. Whoever has it and the key claims as you; neither can be made anew.",
        { secret: true },
      ),
      described(key, "The private key that signs for the claim.", { secret: true }),
    );
  return Promise.all(files);
}

/** Verifies a claim from its files alone, as a stranger would. */
export async function verifyClaim(
  { deployed, credential, commitment }: { deployed: string; credential: string; commitment: string | null },
  { stamp, root, published }: Dates,
  options: Pick<VerifyOptions, "test" | "transform">,
): Promise<Verification> {
  const released = await readFile(deployed);
  let bundle = commitment === null ? null : decodeBundle(await readFile(commitment, "utf8"));
  const beside = claimFiles(dirname(deployed)).response;
  const answer = stamp ?? (existsSync(beside) ? beside : undefined);
  // One that lies there from an earlier commitment is no reason to end a run: the verdict says that
  // it does not count.
  if (bundle && answer !== undefined)
    bundle = { ...bundle, timestamps: [...bundle.timestamps, await readFile(answer)] };
  return verify(released, await readFile(credential), {
    ...options,
    ...(bundle && { commitment: bundle, released }),
    ...(root !== undefined && { roots: [await readFile(root, "utf8")] }),
    ...(published !== undefined && { published }),
  });
}

/** What a verdict lacks to be `holds`; empty where nothing that could be had is missing. */
export function missing({ verdict, version, dated }: Verification, { published }: Dates): string {
  if (verdict !== "mark present" || version !== 2) return "";
  const lacking = [
    ...(dated ? [] : ["a time stamp of the commitment that counts (--stamp, --root)"]),
    ...(published ? [] : ["the date of the network that is accused (--published)"]),
  ];
  return lacking.join(", and ");
}

/** Accuracies of the branches that an epoch measured. */
export const accuracies = ({ public: open, private: secret, passport }: BranchAccuracy): BranchAccuracy => ({
  ...(open !== undefined && { public: open }),
  ...(secret !== undefined && { private: secret }),
  ...(passport !== undefined && { passport }),
});
