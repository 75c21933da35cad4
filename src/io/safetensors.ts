/**
 * The safetensors format, both ways, on bytes alone (no files, no GPU), so that it runs in a
 * browser and in Node alike.
 *
 *     [ u64 little-endian: header length N ][ N bytes of JSON, padded with spaces ][ tensor data, row-major, little-endian ]
 *     header = { "__metadata__"?: { string: string }, name: { "dtype", "shape", "data_offsets": [begin, end) } … }
 *
 * A model file may come from a stranger, so the decoder trusts nothing and accepts a file only when
 * its tensors tile the data section exactly. Source: https://github.com/huggingface/safetensors
 * (format section of the README).
 */
import { ArgumentError, FormatError, PanError, ShapeError } from "../errors";
import { bytesOf, utf8Of } from "./bytes";
import { describeForeign } from "./foreign";
import {
  DTYPE_LIST,
  DTYPE_NAMES,
  elementCount,
  type Header,
  isDtype,
  LONE_SURROGATE,
  MAX_NAMES,
  METADATA_KEY,
  readHeader,
  refuse,
  SPLIT_IT,
} from "./header";
import { DTYPES, type HostArray, type HostTensor, type SafetensorsDtype, type StateDict } from "./host-tensor";
import { clip, isPlain, isPromise, quote, shown } from "./shown";

/** What a safetensors file holds. */
export interface SafetensorsFile {
  readonly tensors: StateDict;
  readonly metadata: Record<string, string>;
}

const LENGTH_BYTES = 8;
const ALIGNMENT = 8;
/** The reference implementation's bound on the header, in bytes. */
const MAX_HEADER_BYTES = 100_000_000;

/**
 * Typed arrays use the host's byte order and the format is little-endian; every WebGPU platform
 * agrees with it.
 */
function requireLittleEndian(): void {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
    throw new FormatError(
      "safetensors data is little-endian and this machine is big-endian: use a little-endian machine.",
    );
  }
}

/** Order of UTF-8 bytes, which JavaScript's own string order is not once surrogate pairs appear. */
function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x === y) continue;
    // Surrogates stand for code points above all others of 16 bits.
    const [high, other] = [x >= 0xd800 && x < 0xe000, y >= 0xd800 && y < 0xe000];
    return high === other ? x - y : high ? 1 : -1;
  }
  return a.length - b.length;
}

/**
 * Names and tensors of what shall be encoded, with advice for what is neither a Map nor an object
 * of tensors.
 */
function entriesOf(tensors: unknown, bare: boolean): [string, HostTensor][] {
  const refuseTensors = (advice: string): never => {
    throw new ArgumentError(
      `tensors: a Map or object of names to host tensors expected, found ${shown(tensors)}: ${advice}`,
    );
  };
  if (isPromise(tensors)) return refuseTensors("await it first (`await model.stateDict()`)");
  if (Object.prototype.toString.call(tensors) === "[object Map]") return [...(tensors as StateDict)];
  if (!isPlain(tensors)) return refuseTensors("`await model.stateDict()` is one");
  const { tensors: inner } = tensors;
  if (inner instanceof Map) return refuseTensors("pass its `tensors` and its `metadata` one after the other");
  const entries = Object.entries(tensors) as [string, HostTensor][];
  if (entries.length === 0 && bare)
    return refuseTensors("nothing would be saved; a file without tensors is asked for by `new Map()`");
  return entries;
}

function checkEncodable(name: unknown, tensor: unknown): void {
  if (typeof name !== "string")
    throw new ArgumentError(`tensors: names must be text, found ${shown(name)}: give each tensor a name.`);
  const where = `tensor ${quote(name)}`;
  if (name === METADATA_KEY) {
    throw new ArgumentError(`The name "${METADATA_KEY}" is reserved by the safetensors format: rename the tensor.`);
  }
  if (LONE_SURROGATE.test(name)) {
    throw new ArgumentError(
      `${where}: the name holds half a surrogate pair, which UTF-8 cannot express: rename the tensor.`,
    );
  }
  if (typeof tensor !== "object" || tensor === null || isPromise(tensor) || ArrayBuffer.isView(tensor))
    throw new ArgumentError(
      `${where}: { dtype, shape, data } expected, found ${shown(tensor)}: ${tensorAdvice(tensor)}.`,
    );
  const { dtype, shape, data } = tensor as HostTensor;
  if (typeof data === "function")
    throw new ArgumentError(
      `${where}: a tensor in host memory expected, found one on the device: use \`await model.stateDict()\`, or { dtype: "F32", shape, data: await tensor.data() }.`,
    );
  if (typeof dtype !== "string" || !isDtype(dtype)) {
    throw new ArgumentError(`${where}: dtype ${quote(String(dtype))} is not understood; use one of ${DTYPE_LIST}.`);
  }
  const expected = DTYPES[dtype].name;
  const found = ArrayBuffer.isView(data) ? data[Symbol.toStringTag] : shown(data);
  if (found !== expected) {
    throw new ArgumentError(`${where}: dtype ${dtype} needs its data in a ${expected}, found ${found}.`);
  }
  if (!Array.isArray(shape))
    throw new ShapeError(`${where}: a shape that lists its dimensions expected, found ${shown(shape)}.`);
  const bad = (shape as readonly unknown[]).findIndex((d) => !Number.isSafeInteger(d) || (d as number) < 0);
  if (bad >= 0) {
    const what = typeof shape[bad] === "number" ? String(shape[bad]) : shown(shape[bad]);
    throw new ShapeError(`${where}: shape [${showShape(shape)}] must hold non-negative integers, found ${what}.`);
  }
  if (elementCount(shape) !== data.length) {
    throw new ShapeError(
      `${where}: shape [${showShape(shape)}] needs ${elementCount(shape) ?? "over 2^53"} elements, data has ${data.length}.`,
    );
  }
}

const showShape = (shape: readonly unknown[]): string => clip(shape.slice(0, 40).map(String).join());

const tensorAdvice = (value: unknown): string =>
  isPromise(value)
    ? "await it first"
    : ArrayBuffer.isView(value)
      ? "say its dtype and shape too"
      : "`await model.stateDict()` has such tensors";

function encodeHeader(
  sorted: readonly (readonly [string, HostTensor])[],
  metadata: Record<string, string>,
): Uint8Array {
  const fields: string[] = [];
  const pairs = Object.entries(metadata).sort(([a], [b]) => compareNames(a, b));
  for (const [key, value] of pairs) {
    if (typeof value !== "string" || LONE_SURROGATE.test(key) || LONE_SURROGATE.test(value)) {
      throw new ArgumentError(
        `metadata ${quote(key)} must be a well-formed string, found ${typeof value}: convert it first.`,
      );
    }
  }
  if (pairs.length > 0) {
    const inner = pairs.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",");
    fields.push(`"${METADATA_KEY}":{${inner}}`);
  }
  let offset = 0;
  for (const [name, { dtype, shape, data }] of sorted) {
    const entry = { dtype, shape, data_offsets: [offset, offset + data.byteLength] };
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    offset += data.byteLength;
  }
  return new TextEncoder().encode(`{${fields.join(",")}}`);
}

/**
 * Serialises tensors and metadata to safetensors bytes.
 *
 * The bytes depend on the contents only, never on insertion order: tensors are laid out as the
 * reference implementation does, widest element type first and then by name, so every tensor is
 * aligned; metadata is sorted by key and left out when empty. Equal collections therefore give
 * equal files and equal hashes.
 *
 * @param tensors names to tensors; each tensor's `data` must be the typed array of its dtype, with
 * as many elements as its shape
 * @param metadata string to string, stored under `__metadata__`
 * @returns the whole file
 * @throws ArgumentError for what is no Map or object of host tensors (a promise, a tensor on the
 * device, `{}` without metadata), a reserved or ill-formed name, an unknown dtype, the wrong typed
 * array, metadata that is not text
 * @throws ShapeError when a shape and its data disagree
 */
export function encodeSafetensors(
  tensors: StateDict | Readonly<Record<string, HostTensor>>,
  metadata: Record<string, string> = {},
): Uint8Array {
  requireLittleEndian();
  if (!isPlain(metadata))
    throw new ArgumentError(
      `metadata: an object of names to text expected, found ${shown(metadata)}: pass {} for none.`,
    );
  const entries = entriesOf(tensors, Object.keys(metadata).length === 0);
  const names = Math.max(entries.length + 1, Object.keys(metadata).length);
  if (names > MAX_NAMES)
    throw new ArgumentError(
      `Names: at most ${MAX_NAMES - 1} expected, found ${names}, which no reader here takes: ${SPLIT_IT}.`,
    );
  for (const [name, tensor] of entries) checkEncodable(name, tensor);
  const rank = new Map(DTYPE_NAMES.map((name, i) => [name, i]));
  entries.sort(([a, s], [b, t]) => rank.get(s.dtype)! - rank.get(t.dtype)! || compareNames(a, b));

  const header = encodeHeader(entries, metadata);
  const headerBytes = Math.ceil(header.length / ALIGNMENT) * ALIGNMENT;
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new ArgumentError(
      `The header takes ${headerBytes} bytes, the format allows ${MAX_HEADER_BYTES}: store less metadata.`,
    );
  }
  const dataStart = LENGTH_BYTES + headerBytes;
  const file = allocate(entries.reduce((total, [, { data }]) => total + data.byteLength, dataStart));
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, LENGTH_BYTES, dataStart);
  file.set(header, LENGTH_BYTES);
  let offset = dataStart;
  for (const [, { data }] of entries) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return file;
}

function allocate(bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new PanError(
      `The file would take ${bytes} bytes, more than this machine gives one array: save the tensors in several files.`,
      { cause },
    );
  }
}

/**
 * Refuses bytes that are not even laid out as the format is: by what they are where that is known,
 * else by the problem.
 */
function refuseFile(file: Uint8Array, where: string, problem: string): never {
  const kind = describeForeign(file);
  if (kind !== undefined) throw new FormatError(`Not a safetensors file: ${kind}`);
  return refuse(where, problem);
}

/** Splits a file into its parsed header and its data section. */
function splitFile(file: Uint8Array): [Header, data: Uint8Array] {
  if (file.length < LENGTH_BYTES)
    refuseFile(file, "file", `expected at least ${LENGTH_BYTES} bytes, found ${file.length}`);
  const length = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  const room = Math.min(MAX_HEADER_BYTES, file.length - LENGTH_BYTES);
  const braced = file[LENGTH_BYTES] === 0x7b;
  if (length > room) {
    const problem = `expected a header of at most ${room} bytes, found the length ${length}`;
    // A possible length before a brace is a file of this format that was cut short.
    if (braced && length <= MAX_HEADER_BYTES) refuse("file", problem);
    refuseFile(file, "file", problem);
  }
  const dataStart = LENGTH_BYTES + Number(length);
  const text = utf8Of(file.subarray(LENGTH_BYTES, dataStart));
  if (text === undefined)
    return braced
      ? refuse("header", "expected UTF-8 text, found other bytes")
      : refuseFile(file, "header", "expected UTF-8 text, found other bytes");
  if (!text.startsWith("{")) refuseFile(file, "header", `expected "{" at its start, found ${quote(text.slice(0, 12))}`);
  return [readHeader(text, file.length - dataStart), file.subarray(dataStart)];
}

const copy = (dtype: SafetensorsDtype, data: Uint8Array, begin: number, end: number): HostArray =>
  new DTYPES[dtype](data.slice(begin, end).buffer);

/**
 * Arrays without elements; all tensors without any share them, since there is nothing in them to
 * change.
 */
const EMPTY = Object.fromEntries(DTYPE_NAMES.map((dtype) => [dtype, new DTYPES[dtype](0)])) as Record<
  SafetensorsDtype,
  HostArray
>;

/**
 * Reads safetensors bytes, trusting nothing in them. Tensors come in the order of their data, each
 * in memory of its own (whatever the alignment in the file), so together they never take more than
 * the file itself. Time is linear in the file.
 *
 * @param bytes the whole file, at any alignment: an `ArrayBuffer`, a `SharedArrayBuffer`, or any
 * view of one
 * @returns the tensors, and the metadata (`{}` where there is none)
 * @throws ArgumentError for anything but bytes: a path, a promise, a blob
 * @throws FormatError naming the tensor, what was expected and what was found, unless: the header
 * is at most 100 MB of UTF-8 JSON without duplicate keys; each tensor has exactly a known dtype, a
 * shape of non-negative integers and offsets whose span is the product of the shape times the
 * element size; the tensors tile the data without overlap, hole or rest; metadata is text. A file
 * of another kind (PyTorch, HTML, gzip, …) is called by its name, with what to do; so is a dtype
 * that nothing here computes with
 */
export function decodeSafetensors(bytes: Uint8Array | ArrayBufferLike): SafetensorsFile {
  // Through a plain Uint8Array: the slice() of Node's Buffer would be a view at the file's own,
  // possibly odd, offset.
  const file = bytesOf(bytes, "decodeSafetensors");
  requireLittleEndian();
  const [{ entries, metadata }, data] = splitFile(file);
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);

  const tensors: StateDict = new Map();
  let covered = 0;
  for (const { name, dtype, shape, begin, end } of entries) {
    if (begin !== covered) {
      const kind = begin < covered ? "an overlap" : "a hole";
      refuse(`tensor ${quote(name)}`, `expected its data at offset ${covered}, found ${begin}, which leaves ${kind}`);
    }
    tensors.set(name, { dtype, shape, data: begin === end ? EMPTY[dtype] : copy(dtype, data, begin, end) });
    covered = end;
  }
  if (covered !== data.length)
    refuse("file", `expected ${covered} bytes of data, which the tensors cover, found ${data.length}`);
  return { tensors, metadata };
}
