/**
 * Passports at norms behind maps of every kind against their formula, written with the plain
 * operations: avg(W * P) by the map itself, norm, γ, β, ReLU.
 */

import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, LifetimeError, ShapeError } from "../../src/errors";
import { BRANCH_NORM_NAMES, type BranchNormName, checkNorm } from "../../src/models/norm-names";
import { makeNorm } from "../../src/models/norms";
import type { BatchNorm } from "../../src/nn/batch-norm";
import { Conv1d, Conv2d } from "../../src/nn/conv";
import { Linear } from "../../src/nn/linear";
import { type Passport, type Protected, protect } from "../../src/passport";
import { add, mul, relu, reshape } from "../../src/tensor/ops/elementwise";
import { batchNorm, groupNorm, instanceNorm, layerNorm } from "../../src/tensor/ops/norm/norm";
import { conv1d, conv2d } from "../../src/tensor/ops/products/conv";
import { linear } from "../../src/tensor/ops/products/matmul";
import { mean } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { recordStep } from "../../src/tensor/recorded";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, randomTensor } from "../support/gpu";
import { Mapped, passportOf, scalesOf } from "../support/passports";

beforeAll(async () => void (await gpu()));

const plane = { stride: [2, 1] as const, padding: 1, groups: 2 };
const line = { stride: 2, padding: 2, dilation: 2, groups: 2 };
/** A network of one map and one norm, and how it is protected. */
interface Made {
  norm?: BranchNormName;
  relu?: boolean;
  fc?: boolean;
  bias?: boolean;
}
type Small = Protected<Mapped>;
const mapOptions = () => ({ bias: false, random: new Generator(4) });
const maps = {
  conv2d: (o = {}) => new Conv2d(4, 32, 3, { ...plane, ...mapOptions(), ...o }),
  conv1d: (o = {}) => new Conv1d(4, 32, 3, { ...line, ...mapOptions(), ...o }),
  linear: (o = {}) => new Linear(4, 32, { ...mapOptions(), ...o }),
  positions: (o = {}) => new Linear(4, 32, { ...mapOptions(), ...o }),
};
/** A network of two branches, and one that works with its passports only. */
const networks = (kind: keyof typeof maps, input: number[]) => {
  const make = ({ norm = "bn", relu = true, bias = false }: Made) =>
    new Mapped(maps[kind]({ bias }), makeNorm(norm, 32, { relu, affine: true }));
  const seeded = () => ({
    random: new Generator(3),
    signature: "A",
    at: true as const,
    sample: [1, ...input.slice(1)],
  });
  return {
    input,
    aware: ({ fc = true, ...o }: Made = {}): Small => {
      const statistics = o.norm === "sbn" ? "shared" : "separate";
      return protect(make(o), { scheme: "pan", fc, statistics, ...seeded() });
    },
    only: (o: Made = {}): Small => protect(make(o), { scheme: "v1", ...seeded() }),
  };
};

const KINDS = {
  conv2d: {
    ...networks("conv2d", [3, 5, 6, 4]),
    map: (x: Tensor, w: Tensor) => conv2d(x, w, null, plane),
  },
  conv1d: {
    ...networks("conv1d", [3, 9, 4]),
    map: (x: Tensor, w: Tensor) => conv1d(x, w, null, line),
  },
  linear: {
    ...networks("linear", [5, 4]),
    map: (x: Tensor, w: Tensor) => linear(x, w),
  },
  positions: {
    ...networks("positions", [3, 5, 4]),
    map: (x: Tensor, w: Tensor) => linear(x, w),
  },
};
type Kind = keyof typeof KINDS;

const NORMS: Record<string, (h: Tensor) => Tensor> = {
  bn: (h) => batchNorm(h, { training: true }),
  sbn: (h) => batchNorm(h, { training: true }),
  gn: (h) => groupNorm(h, 2),
  in: (h) => instanceNorm(h),
  gn1: (h) => layerNorm(h, h.shape.slice(1)),
  ln: (h) => layerNorm(h, h.shape.slice(-1)),
  none: (h) => h,
};

const cases = (Object.keys(KINDS) as Kind[]).flatMap((kind) =>
  Object.keys(NORMS).flatMap((norm) => (kind === "linear" && norm === "in" ? [] : [[kind, norm] as const])),
);

const average = (t: Tensor) =>
  mean(
    t,
    t.shape.slice(0, -1).map((_, d) => d),
  );

/** The network's branch by plain operations. */
function formula(kind: Kind, norm: string, owned: Small, x: Tensor, gamma: Tensor, beta: Tensor, end = relu) {
  return end(add(mul(NORMS[norm]!(KINDS[kind].map(x, owned.network.map.weight)), gamma), beta));
}

/** Output and gradients of x, weight and passports for one seed gradient. */
async function measure(y: () => Tensor, leaves: Tensor[]) {
  for (const t of leaves) t.zeroGrad();
  const out = scope(() => {
    const t = y();
    const g = randomTensor(t.shape, 77);
    t.backward(g);
    return t;
  });
  return [await out.data(), ...(await Promise.all(leaves.map((t) => t.grad!.data())))];
}

function expectSame(got: Float32Array[], want: Float32Array[]): void {
  for (const [i, w] of want.entries()) {
    const atol = 1e-5 * Math.max(1, ...w.map(Math.abs));
    expectClose(got[i]!, w, { atol, what: ["output", "dx", "dW", "dP_γ", "dP_β"][i]! });
  }
}

describe("two branches", () => {
  it.each(cases)("%s with %s equals the formula, gradients of the passports too", async (kind, norm) => {
    const owned = KINDS[kind].aware({ norm: norm as BranchNormName, fc: false });
    const { map, norm: own } = owned.network;
    const { gamma: skey, beta: key } = passportOf(owned).passports;
    const x = randomTensor(KINDS[kind].input, 5);
    const leaves = [x, map.weight, skey, key];
    for (const t of leaves) t.requiresGrad = true;
    const avg = (p: Tensor) => average(KINDS[kind].map(p, map.weight));
    const want = await measure(() => formula(kind, norm, owned, x, avg(skey), avg(key)), leaves);
    expectSame(await measure(() => owned.forward(x, "private"), leaves), want);
    const [gamma, beta] = [own.weight!, own.bias!];
    gamma.write(Float32Array.from({ length: 32 }, (_, i) => Math.sin(i)));
    beta.write(Float32Array.from({ length: 32 }, (_, i) => Math.cos(i)));
    const open = await measure(() => formula(kind, norm, owned, x, gamma, beta), leaves.slice(0, 2));
    expectSame(await measure(() => owned.forward(x), leaves.slice(0, 2)), open);
    // Protecting changes nothing of the network's own.
    const y = owned.network.forward(x);
    expect(await owned.forward(x).data()).toEqual(await y.data());
  });

  it.each(Object.keys(KINDS) as Kind[])("%s sends γ and β through one FC", async (kind) => {
    const owned = KINDS[kind].aware();
    const passport = passportOf(owned);
    const [raw, beta, want] = scope(() => {
      const { gammaRaw, beta } = scalesOf(passport);
      const direct = average(KINDS[kind].map(passport.passports.beta, owned.network.map.weight));
      return [gammaRaw, beta, passport.fc!.forward(reshape(direct, [1, 32]))];
    }) as [Tensor, Tensor, Tensor];
    expectClose(await beta.data(), await want.data(), { what: "β" });
    expectClose(await passport.readGamma(), await raw.data(), { what: "γ_raw" });
    expectClose((await owned.readGammaBeta()).get("norm")!.beta, await beta.data(), { what: "β, read" });
  });
});

describe("one branch", () => {
  it.each(cases.filter(([, norm]) => norm !== "sbn"))("%s with %s equals the formula", async (kind, norm) => {
    const owned = KINDS[kind].only({ norm: norm as BranchNormName });
    const { map } = owned.network;
    const { gamma: skey, beta: key } = passportOf(owned).passports;
    const x = randomTensor(KINDS[kind].input, 5);
    const leaves = [x, map.weight, skey, key];
    for (const t of leaves) t.requiresGrad = true;
    const avg = (p: Tensor) => average(KINDS[kind].map(p, map.weight));
    const want = await measure(() => formula(kind, norm, owned, x, avg(skey), avg(key)), leaves);
    expectSame(await measure(() => owned.forward(x), leaves), want);
  });

  it("has the network's names and the passport's, in PyTorch's shapes, and no γ and β of the norm's own", async () => {
    const shapes = async (owned: Small) =>
      Object.fromEntries([...(await owned.stateDict())].map(([name, t]) => [name, t.shape]));
    expect(await shapes(KINDS.conv2d.only({ norm: "gn" }))).toEqual({
      "norm.passport.b": [32],
      "norm.passport.key": [1, 4, 5, 6],
      "norm.passport.skey": [1, 4, 5, 6],
      "map.weight": [32, 2, 3, 3],
    });
    expect(await shapes(KINDS.conv1d.only({ norm: "none" }))).toEqual({
      "norm.passport.b": [32],
      "norm.passport.key": [1, 4, 9],
      "norm.passport.skey": [1, 4, 9],
      "map.weight": [32, 2, 3],
    });
    expect(await shapes(KINDS.linear.only())).toEqual({
      "norm.passport.b": [32],
      "norm.passport.key": [1, 4],
      "norm.passport.skey": [1, 4],
      "map.weight": [32, 4],
      "norm.running_mean": [32],
      "norm.running_var": [32],
      "norm.num_batches_tracked": [],
    });
    expect(KINDS.conv2d.only().parameters()).toHaveLength(1);
  });

  it("of two branches has both", async () => {
    const state = await KINDS.positions.aware().stateDict();
    expect(Object.fromEntries([...state].map(([name, t]) => [name, t.shape]))).toEqual({
      "map.weight": [32, 4],
      ...Object.fromEntries(["weight", "bias", "running_mean", "running_var"].map((n) => [`norm.${n}`, [32]])),
      "norm.num_batches_tracked": [],
      "norm.passport.b": [32],
      "norm.passport.key": [1, 5, 4],
      "norm.passport.skey": [1, 5, 4],
      "norm.passport.fc.0.weight": [8, 32],
      "norm.passport.fc.2.weight": [32, 8],
      "norm.passport.norm.running_mean": [32],
      "norm.passport.norm.running_var": [32],
      "norm.passport.norm.num_batches_tracked": [],
    });
  });
});

describe("passports in training", () => {
  it("are never taken from the cache, and are cached again afterwards", async () => {
    const layer = passportOf(KINDS.linear.aware());
    const gamma = async () => (await scope(() => noGrad(() => scalesOf(layer).gammaRaw)).data()).slice();
    const before = await gamma();
    layer.passports.gamma.requiresGrad = true;
    for (const value of [1, 2]) {
      layer.passports.gamma.fill(value);
      expectClose(await gamma(), await layer.readGamma(), { what: `filled with ${value}` });
    }
    expect(await gamma()).not.toEqual(before);
    layer.passports.gamma.requiresGrad = false;
    expectClose(await gamma(), await layer.readGamma(), { what: "fixed again" });
    const held = memory().tensors;
    scope(() => void scalesOf(layer));
    expect(memory().tensors).toBe(held);
  });
});

describe("a linear layer with a bias of its own", () => {
  const options = { norm: "none", relu: false, bias: true } as const;

  it.each([
    ["two branches", "private", () => KINDS.linear.aware({ ...options, fc: false })],
    ["one branch", "passport", () => KINDS.linear.only(options)],
  ] as const)("has it in W * x, in γ and in β: %s", async (_, branch, make) => {
    const owned = make();
    const { weight } = owned.network.map;
    const bias = randomTensor([32], 8);
    const state = await owned.stateDict();
    expect(state.get("map.bias")!.shape).toEqual([32]);
    state.set("map.bias", { dtype: "F32", shape: [32], data: await bias.data() });
    owned.loadStateDict(state);
    const x = randomTensor([5, 4], 5);
    const { gamma: skey, beta: key } = passportOf(owned).passports;
    const leaves = [x, weight, skey, key];
    for (const t of leaves) t.requiresGrad = true;
    const map = (t: Tensor) => linear(t, weight, bias);
    const avg = (p: Tensor) => reshape(map(p), [32]);
    const want = await measure(() => add(mul(map(x), avg(skey)), avg(key)), leaves);
    expectSame(await measure(() => owned.forward(x, branch), leaves), want);
    expectClose(await passportOf(owned).readGamma(), await scope(() => noGrad(() => avg(skey))).data());
    for (const t of [x, bias]) t.dispose();
    owned.dispose();
  });
});

describe("statistics that both branches share", () => {
  it("are the norm's own, moved by each branch's own batch in turn, and used by both in evaluation", async () => {
    const owned = KINDS.linear.aware({ fc: false, norm: "sbn" });
    const { map, norm } = owned.network;
    const { runningMean, runningVar } = norm as BatchNorm;
    expect(owned.sites[0]!.secret.norm).toBeNull();
    const [x, z] = [randomTensor([5, 4], 5), randomTensor([5, 4], 6)];
    scope(() => void [owned.forward(x, "public"), owned.forward(z, "private")]);
    const means = await Promise.all([x, z].map((t) => scope(() => noGrad(() => average(map.forward(t)))).data()));
    expectClose(
      await runningMean.data(),
      means[0]!.map((m, i) => 0.9 * 0.1 * m + 0.1 * means[1]![i]!),
    );
    owned.eval();
    for (const branch of ["public", "private"] as const) {
      const [y, want] = scope(() => {
        const { gamma, beta } =
          branch === "public" ? { gamma: norm.weight!, beta: norm.bias! } : scalesOf(passportOf(owned));
        const h = batchNorm(map.forward(x), { gamma, beta, runningMean, runningVar, training: false });
        return [owned.forward(x, branch), relu(h)];
      }) as [Tensor, Tensor];
      expectClose(await y.data(), await want.data(), { what: branch });
    }
    for (const t of [x, z, owned]) t.dispose();
  });
});

describe("options and errors", () => {
  it.each(["bn", "gn", "none"] as const)("a norm without a ReLU has none in any branch, with %s", async (norm) => {
    const x = randomTensor(KINDS.linear.input, 5);
    for (const owned of [
      KINDS.linear.aware({ norm, relu: false, fc: false }),
      KINDS.linear.only({ norm, relu: false }),
    ]) {
      const [y, want] = scope(() => {
        const { gamma, beta } = scalesOf(passportOf(owned));
        const branch = owned.branches.at(-1)!;
        return [owned.forward(x, branch), formula("linear", norm, owned, x, gamma, beta, (t) => t)];
      }) as [Tensor, Tensor];
      expectClose(await y.data(), await want.data());
      expect((await y.data()).some((v) => v < 0)).toBe(true);
    }
  });

  it("refuses branches that a network does not have", () => {
    const x = randomTensor(KINDS.linear.input, 5);
    expect(() => KINDS.linear.aware().forward(x, "passport")).toThrow(ArgumentError);
    for (const branch of ["public", "private"] as const)
      expect(() => KINDS.linear.only().forward(x, branch)).toThrow(/the branch "passport", found/);
  });

  it("refuses norms that are not there or do not fit", () => {
    const check = (norm: unknown, channels = 32, positions = true) =>
      checkNorm(norm, BRANCH_NORM_NAMES, channels, positions);
    expect(() => check("batch")).toThrow(/bn, sbn, gn, gn1, in, ln, none/);
    expect(() => check("in", 32, false)).toThrow(/"ln"/);
    expect(() => check("gn", 33)).toThrow(/multiple of 16/);
    expect(() => check("gn", 7)).not.toThrow();
  });

  it("refuses groups that do not divide the channels, samples of another shape, and an FC of one branch", () => {
    expect(() => maps.conv1d({ groups: 3 })).toThrow(ArgumentError);
    const net = () => new Mapped(maps.conv2d(), makeNorm("bn", 32, {}));
    const options = { scheme: "pan", at: true, random: new Generator(3) } as const;
    expect(() => protect(net(), { ...options, sample: [1, 5, 4] })).toThrow(ShapeError);
    expect(() => protect(net(), { ...options, sample: [1, 5, 6, 3] })).toThrow(ShapeError);
    expect(() => protect(net(), { ...options, sample: [1, 5, 6, 4], scheme: "v1", fc: true })).toThrow(/fc belongs to/);
  });

  it("takes inputs of whatever size the network does; γ and β stay those of the passports' size", async () => {
    const owned = KINDS.conv1d.aware({ norm: "none", fc: false });
    const { gamma, beta } = (await owned.readGammaBeta()).get("norm")!;
    const x = randomTensor([3, 14, 4], 1);
    const [y, want] = scope(() => [
      owned.forward(x, "private"),
      formula("conv1d", "none", owned, x, Tensor.from(gamma), Tensor.from(beta)),
    ]) as [Tensor, Tensor];
    expectClose(await y.data(), await want.data());
  });

  it("frees everything on dispose", () => {
    const before = memory();
    const owned = KINDS.conv2d.only();
    scope(() => void scalesOf(passportOf(owned)));
    owned.dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });
});

describe("γ of a layer whose passports change", () => {
  const gammas = async (layer: Passport) => {
    const raw = scope(() => noGrad(() => layer.gammaBeta().raw));
    return (await raw.data()).slice(0, 32);
  };

  it("is of the passports as they are, however they were changed", async () => {
    const layer = passportOf(KINDS.linear.aware());
    const before = await gammas(layer);
    expect(await gammas(layer)).toEqual(before);
    layer.passports.gamma.write([1, 2, 3, 4]);
    const after = await gammas(layer);
    expect(after).not.toEqual(before);
    expect(after).toEqual(await layer.readGamma());
    layer.dispose();
  });

  it("is not replayed with the old ones", async () => {
    const layer = passportOf(KINDS.linear.aware());
    await gammas(layer);
    const step = recordStep(() => layer.gammaBeta().raw);
    step.replay();
    layer.randomPassports(new Generator(9));
    expect(() => step.replay()).toThrow(LifetimeError);
    step.dispose();
    layer.dispose();
  });
});
