/**
 * Both branches as one batch: what a training pass gives and leaves equals that of each branch run
 * alone, one after the other.
 */

import { beforeAll, describe, expect, it } from "vitest";
import { toFloat32 } from "../../src/io/host-tensor";
import { buildNetwork } from "../../src/models";
import { trunkUpdates } from "../../src/models/compat/trunk-updates";
import { BatchNorm, Conv2d, GroupNorm, LayerNorm, Linear, Module } from "../../src/nn";
import { penalise } from "../../src/nn/pass";
import { protect } from "../../src/passport";
import type { Branch } from "../../src/passport/branches";
import { add, maximum, mul, reshape, square } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { concat } from "../../src/tensor/ops/movement";
import { globalAvgPool } from "../../src/tensor/ops/pool";
import { matmul } from "../../src/tensor/ops/products/matmul";
import { mean } from "../../src/tensor/ops/reduce";
import { softmax } from "../../src/tensor/ops/softmax";
import { Generator } from "../../src/tensor/random";
import { scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { scattered } from "../support/bytes";
import { expectClose, gpu, randomTensor } from "../support/gpu";
import { alexNet, type Network, pointNet, resNet9 } from "../support/networks";
import { TINY } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const BATCH = 4;
const LATE = { 4: true, 5: true, 6: true };
const alexnet = (options: object) => () => alexNet({ width: 1 / 8, seed: 3, passports: LATE, ...options });
const resnet = (options: object) => () => resNet9({ width: 8, input: [16, 16, 3], seed: 3, ...options });
const pointnet = (options: object) => () =>
  pointNet({ classes: 10, points: 64, width: 1 / 8, dropout: 0, seed: 3, scheme: "pan", ...options });
const SOME = { passports: { layer2: { 0: { convbn_2: true } }, layer4: true } };

const NETWORKS: Record<string, () => Network> = {
  "AlexNet, v2 with group norm": alexnet({ scheme: "v2" }),
  "AlexNet, pan with batch norm": alexnet({ scheme: "pan" }),
  "AlexNet, a passport in the middle, batch norm behind it": alexnet({ scheme: "pan", passports: { 4: true } }),
  "AlexNet, pan with shared statistics": alexnet({ scheme: "pan", norm: "sbn" }),
  "AlexNet, a passport in the middle, shared statistics": alexnet({
    scheme: "pan",
    norm: "sbn",
    passports: { 2: true },
  }),
  "a chain without any norm": () =>
    buildNetwork({ ...TINY, scheme: "v2", norm: "none", passports: { 2: true } }, { seed: 3 }),
  "a chain with instance norm": () => buildNetwork({ ...TINY, scheme: "v2", norm: "in" }, { seed: 3 }),
  "ResNet, pan, a shared shortcut beside a passport": resnet({ scheme: "pan", ...SOME }),
  "ResNet, v2, a shared shortcut beside a passport": resnet({ scheme: "v2", ...SOME }),
  "ResNet, a passport in a shortcut alone": resnet({ scheme: "pan", passports: { layer3: { 0: { shortcut: true } } } }),
  "PointNet, parted from the first layer on": pointnet({ passports: { convp3: true, p1: true } }),
  "PointNet, statistics for each branch": pointnet({ passports: { p1: true, p2: true }, branchStatistics: "separate" }),
  "PointNet, v2 with layer norm": pointnet({ scheme: "v2", norm: "ln", passports: { convp2: true, p3: true } }),
};

interface Found {
  values: Map<string, Float32Array>;
  gradients: Map<string, Float32Array>;
  state: Map<string, Float32Array>;
}

/**
 * Logits and losses, gradients, and the state afterwards: of all branches in one pass, or of a pass
 * for each.
 */
async function train(
  make: () => Network,
  passes: readonly (readonly Branch[])[],
  prepare: (model: Network) => void = () => {},
): Promise<Found> {
  const model = make();
  prepare(model);
  model.loadStateDict(scattered(await model.stateDict(), (name) => name.includes("running")));
  const x = randomTensor([BATCH, ...model.sampleShape!], 9);
  const y = Tensor.from(
    Int32Array.from({ length: BATCH }, (_, i) => i % (model.classes ?? 4)),
    [BATCH],
  );
  const values = new Map<string, Float32Array>();
  for (const branches of passes) {
    const out = scope(() => {
      // A branch alone moves what both run through once; so both together move it twice.
      const { outputs, signLoss, penalties } = model.trainingPass(x, {
        branches,
        aroundTrunk: trunkUpdates(branches.length),
      });
      const losses = [...Object.values(outputs).map((t) => crossEntropy(t, y)), ...Object.values(penalties)];
      if (signLoss) losses.push(signLoss);
      losses.reduce((a, b) => add(a, b)).backward();
      const named = Object.entries(penalties).map(([branch, t]) => [`penalty of ${branch}`, t]);
      return { ...outputs, ...Object.fromEntries(named), ...(signLoss && { signLoss }) } as Record<string, Tensor>;
    });
    for (const [name, t] of Object.entries(out)) values.set(name, await t.data());
    for (const t of Object.values(out)) t.dispose();
  }
  const gradients = new Map<string, Float32Array>();
  for (const [name, t, { kind }] of model.namedTensors())
    if (kind === "parameter") gradients.set(name, await t.grad!.data());
  const state = new Map([...(await model.stateDict())].map(([name, t]) => [name, toFloat32(t)]));
  for (const t of [x, y]) t.dispose();
  model.dispose();
  return { values, gradients, state };
}

const largest = (values: Iterable<Float32Array>) =>
  [...values].reduce((most, v) => v.reduce((m, a) => Math.max(m, Math.abs(a)), most), 0);

/**
 * Whether batch norm subtracts this bias again: then its gradient is 0, and what is left of it the
 * rounding of terms that cancel.
 */
function cancels(name: string, state: ReadonlyMap<string, unknown>): boolean {
  const layer = /^(.*)\.(conv|linear)\.bias$/.exec(name)?.[1];
  const normed = ["bn", "bn0"].some((bn) => state.has(`${layer}.${bn}.running_mean`));
  // In γ and β of passports it counts.
  return layer !== undefined && normed && !state.has(`${layer}.b`);
}

/** Holds one pass of both branches against a pass of each. */
async function compare(make: () => Network, prepare?: (model: Network) => void): Promise<void> {
  const mine = await train(make, [["public", "private"]], prepare);
  const theirs = await train(make, [["public"], ["private"]], prepare);
  const everything = largest(theirs.gradients.values());
  for (const what of ["values", "state", "gradients"] as const) {
    expect([...mine[what].keys()].sort()).toEqual([...theirs[what].keys()].sort());
    for (const [name, expected] of theirs[what]) {
      // Through a maximum and a linear map behind it a shift reaches batch norm too.
      const floor = what === "gradients" ? 1e-4 * everything : 0;
      const size =
        what === "gradients" && cancels(name, theirs.state) ? everything : Math.max(largest([expected]), floor);
      expectClose(mine[what].get(name)!, expected, { rtol: 0, atol: 1e-5 * size, what: name });
    }
  }
}

/** A network of one's own, whose forward is written for one tensor. */
class Own extends Module {
  readonly first = new Conv2d(3, 8, 3, { padding: 1, bias: false, random: new Generator(1) });
  readonly norm1 = new BatchNorm(8, { relu: true });
  readonly second = new Conv2d(8, 8, 3, { padding: 1, random: new Generator(2) });
  readonly norm2 = new GroupNorm(2, 8, { relu: true });
  readonly query = new Linear(8, 8, { random: new Generator(3) });
  readonly norm3 = new LayerNorm(8);
  readonly head = new Linear(16, 4, { random: new Generator(4) });
  /** Parts of what each layer was given in the last pass. */
  seen: number[] = [];

  forward(x: Tensor): Tensor {
    const trunk = this.norm1.forward(this.first.forward(x));
    const h = this.norm2.forward(this.second.forward(trunk));
    const [n, height, width, c] = h.shape as [number, number, number, number];
    const tokens = reshape(h, [n, height * width, c]);
    const q = this.norm3.forward(this.query.forward(tokens));
    const attention = softmax(matmul(q, tokens, { transposeB: true }));
    const sums = matmul(attention, tokens);
    const mixed = reshape(sums, [sums.shape[0]!, height, width, c]);
    // With what all branches share, in both orders.
    const both = concat([trunk, maximum(add(mixed, trunk), mul(trunk, h))], -1);
    penalise(mean(square(mixed), [1, 2, 3]));
    this.seen = [x, trunk, h, tokens, q, attention, both].map((t) => t.parts);
    return this.head.forward(globalAvgPool(both));
  }
}

const own = (at: string[], options: object = {}) => {
  const random = new Generator(5);
  return protect(new Own(), { scheme: "pan", at, sample: [1, 4, 4, 3], random, ...options });
};

describe("both branches of a training pass as one batch", () => {
  it.each([
    ["from the first norm on", ["norm1", "norm3"], {}, [1, 2, 2, 2, 2, 2, 2]],
    ["from the second norm on", ["norm2"], {}, [1, 1, 2, 2, 2, 2, 2]],
    ["at the last norm alone", ["norm3"], {}, [1, 1, 1, 1, 2, 2, 2]],
    ["at the last norm, with statistics apart at the first", ["norm3"], { separate: ["norm1"] }, [1, 2, 2, 2, 2, 2, 2]],
    ["with shared statistics", ["norm1"], { statistics: "shared" }, [1, 2, 2, 2, 2, 2, 2]],
  ])("give and leave what each gives alone, in a network of one's own: %s", async (_, at, options, parts) => {
    const make = () => own(at, options) as unknown as Network;
    await compare(make);
    const model = own(at, options);
    const x = randomTensor([BATCH, 4, 4, 3], 9);
    const { outputs } = scope(() => model.trainingPass(x));
    expect(model.network.seen).toEqual(parts);
    expect(Object.values(outputs).map((t) => [t.parts, ...t.shape])).toEqual([
      [1, BATCH, 4],
      [1, BATCH, 4],
    ]);
    for (const branch of model.branches) {
      scope(() => void model.forward(x, branch));
      expect(model.network.seen).toEqual([1, 1, 1, 1, 1, 1, 1]);
    }
    for (const t of [x, ...Object.values(outputs), model]) t.dispose();
  });

  it.each(Object.entries(NETWORKS))("give and leave what each gives alone: %s", (_, make) => compare(make));

  it("do so by running statistics", () =>
    compare(NETWORKS["ResNet, pan, a shared shortcut beside a passport"]!, (m) => void m.eval()));

  it("do so where the norm of one branch is frozen", () =>
    compare(NETWORKS["AlexNet, pan with batch norm"]!, (model) => {
      for (const { norm } of model.passportSites()) norm.eval();
    }));
});
