/**
 * The safetensors format, both ways, on bytes alone (no files, no GPU), so that it runs in a browser and in Node alike.
 *
 *     [ u64 little-endian: header length N ][ N bytes of JSON, padded with spaces ][ tensor data, row-major, little-endian ]
 *     header = { "__metadata__"?: { string: string }, name: { "dtype", "shape", "data_offsets": [begin, end) } … }
 *
 * A model file may come from a stranger, so the decoder trusts nothing and accepts a file only when its tensors tile the data
 * section exactly. Source: https://github.com/huggingface/safetensors (format section of the README).
 */
import { ArgumentError, FormatError, ShapeError } from "../errors";
import { DTYPES, type HostTensor, type SafetensorsDtype, type StateDict } from "./host-tensor";

/** What a safetensors file holds. */
export interface SafetensorsFile {
  readonly tensors: StateDict;
  readonly metadata: Record<string, string>;
}

const METADATA_KEY = "__metadata__";
const LENGTH_BYTES = 8;
/** Header object, tensor object, list of integers. */
const MAX_DEPTH = 3;
const SPACE = " \t\n\r";
const ALIGNMENT = 8;
/** The reference implementation's bound on the header, in bytes. */
const MAX_HEADER_BYTES = 100_000_000;
const DTYPE_NAMES = Object.keys(DTYPES) as SafetensorsDtype[];
const DTYPE_LIST = DTYPE_NAMES.join(", ");
const LONE_SURROGATE = /\p{Surrogate}/u;

const isDtype = (name: string): name is SafetensorsDtype => Object.hasOwn(DTYPES, name);

const quote = (text: string): string => JSON.stringify(text.length > 120 ? `${text.slice(0, 117)}...` : text);

/** A value out of a parsed header, as JSON: `String()` would call a `toString` that the file may have put there. */
const show = (value: unknown): string => quote(JSON.stringify(value));

/** Product of the dimensions; `undefined` where it leaves the safe integers. */
function elementCount(shape: readonly number[]): number | undefined {
  if (shape.includes(0)) return 0;
  let count = 1;
  for (const dimension of shape) {
    count *= dimension;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/** Typed arrays use the host's byte order and the format is little-endian; every WebGPU platform agrees with it. */
function requireLittleEndian(): void {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
    throw new FormatError(
      "safetensors data is little-endian and this machine is big-endian: use a little-endian machine.",
    );
  }
}

/** Order of UTF-8 bytes, which JavaScript's own string order is not once surrogate pairs appear. */
function compareNames(a: string, b: string): number {
  const x = Array.from(a);
  const y = Array.from(b);
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const difference = x[i]!.codePointAt(0)! - y[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return x.length - y.length;
}

function checkEncodable(name: string, tensor: HostTensor): void {
  const where = `tensor ${quote(name)}`;
  if (name === METADATA_KEY) {
    throw new ArgumentError(`The name "${METADATA_KEY}" is reserved by the safetensors format: rename the tensor.`);
  }
  if (LONE_SURROGATE.test(name)) {
    throw new ArgumentError(
      `${where}: the name holds half a surrogate pair, which UTF-8 cannot express: rename the tensor.`,
    );
  }
  const { dtype, shape, data } = tensor;
  if (!isDtype(dtype)) {
    throw new ArgumentError(`${where}: dtype ${quote(String(dtype))} is not understood; use one of ${DTYPE_LIST}.`);
  }
  const expected = DTYPES[dtype].name;
  const found = ArrayBuffer.isView(data) ? data[Symbol.toStringTag] : typeof data;
  if (found !== expected) {
    throw new ArgumentError(`${where}: dtype ${dtype} needs its data in a ${expected}, found ${found}.`);
  }
  const bad = shape.find((d) => !Number.isSafeInteger(d) || d < 0);
  if (bad !== undefined) {
    throw new ShapeError(`${where}: shape [${shape}] must hold non-negative integers, found ${bad}.`);
  }
  if (elementCount(shape) !== data.length) {
    throw new ShapeError(
      `${where}: shape [${shape}] needs ${elementCount(shape) ?? "over 2^53"} elements, data has ${data.length}.`,
    );
  }
}

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
 * The bytes depend on the contents only, never on insertion order: tensors are laid out as the reference implementation
 * does, widest element type first and then by name, so every tensor is aligned; metadata is sorted by key and left out when empty.
 * Equal collections therefore give equal files and equal hashes.
 *
 * @param tensors names to tensors; each tensor's `data` must be the typed array of its dtype, with as many elements as its shape
 * @param metadata string to string, stored under `__metadata__`
 * @returns the whole file
 * @throws ArgumentError for a reserved or ill-formed name, an unknown dtype, the wrong typed array, metadata that is not text
 * @throws ShapeError when a shape and its data disagree
 */
export function encodeSafetensors(
  tensors: StateDict | Readonly<Record<string, HostTensor>>,
  metadata: Record<string, string> = {},
): Uint8Array {
  requireLittleEndian();
  const entries = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  for (const [name, tensor] of entries) checkEncodable(name, tensor);
  const rank = (tensor: HostTensor) => DTYPE_NAMES.indexOf(tensor.dtype);
  entries.sort(([a, s], [b, t]) => rank(s) - rank(t) || compareNames(a, b));

  const header = encodeHeader(entries, metadata);
  const headerBytes = Math.ceil(header.length / ALIGNMENT) * ALIGNMENT;
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new ArgumentError(
      `The header takes ${headerBytes} bytes, the format allows ${MAX_HEADER_BYTES}: store less metadata.`,
    );
  }
  const dataStart = LENGTH_BYTES + headerBytes;
  const file = new Uint8Array(entries.reduce((total, [, { data }]) => total + data.byteLength, dataStart));
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

function refuse(where: string, problem: string): never {
  throw new FormatError(
    `Not a valid safetensors file: ${where}: ${problem}. It is damaged or cut short: fetch or export it again.`,
  );
}

/** Refuses what `JSON.parse` would hide or choke on: duplicate keys, fractions and exponents, deep nesting. */
function scanHeader(text: string): void {
  const keysOpen: Set<string>[] = [];
  let where = "header";
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"') {
      const start = at++;
      while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
      let next = at + 1;
      while (SPACE.includes(text[next] ?? "?")) next++;
      if (text[next] !== ":") continue;
      const key = parseJson(text.slice(start, at + 1)) as string;
      const keys = keysOpen.at(-1);
      if (keysOpen.length === 1) where = key === METADATA_KEY ? "metadata" : `tensor ${quote(key)}`;
      if (keys?.has(key)) refuse(where, `the key ${quote(key)} appears twice, names must be unique`);
      keys?.add(key);
    } else if (char === "{" || char === "[") {
      if (keysOpen.push(new Set()) > MAX_DEPTH)
        refuse(where, `nested deeper than the ${MAX_DEPTH} levels of the format`);
    } else if (char === "}" || char === "]") {
      keysOpen.pop();
    } else if (!SPACE.includes(char) && !",:0123456789".includes(char)) {
      refuse(where, `expected strings, lists and plain non-negative integers, found ${quote(text.slice(at, at + 12))}`);
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    return refuse("header", `expected JSON, found an error (${String(cause)})`);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isNaturals = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((v) => Number.isSafeInteger(v) && v >= 0);

/** One tensor as the header describes it; offsets count from the start of the data section. */
interface Entry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function readEntry(name: string, value: unknown, available: number): Entry {
  const where = `tensor ${quote(name)}`;
  const fields = isObject(value) ? Object.keys(value).sort().join(", ") : typeof value;
  if (!isObject(value) || fields !== "data_offsets, dtype, shape") {
    return refuse(where, `expected exactly the fields data_offsets, dtype, shape, found ${quote(fields)}`);
  }
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !isDtype(dtype)) {
    return refuse(where, `expected a dtype out of ${DTYPE_LIST}, found ${show(dtype)}`);
  }
  if (!isNaturals(shape)) return refuse(where, `expected a shape of integers below 2^53, found ${show(shape)}`);
  if (!isNaturals(offsets) || offsets.length !== 2) {
    return refuse(where, `expected data_offsets of two integers below 2^53, found ${show(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > available) {
    refuse(where, `expected data_offsets within the ${available} bytes of data, in order, found [${begin}, ${end}]`);
  }
  const count = elementCount(shape);
  if (count === undefined || count * DTYPES[dtype].BYTES_PER_ELEMENT !== end - begin) {
    refuse(
      where,
      `${dtype} of shape ${quote(`[${shape}]`)} does not take the ${end - begin} bytes its data_offsets span`,
    );
  }
  return { name, dtype, shape, begin, end };
}

function readMetadata(value: unknown): Record<string, string> {
  if (!isObject(value)) return refuse("metadata", `expected an object of strings, found ${show(value)}`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") refuse("metadata", `expected text under ${quote(key)}, found ${typeof text}`);
    if (LONE_SURROGATE.test(key + text)) refuse("metadata", `${quote(key)} holds half a surrogate pair`);
  }
  return value as Record<string, string>;
}

/** Splits a file into its parsed header and its data section. */
function splitFile(file: Uint8Array): [header: Record<string, unknown>, data: Uint8Array] {
  if (file.length < LENGTH_BYTES) refuse("file", `expected at least ${LENGTH_BYTES} bytes, found ${file.length}`);
  const length = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true);
  const room = Math.min(MAX_HEADER_BYTES, file.length - LENGTH_BYTES);
  if (length > room) refuse("file", `expected a header of at most ${room} bytes, found the length ${length}`);
  const dataStart = LENGTH_BYTES + Number(length);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(file.slice(LENGTH_BYTES, dataStart));
  } catch {
    return refuse("header", "expected UTF-8 text, found other bytes");
  }
  if (!text.startsWith("{")) refuse("header", `expected "{" at its start, found ${quote(text.slice(0, 12))}`);
  scanHeader(text);
  return [parseJson(text) as Record<string, unknown>, file.subarray(dataStart)];
}

/**
 * Reads safetensors bytes, trusting nothing in them. Tensors come in the order of their data, each in memory of its own
 * (whatever the alignment in the file), so together they never take more than the file itself.
 *
 * @param bytes the whole file, at any alignment
 * @returns the tensors, and the metadata (`{}` where there is none)
 * @throws FormatError naming the tensor, what was expected and what was found, unless: the header is at most 100 MB of UTF-8 JSON
 * without duplicate keys; each tensor has exactly a known dtype, a shape of non-negative integers and offsets whose span
 * is the product of the shape times the element size; the tensors tile the data without overlap, hole or rest; metadata is text
 */
export function decodeSafetensors(bytes: Uint8Array | ArrayBuffer): SafetensorsFile {
  requireLittleEndian();
  // A plain Uint8Array: the slice() of Node's Buffer would be a view at the file's own, possibly odd, offset.
  const file = ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
  const [header, data] = splitFile(file);

  let metadata: Record<string, string> = {};
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (LONE_SURROGATE.test(name)) refuse(`tensor ${quote(name)}`, "the name holds half a surrogate pair");
    if (name === METADATA_KEY) metadata = readMetadata(value);
    else entries.push(readEntry(name, value, data.length));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);

  const tensors: StateDict = new Map();
  let covered = 0;
  for (const { name, dtype, shape, begin, end } of entries) {
    if (begin !== covered) {
      const kind = begin < covered ? "an overlap" : "a hole";
      refuse(`tensor ${quote(name)}`, `expected its data at offset ${covered}, found ${begin}, which leaves ${kind}`);
    }
    tensors.set(name, { dtype, shape, data: new DTYPES[dtype](data.slice(begin, end).buffer) });
    covered = end;
  }
  if (covered !== data.length)
    refuse("file", `expected ${covered} bytes of data, which the tensors cover, found ${data.length}`);
  return { tensors, metadata };
}
