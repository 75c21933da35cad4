/** A network as the very bytes that were released, or as what was read from them. */
import { refuse } from "../demand";
import { bytesOf } from "../io/bytes";
import { toHex } from "../io/digest";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../io/safetensors";
import { isObject } from "../io/shown";
import type { WeightsFile } from "../io/weights";
import { checkFile } from "../passport/files";
import { sha512 } from "./digest";

/**
 * A network's file: a safetensors file's bytes, or what `loadSafetensors` makes of them, which
 * stands for the bytes that `encodeSafetensors` gives. Files that another program wrote may have
 * other bytes for the same tensors: give those as bytes, since a commitment is to bytes. Files of
 * other kinds are given as `decodeWeights` (`@pan/core/weights`) or `loadWeights` reads them, and
 * stand for their own bytes; a model in several files stands for those of `encodeSafetensors`.
 */
export type NetworkFile = SafetensorsFile | WeightsFile | Uint8Array;

/** Both sides of a file. */
export interface OpenFile {
  readonly file: SafetensorsFile;
  readonly bytes: Uint8Array;
  /** What of the bytes was taken for the network, in sentences. */
  readonly notes: readonly string[];
}

/** @throws ArgumentError for what is no file; FormatError for bytes that are none. */
export function openFile(what: string, name: string, value: unknown): OpenFile {
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) {
    const bytes = bytesOf(value, `${what}: ${name}`);
    return { bytes, file: decodeSafetensors(bytes), notes: [] };
  }
  if (!isObject(value))
    return refuse(
      what,
      name,
      "a safetensors file, as bytes or as loadSafetensors() reads it, or what loadWeights() reads",
      value,
    );
  checkFile(value, `${what}: ${name}`);
  const { bytes: own, notes } = value as Partial<WeightsFile>;
  let bytes = own instanceof Uint8Array ? own : null;
  return {
    file: value,
    notes: Array.isArray(notes) ? notes : [],
    // Written once somebody asks: a stranger's file may say much, and be refused for it before.
    get bytes() {
      bytes ??= encodeSafetensors(value.tensors, value.metadata);
      return bytes;
    },
  };
}

/**
 * SHA-512 over the names, types, shapes and bytes of all tensors in the order of their names, in
 * hexadecimal: the same for every container of the same numbers.
 */
export async function tensorsDigest({ tensors }: SafetensorsFile): Promise<string> {
  const utf8 = new TextEncoder();
  const parts: Uint8Array[] = [];
  for (const name of [...tensors.keys()].sort()) {
    const { dtype, shape, data } = tensors.get(name)!;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    parts.push(utf8.encode(name), utf8.encode(`${dtype} ${shape.join("×")}`), bytes);
  }
  return toHex(await sha512(parts));
}
