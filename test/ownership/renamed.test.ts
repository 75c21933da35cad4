/**
 * Suspects whose tensors have other names, or lie otherwise: read as the original where they are
 * found in the committed file, and as nothing where they are not.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { StateDictError } from "../../src/errors";
import type { HostTensor, StateDict } from "../../src/io/host-tensor";
import { encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { decodeWeights } from "../../src/io/weights";
import { readCredential } from "../../src/models/credential";
import { networkLayers } from "../../src/models/described/network";
import { foldBatchNorm } from "../../src/models/fold";
import { judge, type Verification, verify } from "../../src/ownership";
import { type Counterparts, counterparts } from "../../src/ownership/suspect/counterparts";
import { Generator } from "../../src/tensor/random";
import { type Anchored, anchored } from "../support/anchored";
import { type Edit, floats } from "../support/edits";
import { gpu } from "../support/gpu";
import { acme, MARKED, type Owned } from "../support/owner";
import { anonymous, asTfjs, concatenated, hwio, iohw, noisy, ohwi } from "../support/renamed";
import { torchFile } from "../support/torch";

let owned: Owned;
let anchor: Anchored;
let own: Verification;

const check = (suspect: SafetensorsFile | Uint8Array, options: object = anchor) =>
  verify(suspect, owned.credential, options);
/** The same weights in a file of other bytes. */
const copy = (file: SafetensorsFile): SafetensorsFile => ({ ...file, metadata: {} });

beforeAll(async () => {
  await gpu();
  owned = await acme();
  anchor = await anchored(owned);
  own = await check(copy(owned.released));
  expect(own.verdict).toBe("holds");
});

const folded: Edit = (file) => ({
  metadata: {},
  tensors: foldBatchNorm(file.tensors, networkLayers(readCredential(owned.credential).config!)),
});
const after =
  (...edits: Edit[]): Edit =>
  (file) =>
    edits.reduce((f, edit) => edit(f), file);
const withoutHead: Edit = (file) => ({
  ...file,
  tensors: new Map([...file.tensors].filter(([, { shape }]) => shape[0] !== MARKED.classes)),
});
/** Some have their names. */
const half: Edit = (file) => ({
  metadata: {},
  tensors: new Map([...file.tensors].map(([name, t], i) => [i % 2 ? name : `t${i}`, t])),
});

const EDITS: Readonly<Record<string, { edit: Edit; exact?: false }>> = {
  "names that say nothing, in any order": { edit: anonymous },
  "half of the names": { edit: half },
  "HWIO and [in, out], with its own names": { edit: hwio },
  "HWIO and [in, out]": { edit: after(hwio, anonymous) },
  OHWI: { edit: after(ohwi, anonymous) },
  "IOHW and [in, out]": { edit: after(iohw, anonymous) },
  "norms that are folded": { edit: after((f) => folded(f), anonymous), exact: false },
  "norms that are folded, in HWIO": { edit: after((f) => folded(f), hwio, anonymous), exact: false },
  "one of three parts of a tensor": { edit: after(concatenated("features.3.conv.weight", 3, 1), anonymous) },
  noise: { edit: after(noisy(0.05), anonymous), exact: false },
  "another head": { edit: after(withoutHead, anonymous) },
  "tensors too many": {
    edit: (file) => {
      const other = [...file.tensors].map(([name, t], i): [string, HostTensor] => [`other.${name}`, random(t, i)]);
      return anonymous({ metadata: {}, tensors: new Map([...file.tensors, ...other]) });
    },
  },
};

const random = (t: HostTensor, seed: number): HostTensor => {
  const numbers = new Generator(seed).fill(new Float32Array(t.data.length), "uniform", -1, 1);
  return floats(t.shape, (i) => numbers[i]!);
};

describe("a suspect with other names", () => {
  it.each(Object.entries(EDITS))("%s: the verdict of the original", async (_, { edit, exact = true }) => {
    const found = await check(edit(owned.released));
    expect(found.verdict, found.reasons.join("\n")).toBe("holds");
    const hits = found.mark!.bits!.hits;
    if (exact) expect(hits).toBe(own.mark!.bits!.hits);
    else expect(hits).toBeGreaterThan(0.95 * own.mark!.bits!.hits);
    expect(found.relation!.related).toBe(true);
    expect(found.counterparts!.length).toBeGreaterThan(2);
    expect(found.reasons.join()).toMatch(/found to be the committed file's by shape and similarity/);
    for (const { similarity } of found.counterparts!) expect(similarity).toBeGreaterThan(0.5);
  });

  it("the table says which tensor was taken for which, and how", async () => {
    const suspect = after(hwio, anonymous)(owned.released);
    const { counterparts: table } = await check(suspect);
    const one = table!.find(({ released }) => released === "features.2.conv.weight")!;
    expect(one.how).toBe("HWIO");
    expect(suspect.tensors.get(one.suspect)!.shape).toEqual([3, 3, 16, 96]);
    expect(table!.find(({ released }) => released === "features.3.conv.weight")!.how).toBe("transposed");
    expect(JSON.parse(JSON.stringify(table))).toEqual(table);
  });

  it("files of PyTorch and TensorFlow.js", async () => {
    const torch = await check(await decodeWeights(torchFile(owned.released.tensors)));
    expect([torch.verdict, torch.counterparts]).toEqual(["holds", null]);
    const renamed = await check(await decodeWeights(torchFile(anonymous(owned.released).tensors)));
    expect([renamed.verdict, renamed.counterparts !== null]).toEqual(["holds", true]);
    const { json, shard } = asTfjs(owned.released);
    const tfjs = await check(await decodeWeights(json, { fetch: () => shard }));
    expect([tfjs.verdict, tfjs.mark!.bits!.hits]).toEqual(["holds", own.mark!.bits!.hits]);
  });

  it("a file of PyTorch that was committed to and released holds as released", async () => {
    const released = await decodeWeights(torchFile(owned.released.tensors));
    const found = await check(released, await anchored({ ...owned, released }));
    expect(found.verdict).toBe("holds as released");
  });

  it("bytes of other kinds are called by what they are", async () => {
    await expect(check(torchFile(owned.released.tensors))).rejects.toThrow(/a PyTorch file.*decodeWeights/);
  });

  it("the digest is of its own bytes", async () => {
    const bytes = torchFile(owned.released.tensors);
    const { suspectSha256 } = await check(await decodeWeights(bytes));
    expect(suspectSha256).toBe(
      Buffer.from(await crypto.subtle.digest("SHA-256", bytes as BufferSource)).toString("hex"),
    );
  });

  it("a rival who renamed a copy has the owner's mark in their file", async () => {
    const rival = { ...anchor, credential: owned.credential, released: owned.released };
    const copied = { ...rival, released: encodeSafetensors(anonymous(owned.released).tensors) };
    const { marks } = await judge(rival, copied, { roots: anchor.roots });
    expect(marks.aInB?.found).toBe(true);
  });
});

describe("what is not recognised", () => {
  it("a suspect with the owner's names is read as before", async () => {
    expect(own.counterparts).toBeNull();
    expect(own.mark!.bits!.needed).toBe((await check(copy(owned.released), {})).mark!.bits!.needed);
    // Those that became unlike by training are still those.
    const other = new Map([...owned.released.tensors].map(([n, t], i) => [n, t.shape.length > 1 ? random(t, i) : t]));
    const stranger = await check({ metadata: {}, tensors: other });
    expect([stranger.verdict, stranger.counterparts]).toEqual(["refused", null]);
    expect(stranger.mark!.bits).not.toBeNull();
  });

  it("without a committed file, other names are another structure", async () => {
    const suspect = anonymous(owned.released);
    for (const options of [{}, { released: owned.released }, { commitment: anchor.commitment }])
      await expect(check(suspect, options)).rejects.toThrow(StateDictError);
  });

  it("names that are missing for some tensors alone", async () => {
    const tensors = new Map(owned.released.tensors);
    tensors.delete("features.3.conv.weight");
    const found = await check({ metadata: {}, tensors });
    expect(found).toMatchObject({ verdict: "refused", mark: { bits: null }, relation: { related: false } });
    expect(found.sentence).toMatch(/Nothing of the claim could be read/);
    expect(found.reasons.join()).toMatch(/missing features\.3\.conv\.weight/);
  });

  it("a stranger's network under other names is refused", async () => {
    const all = [...owned.released.tensors].map(([name, t], i): [string, HostTensor] => [name, random(t, 50 + i)]);
    const found = await check(anonymous({ metadata: {}, tensors: new Map(all) }));
    expect([found.verdict, found.counterparts, found.mark]).toEqual(["refused", null, null]);
    expect(found.reasons.join()).toMatch(/none is like one of the committed file's/);
  });

  it("another released file than the committed one recognises nothing that counts", async () => {
    const other = noisy(0.01)(owned.released);
    const found = await check(anonymous(owned.released), { ...anchor, released: other });
    expect(found.verdict).toBe("refused");
  });

  it("of two that are both the owner's, the one that is more alike; of two that may be, neither", () => {
    const w = random(floats([32, 48]), 1);
    const near = (seed: number, share = 0.2) => {
      const noise = random(w, seed).data as Float32Array;
      return floats([32, 48], (i) => (w.data as Float32Array)[i]! + share * noise[i]!);
    };
    const [a, b] = [near(2), near(3, 0.21)];
    expect(
      counterparts(
        new Map([
          ["b", b],
          ["a", a],
        ]),
        new Map([["w", w]]),
      ).table[0]!.suspect,
    ).toBe("a");
    // One reaches what chance does not, and the other just does not.
    const doubtful = counterparts(
      new Map([
        ["a", near(2, 1.35)],
        ["b", near(3, 1.65)],
      ]),
      new Map([["w", w]]),
    );
    expect([doubtful.table, doubtful.unclear]).toEqual([[], ["w"]]);
    expect(
      counterparts(
        new Map([
          ["a", a],
          ["b", a],
        ]),
        new Map([["w", w]]),
      ).table.length,
    ).toBe(1);
    expect(
      counterparts(
        new Map([
          ["a", a],
          ["b", w],
        ]),
        new Map([["w", w]]),
      ).table[0]!.suspect,
    ).toBe("b");
  });
});

describe("what a forger can choose", () => {
  const LAYERS = 4;
  const shape = [40, 16, 3, 3];
  const state = (seed: number): StateDict =>
    new Map(Array.from({ length: LAYERS }, (_, i) => [`layers.${i}.weight`, random(floats(shape), 10 * seed + i)]));

  it("is counted: a released file can steer which tensor is taken for which", () => {
    const stranger = state(1);
    const names = [...stranger.keys()];
    // Made after the stranger's network, of its own tensors, in another order.
    const steered = new Map(names.map((name, i) => [name, stranger.get(names[(i + 1) % LAYERS]!)!]));
    const found: Counterparts = counterparts(stranger, steered);
    expect(found.table.map(({ suspect }) => suspect)).toEqual(names.map((_, i) => names[(i + 1) % LAYERS]));
    // As many ways as there are tensors of the shape, for each: more than there are orders.
    expect([...found.ways.values()]).toEqual(names.map(() => LAYERS));
  });

  it("fits bits of a fresh secret like fair coins, and the best of all ways no better than counted", () => {
    const [draws, bits] = [600, LAYERS * shape[0]!];
    const random = new Generator(77);
    const stranger = [...state(2).values()].map(({ data }) => data as Float32Array);
    const rows = shape[0]!;
    const m = stranger[0]!.length / rows;
    const orders = permutations(LAYERS);
    const sums = { first: 0, squares: 0, best: 0 };
    for (let n = 0; n < draws; n++) {
      const passports = stranger.map(() => random.fill(new Float32Array(m), "uniform", -1, 1));
      const wanted = Uint8Array.from({ length: bits }, () => random.integer(2));
      // hits[place][tensor]: bits of a place that fit when its weight is that tensor.
      const hits = passports.map((passport, place) =>
        stranger.map((data) => {
          let count = 0;
          for (let r = 0; r < rows; r++) {
            let gamma = 0;
            for (let k = 0; k < m; k++) gamma += passport[k]! * data[r * m + k]!;
            if (Number(gamma > 0) === wanted[place * rows + r]) count++;
          }
          return count;
        }),
      );
      const of = (order: readonly number[]) => order.reduce((sum, tensor, place) => sum + hits[place]![tensor]!, 0);
      const first = of(orders[0]!) - bits / 2;
      sums.first += first;
      sums.squares += first ** 2;
      sums.best += Math.max(...orders.map(of)) - bits / 2;
    }
    const deviation = Math.sqrt(bits) / 2;
    // One order: mean 0, variance n/4.
    expect(Math.abs(sums.first / draws)).toBeLessThan((4 * deviation) / Math.sqrt(draws));
    expect(sums.squares / draws / deviation ** 2).toBeGreaterThan(0.8);
    expect(sums.squares / draws / deviation ** 2).toBeLessThan(1.2);
    // The best of N is better, by √(2 ln N) deviations at most on average; N ways are counted.
    const best = sums.best / draws / deviation;
    expect(best).toBeGreaterThan(1);
    expect(best).toBeLessThan(Math.sqrt(2 * Math.log(LAYERS ** LAYERS)));
  });

  it("asks for more bits, where there was something to choose", async () => {
    const more = new Map(
      [...owned.released.tensors].flatMap(([name, t], i): [string, HostTensor][] =>
        t.shape.length > 1
          ? [
              [name, t],
              ...Array.from({ length: 40 }, (_, k): [string, HostTensor] => [`x${k}.${name}`, random(t, 100 * i + k)]),
            ]
          : [[name, t]],
      ),
    );
    const found = await check(anonymous({ metadata: {}, tensors: more }));
    expect(found.verdict).toBe("holds");
    // Two places of 41 tensors each, once for each form of the released file, and more.
    expect(found.mark!.bits!.needed).toBeGreaterThan(own.mark!.bits!.needed + 2);
  });
});

/** All orders of n things, the first as they are. */
function permutations(n: number): number[][] {
  if (n === 1) return [[0]];
  return permutations(n - 1).flatMap((order) =>
    Array.from({ length: n }, (_, i) => [...order.slice(0, n - 1 - i), n - 1, ...order.slice(n - 1 - i)]),
  );
}
