import { knownKeys } from "../demand";
import { ArgumentError, FormatError } from "../errors";
import { type StateDict, toFloat32 } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { isObject, shown } from "../io/shown";
import { networkLayers, readCredential } from "../models/build";
import { checkSettings, passportNames, passportPlan } from "../models/config";
import { checkFile, parseEntry } from "../models/files";
import { passportShape } from "../models/layers";
import { Network } from "../models/network";
import type { Structure } from "../models/split";
import { fromTorch } from "../nn/state";
import { sizeOf } from "../tensor/shape";
import { keystream, sha512, toBits, toHex, toUniform } from "./digest";

/**
 * Binding. γ is linear in the passport, so whoever holds a network can solve for passports that
 * spell any signature. A bound credential leaves no such freedom: its passports are drawn from one
 * secret, and the signature bits that no text takes are those of a hash of passports and statement,
 *
 *     P[layer, name] = uniform(AES-CTR(SHA-512(secret, layer.name)))
 *     h = SHA-512(every P, statement),   bits[layer] = AES-CTR(SHA-512(h, layer))
 *
 * A solved passport is the stream of no secret; of a secret found by trying, each bit matches with
 * the chance of a fair coin.
 */
export interface Binding {
  /** What the owner says of the network: name, date, terms. Up to half a million characters. */
  statement: string;
  /** 32 bytes that nobody else knows, hexadecimal; {@link newSecret} makes one. */
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
export const BOUND_BITS = 80;
const utf8 = new TextEncoder();

/** A fresh secret: 32 bytes of the platform's own randomness, hexadecimal. */
export const newSecret = (): string => toHex(crypto.getRandomValues(new Uint8Array(SECRET)));

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
  return Uint8Array.from({ length: SECRET }, (_, i) => Number.parseInt(secret.slice(2 * i, 2 * i + 2), 16));
}

/** What a binding makes of a network, by name and in the order of state dicts. */
export interface Derived {
  /** Passports [1, I, H, W] ([1, I, L], [1, I]), two per layer. */
  passports: Map<string, Float32Array<ArrayBuffer>>;
  /** Signature bits per layer, ±1; 0 where a text has its own. */
  bits: Map<string, Float32Array<ArrayBuffer>>;
  /** h: what a commitment commits to. */
  hash: Uint8Array<ArrayBuffer>;
}

/**
 * Passports and signature bits of a bound network.
 * @throws ArgumentError for a binding that is none, or a network with fewer than {@link BOUND_BITS}
 * bits that no text takes.
 */
export async function deriveBinding(binding: Binding, structure: Structure): Promise<Derived> {
  const secret = checkBinding(binding);
  checkStructure(structure);
  const { config, layers } = structure;
  const plan = passportPlan(config, layers);
  const marked = layers.filter((l) => plan.has(l.name));
  const passports = new Map<string, Float32Array<ArrayBuffer>>();
  for (const layer of marked)
    for (const part of passportNames(config.scheme)) {
      const name = `${layer.name}.${part}`;
      const seed = await sha512([secret, utf8.encode(name)]);
      passports.set(name, toUniform(await keystream(seed, 4 * sizeOf(passportShape(layer).torch))));
    }
  const hashed = [...passports].flatMap(([name, p]) => [utf8.encode(name), new Uint8Array(p.buffer)]);
  const hash = await sha512([...hashed, utf8.encode(binding.statement)]);
  const bits = new Map<string, Float32Array<ArrayBuffer>>();
  for (const { name, channels } of marked) {
    const stream = await keystream(await sha512([hash, utf8.encode(name)]), Math.ceil(channels / 8));
    bits.set(name, toBits(stream, channels).fill(0, 0, 8 * plan.get(name)!.length));
  }
  const count = [...bits.values()].reduce((n, b) => n + b.reduce((m, bit) => m + Math.abs(bit), 0), 0);
  if (count < BOUND_BITS)
    throw new ArgumentError(
      `binding: ${BOUND_BITS} signature bits or more that no text takes are needed, this network has ${count}: give passports to more or wider layers, or say the text in the statement`,
    );
  return { passports, bits, hash };
}

/** @throws ArgumentError */
function checkStructure(structure: unknown): void {
  const { config, layers } = isObject(structure) ? (structure as unknown as Structure) : {};
  if (!isObject(config) || !Array.isArray(layers) || !layers.every((l) => isObject(l) && typeof l.name === "string"))
    throw new ArgumentError(`deriveBinding: { config, layers } of a network expected, found ${shown(structure)}`);
  checkSettings(config as unknown as Structure["config"], layers);
}

/**
 * Gives a network the passports and signature bits of a binding. Call it before training; texts of
 * the configuration stay. {@link boundCredential} then puts the binding into the owner's file.
 * @throws ArgumentError for a plain network, one with fewer than {@link BOUND_BITS} free bits, or a
 * binding that is none; nothing is changed then.
 */
export async function bind(model: Network, binding: Binding): Promise<void> {
  if (!(model instanceof Network)) throw new ArgumentError(`bind: a network expected, found ${shown(model)}`);
  if (model.config.scheme === "plain")
    throw new ArgumentError("a plain network has no passports to bind: use a scheme with passports");
  const { passports, bits } = await deriveBinding(binding, model);
  const places = new Map(model.layers.map((l) => [l.name, l]));
  for (const { name, layer } of model.passportLayers()) {
    const { torch, own: ours, layout } = passportShape(places.get(name)!);
    const [gamma, beta] = passportNames(model.config.scheme).map((part) => {
      const data = passports.get(`${name}.${part}`)!;
      return fromTorch({ dtype: "F32", shape: torch, data }, ours, layout, name);
    });
    const own = await layer.b.data();
    layer.b.write(bits.get(name)!.map((bit, i) => bit || own[i]!));
    layer.setPassports({ gamma: gamma!, beta: beta! });
  }
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
export async function readBinding(credential: SafetensorsFile): Promise<BindingInfo | null> {
  const { config } = readCredential(credential);
  if (credential.metadata["binding"] === undefined) return null;
  const binding = parseEntry(credential, "binding", LONGEST_ENTRY) as Binding;
  const layers = networkLayers(config);
  checkSizes(credential, { config, layers });
  let derived: Derived;
  try {
    derived = await deriveBinding(binding, { config, layers });
  } catch (cause) {
    if (!(cause instanceof ArgumentError)) throw cause;
    throw new FormatError(`the credential's entry "binding" is none: ${cause.message}`, { cause });
  }
  for (const [name, expected] of derived.passports)
    if (!agrees(credential.tensors, name, expected))
      throw new FormatError(`the credential is not bound: its passport ${name} does not come from its secret`);
  for (const [name, expected] of derived.bits)
    if (!agrees(credential.tensors, `${name}.b`, expected))
      throw new FormatError(
        `the credential is not bound: its signature bits of ${name} are not the hash of passports and statement`,
      );
  return { ...derived, statement: binding.statement };
}

/**
 * What shall follow from a secret is as large as what is there, so that nothing larger is derived.
 * @throws FormatError
 */
function checkSizes({ tensors }: SafetensorsFile, { config, layers }: Structure): void {
  const plan = passportPlan(config, layers);
  for (const layer of layers) {
    if (!plan.has(layer.name)) continue;
    const sizes = [...passportNames(config.scheme).map((part) => [part, sizeOf(passportShape(layer).torch)] as const)];
    for (const [part, size] of [...sizes, ["b", layer.channels] as const]) {
      const found = tensors.get(`${layer.name}.${part}`)?.data.length;
      if (found !== size)
        throw new FormatError(
          `the credential is not bound: its ${layer.name}.${part} has ${found ?? "no"} numbers, ${size} would come from its secret`,
        );
    }
  }
}

/** Whether a tensor holds what is expected of it; 0 expects nothing. */
function agrees(tensors: StateDict, name: string, expected: Float32Array): boolean {
  const found = tensors.get(name);
  if (!found || found.data.length !== expected.length) return false;
  return toFloat32(found).every((v, i) => expected[i] === 0 || v === expected[i]);
}
