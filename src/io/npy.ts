/**
 * Reader of NumPy's NPY format, versions 1.0 to 3.0, on bytes alone.
 *
 *     [ \x93NUMPY ][ major, minor ][ header length: u16 in version 1, u32 from version 2 ][ header ][ data ]
 *     header = Python literal { 'descr': '<f4', 'fortran_order': False, 'shape': (n, m), }, padded with spaces and a newline
 *
 * Understood are row-major arrays of little-endian numbers; a file may come from a stranger, and nothing in it is executed.
 * Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { FormatError } from "../errors";
import { DTYPES, type HostTensor, type SafetensorsDtype } from "./host-tensor";

const MAGIC = [0x93, ...new TextEncoder().encode("NUMPY")];

/** NumPy's names, as headers quote them: `<` is little-endian, `|` for a byte alone, which has no order. */
const TYPES: ReadonlyMap<string, SafetensorsDtype> = new Map([
  ["'<f4'", "F32"],
  ["'<f8'", "F64"],
  ["'|i1'", "I8"],
  ["'<i2'", "I16"],
  ["'<i4'", "I32"],
  ["'<i8'", "I64"],
  ["'|u1'", "U8"],
  ["'<u2'", "U16"],
]);

const FIELDS = {
  descr: /'descr'\s*:\s*('[^']*'|\[[^\]]*\]|[^,}]*)\s*,?/,
  fortran_order: /'fortran_order'\s*:\s*(\w*)\s*,?/,
  shape: /'shape'\s*:\s*(\([^)]*\))\s*,?/,
};

/**
 * Reads an array.
 *
 * @param bytes the whole file
 * @param source what to call the bytes in error messages, such as the file's name
 * @returns the array, copied out of `bytes`
 * @throws FormatError naming the field that is damaged or not understood: magic, version, header length, descr, fortran_order, shape, data
 */
export function decodeNpy(bytes: Uint8Array, source = "NPY data"): HostTensor {
  const wrong = (field: string, problem: string) => new FormatError(`${source}: field ${field}: ${problem}`);
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
  const header = new TextDecoder().decode(bytes.subarray(start, end)).trim();
  const { descr, fortran_order, shape: dimensions } = readHeader(header, wrong);

  const dtype = TYPES.get(descr);
  if (!dtype) {
    throw wrong("descr", `expected one of ${[...TYPES.keys()].join(", ")}, got ${descr}; convert it with astype`);
  }
  if (fortran_order !== "False") {
    throw wrong("fortran_order", `expected False, got ${fortran_order}; save it through numpy.ascontiguousarray`);
  }
  const shape = readShape(dimensions);
  if (!shape) throw wrong("shape", `expected a tuple of whole numbers from 0, got ${dimensions}`);

  const type = DTYPES[dtype];
  const count = shape.reduce((a, b) => a * b, 1);
  const expected = count * type.BYTES_PER_ELEMENT;
  if (bytes.length - end !== expected) {
    throw wrong(
      "data",
      `expected ${expected} bytes for ${descr} of shape ${dimensions}, got ${bytes.length - end}; ` +
        `the file is ${bytes.length - end < expected ? "truncated" : "longer than its header says"}`,
    );
  }
  return { dtype, shape, data: new type(new Uint8Array(bytes.subarray(end)).buffer) };
}

type Wrong = (field: string, problem: string) => FormatError;

/** The three entries of the header, as they are written. NumPy too refuses a header with another entry. */
function readHeader(header: string, wrong: Wrong): Record<keyof typeof FIELDS, string> {
  let rest = header;
  const read = (name: keyof typeof FIELDS) => {
    const found = FIELDS[name].exec(rest);
    if (!found) throw wrong(name, `it is missing in the header ${JSON.stringify(header.slice(0, 200))}`);
    rest = rest.replace(found[0], "");
    return found[1]!.trim();
  };
  const fields = { descr: read("descr"), fortran_order: read("fortran_order"), shape: read("shape") };
  if (!/^\{\s*\}$/.test(rest)) {
    throw wrong(
      "header",
      `expected descr, fortran_order and shape alone, got also ${JSON.stringify(rest.slice(0, 200))}`,
    );
  }
  return fields;
}

/** `(2, 3)`, `(2,)` and `()`; undefined for anything else, or for more elements than can be counted. */
function readShape(tuple: string): number[] | undefined {
  const list = /^\(\s*((?:\d+\s*,\s*)*(?:\d+\s*)?)\)$/.exec(tuple)?.[1];
  // In Python (3) is the number 3; a tuple of one has a comma.
  if (list === undefined || /^\d+\s*$/.test(list)) return undefined;
  const shape = list
    .split(",")
    .filter((part) => part.trim() !== "")
    .map(Number);
  return Number.isSafeInteger(shape.reduce((a, b) => a * b, 8)) ? shape : undefined;
}
