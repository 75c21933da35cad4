import { beforeAll, describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors";
import {
  Conv1d,
  Conv2d,
  fans,
  gain,
  kaimingNormal,
  kaimingUniform,
  Linear,
  xavierNormal,
  xavierUniform,
} from "../../src/nn";
import { Generator } from "../../src/tensor/random";
import type { Shape } from "../../src/tensor/shape";
import type { Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { gpu } from "../support/gpu";

beforeAll(gpu);

const golden = new Golden("network");
const cases = golden.meta("inits") as { ours: number[]; fanIn: number; fanOut: number }[];

async function moments(t: Tensor) {
  const x = Array.from(await t.data());
  const n = x.length;
  const mean = x.reduce((s, v) => s + v, 0) / n;
  const power = (p: number) => x.reduce((s, v) => s + (v - mean) ** p, 0) / n;
  return {
    n,
    mean,
    std: Math.sqrt(power(2)),
    kurtosis: power(4) / power(2) ** 2,
    most: x.reduce((m, v) => Math.max(m, Math.abs(v)), 0),
  };
}

/** Within three standard errors of N(0, std²). */
async function expectNormal(t: Tensor, std: number) {
  const m = await moments(t);
  expect(Math.abs(m.mean)).toBeLessThan((3 * std) / Math.sqrt(m.n));
  expect(Math.abs(m.std / std - 1)).toBeLessThan(3 / Math.sqrt(2 * m.n));
  expect(Math.abs(m.kurtosis - 3)).toBeLessThan(3 * Math.sqrt(24 / m.n));
}

/**
 * Within three standard errors of U(−bound, bound), and within the bound itself, close to which
 * some come.
 */
async function expectUniform(t: Tensor, bound: number) {
  const m = await moments(t);
  expect(m.most).toBeLessThanOrEqual(Math.fround(bound));
  expect(m.most).toBeGreaterThan(bound * (1 - 12 / m.n));
  expect(Math.abs(m.mean)).toBeLessThan((3 * bound) / Math.sqrt(3 * m.n));
  expect(Math.abs(m.std / (bound / Math.sqrt(3)) - 1)).toBeLessThan(3 * Math.sqrt(0.2 / m.n));
}

describe("fans and gains", () => {
  it("are PyTorch's for the transposed shapes", () => {
    for (const { ours, fanIn, fanOut } of cases) expect(fans(ours)).toEqual({ fanIn, fanOut });
    for (const [name, value] of Object.entries(golden.meta("gains") as Record<"relu", number>)) {
      expect(gain(name as "relu", 0.2), name).toBeCloseTo(value, 12);
    }
  });
});

describe("initialisers", () => {
  const shape: Shape = [3, 3, 16, 24];
  const { fanIn, fanOut } = cases.find(({ ours }) => String(ours) === String(shape))!;

  it("draw from the distributions of their papers", async () => {
    const random = new Generator(11);
    await expectNormal(kaimingNormal(shape, random), Math.sqrt(2 / fanIn));
    await expectNormal(kaimingNormal(shape, random, { mode: "fanOut", gain: gain("tanh") }), 5 / 3 / Math.sqrt(fanOut));
    await expectNormal(xavierNormal(shape, random, 2), 2 * Math.sqrt(2 / (fanIn + fanOut)));
    await expectUniform(kaimingUniform(shape, random), Math.sqrt(6 / fanIn));
    await expectUniform(kaimingUniform(shape, random, { mode: "fanOut", gain: 1 }), Math.sqrt(3 / fanOut));
    await expectUniform(xavierUniform(shape, random), Math.sqrt(6 / (fanIn + fanOut)));
  });

  it("give the same numbers for the same seed, and others for another", async () => {
    const draw = async (seed: number) => Array.from(await kaimingNormal([5, 7], new Generator(seed)).data());
    expect(await draw(3)).toEqual(await draw(3));
    expect(await draw(3)).not.toEqual(await draw(4));
  });

  it("fill empty shapes and refuse what is none", async () => {
    expect((await kaimingUniform([0, 4], new Generator(1)).data()).length).toBe(0);
    expect(() => xavierNormal([-1, -4], new Generator(1))).toThrow(ShapeError);
    expect(() => kaimingUniform([2, 2.5], new Generator(1))).toThrow(ShapeError);
    expect(() => kaimingUniform([0.5, 0.5], new Generator(1))).toThrow(ShapeError);
  });
});

describe("layers start as PyTorch's", () => {
  it("weights and biases are U(±1/√fan-in)", async () => {
    const random = new Generator(12);
    const conv = new Conv2d(12, 300, 3, { groups: 3, random });
    await expectUniform(conv.weight, 1 / 6);
    await expectUniform(conv.bias!, 1 / 6);
    const line = new Conv1d(8, 500, 2, { random });
    await expectUniform(line.weight, 1 / 4);
    await expectUniform(line.bias!, 1 / 4);
    const linear = new Linear(25, 400, { random });
    await expectUniform(linear.weight, 1 / 5);
    await expectUniform(linear.bias!, 1 / 5);
  });

  it("from the generator given, which a custom initialiser gets too", async () => {
    const make = (seed: number) => new Conv2d(2, 3, 3, { random: new Generator(seed) });
    const [a, b, c] = await Promise.all([7, 7, 8].map((seed) => make(seed).weight.data()));
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
    const random = new Generator(9);
    const seen: unknown[] = [];
    const init = (...given: [Shape, Generator]) => {
      seen.push(...given);
      return kaimingNormal(...given);
    };
    new Conv2d(4, 6, 3, { groups: 2, init, random });
    expect(seen).toEqual([[3, 3, 2, 6], random]);
  });
});
