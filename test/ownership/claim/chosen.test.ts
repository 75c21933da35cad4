/**
 * What claimants and thieves may choose of files: names, prefixes, channels, decoys, shapes,
 * stamps. None of it makes a stranger's network theirs, keeps an owner from being heard, or stops a
 * verdict.
 */
import { describe, expect, it } from "vitest";
import { ArgumentError, FormatError } from "../../../src/errors";
import type { HostTensor, StateDict } from "../../../src/io/host-tensor";
import { commit } from "../../../src/ownership";
import { dateOf } from "../../../src/ownership/claim/commitment";
import { checkFollows } from "../../../src/ownership/claim/own";
import { assigned } from "../../../src/ownership/relation/assignment";
import { relationBetween } from "../../../src/ownership/relation/relation";
import { counterparts } from "../../../src/ownership/suspect/counterparts";
import { judgeFiles } from "../../../src/ownership/verdict/judge-files";
import { verifyFiles } from "../../../src/ownership/verdict/verify-files";
import { averageUnder } from "../../../src/passport/place";
import { anchored } from "../../support/anchored";
import {
  along,
  type BareOwner,
  bareClaim,
  bareCredential,
  bareOwner,
  channelsOfAxes,
  linearPlace,
  randomMatrix,
} from "../../support/bare-claims";
import { floats } from "../../support/edits";
import { authority, signerFor } from "../../support/owner";

const file = (tensors: StateDict) => ({ tensors, metadata: {} });
const data = (t: HostTensor) => t.data as Float32Array;
const noisy = (t: HostTensor, share: number, seed: number): HostTensor => {
  const noise = data(randomMatrix(t.shape, seed));
  return floats(t.shape, (i) => data(t)[i]! + share * noise[i]!);
};
const check = (suspect: StateDict, { credential, ...anchor }: BareOwner, more: object = {}) =>
  verifyFiles(file(suspect), credential, { ...anchor, ...more });
const rule = (a: BareOwner, b: BareOwner) => judgeFiles(a, b, { roots: a.roots });

/** A perceptron with an embedding, whose head may be tied to it. */
const perceptron = (seed: number, tied = false): StateDict => {
  const embed = randomMatrix([200, 64], seed);
  return new Map([
    ["embed.weight", embed],
    ["fc1.weight", randomMatrix([256, 64], seed + 100)],
    ["fc2.weight", randomMatrix([64, 256], seed + 200)],
    ["head.weight", tied ? floats([200, 64], (i) => data(embed)[i]!) : randomMatrix([200, 64], seed + 300)],
  ]);
};
const PLACES = [linearPlace("n", "fc1.weight", [256, 64])];
const CHANNELS = channelsOfAxes(256, along("fc1.weight", 0, "out"), along("fc2.weight", 1, "in"));

describe("a rival who chooses his own file after the hash is fixed", () => {
  /** Tensors of 32 rows, of which his file has pairs under names of his own. */
  const TENSORS = 16;
  const names = Array.from({ length: TENSORS }, (_, i) => `w${i}`);

  it.each([
    ["as they are", ""],
    ["behind a wrapper that is skipped", "module."],
  ])("pays for which part is called what, names %s", async (_, wrapper) => {
    const weights: StateDict = new Map(names.map((name, i) => [name, randomMatrix([32, 64], i + 1)]));
    const owner = await bareOwner(
      "acme",
      weights,
      names.map((name) => linearPlace(`n.${name}`, name, [32, 64])),
    );
    const theirs = names.flatMap((_, t) => Array.from({ length: 16 }, (_, b) => ({ t, b, name: `z${16 * t + b}` })));
    const claim = await bareClaim(
      "mallory",
      theirs.map(({ name }) => linearPlace(`${name}.n`, `${name}.w`, [2, 64])),
    );
    const released: StateDict = new Map();
    let matched = 0;
    names.forEach((name, t) => {
      const whole = data(owner.released.tensors.get(name)!);
      const part = (b: number) => whole.slice(b * 128, (b + 1) * 128);
      const places = claim.places.slice(16 * t, 16 * t + 16);
      const scores = places.flatMap((place) =>
        Array.from({ length: 16 }, (_, b) => {
          const gamma = averageUnder(place, part(b), null, claim.derived.passports.get(place.norm)!.gamma);
          return gamma.filter((g, o) => g * claim.derived.bits.get(place.norm)![o]! > 0).length;
        }),
      );
      assigned(scores, 16, 16).forEach((b, i) => {
        matched += scores[16 * i + b]!;
        const stored = places[i]!.weight.replace(".w", `.${wrapper}w`);
        released.set(stored, { dtype: "F32", shape: [2, 64], data: part(b) });
      });
    });
    // More than the 384 of 512 that one way to read them would need.
    expect(matched).toBeGreaterThan(384);
    const credential = await bareCredential(claim);
    const rival = { credential, ...(await anchored({ credential, released: file(released) }, { who: "mallory" })) };
    const found = await judgeFiles(owner, rival, { roots: [...owner.roots, ...rival.roots] });
    expect(found.ruling).not.toBe("B");
    expect(found.marks.bInA).toMatchObject({ found: false });
    expect(found.marks.bInA!.bits!.needed).toBeGreaterThan(matched);
    expect((await check(owner.released.tensors, rival)).verdict).toBe("refused");
  });
});

describe("channels that a claimant chooses", () => {
  const tied = channelsOfAxes(200, along("embed.weight", 0, "out"), along("head.weight", 0, "in"));

  it("relate no strangers by tensors that every such network has twice", async () => {
    const mallory = await bareOwner("mallory", perceptron(1, true), PLACES, { channels: tied });
    const found = await check(perceptron(2, true), mallory);
    expect(found).toMatchObject({ verdict: "refused", relation: { related: false } });
    const bob = await bareOwner("acme", perceptron(2, true), PLACES, {
      channels: CHANNELS,
      at: "2026-03-01T00:00:00Z",
    });
    expect(await rule(bob, mallory)).toMatchObject({ ruling: "independent", facts: { related: false } });
  });

  it("relate no strangers by tables that every such network has", async () => {
    const table = (columns: number) =>
      floats([64, columns], (i) => {
        const [row, column] = [Math.floor(i / columns), i % columns];
        const angle = row / 10_000 ** ((column & ~1) / columns);
        return column % 2 ? Math.cos(angle) : Math.sin(angle);
      });
    const network = (seed: number): StateDict =>
      new Map([["encoder.pe", table(32)], ["decoder.pe", table(48)], ...perceptron(seed)]);
    const channels = channelsOfAxes(64, along("encoder.pe", 0, "out"), along("decoder.pe", 0, "in"));
    const { relation, verdict } = await check(network(2), await bareOwner("mallory", network(1), PLACES, { channels }));
    expect(verdict).toBe("refused");
    expect(relation!.agreements).toBeGreaterThanOrEqual(relation!.needed);
    expect(relation).toMatchObject({ related: false, covered: { tensors: 2 / 6 } });
    expect(relation!.covered.numbers).toBeLessThan(0.2);
    expect(relation!.notes.join()).toMatch(/tables that all networks of this structure have/);
  });

  it("still relate a copy, and count a layer that is there twice once", async () => {
    const owner = await bareOwner("acme", perceptron(3), PLACES, { channels: CHANNELS });
    const copy = new Map([...owner.released.tensors].map(([name, t], i) => [name, noisy(t, 0.5, 50 + i)]));
    const mark = new Map(copy).set(
      "fc1.weight",
      floats([256, 64], (i) => -data(copy.get("fc1.weight")!)[i]!),
    );
    expect((await check(mark, owner)).relation).toMatchObject({ related: true });
    const twice = new Map(owner.released.tensors);
    for (const name of ["fc1", "fc2"]) twice.set(`${name}.again`, owner.released.tensors.get(`${name}.weight`)!);
    const groups = [
      ...CHANNELS.groups,
      ...channelsOfAxes(256, along("fc1.again", 0, "out"), along("fc2.again", 1, "in")).groups,
    ];
    const found = relationBetween(file(twice), file(twice), { groups, factors: [] }, 1e-6);
    expect([found.layers.length, found.channels]).toEqual([1, 256]);
  });

  it.each<[string, Parameters<typeof along>, object, number?]>([
    ["beyond the end of an axis", ["fc2.weight", 0, "out"], { start: 32 }],
    ["before its beginning", ["fc2.weight", 0, "out"], { unit: -1 }],
    ["one upon another", ["fc2.weight", 0, "out"], { unit: 0 }],
    ["as many as no axis has", ["fc2.weight", 0, "out"], {}, 2 ** 26],
    ["that are others' already", ["fc1.weight", 0, "out"], {}, 256],
  ])("end in a note, no hang and no crash, where they lie %s", async (_, member, wrong, units = 64) => {
    const bad = [{ ...along(...member), ...wrong }, along("head.weight", 1, "in")];
    const channels = { groups: [...CHANNELS.groups, ...channelsOfAxes(units, ...bad).groups], factors: [] };
    const honest = await bareOwner("acme", perceptron(3), PLACES, { channels: CHANNELS });
    const rival = await bareOwner("mallory", perceptron(4), PLACES, { channels });
    const started = performance.now();
    const found = await rule(honest, rival);
    expect(found.ruling).toBe("independent");
    expect(found.relations.byB!.notes.join()).toMatch(/channels outside of it, or said to be others too/);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("are assigned by scores that are numbers", () => {
    expect(() => assigned([1, Number.NaN, 2, 3], 2, 2)).toThrow(ArgumentError);
    expect(() => assigned([1, Infinity, 2, 3], 2, 2)).toThrow(/finite scores expected/);
  });
});

describe("a public base", () => {
  it("relates whoever starts from it, and shows nothing more once it is given", async () => {
    const base = perceptron(7);
    const mallory = await bareOwner("mallory", base, PLACES, { channels: CHANNELS });
    const bob = new Map([...base].map(([name, t], i) => [name, noisy(t, 0.1, 70 + i)]));
    const alone = await check(bob, mallory);
    expect(alone).toMatchObject({ verdict: "copy of the committed network", bound: 1e-6 });
    expect(alone.open.join()).toMatch(/a third network that was public before: give such a one as `base`/);
    const known = await check(bob, mallory, { base: file(base) });
    expect(known).toMatchObject({ verdict: "refused", relation: { related: true } });
    expect(known.reasons.join()).toMatch(/made from the base that was given/);
    // What is made from neither clears nobody.
    const other = await check(bob, mallory, { base: file(perceptron(8)) });
    expect(other.verdict).toBe("copy of the committed network");
    expect(other.open.join()).toMatch(/than the base that was given/);
  });
});

describe("a thief's file", () => {
  const stolen = async (edit: (tensors: StateDict) => void) => {
    const owner = await bareOwner("acme", perceptron(3), PLACES, { channels: CHANNELS });
    const tensors = new Map(owner.released.tensors);
    edit(tensors);
    return { owner, tensors };
  };
  const under = (prefix: string, tensors: StateDict, change: (t: HostTensor, i: number) => HostTensor): StateDict =>
    new Map([...tensors].map(([name, t], i) => [prefix + name, change(t, i)]));

  it.each<[string, (t: HostTensor, i: number) => HostTensor]>([
    ["an average over training", (t, i) => noisy(t, 1e-3, 80 + i)],
    ["states of an optimiser", (t, i) => randomMatrix(t.shape, 90 + i)],
  ])("with %s beside the network is looked at once for each", async (_, change) => {
    const { owner, tensors } = await stolen(() => undefined);
    const both = new Map([...under("more.", tensors, change), ...tensors]);
    const found = await check(both, owner);
    expect(found).toMatchObject({ verdict: "holds", mark: { bits: { hits: 256, count: 256 } } });
    expect(found.mark!.bits!.needed).toBeGreaterThanOrEqual((await check(tensors, owner)).mark!.bits!.needed);
  });

  it("with decoys under the owner's names is still related to the owner's", async () => {
    const { owner, tensors } = await stolen(() => undefined);
    const decoys = under("", tensors, (t, i) => randomMatrix(t.shape, 60 + i));
    const all = new Map([...decoys, ...under("x.", tensors, (t) => t)]);
    const places = [linearPlace("n", "x.fc1.weight", [256, 64])];
    const thief = await bareOwner("mallory", all, places, { at: "2026-03-01T00:00:00Z" });
    const found = await rule(owner, thief);
    expect(found).toMatchObject({ ruling: "A", facts: { related: true } });
  });

  it.each<[string, (tensors: StateDict) => void]>([
    [
      "a neuron more",
      (tensors) => {
        const [first, second] = [tensors.get("fc1.weight")!, tensors.get("fc2.weight")!];
        tensors.set(
          "fc1.weight",
          floats([257, 64], (i) => data(first)[i] ?? 1),
        );
        const column = (i: number) => i % 257;
        tensors.set(
          "fc2.weight",
          floats([64, 257], (i) => (column(i) < 256 ? data(second)[Math.floor(i / 257) * 256 + column(i)]! : 0)),
        );
      },
    ],
    [
      "two channels less",
      (tensors) => {
        const [first, second] = [tensors.get("fc1.weight")!, tensors.get("fc2.weight")!];
        tensors.set(
          "fc1.weight",
          floats([254, 64], (i) => data(first)[i + 128]!),
        );
        tensors.set(
          "fc2.weight",
          floats([64, 254], (i) => data(second)[Math.floor(i / 254) * 256 + (i % 254) + 2]!),
        );
      },
    ],
  ])("with %s gives no bits and is a copy by relation", async (_, edit) => {
    const { owner, tensors } = await stolen(edit);
    const found = await check(tensors, owner);
    expect(found).toMatchObject({ verdict: "copy of the committed network", mark: { bits: null, found: false } });
    expect(found.reasons.join()).toMatch(/of another structure/);
    // Without what was committed to there is nothing to go by.
    await expect(verifyFiles(file(tensors), owner.credential)).rejects.toThrow(/of that structure/);
  });

  it("that cannot be compared is disputed, and the reasons say why", async () => {
    const owner = await bareOwner("acme", perceptron(3), PLACES);
    const piece = floats([128, 64], (i) => data(owner.released.tensors.get("fc1.weight")!)[i]!);
    const places = [linearPlace("m", "m.weight", [128, 64])];
    // One is like the other's in none of their tensors: two structures.
    const own = await bareOwner("mallory", new Map([["m.weight", randomMatrix([128, 64], 9)]]), places);
    expect(await rule(owner, own)).toMatchObject({ ruling: "independent", facts: { compared: true } });
    // The first half of a matrix is like it, and of another shape.
    const disputed = await rule(owner, await bareOwner("mallory", new Map([["m.weight", piece]]), places));
    expect(disputed).toMatchObject({ ruling: "disputed", rule: "unrelated", facts: { compared: false } });
    expect(disputed.reasons.join()).toMatch(/does not say which channels hang together/);
  });

  it("of a great many tensors of one shape is read in time", () => {
    const row = floats([128], (i) => Math.sin(i));
    const many = new Map(Array.from({ length: 150_000 }, (_, i) => [`t${i}`, row]));
    const started = performance.now();
    const { table, ways } = counterparts(many, new Map([["v", row]]));
    expect([table, ways.get("v")]).toEqual([[], 150_000]);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe("parts of a claim", () => {
  it("leave no number of a passport free, not one that is 0", () => {
    const passports = new Map([["n", { gamma: Float32Array.of(0, 1), beta: Float32Array.of(1, 0) }]]);
    const bits = new Map([["n", Float32Array.of(0, 1)]]);
    const info = (skey: number[], key: number[], b: number[]) =>
      ({
        named: (name: string) => name,
        tensors: new Map([
          ["n.passport.skey", floats([2], (i) => skey[i]!)],
          ["n.passport.key", floats([2], (i) => key[i]!)],
          ["n.passport.b", floats([2], (i) => b[i]!)],
        ]),
      }) as never;
    expect(() => checkFollows({ passports, bits }, info([0, 1], [1, 0], [-1, 1]))).not.toThrow();
    expect(() => checkFollows({ passports, bits }, info([1e20, 1], [1, 0], [1, 1]))).toThrow(FormatError);
    expect(() => checkFollows({ passports, bits }, info([0, 1], [1, 7], [1, 1]))).toThrow(FormatError);
    expect(() => checkFollows({ passports, bits }, info([0, 1], [1, 0], [1, -1]))).toThrow(FormatError);
  });

  it("have names that are texts: halves of pairs would all be one", async () => {
    const lone = [linearPlace("\ud800", "fc1.weight", [256, 64])];
    await expect(bareClaim("acme", lone)).rejects.toThrow(ArgumentError);
    await expect(bareClaim("acme", PLACES, { statement: "mine \udc00" })).rejects.toThrow(ArgumentError);
    await expect(bareClaim("acme", PLACES, { statement: "mine 😀" })).resolves.toBeDefined();
  });

  it("draw no more than memory holds", async () => {
    const triggers = { kind: "clouds", classes: ["a", "b"], groups: 1, grid: 0, normalize: null } as const;
    const spec = { ...triggers, shape: [5461, 3], count: 16_384 };
    await expect(bareClaim("acme", PLACES, { triggers: spec })).rejects.toThrow(/drawn from at most 268435456 bytes/);
    const images = { ...triggers, kind: "images", shape: [32, 32, 3], count: 2000, grid: 256 } as const;
    await expect(bareClaim("acme", PLACES, { triggers: images })).rejects.toThrow(/drawn from at most/);
    // What 64 groups are drawn from is one sum: 16 GB of streams from a few hundred bytes.
    const all = { ...images, shape: [1, 1, 16], count: 256, groups: 64 } as const;
    await expect(bareClaim("acme", PLACES, { triggers: all })).rejects.toThrow(/in all groups/);
  });

  it("are dated by the stamp that is certain first, not by a vague one that is earlier", async () => {
    const claim = await bareClaim("acme", PLACES);
    const credential = await bareCredential(claim);
    const { root, stamp } = await authority();
    const bundle = await commit(credential, file(perceptron(1)), await signerFor("acme"));
    const vague = await stamp(bundle, "2026-03-01T10:00:00Z", 36_000);
    const both = await stamp(vague, "2026-03-01T10:00:05Z", 2);
    expect((await dateOf(vague, [root])).dated).toMatchObject({ accuracy: 36_000 });
    expect((await dateOf(both, [root])).dated).toMatchObject({ time: "2026-03-01T10:00:05.000Z", accuracy: 2 });
  });
});
