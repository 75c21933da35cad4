/**
 * Weights out of files of all kinds that they are given away in, told apart by their bytes:
 * safetensors, PyTorch, ONNX, TensorFlow.js, and models in several files.
 */
import { callable, optionsOf } from "../demand";
import { ArgumentError, FormatError } from "../errors";
import { bytesOf, utf8Of } from "./bytes";
import { isOnnx } from "./foreign";
import type { StateDict } from "./host-tensor";
import { parseJson } from "./json";
import { decodeOnnx } from "./onnx";
import { decodeSafetensors, type SafetensorsFile } from "./safetensors";
import { isObject, quote, shown } from "./shown";
import { isTfjs, manifestOf, weightsOfGroup } from "./tfjs";
import { decodeTorch } from "./torch/file";

/** Kinds of files that weights are read from. */
export type WeightsFormat = "safetensors" | "pytorch" | "onnx" | "tensorflowjs";

/** Weights, and the file that they were in. */
export interface WeightsFile extends SafetensorsFile {
  /** Of several files, that of the first. */
  readonly format: WeightsFormat;
  /** What was chosen, or left aside, in sentences. */
  readonly notes: readonly string[];
  /** The file itself, for digests of it: not a copy. Null for a model in several files. */
  readonly bytes: Uint8Array | null;
}

/** Options of {@link decodeWeights}. */
export interface DecodeWeightsOptions {
  /**
   * Fetches one of the files that an index or a model.json names, by its name there, which is a
   * path below the folder of the index.
   */
  fetch?: (name: string) => Uint8Array | ArrayBufferLike | Promise<Uint8Array | ArrayBufferLike>;
}

/** Longest index or model.json: topologies of large networks. */
const LONGEST = 2 ** 26;
/** Most files of one model. */
const MOST_FILES = 4096;

const starts = (bytes: Uint8Array, ...magic: number[]): boolean => magic.every((byte, i) => bytes[i] === byte);

/** A length of a header and its brace: what nothing else begins with. */
const isSafetensors = (bytes: Uint8Array): boolean =>
  bytes.length > 8 &&
  bytes[8] === 0x7b &&
  new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true) <= BigInt(bytes.length - 8);

/** The magic number of PyTorch's old form, in the pickle of protocol 2 that it is. */
const isOldTorch = (bytes: Uint8Array): boolean =>
  starts(bytes, 0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19);

/**
 * The weights of a file that has all of them: safetensors, PyTorch, ONNX.
 * @throws FormatError saying what the bytes are where they are none of these
 */
function decodeWhole(bytes: Uint8Array): WeightsFile {
  if (isSafetensors(bytes)) return { ...decodeSafetensors(bytes), format: "safetensors", notes: [], bytes };
  const isZip = starts(bytes, 0x50, 0x4b, 0x03, 0x04) && looksLikeTorch(bytes);
  if (isZip || isOldTorch(bytes)) return { ...decodeTorch(bytes, isZip), metadata: {}, format: "pytorch", bytes };
  if (isOnnx(bytes)) return { ...decodeOnnx(bytes), metadata: {}, format: "onnx", bytes };
  // It says what it is.
  return { ...decodeSafetensors(bytes), format: "safetensors", notes: [], bytes };
}

/** Whether an archive names a pickle of PyTorch's, at its start or in its directory. */
function looksLikeTorch(bytes: Uint8Array): boolean {
  const text = (part: Uint8Array) => new TextDecoder("latin1").decode(part.slice());
  return /data\.pkl/.test(text(bytes.subarray(0, 512)) + text(bytes.subarray(Math.max(0, bytes.length - 2 ** 20))));
}

/**
 * A JSON document; undefined for bytes that do not begin as one, a safetensors file's among them.
 * @throws FormatError for what begins as one and is none
 */
export function documentOf(bytes: Uint8Array): unknown {
  const first = bytes.subarray(0, 64).find((byte) => ![0x20, 0x09, 0x0a, 0x0d].includes(byte));
  if (first !== 0x7b || isSafetensors(bytes)) return undefined;
  if (bytes.length > LONGEST)
    throw new FormatError(`the JSON file: at most ${LONGEST} bytes expected, found ${bytes.length}`);
  const text = utf8Of(bytes);
  if (text === undefined) throw new FormatError("the JSON file: UTF-8 expected, found other bytes");
  return parseJson(text, "the JSON file", LONGEST);
}

const isShardIndex = (document: unknown): document is { weight_map: Record<string, unknown> } =>
  isObject(document) && isObject(document["weight_map"]);

/** Whether a JSON document names the files that a model's weights are in. */
export const namesWeights = (document: unknown): boolean => isShardIndex(document) || isTfjs(document);

/**
 * Reads weights from the bytes of a file, whatever it is:
 *
 * | file                                     | what is read                                                     |
 * |------------------------------------------|------------------------------------------------------------------|
 * | `.safetensors`                           | all tensors, and the metadata                                    |
 * | `.pth`, `.pt`, `.bin` by `torch.save`    | the state dict, also out of a checkpoint; zip form and old form  |
 * | `.onnx`                                  | the graph's initialisers                                         |
 * | `model.json` of TensorFlow.js            | all weights of its shards, quantised ones decoded                |
 * | `….index.json` of Hugging Face           | the tensors of its shards                                        |
 *
 * Names, shapes and order of dimensions are the file's own: `verify` finds its way in them. A
 * pickle is read as data, within what the file pays for: no code of it is run, and names but those
 * of tensors and plain data are refused.
 *
 * @param file the whole file
 * @param options `fetch` for the files that an index or a model.json names
 * @example
 * const { tensors } = await decodeWeights(await (await fetch("model.pth")).arrayBuffer());
 * @throws ArgumentError for anything but bytes, and an index without `fetch`
 * @throws FormatError for damaged files, those of other kinds, and what is not read: whole pickled
 * modules, TorchScript, external data of ONNX
 */
export async function decodeWeights(
  file: Uint8Array | ArrayBufferLike,
  options: DecodeWeightsOptions = {},
): Promise<WeightsFile> {
  const bytes = bytesOf(file, "decodeWeights");
  const { fetch } = optionsOf("decodeWeights", options, ["fetch"]);
  if (fetch !== undefined) callable("decodeWeights", "fetch", fetch);
  const document = documentOf(bytes);
  if (document === undefined) return decodeWhole(bytes);
  if (!namesWeights(document)) return decodeWhole(bytes);
  if (!fetch)
    throw new ArgumentError(
      "decodeWeights: the file is an index, and its weights are in others: give `fetch`, a function that gets one by its name (in Node loadWeights() of @pan/core/node does)",
    );
  const get = async (name: string) => bytesOf(await fetch(belowFolder(name)), `decodeWeights: fetch(${quote(name)})`);
  return isShardIndex(document) ? sharded(document.weight_map, get) : tfjs(document, get);
}

type Get = (name: string) => Promise<Uint8Array>;

/** A name of a file below the index's folder. @throws FormatError for a way out of it. */
function belowFolder(name: string): string {
  const parts = name.split("/");
  if (name === "" || /[\\:\0]/.test(name) || parts.some((part) => part === "" || part === ".." || part === "."))
    throw new FormatError(`The index names ${quote(name)}: the name of a file beside it expected.`);
  return name;
}

/** Names of files, each once, as many as a model can have. */
function namesOf(all: readonly unknown[]): string[] {
  const names = [...new Set(all)].map((name) =>
    typeof name === "string"
      ? name
      : (() => {
          throw new FormatError(`The index names ${shown(name)}: the name of a file expected.`);
        })(),
  );
  if (names.length > MOST_FILES)
    throw new FormatError(`The index names ${names.length} files; up to ${MOST_FILES} are read.`);
  return names;
}

async function sharded(map: Record<string, unknown>, get: Get): Promise<WeightsFile> {
  const tensors: StateDict = new Map();
  const notes: string[] = [];
  const metadata: Record<string, string> = {};
  let format: WeightsFormat | null = null;
  const wanted = new Map<unknown, string[]>();
  for (const [tensor, at] of Object.entries(map)) {
    const names = wanted.get(at) ?? [];
    names.push(tensor);
    wanted.set(at, names);
  }
  for (const name of namesOf([...wanted.keys()])) {
    const shard = decodeWhole(await get(name));
    format ??= shard.format;
    notes.push(...shard.notes.map((note) => `${name}: ${note}`));
    Object.assign(metadata, shard.metadata);
    for (const tensor of wanted.get(name)!) {
      const found = shard.tensors.get(tensor);
      if (!found) throw new FormatError(`The index says that ${quote(tensor)} is in ${quote(name)}, which has it not.`);
      tensors.set(tensor, found);
    }
  }
  if (format === null) throw new FormatError("The index names no files.");
  return { tensors, metadata, format, notes, bytes: null };
}

async function tfjs(document: unknown, get: Get): Promise<WeightsFile> {
  const groups = manifestOf(document);
  namesOf(groups.flatMap(({ paths }) => paths));
  const tensors: StateDict = new Map();
  for (const group of groups) for (const [name, tensor] of await weightsOfGroup(group, get)) tensors.set(name, tensor);
  return { tensors, metadata: {}, format: "tensorflowjs", notes: [], bytes: null };
}
