/**
 * Bound claims that are forged: what they do to claims of version 1, and that the copies that they
 * are planted into compute the same.
 */
import { beforeAll, describe, expect, it } from "vitest";
import {
  type BoundForgeryMeans,
  forgeBoundClaim,
  forgeBoundClaims,
  type Measurement,
  type Target,
} from "../../src/attacks";
import { ArgumentError, FormatError, StateDictError } from "../../src/errors";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, type NetworkConfig } from "../../src/models";
import { planOf, readCredential } from "../../src/models/credential";
import { examine, matchThreshold, verify } from "../../src/ownership";
import { readBinding } from "../../src/ownership/first/binding";
import { commit } from "../../src/ownership/first/commitment";
import { protect } from "../../src/passport";
import { scattered } from "../support/bytes";
import { BINDING, BOUND, boundClaim, type Claim } from "../support/claims";
import { firstRule } from "../support/first-rule";
import { expectClose, gpu } from "../support/gpu";
import { logits, outputs } from "../support/logits";
import { OwnNetwork } from "../support/own-network";
import { trainedTarget } from "../support/target";
import { TINY, tinySet } from "../support/tiny";

const test = tinySet(60, 2);
/** Bits of two layers of 64 and 96. */
const BITS = 160;
let owner: Claim;

beforeAll(async () => {
  await gpu();
  owner = await boundClaim();
});

/** The networks compute the same up to the order of sums. */
async function expectSame(copy: SafetensorsFile, own: SafetensorsFile): Promise<void> {
  const before = await logits(own);
  const most = Math.max(...before.map(Math.abs));
  expectClose(await logits(copy), before, { rtol: 1e-4, atol: 1e-5 * most });
}

const REARRANGED: readonly BoundForgeryMeans[] = ["negation", "permutation", "all"];

describe("against version 1 of claims", () => {
  it.each(REARRANGED)("holds on the forger's copy, and on the owner's release by it: %s", async (means) => {
    const { network, credential, bits, matched } = await forgeBoundClaim(owner.deployed, BOUND, {
      version: 1,
      means,
      seed: 1,
    });
    expect((await readBinding(credential))!.statement).toBe("Mine");
    expect(bits).toBe(BITS);
    const onCopy = await firstRule(network, credential, { test });
    expect(onCopy).toMatchObject({ holds: true, examined: { bits, matched } });
    const onRelease = await firstRule(owner.deployed, credential, { test, reference: network });
    expect(onRelease).toMatchObject({ holds: true, examined: { matched } });
    // Without the copy the release is what it was, and fresh secrets match like coins.
    expect((await firstRule(owner.deployed, credential, { test })).holds).toBe(false);
    // The owner's bits are read by the owner's copy as well: two claims, and nothing between them.
    const own = await examine(network, owner.credential, { test, reference: owner.deployed });
    expect(own.matched).toBe((await examine(owner.deployed, owner.credential)).matched);
  });

  it("holds on the untouched release, where a secret is searched and committed to afterwards", async () => {
    const falsePositiveRate = 1e-3;
    const options = { version: 1, means: "none", tries: 2000, seed: 3 } as const;
    const { network, credential, matched } = await forgeBoundClaim(owner.deployed, BOUND, options);
    expect(network.tensors).toEqual(owner.deployed.tensors);
    expect(matched).toBeGreaterThanOrEqual(matchThreshold(BITS, falsePositiveRate));
    const commitment = await commit(credential, owner.deployed);
    expect((await firstRule(owner.deployed, credential, { test, commitment, falsePositiveRate })).holds).toBe(true);
    expect((await firstRule(owner.deployed, credential, { test, falsePositiveRate })).holds).toBe(false);
  });

  it("holds by input scaling alone, where inputs are more than outputs", async () => {
    const config: NetworkConfig = {
      ...TINY,
      passports: { 2: true, 3: true },
      layers: [{ channels: 96, kernel: 1 }, "pool", { channels: 64, kernel: 3 }, { channels: 40, kernel: 1 }],
    };
    const target = await trainedTarget(config);
    const { network, credential, bits } = await forgeBoundClaim(target.deployed, config, {
      version: 1,
      means: "inputScaling",
      seed: 1,
    });
    expect(bits).toBe(104);
    await expectSame(network, target.deployed);
    expect(await firstRule(network, credential, { test })).toMatchObject({ holds: true, examined: { matched: 104 } });
    const onRelease = await firstRule(target.deployed, credential, { test, reference: network });
    expect(onRelease).toMatchObject({ holds: true, examined: { matched: 104 } });
  });

  it("holds in front of group norm, whose groups are negated as wholes", async () => {
    const config: NetworkConfig = { ...BOUND, norm: "gn" };
    const target = await trainedTarget(config);
    const untouched = await forgeBoundClaim(target.deployed, config, { version: 1, means: "none", seed: 2 });
    const turned = await forgeBoundClaim(target.deployed, config, { version: 1, means: "negation", seed: 2 });
    expect(turned.matched).toBeGreaterThan(untouched.matched);
    expect(turned.matched).toBeLessThan(BITS);
    expect(await logits(turned.network)).toEqual(await logits(target.deployed));
    const { network, credential } = await forgeBoundClaim(target.deployed, config, { version: 1, seed: 2 });
    await expectSame(network, target.deployed);
    expect((await firstRule(network, credential, { test })).holds).toBe(true);
    expect((await firstRule(target.deployed, credential, { test, reference: network })).holds).toBe(true);
  });

  it("claims the public accuracy of the private branch, which is the public one where the FC is solved", async () => {
    const claimed = { public: 1, private: 1 };
    const solved = await forgeBoundClaim(owner.deployed, BOUND, { version: 1, seed: 1, claimed });
    const found = await firstRule(solved.network, solved.credential, { test });
    const { accuracy } = found.examined;
    expect(accuracy.private).toBe(accuracy.public);
    expect(accuracy.public).toBeGreaterThan(0.9);
    const drawn = await forgeBoundClaim(owner.deployed, BOUND, { version: 1, seed: 1, fc: false });
    // Nobody looks at the branch without test images; with some, it opens nothing.
    expect(await firstRule(drawn.network, drawn.credential)).toMatchObject({
      holds: true,
      examined: { matched: BITS },
    });
    expect((await firstRule(drawn.network, drawn.credential, { test })).holds).toBe(false);
  });
});

describe("the forger's copy", () => {
  it("computes the same: to the bit where filters are negated, within rounding else", async () => {
    for (const means of ["negation", "permutation", "inputScaling", "all"] as const) {
      const { network } = await forgeBoundClaim(owner.deployed, BOUND, { means, seed: 4 });
      expect(network.tensors).not.toEqual(owner.deployed.tensors);
      if (means === "negation") expect(await logits(network)).toEqual(await logits(owner.deployed));
      else await expectSame(network, owner.deployed);
    }
  });

  it("matches nine bits of ten by permutation alone", async () => {
    let matched = 0;
    for (const seed of [1, 2, 3, 4])
      matched += (await forgeBoundClaim(owner.deployed, BOUND, { means: "permutation", seed })).matched;
    expect(matched).toBeGreaterThanOrEqual(0.9 * 4 * BITS);
  });

  it("spells a text of the forger's", async () => {
    const config: NetworkConfig = { ...BOUND, passports: { 2: true, 3: "MINE" } };
    const { network, credential } = await forgeBoundClaim(owner.deployed, config, { seed: 1 });
    const { examination, mark } = await verify(network, credential, { test });
    expect(examination).toMatchObject({ passes: true, decodedText: "MINE", matched: BITS });
    expect(mark).toMatchObject({ found: true, bits: { count: BITS - 32, hits: BITS - 32 } });
  });

  it("takes what the owner's credential says as the plan", async () => {
    const { credential, matched, bits } = await forgeBoundClaim(owner.deployed, readCredential(owner.credential));
    expect([matched, bits]).toEqual([BITS, BITS]);
    expect(readCredential(credential).places).toEqual(readCredential(owner.credential).places);
  });

  it("is made of any network: depthwise convolutions, sums, layer norm", async () => {
    const sample = [1, 8, 8, 3];
    const own = new OwnNetwork(1);
    const owned = protect(own, { scheme: "pan", at: true, sample });
    owned.loadStateDict(scattered(await owned.stateDict()));
    const [deployed, { plan }] = [await owned.deployed(), owned];
    const before = await outputs(own, [2, 8, 8, 3]);
    const most = Math.max(...before.map(Math.abs));
    for (const [means, least] of [
      ["negation", 192],
      ["all", 262],
    ] as const) {
      const options = { means, seed: 1, channels: { channels: owned.channels! } };
      const { network, credential, bits, matched } = await forgeBoundClaim(deployed, plan, options);
      expect(bits).toBe(3 * 96);
      expect(matched).toBeGreaterThanOrEqual(least);
      own.loadStateDict(network.tensors);
      expectClose(await outputs(own, [2, 8, 8, 3]), before, { rtol: 1e-4, atol: 1e-5 * most });
      expect((await examine(network, credential)).matched).toBe(matched);
      expect((await examine(deployed, credential, { reference: network })).matched).toBe(matched);
    }
    await expect(forgeBoundClaim(deployed, plan)).rejects.toThrow(FormatError);
    owned.dispose();
  });
});

describe("a forgery", () => {
  it("follows from its seed, or from the secret that is given, and is another one without", async () => {
    const forge = async (options: object) =>
      (await forgeBoundClaim(owner.deployed, BOUND, { means: "negation", ...options })).binding;
    expect(await forge({ seed: 7 })).toEqual(await forge({ seed: 7 }));
    expect(await forge({ seed: 7 })).not.toEqual(await forge({ seed: 8 }));
    expect((await forge({})).secret).not.toBe((await forge({})).secret);
    expect(await forge(BINDING)).toEqual(BINDING);
  });

  it("is refused for what cannot be forged", async () => {
    const { deployed } = owner;
    const wrong = (options: object, config: NetworkConfig = BOUND) =>
      expect(forgeBoundClaim(deployed, config, options)).rejects;
    await wrong({ means: "magic" }).toThrow(/means is "none", .* or "all", found "magic"/);
    await wrong({ tries: 0 }).toThrow(ArgumentError);
    await wrong({ colour: 1 }).toThrow(/no option "colour"/);
    await wrong({ secret: "abc" }).toThrow(/64 hexadecimal digits/);
    await wrong({}, { ...BOUND, scheme: "plain", passports: {} }).toThrow(/no passports to forge/);
    await wrong({}, { ...BOUND, passports: { 2: true } }).toThrow(/128 signature bits/);
    const tensors = new Map([...deployed.tensors].filter(([name]) => name !== "features.3.bn.weight"));
    const other = { ...deployed, tensors };
    await expect(forgeBoundClaim(other, BOUND, { means: "none" })).rejects.toThrow(StateDictError);
    const few = planOf(BOUND).places.map((p) => (p.channels === 64 ? { ...p, weight: "features.9.weight" } : p));
    await expect(forgeBoundClaim(deployed, { ...planOf(BOUND), places: few })).rejects.toThrow(/features\.9\.weight/);
  });

  it("is recorded by every means: the forger's branch, the owner's bits, the forger's own", async () => {
    const target: Target = { ...owner, test };
    const forged: string[] = [];
    const { before, steps, ...record } = await forgeBoundClaims(target, {
      seed: 1,
      onForged: ({ matched }, { means, fc }) => void forged.push(`${means} ${fc} ${matched}`),
    });
    expect(record).toEqual({
      attack: "forged bound claims",
      knowledge: ["the deployed network"],
      budget: { data: "none", "own bits": BITS },
      seed: 1,
    });
    expect(steps.map(({ setting }) => [setting["means"], setting["fc"]])).toEqual([
      ["negation", "FC solved"],
      ["permutation", "FC solved"],
      ["input scaling", "FC solved"],
      ["all", "FC solved"],
      ["all", "FC as drawn"],
    ]);
    expect(forged.map((text) => Number(text.split(" ")[2]))).toEqual(steps.map(({ own }) => own));
    const coins = ({ matched, bits }: Measurement) => Math.abs(matched - bits / 2);
    for (const { setting, after } of steps) {
      expect(after.accuracy.public).toBe(before.accuracy.public);
      if (setting["fc"] === "FC solved") expect(after.accuracy.private).toBe(before.accuracy.public);
      else expect(after.accuracy.private).toBeLessThan(0.7);
      // The owner's bits under a stranger's passports: signs of one passport hang together, and
      // scatter about twice as far as coins.
      expect(coins(after)).toBeLessThan(40);
    }
  });

  it("is recorded of a network without an FC, whose branch does not work then", async () => {
    const config: NetworkConfig = { ...BOUND, scheme: "v2", norm: "gn" };
    const model = buildNetwork(config, { seed: 4 });
    const target = { deployed: await model.deployed(), credential: await model.credential(), test };
    model.dispose();
    const { steps } = await forgeBoundClaims(target, { seed: 1 });
    expect(steps.map(({ setting }) => Object.keys(setting).join())).toEqual(new Array(4).fill("means"));
  });
});
