import { knownKeys, oneOf, refuse, unexpected } from "../../demand";
import { ArgumentError, FormatError } from "../../errors";
import { fromHex } from "../../io/digest";
import { canonicalJson } from "../../io/json";
import type { SafetensorsFile } from "../../io/safetensors";
import { isObject, shown } from "../../io/shown";
import type { NonSharedFloat32Array, NonSharedUint8Array } from "../../io/typed-arrays";
import { type CredentialInfo, readCredential } from "../../models/credential";
import { checkFile, parseEntry } from "../../passport/files";
import { type PassportPlace, passportShape } from "../../passport/place";
import { checkPlaces } from "../../passport/plan";
import { branchesOf, SCHEMES, type Scheme } from "../../passport/schemes";
import { sizeOf } from "../../tensor/shape";
import { checkFollows } from "../claim/own";
import { keystream, sha512, toBits, toUniform } from "../digest";

/**
 * Binding. γ is linear in the passport, so whoever holds a network can solve for passports that
 * spell any signature. A bound credential leaves no such freedom: its passports are drawn from one
 * secret, and the signature bits that no text takes are those of a hash of passports and statement,
 *
 *     P[norm, name] = uniform(AES-CTR(SHA-512(secret, norm.name)))
 *     h = SHA-512(every P, scheme and places, statement),   bits[norm] = AES-CTR(SHA-512(h, norm))
 *
 * A solved passport is the stream of no secret; of a secret found by trying, each bit matches with
 * the chance of a fair coin.
 */
export interface Binding {
  /** What the owner says of the network: name, date, terms. Up to half a million characters. */
  statement: string;
  /** 32 bytes that nobody else knows, hexadecimal. */
  secret: string;
}

const SECRET = 32;
/** Most characters of a statement as JSON, and of the entry that it stands in. */
const LONGEST_STATEMENT = 2 ** 19;
const LONGEST_ENTRY = 2 * LONGEST_STATEMENT;

/**
 * Bits that must follow from a binding: fewer, and somebody could find a fitting secret by trying
 * 2⁸⁰ of them.
 */
const BOUND_BITS = 80;
const utf8 = new TextEncoder();

/**
 * @throws ArgumentError unless there are a statement, which is a text of some length, and a secret
 * of 32 bytes in hexadecimal, and nothing else.
 */
function checkBinding(binding: unknown): Uint8Array {
  if (!isObject(binding)) throw new ArgumentError(`binding: { statement, secret } expected, found ${shown(binding)}`);
  knownKeys("parts of a binding", binding, ["statement", "secret"]);
  const { statement, secret } = binding;
  if (typeof statement !== "string" || statement === "")
    throw new ArgumentError(
      `binding: a statement expected, what the owner says of the network, found ${statement === "" ? "none" : shown(statement)}`,
    );
  if (JSON.stringify(statement).length > LONGEST_STATEMENT)
    throw new ArgumentError(
      `binding: a statement of at most ${LONGEST_STATEMENT} characters as JSON expected, found ${statement.length} characters: state the hash of a longer one`,
    );
  if (typeof secret !== "string" || !/^[0-9a-f]{64}$/.test(secret))
    throw new ArgumentError(
      `binding: a secret of ${2 * SECRET} hexadecimal digits expected; make one with newSecret(), and keep it secret`,
    );
  return fromHex(secret);
}

/** What a binding makes of a network, by the norms' names. */
export interface Derived {
  /** Passports of each place in PyTorch's order. */
  passports: Map<string, { gamma: NonSharedFloat32Array; beta: NonSharedFloat32Array }>;
  /** Signature bits of each place, ±1; 0 where a text has its own. */
  bits: Map<string, NonSharedFloat32Array>;
  /** h: what a commitment commits to. */
  hash: NonSharedUint8Array;
}

/** Where passports sit, and how their names are hashed. */
export interface BindingPlan {
  /**
   * 1: the names of the first files, in the order in which the network's layers run. 2 (default):
   * norms' names, in their own order.
   */
  readonly format?: 1 | 2;
  readonly scheme: Scheme;
  readonly places: readonly PassportPlace[];
}

/** @throws ArgumentError for what is no plan of a network with passports. */
function checkBindingPlan(plan: unknown): asserts plan is BindingPlan {
  if (!isObject(plan)) unexpected("deriveBinding: { scheme, places } of a network", plan);
  const { format, scheme, places } = plan;
  if (format !== undefined && format !== 1 && format !== 2) refuse("deriveBinding", "format", "1 or 2", format);
  oneOf("deriveBinding", "scheme", scheme, SCHEMES);
  checkPlaces(places);
}

/** How a format calls a place, and its two passports. */
function namesOf({ norm }: PassportPlace, { format, scheme }: BindingPlan) {
  if (format !== 1) return { place: norm, gamma: `${norm}.skey`, beta: `${norm}.key` };
  const layer = norm.replace(/\.bn$/, "");
  const end = branchesOf(scheme).length > 1 ? "_private" : "";
  return { place: layer, gamma: `${layer}.skey${end}`, beta: `${layer}.key${end}` };
}

/**
 * Passports and signature bits of a bound network.
 * @throws ArgumentError for a binding that is none, or a network with fewer than {@link BOUND_BITS}
 * bits that no text takes.
 */
export async function deriveBinding(binding: Binding, plan: BindingPlan): Promise<Derived> {
  const secret = checkBinding(binding);
  checkBindingPlan(plan);
  const byName = (a: PassportPlace, b: PassportPlace) => (a.norm < b.norm ? -1 : 1);
  const places = plan.format === 1 ? plan.places : [...plan.places].sort(byName);
  const hashed: Uint8Array[] = [];
  const passports: Derived["passports"] = new Map();
  for (const place of places) {
    const names = namesOf(place, plan);
    const size = sizeOf(passportShape(place).torch);
    const draw = async (name: string) => {
      const passport = toUniform(await keystream(await sha512([secret, utf8.encode(name)]), 4 * size));
      hashed.push(utf8.encode(name), new Uint8Array(passport.buffer));
      return passport;
    };
    passports.set(place.norm, { gamma: await draw(names.gamma), beta: await draw(names.beta) });
  }
  // Whoever could still choose the weights, or how a window moves over them, could choose bits.
  if (plan.format !== 1) hashed.push(utf8.encode(canonicalJson({ scheme: plan.scheme, places })));
  const hash = await sha512([...hashed, utf8.encode(binding.statement)]);
  const bits: Derived["bits"] = new Map();
  for (const place of places) {
    const seed = await sha512([hash, utf8.encode(namesOf(place, plan).place)]);
    const stream = await keystream(seed, Math.ceil(place.channels / 8));
    bits.set(place.norm, toBits(stream, place.channels).fill(0, 0, 8 * place.text));
  }
  const count = [...bits.values()].reduce((n, b) => n + b.reduce((m, bit) => m + Math.abs(bit), 0), 0);
  if (count < BOUND_BITS)
    throw new ArgumentError(
      `binding: ${BOUND_BITS} signature bits or more that no text takes are needed, this network has ${count}: give passports to more or wider layers, or say the text in the statement`,
    );
  return { passports, bits, hash };
}

/**
 * A credential with its binding inside.
 * @throws FormatError when passports and bits are not the binding's; ArgumentError for a binding
 * that is none.
 */
export async function boundCredential(credential: SafetensorsFile, binding: Binding): Promise<SafetensorsFile> {
  checkFile(credential, "boundCredential: the credential");
  checkBinding(binding);
  const bound = { ...credential, metadata: { ...credential.metadata, binding: JSON.stringify(binding) } };
  await readBinding(bound);
  return bound;
}

/** What a credential's binding says. */
export interface BindingInfo extends Derived {
  statement: string;
}

/**
 * The binding of a credential, after checking that its passports and bits follow from it; null when
 * it has none.
 * @throws FormatError naming what does not follow, or when the file is no credential.
 */
export const readBinding = async (credential: SafetensorsFile): Promise<BindingInfo | null> =>
  bindingOf(credential, readCredential(credential));

/** {@link readBinding} of a credential that was read already. */
export async function bindingOf(credential: SafetensorsFile, claim: CredentialInfo): Promise<BindingInfo | null> {
  if (credential.metadata["binding"] === undefined) return null;
  const binding = parseEntry(credential, "binding", LONGEST_ENTRY) as Binding;
  let derived: Derived;
  try {
    derived = await deriveBinding(binding, claim);
  } catch (cause) {
    if (!(cause instanceof ArgumentError)) throw cause;
    throw new FormatError(`the credential's entry "binding" is none: ${cause.message}`, { cause });
  }
  checkFollows(derived, claim);
  return { ...derived, statement: binding.statement };
}
