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
const QUANTISED: ReadonlyMap<unknown, SafetensorsDtype> = new Map<unknown, SafetensorsDtype>([
  ["uint8", "U8"],
  ["uint16", "U16"],
  ["float16", "F16"],
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
  const names = new Set<string>();
  return manifest.map((group: unknown): Group => {
    const { paths, weights } = isObject(group) ? group : {};
    if (!Array.isArray(paths) || !paths.every((path) => typeof path === "string") || !Array.isArray(weights))
      return refuse(`{ paths, weights } expected, found ${shown(group)}`);
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
  const { dtype: type, scale = 1, min = 0 } = isObject(quantization) ? quantization : {};
  const stored = QUANTISED.get(type);
  if (!stored || typeof scale !== "number" || typeof min !== "number")
    return refuse(`${quote(name)}: quantization to uint8, uint16 or float16 expected, found ${shown(quantization)}`);
  return { name, shape, stored, dtype: own, scale, min };
}

/** The weights of one group. @param bytes of all its shards, one after the other */
export function weightsOfGroup({ weights }: Group, bytes: Uint8Array): StateDict {
  const found: StateDict = new Map();
  let at = 0;
  for (const weight of weights) {
    const { name, shape, stored } = weight;
    const count = elementCount(shape);
    const make = DTYPES[stored];
    const end = at + (count ?? Number.POSITIVE_INFINITY) * make.BYTES_PER_ELEMENT;
    if (!(end <= bytes.length)) refuse(`the shards end within ${quote(name)}, after ${bytes.length} bytes`);
    found.set(name, decoded(weight, new make(bytes.slice(at, end).buffer)));
    at = end;
  }
  if (at !== bytes.length) refuse(`the shards have ${bytes.length} bytes, and their weights ${at}`);
  return found;
}

function decoded({ shape, stored, dtype, scale, min }: Weight, data: HostTensor["data"]): HostTensor {
  if (stored === dtype) return { dtype, shape, data };
  const values = toFloat32({ dtype: stored, shape, data });
  if (stored === "F16") return { dtype: "F32", shape, data: Float32Array.from(values) };
  const real = Float64Array.from(values, (value) => value * scale + min);
  if (dtype === "F32") return { dtype, shape, data: Float32Array.from(real) };
  return { dtype: "I32", shape, data: Int32Array.from(real, Math.round) };
}
