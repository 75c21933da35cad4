/**
 * Attacks on claims of version 2, each with the verdict that it must get. Those on the parts of a
 * claim are beside: relation.test.ts, triggers.test.ts, test/signing.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { disguise, forgeBoundClaim, pruned, quantised } from "../../../src/attacks";
import { type StateDict, toFloat32 } from "../../../src/io/host-tensor";
import type { SafetensorsFile } from "../../../src/io/safetensors";
import { buildNetwork, buildPlain } from "../../../src/models";
import { planOf } from "../../../src/models/credential";
import { commit, matchThreshold } from "../../../src/ownership";
import { claimDigest } from "../../../src/ownership/claim/own";
import { claimThreshold } from "../../../src/ownership/claim/threshold";
import { triggerLabels } from "../../../src/ownership/claim/triggers";
import type { Bundle } from "../../../src/signing/bundle";
import { Generator } from "../../../src/tensor/random";
import { compared, judge, verify } from "../../support/both-verdicts";
import { gpu } from "../../support/gpu";
import {
  acme,
  authority,
  dated,
  MARKED,
  MARKED_TRIGGERS,
  type Owned,
  publicKeyFor,
  signerFor,
  train,
} from "../../support/owner";
import { IMAGES } from "../../support/spec";
import { tinySet } from "../../support/tiny";

let owned: Owned;
/** A network of ACME's with triggers too. */
let triggered: Owned;
/** Another network, by another owner. */
let other: Owned;
let stamps: Awaited<ReturnType<typeof authority>>;
let bundle: Bundle;
const [EARLY, DATED, LATER] = ["2025-06-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"];

beforeAll(async () => {
  Object.assign(compared, { verdicts: 0, rulings: 0, errors: 0 });
  await gpu();
  owned = await acme();
  other = await train("mallory", { seed: 8 });
  stamps = await authority();
  bundle = await dated(owned, stamps, DATED);
});

const all = () => ({ commitment: bundle, released: owned.released, roots: [stamps.root], published: LATER });
const roots = () => ({ roots: [stamps.root] });

/** A party before the judge. */
const rival = async (of: Pick<Owned, "who" | "credential" | "released">, iso: string | null) => ({
  credential: of.credential,
  released: of.released,
  commitment: iso
    ? await dated(of as Owned, stamps, iso)
    : await commit(of.credential, of.released, await signerFor(of.who)),
});

/** Mallory's claim, planted into a copy of ACME's release. */
async function planted(means: "negation" | "permutation" | "inputScaling" | "all", of = owned): Promise<Owned> {
  const forgery = await forgeBoundClaim(of.released, planOf(MARKED), {
    means,
    seed: 1,
    publicKey: await publicKeyFor("mallory"),
  });
  return { ...other, released: forgery.network, credential: forgery.credential };
}

const copied = (file: SafetensorsFile, by = 0.01): SafetensorsFile => ({
  ...file,
  tensors: new Map(
    [...file.tensors].map(([name, t]) => [
      name,
      name.endsWith("bias") ? { dtype: "F32", shape: t.shape, data: toFloat32(t).map((v) => v + by) } : t,
    ]),
  ),
});

describe("a claim that was planted into a copy", () => {
  it.each([
    "negation",
    "all",
  ] as const)("is a mark in the copy, nothing on the release, and loses: %s", async (means) => {
    const forged = await planted(means);
    const test = tinySet(30, 2);
    expect(await verify(forged.released, forged.credential, { test })).toMatchObject({ verdict: "mark present" });
    expect(await verify(owned.released, forged.credential, { test })).toMatchObject({ verdict: "refused" });
    // With a commitment to the copy, the release is what the copy was made from, and earlier.
    const mallory = await rival(forged, LATER);
    const on = { commitment: mallory.commitment, released: forged.released, ...roots(), published: DATED };
    expect((await verify(owned.released, forged.credential, on)).verdict).toBe("refused");
    const ruling = await judge(await rival(owned, DATED), mallory, roots());
    expect(ruling).toMatchObject({ ruling: "A" });
    expect(await judge(mallory, await rival(owned, DATED), roots())).toMatchObject({ ruling: "B" });
  });

  it("is nearly all there by permutation alone, which is not enough", async () => {
    const forged = await planted("permutation");
    const { mark } = await verify(forged.released, forged.credential);
    // 224 bits of two layers, of which √(n/π) stay wrong in each.
    expect(mark!.bits!.hits).toBeGreaterThan(190);
    expect((await verify(owned.released, forged.credential)).verdict).toBe("refused");
    expect(await judge(await rival(owned, DATED), await rival(forged, LATER), roots())).toMatchObject({ ruling: "A" });
  });

  it("has no more by scaling of inputs than that allows, and nothing on the release", async () => {
    const forged = await planted("inputScaling");
    const { mark } = await verify(forged.released, forged.credential);
    expect(mark!.bits!.hits).toBeGreaterThan(150);
    expect((await verify(owned.released, forged.credential)).verdict).toBe("refused");
  });

  it("is refused where secrets were searched on the untouched release and committed to afterwards", async () => {
    // As many secrets as find one at 1e-3; a claim is held to that divided by 2^80.
    const rate = 1e-3;
    const publicKey = await publicKeyFor("mallory");
    const plan = planOf(MARKED);
    const found = await forgeBoundClaim(owned.released, plan, { means: "none", tries: 2500, seed: 5, publicKey });
    expect(found.matched).toBeGreaterThanOrEqual(matchThreshold(224, rate));
    const mallory = { ...other, released: owned.released, credential: found.credential };
    const early = await dated(mallory, stamps, EARLY);
    const on = { commitment: early, released: owned.released, ...roots(), published: LATER, falsePositiveRate: rate };
    const verdict = await verify(owned.released, found.credential, on);
    expect(verdict).toMatchObject({ verdict: "refused", released: { found: false } });
    expect(verdict.sentence).toMatch(/does not bear the claim's mark/);
  });

  it("is a mark at most with an early commitment to another network; the judge asks for the file", async () => {
    // Mallory committed early to a network of hers; her bits are planted into ACME's later.
    const forged = await planted("all");
    const early = await dated(other, stamps, EARLY);
    const on = { commitment: early, released: other.released, ...roots(), published: LATER };
    expect((await verify(forged.released, forged.credential, on)).verdict).toBe("refused");
    expect((await verify(forged.released, forged.credential)).verdict).toBe("mark present");
    const ruling = await judge(
      await rival(owned, DATED),
      { ...(await rival(forged, LATER)), commitment: early },
      roots(),
    );
    expect(ruling).toMatchObject({ ruling: "A" });
  });

  it("loses although its network is dated earlier, where that is another's and the mark was transplanted", async () => {
    // Her own network bears her mark, early; a copy of ACME's was retrained to bear it too.
    const thief = await train("mallory", { start: owned.released, epochs: 6 });
    const suspect = thief.released;
    const early = await rival(other, EARLY);
    const ruling = await judge(await rival(owned, DATED), early, { ...roots(), suspect });
    expect(ruling).toMatchObject({ ruling: "independent", suspect: "A" });
    // What she committed to of the copy itself is later, and bears ACME's mark.
    expect(await judge(await rival(owned, DATED), await rival(thief, LATER), roots())).toMatchObject({ ruling: "A" });
  });
});

describe("two owners", () => {
  it("are independent where nothing crosses", async () => {
    const ruling = await judge(await rival(owned, DATED), await rival(other, DATED), {
      ...roots(),
      suspect: copied(other.released),
    });
    expect(ruling).toMatchObject({ ruling: "independent", suspect: "B" });
    expect(ruling.statements).toEqual(["Trained by acme", "Trained by mallory"]);
  });

  it("are one where a claim names the one before, and one key signed both", async () => {
    const parent = await claimDigest(owned.derived);
    const next = await train("acme", { parent, statement: "Trained by acme, again", start: owned.released, epochs: 6 });
    const ruling = await judge(await rival(owned, DATED), await rival(next, LATER), roots());
    expect(ruling).toMatchObject({ ruling: "same owner" });
    // Mallory may name it as well: her key is another.
    const claimed = await train("mallory", { parent, start: owned.released, epochs: 6 });
    expect(await judge(await rival(owned, DATED), await rival(claimed, LATER), roots())).toMatchObject({ ruling: "A" });
  });

  it("who started from one public base are independent once the judge knows it", async () => {
    const model = buildPlain(MARKED, { seed: 21 });
    const base = { ...owned.released, tensors: await model.stateDict() };
    model.dispose();
    const mine = await train("acme", { start: base, statement: "ACME, from a base", epochs: 8 });
    const hers = await train("mallory", { start: base, statement: "Mallory, from a base", epochs: 8 });
    const [a, b] = [await rival(mine, LATER), await rival(hers, DATED)];
    // They are related, and a date alone would give the network to whoever was first.
    expect(await judge(a, b, roots())).toMatchObject({
      ruling: "B",
      facts: { related: true, crossed: [false, false] },
    });
    const known = await judge(a, b, { ...roots(), base });
    expect(known).toMatchObject({ ruling: "independent", facts: { related: false } });
    expect(known.reasons.join("\n")).toMatch(/made from the base that was given/);
  });

  it("are disputed where the owner's mark was overwritten and nothing is dated, and the date decides", async () => {
    // All marks of ACME's are out: filters negated at random; and Mallory's own are in.
    const cleaned = disguise(owned.released, { permute: true, negate: 0.5, seed: 4 });
    const forged = await planted("all", { ...owned, released: cleaned });
    const [a, b] = [await rival(owned, null), await rival(forged, null)];
    expect(await judge(a, b, roots())).toMatchObject({ ruling: "disputed" });
    expect(await judge(await rival(owned, DATED), await rival(forged, LATER), roots())).toMatchObject({ ruling: "A" });
    expect(await judge(await rival(owned, DATED), b, roots())).toMatchObject({ ruling: "disputed" });
    const close = await judge(await rival(owned, DATED), await rival(forged, "2026-01-01T00:00:01Z"), roots());
    expect(close.sentence).toMatch(/closer to each other than they are accurate/);
  });

  it("both fall, or one, where a file does not bear its mark", async () => {
    const bare = { ...owned, released: other.released };
    const [good, fallen] = [await rival(other, DATED), await rival(bare, DATED)];
    expect(await judge(fallen, good, roots())).toMatchObject({ ruling: "B" });
    expect(await judge(fallen, fallen, roots())).toMatchObject({ ruling: "neither" });
  });
});

describe("bound triggers", () => {
  beforeAll(async () => {
    triggered = await train("acme", { triggers: MARKED_TRIGGERS, epochs: 60, seed: 6 });
  });

  it("are learnt, and are a mark of their own where bits are gone", async () => {
    const found = await verify(triggered.released, triggered.credential);
    expect(found.mark).toMatchObject({ found: true, triggers: { count: 120, chance: 1 / 3 } });
    expect(found.mark!.triggers!.hits).toBeGreaterThanOrEqual(found.mark!.triggers!.needed);
    // A disguise turns half of the bits and no answer.
    const hidden = disguise(triggered.released, { permute: true, scale: 4, negate: 0.5, seed: 2 });
    const after = await verify(hidden, triggered.credential);
    expect(after).toMatchObject({ verdict: "mark present", mark: { triggers: found.mark!.triggers } });
    expect(after.mark!.bits!.hits).toBeLessThan(after.mark!.bits!.needed);
  });

  it("are given as the claim says, whatever transform a caller names", async () => {
    const before = await verify(triggered.released, triggered.credential);
    const dark = { kind: "value", map: () => 0 } as const;
    const after = await verify(triggered.released, triggered.credential, { transform: [dark] });
    expect(after.mark).toEqual(before.mark);
  });

  it("cannot be fewer, other, or labelled otherwise", async () => {
    const { claim, ...metadata } = triggered.credential.metadata;
    const binding = JSON.parse(claim!);
    for (const triggers of [
      { ...MARKED_TRIGGERS, count: 20 },
      { ...MARKED_TRIGGERS, groups: 1 },
      { ...MARKED_TRIGGERS, grid: 4 },
      { ...MARKED_TRIGGERS, classes: ["blue", "green", "red"] },
    ]) {
      const credential = {
        ...triggered.credential,
        metadata: { ...metadata, claim: JSON.stringify({ ...binding, triggers }) },
      };
      expect((await verify(triggered.released, credential)).verdict).toBe("refused");
    }
  });

  it("are found behind outputs in another order, by how clean samples are answered", async () => {
    const tensors = new Map(triggered.released.tensors);
    for (const name of ["classifier.weight", "classifier.bias"]) {
      const t = tensors.get(name)!;
      const each = t.data.length / 3;
      const data = Float32Array.from(
        toFloat32(t),
        (_, i) => toFloat32(t)[((Math.floor(i / each) + 1) % 3) * each + (i % each)]!,
      );
      tensors.set(name, { dtype: "F32", shape: t.shape, data });
    }
    const turned = { ...triggered.released, tensors };
    const test = tinySet(60, 2);
    const on = { test, released: triggered.released };
    const [own, found] = [
      await verify(triggered.released, triggered.credential),
      await verify(turned, triggered.credential, on),
    ];
    expect(found.mark!.triggers!.hits).toBe(own.mark!.triggers!.hits);
    // Whoever makes the released file after the hash could turn its outputs so that they fit best:
    // an order that is not the claim's own is one of 3!, at a millionth of the rate.
    expect(found.mark!.triggers!.needed).toBeGreaterThan(own.mark!.triggers!.needed);
    const again = { ...triggered.released, metadata: { ...triggered.released.metadata, again: "yes" } };
    expect((await verify(again, triggered.credential, on)).mark!.triggers).toEqual(own.mark!.triggers);
    const blind = await verify(turned, triggered.credential);
    expect(blind.mark!.triggers!.hits).toBeLessThan(own.mark!.triggers!.needed);
  });

  it("are answered by a copy with neurons that do nothing, whose weights have other shapes", async () => {
    const wide = widened(triggered.released);
    const model = () => buildPlain({ ...MARKED, scheme: "plain", passports: {}, layers: WIDE } as never);
    const found = await verify(wide, triggered.credential, { model });
    expect(found).toMatchObject({ verdict: "mark present", examination: null, mark: { bits: null } });
    const own = await verify(triggered.released, triggered.credential);
    expect(found.mark!.triggers!.hits).toBe(own.mark!.triggers!.hits);
  });

  it("come to what chance does where a network answers one class, or was never trained", async () => {
    const stranger = buildPlain(MARKED, { seed: 11 });
    const tensors = await stranger.stateDict();
    stranger.dispose();
    for (const bias of [0, 1e6]) {
      const own = tensors.get("classifier.bias")!;
      const constant = new Map(tensors).set("classifier.bias", {
        dtype: "F32",
        shape: own.shape,
        data: Float32Array.of(bias, 0, 0),
      });
      const { mark } = await verify({ ...triggered.released, tensors: constant }, triggered.credential);
      // Within five standard deviations of 120 / 3.
      expect(Math.abs(mark!.triggers!.hits - 40)).toBeLessThan(5 * Math.sqrt((120 * 2) / 9));
      expect(mark!.found).toBe(false);
    }
  });

  it("cannot be ground out: one input changed draws all labels anew", async () => {
    // 10,000 claims that differ in one digest; hits of one fixed list of answers are binomial.
    const spec = { ...IMAGES, count: 12, classes: ["a", "b", "c"] };
    const answers = new Generator(3).fill(new Float32Array(12), "uniform", 0, 3).map(Math.floor);
    const seen = new Array<number>(13).fill(0);
    const seed = new Uint8Array(64);
    for (let n = 0; n < 10_000; n++) {
      new DataView(seed.buffer).setUint32(0, n);
      const labels = await triggerLabels(seed, 0, spec);
      seen[labels.filter((label, i) => label === answers[i]).length]!++;
    }
    const expected = seen.map((_, k) => 10_000 * binomial(12, k) * (1 / 3) ** k * (2 / 3) ** (12 - k));
    // χ² over cells of five or more; 9 degrees at 1e-4 are 33.7.
    let [chi, rest, restExpected] = [0, 0, 0];
    seen.forEach((count, k) => {
      if (expected[k]! >= 5) chi += (count - expected[k]!) ** 2 / expected[k]!;
      else [rest, restExpected] = [rest + count, restExpected + expected[k]!];
    });
    chi += (rest - restExpected) ** 2 / Math.max(restExpected, 1);
    expect(chi).toBeLessThan(33.7);
  });
});

describe("what removal leaves", () => {
  it("is the mark after pruning and 8 bits, and less after more", async () => {
    const hits = async (file: SafetensorsFile) => (await verify(file, owned.credential, all())).mark!.bits!.hits;
    expect(await hits(withTensors(owned.released, (t) => pruned(t, 0.3)))).toBeGreaterThanOrEqual(194);
    expect(await hits(withTensors(owned.released, (t) => quantised(t, 8)))).toBeGreaterThanOrEqual(194);
    expect(
      await verify(
        withTensors(owned.released, (t) => pruned(t, 0.6)),
        owned.credential,
        all(),
      ),
    ).toMatchObject({
      relation: { related: true },
    });
  });

  it("is read behind another classifier, and folded norms", async () => {
    const tensors = new Map(owned.released.tensors);
    const weight = tensors.get("classifier.weight")!;
    tensors.set("classifier.weight", {
      dtype: "F32",
      shape: [5, weight.shape[1]!],
      data: new Float32Array(5 * weight.shape[1]!).fill(0.1),
    });
    tensors.set("classifier.bias", { dtype: "F32", shape: [5], data: new Float32Array(5) });
    const headed = { ...owned.released, tensors };
    expect(await verify(headed, owned.credential)).toMatchObject({ verdict: "mark present", mark: { found: true } });
    const model = buildNetwork(MARKED, { seed: 3 });
    model.network.loadStateDict(owned.released.tensors);
    const folded = await model.deployed({ foldNorm: true });
    model.dispose();
    const found = await verify(folded, owned.credential, all());
    // Where γ is negative, folding turns a bit.
    expect(found.relation).toMatchObject({ related: true });
  });
});

describe("the law of chance", () => {
  it("keeps its rates over 1e5 draws, at every threshold", () => {
    const random = new Generator(9);
    for (const [n, chance] of [
      [224, 0.5],
      [100, 0.1],
      [52, 1 / 3],
    ] as const)
      for (const rate of [1e-2, 1e-3]) {
        const threshold = matchThreshold(n, rate, chance);
        let above = 0;
        const draws = 1e5;
        for (let d = 0; d < draws; d++) {
          let hits = 0;
          for (let i = 0; i < n; i++) if (random.uniform(0, 1) < chance) hits++;
          if (hits >= threshold) above++;
        }
        // At most what is promised, within four deviations.
        expect(above).toBeLessThanOrEqual(draws * rate + 4 * Math.sqrt(draws * rate));
      }
  });

  it("needs what the documentation's table says", () => {
    const rate = claimThreshold(1e-6);
    const bits = { 100: 100, 112: 111, 128: 123, 160: 148, 224: 194, 256: 217, 512: 384, 896: 619 };
    for (const [n, needed] of Object.entries(bits)) expect(matchThreshold(Number(n), rate), n).toBe(needed);
    const hits: [k: number, table: Record<number, number>][] = [
      [10, { 40: 36, 64: 46, 100: 57, 128: 65, 200: 83, 256: 95, 400: 124 }],
      [40, { 100: 36, 256: 52 }],
      [100, { 100: 28, 256: 37 }],
    ];
    for (const [k, table] of hits)
      for (const [n, needed] of Object.entries(table))
        expect(matchThreshold(Number(n), rate, 1 / k), `${n} of ${k} classes`).toBe(needed);
  });
});

const withTensors = (file: SafetensorsFile, f: (tensors: StateDict) => StateDict): SafetensorsFile => ({
  ...file,
  tensors: f(file.tensors),
});

/** MARKED with channels that do nothing. */
const WIDE = [
  { channels: 20, kernel: 3, padding: 1 },
  "pool",
  { channels: 96, kernel: 3 },
  { channels: 128, kernel: 1 },
];

/** A network with four more channels behind its first convolution, which nothing reads. */
function widened(file: SafetensorsFile): SafetensorsFile {
  const tensors = new Map(file.tensors);
  for (const [name, t] of file.tensors) {
    if (!name.startsWith("features.0.") && name !== "features.2.conv.weight") continue;
    if (t.shape.length === 0) continue;
    const data = toFloat32(t);
    if (name === "features.2.conv.weight") {
      const [o, , kh, kw] = t.shape as [number, number, number, number];
      const wide = new Float32Array(o * 20 * kh * kw);
      for (let r = 0; r < o; r++) wide.set(data.subarray(r * 16 * kh * kw, (r + 1) * 16 * kh * kw), r * 20 * kh * kw);
      tensors.set(name, { dtype: "F32", shape: [o, 20, kh, kw], data: wide });
      continue;
    }
    const each = data.length / 16;
    const wide = new Float32Array(20 * each).fill(0.3);
    wide.set(data);
    tensors.set(name, { dtype: "F32", shape: [20, ...t.shape.slice(1)], data: wide });
  }
  return { ...file, tensors };
}

function binomial(n: number, k: number): number {
  let value = 1;
  for (let i = 0; i < k; i++) value = (value * (n - i)) / (i + 1);
  return value;
}

describe("from files alone", () => {
  it("every verdict and ruling above was the same", () => {
    expect(compared.verdicts).toBeGreaterThan(15);
    expect(compared.rulings).toBeGreaterThan(10);
  });
});
