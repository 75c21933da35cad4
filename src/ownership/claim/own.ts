/** A claim as it is kept in a credential. */
import { knownKeys, refuse, unexpected } from "../../demand";
import { ArgumentError, FormatError } from "../../errors";
import { bytesOf } from "../../io/bytes";
import { toHex } from "../../io/digest";
import { type StateDict, toFloat32 } from "../../io/host-tensor";
import { canonicalJson } from "../../io/json";
import type { SafetensorsFile } from "../../io/safetensors";
import { isObject } from "../../io/shown";
import { type CredentialInfo, readCredential } from "../../models/credential";
import { checkFile, parseEntry } from "../../passport/files";
import { inOrder, secretName } from "../../passport/place";
import { toBase64 } from "../../signing/base64";
import { publicKeyOf } from "../../signing/keys";
import { sha512 } from "../digest";
import { type DerivedClaim, deriveClaim } from "./derive";
import type { ClaimSpec, TriggerSpec } from "./spec";

/**
 * What an owner decides of a claim. Keep it: it is the secret, and the credential holds it.
 * JSON-able.
 */
export interface Binding {
  /** What the owner says of the network: name, terms. Up to half a million characters. */
  readonly statement: string;
  /** 32 bytes that nobody else knows, hexadecimal; `newSecret` makes one. */
  readonly secret: string;
  /**
   * The public key of the key that signs the commitment, PEM. Without one nobody signs the claim,
   * and it shows a mark at most.
   */
  readonly publicKey?: string;
  /** Inputs that the network shall learn beside its task; `triggersLike` makes one. */
  readonly triggers?: TriggerSpec;
  /** Triggers that are supplied, of all groups in a row, base64: `suppliedTriggers` gives both. */
  readonly inputs?: string;
  /** Digest of the claim of an earlier release, see {@link claimDigest}. */
  readonly parent?: string;
}

/** Entry of a credential that holds a claim, and most characters of it. */
const ENTRY = "claim";
const LONGEST = 2 ** 23;

/** @throws ArgumentError for what is no binding. */
export function checkBinding(binding: unknown): asserts binding is Binding {
  if (!isObject(binding)) return unexpected("binding: { statement, secret }", binding);
  knownKeys("parts of a binding", binding, ["statement", "secret", "publicKey", "triggers", "inputs", "parent"]);
}

/** @throws ArgumentError for a public key that is none. */
function keyOf(publicKey: string): string {
  try {
    return toBase64(publicKeyOf(publicKey));
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new ArgumentError(`binding: publicKey: ${cause.message}`, { cause });
  }
}

/** The description of a network's claim. @throws ArgumentError for a public key that is none. */
export function specOf(
  { statement, publicKey, triggers, parent }: Binding,
  plan: Pick<CredentialInfo, "scheme" | "places">,
): ClaimSpec {
  return {
    version: 2,
    scheme: plan.scheme,
    places: inOrder(plan.places),
    triggers: triggers ?? null,
    publicKey: publicKey === undefined ? null : keyOf(publicKey),
    statement,
    parent: parent ?? null,
  };
}

/**
 * What stands for a claim in public: SHA-512 of its hash, hexadecimal.
 * @throws ArgumentError for what has no hash.
 */
export const claimDigest = async (claim: Pick<DerivedClaim, "hash">): Promise<string> =>
  toHex(await sha512([bytesOf(isObject(claim) ? claim.hash : claim, "claimDigest: the claim's hash")]));

/** Whether a credential holds a claim of version 2. */
export const hasClaim = ({ metadata }: SafetensorsFile): boolean => metadata[ENTRY] !== undefined;

/**
 * A credential with its claim inside.
 * @throws FormatError when passports and bits do not follow from the binding; ArgumentError for a
 * binding that is none.
 */
export async function boundCredential(credential: SafetensorsFile, binding: Binding): Promise<SafetensorsFile> {
  checkFile(credential, "boundCredential: the credential");
  checkBinding(binding);
  const info = readCredential(credential);
  checkFollows(await deriveClaim(binding.secret, specOf(binding, info), binding.inputs), info);
  const entry = canonicalJson(binding);
  if (entry.length > LONGEST)
    refuse("boundCredential", "binding", `at most ${LONGEST} characters as JSON`, `${entry.length}: fewer triggers`);
  return { ...credential, metadata: { ...credential.metadata, [ENTRY]: entry } };
}

/** The binding in a credential, as it stands there. @throws FormatError where it is no JSON. */
export const entryOf = (credential: SafetensorsFile): unknown => parseEntry(credential, ENTRY, LONGEST);

/**
 * What follows from the claim of a credential, after checking that the credential's passports and
 * bits do.
 * @throws FormatError naming what does not follow, or what the entry is where it is none.
 */
export async function claimOf(credential: SafetensorsFile, info: CredentialInfo): Promise<DerivedClaim> {
  const binding = entryOf(credential);
  let derived: DerivedClaim;
  try {
    checkBinding(binding);
    derived = await deriveClaim(binding.secret, specOf(binding, info), binding.inputs);
  } catch (cause) {
    if (!(cause instanceof ArgumentError)) throw cause;
    throw new FormatError(`the credential's entry "${ENTRY}" is none: ${cause.message}`, { cause });
  }
  checkFollows(derived, info);
  return derived;
}

/** What a claim makes of each norm that has a passport. */
export type Follows = Pick<DerivedClaim, "passports" | "bits">;

/** @throws FormatError naming a passport, or bits, of a credential that do not follow. */
export function checkFollows({ passports, bits }: Follows, { tensors, named }: CredentialInfo): void {
  for (const [norm, { gamma, beta }] of passports)
    for (const [part, expected] of [["skey", gamma] as const, ["key", beta] as const]) {
      const name = `${secretName({ name: norm })}.${part}`;
      if (!agrees(tensors, name, expected))
        throw new FormatError(`the credential is not bound: its passport ${named(name)} does not come from its secret`);
    }
  for (const [norm, expected] of bits)
    if (!agrees(tensors, `${secretName({ name: norm })}.b`, expected, isText))
      throw new FormatError(
        `the credential is not bound: its signature bits of ${norm} are not the hash of passports and statement`,
      );
}

/** A bit of 0 spells a text, and does not follow from the claim. */
const isText = (bit: number): boolean => bit === 0;

/** Whether a tensor holds what is expected of it, but for what is free. */
function agrees(
  tensors: StateDict,
  name: string,
  expected: Float32Array,
  isFree: (expected: number) => boolean = () => false,
): boolean {
  const found = tensors.get(name);
  if (!found || found.data.length !== expected.length) return false;
  return toFloat32(found).every((v, i) => isFree(expected[i]!) || v === expected[i]);
}
