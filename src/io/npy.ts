/**
 * Reader of NumPy's NPY format, versions 1.0 to 3.0, on bytes alone.
 *
 *     [ \x93NUMPY ][ major, minor ][ header length: u16 in version 1, u32 from version 2 ][ header ][ data ]
 *     header = Python literal { 'descr': '<f4', 'fortran_order': False, 'shape': (n, m), }, padded with spaces and a newline
 *
 * Understood are arrays of numbers and booleans in either byte order, rows or columns first; a file
 * may come from a stranger, and nothing in it is executed. Source:
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { ArgumentError, FormatError } from "../errors";
import { utf8Of } from "./bytes";
import { DTYPES, type HostTensor, type SafetensorsDtype } from "./host-tensor";
import { parseHeader } from "./npy-header";
import { clip, shown } from "./shown";

const MAGIC = [0x93, ...new TextEncoder().encode("NUMPY")];
/**
 * Longest header that is read: three short entries need a hundred bytes, and version 1 has no room
 * for more.
 */
const LONGEST_HEADER = 0xffff;
/** NumPy's own limit. */
const MOST_DIMENSIONS = 64;

/** NumPy's names of element types: kind and size in bytes, without the byte order before them. */
const TYPES: ReadonlyMap<string, SafetensorsDtype> = new Map([
  ["b1", "BOOL"],
  ["u1", "U8"],
  ["u2", "U16"],
  ["u4", "U32"],
  ["u8", "U64"],
  ["i1", "I8"],
  ["i2", "I16"],
  ["i4", "I32"],
  ["i8", "I64"],
  ["f2", "F16"],
  ["f4", "F32"],
  ["f8", "F64"],
]);

/** What to do about elements of a kind that is not read, by the letter of the kind. */
const ADVICE: Readonly<Record<string, string>> = {
  c: "complex numbers are not read: save a.real and a.imag apart",
  O: "Python objects are pickles, which can run code, and are never read: convert the array with astype('<f4')",
  S: "byte strings are not read: save numbers",
  U: "strings are not read: save numbers",
  V: "raw bytes and structures are not read: save each field apart, as a['name']",
  M: "dates are not read: convert them with astype('<i8')",
  m: "spans of time are not read: convert them with astype('<i8')",
  f: "floats of this size are not read: convert them with astype('<f8')",
};

/**
 * Reads an array. Columns first (Fortran's order) is brought to rows first, and big-endian elements
 * to little-endian; `F16` elements are left as bits, which `toFloat32` converts.
 *
 * @param bytes the whole file
 * @param source what to call the bytes in error messages, such as the file's name
 * @returns the array, copied out of `bytes`
 * @throws ArgumentError if `bytes` is no `Uint8Array` or `source` no text
 * @throws FormatError naming the field that is damaged or not understood: magic, version, header
 *   length, header, descr, fortran_order, shape, data
 */
export function decodeNpy(bytes: Uint8Array, source = "NPY data"): HostTensor {
  if (typeof source !== "string")
    throw new ArgumentError(`decodeNpy: expected source to be a text, got ${shown(source)}`);
  if (!(bytes instanceof Uint8Array)) {
    throw new ArgumentError(
      `decodeNpy: expected the bytes of ${clip(source, 300)} as a Uint8Array, got ${shown(bytes)}`,
    );
  }
  const wrong = (field: string, problem: string) => new FormatError(`${clip(source, 300)}: field ${field}: ${problem}`);
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw wrong("magic", "expected the bytes \\x93NUMPY at the start; the file is not in the NPY format");
  }
  const major = bytes[6] ?? 0;
  if (major < 1 || major > 3) throw wrong("version", `expected 1, 2 or 3, got ${major}; save it with a current NumPy`);
  const start = major === 1 ? 10 : 12;
  if (bytes.length < start) throw wrong("header length", `the file ends after ${bytes.length} bytes; it is truncated`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = start + (major === 1 ? view.getUint16(8, true) : view.getUint32(8, true));
  if (end > bytes.length) {
    throw wrong(
      "header length",
      `expected a header up to byte ${end}, but the file has ${bytes.length}; it is truncated`,
    );
  }
  if (end - start > LONGEST_HEADER) {
    throw wrong("header length", `expected at most ${LONGEST_HEADER} bytes, got ${end - start}; save a plain array`);
  }
  const headerText = utf8Of(bytes.subarray(start, end));
  if (headerText === undefined) throw wrong("header", "expected UTF-8 text, got other bytes; save a plain array");
  const fields = parseHeader(headerText, wrong);

  const { dtype, bigEndian } = readType(fields.descr, wrong);
  if (fields.fortran_order !== "False" && fields.fortran_order !== "True") {
    throw wrong("fortran_order", `expected True or False, got ${clip(fields.fortran_order)}`);
  }
  const shape = readShape(fields.shape);
  if (!shape) {
    throw wrong(
      "shape",
      `expected a tuple of at most ${MOST_DIMENSIONS} whole numbers from 0, of as many elements as can be counted, ` +
        `got ${clip(fields.shape)}`,
    );
  }
  const type = DTYPES[dtype];
  const size = type.BYTES_PER_ELEMENT;
  const expected = shape.reduce((a, b) => a * b, 1) * size;
  if (bytes.length - end !== expected) {
    throw wrong(
      "data",
      `expected ${expected} bytes for ${fields.descr} of shape ${clip(fields.shape)}, got ${bytes.length - end}; ` +
        `the file is ${bytes.length - end < expected ? "truncated" : "longer than its header says"}`,
    );
  }
  let data = new Uint8Array(bytes.subarray(end));
  if (fields.fortran_order === "True") data = rowsFirst(data, size, shape);
  if (bigEndian) turnBytes(data, size);
  return { dtype, shape, data: new type(data.buffer) };
}

type Wrong = (field: string, problem: string) => FormatError;

/** `'<f4'`: byte order, kind and size. */
function readType(descr: string, wrong: Wrong): { dtype: SafetensorsDtype; bigEndian: boolean } {
  if (descr.startsWith("["))
    throw wrong("descr", `expected one type for all elements, got ${clip(descr)}: ${ADVICE["V"]}`);
  const [, order = "", name = ""] = /^['"]([<>|])(\w{1,20})['"]$/.exec(descr) ?? [];
  const dtype = TYPES.get(name);
  // A byte alone has no order; larger elements must say theirs.
  if (dtype && (order !== "|" || name.endsWith("1"))) return { dtype, bigEndian: order === ">" };
  const known = [...TYPES.keys()].join(", ");
  const kind = /^['"][<>|=]?([a-zA-Z])/.exec(descr)?.[1] ?? "";
  const advice = (!dtype && ADVICE[kind]) || "convert it with astype('<f4')";
  throw wrong("descr", `expected < or > and one of ${known}, got ${clip(descr)}: ${advice}`);
}

/**
 * `(2, 3)`, `(2,)` and `()`; undefined for anything else, or for more elements than can be counted.
 * Python 2 wrote `(2L,)`.
 */
function readShape(tuple: string): number[] | undefined {
  if (!tuple.startsWith("(") || !tuple.endsWith(")")) return undefined;
  const parts = tuple
    .slice(1, -1)
    .split(",", MOST_DIMENSIONS + 2)
    .map((part) => part.trim());
  const last = parts.pop();
  // In Python (3) is the number 3; a tuple of one has a comma.
  if (last !== "" && parts.length === 0) return undefined;
  if (last !== "") parts.push(last!);
  if (parts.length > MOST_DIMENSIONS || !parts.every((part) => /^\d{1,16}L?$/.test(part))) return undefined;
  const shape = parts.map((part) => Number.parseInt(part, 10));
  // A size of 0 must not hide that the others are nonsense.
  const elements = shape.reduce((a, b) => a * (b || 1), 8);
  return shape.every(Number.isSafeInteger) && Number.isSafeInteger(elements) ? shape : undefined;
}

/**
 * Elements of `size` bytes, whose first index runs fastest, in the order in which the last does.
 */
function rowsFirst(columns: Uint8Array, size: number, shape: readonly number[]): Uint8Array<ArrayBuffer> {
  const rows = new Uint8Array(columns.length);
  const index = shape.map(() => 0);
  const strides: number[] = [];
  shape.reduce((stride, n) => {
    strides.push(stride);
    return stride * n;
  }, size);
  let from = 0;
  for (let to = 0; to < rows.length; to += size) {
    for (let b = 0; b < size; b++) rows[to + b] = columns[from + b]!;
    // The next index, as an odometer counts.
    for (let d = shape.length - 1; d >= 0; d--) {
      from += strides[d]!;
      if (++index[d]! < shape[d]!) break;
      from -= strides[d]! * shape[d]!;
      index[d] = 0;
    }
  }
  return rows;
}

/** Reverses the bytes of each element, in place. */
function turnBytes(bytes: Uint8Array, size: number): void {
  for (let at = 0; at < bytes.length; at += size) {
    for (let low = at, high = at + size - 1; low < high; low++, high--) {
      const held = bytes[low]!;
      bytes[low] = bytes[high]!;
      bytes[high] = held;
    }
  }
}

/**
 * Writes an array, version 1.0 of the format: rows first, little-endian.
 * @throws ArgumentError for element types that NumPy has no name for (BF16 and the like).
 */
export function encodeNpy({ dtype, shape, data }: HostTensor): Uint8Array<ArrayBuffer> {
  const descr = [...TYPES].find(([, type]) => type === dtype)?.[0];
  if (descr === undefined)
    throw new ArgumentError(`NPY data: elements of ${[...TYPES.values()].join(", ")} expected, found ${dtype}`);
  const order = descr.endsWith("1") ? "|" : "<";
  const sizes = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const words = `{'descr': '${order}${descr}', 'fortran_order': False, 'shape': ${sizes}, }`;
  // Data begin at a multiple of 64 bytes.
  const header = `${words.padEnd(Math.ceil((words.length + 11) / 64) * 64 - 11)}\n`;
  const bytes = new Uint8Array(10 + header.length + data.byteLength);
  bytes.set([...MAGIC, 1, 0]);
  new DataView(bytes.buffer).setUint16(8, header.length, true);
  bytes.set(new TextEncoder().encode(header), 10);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + header.length);
  return bytes;
}
