/**
 * Every export of the entries that no sweep of a folder has: arguments and options of every wrong
 * kind get a PanError that says what was expected, or are taken for what they mean.
 */
import * as core from "@pan/core";
import * as attacks from "@pan/core/attacks";
import * as data from "@pan/core/data";
import * as models from "@pan/core/models";
import * as nn from "@pan/core/nn";
import * as node from "@pan/core/node";
import * as onnx from "@pan/core/onnx";
import * as optim from "@pan/core/optim";
import * as ownership from "@pan/core/ownership";
import * as passport from "@pan/core/passport";
import * as signing from "@pan/core/signing";
import * as train from "@pan/core/train";
import * as verifier from "@pan/core/verify";
import * as weights from "@pan/core/weights";
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, PanError } from "../../src/errors";
import { encodeSafetensors } from "../../src/io/safetensors";
import { shown } from "../../src/io/shown";
import { buildNetwork } from "../../src/models";
import { Linear } from "../../src/nn";
import { bind, boundCredential, type Opening, openGroup } from "../../src/ownership";
import { type Anchored, anchored } from "../support/anchored";
import { gpu } from "../support/gpu";
import { acme, MARKED, MARKED_TRIGGERS, type Owned } from "../support/owner";

type Fn = (...args: unknown[]) => unknown;

const GARBAGE: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  0.5,
  2 ** 53,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  "",
  "x",
  5n,
  Symbol("x"),
  [],
  [[1]],
  ["1"],
  {},
  { unknown: 1 },
  { length: -1 },
  new Map(),
  new Date(Number.NaN),
  () => 1,
  new Float32Array([Number.NaN]),
  new Uint8Array(3),
  new Proxy({}, {}),
];

const isText = (v: unknown) => typeof v === "string" && v !== "";
const isFunction = (v: unknown) => typeof v === "function";
const isEmptyList = (v: unknown) => Array.isArray(v) && v.length === 0;
const isRate = (v: unknown) => typeof v === "number" && v > 0 && v < 1;
/** Options that name nothing: those of a class are told apart where that matters. */
const namesNothing = (v: unknown) => typeof v === "object" && v !== null && Reflect.ownKeys(v).length === 0;

/** One argument or option: how it is passed, and which values mean something. */
type Row = readonly [call: (value: never) => unknown, means?: (value: unknown) => boolean];
type Rows = Readonly<Record<string, Row>>;

let claim: Owned;
let anchor: Anchored;
let opening: Opening;
let net: Linear;
const rival = () => ({ credential: claim.credential, released: claim.released, commitment: anchor.commitment });
const verified = (options: object) => verifier.verify(claim.released, claim.credential, options as never);
const judged = (options: object) => verifier.judge(rival(), rival(), options as never);
const exported = (options: object) => onnx.exportOnnx(net, { sample: [1, 2], ...options } as never);
const FILE = encodeSafetensors(new Map([["x", { dtype: "F32", shape: [1], data: Float32Array.of(1) }]]));
const INDEX = new TextEncoder().encode('{"weight_map":{"x":"part.safetensors"}}');

const ENTRIES: Readonly<Record<string, { of: object; rows: Readonly<Record<string, Rows>> }>> = {
  onnx: {
    of: onnx,
    rows: {
      exportOnnx: {
        network: [(v) => onnx.exportOnnx(v, { sample: [1, 2] })],
        options: [(v) => onnx.exportOnnx(net, v)],
        unknown: [(unknown) => exported({ unknown })],
        sample: [(sample) => exported({ sample })],
        layout: [(layout) => exported({ layout })],
        batch: [(batch) => exported({ batch })],
        inputNames: [
          (inputNames) => exported({ inputNames }),
          (v) => Array.isArray(v) && v.every(isText) && !isEmptyList(v),
        ],
        outputNames: [
          (outputNames) => exported({ outputNames }),
          (v) => Array.isArray(v) && v.every(isText) && !isEmptyList(v),
        ],
        name: [(name) => exported({ name }), isText],
      },
    },
  },
  weights: {
    of: weights,
    rows: {
      decodeWeights: {
        file: [(v) => weights.decodeWeights(v)],
        options: [(v) => weights.decodeWeights(FILE, v), namesNothing],
        unknown: [(unknown) => weights.decodeWeights(FILE, { unknown } as never)],
        fetch: [(fetch) => weights.decodeWeights(FILE, { fetch }), isFunction],
        "what fetch gives": [(v) => weights.decodeWeights(INDEX, { fetch: () => v })],
      },
    },
  },
  verify: {
    of: verifier,
    rows: {
      verify: {
        suspect: [(v) => verifier.verify(v, claim.credential)],
        credential: [(v) => verifier.verify(claim.released, v)],
        options: [(v) => verifier.verify(claim.released, claim.credential, v), namesNothing],
        unknown: [(unknown) => verified({ unknown })],
        ask: [(ask) => verified({ ask }), isFunction],
        falsePositiveRate: [(falsePositiveRate) => verified({ falsePositiveRate }), isRate],
        // A text is somebody's file: what is no bundle is no commitment, and the verdict says so.
        commitment: [(commitment) => verified({ ...anchor, commitment }), (v) => typeof v === "string"],
        released: [(released) => verified({ ...anchor, released })],
        roots: [(roots) => verified({ ...anchor, roots }), isEmptyList],
        published: [(published) => verified({ ...anchor, published })],
        possession: [(possession) => verified({ ...anchor, possession })],
        suspectSha256: [(suspectSha256) => verified({ suspectSha256 })],
        suspects: [(suspects) => verified({ suspects }), (v) => v === 1],
      },
      judge: {
        a: [(v) => verifier.judge(v, rival())],
        b: [(v) => verifier.judge(rival(), v)],
        options: [(v) => verifier.judge(rival(), rival(), v), namesNothing],
        unknown: [(unknown) => judged({ unknown })],
        ask: [(ask) => judged({ ask }), isFunction],
        credential: [(credential) => verifier.judge({ ...rival(), credential }, rival())],
        released: [(released) => verifier.judge({ ...rival(), released }, rival())],
        roots: [(roots) => judged({ roots }), isEmptyList],
        suspect: [(suspect) => judged({ suspect })],
        base: [(base) => judged({ base })],
        falsePositiveRate: [(falsePositiveRate) => judged({ falsePositiveRate }), isRate],
      },
      verifyAnswers: {
        answers: [(v) => verifier.verifyAnswers(v, opening)],
        opening: [(v) => verifier.verifyAnswers(Array(60).fill(0), v)],
        options: [(v) => verifier.verifyAnswers(Array(60).fill(0), opening, v), namesNothing],
        falsePositiveRate: [
          (falsePositiveRate) => verifier.verifyAnswers(Array(60).fill(0), opening, { falsePositiveRate }),
          isRate,
        ],
      },
    },
  },
};

beforeAll(async () => {
  await gpu();
  claim = await acme();
  anchor = await anchored(claim);
  net = new Linear(2, 2);
  const model = buildNetwork(MARKED, { seed: 1 });
  const binding = { ...claim.binding, triggers: MARKED_TRIGGERS };
  await bind(model, binding);
  opening = await openGroup(await boundCredential(await model.credential(), binding), 0);
  return () => model.dispose();
});

/** What came of a value: nothing to find fault with, or the fault in words. */
async function faultOf([call, means = () => false]: Row, value: unknown): Promise<string | null> {
  try {
    await call(value as never);
    return means(value) ? null : "was taken";
  } catch (error) {
    if (!(error instanceof PanError)) return `gave ${error}`;
    return /expected|not |no |give|found|got|choose|is |of /i.test(error.message)
      ? null
      : `was told "${error.message}"`;
  }
}

describe.each(Object.entries(ENTRIES))("arguments of @pan/core/%s", (_, { of, rows }) => {
  it("are swept for every function", () => {
    const functions = Object.entries(of).flatMap(([name, value]) =>
      typeof value === "function" && !(value.prototype instanceof Error) ? [name] : [],
    );
    expect(Object.keys(rows).sort()).toEqual(functions.sort());
  });

  it.each(Object.entries(rows))("of %s are right or refused", async (name, all) => {
    const faults: string[] = [];
    for (const [part, row] of Object.entries(all))
      for (const value of GARBAGE) {
        const fault = await faultOf(row, value);
        if (fault) faults.push(`${name}, ${part}: ${shown(value)} ${fault}`);
      }
    expect(faults).toEqual([]);
  });
});

/** Everything that the entries export, by entry. */
const ALL: Readonly<Record<string, object>> = {
  ...{ core, attacks, data, models, nn, node, onnx, optim, ownership, passport, signing, train },
  ...{ verify: verifier, weights },
};

/** What anybody may pass by mistake. */
const MISTAKES: readonly unknown[] = [
  undefined,
  null,
  {},
  3,
  -1,
  0.5,
  "x",
  true,
  [],
  { misspelt: 1 },
  new Map(),
  () => 1,
];

/** Arguments of one kind, in one place or in all, and none. */
const LISTS: readonly (readonly unknown[])[] = [
  [],
  ...MISTAKES.flatMap((value) => [[value], [value, value], [value, value, value, value]]),
];

/** What writes to the disk at once, where a text is a path. */
const WRITES: ReadonlySet<string> = new Set(["jsonLines", "tensorBoard"]);

/** Whole networks, which are large: without options they are fine, and take seconds. */
const LARGE: ReadonlySet<string> = new Set(["AlexNet", "PointNet", "ResNet9", "ResNet18"]);

/** What TypeScript lets nobody call. */
const INNER: ReadonlySet<string> = new Set([
  "Tensor", // a private constructor: Tensor.from, empty and full make tensors
  "Device", // init() makes it of an adapter's answer
  "Passport", // protect() makes it, of a map that a trace has found
]);

const isClass = (f: unknown) => /^class\b/.test(Function.prototype.toString.call(f));
const isEmpty = (v: unknown) => v === undefined || namesNothing(v);

/** What came of a call, unless it was fine or a PanError; what it made is freed. */
async function rawError(call: () => unknown): Promise<string | null> {
  try {
    const made = await call();
    if (made instanceof core.Tensor || made instanceof nn.Module) made.dispose();
    return null;
  } catch (error) {
    return error instanceof PanError ? null : `${error}`;
  }
}

describe.each(Object.entries(ALL))("whatever @pan/core/%s is given by mistake", (_, of) => {
  const functions = Object.entries(of).filter(
    ([name, f]) => typeof f === "function" && !(f.prototype instanceof Error) && !INNER.has(name),
  ) as [string, Fn][];

  it.each(functions)("%s says so itself", async (name, f) => {
    const faults: string[] = [];
    for (const list of LISTS) {
      if (WRITES.has(name) && typeof list[0] === "string") continue;
      if (LARGE.has(name) && isEmpty(list[0])) continue;
      const fault = await rawError(() => (isClass(f) ? Reflect.construct(f, list) : f(...list)));
      if (fault) faults.push(`${name}(${list.map((v) => shown(v)).join(", ")}) gave ${fault}`);
    }
    expect(faults).toEqual([]);
  });
});

/** One of each class whose methods users call; made anew for every method. */
const MADE: Readonly<Record<string, () => object>> = {
  Tensor: () => core.Tensor.from([[1, 2]]),
  Generator: () => new core.Generator(1),
  RandomStream: () => new nn.RandomStream(1),
  Linear: () => new Linear(2, 2),
  Conv2d: () => new nn.Conv2d(1, 1, 1),
  LayerNorm: () => new nn.LayerNorm([2]),
  BatchNorm: () => new nn.BatchNorm(2),
  Protected: () => buildNetwork(MARKED, { seed: 1 }),
};
const STATICS: Readonly<Record<string, object>> = {
  Tensor: core.Tensor,
  Generator: core.Generator,
  FeatureWatermark: attacks.FeatureWatermark,
};

/** Methods that the package's own parts call, and TypeScript lets few others. */
const OWN: ReadonlySet<string> = new Set(["inPass", "run", "countBatches", "stateName"]);

/** Names of the methods of an object, those of its classes included. */
function methodsOf(object: object): string[] {
  const names = new Set<string>();
  for (let at = Object.getPrototypeOf(object); at && at !== Object.prototype; at = Object.getPrototypeOf(at))
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at)))
      if (typeof value === "function" && name !== "constructor") names.add(name);
  return [...names];
}

describe.each(Object.entries(MADE))("whatever methods of a %s are given by mistake", (of, make) => {
  it("they say so themselves", async () => {
    const faults: string[] = [];
    const sample = make();
    for (const name of methodsOf(sample)) {
      if (OWN.has(name)) continue;
      const object = make() as Record<string, Fn>;
      for (const list of LISTS) {
        const fault = await rawError(() => object[name]!(...list));
        if (fault) faults.push(`${of}.${name}(${list.map((v) => shown(v)).join(", ")}) gave ${fault}`);
      }
      (object as { dispose?: () => void }).dispose?.();
    }
    expect(faults).toEqual([]);
  });
});

it.each(Object.entries(STATICS))("static methods of %s say themselves what is wrong", async (of, made) => {
  const faults: string[] = [];
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(made)))
    for (const list of typeof value === "function" && name !== "prototype" ? LISTS : []) {
      const fault = await rawError(() => (value as Fn).apply(made, [...list]));
      if (fault) faults.push(`${of}.${name}(${list.map((v) => shown(v)).join(", ")}) gave ${fault}`);
    }
  expect(faults).toEqual([]);
});

/** A call with right arguments and an option that there is not, or that means nothing. */
const WRONG_OPTIONS: Readonly<Record<string, () => unknown>> = {
  "trainingPass({ branch })": () => made.owned.trainingPass(made.x, { branch: "public" } as never),
  "trainingPass of no list": () => made.owned.trainingPass(made.x, { branches: "public" } as never),
  "trainingPass(null)": () => made.owned.trainingPass(made.x, null as never),
  "deployed({ foldNorms })": () => made.owned.deployed({ foldNorms: true } as never),
  "deployed({ foldNorm: 1 })": () => made.owned.deployed({ foldNorm: 1 } as never),
  "alexNetConfig({ clases })": () => models.alexNetConfig({ clases: 3 } as never),
  "pointNetConfig({ clases })": () => models.pointNetConfig({ clases: 3 } as never),
  "resNetConfig({ clases })": () => models.resNetConfig([1], { clases: 3 } as never),
  "AlexNet({ widht })": () => new models.AlexNet({ widht: 0.1 } as never),
  "backward({ retain_graph })": () => made.x.backward(undefined, { retain_graph: true } as never),
  "backward({ retainGraph: yes })": () => made.x.backward(undefined, { retainGraph: "yes" } as never),
  "backward(null)": () => made.x.backward(undefined, null as never),
  "data({ withSteps })": () => made.x.data({ withSteps: true } as never),
  "data({ withStep: 1 })": () => made.x.data({ withStep: 1 } as never),
  "visit({ modul })": () => net.visit({ modul: () => 1 } as never),
  "visit({ module: 1 })": () => net.visit({ module: 1 } as never),
  "loadStateDict({ strict: no })": () => net.loadStateDict(new Map(), { strict: "no" } as never),
  "parameterCount({ trainable: x })": () => net.parameterCount({ trainable: "x" } as never),
  "LayerNorm.forward(x, null)": () => new nn.LayerNorm([2]).forward(made.x, null as never),
  "requiresGrad = false as a text": () => Object.assign(core.Tensor.from([1]), { requiresGrad: "false" }),
  "Tensor.empty of what every object has": () => core.Tensor.empty([2], "toString" as never),
  "Tensor.from of what every object has": () => core.Tensor.from([2], [1], "constructor" as never),
  "Tensor.from on a device in words": () => core.Tensor.from([2], [1], "f32", "cpu" as never),
  "arrays({ target })": () => data.arrays({ inputs: { data: [1] }, target: { data: [1] } } as never),
  "arrays with a dype": () => data.arrays({ inputs: { data: Float32Array.of(1), dype: "i32" } } as never),
  "cosineLR({ startFactor })": () => optim.cosineLR({ epochs: 2, startFactor: -5 }),
  "a signLoss of a trainer": () => trainerOf({ signLoss: { alhpa: 1 } }),
  "a constant of a trainer's signLoss": () => trainerOf({ signLoss: { alpha: "1" } }),
  "minDelta as a text": () => trainerOf({ earlyStop: { patience: 1, minDelta: "1" } }),
};

let made: { owned: ReturnType<typeof buildNetwork>; x: core.Tensor };
function trainerOf(options: object): unknown {
  const optimizer = new optim.SGD(made.owned.parameters(), { lr: 0.1 });
  return new train.Trainer(made.owned, optimizer, options as never);
}

describe("options that nobody knows, or that mean nothing", () => {
  beforeAll(() => {
    made = { owned: buildNetwork(MARKED, { seed: 1 }), x: core.Tensor.from([[1, 2]]) };
    return () => made.owned.dispose();
  });

  it.each(Object.entries(WRONG_OPTIONS))("%s is refused", async (_, call) => {
    await expect(async () => call()).rejects.toThrow(ArgumentError);
  });

  it("name those that there are", () => {
    expect(WRONG_OPTIONS["AlexNet({ widht })"]).toThrow(/no option "widht"; its options are .*width.*seed/);
    expect(WRONG_OPTIONS["a signLoss of a trainer"]).toThrow(/signLoss.*no option "alhpa".*alpha, margin, l2/);
  });

  it.each(Object.entries({ parameter: nn.parameter, buffer: nn.buffer }))("%s takes no tensor that is gone", (_, f) => {
    const gone = core.Tensor.from([1]);
    gone.dispose();
    expect(() => f(gone)).toThrow(core.LifetimeError);
  });
});
