import { describe, expect, it } from "vitest";
import { build } from "../../bench/peers/build";
import { permuted } from "../../bench/peers/inputs";
import { alexNet, blocksOf, mobileNet, resNet18, smallNet } from "../../bench/peers/networks";
import { initialParameters } from "../../bench/peers/parameters";
import {
  bestPeer,
  type LibraryRecord,
  largestRelative,
  medianOf,
  medianRatio,
  relativeError,
  shareOfCeiling,
} from "../../bench/peers/record";
import { allRows } from "../../bench/peers/rows";
import { alignTable, formatPeers, timeCell } from "../../bench/peers/table";
import { visionTransformer } from "../../bench/peers/transformer";
import { errorLine } from "../../bench/peers/worker";
import { gpu } from "../support/gpu";

const PAPERS = { width: 1, batch: 64, resnetBatch: 16 };

const timed = (rounds: (number | null)[], more: Partial<LibraryRecord> = {}): LibraryRecord => ({
  status: "right",
  reason: null,
  error: 0,
  firstMs: 10,
  runs: 1,
  rounds,
  ms: medianOf(rounds),
  counts: { dispatches: 3, submits: 2, buffers: 1 },
  ...more,
});

describe("rows", () => {
  const rows = allRows(PAPERS);
  const flop = (name: string) => rows.find((row) => row.name === name)?.flop;

  it("have names of their own", () => {
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
  });

  it("are two products, 5 + 11 distinct convolutions with their gradients but for the images'", () => {
    const count = (part: string) => rows.filter(({ name }) => name.startsWith(part)).length;
    expect([count("matmul"), count("AlexNet conv"), count("ResNet-18 conv")]).toEqual([2, 5 * 3 - 1, 11 * 3 - 1]);
    expect([count("depthwise conv"), count("attention"), count("training step")]).toEqual([4 * 3, 3 * 2, 5]);
  });

  it("count the operations of the papers' layers", () => {
    expect(flop("matmul 512³")).toBe(2 * 512 ** 3);
    expect(flop("AlexNet conv 5×5 3→64, 32×32, forward")).toBe(2 * 64 * 32 * 32 * 25 * 3 * 64);
    expect(flop("AlexNet conv 5×5 64→192, 16×16, input gradient")).toBe(2 * 64 * 16 * 16 * 25 * 64 * 192);
    expect(flop("ResNet-18 conv 3×3 64→128, 32×32 stride 2, forward")).toBe(2 * 16 * 16 * 16 * 9 * 64 * 128);
    expect(flop("ResNet-18 conv 1×1 256→512, 8×8 stride 2, weight gradient")).toBe(2 * 16 * 4 * 4 * 256 * 512);
    expect(flop("AlexNet conv 5×5 3→64, 32×32, input gradient")).toBeUndefined();
    expect(flop("depthwise conv 3×3, 128 channels, 16×16 stride 2, weight gradient")).toBe(2 * 64 * 8 * 8 * 9 * 128);
  });

  it("count attention as its products, each with two gradients", () => {
    const forward = 2 * (2 * 4 * 4 * 128 * 128 * 64);
    expect(flop("attention 4×128, 4 heads of 64, forward")).toBe(forward);
    expect(flop("attention 4×128, 4 heads of 64, forward and backward")).toBe(3 * forward);
  });

  it("count a step as three passes of every map, two of the first", () => {
    const [first, second, third] = [32 * 32 * 9 * 3 * 32, 16 * 16 * 9 * 32 * 64, 8 * 8 * 9 * 64 * 128];
    const expected = 2 * 16 * (2 * first + 3 * second + 3 * third + 3 * 128 * 10);
    expect(flop("training step, small CNN, batch 16")).toBe(expected);
    const block = 64 * (64 * 192 + 64 * 64 + 2 * 64 * 128) + 2 * 64 * 64 * 64;
    const transformer = 2 * 64 * (2 * 64 * 48 * 64 + 3 * (3 * block + 64 * 10));
    expect(flop("training step, vision transformer, batch 64")).toBe(transformer);
  });
});

describe("networks", () => {
  const size = (spec: Parameters<typeof initialParameters>[0]) =>
    initialParameters(spec).reduce((n, { data }) => n + data.length, 0);

  it("have the papers' layers and parameters", () => {
    expect(blocksOf(alexNet(1)).map(({ out }) => out)).toEqual([64, 192, 384, 256, 256]);
    expect(blocksOf(resNet18(1))).toHaveLength(20);
    // 11,173,962 is the number that circulates for ResNet-18 of CIFAR with batch norm.
    expect(size(resNet18(1))).toBe(11_173_962);
    expect(size(smallNet())).toBe(9 * (3 * 32 + 32 * 64 + 64 * 128) + 2 * (32 + 64 + 128) + 1290);
    // 3,217,226 is the one of MobileNet.
    expect(size(mobileNet(1))).toBe(3_217_226);
    expect(blocksOf(mobileNet(1)).at(-1)).toMatchObject({ in: 1024, out: 1024, size: 2 });
  });

  it.each([
    ["the small one", smallNet()],
    ["AlexNet", alexNet(0.125)],
    ["ResNet-18", resNet18(0.125)],
    ["MobileNet", mobileNet(0.125)],
    ["the transformer", visionTransformer()],
  ])("describe every parameter that the package's own has: %s", async (_, spec) => {
    await gpu();
    const model = build(spec);
    const shapes = [...model.namedTensors()].flatMap(([name, { shape }, { kind }]): [string, readonly number[]][] =>
      kind === "parameter" ? [[name, shape]] : [],
    );
    const described = initialParameters(spec).map(({ name, shape }): [string, number[]] => [name, shape]);
    expect(new Map(described)).toEqual(new Map(shapes));
    model.dispose();
  });

  it("start from the same numbers whenever they are asked", () => {
    expect(initialParameters(smallNet())).toEqual(initialParameters(smallNet()));
  });
});

describe("what follows from the rounds", () => {
  it("takes ratios inside of a round, and only where both were measured", () => {
    expect(medianRatio([10, 40, null, 90], [10, 10, 10, 30])).toBe(3);
    expect(medianRatio([null], [1])).toBeNull();
  });

  it("compares with the fastest peer that is right", () => {
    const ours = timed([2, 4, 2]);
    const wrong = timed([1, 1, 1], { status: "wrong" });
    expect(bestPeer({ ours, tfjs: wrong, jax: timed([6, 8, 5]) })).toEqual({ peer: "jax", ratio: 2.5 });
    expect(bestPeer({ ours, tfjs: timed([20, 20, 20]), jax: timed([6, 8, 5]) })?.peer).toBe("jax");
    expect(bestPeer({ ours, tfjs: wrong })).toBeNull();
    expect(bestPeer({ ours: timed([], { status: "cannot" }), jax: timed([1]) })).toBeNull();
  });

  it("puts ours beside the ceiling of the same round", () => {
    expect(shareOfCeiling({ flop: 1e9, ceilings: [2e9, 4e9], libraries: { ours: timed([1000, 500]) } })).toBe(0.5);
    expect(shareOfCeiling({ flop: 1e9, ceilings: [null], libraries: { ours: timed([1000]) } })).toBeNull();
  });

  it("finds wrong results, missing ones and NaN", () => {
    const b = Float32Array.of(1, -4, 2);
    expect(relativeError(Float32Array.of(1, -4, 2), b)).toBe(0);
    expect(relativeError(Float32Array.of(1, -4, 3), b)).toBe(0.25);
    expect(relativeError(Float32Array.of(1, Number.NaN, 2), b)).toBe(Infinity);
    expect(relativeError(Float32Array.of(1, -4), b)).toBe(Infinity);
    expect(largestRelative(Float32Array.of(1, -4, 3), b)).toBe(0.5);
  });

  it("transposes and back", () => {
    const data = Float32Array.from({ length: 24 }, (_, i) => i);
    const there = permuted(data, [2, 3, 4], [2, 0, 1]);
    expect([...there.subarray(0, 6)]).toEqual([0, 4, 8, 12, 16, 20]);
    expect(permuted(there, [4, 2, 3], [1, 2, 0])).toEqual(data);
  });
});

describe("table", () => {
  it("aligns columns", () => {
    expect(
      alignTable([
        ["a", "time"],
        ["longer", "1"],
      ]),
    ).toBe("a       time\nlonger     1");
  });

  it("gives a speed to what is right alone, with a reason for the rest", () => {
    const notes: string[] = [];
    expect(timeCell(timed([12, null, null]), 3, notes)).toBe("12.0 (1 rounds)");
    expect(timeCell(timed([1], { status: "wrong", error: 0.5 }), 1, notes)).toBe("wrong (err 5.0e-1)");
    expect(timeCell(timed([1], { status: "cannot", reason: "it fell" }), 1, notes)).toBe("cannot [1]");
    expect(notes).toEqual(["it fell"]);
  });

  it("has a line a row in both parts", () => {
    const libraries = {
      ours: timed([2]),
      tfjs: timed([4], { status: "cannot", reason: "no kernel" }),
      jax: timed([6]),
    };
    const row = { name: "matmul", flop: 4e6, libraries, ceilings: [4e9], share: 0.5, best: bestPeer(libraries) };
    const text = formatPeers({ adapter: "A", rows: [row] }, 1);
    expect(text.match(/^matmul .*/gm)).toHaveLength(2);
    expect(text).toMatch(/^matmul +2\.0 +cannot \[1\] +6\.0 +2\.0 +– +0\.667 +50 % +3\.00 jax$/m);
    expect(text).toContain("[1] no kernel");
    expect(text).toContain("3 / 2 / 1");
  });
});

it("quotes the error of a process's last words", () => {
  expect(errorLine("Hi there\nTypeError: no\n    at main\n\nNode.js v20\n")).toBe("TypeError: no");
  expect(errorLine("bye\n")).toBe("bye");
  expect(errorLine("")).toBe("");
});
