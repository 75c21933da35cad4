/** What follows from a claim, against an oracle on Node's own cryptography, and its laws. */
import { createCipheriv, createHash, hkdfSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../../src/errors";
import { canonicalJson } from "../../../src/io/json";
import { deriveClaim } from "../../../src/ownership/claim/derive";
import type { ClaimSpec } from "../../../src/ownership/claim/spec";
import { CLOUDS, IMAGES, place, SECRET, SPEC } from "../../support/spec";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** SHA-512 of parts with their lengths in front. */
function hashOf(...parts: (string | Uint8Array)[]): Buffer {
  const hash = createHash("sha512");
  for (const part of parts) {
    const bytes = Buffer.from(part as never);
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(bytes.length));
    hash.update(length).update(bytes);
  }
  return hash.digest();
}
const stream = (seed: Uint8Array, n: number) =>
  createCipheriv("aes-256-ctr", seed.subarray(0, 32), seed.subarray(32, 48)).update(Buffer.alloc(n));
const sub = (name: string) =>
  Buffer.from(hkdfSync("sha512", Buffer.from(SECRET, "hex"), Buffer.alloc(64), Buffer.from(name), 64));
const sorted = (v: unknown): unknown =>
  Array.isArray(v)
    ? v.map(sorted)
    : v && typeof v === "object"
      ? Object.fromEntries(
          Object.entries(v)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([k, x]) => [k, sorted(x)]),
        )
      : v;

describe("a claim", () => {
  it("is what an oracle derives", async () => {
    const found = await deriveClaim(SECRET, SPEC);
    const hashed: (string | Uint8Array)[] = [];
    for (const { norm } of SPEC.places)
      for (const [part, own] of [["skey", "gamma"] as const, ["key", "beta"] as const]) {
        const name = `passports/${norm}.${part}`;
        const bytes = stream(sub(name), 4 * 100);
        const numbers = Float32Array.from({ length: 100 }, (_, i) => (bytes.readUInt32LE(4 * i) >>> 8) / 2 ** 23 - 1);
        expect(found.passports.get(norm)![own]).toEqual(numbers);
        hashed.push(name, new Uint8Array(numbers.buffer));
      }
    const groups = found.groups.map(({ inputs }) => createHash("sha512").update(inputs).digest());
    expect(found.digests.groups.map(hex)).toEqual(groups.map(hex));
    const h = hashOf("pan-claim-2", hashOf(...hashed), hashOf(...groups), hashOf(JSON.stringify(sorted(SPEC))));
    expect(hex(found.hash)).toBe(hex(h));
    for (const { norm, channels } of SPEC.places) {
      const bits = stream(hashOf(h, "bits", norm), channels / 8);
      expect([...found.bits.get(norm)!]).toEqual(
        Array.from({ length: channels }, (_, i) => ((bits[i >> 3]! >> (7 - (i % 8))) & 1 ? 1 : -1)),
      );
    }
    found.groups.forEach(({ labels }, g) => {
      const words = stream(hashOf(h, "labels", String(g)), 4 * 5);
      // No word of these is among the last that would favour a class.
      expect([...labels]).toEqual(Array.from({ length: 5 }, (_, i) => words.readUInt32LE(4 * i) % 3));
    });
  });

  it("hangs on every part of what it is about", async () => {
    const variants: Partial<Record<keyof ClaimSpec | string, ClaimSpec>> = {
      itself: SPEC,
      scheme: { ...SPEC, scheme: "v1" },
      stride: { ...SPEC, places: [{ ...place("norm1", 64), stride: [2, 2] }, place("norm2", 96)] },
      weight: { ...SPEC, places: [{ ...place("norm1", 64), weight: "other.weight" }, place("norm2", 96)] },
      statement: { ...SPEC, statement: "Trained by ACNE" },
      parent: { ...SPEC, parent: "0".repeat(128) },
      key: { ...SPEC, publicKey: "A".repeat(124) },
      none: { ...SPEC, triggers: null },
      mean: { ...SPEC, triggers: { ...IMAGES, normalize: { mean: [0.5, 0.5, 0.4], std: [0.25, 0.25, 0.25] } } },
      untouched: { ...SPEC, triggers: { ...IMAGES, normalize: null } },
      classes: { ...SPEC, triggers: { ...IMAGES, classes: ["b", "a", "c"] } },
      count: { ...SPEC, triggers: { ...IMAGES, count: 6 } },
      groups: { ...SPEC, triggers: { ...IMAGES, groups: 3 } },
      grid: { ...SPEC, triggers: { ...IMAGES, grid: 5 } },
    };
    const all = await Promise.all(Object.values(variants).map((spec) => deriveClaim(SECRET, spec!)));
    const other = await deriveClaim("f".repeat(64), SPEC);
    const hashes = [...all, other].map(({ hash }) => hex(hash));
    expect(new Set(hashes).size).toBe(hashes.length);
    // Keys of JSON in another order say the same.
    const turned = Object.fromEntries(Object.entries(SPEC).reverse()) as unknown as ClaimSpec;
    expect(canonicalJson(turned)).toBe(canonicalJson(SPEC));
    expect(hex((await deriveClaim(SECRET, turned)).hash)).toBe(hashes[0]);
  });

  it("gives fair bits and uniform labels", async () => {
    let [ones, bits] = [0, 0];
    const labels = [0, 0, 0];
    for (let n = 0; n < 60; n++) {
      const claim = await deriveClaim(n.toString(16).padStart(64, "0"), SPEC);
      for (const of of claim.bits.values()) {
        bits += of.length;
        ones += of.filter((b) => b > 0).length;
      }
      for (const group of claim.groups) for (const label of group.labels) labels[label]!++;
    }
    // Within five standard deviations.
    expect(Math.abs(ones - bits / 2)).toBeLessThan(2.5 * Math.sqrt(bits));
    for (const count of labels) expect(Math.abs(count - 200)).toBeLessThan(5 * Math.sqrt((600 * 2) / 9));
  });

  it("needs 128 bits that no text takes", async () => {
    const small = { ...SPEC, places: [place("norm1", 64), { ...place("norm2", 72), text: 2 }] };
    await expect(deriveClaim(SECRET, small)).rejects.toThrow(/128 signature bits or more .* this network has 120/);
    expect((await deriveClaim(SECRET, { ...small, places: [place("norm1", 128)] })).bits.size).toBe(1);
  });

  it.each<[string, unknown]>([
    ["no description", null],
    ["another version", { ...SPEC, version: 1 }],
    ["a part too many", { ...SPEC, more: 1 }],
    ["an empty statement", { ...SPEC, statement: "" }],
    ["a parent that is no digest", { ...SPEC, parent: "x" }],
    ["a key that is none", { ...SPEC, publicKey: "not base64!" }],
    ["one class", { ...SPEC, triggers: { ...IMAGES, classes: ["a"] } }],
    ["clouds of flat points", { ...SPEC, triggers: { ...CLOUDS, shape: [40, 2] } }],
    ["clouds with a grid", { ...SPEC, triggers: { ...CLOUDS, grid: 4 } }],
    ["a std of 0", { ...SPEC, triggers: { ...IMAGES, normalize: { mean: [0, 0, 0], std: [1, 0, 1] } } }],
    ["no groups", { ...SPEC, triggers: { ...IMAGES, groups: 0 } }],
    ["too many triggers", { ...SPEC, triggers: { ...IMAGES, count: 1e6 } }],
  ])("is refused: %s", async (_, spec) => {
    await expect(deriveClaim(SECRET, spec as ClaimSpec)).rejects.toThrow(ArgumentError);
  });

  it("refuses a secret that is none", async () => {
    for (const secret of ["", "0".repeat(63), "G".repeat(64), null])
      await expect(deriveClaim(secret as string, SPEC)).rejects.toThrow(/64 hexadecimal digits/);
  });
});
