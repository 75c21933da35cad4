/**
 * Every argument and option of every exported function of ownership, against values that nobody can
 * mean: a typed error, never a TypeError, never a value passed over in silence.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { FormatError, PanError } from "../../src/errors";
import { shown } from "../../src/io/shown";
import { planOf } from "../../src/models/credential";
import * as ownership from "../../src/ownership";
import { decodeTexts } from "../../src/ownership/signature";
import { memory } from "../../src/tensor/storage";
import * as watermarks from "../../src/watermarks";
import { BINDING, BOUND, boundClaim, type Claim } from "../support/claims";
import { gpu } from "../support/gpu";
import { tinySet } from "../support/tiny";

let claim: Claim;
let commitment: ownership.Commitment;
const test = tinySet(30, 2);
beforeAll(async () => {
  await gpu();
  claim = await boundClaim();
  commitment = await ownership.commit(claim.credential, claim.deployed);
});

const hostile = {
  get toString(): never {
    throw new Error("called");
  },
};
/** Values of every kind that JavaScript has; undefined is what an option that is left out has. */
const GARBAGE: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1,
  0.5,
  1.5,
  1e308,
  2 ** 53,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  "",
  "0x1",
  "1",
  "false",
  5n,
  Symbol("x"),
  [],
  [[1]],
  ["1"],
  {},
  { toString: 1 },
  { length: 1e9 },
  { length: -1 },
  hostile,
  new Map(),
  new Date(0),
  () => 1,
  new Float32Array([Number.NaN]),
  new Proxy({}, {}),
];

const isCount = (v: unknown, least = 0, most = 2 ** 24) =>
  Number.isSafeInteger(v) && (v as number) >= least && (v as number) <= most;
const between = (v: unknown) => typeof v === "number" && v > 0 && v < 1;
const share = (v: unknown) => typeof v === "number" && v >= 0 && v <= 1;
const never = () => false;

/** One argument or option: how it is passed, and which values mean something. */
interface Row {
  call: (value: never) => unknown;
  means?: (value: unknown) => boolean;
}
const row = (call: (value: never) => unknown, means: (value: unknown) => boolean = never): Row => ({ call, means });

const verified = (options: object) => ownership.verify(claim.deployed, claim.credential, options as never);
const drawn = (options: object) =>
  ownership.nullOfCredentials(claim.deployed, claim.credential, { draws: 2, ...options } as never);
const numbers = (v: unknown) => (Array.isArray(v) ? v.length > 0 && v.every((n) => typeof n === "number") : false);
const plan = planOf(BOUND);
const place = plan.places[0]!;
const placed = (part: object) => ownership.deriveBinding(BINDING, { ...plan, places: [{ ...place, ...part }] });

const ROWS: Readonly<Record<string, Readonly<Record<string, Row>>>> = {
  verify: {
    suspect: row((v) => ownership.verify(v, claim.credential)),
    owner: row((v) => ownership.verify(claim.deployed, v)),
    options: row((v) => ownership.verify(claim.deployed, claim.credential, v), isEmpty),
    // Whatever a function makes is looked at once something is to be run.
    model: row(
      (model) => verified({ model }),
      (v) => typeof v === "function",
    ),
    "model that is run": row((model) => verified({ model, test })),
    "what a model function makes": row((made) => verified({ model: () => made, test })),
    test: row((test) => verified({ test })),
    triggers: row((triggers) => verified({ triggers })),
    transform: row(
      (transform) => verified({ transform }),
      (v) => Array.isArray(v) && v.length === 0,
    ),
    tolerance: row((tolerance) => verified({ tolerance }), share),
    falsePositiveRate: row((falsePositiveRate) => verified({ falsePositiveRate }), between),
    commitment: row((commitment) => verified({ commitment })),
    requireBinding: row(
      (requireBinding) => verified({ requireBinding }),
      (v) => typeof v === "boolean",
    ),
    reference: row((reference) => verified({ reference })),
  },
  rejoin: {
    suspect: row((v) => ownership.rejoin(v, claim.credential)),
    owner: row((v) => ownership.rejoin(claim.deployed, v)),
    network: row((v) => ownership.rejoin(claim.deployed, claim.credential, v)),
  },
  rejoinSuspect: {
    suspect: row((v) => ownership.rejoinSuspect(v, claim.credential)),
    owner: row((v) => ownership.rejoinSuspect(claim.deployed, v)),
    network: row((v) => ownership.rejoinSuspect(claim.deployed, claim.credential, v)),
  },
  realign: {
    suspect: row((v) => ownership.realign(v, claim.deployed)),
    reference: row((v) => ownership.realign(claim.deployed, v)),
    options: row((v) => ownership.realign(claim.deployed, claim.deployed, v), isEmpty),
    least: row((least) => ownership.realign(claim.deployed, claim.deployed, { least }), share),
  },
  commit: {
    credential: row((v) => ownership.commit(v)),
    deployed: row((v) => ownership.commit(claim.credential, v)),
  },
  openCommitment: {
    commitment: row((v) => ownership.openCommitment(v, claim.credential, claim.deployed)),
    credential: row((v) => ownership.openCommitment(commitment, v, claim.deployed)),
    suspect: row((v) => ownership.openCommitment(commitment, claim.credential, v)),
    format: row((format) => ownership.openCommitment({ ...commitment, format }, claim.credential, claim.deployed)),
    claim: row((v) => ownership.openCommitment({ ...commitment, claim: v }, claim.credential, claim.deployed)),
    network: row((network) => ownership.openCommitment({ ...commitment, network }, claim.credential, claim.deployed)),
  },
  boundCredential: {
    credential: row((v) => ownership.boundCredential(v, BINDING)),
    binding: row((v) => ownership.boundCredential(claim.credential, v)),
    statement: row((statement) => ownership.boundCredential(claim.credential, { ...BINDING, statement })),
    secret: row((secret) => ownership.boundCredential(claim.credential, { ...BINDING, secret })),
  },
  readBinding: { credential: row((v) => ownership.readBinding(v)) },
  bind: { model: row((v) => ownership.bind(v, BINDING)) },
  deriveBinding: {
    binding: row((v) => ownership.deriveBinding(v, plan)),
    plan: row((v) => ownership.deriveBinding(BINDING, v)),
    format: row(
      (format) => ownership.deriveBinding(BINDING, { ...plan, format }),
      (v) => v === 1,
    ),
    scheme: row((scheme) => ownership.deriveBinding(BINDING, { ...plan, scheme })),
    places: row((places) => ownership.deriveBinding(BINDING, { ...plan, places })),
    place: row((v) => ownership.deriveBinding(BINDING, { ...plan, places: [place, v] })),
    norm: row((norm) => placed({ norm })),
    channels: row((channels) => placed({ channels })),
    inputSize: row((inputSize) => placed({ inputSize })),
    kernel: row((kernel) => placed({ kernel })),
    padding: row((padding) => placed({ padding })),
    text: row((text) => placed({ text })),
  },
  nullOfCredentials: {
    deployed: row((v) => ownership.nullOfCredentials(v, claim.credential, { draws: 2 })),
    credential: row((v) => ownership.nullOfCredentials(claim.deployed, v, { draws: 2 })),
    // Its default is a thousand draws: what means something here is tried elsewhere.
    options: row(
      (v) => (isEmpty(v) ? undefined : ownership.nullOfCredentials(claim.deployed, claim.credential, v)),
      isEmpty,
    ),
    draws: row((draws) => drawn({ draws })),
    bits: row((bits) => drawn({ bits })),
    seed: row(
      (seed) => drawn({ seed }),
      (v) => isCount(v, 0, Number.MAX_SAFE_INTEGER),
    ),
    onStep: row(
      (onStep) => drawn({ onStep }),
      (v) => typeof v === "function",
    ),
  },
  nullOfNetworks: {
    deployed: row((v) => ownership.nullOfNetworks(v, claim.credential, [claim.deployed, claim.deployed])),
    credential: row((v) => ownership.nullOfNetworks(claim.deployed, v, [claim.deployed, claim.deployed])),
    networks: row((v) => ownership.nullOfNetworks(claim.deployed, claim.credential, v)),
    network: row((v) => ownership.nullOfNetworks(claim.deployed, claim.credential, [claim.deployed, v])),
  },
  empiricalPValue: {
    matched: row(
      (v) => ownership.empiricalPValue(v, { matched: [1] }),
      (v) => typeof v === "number" && !Number.isNaN(v),
    ),
    sample: row((v) => ownership.empiricalPValue(1, v)),
    "sample.matched": row((matched) => ownership.empiricalPValue(1, { matched }), numbers),
  },
  binomialPValue: {
    matched: row(
      (v) => ownership.binomialPValue(v, 8),
      (v) => isCount(v, 0, 8),
    ),
    n: row(
      (v) => ownership.binomialPValue(0, v),
      (v) => isCount(v, 1),
    ),
    probability: row((v) => ownership.binomialPValue(3, 8, v), between),
  },
  twoSidedPValue: {
    matched: row(
      (v) => ownership.twoSidedPValue(v, 8),
      (v) => isCount(v, 0, 8),
    ),
    n: row(
      (v) => ownership.twoSidedPValue(0, v),
      (v) => isCount(v, 1),
    ),
  },
  matchThreshold: {
    n: row(
      (v) => ownership.matchThreshold(v),
      (v) => isCount(v, 1),
    ),
    rate: row((v) => ownership.matchThreshold(8, v), between),
    probability: row((v) => ownership.matchThreshold(8, 1e-6, v), between),
  },
  signatureBalance: { signs: row((v) => ownership.signatureBalance(v), numbers) },
};
/** Nothing is passed to these. */
const WITHOUT = ["newSecret"];

/** What has no own names at all: options that say nothing. */
function isEmpty(v: unknown): boolean {
  return (
    typeof v === "object" && v !== null && !Array.isArray(v) && !ArrayBuffer.isView(v) && Object.keys(v).length === 0
  );
}

async function outcome(call: () => unknown): Promise<{ error?: unknown; value?: unknown }> {
  try {
    return { value: await call() };
  } catch (error) {
    return { error };
  }
}

const dispose = (value: unknown): void => {
  const made = value as { dispose?: () => void; model?: { dispose(): void } } | undefined;
  made?.dispose?.();
  made?.model?.dispose();
};

it("has a row for every function that is exported", () => {
  const functions = Object.entries(ownership).flatMap(([name, value]) => (typeof value === "function" ? [name] : []));
  expect(functions.sort()).toEqual([...Object.keys(ROWS), ...WITHOUT].sort());
});

describe.each(Object.keys(ROWS))("%s", (name) => {
  it.each(
    Object.keys(ROWS[name]!),
  )("takes as %s what means something, and refuses the rest by a typed error", async (argument) => {
    const { call, means = never } = ROWS[name]![argument]!;
    const before = memory().tensors;
    for (const value of GARBAGE) {
      const { error, value: found } = await outcome(() => call(value as never));
      dispose(found);
      const what = `${argument} = ${shown(value)}: ${String((error as Error | undefined)?.stack ?? "accepted")}`;
      if (means(value)) expect(error, what).toBeUndefined();
      else {
        expect(error, what).toBeInstanceOf(PanError);
        expect((error as Error).message.length, what).toBeLessThan(600);
      }
    }
    expect(memory().tensors).toBe(before);
  });
});

describe("options", () => {
  it("with a name that is not known are refused", async () => {
    await expect(verified({ comitment: commitment })).rejects.toThrow(/options of verify: .*found "comitment"/);
    await expect(drawn({ draw: 3 })).rejects.toThrow(/options of nullOfCredentials/);
    expect(() => ownership.realign(claim.deployed, claim.deployed, { most: 1 } as never)).toThrow(/options of realign/);
    await expect(ownership.boundCredential(claim.credential, { ...BINDING, date: 1 } as never)).rejects.toThrow(
      /found "date"/,
    );
    await expect(
      ownership.openCommitment({ ...commitment, date: 1 } as never, claim.credential, claim.deployed),
    ).rejects.toThrow(FormatError);
  });

  it("that are undefined are left out", async () => {
    const options = {
      model: undefined,
      test: undefined,
      triggers: undefined,
      transform: undefined,
      tolerance: undefined,
      falsePositiveRate: undefined,
      commitment: undefined,
      requireBinding: undefined,
      reference: undefined,
    };
    expect(await verified(options)).toEqual(await verified({}));
  });

  it("are checked before a set of another kind reaches the network", async () => {
    const sets = [
      { ...test, labels: [0, 1] },
      { ...test, length: 3 },
      { ...test, images: test.images.subarray(1) },
      { ...test, classes: 3 },
      tinySet(0, 1),
      { ...test, labels: test.labels.map(() => 9) },
    ];
    for (const set of sets)
      for (const name of ["test", "triggers"]) {
        const { error } = await outcome(() => verified({ [name]: set }));
        expect(error, shown(set)).toBeInstanceOf(PanError);
      }
  });
});

describe("entries of a credential", () => {
  const TEXTS = [
    "",
    "null",
    "0",
    "[]",
    "{}",
    '"x"',
    "true",
    "{",
    "1e999",
    '{"__proto__":1}',
    "[".repeat(1e5),
    '{"toString":1}',
    '{"length":1}',
    "NaN",
    "\u0000",
    "x".repeat(1e6),
  ];

  it.each([
    "format",
    "model",
    "passports",
    "claimed",
    "binding",
  ])("are refused where they are garbage: %s", async (entry) => {
    for (const text of TEXTS) {
      if (entry === "claimed" && text === "{}") continue;
      const metadata = { ...claim.credential.metadata, [entry]: text };
      const credential = { ...claim.credential, metadata };
      const { error } = await outcome(() => ownership.verify(claim.deployed, credential));
      expect(error, `${entry}: ${shown(text)}`).toBeInstanceOf(FormatError);
      expect((error as Error).message.length).toBeLessThan(600);
    }
  });

  it("are refused field by field of a binding", async () => {
    for (const value of [null, 0, "", [], {}, true])
      for (const field of ["statement", "secret", "extra"]) {
        const metadata = { ...claim.credential.metadata, binding: JSON.stringify({ ...BINDING, [field]: value }) };
        const { error } = await outcome(() => ownership.readBinding({ ...claim.credential, metadata }));
        expect(error, `${field}: ${shown(value)}`).toBeInstanceOf(FormatError);
      }
  });

  it("say of texts that are wrong what the bits spell, in few words", () => {
    const bits = Float32Array.from({ length: 16 }, () => 1);
    const layers = [{ name: "a", gamma: bits, bits, matched: 16 }];
    expect(() => decodeTexts(layers, [{ text: "x".repeat(1e6), layers: ["a"] }], new Map([["a", 2]]))).toThrow(
      FormatError,
    );
  });
});

describe("a branch at chance", () => {
  /** Passports of the owner, an FC and statistics that make nothing of them. */
  const broken = () => {
    const tensors = new Map(claim.credential.tensors);
    for (const [name, t] of tensors)
      if (name.endsWith("fc.2.weight"))
        tensors.set(name, { ...t, dtype: "F32", data: new Float32Array(t.data.length) });
    return { ...claim.credential, tensors, metadata: { ...claim.credential.metadata, claimed: "{}" } };
  };

  it("does not hold, whatever is claimed of it, and the reasons say so", async () => {
    const found = await ownership.verify(claim.deployed, broken(), { test });
    expect(found).toMatchObject({ holds: false, matched: 160, opened: { branch: "private", count: 30, holds: false } });
    expect(found.opened!.chance).toBeCloseTo(1 / 3, 12);
    expect(found.opened!.threshold).toBe(ownership.matchThreshold(30, 1e-6, 1 / 3));
    expect(found.reasons.join("\n")).toMatch(
      /\d+ of 30 test images right; \d+ are needed .*: the passports open nothing/,
    );
  });

  it("holds without images, where nothing can be said of it, and for a branch that works", async () => {
    expect((await ownership.verify(claim.deployed, broken())).holds).toBe(true);
    const unclaimed = { ...claim.credential, metadata: { ...claim.credential.metadata, claimed: "{}" } };
    expect(await ownership.verify(claim.deployed, unclaimed, { test })).toMatchObject({
      holds: true,
      opened: { holds: true },
    });
  });

  it("cannot be told from one that works by too few images, or by those of one class", async () => {
    for (const few of [tinySet(6, 3), { ...test, labels: test.labels.map(() => 1) }]) {
      const found = await ownership.verify(claim.deployed, broken(), { test: few });
      expect(found).toMatchObject({ holds: false, opened: { holds: false, threshold: few.length + 1 } });
      expect(found.reasons.join("\n")).toMatch(/too few, or too much alike/);
    }
  });
});

describe("watermarks", () => {
  it("refuse options that are none", async () => {
    const source = claim.deployed.tensors;
    const good = { model: source, layer: "features.2", bits: 8, seed: 1 };
    await watermarks.FeatureWatermark.create(good);
    for (const [name, value] of [
      ["model", null],
      ["layer", 5],
      ["bits", "8"],
      ["bits", 1e9],
      ["bits", [2]],
      ["bits", { length: 1e9 }],
      ["seed", Number.NaN],
      ["lambda", "1"],
      ["lambda", Number.NaN],
      ["lamda", 1],
    ] as const) {
      const { error } = await outcome(() => watermarks.FeatureWatermark.create({ ...good, [name]: value } as never));
      expect(error, `${name}: ${shown(value)}`).toBeInstanceOf(PanError);
    }
    const file = (await watermarks.FeatureWatermark.create(good)).toFile();
    for (const lambda of ["0x1", "", " 1", "1e999", "-1", "[1]"]) {
      const bad = { ...file, metadata: { ...file.metadata, lambda } };
      expect(() => watermarks.FeatureWatermark.from(bad), lambda).toThrow(FormatError);
    }
    for (const model of [null, {}, "x"]) {
      const { error } = await outcome(() => watermarks.detectTriggers(model as never, test));
      expect(error).toBeInstanceOf(PanError);
    }
  });
});
