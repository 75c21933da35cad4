/**
 * Attacks without training on a tiny trained network: each must change what it claims to change.
 */
import { beforeAll, describe, expect, it } from "vitest";
import {
  type AttackStep,
  type DisguiseOptions,
  disguise,
  disguises,
  flipSigns,
  prune,
  pruned,
  quantise,
  quantised,
  randomPassports,
  type Target,
} from "../../src/attacks";
import { ArgumentError } from "../../src/errors";
import type { HostTensor } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { loadDeployed, type NetworkConfig } from "../../src/models";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, type Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, randomTensor } from "../support/gpu";
import { trainedTarget } from "../support/target";
import { TINY } from "../support/tiny";

const CONFIG: NetworkConfig = {
  ...TINY,
  scheme: "v2",
  norm: "bn",
  layers: [
    { channels: 8, kernel: 3, padding: 1 },
    "pool",
    { channels: 32, kernel: 3 },
    { channels: 64, kernel: 3, padding: 1 },
  ],
  passports: { 2: true, 3: true },
};
let target: Target;

beforeAll(async () => {
  await gpu();
  target = await trainedTarget(CONFIG);
});

const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
const at = (steps: AttackStep[], key: string, value: number) => steps.find((s) => s.setting[key] === value)!.after;

describe("random passports", () => {
  it("bring the private branch to chance and the bits to about half; the public branch stays", async () => {
    const before = memory().tensors;
    const seen: number[] = [];
    const record = await randomPassports(target, { draws: 12, seed: 3, onStep: (_, done, of) => seen.push(done / of) });
    expect(record.before.accuracy.private).toBeGreaterThan(0.9);
    expect(record.before.matched).toBe(96);
    const after = record.steps.map((s) => s.after);
    expect(mean(after.map((a) => a.accuracy.private!))).toBeLessThan(0.6);
    expect(Math.abs(mean(after.map((a) => a.matched)) - 48)).toBeLessThan(16);
    for (const a of after) expect(a.accuracy.public).toBe(record.before.accuracy.public);
    expect(new Set(after.map((a) => a.matched)).size).toBeGreaterThan(3);
    expect(seen).toEqual(Array.from({ length: 12 }, (_, i) => (i + 1) / 12));
    expect(JSON.parse(JSON.stringify(record))).toEqual(record);
    expect(await randomPassports(target, { draws: 2, seed: 3 })).toMatchObject({ steps: record.steps.slice(0, 2) });
    expect(memory().tensors).toBe(before);
  });

  it("are refused without a draw", async () => {
    await expect(randomPassports(target, { draws: 0 })).rejects.toThrow(ArgumentError);
  });
});

describe("turned signs", () => {
  it("change nothing at 0, every bit at 1, and break the private branch in between", async () => {
    const { steps, before, budget } = await flipSigns(target, { shares: [0, 0.5, 1] });
    expect(budget).toMatchObject({ layers: "features.2.bn, features.3.bn" });
    expect(steps[0]!.text).toBeUndefined();
    expect(at(steps, "share", 0).matched).toBe(96);
    expect(at(steps, "share", 0).accuracy).toEqual(before.accuracy);
    expect(at(steps, "share", 0.5).matched).toBe(48);
    expect(at(steps, "share", 0.5).accuracy.private).toBeLessThan(before.accuracy.private! - 0.2);
    expect(at(steps, "share", 1).matched).toBe(0);
  });

  it("say what the owner's text reads as then", async () => {
    const named = await trainedTarget({ ...CONFIG, passports: { 2: "ACME", 3: true } });
    const { steps } = await flipSigns(named, { shares: [0, 0.5, 1] });
    const texts = steps.map((s) => s.text);
    expect(texts[0]).toBe("ACME");
    expect(new Set(texts).size).toBe(3);
  });

  it("touch the chosen layers alone", async () => {
    const { steps } = await flipSigns(target, { shares: [1], layers: ["features.2.bn"] });
    expect(steps[0]!.after.matched).toBe(64);
    await expect(flipSigns(target, { layers: ["features.9.bn"] })).rejects.toThrow(
      /they are features\.2\.bn, features\.3\.bn/,
    );
    await expect(flipSigns(target, { shares: [1.5] })).rejects.toThrow(ArgumentError);
  });
});

describe("pruning", () => {
  it("changes nothing at 0 and everything at 1", async () => {
    const { steps, before } = await prune(target, { shares: [0, 0.4, 1] });
    expect(at(steps, "share", 0)).toEqual(before);
    expect(at(steps, "share", 0.4).matched).toBeGreaterThan(80);
    const all = at(steps, "share", 1);
    expect(all.accuracy.public).toBeCloseTo(1 / 3, 5);
    // γ of weights that are all 0 is 0, which is no sign.
    expect(all.matched).toBe(0);
  });

  const tensor = (...values: number[]): HostTensor => ({
    dtype: "F32",
    shape: [values.length],
    data: Float32Array.from(values),
  });

  it.each([
    0, 0.1, 0.25, 0.5, 0.9, 1,
  ])("sets exactly the share %f of smallest magnitudes to 0, ties included", (share) => {
    const state = new Map([
      ["a", tensor(5, -1, 2, 2, -2)],
      ["b", tensor(0.5, 2, -2, 9, -0.25, 3, 3, 1, -4, 2, 2, 2, 2, 7, 8)],
    ]);
    const out = pruned(state, share);
    const [was, is] = [state, out].map((s) => [...s.values()].flatMap((t) => [...(t.data as Float32Array)]));
    const zeroed = was!.filter((_, i) => is![i] === 0).map(Math.abs);
    expect(zeroed.length).toBe(Math.round(share * 20));
    const kept = is!.filter((v) => v !== 0).map(Math.abs);
    expect(Math.max(0, ...zeroed)).toBeLessThanOrEqual(Math.min(Infinity, ...kept));
    expect(is!.every((v, i) => v === 0 || v === was![i])).toBe(true);
  });

  it("refuses other shares", async () => {
    await expect(prune(target, { shares: [-0.1] })).rejects.toThrow(ArgumentError);
  });
});

describe("quantisation", () => {
  it("rounds to the levels of so many bits", () => {
    const state = new Map([
      ["w", { dtype: "F32" as const, shape: [4], data: Float32Array.of(0.7, -0.7, 0.24, -0.01) }],
    ]);
    // 3 bits: levels −3 … 3 of step 0.7 / 3.
    const [...found] = quantised(state, 3).get("w")!.data as Float32Array;
    const expected = [0.7, -0.7, 0.7 / 3, 0];
    for (const [i, v] of found.entries()) expect(v).toBeCloseTo(expected[i]!, 6);
    const zero = new Map([["w", { dtype: "F32" as const, shape: [2], data: new Float32Array(2) }]]);
    expect([...(quantised(zero, 4).get("w")!.data as Float32Array)]).toEqual([0, 0]);
  });

  it("leaves the signature in place at 8 bits and harms more at 2", async () => {
    const { steps, before } = await quantise(target, { bits: [8, 2] });
    expect(at(steps, "bits", 8).matched).toBeGreaterThan(92);
    expect(Math.abs(at(steps, "bits", 8).accuracy.public! - before.accuracy.public!)).toBeLessThan(0.1);
    expect(at(steps, "bits", 2).matched).toBeLessThan(at(steps, "bits", 8).matched);
    await expect(quantise(target, { bits: [1] })).rejects.toThrow(ArgumentError);
  });
});

describe("disguises", () => {
  const logitsOf = async (file: SafetensorsFile, x: Tensor) => {
    const model = loadDeployed(file);
    const y = scope(() => noGrad(() => model.forward(x)));
    const data = await y.data();
    for (const t of [y, model]) t.dispose();
    return data;
  };

  // Sums in another order, and factors that are no powers of two, round; filters scaled in front of
  // batch norm shift its ε.
  it.each<[string, DisguiseOptions, relative: number]>([
    ["channels shuffled", { permute: true }, 1e-5],
    ["channels scaled", { permute: false, scale: 8 }, 1e-5],
    ["half of the filters negated", { permute: false, negate: 0.5 }, 0],
    ["filters scaled", { permute: false, filterScale: 8 }, 1e-3],
    ["all of it", { permute: true, scale: 8, negate: 0.5, filterScale: 8 }, 1e-3],
  ])("leave the function of the given-away branch as it was: %s", async (_, options, relative) => {
    const hidden = disguise(target.deployed, { ...options, seed: 1 });
    const weight = "features.2.conv.weight";
    expect(hidden.tensors.get(weight)!.data).not.toEqual(target.deployed.tensors.get(weight)!.data);
    const x = randomTensor([16, 8, 8, 3], 3);
    const want = await logitsOf(target.deployed, x);
    const found = await logitsOf(hidden, x);
    x.dispose();
    if (relative === 0) expect(found).toEqual(want);
    else expectClose(found, want, { rtol: 0, atol: relative * Math.max(...want.map(Math.abs)) });
  });

  it("hide bits without touching the given-away branch, and are undone by realigning", async () => {
    const { steps, before, attack } = await disguises(target, { seed: 1 });
    expect(attack).toBe("function-preserving disguise");
    const found = (disguise: string, answer: string) =>
      steps.find((s) => s.setting["disguise"] === disguise && s.setting["answer"] === answer)!.after;
    for (const [name, least, most] of [
      ["channels shuffled", 24, 72],
      ["channels scaled", 72, 96],
      ["half of the filters negated", 48, 48],
      ["all of it", 24, 72],
    ] as const) {
      const [hidden, shown] = [found(name, "as it stands"), found(name, "realigned")];
      expect(hidden.accuracy.public, name).toBe(before.accuracy.public);
      expect(hidden.matched, name).toBeGreaterThanOrEqual(least);
      expect(hidden.matched, name).toBeLessThanOrEqual(most);
      expect(shown.matched, name).toBe(96);
      expect(shown.accuracy, name).toEqual(before.accuracy);
    }
  });
});
