import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import {
  capacity,
  decodeBytes,
  decodeSignature,
  signatureBits,
  signatureBytes,
  signBytes,
  spreadSignature,
} from "../../src/passport/signature";
import { Generator } from "../../src/tensor/random";

const bitsOf = (text: string, channels: number, seed = 1) => signatureBits(text, channels, new Generator(seed));
/**
 * Any text UTF-8 can express: controls, byte order marks, emoji, everything but halves of surrogate
 * pairs.
 */
const anyText = fc.string({ unit: "binary", maxLength: 40 });

describe("signatureBits", () => {
  it("writes each byte from its most significant bit, 0 as −1 and 1 as +1", () => {
    // A = 0x41 = 01000001, ÿ = C3 BF = 11000011 10111111.
    const want = [-1, 1, -1, -1, -1, -1, -1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, -1, 1, 1, 1, 1, 1, 1];
    expect([...bitsOf("Aÿ", 24)]).toEqual(want);
  });

  it("gives every channel a sign, the rest of them by the seed alone", () => {
    const [a, again, other] = [bitsOf("key", 512), bitsOf("key", 512), bitsOf("key", 512, 2)];
    expect(a).toHaveLength(512);
    expect(a.every((v) => v === 1 || v === -1)).toBe(true);
    expect(again).toEqual(a);
    expect(other.subarray(0, 24)).toEqual(a.subarray(0, 24));
    expect(other.subarray(24)).not.toEqual(a.subarray(24));
    const ups = a.subarray(24).filter((v) => v > 0).length;
    // 488 fair coins: 6 standard deviations are 66.
    expect(Math.abs(ups - 244)).toBeLessThan(66);
    // The fill does not depend on the text before it.
    expect(bitsOf("KEY", 512).subarray(24)).toEqual(a.subarray(24));
  });

  it("takes an empty text: every sign is random", () => {
    expect(bitsOf("", 16)).toHaveLength(16);
    expect(bitsOf("", 0)).toHaveLength(0);
  });

  it.each([
    ["ab", 15],
    ["€", 16],
    ["a", 7],
    ["😀", 31],
  ])("refuses %j in %i channels, saying how much there is and how much fits", (text, channels) => {
    expect(() => bitsOf(text, channels)).toThrow(ArgumentError);
    expect(() => bitsOf(text, channels)).toThrow(
      `takes ${signatureBytes(text)} bytes and a layer of ${channels} channels holds ${capacity(channels)}`,
    );
    expect(() => bitsOf(text, 8 * signatureBytes(text))).not.toThrow();
  });
});

describe("decodeSignature", () => {
  it("gives back any text, whatever fills the rest", () => {
    fc.assert(
      fc.property(anyText, fc.nat(40), fc.nat(1000), (text, spare, seed) => {
        const bytes = signatureBytes(text);
        expect(decodeSignature(bitsOf(text, 8 * bytes + spare, seed), bytes)).toBe(text);
      }),
    );
  });

  it("keeps a byte order mark, which is part of the text", () => {
    expect(decodeSignature(bitsOf("\ufeffA", 32), 4)).toBe("\ufeffA");
  });

  it("looks at signs alone", () => {
    fc.assert(
      fc.property(anyText, fc.nat(1000), (text, seed) => {
        const random = new Generator(seed);
        const gamma = bitsOf(text, 8 * signatureBytes(text)).map((b) => b * random.uniform(1e-6, 10));
        expect(decodeSignature(gamma, signatureBytes(text))).toBe(text);
      }),
    );
  });

  it("shows a wrong bit where it is, and bytes that are no UTF-8 as U+FFFD", () => {
    const bits = bitsOf("AB", 16);
    bits[7] = -bits[7]!;
    expect(decodeSignature(bits, 2)).toBe("@B");
    bits[8] = 1;
    expect(decodeSignature(bits, 2)).toBe("@\ufffd");
  });

  it("refuses more characters than there are signs, and counts that are none", () => {
    expect(() => decodeSignature(new Float32Array(15), 2)).toThrow(ArgumentError);
    expect(() => decodeSignature(new Float32Array(16), -1)).toThrow(ArgumentError);
    expect(() => decodeSignature(new Float32Array(16), 1.5)).toThrow(ArgumentError);
    expect(decodeSignature(new Float32Array(16), 0)).toBe("");
  });
});

describe("spreadSignature", () => {
  const joined = (parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((p) => [...p]));
  const utf8 = (text: string) => new TextEncoder().encode(text);

  it("fills each layer before the next begins, characters cut where it ends", () => {
    const parts = spreadSignature("é€b", [8, 16, 37, 64]);
    expect(parts.map((p) => [...p])).toEqual([[0xc3], [0xa9, 0xe2], [0x82, 0xac, 0x62], []]);
    expect(spreadSignature("ab", [16, 16]).map((p) => decodeBytes(p))).toEqual(["ab", ""]);
    expect(spreadSignature("ab", [7, 15, 3, 9]).map((p) => decodeBytes(p))).toEqual(["", "a", "", "b"]);
    expect(spreadSignature("", [])).toEqual([]);
  });

  it("loses nothing, whatever the text and the layers", () => {
    const channels = fc.array(fc.integer({ min: 1, max: 70 }), { maxLength: 8 });
    fc.assert(
      fc.property(anyText, channels, (text, layers) => {
        const room = layers.reduce((n, c) => n + capacity(c), 0);
        if (signatureBytes(text) > room) {
          expect(() => spreadSignature(text, layers)).toThrow(ArgumentError);
          return;
        }
        const parts = spreadSignature(text, layers);
        expect(parts.map((p, i) => p.length <= capacity(layers[i]!))).not.toContain(false);
        expect(joined(parts)).toEqual(utf8(text));
        // Through the bits of every layer and back.
        const signs = parts.map((p, i) => signatureBits(p, layers[i]!, new Generator(i)));
        expect(decodeBytes(joined(signs.map((s, i) => signBytes(s, parts[i]!.length))))).toBe(text);
      }),
    );
  });

  it("refuses a text longer than all layers hold, with the sum", () => {
    expect(() => spreadSignature("12345678", [8, 16, 32])).toThrow(ArgumentError);
    expect(() => spreadSignature("12345678", [8, 16, 32])).toThrow(
      /"12345678" takes 8 bytes; the 3 layers it is spread over hold 7 \(1 \+ 2 \+ 4\)/,
    );
    expect(() => spreadSignature("a", [])).toThrow(/0 layers/);
    expect(() => spreadSignature("1234567", [8, 16, 32])).not.toThrow();
  });
});

describe("bytes of texts", () => {
  it("are written as the text they are part of is", () => {
    const bytes = Uint8Array.of(0xe2, 0x82);
    const bits = signatureBits(bytes, 24, new Generator(1));
    expect([...signBytes(bits, 2)]).toEqual([0xe2, 0x82]);
    expect(bits.subarray(16)).toEqual(bitsOf("ab", 24).subarray(16));
    expect(() => signatureBits(bytes, 15, new Generator(1))).toThrow(/takes 2 bytes and a layer of 15 channels/);
  });

  it("keep a byte order mark and show what is no UTF-8", () => {
    expect(decodeBytes(Uint8Array.of(0xef, 0xbb, 0xbf, 0x41))).toBe("\ufeffA");
    expect(decodeBytes(Uint8Array.of(0xc3))).toBe("\ufffd");
    expect(decodeBytes(new Uint8Array())).toBe("");
  });

  it("are not read from fewer signs than they need", () => {
    expect(() => signBytes(new Float32Array(15), 2)).toThrow(/2 characters need 16 signs, found 15/);
    expect(() => signBytes(new Float32Array(16), 0.5)).toThrow(ArgumentError);
  });
});
