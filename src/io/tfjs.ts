/**
 * TensorFlow.js models: `model.json` with a manifest of weights, and shards with their bytes, one
 * after the other, without gaps.
 *
 *     { "weightsManifest": [{ "paths": ["group1-shard1of1.bin"], "weights": [{ name, shape, dtype, quantization? }] }] }
 *
 * Quantised weights are value · scale + min. Convolutions are [kH, kW, I, O], dense layers [I, O],
 * as in TensorFlow. Source: tfjs-core/src/io/types.ts and io_utils.ts.
 */
import { FormatError } from "../errors";
import { elementCount, MAX_NAMES } from "./header";
import { DTYPES, type HostTensor, type SafetensorsDtype, type StateDict, toFloat32 } from "./host-tensor";
import { isObject, quote, shown } from "./shown";

interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  /** As it is stored. */
  readonly stored: SafetensorsDtype;
  /** As it is meant. */
  readonly dtype: SafetensorsDtype;
  readonly scale: number;
  readonly min: number;
}

interface Group {
  readonly paths: readonly string[];
  readonly weights: readonly Weight[];
}

const DTYPE: ReadonlyMap<unknown, SafetensorsDtype> = new Map<unknown, SafetensorsDtype>([
  ["float32", "F32"],
  ["int32", "I32"],
  ["uint8", "U8"],
  ["bool", "BOOL"],
  ["float16", "F16"],
]);
/** What quantised weights may be stored as, by what they are. */
const QUANTISED: ReadonlyMap<SafetensorsDtype, ReadonlyMap<unknown, SafetensorsDtype>> = new Map([
  [
    "F32",
    new Map<unknown, SafetensorsDtype>([
      ["uint8", "U8"],
      ["uint16", "U16"],
      ["float16", "F16"],
    ]),
  ],
  [
    "I32",
    new Map<unknown, SafetensorsDtype>([
      ["uint8", "U8"],
      ["uint16", "U16"],
    ]),
  ],
]);

const refuse = (problem: string): never => {
  throw new FormatError(`Not a valid TensorFlow.js model: ${problem}. Fetch or export it again.`);
};

/** Whether a document is a model.json. */
export const isTfjs = (document: unknown): boolean => isObject(document) && "weightsManifest" in document;

/**
 * Reads the groups of a manifest.
 * @throws FormatError for one that is none.
 */
export function manifestOf(document: unknown): readonly Group[] {
  const manifest = isObject(document) ? document["weightsManifest"] : null;
  if (!Array.isArray(manifest)) return refuse(`a list of groups as weightsManifest expected, found ${shown(manifest)}`);
  const [names, files] = [new Set<string>(), new Set<string>()];
  return manifest.map((group: unknown): Group => {
    const { paths, weights } = isObject(group) ? group : {};
    if (!Array.isArray(paths) || !paths.every((path) => typeof path === "string") || !Array.isArray(weights))
      return refuse(`{ paths, weights } expected, found ${shown(group)}`);
    for (const path of paths) {
      if (files.has(path)) refuse(`it names the file ${quote(path)} twice`);
      files.add(path);
    }
    const read = weights.map(weightOf);
    for (const { name } of read) {
      if (names.has(name)) refuse(`two weights are called ${quote(name)}`);
      names.add(name);
    }
    if (names.size > MAX_NAMES) refuse(`more than ${MAX_NAMES} weights`);
    return { paths, weights: read };
  });
}

function weightOf(weight: unknown): Weight {
  const { name, shape, dtype, quantization } = isObject(weight) ? weight : {};
  if (typeof name !== "string" || !Array.isArray(shape) || !shape.every((n) => Number.isSafeInteger(n) && n >= 0))
    return refuse(`a weight with name and shape expected, found ${shown(weight)}`);
  const own = DTYPE.get(dtype);
  if (!own)
    throw new FormatError(
      `The TensorFlow.js model's weight ${quote(name)} is of type ${shown(dtype)}; ${[...DTYPE.keys()].join(", ")} are read.`,
    );
  if (quantization === undefined) return { name, shape, stored: own, dtype: own, scale: 1, min: 0 };
  const { dtype: type, scale, min } = isObject(quantization) ? quantization : {};
  const stored = QUANTISED.get(own)?.get(type);
  if (!stored)
    return refuse(
      `${quote(name)}: quantization of float32 to uint8, uint16 or float16 expected, or of int32 to uint8 or uint16, found ${shown(dtype)} and ${shown(quantization)}`,
    );
  if (stored === "F16") return { name, shape, stored, dtype: own, scale: 1, min: 0 };
  if (typeof scale !== "number" || typeof min !== "number" || !Number.isFinite(scale * 0xffff + min))
    return refuse(`${quote(name)}: quantization with scale and min expected, found ${shown(quantization)}`);
  return { name, shape, stored, dtype: own, scale, min };
}

/**
 * The weights of one group, out of its shards one after the other.
 * @param get fetches one
 * @throws FormatError for more or fewer bytes than the weights have, as soon as that is known
 */
export async function weightsOfGroup(
  { paths, weights }: Group,
  get: (path: string) => Promise<Uint8Array>,
): Promise<StateDict> {
  const sizes = weights.map(
    ({ shape, stored }) => (elementCount(shape) ?? Number.POSITIVE_INFINITY) * DTYPES[stored].BYTES_PER_ELEMENT,
  );
  const needed = sizes.reduce((a, b) => a + b, 0);
  const shards: Uint8Array[] = [];
  let found = 0;
  for (const path of paths) {
    const shard = await get(path);
    found += shard.length;
    if (found > needed) break;
    shards.push(shard);
  }
  if (found !== needed)
    refuse(`the shards have ${found} bytes${found > needed ? " or more" : ""}, and their weights ${needed}`);
  const bytes = new Uint8Array(found);
  let at = 0;
  for (const shard of shards) {
    bytes.set(shard, at);
    at += shard.length;
  }
  const all: StateDict = new Map();
  at = 0;
  for (const [i, weight] of weights.entries()) {
    const end = at + sizes[i]!;
    all.set(weight.name, decoded(weight, new DTYPES[weight.stored](bytes.slice(at, end).buffer)));
    at = end;
  }
  return all;
}

function decoded({ shape, stored, dtype, scale, min }: Weight, data: HostTensor["data"]): HostTensor {
  if (stored === dtype) return { dtype, shape, data };
  const values = toFloat32({ dtype: stored, shape, data });
  if (stored === "F16") return { dtype: "F32", shape, data: Float32Array.from(values) };
  const real = Float64Array.from(values, (value) => value * scale + min);
  if (dtype === "F32") return { dtype, shape, data: Float32Array.from(real) };
  return { dtype: "I32", shape, data: Int32Array.from(real, Math.round) };
}
