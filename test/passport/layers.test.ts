/**
 * Passport layers of every kind against their formula, written with the plain operations: avg(W *
 * P) by the map itself, norm, γ, β, ReLU.
 */

import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, LifetimeError, ShapeError } from "../../src/errors";
import { sharedStatistics } from "../../src/models/compat/shared-statistics";
import type { BatchNorm } from "../../src/nn/batch-norm";
import { Conv1d, Conv2d } from "../../src/nn/conv";
import { Linear } from "../../src/nn/linear";
import { PassportLayer } from "../../src/passport/layer";
import { add, mul, relu, reshape } from "../../src/tensor/ops/elementwise";
import { batchNorm, groupNorm, instanceNorm, layerNorm } from "../../src/tensor/ops/norm/norm";
import { conv1d, conv2d } from "../../src/tensor/ops/products/conv";
import { linear } from "../../src/tensor/ops/products/matmul";
import { mean } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { recordStep } from "../../src/tensor/recorded";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, type Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, randomTensor } from "../support/gpu";
import { scalesOf } from "../support/passports";

beforeAll(async () => void (await gpu()));

const plane = { stride: [2, 1] as const, padding: 1, groups: 2 };
const line = { stride: 2, padding: 2, dilation: 2, groups: 2 };
const seeded = () => ({ random: new Generator(3), signature: "A" });
const mapOptions = () => ({ bias: false, random: new Generator(4) });
const maps = {
  conv2d: (o = {}) => new Conv2d(4, 32, 3, { ...plane, ...mapOptions(), ...o }),
  conv1d: (o = {}) => new Conv1d(4, 32, 3, { ...line, ...mapOptions(), ...o }),
  linear: (o = {}) => new Linear(4, 32, { ...mapOptions(), ...o }),
  positions: (o = {}) => new Linear(4, 32, { ...mapOptions(), ...o }),
};
/** A layer of two branches, and one that works with its passports only. */
const layers = (kind: keyof typeof maps, inputSize: number[]) => ({
  aware: (o: object) => new PassportLayer(maps[kind](), { inputSize, ...seeded(), ...o }),
  only: (o: object) => new PassportLayer(maps[kind](), { inputSize, publicBranch: false, ...seeded(), ...o }),
});

const KINDS = {
  conv2d: {
    input: [3, 5, 6, 4],
    ...layers("conv2d", [5, 6]),
    map: (x: Tensor, w: Tensor) => conv2d(x, w, null, plane),
  },
  conv1d: {
    input: [3, 9, 4],
    ...layers("conv1d", [9]),
    map: (x: Tensor, w: Tensor) => conv1d(x, w, null, line),
  },
  linear: {
    input: [5, 4],
    ...layers("linear", []),
    map: (x: Tensor, w: Tensor) => linear(x, w),
  },
  positions: {
    input: [3, 5, 4],
    ...layers("positions", [5]),
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

/** The layer's branch by plain operations. */
function formula(kind: Kind, norm: string, layer: PassportLayer, x: Tensor, gamma: Tensor, beta: Tensor, end = relu) {
  return end(add(mul(NORMS[norm]!(KINDS[kind].map(x, layer.weight)), gamma), beta));
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
    const layer = KINDS[kind].aware({ norm, fc: false });
    const x = randomTensor(KINDS[kind].input, 5);
    const leaves = [x, layer.weight, layer.passports.gamma, layer.passports.beta];
    for (const t of leaves) t.requiresGrad = true;
    const avg = (p: Tensor) => average(KINDS[kind].map(p, layer.weight));
    const want = await measure(
      () => formula(kind, norm, layer, x, avg(layer.passports.gamma), avg(layer.passports.beta)),
      leaves,
    );
    expectSame(await measure(() => layer.forward(x, "private"), leaves), want);
    layer.gamma!.write(Float32Array.from({ length: 32 }, (_, i) => Math.sin(i)));
    layer.beta!.write(Float32Array.from({ length: 32 }, (_, i) => Math.cos(i)));
    const open = await measure(() => formula(kind, norm, layer, x, layer.gamma!, layer.beta!), leaves.slice(0, 2));
    expectSame(await measure(() => layer.forward(x), leaves.slice(0, 2)), open);
  });

  it.each(Object.keys(KINDS) as Kind[])("%s sends γ and β through one FC", async (kind) => {
    const layer = KINDS[kind].aware({});
    const [raw, beta, want] = scope(() => {
      const { gammaRaw, beta } = scalesOf(layer);
      const direct = average(KINDS[kind].map(layer.passports.beta, layer.weight));
      return [gammaRaw, beta, layer.fc!.forward(reshape(direct, [1, 32]))];
    }) as [Tensor, Tensor, Tensor];
    expectClose(await beta.data(), await want.data(), { what: "β" });
    expectClose(await layer.readGamma(), await raw.data(), { what: "γ_raw" });
  });
});

describe("one branch", () => {
  it.each(cases.filter(([, norm]) => norm !== "sbn"))("%s with %s equals the formula", async (kind, norm) => {
    const layer = KINDS[kind].only({ norm });
    const x = randomTensor(KINDS[kind].input, 5);
    const leaves = [x, layer.weight, layer.passports.gamma, layer.passports.beta];
    for (const t of leaves) t.requiresGrad = true;
    const avg = (p: Tensor) => average(KINDS[kind].map(p, layer.weight));
    const want = await measure(
      () => formula(kind, norm, layer, x, avg(layer.passports.gamma), avg(layer.passports.beta)),
      leaves,
    );
    expectSame(await measure(() => layer.forward(x), leaves), want);
  });

  it("has the authors' names, in PyTorch's shapes", async () => {
    const shapes = async (layer: PassportLayer) =>
      Object.fromEntries([...(await layer.stateDict())].map(([name, t]) => [name, t.shape]));
    expect(await shapes(KINDS.conv2d.only({ norm: "gn" }))).toEqual({
      b: [32],
      key: [1, 4, 5, 6],
      skey: [1, 4, 5, 6],
      "conv.weight": [32, 2, 3, 3],
    });
    expect(await shapes(KINDS.conv1d.only({ norm: "none" }))).toEqual({
      b: [32],
      key: [1, 4, 9],
      skey: [1, 4, 9],
      "conv.weight": [32, 2, 3],
    });
    expect(await shapes(KINDS.linear.only({}))).toEqual({
      b: [32],
      key: [1, 4],
      skey: [1, 4],
      "linear.weight": [32, 4],
      "bn.running_mean": [32],
      "bn.running_var": [32],
      "bn.num_batches_tracked": [],
    });
    expect(KINDS.conv2d.only({}).parameters()).toHaveLength(1);
  });
});

describe("passports in training", () => {
  it("are never taken from the cache, and are cached again afterwards", async () => {
    const layer = KINDS.linear.aware({});
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
  const options = { ...seeded(), norm: "none" as const, relu: false };

  it.each([
    ["two branches", "private", () => new PassportLayer(maps.linear({ bias: true }), { ...options, fc: false })],
    [
      "one branch",
      "passport",
      () => new PassportLayer(maps.linear({ bias: true }), { ...options, publicBranch: false }),
    ],
  ] as const)("has it in W * x, in γ and in β: %s", async (_, branch, make) => {
    const layer = make();
    const bias = randomTensor([32], 8);
    const state = await layer.stateDict();
    expect(state.get("linear.bias")!.shape).toEqual([32]);
    state.set("linear.bias", { dtype: "F32", shape: [32], data: await bias.data() });
    layer.loadStateDict(state);
    const x = randomTensor([5, 4], 5);
    const { gamma: skey, beta: key } = layer.passports;
    const leaves = [x, layer.weight, skey, key];
    for (const t of leaves) t.requiresGrad = true;
    const map = (t: Tensor) => linear(t, layer.weight, bias);
    const avg = (p: Tensor) => reshape(map(p), [32]);
    const want = await measure(() => add(mul(map(x), avg(skey)), avg(key)), leaves);
    expectSame(await measure(() => layer.forward(x, branch as never), leaves), want);
    expectClose(await layer.readGamma(), await scope(() => noGrad(() => avg(skey))).data());
    for (const t of [x, bias]) t.dispose();
    layer.dispose();
  });

  it("has none unless asked for", () => {
    expect([...KINDS.linear.aware({}).namedTensors()].map(([name]) => name)).not.toContain("linear.bias");
    expect([...KINDS.linear.only({}).namedTensors()].map(([name]) => name)).not.toContain("linear.bias");
  });
});

describe("statistics that both branches share", () => {
  it("are bn0, moved by each branch's own batch in turn, and used by both in evaluation", async () => {
    const layer = new PassportLayer(maps.linear(), { ...seeded(), fc: false, norm: sharedStatistics(32, true) });
    const bn0 = layer.norms[0] as BatchNorm;
    expect(layer.norms[1]).toBe(bn0);
    const [x, z] = [randomTensor([5, 4], 5), randomTensor([5, 4], 6)];
    scope(() => void [layer.forward(x, "public"), layer.forward(z, "private")]);
    const means = await Promise.all([x, z].map((t) => scope(() => noGrad(() => average(layer.convolve(t)))).data()));
    expectClose(
      await bn0.runningMean.data(),
      means[0]!.map((m, i) => 0.9 * 0.1 * m + 0.1 * means[1]![i]!),
    );
    layer.eval();
    const { runningMean, runningVar } = bn0;
    for (const branch of ["public", "private"] as const) {
      const [y, want] = scope(() => {
        const { gamma, beta } = branch === "public" ? { gamma: layer.gamma!, beta: layer.beta! } : scalesOf(layer);
        const h = batchNorm(layer.convolve(x), { gamma, beta, runningMean, runningVar, training: false });
        return [layer.forward(x, branch), relu(h)];
      }) as [Tensor, Tensor];
      expectClose(await y.data(), await want.data(), { what: branch });
    }
    for (const t of [x, z, layer]) t.dispose();
  });
});

describe("options and errors", () => {
  it.each(["bn", "gn", "none"])("leaves the ReLU out on request, with %s", async (norm) => {
    const x = randomTensor(KINDS.linear.input, 5);
    for (const layer of [
      KINDS.linear.aware({ norm, relu: false, fc: false }),
      KINDS.linear.only({ norm, relu: false }),
    ]) {
      const [y, want] = scope(() => {
        const { gamma, beta } = scalesOf(layer);
        const branch = layer.branches.at(-1)!;
        const h = layer.convolve(x);
        return [layer.normalise(h, [branch]), formula("linear", norm, layer, x, gamma, beta, (t) => t)];
      }) as [Tensor, Tensor];
      expectClose(await y.data(), await want.data());
      expect((await y.data()).some((v) => v < 0)).toBe(true);
    }
  });

  it("refuses branches that a layer does not have", () => {
    const x = randomTensor(KINDS.linear.input, 5);
    expect(() => KINDS.linear.aware({}).forward(x, "passport")).toThrow(ArgumentError);
    for (const branch of ["public", "private"] as const)
      expect(() => KINDS.linear.only({}).forward(x, branch)).toThrow(/one branch "passport"/);
  });

  it("refuses norms that are not there or do not fit", () => {
    expect(() => KINDS.conv2d.aware({ norm: "batch" })).toThrow(/bn, sbn, gn, gn1, in, ln, none/);
    expect(() => KINDS.conv2d.only({ norm: "sbn" })).toThrow(ArgumentError);
    expect(() => KINDS.linear.aware({ norm: "in" })).toThrow(/"ln"/);
    expect(() => new PassportLayer(new Linear(4, 33), { norm: "gn", random: new Generator(1) })).toThrow(
      /multiple of 16/,
    );
    expect(() => new PassportLayer(new Linear(4, 7), { norm: "gn", random: new Generator(1) })).not.toThrow();
  });

  it("refuses groups that do not divide the channels, and inputs of another shape", () => {
    expect(() => maps.conv1d({ groups: 3 })).toThrow(ArgumentError);
    expect(() => KINDS.conv2d.aware({ inputSize: [5] })).toThrow(/\[H, W\] of a Conv2d, found \[5\]/);
    expect(() => KINDS.conv2d.only({ fc: true })).toThrow(/two branches/);
    expect(() => KINDS.conv1d.aware({}).forward(randomTensor([3, 8, 4], 1))).toThrow(/\[N, 9, 4\]/);
    expect(() => KINDS.linear.only({}).forward(randomTensor([3, 1, 4], 1))).toThrow(ShapeError);
  });

  it("frees everything on dispose", () => {
    const before = memory();
    const layer = KINDS.conv2d.only({});
    scope(() => void scalesOf(layer));
    layer.dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });
});

describe("γ of a layer whose passports change", () => {
  const gammas = async (layer: PassportLayer) => {
    const raw = scope(() => noGrad(() => layer.gammaBeta().raw));
    return (await raw.data()).slice(0, 32);
  };

  it("is of the passports as they are, however they were changed", async () => {
    const layer = KINDS.linear.aware({});
    const before = await gammas(layer);
    expect(await gammas(layer)).toEqual(before);
    layer.passports.gamma.write([1, 2, 3, 4]);
    const after = await gammas(layer);
    expect(after).not.toEqual(before);
    expect(after).toEqual(await layer.readGamma());
    layer.dispose();
  });

  it("is not replayed with the old ones", async () => {
    const layer = KINDS.linear.aware({});
    await gammas(layer);
    const step = recordStep(() => layer.gammaBeta().raw);
    step.replay();
    layer.randomPassports(new Generator(9));
    expect(() => step.replay()).toThrow(LifetimeError);
    step.dispose();
    layer.dispose();
  });
});
