/** Weights in any file that is read: the one place that another format is added to. */
import { extname } from "node:path";
import { ArgumentError, FormatError, PanError } from "../errors";
import type { HostTensor, StateDict } from "../io/host-tensor";
import { decodeNpy, encodeNpy } from "../io/npy";
import { decodeSafetensors, encodeSafetensors } from "../io/safetensors";
import { isSecret } from "../node/secrets";

/** Tensors by name, and what the file says beside them. */
export interface Weights {
  readonly format: "safetensors" | "NPY";
  readonly tensors: StateDict;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The name of an NPY file's one array. */
const ARRAY = "array";

/**
 * Weights from a file's bytes, by what it holds and not by its name.
 * @throws FormatError naming the file, for one that holds none.
 */
export function loadWeights(bytes: Uint8Array, path: string): Weights {
  try {
    if (bytes[0] === 0x93) return { format: "NPY", tensors: new Map([[ARRAY, decodeNpy(bytes)]]), metadata: {} };
    return { format: "safetensors", ...decodeSafetensors(bytes) };
  } catch (cause) {
    if (!(cause instanceof PanError)) throw cause;
    throw new FormatError(`${path}: ${cause.message}`, { cause });
  }
}

/** Whether weights are their owner's alone: passports, credentials, checkpoints. */
export const isPrivate = ({ tensors, metadata }: Weights): boolean => isSecret(tensors.keys(), metadata);

/** Formats that are written, by the end of the file's name. */
const WRITERS: Readonly<Record<string, (weights: Weights, tensor: string | undefined) => Uint8Array>> = {
  ".safetensors": ({ tensors, metadata }) => encodeSafetensors(tensors, metadata),
  ".npy": (weights, name) => encodeNpy(oneOf(weights, name)),
};

/** @throws ArgumentError unless one tensor is meant. */
function oneOf({ tensors }: Weights, name: string | undefined): HostTensor {
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
export function writeWeights(path: string, weights: Weights, tensor: string | undefined): Uint8Array {
  const writer = WRITERS[extname(path)];
  if (!writer)
    throw new ArgumentError(
      `${path}: expected a name that ends in ${Object.keys(WRITERS).join(" or ")}, got "${extname(path)}"`,
    );
  return writer(weights, tensor);
}
