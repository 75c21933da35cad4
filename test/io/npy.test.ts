import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors";
import { toFloat32 } from "../../src/io/host-tensor";
import { decodeNpy } from "../../src/io/npy";
import { npyFile } from "../support/npy";

const fromBase64 = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
/** n × 3 spaces in Base64: headers are padded with many. */
const spaces = (n: number) => "ICAg".repeat(n);

// numpy 2.4.6: numpy.lib.format.write_array(file, array, version=…).
const NUMPY = {
  "1.0": `k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9${spaces(19)}IAoAAMA/AAAAwAAAQEAAAIBAAACgQAAAyEA=`,
  "2.0": `k05VTVBZAgB0AAAAeydkZXNjcic6ICc8aTgnLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMywpLCB9${spaces(19)}IAoBAAAAAAAAAP7/////////AAAAAAABAAA=`,
  "3.0": `k05VTVBZAwB0AAAAeydkZXNjcic6ICc8dTInLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoKSwgfSAg${spaces(19)}IAoHAA==`,
};
const numpy = (version: keyof typeof NUMPY) => fromBase64(NUMPY[version]);

describe("decodeNpy", () => {
  it("reads what NumPy writes, in versions 1.0, 2.0 and 3.0", () => {
    expect(decodeNpy(numpy("1.0"))).toEqual({
      dtype: "F32",
      shape: [2, 3],
      data: Float32Array.of(1.5, -2, 3, 4, 5, 6.25),
    });
    expect(decodeNpy(numpy("2.0"))).toEqual({
      dtype: "I64",
      shape: [3],
      data: BigInt64Array.of(1n, -2n, 1n << 40n),
    });
    expect(decodeNpy(numpy("3.0"))).toEqual({ dtype: "U16", shape: [], data: Uint16Array.of(7) });
  });

  it.each([
    ["<f4", "F32", Float32Array.of(0.5, -3)],
    ["<f8", "F64", Float64Array.of(0.1, -3e300)],
    ["|i1", "I8", Int8Array.of(-128, 127)],
    ["<i2", "I16", Int16Array.of(-32768, 32767)],
    ["<i4", "I32", Int32Array.of(-(2 ** 31), 2 ** 31 - 1)],
    ["<i8", "I64", BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)],
    ["|u1", "U8", Uint8Array.of(0, 255)],
    ["<u2", "U16", Uint16Array.of(0, 65535)],
    ["<u4", "U32", Uint32Array.of(1, 2 ** 32 - 1)],
    ["<u8", "U64", BigUint64Array.of(1n, 2n ** 64n - 1n)],
    ["<f2", "F16", Uint16Array.of(0x3c01, 0xc000)],
    ["|b1", "BOOL", Uint8Array.of(1, 0)],
  ] as const)("reads %s, in either byte order, rows or columns first", (descr, dtype, data) => {
    expect(decodeNpy(npyFile({ descr, shape: [2] }, data))).toEqual({ dtype, shape: [2], data });
    const turned = new Uint8Array(data.buffer.slice(0));
    const size = data.BYTES_PER_ELEMENT;
    for (let at = 0; at < turned.length; at += size) turned.subarray(at, at + size).reverse();
    const big = descr.replace(/[<|]/, ">");
    for (const fortran of [false, true]) {
      expect(decodeNpy(npyFile({ descr: big, shape: [2, 1], fortran }, turned))).toEqual({
        dtype,
        shape: [2, 1],
        data,
      });
    }
  });

  it("gives halves that toFloat32 converts", () => {
    expect(toFloat32(decodeNpy(npyFile({ descr: ">f2", shape: [2] }, Uint8Array.of(0x3c, 0x01, 0xc0, 0x00))))).toEqual(
      Float32Array.of(1 + 2 ** -10, -2),
    );
  });

  it("brings columns first to rows first", () => {
    // numpy.asfortranarray(numpy.arange(24).reshape(2, 3, 4)) in memory.
    const columns = [0, 12, 4, 16, 8, 20, 1, 13, 5, 17, 9, 21, 2, 14, 6, 18, 10, 22, 3, 15, 7, 19, 11, 23];
    for (const [descr, data] of [
      ["<i2", Int16Array.from(columns)],
      ["<f8", Float64Array.from(columns)],
    ] as const) {
      const array = decodeNpy(npyFile({ descr, shape: [2, 3, 4], fortran: true }, data));
      expect(array.shape).toEqual([2, 3, 4]);
      expect(Array.from(array.data, Number)).toEqual(Array.from({ length: 24 }, (_, i) => i));
    }
    for (const shape of [[], [1]]) {
      expect([...decodeNpy(npyFile({ descr: "|u1", shape, fortran: true }, Uint8Array.of(7))).data]).toEqual([7]);
    }
    expect(decodeNpy(npyFile({ descr: "|u1", shape: [3, 0, 2], fortran: true }, new Uint8Array(0))).shape).toEqual([
      3, 0, 2,
    ]);
  });

  it("reads bytes that begin anywhere in their buffer, and copies them", () => {
    const file = numpy("1.0");
    const shifted = new Uint8Array(file.length + 3);
    shifted.set(file, 3);
    const { data } = decodeNpy(shifted.subarray(3));
    const buffered = decodeNpy(Buffer.from(shifted).subarray(3)).data;
    shifted.fill(0);
    for (const found of [data, buffered]) expect(found).toEqual(Float32Array.of(1.5, -2, 3, 4, 5, 6.25));
  });

  it("takes the fields in any order and spacing", () => {
    const header = "{ 'shape':( 2 ,1),'fortran_order' : False,'descr':'|u1' }";
    expect(decodeNpy(npyFile(header, Uint8Array.of(3, 4)))).toEqual({
      dtype: "U8",
      shape: [2, 1],
      data: Uint8Array.of(3, 4),
    });
    expect(decodeNpy(npyFile({ descr: "<f4", shape: [0, 3] }, new Float32Array(0))).shape).toEqual([0, 3]);
    // As Python 2 wrote it, and with the other quotes.
    const old = `{"descr": "|u1", "fortran_order": False, "shape": (2L, 1L), }`;
    expect(decodeNpy(npyFile(old, Uint8Array.of(3, 4))).shape).toEqual([2, 1]);
  });

  const two = Uint8Array.of(1, 2);
  const header = (descr: string, fortran: string, shape: string, more = "") =>
    npyFile(`{'descr': ${descr}, 'fortran_order': ${fortran}, 'shape': ${shape}, ${more}}`, two);
  const changed = (at: number, value: number) => numpy("1.0").map((byte, i) => (i === at ? value : byte));
  it.each([
    ["another format", two, /field magic/],
    ["nothing", new Uint8Array(0), /field magic/],
    ["an unknown version", changed(6, 4), /field version: expected 1, 2 or 3, got 4/],
    ["an end before the header's length", numpy("2.0").subarray(0, 11), /field header length: .* 11 bytes/],
    ["an end in the header", numpy("1.0").subarray(0, 60), /field header length: .* byte 128, but the file has 60/],
    ["objects", header("'|O'", "False", "(2,)"), /field descr: .* got '\|O': Python objects .* astype/],
    ["complex numbers", header("'<c8'", "False", "(2,)"), /field descr: .* got '<c8': complex .* a\.real/],
    ["byte strings", header("'|S5'", "False", "(2,)"), /field descr: .* got '\|S5': byte strings/],
    ["strings", header("'<U3'", "False", "(2,)"), /field descr: .* got '<U3': strings/],
    ["dates", header("'<M8[ns]'", "False", "(2,)"), /field descr: .* got '<M8\[ns\]': dates/],
    ["raw bytes", header("'|V8'", "False", "(2,)"), /field descr: .* got '\|V8': raw bytes/],
    ["long floats", header("'<f16'", "False", "(2,)"), /field descr: .* got '<f16': floats of this size .*<f8/],
    ["floats without byte order", header("'|f4'", "False", "(2,)"), /field descr: .* got '\|f4'/],
    ["the machine's own byte order", header("'=f4'", "False", "(2,)"), /field descr: .* got '=f4'/],
    ["a name of JavaScript's", header("'constructor'", "False", "(2,)"), /field descr/],
    [
      "a structured type",
      header("[('x', '<f4'), ('y', '<f4')]", "False", "(2,)"),
      /field descr: .* got \[\('x'.* each field apart/,
    ],
    ["an order that is none", header("'|u1'", "1", "(2,)"), /field fortran_order: expected True or False, got 1/],
    ["an entry twice", header("'|u1'", "False", "(2,)", "'shape': (1,)"), /field header: expected shape once/],
    ["no dictionary", npyFile("['|u1']", two), /field header: expected a Python dictionary/],
    ["a fraction", header("'|u1'", "False", "(2.0,)"), /field shape/],
    ["a size that floats round", header("'|u1'", "False", "(0, 9007199254740993)"), /field shape/],
    ["no elements of too many", header("'|u1'", "False", `(0, ${2 ** 53 - 1}, ${2 ** 53 - 1})`), /field shape/],
    ["more elements than bytes", header("'|u1'", "False", `(${2 ** 49},)`), /field data: .* truncated/],
    ["too many dimensions", header("'|u1'", "False", `(2, ${"1, ".repeat(64)})`), /field shape: .* at most 64/],
    ["a negative size", header("'|u1'", "False", "(-2,)"), /field shape: .* got \(-2,\)/],
    ["a number for a shape", header("'|u1'", "False", "(2)"), /field shape: .* got \(2\)/],
    ["sizes beyond counting", header("'|u1'", "False", `(${9e15}, ${9e15})`), /field shape/],
    ["no shape", npyFile("{'descr': '|u1', 'fortran_order': False}", two), /field shape: it is missing/],
    ["a fourth entry", header("'|u1'", "False", "(2,)", "'code': 1"), /field header: .*'code': 1/],
    ["too few data", header("'|u1'", "False", "(3,)"), /field data: expected 3 bytes .* got 2; the file is truncated/],
    ["too many data", header("'|u1'", "False", "(1,)"), /field data: expected 1 bytes .* got 2; .* longer/],
  ])("refuses %s, naming file and field", (_, bytes, message) => {
    expect(() => decodeNpy(bytes, "a/b.npy")).toThrow(FormatError);
    expect(() => decodeNpy(bytes, "a/b.npy")).toThrow(message);
    expect(() => decodeNpy(bytes, "a/b.npy")).toThrow(/^a\/b\.npy: /);
  });
});
