/**
 * Normalisation of the parts of a batch in one go equals that of each part as a batch of its own.
 */
import { beforeAll, describe, expect, it, vi } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import { add, mul, relu, reshape } from "../../src/tensor/ops/elementwise";
import { concat, narrow } from "../../src/tensor/ops/movement";
import type { Affine } from "../../src/tensor/ops/norm/affine";
import { batchNorm, groupNorm, instanceNorm, type NormFunctionOptions } from "../../src/tensor/ops/norm/norm";
import { type Normalisation, normalise } from "../../src/tensor/ops/norm/normalise";
import type { Running, RunningSet } from "../../src/tensor/ops/norm/statistics";
import type { Shape } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, randomData, randomTensor, withCaps } from "../support/gpu";
import { NORM_FORMS } from "../support/norms";

let device: Device;
beforeAll(async () => {
  device = await gpu();
});

type Form = "scale" | "shift" | "both" | "rows" | "none";
type Norm = "bn" | "gn" | "in" | "none";

interface Case {
  norm: Norm;
  /** Of one part. */
  shape: Shape;
  shared: boolean;
  forms: readonly Form[];
  relu: boolean;
  /** Running sets. */
  running?: 0 | 1 | 2;
  training?: boolean;
}

const PARTS = 2;
const GROUPS = 2;

/** The normalisation of a kind, of a batch in parts. */
function inParts(norm: Norm, x: Tensor, n: Omit<Normalisation, "over" | "running">, running?: Running): Tensor {
  const over = { bn: "batch", gn: { groups: GROUPS }, in: "positions", none: "nothing" } as const;
  return normalise(x, { over: over[norm], ...n, running: norm === "bn" ? running : undefined });
}

const leaf = (shape: Shape, seed: number) => {
  const t = randomTensor(shape, seed);
  t.requiresGrad = true;
  return t;
};

function affineOf(form: Form, channels: number, seed: number): Affine {
  if (form === "rows") return leaf([2, channels], seed);
  return {
    ...((form === "scale" || form === "both") && { gamma: leaf([channels], seed) }),
    ...((form === "shift" || form === "both") && { beta: leaf([channels], seed + 1) }),
  };
}

/** γ and β as tensors of their own. */
function plain(affine: Affine): NormFunctionOptions {
  if (!(affine instanceof Tensor)) return affine;
  const row = (i: number) => reshape(narrow(affine, 0, i, 1), [affine.shape[1]!]);
  return { gamma: row(0), beta: row(1) };
}

function scaleAlone(x: Tensor, { gamma, beta, relu: ends }: NormFunctionOptions): Tensor {
  const scaled = gamma ? mul(x, gamma) : x;
  const y = beta ? add(scaled, beta) : scaled;
  return ends ? relu(y) : y;
}

/** Output, gradients and running statistics, in one go or part by part. */
async function measure(c: Case, together: boolean): Promise<Map<string, Float32Array>> {
  const { norm, shape, shared, forms, training = true } = c;
  const [n, channels] = [shape[0]!, shape[shape.length - 1]!];
  const x = leaf(shared ? shape : [PARTS * n, ...shape.slice(1)], 1);
  const affine = forms.map((form, a) => affineOf(form, channels, 10 * (a + 1)));
  const running = Array.from({ length: c.running ?? 0 }, (_, r): RunningSet => {
    const variance = randomData([channels], 51 + r).map((v) => 1 + v * v);
    return { mean: randomTensor([channels], 41 + r), variance: Tensor.from(variance, [channels]) };
  });
  const settings = { relu: c.relu, eps: 1e-3 };
  const whole = { parts: PARTS, shared, affine };
  const inOneGo = (): Tensor => {
    return inParts(norm, x, { ...whole, ...settings }, { sets: running, training, momentum: 0.3 });
  };
  const partByPart = (): Tensor => {
    const each = Array.from({ length: PARTS }, (_, k) => {
      const part = shared ? x : narrow(x, 0, k * n, n);
      const options = { ...plain(affine[k] ?? affine[0]!), ...settings };
      const { mean: runningMean, variance: runningVar } = running[k] ?? running[0] ?? {};
      if (norm === "bn") return batchNorm(part, { ...options, runningMean, runningVar, training, momentum: 0.3 });
      if (norm === "gn") return groupNorm(part, GROUPS, options);
      return norm === "in" ? instanceNorm(part, options) : scaleAlone(part, options);
    });
    return concat(each, 0);
  };
  const y = scope(() => {
    const y = together ? inOneGo() : partByPart();
    y.backward(Tensor.from(randomData(y.shape, 7), y.shape));
    return y;
  });
  const found = new Map<string, Float32Array>([["y", await y.data()]]);
  const leaves: [string, Tensor | null | undefined][] = [
    ["dx", x],
    ...affine.flatMap((a, i) =>
      Object.entries(a instanceof Tensor ? { rows: a } : a).map(([name, t]) => [`${name} ${i}`, t] as [string, Tensor]),
    ),
  ];
  for (const [name, t] of leaves) found.set(name, await t!.grad!.data());
  for (const [i, { mean, variance }] of running.entries()) {
    found.set(`mean ${i}`, await mean.data());
    found.set(`variance ${i}`, await variance.data());
  }
  for (const t of [y, ...leaves.map(([, t]) => t!), ...running.flatMap((r) => [r.mean, r.variance])]) t.dispose();
  return found;
}

const IMAGE = [3, 4, 5, 8] as const;
const ODD = [5, 3, 6] as const;
const ROWS = [6, 8] as const;
const MANY = [150, 6] as const;
const LONG = [4, 9, 9, 4] as const;
const LARGE = [5, 9, 11, 8] as const;

const CASES: Case[] = [
  { norm: "bn", shape: IMAGE, shared: false, forms: ["both", "rows"], relu: true, running: 2 },
  { norm: "bn", shape: IMAGE, shared: true, forms: ["both", "rows"], relu: true, running: 2 },
  { norm: "bn", shape: LONG, shared: false, forms: ["both", "rows"], relu: true, running: 1 },
  { norm: "bn", shape: LONG, shared: true, forms: ["rows", "both"], relu: false, running: 1 },
  { norm: "bn", shape: LONG, shared: false, forms: ["both"], relu: true, running: 2 },
  { norm: "bn", shape: ODD, shared: false, forms: ["both"], relu: true, running: 1 },
  { norm: "bn", shape: ODD, shared: true, forms: ["scale", "shift"], relu: true, running: 0 },
  { norm: "bn", shape: ROWS, shared: false, forms: ["none", "rows"], relu: false, running: 2 },
  { norm: "bn", shape: LARGE, shared: false, forms: ["both", "rows"], relu: true, running: 2 },
  { norm: "bn", shape: LARGE, shared: false, forms: ["shift", "scale"], relu: true, running: 1 },
  { norm: "bn", shape: LARGE, shared: false, forms: ["rows"], relu: false, running: 0 },
  { norm: "bn", shape: LARGE, shared: true, forms: ["none", "rows"], relu: true, running: 2 },
  { norm: "bn", shape: IMAGE, shared: false, forms: ["both", "rows"], relu: true, running: 2, training: false },
  { norm: "bn", shape: IMAGE, shared: true, forms: ["both", "rows"], relu: true, running: 2, training: false },
  { norm: "bn", shape: ODD, shared: false, forms: ["both"], relu: false, running: 1, training: false },
  { norm: "bn", shape: ODD, shared: true, forms: ["rows", "scale"], relu: true, running: 1, training: false },
  { norm: "gn", shape: IMAGE, shared: false, forms: ["both", "rows"], relu: true },
  { norm: "gn", shape: LONG, shared: true, forms: ["both", "rows"], relu: true },
  { norm: "gn", shape: ODD, shared: true, forms: ["rows", "rows"], relu: false },
  { norm: "gn", shape: ROWS, shared: false, forms: ["both", "rows"], relu: true },
  { norm: "gn", shape: ROWS, shared: true, forms: ["rows", "scale"], relu: true },
  { norm: "gn", shape: ROWS, shared: false, forms: ["both"], relu: true },
  { norm: "gn", shape: MANY, shared: false, forms: ["rows", "both"], relu: true },
  { norm: "gn", shape: MANY, shared: true, forms: ["shift", "rows"], relu: false },
  { norm: "in", shape: IMAGE, shared: false, forms: ["both", "rows"], relu: true },
  { norm: "in", shape: LONG, shared: true, forms: ["both", "rows"], relu: true },
  { norm: "none", shape: IMAGE, shared: false, forms: ["both", "rows"], relu: true },
  { norm: "none", shape: ODD, shared: true, forms: ["both", "rows"], relu: true },
  { norm: "none", shape: ROWS, shared: true, forms: ["shift", "scale"], relu: false },
];

const title = (c: Case) =>
  `${c.norm} of ${c.shape.join("×")}, ${c.shared ? "one input" : "an input each"}, ${c.forms.join(" and ")}${c.relu ? ", ReLU" : ""}, ${c.running ?? 0} running${c.training === false ? ", evaluated" : ""}`;

describe("a batch of parts", () => {
  const cases = Object.entries(NORM_FORMS).flatMap(([form, caps], f) =>
    CASES.filter((c) => f === 0 || c.norm === "bn" || (c.norm === "gn" && c.shape.length === 2)).map(
      (c) => [`${title(c)}, ${form}`, c, caps] as const,
    ),
  );
  it.each(cases)("is normalised as its parts are: %s", async (_, c, caps) => {
    const before = memory();
    const mine = await withCaps(device, caps, () => measure(c, true));
    const theirs = await measure(c, false);
    expect([...mine.keys()]).toEqual([...theirs.keys()]);
    for (const [name, expected] of theirs) {
      const size = Math.max(...expected.map(Math.abs));
      expect(size, name).toBeGreaterThan(0);
      expectClose(mine.get(name)!, expected, { rtol: 1e-6, atol: 1e-6 * size, what: name });
    }
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });

  it("takes as many launches as one part", async () => {
    const launches = (parts: number) => {
      const before = device.counters.dispatches;
      scope(() => {
        const x = leaf([parts * 4, 6, 6, 8], 1);
        const affine = [{ gamma: leaf([8], 2), beta: leaf([8], 3) }, { rows: leaf([2, 8], 4) }].slice(0, parts);
        const running = affine.map((_, r) => ({ mean: randomTensor([8], 5 + r), variance: randomTensor([8], 7 + r) }));
        const y = inParts("bn", x, { parts, affine }, { sets: running, training: true, momentum: 0.1 });
        y.backward(randomTensor(y.shape, 9));
      });
      return device.counters.dispatches - before;
    };
    expect(launches(2)).toBe(launches(1));
  });

  it("takes two launches each way where several workgroups share a column", async () => {
    const x = leaf([5, 9, 11, 8], 1);
    const affine = [{ gamma: leaf([8], 2), beta: leaf([8], 3) }];
    const launches = (f: () => void) => {
      const before = device.counters.dispatches;
      f();
      return device.counters.dispatches - before;
    };
    await withCaps(device, NORM_FORMS["in two launches, columns in slices"]!, async () => {
      scope(() => {
        let y = x;
        expect(launches(() => (y = normalise(x, { over: "batch", affine, relu: true })))).toBe(2);
        const g = randomTensor(y.shape, 9);
        expect(launches(() => y.backward(g))).toBe(2);
      });
    });
    for (const t of [x, ...Object.values(affine[0]!)]) t.dispose();
  });

  it("binds no more buffers than there may be", async () => {
    const most = 8;
    const run = vi.spyOn(device, "run");
    try {
      for (const shared of [false, true])
        for (const forms of [["both"], ["both", "rows"], ["none"]] as const)
          for (const sets of [0, 1, 2])
            for (const frozen of [false, true]) {
              await withCaps(device, { maxStorageBuffers: most }, async () => {
                scope(() => {
                  const x = leaf([shared ? 4 : 8, 3, 3, 8], 1);
                  const affine = forms.map((form, a) => affineOf(form, 8, 10 * (a + 1)));
                  const [first] = affine;
                  if (frozen && first && !(first instanceof Tensor))
                    for (const t of Object.values(first) as Tensor[]) t.requiresGrad = false;
                  const running = Array.from({ length: sets }, (_, r) => ({
                    mean: randomTensor([8], 5 + r),
                    variance: Tensor.full([8], 1),
                  }));
                  const how = { sets: running, training: true, momentum: 0.1 };
                  const y = inParts("bn", x, { parts: PARTS, shared, affine, relu: true }, how);
                  y.backward(randomTensor(y.shape, 9));
                });
              });
            }
      const bound = run.mock.calls.map(([kernel, spec]) => Object.keys(kernel.bindings(spec)).length);
      expect(bound.length).toBeGreaterThan(50);
      expect(Math.max(...bound)).toBeLessThanOrEqual(most);
    } finally {
      run.mockRestore();
    }
  });

  it("may be empty", async () => {
    const y = scope(() => inParts("gn", Tensor.full([0, 3, 8], 0), { parts: 2, shared: true, affine: [{}, {}] }));
    expect(y.shape).toEqual([0, 3, 8]);
    y.dispose();
  });

  it("refuses parts that do not fit", () => {
    scope(() => {
      const x = Tensor.full([5, 3, 8], 0);
      const running = Array.from({ length: 3 }, () => ({ mean: Tensor.full([8], 0), variance: Tensor.full([8], 1) }));
      expect(() => inParts("gn", x, { parts: 2, affine: [{}, {}] })).toThrow(ShapeError);
      expect(() => inParts("in", x, { parts: 3, shared: true, affine: [{}, {}] })).toThrow(/3 parts/);
      const rows = Tensor.full([8, 2], 0);
      expect(() => inParts("none", x, { parts: 2, shared: true, affine: [rows] })).toThrow(/rows of shape \[2, 8\]/);
      const parted = { parts: 2, shared: true, affine: [{}] };
      expect(() => inParts("bn", x, parted, { sets: running, training: true, momentum: 0.1 })).toThrow(ArgumentError);
    });
  });
});
