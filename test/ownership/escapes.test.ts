/**
 * Edits of a suspect that change no weight, over schemes and architectures: every one leaves the
 * verdict as it was.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { type StateDict, toFloat32 } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
import type { NetworkConfig } from "../../src/models";
import {
  type Examination,
  examine,
  nullOfNetworks,
  realign,
  rejoin,
  type Verification,
  verify,
} from "../../src/ownership";
import { memory } from "../../src/tensor/storage";
import { type Anchored, anchored, editedVerdict } from "../support/anchored";
import { type Claim, signedClaim } from "../support/claims";
import { trainedClouds } from "../support/clouds";
import { EDITS, floats } from "../support/edits";
import { gpu } from "../support/gpu";
import { acme } from "../support/owner";
import { TINY, tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const RESNET = { arch: "resnet", classes: 3, input: [8, 8, 3], blocks: [1, 1], width: 8 } as const;
const IN_STAGE = { passports: { layer2: true }, signature: "P€NS" } as const;
const CLAIMS: [string, NetworkConfig][] = [
  ["v1", { ...TINY, scheme: "v1" }],
  ["v2 gn", { ...TINY, scheme: "v2" }],
  ["v3 in", { ...TINY, scheme: "v3", norm: "in" }],
  ["pan bn", TINY],
  ["pan none", { ...TINY, norm: "none" }],
  ["pan sbn, ResNet", { ...RESNET, ...IN_STAGE, scheme: "pan", norm: "sbn" }],
];
const text = (found: { reasons: readonly string[] }) => found.reasons.join("\n");

describe.each(CLAIMS)("%s", (_, config) => {
  let claim: Claim;
  let before: Examination;
  beforeAll(async () => {
    claim = await signedClaim(config);
    before = await examine(claim.deployed, claim.credential);
    expect(before).toMatchObject({ passes: true, matched: 48 });
  });

  it.each(Object.keys(EDITS))("passes for a suspect with %s", async (name) => {
    const { edit, exact = true } = EDITS[name]!;
    const live = memory().tensors;
    const found = await examine(edit(claim.deployed), claim.credential);
    expect(found.passes).toBe(true);
    expect(memory().tensors).toBe(live);
    if (exact) expect(found.layers).toEqual(before.layers);
    else expect(found.matched).toBeGreaterThan(44);
  });
});

describe("point clouds", () => {
  // Trained once, and not within the time of the first test.
  beforeAll(async () => void (await trainedClouds()));

  it.each(Object.keys(EDITS))("are read as before with %s", async (name) => {
    const { deployed, credential } = await trainedClouds();
    const { edit, exact = true } = EDITS[name]!;
    const [before, found] = [await examine(deployed, credential), await examine(edit(deployed), credential)];
    expect(before.passes).toBe(true);
    expect(found.passes).toBe(true);
    if (exact) expect(found.layers).toEqual(before.layers);
  });
});

describe("a trained network", () => {
  const test = tinySet(30, 2);
  const options = { test, triggers: test };
  let claim: Claim;
  let anchor: Anchored;
  let before: Examination;
  let verdict: Verification;
  beforeAll(async () => {
    const { released: deployed, credential } = await acme();
    claim = { deployed, credential };
    anchor = await anchored({ released: deployed, credential });
    before = await examine(claim.deployed, claim.credential, options);
    expect(before).toMatchObject({ passes: true, matched: 224, opened: { holds: true }, triggers: { holds: true } });
    verdict = await verify(claim.deployed, claim.credential, anchor);
    expect(verdict).toMatchObject({ verdict: "holds as released", mark: { bits: { count: 224, hits: 224 } } });
  });

  it.each(Object.keys(EDITS))("has the same accuracies, triggers and evidence with %s", async (name) => {
    const { edit, exact = true, blind } = EDITS[name]!;
    const edited = edit(claim.deployed);
    const found = await examine(edited, claim.credential, options);
    expect(found.passes).toBe(true);
    const judged = await verify(edited, claim.credential, anchor);
    expect(judged).toMatchObject({ mark: { found: true }, released: verdict.mark });
    expect(judged.verdict).toBe(editedVerdict(edited, claim.deployed));
    if (exact) expect(judged.mark).toEqual(verdict.mark);
    if (blind) {
      expect(found).toMatchObject({ accuracy: {}, opened: null, triggers: null });
      expect(text(found)).toMatch(/no branch can run as in the suspect: the running statistics of features\.0/);
    } else if (exact) {
      const { reasons: _, ...same } = found;
      expect({ ...same, reasons: before.reasons }).toEqual(before);
    } else expect(found.accuracy.private).toBe(before.accuracy.private);
  });

  it("says what was assumed or left aside", async () => {
    const said = async (name: string) => text(await examine(EDITS[name]!.edit(claim.deployed), claim.credential));
    expect(await said("the prefix net.0.")).toMatch(/names are read without what stands beside them: "net\.0\."/);
    expect(await said("a tensor too many")).toMatch(/1 tensors of the suspect are none of .* left aside: note/);
    expect(await said("numbers of 64 bits")).toMatch(/tensors are of type F64/);
    expect(await said("a dimension of 1 in front")).toMatch(/dimensions of 1/);
  });

  it("is undisguised by a reference that was edited, rejoined, and counted among strangers", async () => {
    const signs = async (file: SafetensorsFile) => {
      const model = rejoin(file, claim.credential);
      const found = (await model.readSigns()).map((s) => s.matched);
      model.dispose();
      return found;
    };
    const own = await signs(claim.deployed);
    const networks = [claim.deployed, claim.deployed];
    const sample = await nullOfNetworks(claim.deployed, claim.credential, networks);
    for (const [name, { edit, exact = true, blind }] of Object.entries(EDITS)) {
      if (!exact) continue;
      const edited = edit(claim.deployed);
      const reference = await examine(claim.deployed, claim.credential, { reference: edited });
      expect(reference, name).toMatchObject({ passes: true, matched: 224 });
      const { aligned } = realign(edited, claim.deployed);
      expect((await examine(aligned, claim.credential)).matched, name).toBe(224);
      if (!blind) expect(await signs(edited), name).toEqual(own);
    }
    const all = Object.values(EDITS).flatMap(({ edit, exact }) => (exact === false ? [] : [edit(claim.deployed)]));
    const { matched } = await nullOfNetworks(all[7]!, claim.credential, all);
    expect(new Set(matched)).toEqual(new Set(sample.matched));
  });

  it.each(Object.keys(EDITS))("is released as its bytes, and not with %s", async (name) => {
    const released = EDITS[name]!.edit(claim.deployed);
    const found = await verify(claim.deployed, claim.credential, { ...anchor, released });
    if (editedVerdict(released, claim.deployed) === "holds as released")
      return expect(found.verdict).toBe("holds as released");
    expect(found).toMatchObject({ verdict: "refused", bound: null, released: null });
    expect(found.sentence).toMatch(/does not anchor the claim: it is not the file that the commitment speaks of/);
  });

  const changed = (change: (tensors: StateDict) => void): SafetensorsFile => {
    const tensors = new Map(claim.deployed.tensors);
    change(tensors);
    return { ...claim.deployed, tensors };
  };

  it("with a bias moved in front of a norm, or one norm folded, still works", async () => {
    const moved = changed((t) => {
      const mean = toFloat32(t.get("features.2.bn.running_mean")!);
      t.set(
        "features.2.conv.bias",
        floats([96], () => 3),
      );
      t.set(
        "features.2.bn.running_mean",
        floats([96], (i) => mean[i]! + 3),
      );
    });
    const found = await examine(moved, claim.credential, options);
    expect(found).toMatchObject({ passes: true, matched: 224, accuracy: before.accuracy });
    expect(text(found)).toMatch(/biases in front of the norms of features\.2 are read as a part of the norm/);
    const folded = changed((t) => {
      const read = (part: string) => toFloat32(t.get(`features.0.bn.${part}`)!);
      const [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(read);
      const scale = variance!.map((v, i) => gamma![i]! / Math.sqrt(v + 1e-5));
      const weight = toFloat32(t.get("features.0.conv.weight")!);
      t.set(
        "features.0.conv.weight",
        floats([16, 3, 3, 3], (i) => weight[i]! * scale[Math.floor(i / 27)]!),
      );
      t.set(
        "features.0.conv.bias",
        floats([16], (i) => beta![i]! - mean![i]! * scale[i]!),
      );
      for (const name of [...t.keys()]) if (name.startsWith("features.0.bn.")) t.delete(name);
    });
    const half = await examine(folded, claim.credential, options);
    expect(half).toMatchObject({ passes: true, matched: 224, opened: null });
    expect(half.accuracy.public).toBe(before.accuracy.public);
    expect(text(half)).toMatch(/folded into its convolutions/);
    for (const suspect of [moved, folded])
      expect(await verify(suspect, claim.credential, anchor)).toMatchObject({ verdict: "holds", mark: verdict.mark });
  });

  it("with numbers that are not finite is read, and they are named", async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const broken = changed((t) => {
        const weight = toFloat32(t.get("features.2.conv.weight")!);
        t.set(
          "features.2.conv.weight",
          floats([96, 16, 3, 3], (i) => (i === 5 ? value : weight[i]!)),
        );
      });
      const found = await examine(broken, claim.credential, options);
      expect(found).toMatchObject({ passes: true, accuracy: {}, triggers: null });
      expect(found.matched).toBeGreaterThanOrEqual(223);
      expect(await verify(broken, claim.credential, anchor)).toMatchObject({ verdict: "holds" });
      expect(text(found)).toMatch(/not finite \(NaN or ∞\) are in features\.2\.conv\.weight/);
      expect(() => rejoin(broken, claim.credential)).toThrow(/not finite/);
    }
  });

  it("beside another network in one file is found, and held to the rate of two suspects", async () => {
    const two = changed((t) => {
      for (const [name, value] of [...t])
        t.set(`decoy.${name}`, value.dtype === "F32" ? floats(value.shape, (i) => Math.sin(i)) : value);
    });
    const [found, alone] = [await verify(two, claim.credential), await verify(claim.deployed, claim.credential)];
    expect(found).toMatchObject({ verdict: "mark present", mark: { bits: { hits: alone.mark!.bits!.hits } } });
    expect(found.mark!.bits!.needed).toBeGreaterThanOrEqual(alone.mark!.bits!.needed);
    expect(found.reasons.join()).toMatch(/holds 2 different networks/);
    await expect(examine(two, claim.credential)).rejects.toThrow(/2 different networks .* prefixes "", "decoy\."/);
  });

  it("without a weight is refused, by name", async () => {
    const bare = changed((t) => void t.delete("features.2.conv.weight"));
    await expect(verify(bare, claim.credential)).rejects.toThrow(/missing features\.2\.conv\.weight/);
  });
});
