/** Reading whole files: weights in any format, checked against a digest where one is known. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { optionsOf } from "../demand";
import { ArgumentError, FormatError, PanError } from "../errors";
import { sha256Hex } from "../io/digest";
import { decodeSafetensors, type SafetensorsFile } from "../io/safetensors";
import { clip, shown } from "../io/shown";
import { decodeWeights, type WeightsFile } from "../io/weights";
import { errorCode, kindOf, pathOf } from "./file-path";

/**
 * All bytes of a file. Not of a pipe, which could keep the reader waiting for ever, nor of a
 * device, which need not end.
 * @throws the system's error, or PanError saying what the path leads to instead
 */
export async function readWhole(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new PanError(`it is ${kindOf(found)}`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** Options of everything that reads weights from a file. */
export interface ReadOptions {
  /**
   * SHA-256 that the file must have, in hexadecimal digits, as `sha256sum` prints it and the
   * publisher of the file says it. For an index of several files it is the index's own.
   */
  readonly sha256?: string;
}

/**
 * A check that bytes have the digest that they shall have, in front of what decodes them.
 * @throws ArgumentError for a digest that is none, and other options; FormatError, when it is run,
 * for other bytes.
 */
function checked<T>(
  what: string,
  options: ReadOptions,
  decode: (bytes: Uint8Array<ArrayBuffer>) => T | Promise<T>,
): (bytes: Uint8Array<ArrayBuffer>) => T | Promise<T> {
  const { sha256 } = optionsOf(what, options, ["sha256"]);
  if (sha256 === undefined) return decode;
  if (typeof sha256 !== "string" || !/^[\da-f]{64}$/i.test(sha256))
    throw new ArgumentError(`sha256: 64 hexadecimal digits expected, found ${shown(sha256)}`);
  return async (bytes) => {
    const found = await sha256Hex(bytes);
    if (found === sha256.toLowerCase()) return decode(bytes);
    throw new FormatError(
      `not the file that is meant: SHA-256 ${sha256.toLowerCase()} expected, found ${found}: get it again from its publisher`,
    );
  };
}

/**
 * Reads a safetensors file. `loadWeights` reads other kinds too.
 *
 * @param path file to read
 * @param options `sha256`: refuse any other file
 * @returns its tensors in host memory, and its metadata
 * @throws ArgumentError when path or digest are none, and for other options
 * @throws FormatError when the file cannot be read (`cause` holds the system's error), is another
 * than the digest's, or is not valid ({@link decodeSafetensors}); the message starts with the path
 */
export async function loadSafetensors(path: string, options: ReadOptions = {}): Promise<SafetensorsFile> {
  return decodedFile(pathOf(path, "loadSafetensors"), checked("loadSafetensors", options, decodeSafetensors));
}

/**
 * Reads weights from a file of any kind that `decodeWeights` (`@pan/core/weights`) knows:
 * safetensors, PyTorch, ONNX, TensorFlow.js' `model.json`, the index of a model in several files.
 * The files that an index names are read from its folder.
 *
 * `verify` and `commit` take what is read, and hash the file's own bytes.
 *
 * @param path file to read
 * @param options `sha256`: refuse any other file
 * @example
 * const { tensors } = await loadWeights("checkpoint.pth");
 * @throws ArgumentError when path or digest are none, and for other options
 * @throws FormatError when a file cannot be read (`cause` holds the system's error), is another
 * than the digest's, or is not valid; the message starts with the path
 */
export async function loadWeights(path: string, options: ReadOptions = {}): Promise<WeightsFile> {
  const wanted = pathOf(path, "loadWeights");
  const decode = (bytes: Uint8Array<ArrayBuffer>) => decodeWeights(bytes, { fetch: filesBeside(wanted) });
  return decodedFile(wanted, checked("loadWeights", options, decode));
}

/** Reads files by their names in the folder of another, as an index names them. */
export const filesBeside =
  (path: string) =>
  (name: string): Promise<Uint8Array<ArrayBuffer>> =>
    decodedFile(join(dirname(path), name), (bytes) => bytes);

/** What is made of the bytes of a file; errors of either begin with its path. */
async function decodedFile<T>(path: string, decode: (bytes: Uint8Array<ArrayBuffer>) => T | Promise<T>): Promise<T> {
  const shown = clip(path, 300);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await readWhole(path);
  } catch (cause) {
    const problem =
      errorCode(cause) === "ENOENT"
        ? `there is no such file (looked from ${process.cwd()}): check the path, or save the model first`
        : `could not be read (${reasonOf(cause)}): check that it is a file you may read`;
    throw new FormatError(`${shown}: ${problem}.`, { cause });
  }
  try {
    return await decode(bytes);
  } catch (cause) {
    if (cause instanceof FormatError) throw new FormatError(`${shown}: ${cause.message}`, { cause });
    throw cause;
  }
}

/** What kept a file from being read, as part of a sentence. */
export const reasonOf = (cause: unknown): string =>
  cause instanceof PanError ? cause.message : clip(String(cause), 300);
