import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import { affine, relu as reluOp } from "../../src/tensor/ops/elementwise";
import {
  batchNorm,
  groupNorm,
  instanceNorm,
  layerNorm,
  type NormFunctionOptions,
  rmsNorm,
} from "../../src/tensor/ops/norm/norm";
import { Generator } from "../../src/tensor/random";
import { type Shape, sizeOf } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { Golden } from "../support/golden";
import { expectClose, gpu, gradcheck, randomData, setCaps } from "../support/gpu";

type Kind = "batch" | "group" | "instance" | "layer" | "rms";

interface Config {
  kind: Kind;
  shape: Shape;
  /** Of group norm. */
  groups?: number;
  /** Trailing dimensions of layer and RMS norm. */
  dims?: number;
  gamma?: boolean;
  beta?: boolean;
  relu?: boolean;
  eps?: number;
}

/** [batches, rows, channels, groups] of a configuration, worked out apart from the package. */
function viewOf({ kind, shape, groups = 1, dims = 1 }: Config): [number, number, number, number] {
  const c = shape[shape.length - 1]!;
  const all = sizeOf(shape);
  if (kind === "batch") return [1, all / c, c, c];
  if (kind === "layer" || kind === "rms") {
    const d = sizeOf(shape.slice(-dims));
    return [all / d, 1, d, 1];
  }
  return [shape[0]!, all / c / shape[0]!, c, kind === "instance" ? c : groups];
}

const affineShape = ({ kind, shape, dims = 1 }: Config): Shape =>
  kind === "layer" || kind === "rms" ? shape.slice(-dims) : shape.slice(-1);

function apply(config: Config, x: Tensor, options: NormFunctionOptions): Tensor {
  if (config.kind === "batch") return batchNorm(x, { ...options, training: true });
  if (config.kind === "group") return groupNorm(x, config.groups!, options);
  if (config.kind === "instance") return instanceNorm(x, options);
  const shape = config.shape.slice(-config.dims!);
  if (config.kind === "layer") return layerNorm(x, shape, options);
  const { beta: _, ...rest } = options;
  return rmsNorm(x, shape, rest);
}

interface Arrays {
  x: Float32Array;
  g: Float32Array;
  gamma?: Float32Array | undefined;
  beta?: Float32Array | undefined;
}

interface Fixed {
  mean: ArrayLike<number>;
  variance: ArrayLike<number>;
}

/**
 * Output and gradients in float64, element by element, from the definitions; `fixed` statistics are
 * constants.
 */
function oracle(
  [b, s, c, groups]: [number, number, number, number],
  { x, g, gamma, beta }: Arrays,
  { relu = false, eps = 1e-5, kind }: Pick<Config, "relu" | "eps"> & { kind?: Kind },
  fixed?: Fixed,
) {
  const size = c / groups;
  const group = Array.from(x, (_, i) => Math.floor(i / (s * c)) * groups + Math.floor((i % c) / size));
  const mean = (v: (i: number) => number) => {
    const sums = new Array<number>(b * groups).fill(0);
    for (let i = 0; i < x.length; i++) sums[group[i]!]! += v(i) / (s * size);
    return sums;
  };
  const own = kind === "rms" ? () => 0 : (i: number) => x[i]!;
  const mu = fixed ? fixed.mean : mean(own);
  const variance = fixed ? fixed.variance : mean((i) => (x[i]! - mu[group[i]!]!) ** 2);
  const rstd = (i: number) => 1 / Math.sqrt(variance[group[i]!]! + eps);
  const z = Array.from(x, (v, i) => (v - mu[group[i]!]!) * rstd(i));
  const raw = z.map((v, i) => v * (gamma?.[i % c] ?? 1) + (beta?.[i % c] ?? 0));
  const dz = Array.from(g, (v, i) => (relu && raw[i]! <= 0 ? 0 : v));
  const dh = dz.map((v, i) => v * (gamma?.[i % c] ?? 1));
  const m1 = mean((i) => (kind === "rms" ? 0 : dh[i]!));
  const m2 = mean((i) => dh[i]! * z[i]!);
  const dgamma = new Array<number>(c).fill(0);
  const dbeta = new Array<number>(c).fill(0);
  dz.forEach((v, i) => {
    dgamma[i % c]! += v * z[i]!;
    dbeta[i % c]! += v;
  });
  return {
    mean: Array.from(mu),
    variance: Array.from(variance),
    y: raw.map((v) => (relu ? Math.max(v, 0) : v)),
    dx: dh.map((v, i) => rstd(i) * (fixed ? v : v - m1[group[i]!]! - z[i]! * m2[group[i]!]!)),
    dgamma,
    dbeta,
  };
}

function leaf(data: Float32Array | undefined, shape: Shape): Tensor | null {
  if (!data) return null;
  const t = Tensor.from(data, shape);
  t.requiresGrad = true;
  return t;
}

/** Runs forward and backward on the GPU. */
async function measured(
  shape: Shape,
  affine: Shape,
  { x, g, gamma, beta }: Arrays,
  f: (x: Tensor, options: NormFunctionOptions) => Tensor,
) {
  const leaves = [leaf(x, shape)!, leaf(gamma, affine), leaf(beta, affine)] as const;
  const y = f(leaves[0], { gamma: leaves[1], beta: leaves[2] });
  expect(y.shape).toEqual(shape);
  const seed = Tensor.from(g, shape);
  y.backward(seed);
  const [dx, dgamma, dbeta] = await Promise.all(leaves.map((t) => t?.grad?.data()));
  if (gamma) expect(leaves[1]!.grad!.shape).toEqual(affine);
  const out = { y: await y.data(), dx: dx!, dgamma, dbeta };
  for (const t of [...leaves, y, seed]) t?.dispose();
  return out;
}

function randomArrays(config: Config, seed: number, scale = 1): Arrays {
  const n = affineShape(config);
  return {
    x: randomData(config.shape, seed, scale),
    g: randomData(config.shape, seed + 1),
    gamma: config.gamma ? randomData(n, seed + 2, 2) : undefined,
    beta: config.beta ? randomData(n, seed + 3) : undefined,
  };
}

/** γ, β and ReLU take turns over all combinations. */
const mixed = (configs: Config[]): Config[] =>
  configs.map((c, i) => ({ gamma: (i & 1) === 0, beta: (i & 2) === 0, relu: i % 3 === 0, ...c }));

const configs: Config[] = mixed([
  { kind: "batch", shape: [2, 1] },
  { kind: "batch", shape: [3, 4] },
  { kind: "batch", shape: [2, 9, 11, 3] },
  { kind: "batch", shape: [5, 6, 7, 8] },
  { kind: "batch", shape: [1, 17, 13, 4] },
  { kind: "batch", shape: [300, 7] },
  { kind: "batch", shape: [3, 41, 20], eps: 1e-2 },
  { kind: "instance", shape: [3, 2, 5] },
  { kind: "instance", shape: [2, 13, 11, 4] },
  { kind: "instance", shape: [1, 10, 9, 3] },
  { kind: "group", shape: [2, 9, 10, 8], groups: 2 },
  { kind: "group", shape: [2, 9, 10, 8], groups: 1 },
  { kind: "group", shape: [3, 3, 5, 12], groups: 6 },
  { kind: "group", shape: [2, 31, 6], groups: 3 },
  { kind: "group", shape: [2, 5, 8], groups: 8 },
  { kind: "group", shape: [5, 12], groups: 3 },
  { kind: "group", shape: [70, 6], groups: 2 },
  { kind: "layer", shape: [4, 3, 16], dims: 1 },
  { kind: "layer", shape: [7, 5], dims: 1 },
  { kind: "layer", shape: [3, 5, 6, 7], dims: 3 },
  { kind: "layer", shape: [2, 8, 9, 4], dims: 3 },
  { kind: "layer", shape: [150, 12], dims: 1 },
  { kind: "layer", shape: [500], dims: 1 },
]);

function randomConfig(r: Generator): Config {
  const kind = (["batch", "group", "instance", "layer"] as const)[r.integer(4)]!;
  const channels = 1 + r.integer(12);
  const groups = 1 + r.integer(4);
  const shape = [2 + r.integer(3), 2 + r.integer(9), 1 + r.integer(9), kind === "group" ? channels * groups : channels];
  const flag = () => r.integer(2) === 1;
  return { kind, shape, groups, dims: 1 + r.integer(3), gamma: flag(), beta: flag(), relu: flag() };
}

/** RMS norms: wide and narrow loads, sums that are split and that are not, at random. */
function rmsConfigs(r: Generator): Config[] {
  const shapes: [Shape, dims: number][] = [
    [[4, 3, 16], 1],
    [[7, 5], 1],
    [[2, 8, 9, 4], 3],
    [[1500], 1],
    ...Array.from({ length: 8 }, (): [Shape, number] => [
      [1 + r.integer(5), 1 + r.integer(9), 3 + r.integer(40)],
      1 + r.integer(3),
    ]),
  ];
  return shapes.map(([shape, dims], i) => ({ kind: "rms", shape, dims, gamma: i % 3 > 0, relu: i % 4 === 3 }));
}

let device: Device;
beforeAll(async () => {
  device = await gpu();
});

describe("normalisation against the definitions in float64", () => {
  const r = new Generator(2024);
  const all = [
    ...configs,
    ...Array.from({ length: 16 }, () => randomConfig(r)).filter((c) => c.kind !== "layer" || viewOf(c)[2] > 2),
    ...rmsConfigs(r),
  ];
  it.each(all.map((c, i) => [JSON.stringify(c), c, i] as const))("%s", async (what, config, i) => {
    const arrays = randomArrays(config, 100 + 10 * i);
    const expected = oracle(viewOf(config), arrays, config);
    const { relu, eps } = config;
    const found = await measured(config.shape, affineShape(config), arrays, (x, o) =>
      apply(config, x, { ...o, relu, eps }),
    );
    expectClose(found.y, expected.y, { what: `y ${what}` });
    expectClose(found.dx, expected.dx, { what: `dx ${what}` });
    if (config.gamma) expectClose(found.dgamma!, expected.dgamma, { what: `dγ ${what}` });
    if (config.beta) expectClose(found.dbeta!, expected.dbeta, { what: `dβ ${what}` });
  });

  it.each([
    { kind: "batch", shape: [2, 12, 13, 4] },
    { kind: "batch", shape: [2, 12, 13, 3] },
    { kind: "group", shape: [2, 12, 11, 8], groups: 2 },
    { kind: "layer", shape: [6, 64], dims: 1 },
    { kind: "rms", shape: [6, 64], dims: 1 },
  ] satisfies Config[])("keeps its digits with mean 1000 and deviation 0.1: $kind $shape", async (config: Config) => {
    const arrays = randomArrays({ ...config, gamma: true }, 7, 0.17);
    arrays.x = arrays.x.map((v) => v + 1000);
    const expected = oracle(viewOf(config), arrays, { kind: config.kind });
    const found = await measured(config.shape, affineShape(config), arrays, (x, o) => apply(config, x, o));
    expectClose(found.y, expected.y, { what: "y" });
    expectClose(found.dx, expected.dx, { what: "dx" });
    expectClose(found.dgamma!, expected.dgamma, { what: "dγ" });
  });

  it("normalises by fixed running statistics, which get no gradient and do not change", async () => {
    for (const channels of [3, 8]) {
      const config: Config = { kind: "batch", shape: [2, 5, 7, channels], gamma: true, beta: true };
      const arrays = randomArrays(config, 40);
      const [mean, variance] = [randomData([channels], 44), randomData([channels], 45).map((v) => 0.2 + v * v)];
      const [runningMean, runningVar] = [Tensor.from(mean, [channels]), Tensor.from(variance, [channels])];
      for (const relu of [false, true]) {
        const expected = oracle(viewOf(config), arrays, { relu }, { mean, variance });
        const found = await measured(config.shape, [channels], arrays, (x, o) =>
          batchNorm(x, { ...o, relu, runningMean, runningVar, training: false }),
        );
        expectClose(found.y, expected.y, { what: "y" });
        expectClose(found.dx, expected.dx, { what: "dx" });
        expectClose(found.dgamma!, expected.dgamma, { what: "dγ" });
        expectClose(found.dbeta!, expected.dbeta, { what: "dβ" });
      }
      expect(await runningMean.data()).toEqual(mean);
      expect(await runningVar.data()).toEqual(variance);
    }
  });

  it("moves running statistics by the unbiased variance, whether the reduction is split or not", async () => {
    for (const shape of [
      [5, 4],
      [5, 3],
      [40, 11, 4],
      [40, 11, 3],
    ]) {
      const channels = shape[shape.length - 1]!;
      const config: Config = { kind: "batch", shape };
      const arrays = randomArrays(config, 60);
      const { mean, variance } = oracle(viewOf(config), arrays, {});
      const runningMean = Tensor.full([channels], 5);
      const runningVar = Tensor.full([channels], 3);
      noGrad(() =>
        batchNorm(Tensor.from(arrays.x, shape), { runningMean, runningVar, training: true, momentum: 0.25 }),
      );
      const n = sizeOf(shape) / channels;
      expectClose(
        await runningMean.data(),
        mean.map((m) => 0.75 * 5 + 0.25 * m),
        { what: `mean ${shape}` },
      );
      expectClose(
        await runningVar.data(),
        variance.map((v) => 0.75 * 3 + (0.25 * v * n) / (n - 1)),
        { what: `variance ${shape}` },
      );
    }
  });

  it("is right past 65,535 workgroups", async () => {
    const rows = 1_400_000;
    const x = Tensor.from(
      Float32Array.from({ length: 3 * rows }, (_, i) => i % 1000),
      [rows, 3],
    );
    const stat = (v: number[]) => Tensor.from(Float32Array.from(v), [3]);
    const y = batchNorm(x, { runningMean: stat([1, 2, 3]), runningVar: stat([1, 4, 0.25]), training: false, eps: 0 });
    const found = await y.data();
    for (const i of [0, 1, 2, 65_535 * 64 - 1, 65_535 * 64, 3 * rows - 3, 3 * rows - 2, 3 * rows - 1]) {
      const c = i % 3;
      expect(found[i]).toBeCloseTo(((i % 1000) - [1, 2, 3][c]!) / [1, 2, 0.5][c]!, 3);
    }
    x.dispose();
    y.dispose();
  });
});

describe("normalisation against PyTorch", () => {
  const golden = new Golden("norm");
  const cases = golden.meta("cases") as (Omit<Config, "shape" | "gamma" | "beta"> & {
    name: string;
    fixed?: boolean;
  })[];
  const at = (name: string) => (golden.has(name) ? golden.data(name) : undefined);

  it.each(cases.map((c) => [c.name, c] as const))("%s", async (name, { relu, eps, fixed, ...rest }) => {
    const config: Config = { ...rest, shape: golden.shape(`${name}.x`) };
    const arrays = { x: at(`${name}.x`)!, g: at(`${name}.g`)!, gamma: at(`${name}.gamma`), beta: at(`${name}.beta`) };
    const stat = (s: string) => Tensor.from(at(`${name}.${s}`)!, golden.shape(`${name}.${s}`));
    const found = await measured(config.shape, affineShape(config), arrays, (x, o) =>
      fixed
        ? batchNorm(x, { ...o, relu, eps, runningMean: stat("mean"), runningVar: stat("var"), training: false })
        : apply(config, x, { ...o, relu, eps }),
    );
    expectClose(found.y, at(`${name}.y`)!, { what: "y" });
    expectClose(found.dx, at(`${name}.dx`)!, { what: "dx" });
    if (arrays.gamma) expectClose(found.dgamma!, at(`${name}.dgamma`)!, { what: "dγ" });
    if (arrays.beta) expectClose(found.dbeta!, at(`${name}.dbeta`)!, { what: "dβ" });
  });

  it("running statistics over three steps, and evaluation with them", async () => {
    const runningMean = Tensor.full([5], 0);
    const runningVar = Tensor.full([5], 1);
    const running = { runningMean, runningVar, momentum: 0.3 };
    const input = (i: number) => Tensor.from(at(`steps.x${i}`)!, golden.shape(`steps.x${i}`));
    for (let i = 0; i < 3; i++) {
      batchNorm(input(i), { ...running, training: true });
      expectClose(await runningMean.data(), at(`steps.mean${i}`)!, { what: `mean after step ${i + 1}` });
      expectClose(await runningVar.data(), at(`steps.var${i}`)!, { what: `variance after step ${i + 1}` });
    }
    const y = batchNorm(input(2), { ...running, training: false });
    expectClose(await y.data(), at("steps.y")!, { what: "y in evaluation" });
  });

  it("mean 1000, deviation 0.1, as in float64", async () => {
    const shape = golden.shape("far.x");
    const found = await measured(shape, [6], { x: at("far.x")!, g: at("far.g")! }, (x) =>
      batchNorm(x, { training: true }),
    );
    expectClose(found.y, at("far.y")!, { what: "y" });
    expectClose(found.dx, at("far.dx")!, { what: "dx" });
  });
});

describe("normalisation by finite differences", () => {
  // With β of ±5 no element crosses ReLU's kink.
  const run = async (config: Config, relu: boolean, f = (x: Tensor, o: NormFunctionOptions) => apply(config, x, o)) => {
    const n = affineShape(config);
    await gradcheck(
      (x, gamma, beta) => f(x!, { gamma, beta, relu }),
      [
        { shape: config.shape, data: randomData(config.shape, 11) },
        { shape: n, data: randomData(n, 12) },
        { shape: n, data: Float32Array.from({ length: sizeOf(n) }, (_, i) => (i % 2 ? 5 : -5)) },
      ],
      { probes: 6 },
    );
  };
  it("batchNorm", () => run({ kind: "batch", shape: [3, 4, 5, 4] }, false));
  it("batchNorm with ReLU", () => run({ kind: "batch", shape: [3, 4, 5, 4] }, true));
  it("batchNorm with running statistics", () =>
    run({ kind: "batch", shape: [3, 4, 3] }, true, (x, o) =>
      batchNorm(x, { ...o, runningMean: Tensor.full([3], 0.3), runningVar: Tensor.full([3], 0.6), training: false }),
    ));
  it("groupNorm", () => run({ kind: "group", shape: [2, 5, 6], groups: 3 }, false));
  it("instanceNorm", () => run({ kind: "instance", shape: [2, 7, 3] }, true));
  it("layerNorm", () => run({ kind: "layer", shape: [3, 2, 8], dims: 2 }, false));
  it("rmsNorm", () =>
    gradcheck(
      (x, gamma) => rmsNorm(x!, [2, 8], { gamma: gamma! }),
      [
        { shape: [3, 2, 8], data: randomData([3, 2, 8], 11) },
        { shape: [2, 8], data: randomData([2, 8], 12) },
      ],
    ));
});

describe("normalisation in a graph", () => {
  it("fused ReLU equals relu after the normalisation, gradients too", async () => {
    const config: Config = { kind: "batch", shape: [4, 9, 9, 8], gamma: true, beta: true };
    const arrays = randomArrays(config, 70);
    const fused = await measured(config.shape, [8], arrays, (x, o) =>
      batchNorm(x, { ...o, training: true, relu: true }),
    );
    const apart = await measured(config.shape, [8], arrays, (x, o) => reluOp(batchNorm(x, { ...o, training: true })));
    expect(fused).toEqual(apart);
  });

  it("sends gradients through computed γ and β to where they came from", async () => {
    const config: Config = { kind: "batch", shape: [3, 5, 4], gamma: true, beta: true };
    const arrays = randomArrays(config, 80);
    const expected = oracle(viewOf(config), arrays, {});
    const [gamma, beta] = [
      leaf(
        arrays.gamma!.map((v) => v - 1),
        [4],
      )!,
      leaf(
        arrays.beta!.map((v) => v - 1),
        [4],
      )!,
    ];
    scope(() => {
      const y = batchNorm(Tensor.from(arrays.x, config.shape), {
        gamma: affine(gamma, 1, 1),
        beta: affine(beta, 1, 1),
        training: true,
      });
      y.backward(Tensor.from(arrays.g, config.shape));
    });
    expectClose(await gamma.grad!.data(), expected.dgamma, { what: "dγ" });
    expectClose(await beta.grad!.data(), expected.dbeta, { what: "dβ" });
  });

  it("takes one dispatch forward and one backward, or three, and only those whose gradients are wanted", async () => {
    const x = leaf(randomData([4, 8, 8, 8], 1), [4, 8, 8, 8])!;
    const [gamma, beta] = [leaf(randomData([8], 2), [8])!, leaf(randomData([8], 3), [8])!];
    const g = Tensor.from(randomData(x.shape, 4), x.shape);
    const count = (f: () => void) => {
      const before = device.counters.dispatches;
      scope(f);
      return device.counters.dispatches - before;
    };
    const options = { gamma, beta, training: true, relu: true };
    expect(count(() => void batchNorm(x, options))).toBe(1);
    expect(count(() => batchNorm(x, options).backward(g))).toBe(2);
    for (const t of [x, gamma, beta]) t.zeroGrad();
    const restore = setCaps(device, { maxStorageBuffers: 0 });
    expect(count(() => void batchNorm(x, options))).toBe(3);
    expect(count(() => batchNorm(x, options).backward(g))).toBe(6);
    // Each leaf that has a gradient already takes one addition more.
    x.zeroGrad();
    x.requiresGrad = false;
    gamma.zeroGrad();
    beta.zeroGrad();
    expect(count(() => batchNorm(x, options).backward(g))).toBe(5);
    expect(x.grad).toBeNull();
    restore();
  });

  it("frees everything it made", () => {
    const x = leaf(randomData([4, 8, 8, 8], 1), [4, 8, 8, 8])!;
    const gamma = leaf(randomData([8], 2), [8])!;
    const step = () => {
      const y = batchNorm(x, { gamma, training: true, relu: true });
      const g = Tensor.full(y.shape, 1);
      y.backward(g);
      y.dispose();
      g.dispose();
    };
    step();
    const { tensors, storages, bytes } = memory();
    step();
    expect(memory()).toMatchObject({ tensors, storages, bytes });
  });
});

describe("normalisation of unusual inputs", () => {
  const zeros = (...shape: number[]) => Tensor.full(shape, 0);

  it("gives an empty output and zero gradients for an empty batch", async () => {
    for (const config of [
      { kind: "group", shape: [0, 3, 4], groups: 2 },
      { kind: "instance", shape: [0, 3, 4] },
      { kind: "layer", shape: [0, 3, 4], dims: 2 },
    ] satisfies Config[]) {
      const arrays = randomArrays({ ...config, gamma: true, beta: true }, 5);
      const found = await measured(config.shape, affineShape(config), arrays, (x, o) => apply(config, x, o));
      expect(found.y.length).toBe(0);
      expect(found.dx.length).toBe(0);
      expect(found.dgamma).toEqual(arrays.gamma!.map(() => 0));
      expect(found.dbeta).toEqual(arrays.beta!.map(() => 0));
    }
    const running = { runningMean: zeros(4), runningVar: zeros(4) };
    expect(batchNorm(zeros(0, 3, 4), { ...running, training: false }).shape).toEqual([0, 3, 4]);
  });

  it("uses the batch's statistics in evaluation where there are no running ones", async () => {
    const data = randomData([6, 3], 9);
    const [a, b] = [true, false].map((training) => batchNorm(Tensor.from(data, [6, 3]), { training }));
    expect(await a!.data()).toEqual(await b!.data());
  });

  it("gives β for constant inputs", async () => {
    const y = groupNorm(Tensor.full([2, 5, 4], 3), 2, { beta: Tensor.full([4], 7), gamma: Tensor.full([4], 2) });
    expectClose(await y.data(), new Float32Array(40).fill(7));
  });

  it("passes NaN on, through ReLU too", async () => {
    const data = randomData([6, 2], 9);
    data[3] = NaN;
    const y = await batchNorm(Tensor.from(data, [6, 2]), { training: true, relu: true }).data();
    expect(Array.from(y, (v) => Number.isNaN(v))).toEqual(Array.from(y, (_, i) => i % 2 === 1));
  });

  it("refuses what it cannot normalise", () => {
    const x = zeros(2, 3, 4);
    const running = { runningMean: zeros(4), runningVar: zeros(4) };
    expect(() => batchNorm(zeros(1, 4), { training: true })).toThrow(/more than 1 value per channel/);
    expect(() => batchNorm(zeros(1, 4), { training: false })).toThrow(ShapeError);
    expect(() => batchNorm(zeros(0, 3, 4), { ...running, training: true })).toThrow(/more than 1 value per channel/);
    expect(() => batchNorm(zeros(4), { training: true })).toThrow(ShapeError);
    expect(() => batchNorm(x, { training: true, runningMean: zeros(4) })).toThrow(ArgumentError);
    expect(() => batchNorm(x, { training: true, ...running, runningVar: zeros(3) })).toThrow(
      /runningVar of shape \[4\]/,
    );
    expect(() => batchNorm(x, { training: true, momentum: 2 })).toThrow(ArgumentError);
    expect(() => batchNorm(x, { training: true, eps: -1 })).toThrow(ArgumentError);
    expect(() => batchNorm(x, { training: true, gamma: zeros(3) })).toThrow(/gamma of shape \[4\]/);
    expect(() => groupNorm(x, 3)).toThrow(/divides the 4 channels/);
    for (const groups of [0, -1, 1.5]) expect(() => groupNorm(x, groups)).toThrow(ShapeError);
    expect(() => instanceNorm(zeros(2, 1, 4))).toThrow(/more than 1 position/);
    expect(() => instanceNorm(zeros(2, 4))).toThrow(ShapeError);
    expect(() => layerNorm(x, [3])).toThrow(ShapeError);
    expect(() => rmsNorm(x, [3])).toThrow(/rmsNorm: an input that ends in \[3\]/);
    expect(() => rmsNorm(x, [3, 4], { gamma: zeros(4) })).toThrow(/rmsNorm: gamma of shape \[3, 4\]/);
    expect(() => layerNorm(x, [])).toThrow(ShapeError);
    expect(() => layerNorm(x, [1, 2, 3, 4])).toThrow(ShapeError);
    expect(() => layerNorm(x, [3, 4], { beta: zeros(4) })).toThrow(/beta of shape \[3, 4\]/);
    expect(() => groupNorm(Tensor.full([2, 4], 1, "i32"), 2)).toThrow(/f32/);
  });
});
