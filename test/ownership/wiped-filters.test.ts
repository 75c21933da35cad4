/**
 * Filters that are all zeros, as pruning leaves some: γ is 0 there under every passport, so
 * nobody's bit can be read, and none is counted, neither for a claim nor against it.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { measure } from "../../src/attacks/record";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { nullOfCredentials, rejoin, verify } from "../../src/ownership";
import { countSigns } from "../../src/passport/matches";
import { type Anchored, anchored } from "../support/anchored";
import { gpu } from "../support/gpu";
import { acme, type Owned, train } from "../support/owner";
import { tinySet } from "../support/tiny";

let claim: Owned;
let anchor: Anchored;
const LAYERS = { "features.2.conv.weight": 96, "features.3.conv.weight": 128 };
beforeAll(async () => {
  await gpu();
  claim = await acme();
  anchor = await anchored(claim);
});

/** The network with the filters of the first channels set to 0, layer by layer. */
function wiped(file: SafetensorsFile, share: number, value = 0): SafetensorsFile {
  const tensors = new Map(file.tensors);
  for (const [name, channels] of Object.entries(LAYERS)) {
    const t = tensors.get(name)!;
    const data = Float32Array.from(t.data as Float32Array);
    data.fill(value, 0, (data.length / channels) * Math.round(share * channels));
    tensors.set(name, { ...t, data });
  }
  return { ...file, tensors };
}

const verdictOf = (file: SafetensorsFile, of = claim) => verify(file, of.credential, anchor);

describe("bits of wiped filters", () => {
  it("count neither way, and what is left of the mark is found", async () => {
    const whole = await verdictOf(claim.released);
    const half = await verdictOf(wiped(claim.released, 0.5));
    expect(whole.examination).toMatchObject({ bits: 224, matched: 224 });
    expect(half.examination).toMatchObject({ bits: 112, matched: 112, passes: true });
    expect(half.examination!.pValue).toBeCloseTo(2 ** -112, 40);
    expect(half.examination!.layers.map((l) => [l.bits, l.matched])).toEqual([
      [48, 48],
      [64, 64],
    ]);
    for (const { gamma, signs, bits } of half.examination!.layers) {
      expect(signs).toHaveLength(gamma.length);
      expect(signs.filter((s) => s !== 0)).toHaveLength(bits);
    }
    expect(half.mark!.bits!.hits).toBe(half.mark!.bits!.count);
    expect(half.mark!.bits!.count).toBeLessThan(whole.mark!.bits!.count);
    expect(half.reasons.join("\n")).toMatch(/112 of 224 bits cannot be read and count neither way/);
  });

  it("are no mark that was turned, and no evidence where none are left", async () => {
    const gone = await verdictOf(wiped(claim.released, 1));
    expect(gone).toMatchObject({ verdict: "refused", mark: { bits: null, turned: false } });
    expect(gone.sentence).toMatch(/its filters are all zeros/);
    expect(gone.examination).toMatchObject({ bits: 0, matched: 0, pValue: 1, passes: false });
  });

  it("are few enough to prove nothing soon, however well the rest matches", async () => {
    // 24 bits that all match: 2⁻²⁴ is not the 2⁻⁸⁰ · 1e-6 that a claim is held to.
    const few = await verdictOf(wiped(claim.released, 0.9));
    expect(few.mark!.bits!.hits).toBe(few.mark!.bits!.count);
    expect(few.mark!.bits!.needed).toBe(few.mark!.bits!.count + 1);
    expect(few).toMatchObject({ verdict: "refused", mark: { found: false } });
  });

  it("help nobody else: a rival's claim and strangers' credentials match half of the rest", async () => {
    const rival = await train("mallory", { seed: 8, epochs: 1 });
    const suspect = wiped(claim.released, 0.5);
    const found = await verify(suspect, rival.credential);
    expect(found.mark).toMatchObject({ found: false, turned: false });
    const { bits, mean } = await nullOfCredentials(suspect, claim.credential, { draws: 200 });
    expect(bits).toBe(112);
    expect(Math.abs(mean - 56)).toBeLessThan((4 * Math.sqrt(112)) / 2 / Math.sqrt(200));
    expect((await nullOfCredentials(suspect, claim.credential, { draws: 20, bits: "owner" })).bits).toBe(112);
  });

  it("count where there is anything to read, be it a number beneath all others", async () => {
    const { examination } = await verdictOf(wiped(claim.released, 0.5, 1e-30));
    expect(examination!.bits).toBe(224);
  });
});

it("reads from a network on the device what it reads from the file, and attacks measure the same", async () => {
  const suspect = wiped(claim.released, 0.25);
  const owned = rejoin(suspect, claim.credential);
  const signs = await owned.readSigns();
  expect(signs.map((s) => s.unread.length)).toEqual([24, 32]);
  expect(countSigns(signs)).toEqual({ bits: 168, matched: 168 });
  expect(await measure(owned, { deployed: suspect, test: tinySet(30, 2) })).toMatchObject({ bits: 168, matched: 168 });
  owned.dispose();
});
