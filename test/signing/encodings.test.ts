import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FormatError } from "../../src/errors";
import { canonicalJson, parseStrictJson } from "../../src/io/json";
import { sha256Hex, sha512Hex } from "../../src/signing";
import { fromBase64, toBase64 } from "../../src/signing/base64";
import { DerReader, TAG } from "../../src/signing/der";
import { readInteger, readOid, readSmall, timeOf } from "../../src/signing/der-values";
import { element, natural, oid } from "../../src/signing/der-writer";
import { toDerSignature, toFixedSignature } from "../../src/signing/ecdsa";
import { fromPem, toPem } from "../../src/signing/pem";

const bytes = (most: number, least = 0) => fc.uint8Array({ minLength: least, maxLength: most });
const plain = (b: Uint8Array) => Uint8Array.from(b);

/** What a reader makes of bytes: its value, or null where it refuses. */
function orRefused<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

describe("ECDSA signatures", () => {
  const sizes = fc.constantFrom(32, 48, 66);

  it("come back from DER as they were, zeros in front included", () => {
    fc.assert(
      fc.property(sizes, fc.nat(70), fc.infiniteStream(fc.nat(255)), (size, zeros, digits) => {
        const fixed = Uint8Array.from({ length: 2 * size }, (_, i) => (i < zeros ? 0 : digits.next().value));
        fixed[size - 1]! |= 1;
        fixed[2 * size - 1]! |= 1;
        const der = toDerSignature(fixed);
        expect(toFixedSignature(der, size, "s")).toEqual(fixed);
        // The only form: what reads as the same is the same.
        expect(toDerSignature(toFixedSignature(der, size, "s"))).toEqual(der);
      }),
    );
  });

  it("are read in one form alone", () => {
    fc.assert(
      fc.property(bytes(80), (der) => {
        const fixed = orRefused(() => toFixedSignature(der, 32, "s"));
        if (fixed) expect(toDerSignature(fixed)).toEqual(plain(der));
      }),
    );
  });

  it.each<[string, number[]]>([
    ["a zero in front", [0x30, 7, 2, 2, 0, 1, 2, 1, 1]],
    ["a negative number", [0x30, 6, 2, 1, 0x80, 2, 1, 1]],
    ["zero", [0x30, 6, 2, 1, 0, 2, 1, 1]],
    ["no bytes", [0x30, 5, 2, 0, 2, 1, 1]],
    ["three numbers", [0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1]],
    ["one number", [0x30, 3, 2, 1, 1]],
    ["something behind", [0x30, 6, 2, 1, 1, 2, 1, 1, 0]],
    ["a number too long", [0x30, 38, 2, 33, 1, ...Array(32).fill(0), 2, 1, 1]],
  ])("with %s are refused", (_, der) => {
    expect(() => toFixedSignature(Uint8Array.from(der), 32, "s")).toThrow(FormatError);
  });
});

describe("base64", () => {
  it("comes back, from either alphabet, padded or not", () => {
    fc.assert(
      fc.property(bytes(200), (b) => {
        const text = toBase64(b);
        expect(text).toBe(Buffer.from(b).toString("base64"));
        const url = text.replace(/\+/g, "-").replace(/\//g, "_");
        for (const form of [text, url, text.replace(/=/g, ""), url.replace(/=/g, "")])
          expect(fromBase64(form, "t")).toEqual(plain(b));
      }),
    );
    expect(toBase64(new Uint8Array(1e5))).toHaveLength(133336);
  });

  it.each([
    "A",
    "AA=",
    "AAA==",
    "AAAA=",
    "AB",
    "AB==",
    "AAB=",
    "====",
    "A A=",
    "AA==\n",
    "+_AA",
    "AA==AA==",
    "ä",
  ])("%j is refused", (text) => expect(() => fromBase64(text, "t")).toThrow(FormatError));

  it.each([null, undefined, 1, {}])("%j is refused", (value) =>
    expect(() => fromBase64(value, "t")).toThrow(FormatError));
});

describe("PEM", () => {
  it("comes back, with text around it", () => {
    fc.assert(
      fc.property(bytes(300), (b) => {
        const pem = toPem("A KEY", b);
        expect(fromPem(`said before\r\n${pem}said behind`, "t")).toEqual([{ label: "A KEY", der: plain(b) }]);
        expect(fromPem(pem + pem.replace(/\n/g, "\r\n"), "t")).toHaveLength(2);
      }),
    );
  });

  it.each([
    ["", "no block"],
    ["-----BEGIN A-----\nAAAA", "no end"],
    ["-----BEGIN A-----\n-----END B-----", "END B"],
    ["-----END A-----", "END A"],
    ["-----BEGIN A-----\n-----BEGIN A-----\n-----END A-----", "BEGIN A"],
    ["-----BEGIN A-----\n?\n-----END A-----", "base64"],
    ["A".repeat(2 ** 21), "characters"],
  ])("%j is refused", (text, why) => expect(() => fromPem(text, "t")).toThrow(why));

  it("is never repeated in a message", () => {
    const secret = "c2VjcmV0c2VjcmV0c2VjcmV0";
    for (const text of [secret, `-----BEGIN A-----\n${secret}`, `-----BEGIN A-----\n${secret}?\n-----END A-----`])
      try {
        fromPem(text, "t");
        expect.unreachable();
      } catch (error) {
        expect((error as Error).message).not.toContain(secret.slice(0, 8));
      }
  });
});

describe("DER", () => {
  const reader = (b: Uint8Array) => new DerReader(b, "t");

  it("elements come back, whatever their length", () => {
    for (const n of [0, 1, 127, 128, 255, 256, 65535, 65536]) {
      const content = new Uint8Array(n).fill(7);
      expect(reader(element(0x04, content)).read(0x04, "x").content).toEqual(content);
    }
  });

  it("numbers and names come back", () => {
    fc.assert(
      fc.property(bytes(40, 1), (b) => {
        const digits = [...readInteger(reader(natural(b)), "n")];
        expect(BigInt(`0x${Buffer.from(digits).toString("hex")}`)).toBe(BigInt(`0x${Buffer.from(b).toString("hex")}`));
      }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(0, 1, 2),
        fc.nat(39),
        fc.array(fc.nat(2 ** 31 - 1), { maxLength: 8 }),
        (a, b, rest) => {
          const dots = [a, b, ...rest].join(".");
          expect(readOid(reader(oid(dots)), "n")).toBe(dots);
        },
      ),
    );
    expect(readOid(reader(oid("2.999.3")), "n")).toBe("2.999.3");
    expect(readOid(reader(Uint8Array.of(6, 3, 0x88, 0x37, 3)), "n")).toBe("2.999.3");
  });

  it.each<[string, number[], (r: DerReader) => unknown]>([
    ["a number in a longer form", [2, 2, 0, 1], (r) => readInteger(r, "n")],
    ["a negative number in a longer form", [2, 2, 0xff, 0x80], (r) => readInteger(r, "n")],
    ["a small number that is negative", [2, 1, 0xff], (r) => readSmall(r, "n")],
    ["a small number that is large", [2, 5, 0, 0xff, 0xff, 0xff, 0xff], (r) => readSmall(r, "n")],
    ["a name without end", [6, 2, 0x2a, 0x81], (r) => readOid(r, "n")],
    ["a name in a longer form", [6, 3, 0x2a, 0x80, 1], (r) => readOid(r, "n")],
    ["an empty name", [6, 0], (r) => readOid(r, "n")],
    ["a name of a hundred bytes", [6, 100, ...Array(100).fill(1)], (r) => readOid(r, "n")],
    ["a length in a longer form", [2, 0x81, 1, 1], (r) => readInteger(r, "n")],
    ["a length with zeros", [2, 0x82, 0, 0x80, ...Array(128).fill(1)], (r) => readInteger(r, "n")],
    ["more than there is", [4, 2, 1], (r) => r.any("n")],
    ["a tag alone", [4], (r) => r.any("n")],
    ["nothing", [], (r) => r.any("n")],
  ])("%s is refused", (_, b, read) => expect(() => read(reader(Uint8Array.from(b)))).toThrow(FormatError));

  it("times come back", () => {
    const time = (tag: number, text: string) => {
      const r = reader(element(tag, new TextEncoder().encode(text)));
      return timeOf(r.any("t"), r, "t");
    };
    fc.assert(
      fc.property(
        fc.date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true }),
        (date) => {
          date.setUTCMilliseconds(0);
          const digits = date.toISOString().replace(/\D/g, "").slice(0, 14);
          expect(time(TAG.generalizedTime, `${digits}Z`)).toBe(date.getTime());
          const { length } = [date.getUTCFullYear()].filter((year) => year >= 1950 && year < 2050);
          if (length) expect(time(TAG.utcTime, `${digits.slice(2)}Z`)).toBe(date.getTime());
        },
      ),
    );
  });

  it("never takes another fault than its own for an answer", () => {
    fc.assert(
      fc.property(bytes(64), (b) => {
        for (const read of [readInteger, readSmall, readOid]) orRefused(() => read(reader(b), "n"));
        orRefused(() => reader(b).list(100, (r) => r.any("n")));
      }),
    );
  });
});

describe("JSON", () => {
  it("is canonical: one text for values that are equal", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(text))).toBe(text);
        expect(parseStrictJson(text, "t")).toEqual(JSON.parse(text));
      }),
    );
    expect(canonicalJson({ b: 1, a: [{ d: null, c: undefined }], 10: 0, 9: 0 })).toBe(
      '{"10":0,"9":0,"a":[{"d":null}],"b":1}',
    );
  });

  it.each([
    '{"a":1,"a":1}',
    '{"a":{"b":":","b":2}}',
    '[{"a":1,"\\u0061":2}]',
    '{"__proto__":1,"__proto__":2}',
  ])("%s is refused, since it names something twice", (text) =>
    expect(() => parseStrictJson(text, "t")).toThrow(/twice/));
});

describe("plain digests", () => {
  it("are what sha256sum and sha512sum print", async () => {
    // Of the three bytes "abc": FIPS 180-2, appendices B and C.
    const abc = new TextEncoder().encode("abc");
    expect(await sha256Hex(abc)).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(await sha512Hex(abc)).toBe(
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    );
  });
});
