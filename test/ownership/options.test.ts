/**
 * Every argument and option of every exported function of ownership, against values that nobody can
 * mean: a typed error, never a TypeError, never a value passed over in silence.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { imageStream } from "../../src/data/image-stream";
import { imageSet } from "../../src/data/sample-set";
import { ArgumentError, FormatError, PanError } from "../../src/errors";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { shown } from "../../src/io/shown";
import { buildNetwork } from "../../src/models";
import { planOf } from "../../src/models/credential";
import * as ownership from "../../src/ownership";
import { deriveClaim } from "../../src/ownership/claim/derive";
import { deriveBinding, readBinding } from "../../src/ownership/first/binding";
import { type Commitment, openCommitment } from "../../src/ownership/first/commitment";
import { decodeTexts } from "../../src/ownership/suspect/signature";
import type { Signer } from "../../src/signing/keys";
import { memory } from "../../src/tensor/storage";
import * as watermarks from "../../src/watermarks";
import { type Anchored, anchored } from "../support/anchored";
import { BINDING } from "../support/claims";
import { gpu } from "../support/gpu";
import type { Network } from "../support/networks";
import { acme, MARKED, MARKED_TRIGGERS, type Owned, signerFor } from "../support/owner";
import { tinySet } from "../support/tiny";

let claim: Owned;
let anchor: Anchored;
let signer: Signer;
let possession: ownership.Possession;
/** Without triggers claims are checked quicker; this one has two groups of sixty. */
let triggered: SafetensorsFile;
let withTriggers: ownership.DerivedClaim;
let opening: ownership.Opening;
let model: Network;
const NONCE = "0".repeat(32);
const test = tinySet(30, 2);
beforeAll(async () => {
  await gpu();
  claim = await acme();
  anchor = await anchored(claim);
  signer = await signerFor("acme");
  possession = await ownership.provePossession(signer, NONCE, claim.released);
  model = buildNetwork(MARKED, { seed: 1 });
  const binding = { ...claim.binding, triggers: MARKED_TRIGGERS };
  withTriggers = await ownership.bind(model, binding);
  triggered = await ownership.boundCredential(await model.credential(), binding);
  opening = await ownership.openGroup(triggered, 0);
  return () => model.dispose();
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
  new Date(Number.NaN),
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

const isNull = (v: unknown) => v === null;
const isText = (v: unknown) => typeof v === "string";
const isEmptyList = (v: unknown) => Array.isArray(v) && v.length === 0;

const rival = () => ({ credential: claim.credential, released: claim.released, commitment: anchor.commitment });
const verified = (options: object) => ownership.verify(claim.released, claim.credential, options as never);
const examined = (options: object) => ownership.examine(claim.released, claim.credential, options as never);
const described = (part: object) => deriveClaim(claim.binding.secret, { ...claim.derived.spec, ...part } as never);
const drawn = (options: object) =>
  ownership.nullOfCredentials(claim.released, claim.credential, { draws: 2, ...options } as never);
const numbers = (v: unknown) => (Array.isArray(v) ? v.length > 0 && v.every((n) => typeof n === "number") : false);
/** A commitment of the first version. */
const FIRST: Commitment = { format: "pan-commitment-1", claim: "0".repeat(128) };
const plan = planOf(MARKED);
/** Too few bits for a claim of either version: nothing is derived. */
const place = { ...plan.places[0]!, channels: 64 };
const placed = (part: object) => deriveBinding(BINDING, { ...plan, places: [{ ...place, ...part }] });

const ROWS: Readonly<Record<string, Readonly<Record<string, Row>>>> = {
  verify: {
    suspect: row((v) => ownership.verify(v, claim.credential)),
    owner: row((v) => ownership.verify(claim.released, v)),
    options: row((v) => ownership.verify(claim.released, claim.credential, v), isEmpty),
    // Whatever a function makes is looked at once something is to be run.
    model: row(
      (model) => verified({ model }),
      (v) => typeof v === "function",
    ),
    "model that is run": row((model) => verified({ model, test })),
    "what a model function makes": row((made) => verified({ model: () => made, test })),
    test: row((test) => verified({ test })),
    transform: row((transform) => verified({ transform }), isEmptyList),
    tolerance: row((tolerance) => verified({ tolerance }), share),
    falsePositiveRate: row((falsePositiveRate) => verified({ falsePositiveRate }), between),
    // A text is somebody's file: what is no bundle is no commitment, and the verdict says so.
    commitment: row((commitment) => verified({ ...anchor, commitment }), isText),
    "commitment.envelope": row((envelope) => verified({ ...anchor, commitment: { ...anchor.commitment, envelope } })),
    "commitment.hint": row((hint) => verified({ ...anchor, commitment: { ...anchor.commitment, hint } }), isText),
    "commitment.timestamps": row(
      (timestamps) => verified({ ...anchor, commitment: { ...anchor.commitment, timestamps } }),
      isEmptyList,
    ),
    released: row((released) => verified({ ...anchor, released })),
    roots: row((roots) => verified({ ...anchor, roots }), isEmptyList),
    published: row(
      (published) => verified({ ...anchor, published }),
      (v) => v instanceof Date && !Number.isNaN(v.getTime()),
    ),
    possession: row((possession) => verified({ ...anchor, possession })),
    "possession.nonce": row((nonce) => verified({ ...anchor, possession: { ...possession, nonce } })),
    "possession.signature": row((signature) => verified({ ...anchor, possession: { ...possession, signature } })),
    suspectSha256: row((suspectSha256) => verified({ suspectSha256 })),
    suspects: row(
      (suspects) => verified({ suspects }),
      (v) => isCount(v, 1),
    ),
  },
  examine: {
    suspect: row((v) => ownership.examine(v, claim.credential)),
    owner: row((v) => ownership.examine(claim.released, v)),
    options: row((v) => ownership.examine(claim.released, claim.credential, v), isEmpty),
    model: row(
      (model) => examined({ model }),
      (v) => typeof v === "function",
    ),
    "model that is run": row((model) => examined({ model, test })),
    "what a model function makes": row((made) => examined({ model: () => made, test })),
    test: row((test) => examined({ test })),
    triggers: row((triggers) => examined({ triggers })),
    transform: row((transform) => examined({ transform }), isEmptyList),
    tolerance: row((tolerance) => examined({ tolerance }), share),
    falsePositiveRate: row((falsePositiveRate) => examined({ falsePositiveRate }), between),
    reference: row((reference) => examined({ reference })),
  },
  relation: {
    suspect: row((v) => ownership.relation(v, claim.released)),
    released: row((v) => ownership.relation(claim.released, v)),
    options: row((v) => ownership.relation(claim.released, claim.released, v), isEmpty),
    falsePositiveRate: row(
      (falsePositiveRate) => ownership.relation(claim.released, claim.released, { falsePositiveRate }),
      between,
    ),
  },
  rejoin: {
    suspect: row((v) => ownership.rejoin(v, claim.credential)),
    owner: row((v) => ownership.rejoin(claim.released, v)),
    network: row((v) => ownership.rejoin(claim.released, claim.credential, v)),
  },
  rejoinSuspect: {
    suspect: row((v) => ownership.rejoinSuspect(v, claim.credential)),
    owner: row((v) => ownership.rejoinSuspect(claim.released, v)),
    network: row((v) => ownership.rejoinSuspect(claim.released, claim.credential, v)),
  },
  realign: {
    suspect: row((v) => ownership.realign(v, claim.released)),
    reference: row((v) => ownership.realign(claim.released, v)),
    options: row((v) => ownership.realign(claim.released, claim.released, v), isEmpty),
    least: row((least) => ownership.realign(claim.released, claim.released, { least }), share),
  },
  commit: {
    credential: row((v) => ownership.commit(v, claim.released, signer)),
    released: row((v) => ownership.commit(claim.credential, v, signer)),
    signer: row((v) => ownership.commit(claim.credential, claim.released, v)),
    publicKey: row((publicKey) => ownership.commit(claim.credential, claim.released, { ...signer, publicKey })),
    sign: row((sign) => ownership.commit(claim.credential, claim.released, { ...signer, sign })),
    options: row((v) => ownership.commit(claim.credential, claim.released, signer, v), isEmpty),
    name: row(
      (name) => ownership.commit(claim.credential, claim.released, signer, { name }),
      (v) => isText(v) && v !== "",
    ),
  },
  provePossession: {
    signer: row((v) => ownership.provePossession(v, NONCE, claim.released)),
    nonce: row((v) => ownership.provePossession(signer, v, claim.released)),
    suspect: row((v) => ownership.provePossession(signer, NONCE, v)),
  },
  boundCredential: {
    credential: row((v) => ownership.boundCredential(v, claim.binding)),
    binding: row((v) => ownership.boundCredential(claim.credential, v)),
    statement: row((statement) => ownership.boundCredential(claim.credential, { ...claim.binding, statement })),
    secret: row((secret) => ownership.boundCredential(claim.credential, { ...claim.binding, secret })),
    publicKey: row((publicKey) => ownership.boundCredential(claim.credential, { ...claim.binding, publicKey })),
    triggers: row((triggers) => ownership.boundCredential(claim.credential, { ...claim.binding, triggers }), isNull),
    parent: row((parent) => ownership.boundCredential(claim.credential, { ...claim.binding, parent }), isNull),
  },
  bind: {
    model: row((v) => ownership.bind(v, claim.binding)),
    binding: row((v) => ownership.bind(model, v)),
    statement: row(
      (statement) => ownership.bind(model, { ...claim.binding, statement }),
      (v) => isText(v) && v !== "",
    ),
    secret: row((secret) => ownership.bind(model, { ...claim.binding, secret })),
    publicKey: row((publicKey) => ownership.bind(model, { ...claim.binding, publicKey })),
    triggers: row((triggers) => ownership.bind(model, { ...claim.binding, triggers }), isNull),
    inputs: row((inputs) => ownership.bind(model, { ...claim.binding, inputs })),
    parent: row((parent) => ownership.bind(model, { ...claim.binding, parent }), isNull),
  },
  claimDigest: {
    claim: row((v) => ownership.claimDigest(v)),
    hash: row(
      (hash) => ownership.claimDigest({ hash }),
      (v) => ArrayBuffer.isView(v),
    ),
  },
  judge: {
    a: row((v) => ownership.judge(v, rival())),
    b: row((v) => ownership.judge(rival(), v)),
    options: row((v) => ownership.judge(rival(), rival(), v), isEmpty),
    ...Object.fromEntries(
      ["credential", "released", "model"].map((part) => [
        part,
        row(
          (v) => ownership.judge({ ...rival(), [part]: v }, rival()),
          (v) => part === "model" && typeof v === "function",
        ),
      ]),
    ),
    roots: row((roots) => ownership.judge(rival(), rival(), { roots }), isEmptyList),
    suspect: row((suspect) => ownership.judge(rival(), rival(), { suspect })),
    base: row((base) => ownership.judge(rival(), rival(), { base })),
    falsePositiveRate: row((falsePositiveRate) => ownership.judge(rival(), rival(), { falsePositiveRate }), between),
  },
  triggersLike: {
    set: row((v) => ownership.triggersLike(v)),
    options: row(
      (v) => ownership.triggersLike(test, v),
      (v) => isEmpty(v) && Object.getPrototypeOf(v) === Object.prototype,
    ),
    count: row(
      (count) => ownership.triggersLike(test, { count }),
      (v) => isCount(v, 1, 8192),
    ),
    groups: row(
      (groups) => ownership.triggersLike(test, { groups }),
      (v) => isCount(v, 1, 64),
    ),
    grid: row(
      (grid) => ownership.triggersLike(test, { grid }),
      (v) => isCount(v, 2, 256),
    ),
    normalize: row((normalize) => ownership.triggersLike(test, { normalize }), isNull),
  },
  suppliedTriggers: {
    set: row((v) => ownership.suppliedTriggers(v)),
    options: row(
      (v) => ownership.suppliedTriggers(test, v),
      (v) => isEmpty(v) && Object.getPrototypeOf(v) === Object.prototype,
    ),
    groups: row(
      (groups) => ownership.suppliedTriggers(test, { groups }),
      (v) => isCount(v, 1, test.length),
    ),
    classes: row((classes) => ownership.suppliedTriggers(test, { classes })),
    normalize: row((normalize) => ownership.suppliedTriggers(test, { normalize }), isNull),
  },
  boundTriggers: {
    claim: row((v) => ownership.boundTriggers(v)),
    options: row(
      (v) => ownership.boundTriggers(withTriggers, v),
      (v) => isEmpty(v) && Object.getPrototypeOf(v) === Object.prototype,
    ),
  },
  openGroup: {
    credential: row((v) => ownership.openGroup(v, 0)),
    group: row(
      (v) => ownership.openGroup(triggered, v),
      (v) => isCount(v, 0, 1),
    ),
  },
  openedTriggers: {
    opening: row((v) => ownership.openedTriggers(v)),
    ...Object.fromEntries(
      ["format", "spec", "passports", "groups", "group", "secret"].map((part) => [
        part,
        row(
          (v) => ownership.openedTriggers({ ...opening, [part]: v }),
          (v) => part === "group" && v === 0,
        ),
      ]),
    ),
  },
  verifyAnswers: {
    answers: row((v) => ownership.verifyAnswers(v, opening)),
    answer: row(
      (v) => ownership.verifyAnswers(Array(60).fill(v), opening),
      (v) => Number.isInteger(v) && (v as number) >= 0 && (v as number) < opening.spec.triggers!.classes.length,
    ),
    opening: row((v) => ownership.verifyAnswers(Array(60).fill(0), v)),
    options: row((v) => ownership.verifyAnswers(Array(60).fill(0), opening, v), isEmpty),
    falsePositiveRate: row(
      (falsePositiveRate) => ownership.verifyAnswers(Array(60).fill(0), opening, { falsePositiveRate }),
      between,
    ),
  },
  nullOfCredentials: {
    deployed: row((v) => ownership.nullOfCredentials(v, claim.credential, { draws: 2 })),
    credential: row((v) => ownership.nullOfCredentials(claim.released, v, { draws: 2 })),
    // Its default is a thousand draws: what means something here is tried elsewhere.
    options: row(
      (v) => (isEmpty(v) ? undefined : ownership.nullOfCredentials(claim.released, claim.credential, v)),
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
    deployed: row((v) => ownership.nullOfNetworks(v, claim.credential, [claim.released, claim.released])),
    credential: row((v) => ownership.nullOfNetworks(claim.released, v, [claim.released, claim.released])),
    networks: row((v) => ownership.nullOfNetworks(claim.released, claim.credential, v)),
    network: row((v) => ownership.nullOfNetworks(claim.released, claim.credential, [claim.released, v])),
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
/**
 * Nothing is passed to the first; the second decides on facts that are the package's own findings.
 */
const WITHOUT = ["newSecret"];

/** What is not exported, and reads what strangers wrote all the same. */
const INNER: typeof ROWS = {
  deriveClaim: {
    secret: row((v) => deriveClaim(v, claim.derived.spec)),
    spec: row((v) => deriveClaim(claim.binding.secret, v)),
    version: row((version) => described({ version })),
    scheme: row((scheme) => described({ scheme })),
    places: row((places) => described({ places })),
    place: row((v) => described({ places: [place, v] })),
    norm: row((norm) => described({ places: [{ ...place, norm }] })),
    channels: row((channels) => described({ places: [{ ...place, channels }] })),
    inputSize: row((inputSize) => described({ places: [{ ...place, inputSize }] })),
    kernel: row((kernel) => described({ places: [{ ...place, kernel }] })),
    padding: row((padding) => described({ places: [{ ...place, padding }] })),
    text: row((text) => described({ places: [{ ...place, text }] })),
    triggers: row((triggers) => described({ triggers }), isNull),
    publicKey: row((publicKey) => described({ publicKey }), isNull),
    statement: row(
      (statement) => described({ statement }),
      (v) => isText(v) && v !== "",
    ),
    parent: row((parent) => described({ parent }), isNull),
  },
  "deriveBinding, first version": {
    binding: row((v) => deriveBinding(v, plan)),
    plan: row((v) => deriveBinding(BINDING, v)),
    format: row(
      (format) => deriveBinding(BINDING, { ...plan, format }),
      (v) => v === 1,
    ),
    scheme: row((scheme) => deriveBinding(BINDING, { ...plan, scheme })),
    places: row((places) => deriveBinding(BINDING, { ...plan, places })),
    place: row((v) => deriveBinding(BINDING, { ...plan, places: [place, v] })),
    norm: row((norm) => placed({ norm })),
    channels: row((channels) => placed({ channels })),
    inputSize: row((inputSize) => placed({ inputSize })),
    kernel: row((kernel) => placed({ kernel })),
    padding: row((padding) => placed({ padding })),
    text: row((text) => placed({ text })),
  },
  "readBinding, first version": { credential: row((v) => readBinding(v)) },
  "openCommitment, first version": {
    commitment: row((v) => openCommitment(v, claim.credential, claim.released)),
    credential: row((v) => openCommitment(FIRST, v, claim.released)),
    suspect: row((v) => openCommitment(FIRST, claim.credential, v)),
    format: row((format) => openCommitment({ ...FIRST, format }, claim.credential, claim.released)),
    claim: row((v) => openCommitment({ ...FIRST, claim: v }, claim.credential, claim.released)),
    network: row((network) => openCommitment({ ...FIRST, network }, claim.credential, claim.released)),
  },
};
const ALL = { ...ROWS, ...INNER };

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

describe.each(Object.keys(ALL))("%s", (name) => {
  it.each(
    Object.keys(ALL[name]!),
  )("takes as %s what means something, and refuses the rest by a typed error", async (argument) => {
    const { call, means = never } = ALL[name]![argument]!;
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
    await expect(verified({ comitment: anchor.commitment })).rejects.toThrow(/options of verify: .*found "comitment"/);
    await expect(drawn({ draw: 3 })).rejects.toThrow(/options of nullOfCredentials/);
    expect(() => ownership.realign(claim.released, claim.released, { most: 1 } as never)).toThrow(/options of realign/);
    for (const gone of ["requireBinding", "reference", "triggers"])
      await expect(verified({ [gone]: undefined })).rejects.toThrow(new RegExp(`options of verify: .*found "${gone}"`));
    await expect(examined({ commitment: anchor.commitment })).rejects.toThrow(/options of examine/);
    await expect(ownership.boundCredential(claim.credential, { ...claim.binding, date: 1 } as never)).rejects.toThrow(
      /found "date"/,
    );
  });

  it("that are undefined are left out", async () => {
    const options = {
      model: undefined,
      test: undefined,
      transform: undefined,
      tolerance: undefined,
      falsePositiveRate: undefined,
    };
    const beside = {
      commitment: undefined,
      released: undefined,
      roots: undefined,
      published: undefined,
      possession: undefined,
      suspectSha256: undefined,
      suspects: undefined,
    };
    expect(await verified({ ...options, ...beside })).toEqual(await verified({}));
    expect(await examined({ ...options, triggers: undefined, reference: undefined })).toEqual(await examined({}));
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
        const { error } = await outcome(() => examined({ [name]: set }));
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
    "claim",
  ])("are refused where they are garbage: %s", async (entry) => {
    for (const text of TEXTS) {
      if (entry === "claimed" && text === "{}") continue;
      const metadata = { ...claim.credential.metadata, [entry]: text };
      const credential = { ...claim.credential, metadata };
      const { error, value } = await outcome(() => ownership.verify(claim.released, credential, anchor));
      if (entry === "claim") {
        // A claim that is none shows nothing, which is a verdict.
        const found = value as ownership.Verification;
        expect(found, shown(text)).toMatchObject({ verdict: "refused", mark: null, bound: null });
        expect(found.sentence.length).toBeLessThan(600);
        continue;
      }
      expect(error, `${entry}: ${shown(text)}`).toBeInstanceOf(FormatError);
      expect((error as Error).message.length).toBeLessThan(600);
    }
  });

  it("are refused field by field of a claim", async () => {
    for (const value of [null, 0, "", [], {}, true])
      for (const field of ["statement", "secret", "publicKey", "triggers", "parent", "extra"]) {
        // Without triggers and without a parent, as it was.
        if (value === null && (field === "triggers" || field === "parent")) continue;
        const metadata = { ...claim.credential.metadata, claim: JSON.stringify({ ...claim.binding, [field]: value }) };
        const found = await ownership.verify(claim.released, { ...claim.credential, metadata }, anchor);
        expect(found, `${field}: ${shown(value)}`).toMatchObject({ verdict: "refused", mark: null });
      }
  });

  it("say of texts that are wrong what the bits spell, in few words", () => {
    const bits = Float32Array.from({ length: 16 }, () => 1);
    const layers = [{ name: "a", gamma: bits, bits, matched: 16, unread: [] }];
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

  it("does not pass, whatever is claimed of it, and the reasons say so", async () => {
    const found = await ownership.examine(claim.released, broken(), { test });
    expect(found).toMatchObject({
      passes: false,
      matched: 224,
      opened: { branch: "private", count: 30, holds: false },
    });
    expect(found.opened!.chance).toBeCloseTo(1 / 3, 12);
    expect(found.opened!.threshold).toBe(ownership.matchThreshold(30, 1e-6, 1 / 3));
    expect(found.reasons.join("\n")).toMatch(
      /\d+ of 30 test images right; \d+ are needed .*: the passports open nothing/,
    );
  });

  it("opens nothing that was committed to: the commitment is to its credential", async () => {
    expect((await ownership.verify(claim.released, broken())).verdict).toBe("mark present");
    const found = await ownership.verify(claim.released, broken(), { ...anchor, test });
    expect(found).toMatchObject({ verdict: "refused", examination: { passes: false } });
    expect(found.sentence).toMatch(/its credential is another/);
  });

  it("passes without images, where nothing can be said of it, and for a branch that works", async () => {
    expect((await ownership.examine(claim.released, broken())).passes).toBe(true);
    const unclaimed = { ...claim.credential, metadata: { ...claim.credential.metadata, claimed: "{}" } };
    expect(await ownership.examine(claim.released, unclaimed, { test })).toMatchObject({
      passes: true,
      opened: { holds: true },
    });
  });

  it("cannot be told from one that works by too few images, or by those of one class", async () => {
    for (const few of [tinySet(6, 3), { ...test, labels: test.labels.map(() => 1) }]) {
      const found = await ownership.examine(claim.released, broken(), { test: few });
      expect(found).toMatchObject({ passes: false, opened: { holds: false, threshold: few.length + 1 } });
      expect(found.reasons.join("\n")).toMatch(/too few, or too much alike/);
    }
  });
});

describe("watermarks", () => {
  it("refuse options that are none", async () => {
    const source = claim.released.tensors;
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

describe("a released file that is none", () => {
  it.each([
    ["no safetensors", new Uint8Array(100)],
    ["no bytes", new Uint8Array(0)],
    ["null", null],
  ])("is a typed error, and no verdict on a claim: %s", async (_, released) => {
    for (const more of [{}, anchor]) {
      const { error } = await outcome(() => verified({ ...more, released }));
      expect(error).toBeInstanceOf(released === null ? ArgumentError : FormatError);
    }
  });

  it("the day that the verifier says is told, and null where none is", async () => {
    expect(await verified({ ...anchor, published: "2026-12-24" })).toMatchObject({
      published: "2026-12-24T00:00:00.000Z",
    });
    expect(await verified({})).toMatchObject({ published: null });
  });

  it("a day that no calendar has is no day", async () => {
    const days = ["2026-06-31", "2026-02-29", "2100-02-29", "2026-04-31T10:00:00Z", "2026-02-30", "2026-01-32"];
    for (const published of [...days, "2026-06-00", "2026-00-10", "2026-13-01"]) {
      const { error } = await outcome(() => verified({ ...anchor, published }));
      expect(error, published).toBeInstanceOf(ArgumentError);
    }
    for (const published of ["2028-02-29", "2000-02-29", "2026-06-30", "2026-12-31T23:59:59Z"])
      expect(await verified({ ...anchor, published })).toMatchObject({ published: new Date(published).toISOString() });
  });
});

describe("samples to test with", () => {
  it("may be bytes, floats or a stream: accuracies are the same", async () => {
    const { images, labels, classes, height, width, channels } = test;
    const floats = imageSet({
      images: Float32Array.from(images, (v) => v / 255),
      labels,
      classes,
      height,
      width,
      channels,
    });
    const size = height * width * channels;
    const stream = imageStream({
      ...{ labels, classes, height, width, channels },
      read: (index, out) => out.set(images.subarray(index * size, (index + 1) * size)),
    });
    const found = await Promise.all([test, floats, stream].map((set) => verified({ test: set })));
    const accuracies = found.map(({ examination }) => JSON.stringify(examination!.accuracy));
    expect(new Set(accuracies).size).toBe(1);
    expect(accuracies[0]).toMatch(/private/);
  });
});
