import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ArgumentError, FormatError, ShapeError } from "../../src/errors";
import { type HostArray, type HostTensor, type SafetensorsDtype, toFloat32 } from "../../src/io/host-tensor";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";

const ARRAYS = {
  U64: BigUint64Array,
  I64: BigInt64Array,
  F64: Float64Array,
  F32: Float32Array,
  U32: Uint32Array,
  I32: Int32Array,
  BF16: Uint16Array,
  F16: Uint16Array,
  U16: Uint16Array,
  I16: Int16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} satisfies Record<SafetensorsDtype, unknown>;

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const rawBytes = (data: HostArray) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
const f32 = (shape: number[], ...values: number[]): HostTensor => ({
  dtype: "F32",
  shape,
  data: Float32Array.from(values),
});

/**
 * A file from a header text (or raw header bytes) and its data, with no opinion on whether it is
 * valid.
 */
function fileOf(header: string | Uint8Array, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

/**
 * Decodes or throws FormatError; whatever is returned must be consistent in itself and survive a
 * round trip.
 */
function decodeOrRefuse(bytes: Uint8Array): SafetensorsFile | undefined {
  let file: SafetensorsFile;
  try {
    file = decodeSafetensors(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return undefined;
  }
  let total = 0;
  for (const { dtype, shape, data } of file.tensors.values()) {
    expect(data).toBeInstanceOf(ARRAYS[dtype]);
    expect(data.length).toBe(product(shape));
    total += data.byteLength;
  }
  expect(total).toBeLessThanOrEqual(bytes.length);
  expectSame(decodeSafetensors(encodeSafetensors(file.tensors, file.metadata)), file);
  return file;
}

function expectSame(actual: SafetensorsFile, expected: SafetensorsFile): void {
  expect(Object.entries(actual.metadata).sort()).toEqual(Object.entries(expected.metadata).sort());
  expect([...actual.tensors.keys()].sort()).toEqual([...expected.tensors.keys()].sort());
  for (const [name, tensor] of expected.tensors) {
    const found = actual.tensors.get(name)!;
    expect([found.dtype, found.shape]).toEqual([tensor.dtype, tensor.shape]);
    // Bytes, because NaN payloads must survive too.
    expect(rawBytes(found.data)).toEqual(rawBytes(tensor.data));
  }
}

const anyName = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.constantFrom(
    "__proto__",
    "constructor",
    "toString",
    "0",
    "17",
    'q"\\\n',
    "features.4.conv.weight",
    "\u{1F600}",
    "\uFFFD",
  ),
);

const anyTensor: fc.Arbitrary<HostTensor> = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(ARRAYS) as SafetensorsDtype[])),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
  })
  .chain(({ dtype, shape }) => {
    const length = product(shape) * ARRAYS[dtype].BYTES_PER_ELEMENT;
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((bytes) => ({ dtype, shape, data: new ARRAYS[dtype](bytes.slice().buffer) }));
  });

const anyFile: fc.Arbitrary<SafetensorsFile> = fc.record({
  tensors: fc.array(fc.tuple(anyName, anyTensor), { maxLength: 6 }).map((pairs) => new Map(pairs)),
  metadata: fc.array(fc.tuple(anyName, anyName), { maxLength: 3 }).map((pairs) => Object.fromEntries(pairs)),
});

/**
 * a: F32 [2] = 1, -2; b: U8 [3] = 1, 2, 3; metadata format = pt. As the Python package writes it,
 * byte by byte.
 */
const KNOWN_HEADER =
  '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}';
const KNOWN_DATA = [0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0xc0, 0x01, 0x02, 0x03];
const KNOWN_FILE = Uint8Array.from([
  ...[144, 0, 0, 0, 0, 0, 0, 0],
  ...Array.from(KNOWN_HEADER.padEnd(144, " "), (char) => char.charCodeAt(0)),
  ...KNOWN_DATA,
]);

describe("encodeSafetensors", () => {
  it("writes the bytes that the reference layout prescribes, whatever the insertion order", () => {
    const a = f32([2], 1, -2);
    const b: HostTensor = { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) };
    expect(
      encodeSafetensors(
        new Map([
          ["b", b],
          ["a", a],
        ]),
        { format: "pt" },
      ),
    ).toEqual(KNOWN_FILE);
    expect(encodeSafetensors({ a, b }, { format: "pt" })).toEqual(KNOWN_FILE);
  });

  it("orders the data by dtype width and then by the UTF-8 bytes of the name, each tensor aligned", () => {
    const one = (dtype: SafetensorsDtype): HostTensor => ({ dtype, shape: [1], data: new ARRAYS[dtype](1) });
    // U+FFFD is before U+1F600 in UTF-8 and after it in JavaScript's order.
    const names = {
      "\u{1F600}": one("F32"),
      "\uFFFD": one("F32"),
      flag: one("BOOL"),
      half: one("F16"),
      count: one("I64"),
    };
    expect([...decodeSafetensors(encodeSafetensors(names)).tensors.keys()]).toEqual([
      "count",
      "\uFFFD",
      "\u{1F600}",
      "half",
      "flag",
    ]);
  });

  it("takes the part of a larger buffer that a view shows", () => {
    const view = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
    const file = decodeSafetensors(encodeSafetensors({ w: { dtype: "F32", shape: [2], data: view } }));
    expect(file.tensors.get("w")!.data).toEqual(Float32Array.of(1, 2));
  });

  it("writes an empty collection as a header of padding", () => {
    expect(encodeSafetensors(new Map())).toEqual(fileOf("{}      "));
  });

  it("refuses what the format cannot hold, naming the tensor", () => {
    const tensor = f32([1], 0);
    const attempt = (over: Partial<Record<keyof HostTensor, unknown>>) => () =>
      encodeSafetensors({ w: { ...tensor, ...over } as HostTensor });
    expect(() => encodeSafetensors({ __metadata__: tensor })).toThrow(ArgumentError);
    expect(() => encodeSafetensors({ "\ud800": tensor })).toThrow(ArgumentError);
    expect(attempt({ dtype: "toString" })).toThrow(ArgumentError);
    expect(attempt({ dtype: "I32" })).toThrow(/tensor "w".*Int32Array, found Float32Array/);
    expect(attempt({ data: [1] })).toThrow(ArgumentError);
    expect(attempt({ shape: [2] })).toThrow(/tensor "w".*needs 2 elements, data has 1/);
    for (const shape of [[-1], [0.5], [Number.NaN], [2 ** 53], [2 ** 30, 2 ** 30]]) {
      expect(attempt({ shape })).toThrow(ShapeError);
    }
    expect(() => encodeSafetensors({}, { n: 1 } as unknown as Record<string, string>)).toThrow(/metadata "n"/);
  });
});

describe("decodeSafetensors", () => {
  it("reads a file written by hand", () => {
    const { tensors, metadata } = decodeSafetensors(KNOWN_FILE);
    expect(metadata).toEqual({ format: "pt" });
    expect(tensors).toEqual(
      new Map<string, HostTensor>([
        ["a", f32([2], 1, -2)],
        ["b", { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) }],
      ]),
    );
  });

  it("gives back what was encoded, from any alignment", () => {
    fc.assert(
      fc.property(anyFile, fc.integer({ min: 0, max: 7 }), (file, shift) => {
        const bytes = encodeSafetensors(file.tensors, file.metadata);
        const shifted = Buffer.alloc(bytes.length + shift);
        shifted.set(bytes, shift);
        expectSame(decodeSafetensors(shifted.subarray(shift)), file);
        const dataStart = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
        expect(dataStart % 8).toBe(0);
      }),
      { numRuns: 150, seed: 1 },
    );
  });

  it("reads an ArrayBuffer and hands out memory of its own", () => {
    const bytes = KNOWN_FILE.slice();
    const { tensors } = decodeSafetensors(bytes.buffer);
    bytes.fill(0);
    expect(tensors.get("a")!.data).toEqual(Float32Array.of(1, -2));
    expect(tensors.get("a")!.data.buffer.byteLength).toBe(8);
  });

  it("accepts empty files, scalars, tensors without elements, and fields in any order", () => {
    expect(decodeSafetensors(fileOf("{}"))).toEqual({ tensors: new Map(), metadata: {} });
    const header =
      '{ "z": {"shape":[0,9007199254740991,4],"data_offsets":[4,4],"dtype":"F32"},\n"s":{"data_offsets":[0,4],"dtype":"F32","shape":[]} }';
    const { tensors } = decodeSafetensors(fileOf(header, new Uint8Array(4)));
    expect(tensors.get("s")).toEqual(f32([], 0));
    expect(tensors.get("z")!.data.length).toBe(0);
  });

  it("keeps names that mean something to JavaScript as plain names", () => {
    const header =
      '{"__metadata__":{"__proto__":"m"},"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"constructor":{"dtype":"U8","shape":[],"data_offsets":[1,2]}}';
    const { tensors, metadata } = decodeSafetensors(fileOf(header, Uint8Array.of(7, 8)));
    expect([...tensors.keys()]).toEqual(["__proto__", "constructor"]);
    expect(Object.entries(metadata)).toEqual([["__proto__", "m"]]);
    expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
  });
});

describe("decodeSafetensors refuses", () => {
  const data = new Uint8Array(8);
  const entry = (fields: string) => `{"w":{${fields}}}`;
  const good = '"dtype":"F32","shape":[2],"data_offsets":[0,8]';
  const two = (a: string, b: string) =>
    `{"a":{"dtype":"F32","shape":[1],"data_offsets":${a}},"b":{"dtype":"F32","shape":[1],"data_offsets":${b}}}`;
  const withShape = (shape: string) => entry(`"dtype":"F32","shape":${shape},"data_offsets":[0,8]`);
  const withOffsets = (offsets: string) => entry(`"dtype":"F32","shape":[2],"data_offsets":${offsets}`);
  const headers: [what: string, header: string, message: RegExp][] = [
    ["an unknown dtype", entry('"dtype":"F7","shape":[2],"data_offsets":[0,8]'), /tensor "w".*F32.*F7/],
    ["a dtype of Object.prototype", entry('"dtype":"toString","shape":[2],"data_offsets":[0,8]'), /dtype/],
    ["a dtype that is no text", entry('"dtype":[1],"shape":[2],"data_offsets":[0,8]'), /tensor "w".*dtype/],
    [
      "a dtype with a toString of its own",
      entry('"dtype":{"toString":"x"},"shape":[2],"data_offsets":[0,8]'),
      /"w".*dtype/,
    ],
    ["a shape with a toString of its own", withShape('{"toString":"x","valueOf":1}'), /tensor "w".*shape/],
    ["metadata with a toString of its own", '{"__metadata__":{"toString":{"toString":"x"}}}', /metadata.*toString/],
    ["metadata as a list", '{"__metadata__":[{"toString":"x"}]}', /metadata.*object/],
    ["a shape that does not match the bytes", withShape("[3]"), /tensor "w".*\[3\].*8 bytes/],
    ["an overflowing shape", withShape("[4294967296,4294967296]"), /tensor "w"/],
    ["a shape whose product wraps to the size", withShape("[2,4294967297,4294967296]"), /tensor "w"/],
    ["a negative shape", withShape("[-2]"), /tensor "w".*-2/],
    ["two negative dimensions", withShape("[-2,-1]"), /tensor "w"/],
    ["a fraction", withShape("[2.0]"), /tensor "w"/],
    ["an exponent", withShape("[2e0]"), /tensor "w"/],
    ["a dimension of 2^53", withShape("[0,9007199254740992]"), /tensor "w".*2\^53/],
    ["a shape holding text", withShape('["2"]'), /tensor "w".*shape/],
    ["a shape that is a number", withShape("2"), /tensor "w".*shape/],
    ["a shape that is null", withShape("null"), /tensor "w"/],
    ["end before begin", withOffsets("[8,0]"), /tensor "w".*in order.*\[8, 0\]/],
    ["an end past the data", withOffsets("[0,9]"), /tensor "w".*8 bytes.*\[0, 9\]/],
    ["offsets of 2^53", withOffsets("[9007199254740992,9007199254741000]"), /tensor "w".*data_offsets/],
    ["offsets of 10^400", withOffsets(`[0,1${"0".repeat(400)}]`), /tensor "w".*data_offsets/],
    ["one offset", withOffsets("[8]"), /tensor "w".*two integers/],
    ["three offsets", withOffsets("[0,8,8]"), /tensor "w".*two integers/],
    ["a missing field", entry('"dtype":"F32","shape":[2]'), /tensor "w".*data_offsets/],
    ["an extra field", entry(`${good},"x":1`), /tensor "w".*x/],
    ["an extra field __proto__", entry(`${good},"__proto__":1`), /tensor "w".*__proto__/],
    ["a duplicate field", entry(`${good},"dtype":"F32"`), /tensor "w".*"dtype" appears twice/],
    ["a duplicate tensor", `{"w":{${good}},"w":{${good}}}`, /tensor "w".*appears twice/],
    ["a duplicate tensor spelt with escapes", `{"w":{${good}},"\\u0077" :{${good}}}`, /tensor "w".*appears twice/],
    ["duplicate metadata", `{"__metadata__":{"k":"1","k":"2"},"w":{${good}}}`, /metadata.*"k" appears twice/],
    ["metadata twice", `{"__metadata__":{},"w":{${good}},"__metadata__":{}}`, /metadata.*appears twice/],
    ["metadata that is no text", `{"__metadata__":{"k":1},"w":{${good}}}`, /metadata.*"k".*number/],
    ["metadata with half a surrogate pair", `{"__metadata__":{"k":"\\udc00"},"w":{${good}}}`, /metadata.*surrogate/],
    ["a name with half a surrogate pair", `{"\\ud800":{${good}}}`, /surrogate/],
    ["overlapping tensors", two("[0,4]", "[2,6]"), /tensor "b".*offset 4, found 2.*overlap/],
    ["two tensors on the same bytes", two("[0,4]", "[0,4]"), /tensor "b".*overlap/],
    [
      "a hole between tensors",
      `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[6],"data_offsets":[2,8]}}`,
      /tensor "b".*hole/,
    ],
    ["a hole before the first", entry('"dtype":"F32","shape":[1],"data_offsets":[4,8]'), /tensor "w".*hole/],
    ["bytes after the last", entry('"dtype":"F32","shape":[1],"data_offsets":[0,4]'), /expected 4 bytes.*found 8/],
    [
      "an empty tensor inside another",
      `{"w":{${good}},"e":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}}`,
      /tensor "e".*overlap/,
    ],
    ["an entry that is a number", '{"w":1}', /tensor "w"/],
    ["an entry that is a list", '{"w":[]}', /tensor "w"/],
    ["nested junk", entry(`${good},"x":${"[".repeat(100_000)}${"]".repeat(100_000)}`), /tensor "w".*nested deeper/],
    ["unclosed nested junk", `{"w":${'{"w":'.repeat(100_000)}`, /nested deeper/],
    ["a list as header", "[]", /expected "\{"/],
    ["leading space", ` {"w":{${good}}}`, /expected "\{"/],
    ["text after the header", `{"w":{${good}}}{}`, /expected JSON/],
    ["an unclosed header", `{"w":{${good}}`, /expected JSON/],
    ["an unclosed string", '{"w', /expected JSON/],
    ["a bad escape in a name", `{"\\x":{${good}}}`, /expected JSON/],
    ["a key in a list", withShape('["a":1]'), /expected JSON/],
  ];
  it.each(headers)("%s", (_, header, message) => {
    expect(() => decodeSafetensors(fileOf(header, data))).toThrow(FormatError);
    expect(() => decodeSafetensors(fileOf(header, data))).toThrow(message);
  });

  it("its own accepted baseline not", () => {
    expect(decodeSafetensors(fileOf(entry(good), data)).tensors.get("w")).toEqual(f32([2], 0, 0));
    expect(decodeSafetensors(fileOf(two("[4,8]", "[0,4]"), data)).tensors.size).toBe(2);
  });

  it("impossible header lengths and bytes that are no UTF-8", () => {
    const withLength = (length: bigint) => {
      const file = KNOWN_FILE.slice();
      new DataView(file.buffer).setBigUint64(0, length, true);
      return file;
    };
    for (const length of [0n, 1n, 143n, 145n, 156n, 100_000_001n, 2n ** 32n + 144n, 2n ** 53n, 2n ** 64n - 1n]) {
      expect(() => decodeSafetensors(withLength(length)), String(length)).toThrow(FormatError);
    }
    expect(() => decodeSafetensors(fileOf(Uint8Array.of(0x7b, 0xff, 0x7d)))).toThrow(/UTF-8/);
    expect(() => decodeSafetensors(fileOf("\uFEFF{}"))).toThrow(FormatError);
  });

  it("every truncation and every appended byte", () => {
    for (let length = 0; length < KNOWN_FILE.length; length++) {
      expect(() => decodeSafetensors(KNOWN_FILE.slice(0, length)), `${length} bytes`).toThrow(FormatError);
    }
    expect(() => decodeSafetensors(Uint8Array.from([...KNOWN_FILE, 0]))).toThrow(FormatError);
  });
});

describe("decodeSafetensors under fuzzing", () => {
  it("survives each bit flip of a small file: the result is sound or a FormatError", () => {
    const flipped = KNOWN_FILE.slice();
    let refused = 0;
    for (let bit = 0; bit < 8 * KNOWN_FILE.length; bit++) {
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      if (decodeOrRefuse(flipped) === undefined) refused++;
      flipped[bit >> 3] = KNOWN_FILE[bit >> 3]!;
    }
    // Flips in data and names are legal other files; nearly everything in the header is not.
    expect(refused).toBeGreaterThan(800);
    expect(refused).toBeLessThan(8 * KNOWN_FILE.length - 8 * KNOWN_DATA.length + 1);
  });

  it("survives random edits of random files", () => {
    const edit = fc.record({
      at: fc.nat(),
      remove: fc.nat({ max: 3 }),
      insert: fc.oneof(
        fc.constantFrom(
          "[",
          "]",
          "{",
          "}",
          '"',
          ":",
          ",",
          "-",
          "0",
          "9",
          "null",
          "1e9",
          "\\",
          "__proto__",
          "__metadata__",
        ),
        fc.string({ unit: "binary", maxLength: 3 }),
      ),
    });
    fc.assert(
      fc.property(anyFile, fc.array(edit, { minLength: 1, maxLength: 4 }), fc.boolean(), (file, edits, mendLength) => {
        const original = encodeSafetensors(file.tensors, file.metadata);
        const headerBytes = Number(new DataView(original.buffer).getBigUint64(0, true));
        let header: number[] = [...original.slice(8, 8 + headerBytes)];
        for (const { at, remove, insert } of edits) {
          const place = at % (header.length + 1);
          const inserted = new TextEncoder().encode(insert);
          header = [...header.slice(0, place), ...inserted, ...header.slice(place + remove)];
        }
        const mutated = fileOf(Uint8Array.from(header), original.slice(8 + headerBytes));
        if (!mendLength) mutated.set(original.slice(0, 8));
        decodeOrRefuse(mutated);
      }),
      { numRuns: 800, seed: 2 },
    );
  });

  it("survives bytes that never were a file", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.string({ unit: "binary", maxLength: 40 }), (bytes, text) => {
        decodeOrRefuse(bytes);
        decodeOrRefuse(fileOf(`{${text}}`, bytes));
      }),
      { numRuns: 500, seed: 3 },
    );
  });
});

describe("toFloat32", () => {
  const convert = (dtype: SafetensorsDtype, data: HostArray) => [...toFloat32({ dtype, shape: [data.length], data })];

  it("expands half precision exactly", () => {
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x0400, 0x8000, 0x7c00, 0xfc00, 0x7e01, 0x3555);
    const expected = [
      1,
      -2,
      65504,
      2 ** -24,
      1023 * 2 ** -24,
      2 ** -14,
      -0,
      Infinity,
      -Infinity,
      Number.NaN,
      0.333251953125,
    ];
    expect(convert("F16", bits)).toEqual(expected);
  });

  it("expands bfloat16 exactly", () => {
    const bits = Uint16Array.of(0x3f80, 0xc000, 0x8000, 0x7f80, 0xff80, 0x4049, 0x7fc0);
    expect(convert("BF16", bits)).toEqual([1, -2, -0, Infinity, -Infinity, 3.140625, Number.NaN]);
  });

  it("converts integers, doubles and booleans", () => {
    expect(convert("I64", BigInt64Array.of(-3n, 2n ** 40n))).toEqual([-3, 2 ** 40]);
    expect(convert("U64", BigUint64Array.of(2n ** 63n))).toEqual([2 ** 63]);
    expect(convert("F64", Float64Array.of(0.1))).toEqual([Math.fround(0.1)]);
    expect(convert("I32", Int32Array.of(-7))).toEqual([-7]);
    expect(convert("U32", Uint32Array.of(2 ** 31))).toEqual([2 ** 31]);
    expect(convert("I16", Int16Array.of(-300))).toEqual([-300]);
    expect(convert("U16", Uint16Array.of(65535))).toEqual([65535]);
    expect(convert("I8", Int8Array.of(-128))).toEqual([-128]);
    expect(convert("U8", Uint8Array.of(255))).toEqual([255]);
    expect(convert("BOOL", Uint8Array.of(0, 1, 255))).toEqual([0, 1, 1]);
  });

  it("copies", () => {
    const tensor = f32([1], 5);
    toFloat32(tensor)[0] = 6;
    expect(tensor.data[0]).toBe(5);
  });
});
