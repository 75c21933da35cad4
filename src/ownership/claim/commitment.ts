/**
 * What an owner publishes before a release, signed and time-stamped: an in-toto statement about the
 * released file, in a DSSE envelope, in a Sigstore bundle. It says nothing of the secret and opens
 * with the credential alone.
 */
import { type Check, checkOptions, knownKeys, refuse, text, unexpected } from "../../demand";
import { ArgumentError, FormatError, PanError } from "../../errors";
import { sha512Hex } from "../../io/digest";
import { canonicalJson } from "../../io/json";
import { isObject } from "../../io/shown";
import { readCredential } from "../../models/credential";
import { fromBase64, toBase64 } from "../../signing/base64";
import {
  type Bundle,
  bundleSignature,
  decodeBundle,
  encodeBundle,
  signBundle,
  verifyBundle,
} from "../../signing/bundle";
import { checkSigner, publicKeyOf, type Signer } from "../../signing/keys";
import { decodeStatement, encodeStatement, findSubject, IN_TOTO, subjectOf } from "../../signing/statement";
import { verifyTimestamp } from "../../signing/timestamp";
import type { Dated } from "../dates";
import { type NetworkFile, type OpenFile, openFile, tensorsDigest } from "../network-file";
import { boundBits, type DerivedClaim } from "./derive";
import { claimDigest, claimOf, hasClaim } from "./own";

/** Type of the statement's predicate. */
export const CLAIM_PREDICATE = "urn:pan-core:claim:2";

/** What a commitment says of a claim; digests are SHA-512, hexadecimal. JSON-able. */
export interface CommittedClaim {
  /** Of h, the hash over everything that the claim is about. */
  readonly claim: string;
  /** Of the credential's bytes: FC, private statistics and claimed accuracies are bound by it. */
  readonly credential: string;
  /** Of the released tensors, whatever file they are in. */
  readonly tensors: string;
  /** Of the claim's description. */
  readonly spec: string;
  /** The key that signs, SubjectPublicKeyInfo in base64. */
  readonly publicKey: string;
  /** Bits that follow from the claim. */
  readonly bits: number;
  /** Triggers of each group, classes, and groups; null without. */
  readonly triggers: { readonly count: number; readonly classes: number; readonly groups: number } | null;
  readonly statement: string;
  readonly parent: string | null;
}

const KEYS = [
  "claim",
  "credential",
  "tensors",
  "spec",
  "publicKey",
  "bits",
  "triggers",
  "statement",
  "parent",
] as const;

async function committed(derived: DerivedClaim, credential: OpenFile, released: OpenFile): Promise<CommittedClaim> {
  const { spec } = derived;
  const { triggers } = spec;
  if (spec.publicKey === null)
    throw new ArgumentError(
      "commit: the claim names no key: give bind() the `publicKey` of the key that shall sign, in base64",
    );
  return {
    claim: await claimDigest(derived),
    credential: await sha512Hex(credential.bytes),
    tensors: await tensorsDigest(released.file),
    spec: await sha512Hex(new TextEncoder().encode(canonicalJson(spec))),
    publicKey: spec.publicKey,
    bits: boundBits(spec),
    triggers: triggers && { count: triggers.count, classes: triggers.classes.length, groups: triggers.groups },
    statement: spec.statement,
    parent: spec.parent,
  };
}

/** Options of {@link commit}. */
export interface CommitOptions {
  /** Name of the released file in the statement (default `network.safetensors`). */
  name?: string;
}

const OPTIONS: Readonly<Record<keyof CommitOptions, Check>> = {
  name: (what, option, v) => text(what, option, v) !== "" || refuse(what, option, "the name of a file", v),
};

/**
 * The commitment of a credential to the file that shall be released. Write it with `encodeBundle`,
 * have it time-stamped (`timestampQuery` of `bundleSignature`, `withTimestamp`), and publish it
 * before the release.
 * @param signer the owner's key, the one that the claim names
 * @throws ArgumentError for a credential without a claim, a claim that names no key, or another
 * key; FormatError for a credential that contradicts itself.
 */
export async function commit(
  credential: NetworkFile,
  released: NetworkFile,
  signer: Signer,
  options: CommitOptions = {},
): Promise<Bundle> {
  checkOptions("commit", options, OPTIONS);
  checkSigner(signer, "commit");
  const { name = "network.safetensors" } = options;
  const own = openFile("commit", "credential", credential);
  const network = openFile("commit", "released", released);
  if (!hasClaim(own.file))
    throw new ArgumentError(
      "commit: the credential has no claim: call bind() before training and boundCredential() after",
    );
  const predicate = await committed(await claimOf(own.file, readCredential(own.file)), own, network);
  if (toBase64(publicKeyOf(signer.publicKey)) !== predicate.publicKey)
    throw new ArgumentError("commit: the signer of the key that the claim names expected, found another key");
  const subject = [await subjectOf(name, network.bytes)];
  const statement = { subject, predicateType: CLAIM_PREDICATE, predicate: { ...predicate } };
  return signBundle(encodeStatement(statement), IN_TOTO, signer);
}

/** A commitment that was opened by its credential. */
export interface OpenCommitment {
  readonly claim: CommittedClaim;
  /** Why the given released file does not open it; null where it does. */
  readonly otherFile: string | null;
}

/**
 * Opens a commitment: its signature is by the key that the claim names, and everything that it says
 * is what the credential gives.
 * @throws FormatError naming what is something else.
 */
export async function openCommitment(
  bundle: Bundle,
  derived: DerivedClaim,
  credential: OpenFile,
  released: OpenFile,
): Promise<OpenCommitment> {
  const { publicKey } = derived.spec;
  if (publicKey === null) throw new FormatError("the claim names no key, and a commitment to it nobody signs");
  const key = fromBase64(publicKey, "the claim's public key");
  const statement = decodeStatement(await verifyBundle(bundle, key, IN_TOTO), CLAIM_PREDICATE);
  const { predicate } = statement;
  if (!isObject(predicate)) unexpected("the commitment: what it says of a claim", predicate);
  knownKeys("the commitment", predicate, KEYS);
  if (statement.subject.length !== 1)
    throw new FormatError(`the commitment: one released file expected, found ${statement.subject.length}`);
  const own = await committed(derived, credential, released);
  for (const part of KEYS)
    if (part !== "tensors" && canonicalJson(predicate[part] ?? null) !== canonicalJson(own[part]))
      throw new FormatError(`the commitment is not this credential's: its ${part} is another`);
  let otherFile: string | null = null;
  try {
    await findSubject(statement, released.bytes);
    if (predicate["tensors"] !== own.tensors) otherFile = "its tensors are not those that the commitment speaks of";
  } catch (cause) {
    if (!(cause instanceof PanError)) throw cause;
    otherFile = "it is not the file that the commitment speaks of";
  }
  return { claim: own, otherFile };
}

const isBytes = (value: unknown): boolean => value instanceof Uint8Array;

/** Whether a value has the parts of a bundle: `encodeBundle` takes that for granted. */
function isBundle(value: unknown): value is Bundle {
  if (!isObject(value) || typeof value["hint"] !== "string" || !isObject(value["envelope"])) return false;
  const { payloadType, payload, signatures } = value["envelope"];
  const { timestamps } = value;
  return (
    typeof payloadType === "string" &&
    isBytes(payload) &&
    Array.isArray(signatures) &&
    signatures.every((s) => isObject(s) && typeof s["keyid"] === "string" && isBytes(s["sig"])) &&
    Array.isArray(timestamps) &&
    timestamps.every(isBytes)
  );
}

/**
 * A bundle, or the text of its file.
 * @throws FormatError for a text that is no bundle's; ArgumentError for neither.
 */
export function bundleOf(value: Bundle | string): Bundle {
  if (typeof value === "string") return decodeBundle(value);
  return isBundle(value) ? decodeBundle(encodeBundle(value)) : unexpected("a bundle, or the text of its file", value);
}

/**
 * The best of a commitment's time stamps that a pinned root vouches for: the one by which the file
 * was there first for certain, its inaccuracy counted; null where none does, and why.
 * @param roots certificates of authorities that the verifier trusts, PEM or DER
 */
export async function dateOf(
  bundle: Bundle,
  roots: readonly (string | Uint8Array)[],
): Promise<{ dated: Dated | null; reasons: string[] }> {
  if (!bundle.timestamps.length) return { dated: null, reasons: ["the commitment has no time stamp"] };
  if (!roots.length)
    return { dated: null, reasons: ["no root of a time-stamping authority was given (`roots`): no stamp counts"] };
  const stamps: { time: Date; accuracySeconds: number | null; authority: string }[] = [];
  const reasons: string[] = [];
  for (const stamp of bundle.timestamps)
    try {
      stamps.push(await verifyTimestamp(stamp, bundleSignature(bundle), { roots }));
    } catch (cause) {
      if (!(cause instanceof PanError)) throw cause;
      reasons.push(`a time stamp does not count: ${cause.message}`);
    }
  // An authority that does not say how accurate it is: a second, as RFC 3161's time has it.
  const latest = (s: (typeof stamps)[number]) => s.time.getTime() + 1000 * (s.accuracySeconds ?? 1);
  const [best] = [...stamps].sort((a, b) => latest(a) - latest(b));
  if (!best) return { dated: null, reasons };
  const authorities = [...new Set(stamps.map((s) => s.authority))];
  return { dated: { time: best.time.toISOString(), accuracy: best.accuracySeconds ?? 1, authorities }, reasons };
}
