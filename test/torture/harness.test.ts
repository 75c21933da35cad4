import { ArgumentError, Generator } from "@pan/core";
import * as node from "@pan/core/node";
import { describe, expect, it } from "vitest";
import * as tensor from "../../src/tensor";
import { threshold } from "../../torture/claims";
import { HOSTILE } from "../../torture/hostile-cases";
import { MIXTURES } from "../../torture/mixtures";
import { changed, damaged } from "../../torture/mutate";
import { Breach, Cases, demand, refusable, type Task, untyped } from "../../torture/part";
import { PARTS } from "../../torture/parts";
import { READERS } from "../../torture/readers";
import * as entry from "../support/entries";

const functionsOf = (module: object): string[] =>
  Object.entries(module).flatMap(([name, value]) =>
    typeof value === "function" && !/^[A-Z]/.test(name) ? [name] : [],
  );

describe("every reader that is exported", () => {
  /** What is called like a reader, and why it is none of `fuzz`'s own. */
  const ELSEWHERE: Readonly<Record<string, string>> = {
    decodeBytes: "reads signs, not files",
    loadDeployed: "needs a device: torture/readers-device.ts",
    verify: "part mutants",
    verifySignature: "test/signing/mutations.test.ts",
    verifyModel: "test/signing/mutations.test.ts",
    verifyTimestamp: "test/signing/mutations.test.ts",
    rejoin: "by way of verify, part mutants",
  };

  it("has damaged inputs in fuzz", async () => {
    const covered = new Set((await READERS()).flatMap((r) => r.covers));
    const exported = [...functionsOf(entry), ...functionsOf(entry.verifier), ...functionsOf(node)];
    const readers = exported.filter((name) => /^(decode|parse|load|read|open|verify|rejoin)/.test(name));
    expect(readers.filter((name) => !covered.has(name) && !(name in ELSEWHERE))).toEqual([]);
    const all = new Set(exported);
    expect([...covered, ...Object.keys(ELSEWHERE)].filter((name) => !all.has(name))).toEqual([]);
  });

  it("is tried with inputs that a seed decides, and that are damaged", async () => {
    for (const reader of await READERS()) {
      if (/files|records/.test(reader.name)) continue;
      const outcomes = new Set<string>();
      for (let i = 0; i < 40; i++) {
        const said = async () => {
          const input = await reader.input(new Generator(1).fork(i));
          try {
            return JSON.stringify(await input.read(), (_, v) => (typeof v === "bigint" ? String(v) : v))?.slice(0, 200);
          } catch (error) {
            return String(error).slice(0, 200);
          }
        };
        const first = await said();
        expect(await said(), `${reader.name}, case ${i}`).toBe(first);
        outcomes.add(first ?? "");
      }
      expect(outcomes.size, reader.name).toBeGreaterThan(1);
    }
  });
});

describe("every operation of two tensors", () => {
  /** Functions of the tensor floor that take one tensor, or none. */
  const SINGLE = new Set(
    `abs affine clamp exp flatten leakyRelu log neg pow reciprocal relu reshape sigmoid sign sqrt square tanh oneHot
    expand flip narrow pad permute split transpose avgPool2d globalAvgPool globalMaxPool maxPool2d dropout amax amin argmax
    mean norm gelu hardswish silu adaptiveAvgPool2d upsample2d sum sumSquares variance logSoftmax softmax argsort sort topK cumsum recordStep keep memory scope noGrad`.split(
      /\s+/,
    ),
  );
  /** Those whose further tensors are parts of one whole with another's, which has its row. */
  const ALIKE: Readonly<Record<string, keyof typeof MIXTURES>> = {
    batchNorm: "layerNorm",
    groupNorm: "layerNorm",
    instanceNorm: "layerNorm",
    rmsNorm: "layerNorm",
  };

  it("is tried with tensors of two devices", () => {
    const open = functionsOf(tensor).filter((name) => !SINGLE.has(name) && !(name in MIXTURES) && !(name in ALIKE));
    expect(open).toEqual([]);
  });
});

describe("damage", () => {
  const samples = [Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), new TextEncoder().encode('{"a":[1,2,3]}')];

  it("is the same for the same seed, and leaves the sample alone", () => {
    const before = samples.map((s) => s.slice());
    const runs = [1, 1, 2].map((seed) =>
      Array.from({ length: 50 }, (_, i) => damaged(new Generator(seed).fork(i), samples).join()),
    );
    expect(runs[0]).toEqual(runs[1]);
    expect(runs[0]).not.toEqual(runs[2]);
    expect(new Set(runs[0]).size).toBeGreaterThan(30);
    expect(samples).toEqual(before);
  });

  it("changes JSON in the copy alone", () => {
    const value = { list: [1, { a: "text" }], flag: true };
    const before = structuredClone(value);
    const all = Array.from({ length: 60 }, (_, i) => JSON.stringify(changed(new Generator(3).fork(i), value)));
    expect(value).toEqual(before);
    expect(new Set(all).size).toBeGreaterThan(30);
  });
});

describe("cases", () => {
  const task: Task = { size: "commit", seed: 1, only: null };

  it("keep what was broken, by number, and go on", async () => {
    const begun: number[] = [];
    const cases = new Cases(task, (n) => begun.push(n));
    await cases.each(4, (_, number) => {
      demand(number !== 1, "one is broken");
      if (number === 2) throw new TypeError("planted");
    });
    expect(begun).toEqual([0, 1, 2, 3]);
    expect(cases.broken.map((b) => b.case)).toEqual([1, 2]);
    expect(cases.broken[1]!.what).toMatch(/TypeError instead of a PanError: planted/);
    expect([cases.count, cases.kept]).toEqual([4, 2]);
  });

  it("run one alone, with the numbers that it has among all", async () => {
    const draws: number[] = [];
    await new Cases(task).each(5, (random) => void draws.push(random.uint32()));
    const alone: number[] = [];
    await new Cases({ ...task, only: 3 }).each(5, (random) => void alone.push(random.uint32()));
    expect(alone).toEqual([draws[3]]);
  });

  it("take refusals of the package, and nothing else, for refusals", async () => {
    await expect(refusable(() => 7)).resolves.toEqual({ result: 7 });
    const refusal = new ArgumentError("no");
    await expect(refusable(() => Promise.reject(refusal))).resolves.toEqual({ refusal });
    await expect(refusable(() => (null as never as { x: 1 }).x)).rejects.toThrow(Breach);
    await expect(refusable(() => Promise.reject(new RangeError("stack")))).rejects.toThrow(/RangeError instead/);
    expect(untyped(new ArgumentError("x".repeat(2001)))).toMatch(/2001 characters/);
    expect(untyped(new ArgumentError("short"))).toBeNull();
  });
});

describe("the count apart from the package", () => {
  it("has the thresholds of the binomial law", () => {
    expect([threshold(64, 1e-6), threshold(256, 1e-6), threshold(896, 1e-6), threshold(16, 1e-6)]).toEqual([
      51, 167, 520, 17,
    ]);
    for (const [n, rate] of [
      [88, 2 ** -80],
      [112, 1e-6],
      [33, 0.3],
    ] as const)
      expect(threshold(n, rate)).toBe(entry.matchThreshold(n, rate));
  });
});

describe("the parts", () => {
  it("say what they are there for, and have names of their own", async () => {
    for (const [name, load] of Object.entries(PARTS)) {
      const { promise, patience } = (await load()).default;
      expect(promise.length, name).toBeGreaterThan(20);
      expect(patience, name).toBeGreaterThan(0);
    }
    expect(Object.keys(HOSTILE).length).toBeGreaterThan(40);
  });
});
