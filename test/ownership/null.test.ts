/** What chance looks like: exact where bits are coins, wider where only passports are drawn. */
import { beforeAll, describe, expect, it } from "vitest";
import type { Target } from "../../src/attacks";
import { ArgumentError, StateDictError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import {
  binomialPValue,
  empiricalPValue,
  nullOfCredentials,
  nullOfNetworks,
  signatureBalance,
  twoSidedPValue,
} from "../../src/ownership";
import { gpu } from "../support/gpu";
import { trainedTarget } from "../support/target";
import { TINY } from "../support/tiny";

const CONFIG = { ...TINY, passports: { 2: true } };
let target: Target;
beforeAll(async () => {
  await gpu();
  target = await trainedTarget(CONFIG);
});

describe("strangers' credentials", () => {
  it("match as coins fall when their bits are their own", async () => {
    const { bits, matched, mean, deviation, kind } = await nullOfCredentials(target.deployed, target.credential, {
      draws: 200,
      seed: 1,
    });
    expect(kind).toBe("credentials");
    expect(matched).toHaveLength(200);
    const apart = matched.reduce((s, m) => s + (m - mean) ** 2, 0);
    expect(mean).toBeCloseTo(matched.reduce((a, b) => a + b) / matched.length, 10);
    expect(deviation).toBeCloseTo(Math.sqrt(apart / (matched.length - 1)), 10);
    // Mean of 200 draws of Bin(n, ½) within four standard errors, deviation within 20 %.
    expect(Math.abs(mean - bits / 2)).toBeLessThan((4 * Math.sqrt(bits)) / 2 / Math.sqrt(200));
    expect(deviation / (Math.sqrt(bits) / 2)).toBeGreaterThan(0.8);
    expect(deviation / (Math.sqrt(bits) / 2)).toBeLessThan(1.2);
  });

  it("are the same for the same seed, others for another; the owner's bits make another sample", async () => {
    const draw = (seed: number, bits: "fresh" | "owner" = "fresh") =>
      nullOfCredentials(target.deployed, target.credential, { draws: 8, seed, bits });
    const first = await draw(1);
    expect(await draw(1)).toEqual(first);
    expect((await draw(2)).matched).not.toEqual(first.matched);
    const owners = await draw(1, "owner");
    expect(owners.kind).toBe("passports");
    expect(owners.matched).not.toEqual(first.matched);
    // Signs under one passport hang together: these scatter more than coins, whose deviation is 2.
    expect(owners.deviation).toBeGreaterThan(3);
  });
});

it("counts a credential's bits on strangers' networks, and all of them on the owner's own", async () => {
  const strangers = [];
  for (const scheme of ["plain", "pan", "v2"] as const) {
    const model = buildNetwork({ ...CONFIG, scheme, passports: scheme === "plain" ? {} : { 2: true } }, { seed: 9 });
    strangers.push(await model.deployed());
    model.dispose();
  }
  const found = await nullOfNetworks(target.deployed, target.credential, [...strangers, target.deployed]);
  expect(found.matched).toHaveLength(4);
  expect(found.matched[3]).toBe(found.bits);
  for (const m of found.matched.slice(0, 3)) expect(m).toBeLessThan(found.bits);
  const mean = found.matched.reduce((a, b) => a + b) / 4;
  expect(found.mean).toBeCloseTo(mean, 12);
});

it("says how rare a match is in a sample, and how balanced a signature", () => {
  const sample = { matched: [1, 2, 3, 3] };
  expect(empiricalPValue(3, sample)).toBe(3 / 5);
  expect(empiricalPValue(9, sample)).toBe(1 / 5);
  expect(signatureBalance([1, -1, 1, 1, 0])).toEqual({ bits: 5, ones: 3, pValue: twoSidedPValue(3, 5) });
  expect(signatureBalance(new Float32Array(40).fill(0.3)).pValue).toBeCloseTo(2 * binomialPValue(40, 40), 20);
});

it("refuses too few draws or networks, and networks of other sizes", async () => {
  const { deployed, credential } = target;
  await expect(nullOfCredentials(deployed, credential, { draws: 1 })).rejects.toThrow(ArgumentError);
  await expect(nullOfNetworks(deployed, credential, [deployed])).rejects.toThrow(ArgumentError);
  const none = { ...deployed, tensors: new Map() };
  await expect(nullOfNetworks(deployed, credential, [none, none])).rejects.toThrow(StateDictError);
  expect(() => empiricalPValue(1, { matched: [] })).toThrow(ArgumentError);
  expect(() => signatureBalance([])).toThrow(ArgumentError);
});
