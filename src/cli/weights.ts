/**
 * Weights in any file that is read. `decodeWeights` is the one reader of networks, here as in the
 * package; an NPY array, which is no network, is read and written beside it.
 */
import { extname } from "node:path";
import { ArgumentError, FormatError, PanError } from "../errors";
import type { HostTensor } from "../io/host-tensor";
import { decodeNpy, encodeNpy } from "../io/npy";
import { encodeSafetensors, type SafetensorsFile } from "../io/safetensors";
import { shown } from "../io/shown";
import type { WeightsFile, WeightsFormat } from "../io/weights";
import { filesBeside } from "../node/read-files";
import { isSecret } from "../node/secrets";
import { readBytes } from "./files";
import { word } from "./shell";

/** Tensors by name, and what there is to say of the file, or files, that they were in. */
export interface Weights extends SafetensorsFile {
  /** What the file is, in words. */
  readonly container: string;
  /** What was chosen of it, or left aside, in sentences. */
  readonly notes: readonly string[];
  /** Bytes of all files together. */
  readonly size: number;
  /** Whether the weights are in files that this one names. */
  readonly inParts: boolean;
}

/** Loaded when a file is read: a command that reads none starts without them. */
const readers = () => import("../io/weights");

/** The name of an NPY file's one array. */
const ARRAY = "array";

const CONTAINERS: Readonly<Record<WeightsFormat, string>> = {
  safetensors: "safetensors",
  pytorch: "PyTorch",
  onnx: "ONNX",
  tensorflowjs: "TensorFlow.js",
};

/**
 * What is made of bytes; errors begin with the file's path.
 * @throws FormatError
 */
async function decoded<T>(path: string, decode: () => T | Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (cause) {
    if (!(cause instanceof PanError)) throw cause;
    throw new FormatError(`${path}: ${cause.message}`, { cause });
  }
}

/**
 * Weights from a file's bytes, by what it holds and not by its name; what an index names is read
 * from its folder.
 * @throws FormatError naming the file, for one that holds none.
 */
export async function weightsIn(bytes: Uint8Array, path: string): Promise<Weights> {
  if (bytes[0] === 0x93) {
    const array = await decoded(path, () => decodeNpy(bytes));
    const tensors = new Map([[ARRAY, array]]);
    return { tensors, metadata: {}, container: "NPY", notes: [], size: bytes.length, inParts: false };
  }
  const { decodeWeights } = await readers();
  const beside = filesBeside(path);
  let [size, files] = [bytes.length, 0];
  const fetch = async (name: string) => {
    const part = await beside(name);
    size += part.length;
    files++;
    return part;
  };
  const { tensors, metadata, notes, format } = await decoded(path, () => decodeWeights(bytes, { fetch }));
  const form = format === "pytorch" && !files ? (bytes[0] === 0x50 ? " (zip archive)" : " (legacy pickle)") : "";
  const parts = files ? `, an index and ${files} ${files === 1 ? "file" : "files"}` : "";
  return { tensors, metadata, notes, size, container: `${CONTAINERS[format]}${form}${parts}`, inParts: files > 0 };
}

/**
 * The JSON document that a file is; undefined for weights, and for the index of a model's.
 * @throws FormatError naming the file, for one that is damaged.
 */
export async function documentIn(bytes: Uint8Array, path: string): Promise<unknown> {
  const { documentOf, namesWeights } = await readers();
  const document = await decoded(path, () => documentOf(bytes));
  return namesWeights(document) ? undefined : document;
}

/**
 * A network from a file of any kind that `decodeWeights` knows, as verdicts take it: its digests
 * are those of the file's own bytes.
 * @throws ArgumentError for no file; FormatError naming the file, for one that holds no network.
 */
export async function readNetwork(path: string): Promise<WeightsFile> {
  const { decodeWeights } = await readers();
  const bytes = await readBytes(path);
  return decoded(path, () => decodeWeights(bytes, { fetch: filesBeside(path) }));
}

/**
 * A network that is, or shall be, released: one file, since a commitment is to bytes.
 * @throws ArgumentError for a model in several files; what {@link readNetwork} throws.
 */
export async function readReleased(path: string): Promise<WeightsFile & { readonly bytes: Uint8Array }> {
  const { bytes, ...file } = await readNetwork(path);
  if (bytes === null)
    throw new ArgumentError(
      `${path}: expected one file, got the index of several: release what \`pan convert ${word(path)} network.safetensors\` writes`,
    );
  return { ...file, bytes };
}

/** Whether weights are their owner's alone: passports, credentials, checkpoints. */
export const isPrivate = ({ tensors, metadata }: SafetensorsFile): boolean => isSecret(tensors.keys(), metadata);

/** Formats that are written, by the end of the file's name. */
const WRITERS: Readonly<Record<string, (weights: SafetensorsFile, tensor: string | undefined) => Uint8Array>> = {
  ".safetensors": ({ tensors, metadata }, name) => {
    if (name === undefined) return encodeSafetensors(tensors, metadata);
    throw new ArgumentError(
      `expected --tensor for an NPY file alone, got --tensor ${shown(name)} for all tensors: leave it out, or write to a name that ends in .npy`,
    );
  },
  ".npy": (weights, name) => encodeNpy(oneOf(weights, name)),
};

/** @throws ArgumentError unless one tensor is meant. */
function oneOf({ tensors }: SafetensorsFile, name: string | undefined): HostTensor {
  const [first] = tensors.keys();
  const wanted = name ?? (tensors.size === 1 ? first : undefined);
  if (wanted === undefined)
    throw new ArgumentError(`expected one tensor for an NPY file, got ${tensors.size}: name one, --tensor NAME`);
  const found = tensors.get(wanted);
  if (!found)
    throw new ArgumentError(
      `expected the name of a tensor, got "${wanted}": \`pan inspect\` lists those that are there`,
    );
  return found;
}

/**
 * Weights as a file of the format that its name asks for.
 * @throws ArgumentError for a name with another end.
 */
export function writeWeights(path: string, weights: SafetensorsFile, tensor: string | undefined): Uint8Array {
  const writer = WRITERS[extname(path)];
  if (!writer)
    throw new ArgumentError(
      `${path}: expected a name that ends in ${Object.keys(WRITERS).join(" or ")}, got "${extname(path)}"`,
    );
  return writer(weights, tensor);
}
