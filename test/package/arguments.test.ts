/**
 * Every export of the entries that no sweep of a folder has: arguments and options of every wrong
 * kind get a PanError that says what was expected, or are taken for what they mean.
 */
import * as onnx from "@pan/core/onnx";
import * as verifier from "@pan/core/verify";
import * as weights from "@pan/core/weights";
import { beforeAll, describe, expect, it } from "vitest";
import { PanError } from "../../src/errors";
import { encodeSafetensors } from "../../src/io/safetensors";
import { shown } from "../../src/io/shown";
import { buildNetwork } from "../../src/models";
import { Linear } from "../../src/nn";
import { bind, boundCredential, type Opening, openGroup } from "../../src/ownership";
import { type Anchored, anchored } from "../support/anchored";
import { gpu } from "../support/gpu";
import { acme, MARKED, MARKED_TRIGGERS, type Owned } from "../support/owner";

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
