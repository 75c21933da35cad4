import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors";
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
  ] as const)("reads %s", (descr, dtype, data) => {
    expect(decodeNpy(npyFile({ descr, shape: [2] }, data))).toEqual({ dtype, shape: [2], data });
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
    ["a big-endian type", header("'>f4'", "False", "(2,)"), /field descr: .* got '>f4'/],
    ["a type unknown here", header("'|O'", "False", "(2,)"), /field descr: .* got '\|O'/],
    ["a name of JavaScript's", header("'constructor'", "False", "(2,)"), /field descr/],
    ["a structured type", header("[('x', '<f4'), ('y', '<f4')]", "False", "(2,)"), /field descr: .* got \[\('x'/],
    ["columns first", header("'|u1'", "True", "(2,)"), /field fortran_order: .*ascontiguousarray/],
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
