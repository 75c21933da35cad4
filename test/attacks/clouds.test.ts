/** Attacks on a PointNet: what works on images works on clouds, and what it cannot do is said. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  type BoundForgery,
  disguises,
  fineTune,
  flipSigns,
  forgeBoundClaims,
  overwrite,
  PassportEquations,
  prune,
  quantise,
  randomPassports,
  replaceScales,
  solvePassports,
  type Target,
  trainPassports,
  trainScales,
} from "../../src/attacks";
import type { PointSet } from "../../src/data/point-cloud";
import { ArgumentError } from "../../src/errors";
import { readCredential } from "../../src/models";
import { type MapLayer, placeOf } from "../../src/models/layers";
import { examine } from "../../src/ownership";
import { positionsOf, tapsOf } from "../../src/passport/place";
import { Generator } from "../../src/tensor/random";
import { memory } from "../../src/tensor/storage";
import { POINTS, TINY_CLOUD, tinyClouds, trainedClouds } from "../support/clouds";
import { firstRule } from "../support/first-rule";
import { expectClose, gpu } from "../support/gpu";
import { logits } from "../support/logits";

const BITS = 128 + 64 + 32 + 3;
/** Layers with inputs enough for any γ; the third convolution has 128 filters of 16 inputs. */
const SOLVABLE = ["p1.bn", "p2.bn", "p3.bn"];
const budget = { train: tinyClouds(60, 7), epochs: 2, lr: 0.01, batchSize: 12, seed: 1 };
let target: Target;

beforeAll(async () => {
  await gpu();
  target = await trainedClouds();
});

/** Two classes of the same clouds: along an axis of the floor, or up. */
const upright = (set: PointSet): PointSet => ({
  ...set,
  labels: set.labels.map((l) => (l === 2 ? 1 : 0)),
  classes: ["lying", "standing"],
});

describe("a PointNet", () => {
  it("random passports close the private branch alone", async () => {
    const { before, steps } = await randomPassports(target, { draws: 3, seed: 2 });
    expect(before).toMatchObject({ bits: BITS, matched: BITS });
    for (const { after } of steps) {
      expect(after.matched).toBeLessThan(BITS * 0.75);
      expect(after.accuracy.public).toBe(before.accuracy.public);
    }
    expect(Math.min(...steps.map((s) => s.after.accuracy.private!))).toBeLessThan(0.7);
  });

  it("turned signs turn every bit of the layers they are asked for, biases taken into account", async () => {
    const { before, steps } = await flipSigns(target, { shares: [0, 1], layers: SOLVABLE });
    expect(steps[0]!.after.matched).toBe(BITS);
    expect(steps[0]!.after.accuracy.public).toBe(before.accuracy.public);
    expect(steps[1]!.after.matched).toBe(128);
    expect(steps[1]!.text).not.toBe("PAN!");
    await expect(flipSigns(target, { shares: [1] })).rejects.toThrow(/convp3\.bn has 128 filters of 16 taps/);
  });

  it("pruning and quantisation take what they should", async () => {
    const pruned = await prune(target, { shares: [0, 1] });
    expect(pruned.steps[0]!.after).toEqual(pruned.before);
    expect(pruned.steps[1]!.after.matched).toBe(0);
    expect(pruned.steps[1]!.after.accuracy.public).toBeCloseTo(1 / 3, 5);
    const { steps } = await quantise(target, { bits: [8] });
    expect(steps[0]!.after.matched).toBeGreaterThan(BITS - 10);
  });

  it("fine-tuning to another task takes the classifier's bits along and leaves the rest", async () => {
    const other = { ...budget, train: upright(budget.train), test: upright(tinyClouds(30, 9)) };
    const { before, steps } = await fineTune(target, { ...other, lr: 0.001 });
    expect(before.bits).toBe(BITS);
    const { after } = steps.at(-1)!;
    expect(after.bits).toBe(BITS - 3);
    expect(after.matched).toBeGreaterThan((BITS - 3) * 0.95);
    expect(after.accuracy.public).toBeGreaterThan(0.5);
  });

  it("fine-tuning as it is, and overwriting, leave every bit to be read", async () => {
    const tuned = await fineTune(target, { ...budget, lr: 0.001, mode: "ftal" });
    expect(tuned.steps.at(-1)!.after).toMatchObject({ bits: BITS });
    expect(tuned.steps.at(-1)!.after.matched).toBeGreaterThan(BITS * 0.95);
    const over = await overwrite(target, { ...budget, lr: 0.001 });
    expect(over.steps.map((s) => [s.after.bits, s.after.matched])).toEqual([
      [BITS, BITS],
      [BITS, BITS],
    ]);
    expect(over.steps.at(-1)!.after.accuracy.public).toBeGreaterThan(0.8);
  });

  it("trained scales keep the signs they start from", async () => {
    const { steps } = await trainScales(target, { ...budget, epochs: 6, lr: 0.02, shares: [0, 1] });
    expect(steps[0]!.after.matched).toBeGreaterThan(BITS * 0.9);
    expect(steps[1]!.after.matched).toBeLessThan(BITS * 0.1);
    expect(steps[0]!.after.accuracy.private).toBeGreaterThan(0.5);
  });

  it.each(["individual", "collective"] as const)("expanded residual blocks (%s) need no passport", async (kind) => {
    const { steps } = await replaceScales(target, { ...budget, kind });
    const { after } = steps.at(-1)!;
    expect(after.accuracy.private).toBeGreaterThan(0.8);
    // γ starts at 1 in every channel, and hardly any turns: what matches of the owner's bits are
    // those that are +1.
    const bits = ["convp3", "p1", "p2", "p3"].flatMap((n) => [
      ...target.credential.tensors.get(`${n}.bn.passport.b`)!.data,
    ]);
    expect(bits).toHaveLength(BITS);
    expect(Math.abs(after.matched - bits.filter((b) => Number(b) > 0).length)).toBeLessThan(BITS * 0.05);
  });

  it.each(["near", "noise", "near, fresh FC, signs"] as const)("passports are trained: %s", async (variant) => {
    const held = memory().tensors;
    const options = { ...budget, lr: variant === "noise" ? 0.05 : 0.3, variant, shares: [0.5] };
    const { before, steps } = await trainPassports(target, options);
    const { after } = steps[0]!;
    expect(after.accuracy.public).toBe(before.accuracy.public);
    expect(after.matched).toBeLessThan(BITS);
    expect(memory().tensors).toBe(held);
  });

  it("solved passports do what the given-away branch does, T-Nets and all", async () => {
    const { deployed, test } = target;
    const { claimed: owners } = readCredential(target.credential);
    const claimed = { public: owners.public!, private: owners.public! };
    const config = { ...TINY_CLOUD, passports: { p1: true, p2: "EVIL" } };
    const forged = solvePassports(deployed, config, { claimed, seed: 3 });
    const found = await examine(deployed, forged, { test });
    expect(found).toMatchObject({ passes: true, bits: 96, matched: 96, decodedText: "EVIL", accuracy: claimed });
    for (const change of [{ scheme: "v2", norm: "bn" }, { branchStatistics: "separate" }] as const) {
      const own = { ...config, ...change, passports: { p1: true, p2: true } };
      const again = await examine(deployed, solvePassports(deployed, own, { claimed }), { test });
      expect(again).toMatchObject({ passes: true, bits: 96, matched: 96 });
    }
    expect(() => solvePassports(deployed, { ...TINY_CLOUD, passports: { p3: true } })).toThrow(ArgumentError);
    // Without an FC every γ must be met, and convp3 has more filters than numbers to choose; with
    // one, any passports do.
    const many = { ...TINY_CLOUD, passports: { convp3: true, p1: true } };
    const wide = await examine(deployed, solvePassports(deployed, many, { claimed }), { test });
    expect(wide).toMatchObject({ passes: true, bits: 192, matched: 192, accuracy: claimed });
    const none = { ...many, scheme: "v2", norm: "bn" } as const;
    expect(() => solvePassports(deployed, none)).toThrow(/convp3\.bn has 128 filters of 16 taps/);
    const text = { ...many, passports: { convp3: "EVIL" } };
    expect(() => solvePassports(deployed, text)).toThrow(/convp3\.bn has 128 filters of 16 taps/);
  });

  it("disguises are undone by the owner's copy", async () => {
    const { steps } = await disguises(target, { seed: 3 });
    const at = (disguise: string, answer: string) =>
      steps.find(({ setting }) => setting["disguise"] === disguise && setting["answer"] === answer)!.after;
    expect(at("all of it", "as it stands").matched).toBeLessThan(BITS * 0.75);
    for (const { setting, after } of steps) if (setting["answer"] === "realigned") expect(after.matched).toBe(BITS);
  });
});

describe("a bound claim of version 1", () => {
  it("is planted by whoever has a PointNet, behind biases, but for classifiers of few channels", async () => {
    const { deployed, test } = target;
    const forged: BoundForgery[] = [];
    const { before, steps } = await forgeBoundClaims(target, {
      version: 1,
      seed: 1,
      onForged: (made) => void forged.push(made),
    });
    // An FC of three channels cannot be solved for.
    expect(steps.map(({ after }) => after.bits)).toEqual(new Array(5).fill(BITS - 3));
    const [{ network, credential, matched }] = forged as [BoundForgery];
    expect(matched).toBe(BITS - 3);
    expect(steps[0]!.after.accuracy.private).toBe(before.accuracy.public);
    expect((await firstRule(network, credential, { test })).holds).toBe(true);
    expect((await firstRule(deployed, credential, { test, reference: network })).holds).toBe(true);
    const own = await logits(deployed, [3, POINTS, 3]);
    expect(await logits(network, [3, POINTS, 3])).toEqual(own);
    const most = Math.max(...own.map(Math.abs));
    for (const copy of forged)
      expectClose(await logits(copy.network, [3, POINTS, 3]), own, { rtol: 1e-4, atol: 1e-5 * most });
  });
});

describe("PassportEquations", () => {
  const base = { name: "c", key: "c", stride: 1, padding: 0 };
  const LINE: MapLayer = { ...base, kind: "conv1d", inChannels: 5, channels: 12, kernel: 3, inputSize: [7] };

  it("says where taps average the same positions", () => {
    // With stride 2 over 7 positions, padded by 1, the first tap meets what the third does, and
    // zeros beside.
    const layer = { ...LINE, stride: 2, padding: 1 };
    expect(() => new PassportEquations(placeOf(layer, 0), new Float32Array(12 * 15).fill(1))).toThrow(
      /c\.bn has 12 filters of 15 taps of which 10 average different positions: more equations than unknowns/,
    );
  });

  it.each<[string, MapLayer]>([
    ["a convolution over a line", LINE],
    ["one with stride and padding", { ...LINE, inChannels: 8, stride: 2, padding: 1 }],
    ["points", { ...LINE, kernel: 1, inChannels: 20, inputSize: [9] }],
    ["a linear layer", { ...base, kind: "linear", inChannels: 20, channels: 12, kernel: 1, inputSize: [] }],
  ])("finds a passport that gives any wanted γ: %s, with a bias", (_, layer) => {
    const random = new Generator(7);
    const place = placeOf(layer, 0);
    const taps = tapsOf(place);
    const weight = random.fill(new Float32Array(12 * layer.inChannels * taps), "normal", 0, 0.3);
    const [bias, wanted] = [1, 2].map((most) => random.fill(new Float32Array(12), "uniform", -most, most));
    const p = new PassportEquations(place, weight, bias).solve(wanted!);
    const length = positionsOf(place);
    expect(p).toHaveLength(layer.inChannels * length);
    const out = Math.floor((length + 2 * layer.padding - taps) / layer.stride) + 1;
    for (let o = 0; o < 12; o++) {
      let sum = 0;
      for (let at = 0; at < out; at++)
        for (let i = 0; i < layer.inChannels; i++)
          for (let u = 0; u < taps; u++) {
            const column = at * layer.stride + u - layer.padding;
            if (column >= 0 && column < length)
              sum += weight[(o * layer.inChannels + i) * taps + u]! * p[i * length + column]!;
          }
      expect(Math.abs(sum / out + bias![o]! - wanted![o]!)).toBeLessThan(1e-3);
    }
  });
});
