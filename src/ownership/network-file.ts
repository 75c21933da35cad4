/** A network as the very bytes that were released, or as what was read from them. */
import { refuse } from "../demand";
import { bytesOf } from "../io/bytes";
import { toHex } from "../io/digest";
import { encodeSafetensors, type SafetensorsFile } from "../io/safetensors";
import { isObject } from "../io/shown";
import { decodeWhole } from "../io/weights";
import { checkFile } from "../passport/files";
import { sha512 } from "./digest";

/**
 * A network's file: its bytes, or what `loadSafetensors` makes of them, which stands for the bytes
 * that `encodeSafetensors` gives. Files that another program wrote may have other bytes for the
 * same tensors: give those as bytes, since a commitment is to bytes. Bytes may be those of a
 * PyTorch or ONNX file too (`decodeWeights` of `@pan/core/weights`); of a model in several files
 * give what `loadWeights` makes of it.
 */
export type NetworkFile = SafetensorsFile | Uint8Array;

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
    const { notes, tensors, metadata } = decodeWhole(bytes);
    return { bytes, file: { tensors, metadata }, notes };
  }
  if (!isObject(value))
    return refuse(what, name, "a file of weights, as bytes or as loadSafetensors() or loadWeights() reads it", value);
  checkFile(value, `${what}: ${name}`);
  let bytes: Uint8Array | null = null;
  return {
    file: value,
    notes: [],
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
