/**
 * Expanded residual blocks: their formula against a plain computation, and the branch they forge.
 */
import { beforeAll, describe, expect, it, vi } from "vitest";
import { CollectiveErb, IndividualErb, replaceScales, type Target } from "../../src/attacks";
import { type ImageSet, subset } from "../../src/data/sample-set";
import { ArgumentError } from "../../src/errors";
import type { NetworkConfig } from "../../src/models";
import { sum } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu } from "../support/gpu";
import { trainedTarget } from "../support/target";
import { TINY, tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const leaky = (x: number) => (x > 0 ? x : 0.01 * x);
const CHANNELS = 19;
/** Sum of a column of a matrix with rows of `row` numbers. */
const column = (matrix: readonly number[], at: number, row: number) =>
  matrix.reduce((n, v, i) => n + (i % row === at ? v : 0), 0);
const scales = new Generator(3).fill(new Float32Array(CHANNELS), "normal", 0.5, 1);

describe("the blocks", () => {
  it("individual: Σ v · leaky(w · s + b) + d + s, channel by channel, and its gradients", async () => {
    const erb = new IndividualErb(CHANNELS, 10, new Generator(4));
    const [w, b, v, d] = await Promise.all([erb.w, erb.b, erb.v, erb.d].map((t) => t.data()));
    const unit = (c: number, h: number) => w![10 * c + h]! * scales[c]! + b![10 * c + h]!;
    const units = Array.from({ length: 10 }, (_, h) => h);
    const expected = [...scales].map((s, c) =>
      units.reduce((n, h) => n + v![10 * c + h]! * leaky(unit(c, h)), d![c]! + s),
    );
    const slope = [...scales].map((_, c) =>
      units.reduce((n, h) => n + v![10 * c + h]! * w![10 * c + h]! * (unit(c, h) > 0 ? 1 : 0.01), 1),
    );
    const s = Tensor.from(scales, [CHANNELS]);
    s.requiresGrad = true;
    const y = scope(() => {
      const out = erb.forward(s);
      sum(out).backward();
      return out;
    });
    expectClose(await y.data(), expected, { what: "forward" });
    expectClose(await s.grad!.data(), slope, { what: "gradient" });
    // Of the blocks' own numbers, which the attack trains.
    const each = (f: (c: number, h: number) => number) =>
      Array.from({ length: 10 * CHANNELS }, (_, i) => f(Math.floor(i / 10), i % 10));
    const open = (c: number, h: number) => v![10 * c + h]! * (unit(c, h) > 0 ? 1 : 0.01);
    const own = [each((c, h) => open(c, h) * scales[c]!), each(open), each((c, h) => leaky(unit(c, h)))];
    for (const [i, t] of [erb.w, erb.b, erb.v].entries())
      expectClose(await t.grad!.data(), own[i]!, { what: `gradient of ${"wbv"[i]}` });
    expect([...(await erb.d.grad!.data())]).toEqual(new Array(CHANNELS).fill(1));
    for (const t of [s, y]) t.dispose();
    erb.dispose();
  });

  it("collective: W₂ · leaky(W₁ · s + b₁) + b₂ + s, and its gradient towards s", async () => {
    const erb = new CollectiveErb(CHANNELS, new Generator(4));
    const state = await erb.stateDict();
    const read = (name: string) => [...(state.get(`mlp.${name}`)!.data as Float32Array)];
    const [w1, b1, w2, b2] = ["0.weight", "0.bias", "2.weight", "2.bias"].map(read);
    const hidden = Math.floor(CHANNELS / 8);
    expect(b1!.length).toBe(hidden);
    const units = b1!.map((b, h) => leaky(b + [...scales].reduce((n, s, c) => n + w1![h * CHANNELS + c]! * s, 0)));
    const expected = [...scales].map(
      (s, c) => s + b2![c]! + units.reduce((n, u, h) => n + w2![c * hidden + h]! * u, 0),
    );
    const slope = [...scales].map(
      (_, k) =>
        1 + units.reduce((n, u, h) => n + w1![h * CHANNELS + k]! * (u > 0 ? 1 : 0.01) * column(w2!, h, hidden), 0),
    );
    const s = Tensor.from(scales, [CHANNELS]);
    s.requiresGrad = true;
    const y = scope(() => {
      const out = erb.forward(s);
      sum(out).backward();
      return out;
    });
    expectClose(await y.data(), expected);
    expectClose(await s.grad!.data(), slope, { what: "gradient" });
    for (const t of [s, y]) t.dispose();
    erb.dispose();
  });
});

const CONFIG: NetworkConfig = { ...TINY, scheme: "v2", norm: "bn", passports: { 2: true, 3: true } };

describe("the attack", () => {
  let target: Target;
  beforeAll(async () => {
    target = await trainedTarget(CONFIG);
  });

  it.each([
    "individual",
    "collective",
  ] as const)("%s: makes a branch without passports work, with signs of its own", async (kind) => {
    const before = memory().tensors;
    const few = subset(tinySet(120, 1), 0, 36);
    const record = await replaceScales(target, { kind, train: few, epochs: 6, lr: 0.02, batchSize: 12, seed: 2 });
    expect(record.steps.length).toBe(6);
    const last = record.steps[5]!.after;
    expect(last.accuracy.private).toBeGreaterThan(0.8);
    // γ starts at 1 in every channel, and hardly any turns: what matches of the owner's bits are
    // those that are +1.
    const ones = ["features.2.b", "features.3.b"].flatMap((name) => [...target.credential.tensors.get(name)!.data]);
    expect(Math.abs(last.matched - ones.filter((b) => Number(b) > 0).length)).toBeLessThan(4);
    expect(record.before.matched).toBe(48);
    expect(record.budget).toMatchObject({ images: 36, epochs: 6 });
    expect(memory().tensors).toBe(before);
  });

  it.each([
    "individual",
    "collective",
  ] as const)("%s: learns through scales alone, other labels than those of the weights too", async (kind) => {
    // A branch without passports classifies from γ = 1 and β = 0 on: with each label the next
    // class's, nothing is right at first.
    const turned = (set: ImageSet): ImageSet => ({ ...set, labels: set.labels.map((l) => (l + 1) % 3) });
    const few = turned(subset(tinySet(120, 1), 0, 36));
    const options = { kind, train: few, epochs: 6, batchSize: 12, seed: 2 };
    const other = { ...target, test: turned(target.test as ImageSet) };
    const idle = await replaceScales(other, { ...options, epochs: 1, lr: 1e-9 });
    const { steps } = await replaceScales(other, { ...options, lr: 0.1 });
    expect(idle.steps[0]!.after.accuracy.private).toBeLessThan(0.1);
    expect(steps[5]!.after.accuracy.private).toBeGreaterThan(0.8);
  });

  it("trains the blocks themselves, through which γ and β of every layer go", async () => {
    const forward = vi.spyOn(CollectiveErb.prototype, "forward");
    const read = () => {
      const blocks = [...new Set(forward.mock.contexts as CollectiveErb[])];
      return Promise.all(blocks.flatMap((b) => b.parameters()).map((p) => p.data()));
    };
    const states: ReturnType<typeof read>[] = [];
    const calls: number[] = [];
    const onStep = () => {
      states.push(read());
      calls.push(forward.mock.calls.length);
    };
    const few = subset(tinySet(120, 1), 0, 36);
    await replaceScales(target, { train: few, epochs: 2, lr: 0.05, batchSize: 12, seed: 2, onStep });
    forward.mockRestore();
    const [first, second] = await Promise.all(states);
    // Four blocks of two weights and two biases; three steps an epoch and one evaluation.
    expect(first).toHaveLength(16);
    for (const [i, values] of first!.entries()) expect(second![i], `${i}`).not.toEqual(values);
    expect(calls).toEqual([4 * (3 + 1), 8 * (3 + 1)]);
  });

  it("is the same for the same seed, and refuses what is unknown", async () => {
    const options = { train: tinySet(36, 1), epochs: 1, batchSize: 12, seed: 3 };
    const one = await replaceScales(target, options);
    expect((await replaceScales(target, options)).steps).toEqual(one.steps);
    await expect(replaceScales(target, { ...options, kind: "both" as never })).rejects.toThrow(/kind "individual" or/);
    await expect(replaceScales(target, { ...options, epochs: 0 })).rejects.toThrow(ArgumentError);
  });
});
