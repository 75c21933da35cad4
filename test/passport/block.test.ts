/**
 * A protected convolution and norm at parity with the authors' blocks: 16 → 32 channels, 3×3,
 * padding 1, every normalisation, with and without FC, two branches and one.
 */

import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors";
import { type HostTensor, type StateDict, toFloat32 } from "../../src/io/host-tensor";
import type { BranchNormName } from "../../src/models/norm-names";
import { makeNorm } from "../../src/models/norms";
import { Conv2d } from "../../src/nn/conv";
import { fromTorch, type Layout } from "../../src/nn/state";
import { type Protected, protect } from "../../src/passport";
import { add, mul } from "../../src/tensor/ops/elementwise";
import { sum } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu } from "../support/gpu";
import { Mapped, passportOf, scalesOf } from "../support/passports";

const IMAGE = [4, 8, 8, 32] as const;
const INPUT = [4, 8, 8, 16] as const;

beforeAll(async () => void (await gpu()));

type Block = Protected<Mapped>;

/** Beginnings of the authors' names, and what they are in a network of a `map` and a `norm`. */
const NAMES: readonly (readonly [theirs: string, ours: string])[] = [
  ["conv.weight", "map.weight"],
  ["weight", "map.weight"],
  ["scale", "norm.weight"],
  ["bias", "norm.bias"],
  ["bn1.", "norm.passport.norm."],
  ["bn0.", "norm."],
  ["bn.", "norm."],
  ["key_private", "norm.passport.key"],
  ["skey_private", "norm.passport.skey"],
  ["key", "norm.passport.key"],
  ["skey", "norm.passport.skey"],
  ["b", "norm.passport.b"],
  ["fc.", "norm.passport.fc."],
];

/** What a tensor of the authors' block is called here. */
function nameOf(theirs: string): string {
  const pair = NAMES.find(([begin]) => (begin.endsWith(".") ? theirs.startsWith(begin) : theirs === begin));
  if (!pair) throw new Error(`no name for ${theirs}`);
  return pair[1] + theirs.slice(pair[0].length);
}

/**
 * The reference's state under our names, without the second names of tensors, and with the counters
 * it leaves out.
 */
function goldenState(golden: Golden, ...second: string[]): StateDict {
  const state: StateDict = new Map();
  const none: HostTensor = { dtype: "I64", shape: [], data: BigInt64Array.of(0n) };
  for (const [name, value] of golden.file.tensors) {
    const theirs = name.startsWith("state.") ? name.slice(6) : null;
    if (theirs === null || second.includes(theirs)) continue;
    const own = nameOf(theirs);
    state.set(own, value);
    if (own.endsWith("running_mean")) state.set(own.replace("running_mean", "num_batches_tracked"), none);
  }
  return state;
}

const AWARE_TWICE = ["conv.weight", "sign_loss_private.b"];
const ONLY_TWICE = ["weight", "sign_loss.b"];
/** 16 → 32 channels, 3×3, padding 1, on maps of 8×8. */
function block(norm: BranchNormName, scheme: "pan" | "v1", fc?: boolean): Block {
  const map = new Conv2d(16, 32, 3, { padding: 1, bias: false, random: new Generator(1) });
  return protect(new Mapped(map, makeNorm(norm, 32, { relu: true, affine: true })), {
    scheme,
    at: true,
    sample: [1, 8, 8, 16],
    random: new Generator(1),
    ...(fc !== undefined && { fc }),
    ...(scheme === "pan" && { statistics: norm === "sbn" ? "shared" : "separate" }),
  });
}

/** A reference tensor in our order. */
function ours(golden: Golden, name: string, layout: Layout, shape: readonly number[]): Float32Array {
  return fromTorch(golden.file.tensors.get(name)!, shape, layout, name);
}

const upload = (golden: Golden, name: string, shape: readonly number[]) =>
  Tensor.from(ours(golden, name, "image", shape), shape);

function input(golden: Golden): Tensor {
  const x = upload(golden, "x", INPUT);
  x.requiresGrad = true;
  return x;
}

function train(passports: Tensor[], on: boolean): void {
  for (const p of passports) p.requiresGrad = on;
}

/** Every gradient that the reference has, against those on the network and on x. */
async function expectGradients(golden: Golden, owned: Block, x: Tensor): Promise<void> {
  const own: [name: string, tensor: Tensor, layout: Layout][] = [
    ["x", x, "image"],
    ...[...owned.namedTensors()].map(([name, t, r]) => [name, t, r.layout] as [string, Tensor, Layout]),
  ];
  const names = [...golden.file.tensors.keys()].flatMap((n) => (n.startsWith("grad.") ? [n.slice(5)] : []));
  expect(names.length).toBeGreaterThan(3);
  for (const name of names) {
    const [, t, layout] = own.find(([n]) => n === (name === "x" ? name : nameOf(name)))!;
    const expected = ours(golden, `grad.${name}`, layout, t.shape);
    // Sums over 256 positions cancel: rounding is relative to the largest entry, not to the
    // smallest.
    const atol = 1e-5 * Math.max(...expected.map(Math.abs));
    expectClose(await t.grad!.data(), expected, { atol, what: name });
  }
}

/** Running statistics after one step, as far as the reference has any; `batches` each has seen. */
async function expectStatistics(golden: Golden, owned: Block, batches: bigint): Promise<void> {
  const state = await owned.stateDict();
  const names = [...golden.file.tensors.keys()].flatMap((n) => (n.startsWith("after.") ? [n.slice(6)] : []));
  for (const name of names)
    expectClose(toFloat32(state.get(nameOf(name))!), golden.data(`after.${name}`), { what: name });
  const counters = [...state].filter(([name]) => name.endsWith("num_batches_tracked"));
  expect(counters.length * 2).toBe(names.length);
  for (const [, count] of counters) expect(count.data[0]).toBe(batches);
}

/**
 * avg(W * P) of the reference's weights and one of its passports, over the 8×8 output positions of
 * a 3×3 convolution with padding 1, in float64.
 */
function averages(golden: Golden, key: string): number[] {
  const [w, p] = [golden.data("state.weight"), golden.data(`state.${key}`)];
  const out = Array.from({ length: 8 }, (_, i) => i);
  const pixel = (i: number, y: number, x: number) =>
    Math.min(y, x) < 0 || Math.max(y, x) > 7 ? 0 : p[(i * 8 + y) * 8 + x]!;
  return Array.from({ length: 32 }, (_, o) => {
    let sum = 0;
    for (let i = 0; i < 16; i++)
      for (let u = 0; u < 3; u++)
        for (let v = 0; v < 3; v++)
          for (const y of out)
            for (const x of out) sum += w[((o * 16 + i) * 3 + u) * 3 + v]! * pixel(i, y + u - 1, x + v - 1);
    return sum / 64;
  });
}

/** One training pass as the reference made it; gradients are left on the network and on x. */
function pass(golden: Golden, owned: Block, x: Tensor, shared: boolean) {
  return scope(() => {
    const [g0, g1] = [upload(golden, "g0", IMAGE), upload(golden, "g1", IMAGE)];
    const scales = scalesOf(passportOf(owned));
    const signLoss = { alpha: 0.1 };
    const both = shared ? owned.trainingPass(x, { signLoss }) : null;
    const open = both ? both.outputs.public! : owned.forward(x, "public");
    const secret = both ? both.outputs.private! : owned.forward(x, "private");
    const signs = both ? both.signLoss! : passportOf(owned).signLoss(scales.gammaRaw, signLoss);
    const loss = add(add(sum(mul(open, g0)), sum(mul(secret, g1))), mul(signs, 10));
    loss.backward();
    return { open, secret, signs, loss, scales: { ...scales } };
  });
}

const AWARE: [name: string, norm: BranchNormName, fc: boolean][] = [
  ["pan_block_bn", "bn", true],
  ["pan_block_gn", "gn", true],
  ["pan_block_in", "in", true],
  ["pan_block_sbn_nofc", "sbn", false],
  ["deepipr_v2_block_gn", "gn", false],
];

const load = ([name, norm, fc]: (typeof AWARE)[number]) => {
  const golden = new Golden(name);
  const state = goldenState(golden, ...AWARE_TWICE);
  const owned = block(norm, "pan", fc);
  owned.loadStateDict(state);
  return { golden, owned, state };
};

describe.each(
  AWARE.flatMap((c) => [
    [c[0], "each branch from x", c, false] as const,
    [c[0], "one convolution for both branches", c, true] as const,
  ]),
)("%s, %s", (_name, _how, config, shared) => {
  const run: { golden: Golden; at: Block; x: Tensor; out: ReturnType<typeof pass> } = {} as never;
  beforeAll(() => {
    const { golden, owned } = load(config);
    if (golden.has("grad.key_private")) train(Object.values(passportOf(owned).passports), true);
    const x = input(golden);
    Object.assign(run, { golden, at: owned, x, out: pass(golden, owned, x, shared) });
  });

  it("gives both branches' outputs", async () => {
    const { golden, out } = run;
    expectClose(await out.open.data(), ours(golden, "out.public", "image", IMAGE), { what: "public" });
    expectClose(await out.secret.data(), ours(golden, "out.private", "image", IMAGE), { what: "private" });
  });

  it("gives γ before and after the FC, β, the sign loss, and the share of signs", async () => {
    const { golden, at, out } = run;
    const { scales, signs, loss } = out;
    expectClose(await signs.data(), golden.data("sign_loss"), { what: "sign loss" });
    expectClose(await loss.data(), golden.data("loss"), { what: "loss" });
    const gamma = await passportOf(at).readGamma();
    expectClose(gamma, await scales.gammaRaw.data(), { what: "readGamma" });
    const bits = await passportOf(at).b.data();
    const right = [...gamma].map((g, i) => (g * bits[i]! > 0 ? 1 : 0) as number);
    if (golden.has("gamma.raw")) {
      expectClose(await scales.gammaRaw.data(), golden.data("gamma.raw"), { what: "γ_raw" });
      expectClose(await scales.gamma.data(), golden.data("gamma.effective"), { what: "γ" });
      expectClose(await scales.beta.data(), golden.data("beta.effective"), { what: "β" });
      expect(right.reduce((a, b) => a + b) / 32).toBeCloseTo(golden.data("sign_accuracy")[0]!, 6);
    } else {
      // V2's file leaves them out: γ and β follow from its passports and weights by the definition,
      // without an FC.
      expect([...(await scales.gamma.data())]).toEqual([...gamma]);
      const [raw, shift] = ["skey_private", "key_private"].map((key) => averages(golden, key));
      expectClose(await scales.gammaRaw.data(), raw!, { what: "γ_raw" });
      expectClose(await scales.beta.data(), shift!, { what: "β" });
      expect(right).toEqual(raw!.map((g, i) => (g * golden.data("state.b")[i]! > 0 ? 1 : 0)));
    }
  });

  it("gives every gradient, those of the passports too", async () => {
    await expectGradients(run.golden, run.at, run.x);
    expect(passportOf(run.at).b.grad).toBeNull();
  });

  it("moves the running statistics", () => expectStatistics(run.golden, run.at, config[1] === "sbn" ? 2n : 1n));

  it("gives the evaluation outputs from the statistics it gathered", async () => {
    run.at.eval();
    for (const branch of ["public", "private"] as const) {
      const y = scope(() => noGrad(() => run.at.forward(run.x, branch)));
      expectClose(await y.data(), ours(run.golden, `eval.${branch}`, "image", IMAGE), { what: branch });
      y.dispose();
    }
  });
});

describe.each([
  ["deepipr_v1_block_bn", "bn"],
  ["deepipr_v1_block_gn", "gn"],
] as const)("%s", (name, norm) => {
  it("gives output, γ, β, sign loss, gradients, statistics and evaluation output", async () => {
    const golden = new Golden(name);
    const owned = block(norm, "v1");
    const passport = passportOf(owned);
    owned.loadStateDict(goldenState(golden, ...ONLY_TWICE));
    train(Object.values(passport.passports), true);
    const x = input(golden);
    const { y, signs, loss, gamma, beta } = scope(() => {
      const scales = scalesOf(passport);
      const y = owned.forward(x);
      const signs = passport.signLoss(scales.gammaRaw);
      const loss = add(sum(mul(y, upload(golden, "g", IMAGE))), mul(signs, 10));
      loss.backward();
      return { y, signs, loss, gamma: scales.gamma, beta: scales.beta };
    });
    expectClose(await y.data(), ours(golden, "out", "image", IMAGE), { what: "out" });
    expectClose(await gamma.data(), golden.data("gamma"), { what: "γ" });
    expectClose(await beta.data(), golden.data("beta"), { what: "β" });
    expectClose(await passport.readGamma(), golden.data("gamma"), { what: "readGamma" });
    expectClose(await signs.data(), golden.data("sign_loss"), { what: "sign loss" });
    expectClose(await loss.data(), golden.data("loss"), { what: "loss" });
    await expectGradients(golden, owned, x);
    await expectStatistics(golden, owned, 1n);
    owned.eval();
    const after = scope(() => noGrad(() => owned.forward(x)));
    expectClose(await after.data(), ours(golden, "eval", "image", IMAGE), { what: "eval" });
  });
});

describe("names", () => {
  it.each(AWARE)("%s: the authors' tensors, each under a name of ours, in their shapes", async (...config) => {
    const { owned, state } = load(config);
    const own = await owned.stateDict();
    expect([...own.keys()].sort()).toEqual([...state.keys()].sort());
    for (const [name, value] of state) expect(own.get(name)!.shape, name).toEqual(value.shape);
  });
});

describe("a passport", () => {
  const small = (seed = 1): Block => {
    const map = new Conv2d(2, 8, 3, { padding: 1, bias: false, random: new Generator(seed) });
    const norm = makeNorm("bn", 8, { relu: true });
    const options = { scheme: "pan", at: { norm: "A" }, sample: [1, 4, 4, 2], random: new Generator(seed) } as const;
    return protect(new Mapped(map, norm), options);
  };

  it("leaves it to the map which inputs are refused, in every branch", () => {
    const owned = small();
    for (const branch of owned.branches) {
      expect(() => owned.forward(Tensor.full([1, 4, 4, 3], 0), branch)).toThrow(ShapeError);
      expect(() => owned.forward(Tensor.full([4, 4, 2], 0), branch)).toThrow(ShapeError);
    }
  });

  it("follows its tensors: set, drawn anew, or loaded", async () => {
    const [owned, other] = [small(), small(2)];
    const layer = passportOf(owned);
    const gamma = await layer.readGamma();
    scope(() => void scalesOf(layer));
    layer.randomPassports(new Generator(5));
    const fresh = scope(() => scalesOf(layer).gammaRaw);
    expectClose(await fresh.data(), await layer.readGamma(), { what: "after randomPassports" });
    expect([...(await fresh.data())]).not.toEqual([...gamma]);
    owned.loadStateDict(await other.stateDict());
    const loaded = scope(() => scalesOf(layer).gammaRaw);
    expectClose(await loaded.data(), await passportOf(other).readGamma(), { what: "after loadStateDict" });
    const twos = new Float32Array(32).fill(2);
    layer.setPassports({ gamma: twos, beta: twos });
    const { gammaRaw, gamma: effective, beta } = scope(() => scalesOf(layer));
    expect([...(await effective.data())]).toEqual([...(await beta.data())]);
    expectClose(await gammaRaw.data(), await layer.readGamma(), { what: "after setPassports" });
    expect(() => layer.setPassports({ gamma: new Float32Array(3), beta: twos })).toThrow(ShapeError);
  });

  it("reads γ without leaving tensors behind, and frees everything on dispose", async () => {
    const before = memory();
    const owned = small();
    scope(() => void scalesOf(passportOf(owned)));
    const made = memory();
    await passportOf(owned).readGamma();
    expect(memory()).toMatchObject({ tensors: made.tensors, bytes: made.bytes });
    owned.dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });
});
