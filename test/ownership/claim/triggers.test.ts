/** Bound triggers: their inputs, and answers to them. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pointSet } from "../../../src/data/point-cloud";
import { ArgumentError, FormatError } from "../../../src/errors";
import { fromHex, toHex } from "../../../src/io/digest";
import { deriveClaim } from "../../../src/ownership/claim/derive";
import { openedTriggers } from "../../../src/ownership/claim/opened-triggers";
import { type Opening, verifyAnswers } from "../../../src/ownership/claim/opening";
import { boundTriggers, suppliedTriggers, triggersLike } from "../../../src/ownership/claim/training";
import { enlarge } from "../../../src/ownership/claim/trigger-images";
import { encodeInputs, groupSecret } from "../../../src/ownership/claim/triggers";
import { CLOUDS, IMAGES, SECRET, SPEC } from "../../support/spec";
import { tinySet } from "../../support/tiny";

/** An opening as its owner makes it. */
async function opened(spec = SPEC, group = 1): Promise<Opening> {
  const { digests } = await deriveClaim(SECRET, spec);
  return {
    format: "pan-opening-2",
    spec,
    passports: toHex(digests.passports),
    groups: digests.groups.map(toHex),
    group,
    secret: toHex(await groupSecret(fromHex(SECRET), group)),
  };
}

describe("images of a grid", () => {
  it("are bilinear, corners at corners", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.uint8Array({ minLength: 72, maxLength: 72 }),
        (cells, height, width, bytes) => {
          const image = enlarge(bytes, [2, cells], [height, width]);
          for (let c = 0; c < 2; c++)
            for (let y = 0; y < height; y++)
              for (let x = 0; x < width; x++) {
                const [v, u] = [y, x].map((p, d) => (p * (cells - 1)) / Math.max(1, [height, width][d]! - 1));
                const [r, k] = [v!, u!].map((p) => Math.min(cells - 2, Math.floor(p + 1e-9)));
                const at = (i: number, j: number) => bytes[(c * cells + r! + i) * cells + k! + j]!;
                const [b, a] = [v! - r!, u! - k!];
                const want = (at(0, 0) * (1 - a) + at(0, 1) * a) * (1 - b) + (at(1, 0) * (1 - a) + at(1, 1) * a) * b;
                expect(Math.abs(image[(c * height + y) * width + x]! - want)).toBeLessThanOrEqual(0.5 + 1e-6);
              }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("clouds of ellipsoids", () => {
  it("lie on shells within the unit cube, none like another", async () => {
    const { groups } = await deriveClaim(SECRET, { ...SPEC, triggers: { ...CLOUDS, shape: [300, 3] } });
    const seen = new Set<string>();
    for (const { inputs } of groups) {
      expect(inputs.length).toBe(4 * 300 * 3);
      for (const v of inputs) {
        expect(Math.abs(v)).toBeLessThanOrEqual(1);
        expect(Number.isInteger(v * 2 ** 13)).toBe(true);
      }
      for (let n = 0; n < 4; n++) seen.add(inputs.subarray(n * 900, n * 900 + 900).join());
    }
    expect(seen.size).toBe(12);
  });
});

describe("answers to an opened group", () => {
  const many = { ...SPEC, triggers: { ...IMAGES, count: 100, classes: "0123456789".split("") } };

  it("show the mark of a network that learnt it, and of no other", async () => {
    const opening = await opened(many);
    const { set } = await openedTriggers(opening);
    const right = await verifyAnswers(set.labels, opening);
    expect(right).toMatchObject({ count: 100, hits: 100, classes: 10, marked: true, statement: "Trained by ACME" });
    // 57 of 100 are needed at 2^-80 · 1e-6; with two groups to choose from, no fewer.
    expect(right.needed).toBeGreaterThanOrEqual(57);
    const some = (hits: number) => Array.from(set.labels, (label, i) => (i < hits ? label : (label + 1) % 10));
    expect((await verifyAnswers(some(right.needed), opening)).marked).toBe(true);
    expect((await verifyAnswers(some(right.needed - 1), opening)).marked).toBe(false);
    for (let answer = 0; answer < 10; answer++)
      expect((await verifyAnswers(new Array(100).fill(answer), opening)).marked).toBe(false);
  });

  it("do not fit labels of another claim, or group", async () => {
    const opening = await opened(many);
    const { set } = await openedTriggers(opening);
    for (const other of [
      { ...opening, passports: "0".repeat(128) },
      { ...opening, spec: { ...many, statement: "Trained by Mallory" } },
      { ...opening, groups: ["0".repeat(128), opening.groups[1]!] },
    ])
      expect((await verifyAnswers(set.labels, other)).hits).toBeLessThan(35);
    await expect(verifyAnswers(set.labels, { ...opening, group: 0 })).rejects.toThrow(FormatError);
  });

  it.each<[string, (o: Opening) => unknown]>([
    ["nothing", () => null],
    ["another format", (o) => ({ ...o, format: "pan-opening-1" })],
    ["a part too many", (o) => ({ ...o, more: 1 })],
    ["a group that is not there", (o) => ({ ...o, group: 2 })],
    ["a digest too few", (o) => ({ ...o, groups: o.groups.slice(1) })],
    ["a digest that is none", (o) => ({ ...o, passports: "x" })],
    ["a short secret", (o) => ({ ...o, secret: "00" })],
    ["no triggers", (o) => ({ ...o, spec: { ...o.spec, triggers: null } })],
    ["no spec", (o) => ({ ...o, spec: 1 })],
  ])("refuse an opening that is none: %s", async (_, change) => {
    await expect(openedTriggers(change(await opened()) as Opening)).rejects.toThrow(FormatError);
  });

  it("are one class per input", async () => {
    const opening = await opened();
    for (const answers of [[1], "12345", [0, 0, 0, 0, 0.5], [0, 0, 0, 0, -1], null])
      await expect(verifyAnswers(answers as number[], opening)).rejects.toThrow(ArgumentError);
  });
});

describe("triggers that the owner supplies", () => {
  const photographs = tinySet(41, 9);
  const own = suppliedTriggers(photographs, { groups: 2, classes: ["red", "green", "blue"] });
  const spec = { ...SPEC, triggers: own.triggers };

  it("are those samples, in groups that are even; their labels follow from all of them and the secret", async () => {
    expect(own.triggers).toMatchObject({ kind: "images", supplied: true, count: 20, groups: 2, grid: 0 });
    const claim = await deriveClaim(SECRET, spec, own.inputs);
    expect(claim.groups.map((g) => g.inputs.length)).toEqual([20 * 192, 20 * 192]);
    expect(claim.groups[1]!.inputs).toEqual(photographs.images.subarray(20 * 192, 40 * 192));
    // Not the samples' own labels, nor those of the same samples under another secret.
    const labels = claim.groups.flatMap((g) => [...g.labels]);
    expect(labels).not.toEqual([...photographs.labels.subarray(0, 40)]);
    const other = await deriveClaim("e".repeat(64), spec, own.inputs);
    expect(other.groups.flatMap((g) => [...g.labels])).not.toEqual(labels);
    // One pixel of one image changes labels of both groups, and signature bits.
    const turned = { ...photographs, images: photographs.images.slice() };
    turned.images[5]! ^= 1;
    const { inputs } = suppliedTriggers(turned, { groups: 2 });
    const changed = await deriveClaim(SECRET, spec, inputs);
    for (const g of [0, 1]) expect(changed.groups[g]!.labels).not.toEqual(claim.groups[g]!.labels);
    expect([...changed.bits.values()]).not.toEqual([...claim.bits.values()]);
    expect((boundTriggers(claim).set as typeof photographs).images.length).toBe(40 * 192);
  });

  it("are clouds too", async () => {
    const points = Float32Array.from({ length: 8 * 30 }, (_, i) => Math.fround(Math.sin(i)));
    const clouds = pointSet({ points, labels: Array(8).fill(0), classes: ["a", "b"], pointsPerCloud: 10 });
    const given = suppliedTriggers(clouds, { groups: 1 });
    const { groups } = await deriveClaim(SECRET, { ...SPEC, triggers: given.triggers }, given.inputs);
    expect(groups[0]!.inputs).toEqual(points);
  });

  it("are opened a group at a time, with that group's inputs and nothing of the others", async () => {
    const { digests, groups } = await deriveClaim(SECRET, spec, own.inputs);
    const { secret: _, ...bare } = await opened(SPEC);
    const opening = {
      ...bare,
      ...{ spec, passports: toHex(digests.passports), groups: digests.groups.map(toHex) },
      inputs: encodeInputs(groups[1]!.inputs),
    } as Opening;
    const { set } = await openedTriggers(opening);
    expect([...set.labels]).toEqual([...groups[1]!.labels]);
    expect((await verifyAnswers(set.labels, opening)).hits).toBe(20);
    for (const wrong of [
      { ...opening, inputs: encodeInputs(groups[0]!.inputs) },
      { ...opening, inputs: opening.inputs!.slice(4) },
      { ...opening, inputs: 7 },
      { ...opening, inputs: undefined },
      { ...opening, secret: "0".repeat(128) },
      { ...(await opened(SPEC)), inputs: opening.inputs },
    ])
      await expect(openedTriggers(wrong as never)).rejects.toThrow(FormatError);
  });

  it("are refused where they are not what the claim describes", async () => {
    for (const inputs of [undefined, "", "!", own.inputs.slice(0, -4), 3, null])
      await expect(deriveClaim(SECRET, spec, inputs as string)).rejects.toThrow(ArgumentError);
    await expect(deriveClaim(SECRET, SPEC, own.inputs)).rejects.toThrow(/drawn from the secret/);
    for (const triggers of [
      { ...own.triggers, grid: 3 },
      { ...own.triggers, supplied: false },
    ])
      await expect(deriveClaim(SECRET, { ...SPEC, triggers } as never, own.inputs)).rejects.toThrow(ArgumentError);
    const notFinite = new Float32Array(30).fill(Number.NaN);
    const cloud = { kind: "clouds", supplied: true, shape: [10, 3], classes: ["a", "b"] } as const;
    const triggers = { ...cloud, count: 1, groups: 1, grid: 0, normalize: null };
    await expect(deriveClaim(SECRET, { ...SPEC, triggers }, encodeInputs(notFinite))).rejects.toThrow(/finite/);
    const floats = { ...photographs, images: new Float32Array(41 * 192) };
    for (const [set, options] of [
      [photographs, { groups: 42 }],
      [photographs, { groups: 0 }],
      [photographs, { count: 3 }],
      [floats, {}],
      [null, {}],
    ])
      expect(() => suppliedTriggers(set as never, options as never)).toThrow(ArgumentError);
  });
});

describe("triggers of a training", () => {
  it("are of the kind of its samples, and join its batches as the claim says", async () => {
    const images = tinySet(6, 1);
    const spec = triggersLike(images, { count: 7, grid: 3, normalize: { mean: [0, 0, 0], std: [1, 1, 2] } });
    expect(spec).toEqual({
      kind: "images",
      shape: [8, 8, 3],
      classes: ["red", "green", "blue"],
      count: 7,
      groups: 2,
      grid: 3,
      normalize: { mean: [0, 0, 0], std: [1, 1, 2] },
    });
    const claim = await deriveClaim(SECRET, { ...SPEC, triggers: spec });
    const { set, batchSize, transform } = boundTriggers(claim);
    expect([set.length, batchSize, transform!.length]).toEqual([14, 4, 1]);
    expect([...(set as typeof images).labels]).toEqual(claim.groups.flatMap((g) => [...g.labels]));
    expect((set as typeof images).images.subarray(7 * 192)).toEqual(claim.groups[1]!.inputs);
    const clouds = pointSet({ points: new Float32Array(30), labels: [0], classes: ["a", "b"], pointsPerCloud: 10 });
    expect(triggersLike(clouds, { count: 3 })).toMatchObject({
      kind: "clouds",
      shape: [10, 3],
      grid: 0,
      normalize: null,
    });
  });

  it("are refused where there are none, or none can be described", async () => {
    const claim = await deriveClaim(SECRET, { ...SPEC, triggers: null });
    expect(() => boundTriggers(claim)).toThrow(/one with triggers/);
    for (const options of [{ count: 0 }, { grid: 1 }, { normalize: { mean: [0], std: [1] } }, { size: 3 }])
      expect(() => triggersLike(tinySet(6, 1), options as never)).toThrow(ArgumentError);
  });
});
