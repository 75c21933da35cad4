import { describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import {
  AdaptiveAvgPool2d,
  AvgPool2d,
  BatchNorm,
  Conv1d,
  Conv2d,
  ConvTranspose2d,
  Dropout,
  Flatten,
  GELU,
  GlobalAvgPool,
  GroupNorm,
  Hardswish,
  Identity,
  InstanceNorm,
  kaimingNormal,
  kaimingUniform,
  type Layer,
  LayerNorm,
  LeakyReLU,
  Linear,
  MaxPool2d,
  manualSeed,
  ReLU,
  RMSNorm,
  Sequential,
  SiLU,
  Upsample,
  xavierNormal,
  xavierUniform,
} from "../../src/nn";
import { gelu, hardswish, silu } from "../../src/tensor/ops/activations";
import { leakyRelu, relu } from "../../src/tensor/ops/elementwise";
import { pad } from "../../src/tensor/ops/movement";
import { batchNorm, groupNorm, instanceNorm, layerNorm, rmsNorm } from "../../src/tensor/ops/norm/norm";
import { avgPool2d, globalAvgPool, maxPool2d } from "../../src/tensor/ops/pool";
import { conv1d, conv2d } from "../../src/tensor/ops/products/conv";
import { convTranspose2d } from "../../src/tensor/ops/products/conv-transpose";
import { linear } from "../../src/tensor/ops/products/matmul";
import { adaptiveAvgPool2d, upsample2d } from "../../src/tensor/ops/resize";
import { Generator } from "../../src/tensor/random";
import { recordStep } from "../../src/tensor/recorded";
import type { Shape } from "../../src/tensor/shape";
import { keep } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, randomTensor } from "../support/gpu";

await gpu();

const random = new Generator(21);
const values = async (t: Tensor) => [t.shape, ...(await t.data())];

describe("a layer gives what its operation gives with the layer's weights and options", () => {
  const conv = new Conv2d(4, 6, [3, 2], { stride: [2, 1], padding: [1, 0], dilation: [1, 2], groups: 2, random });
  const line = new Conv1d(3, 4, 3, { stride: 2, padding: 2, dilation: 2, bias: false, random });
  const dense = new Linear(5, 3, { random });
  const open = new Linear(5, 3, { bias: false, random });
  const [gn, ln] = [new GroupNorm(3, 6, { eps: 0.1, relu: true }), new LayerNorm([4, 6], { eps: 0.2 })];
  const rms = new RMSNorm([4, 6], { eps: 0.2 });
  const inorm = new InstanceNorm(6, { affine: true, relu: true });
  const image: Shape = [2, 7, 8, 6];
  const table: [string, Layer, Shape, (x: Tensor) => Tensor][] = [
    ["Identity", new Identity(), [3, 2], (x) => x],
    ["ReLU", new ReLU(), [3, 2], relu],
    ["GELU", new GELU(), [3, 2], (x) => gelu(x)],
    ["GELU by tanh", new GELU({ approximate: "tanh" }), [3, 2], (x) => gelu(x, { approximate: "tanh" })],
    ["SiLU", new SiLU(), [3, 2], silu],
    ["Hardswish", new Hardswish(), [3, 2], hardswish],
    ["LeakyReLU", new LeakyReLU(0.3), [3, 2], (x) => leakyRelu(x, 0.3)],
    [
      "Conv2d",
      conv,
      [2, 7, 8, 4],
      (x) => conv2d(x, conv.weight, conv.bias, { stride: [2, 1], padding: [1, 0], dilation: [1, 2], groups: 2 }),
    ],
    ["Conv1d", line, [2, 9, 3], (x) => conv1d(x, line.weight, null, { stride: 2, padding: 2, dilation: 2 })],
    ["Linear", dense, [2, 4, 5], (x) => linear(x, dense.weight, dense.bias)],
    ["Linear without bias", open, [4, 5], (x) => linear(x, open.weight)],
    [
      "MaxPool2d",
      new MaxPool2d(3, { stride: 2, padding: 1 }),
      image,
      (x) => maxPool2d(x, 3, { stride: 2, padding: 1 }),
    ],
    ["AvgPool2d", new AvgPool2d([2, 3]), image, (x) => avgPool2d(x, [2, 3])],
    [
      "MaxPool2d with ceilMode",
      new MaxPool2d(4, { stride: 3, ceilMode: true }),
      image,
      (x) => maxPool2d(x, 4, { stride: 3, ceilMode: true }),
    ],
    [
      "AvgPool2d with ceilMode",
      new AvgPool2d(4, { stride: 3, padding: 1, ceilMode: true, countIncludePad: false }),
      image,
      (x) => avgPool2d(x, 4, { stride: 3, padding: 1, ceilMode: true, countIncludePad: false }),
    ],
    ["AdaptiveAvgPool2d", new AdaptiveAvgPool2d([3, 2]), image, (x) => adaptiveAvgPool2d(x, [3, 2])],
    [
      "Upsample",
      new Upsample({ scale: 2, mode: "bilinear" }),
      image,
      (x) => upsample2d(x, { scale: 2, mode: "bilinear" }),
    ],
    ["GlobalAvgPool", new GlobalAvgPool(), image, globalAvgPool],
    ["GroupNorm", gn, image, (x) => groupNorm(x, 3, { gamma: gn.weight, beta: gn.bias, eps: 0.1, relu: true })],
    ["InstanceNorm", inorm, image, (x) => instanceNorm(x, { gamma: inorm.weight, beta: inorm.bias, relu: true })],
    ["RMSNorm", rms, [3, 4, 6], (x) => rmsNorm(x, [4, 6], { gamma: rms.weight, eps: 0.2 })],
    ["LayerNorm", ln, [3, 4, 6], (x) => layerNorm(x, [4, 6], { gamma: ln.weight, beta: ln.bias, eps: 0.2 })],
  ];

  it.each(table)("%s", async (_, layer, shape, op) => {
    for (const [i, p] of layer.parameters().entries()) p.write(await randomTensor(p.shape, 40 + i).data());
    const x = randomTensor(shape, 3);
    expect(await values(layer.forward(x))).toEqual(await values(op(x)));
  });

  it("Flatten, in PyTorch's order of channel, row, column", async () => {
    const x = Tensor.from(
      Float32Array.from({ length: 12 }, (_, i) => i),
      [1, 2, 2, 3],
    );
    expect(await values(new Flatten().forward(x))).toEqual([[1, 12], 0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
    expect(new Flatten().forward(Tensor.full([2, 3, 4], 0)).shape).toEqual([2, 12]);
  });
});

it("RMSNorm has γ alone, or nothing", async () => {
  expect([...(await new RMSNorm(4).stateDict()).keys()]).toEqual(["weight"]);
  expect(new RMSNorm(4, { affine: false }).parameters()).toEqual([]);
});

describe("BatchNorm", () => {
  const [gamma, beta] = [randomTensor([3], 1), randomTensor([3], 2)];

  it("normalises by the batch and tracks it while training, then by what it tracked", async () => {
    const bn = new BatchNorm(3, { momentum: 0.3, eps: 0.01, relu: true });
    bn.weight!.write(await gamma.data());
    bn.bias!.write(await beta.data());
    const [mean, variance] = [Tensor.full([3], 0), Tensor.full([3], 1)];
    const options = { gamma, beta, runningMean: mean, runningVar: variance, momentum: 0.3, eps: 0.01, relu: true };
    for (const seed of [5, 6]) {
      const x = randomTensor([4, 2, 3], seed, 3);
      expect(await values(bn.forward(x))).toEqual(await values(batchNorm(x, { ...options, training: true })));
    }
    expect(await values(bn.runningMean)).toEqual(await values(mean));
    expect(await values(bn.runningVar)).toEqual(await values(variance));
    expect(bn.batchesTracked).toBe(2);
    const x = randomTensor([2, 3], 7);
    const expected = await values(batchNorm(x, { ...options, training: false }));
    expect(await values(bn.eval().forward(x))).toEqual(expected);
    expect(await values(bn.runningMean)).toEqual(await values(mean));
    expect(bn.batchesTracked).toBe(2);
  });

  it("takes γ and β of a call in place of its own", async () => {
    const x = randomTensor([5, 3], 8);
    const expected = await values(batchNorm(x, { gamma, beta, training: true }));
    expect(await values(new BatchNorm(3, { affine: false }).forward(x, { gamma, beta }))).toEqual(expected);
    expect(await values(new BatchNorm(3).forward(x, { gamma, beta }))).toEqual(expected);
    const plain = await values(batchNorm(x, { training: true }));
    expect(await values(new BatchNorm(3).forward(x, { gamma: null, beta: null }))).toEqual(plain);
  });
});

describe("BatchNorm with momentum null", () => {
  it("tracks the mean over all batches, as PyTorch's, whatever a bad batch left", async () => {
    const norm = new BatchNorm(2, { momentum: null });
    const batches = [1, 2, 3].map((seed) => randomTensor([6, 2], seed));
    const plainNorm = (x: Tensor) => {
      const once = new BatchNorm(2, { momentum: 1 });
      once.forward(x);
      return Promise.all([once.runningMean.data(), once.runningVar.data()]);
    };
    const own = await Promise.all(batches.map(plainNorm));
    const meanOf = (k: 0 | 1, weights: number[]) =>
      [0, 1].map((c) => own.reduce((s, o, i) => s + o[k][c]! * weights[i]!, 0) / weights.reduce((a, b) => a + b));
    const check = async (weights: number[]) => {
      expectClose(await norm.runningMean.data(), meanOf(0, weights));
      expectClose(await norm.runningVar.data(), meanOf(1, weights));
    };
    norm.forward(batches[0]!);
    norm.forward(batches[1]!);
    norm.forward(batches[1]!);
    norm.forward(batches[2]!);
    await check([1, 2, 1]);
    expect(norm.batchesTracked).toBe(4);
    const good = await norm.stateDict();
    expect(await values(norm.forward(batches[0]!))).toEqual(await values(new BatchNorm(2).forward(batches[0]!)));
    norm.forward(Tensor.full([6, 2], Number.NaN));
    norm.loadStateDict(good);
    norm.eval().forward(batches[0]!);
    await check([1, 2, 1]);
    norm.train().forward(batches[0]!);
    await check([2, 2, 1]);
  });
});

describe("BatchNorm with momentum null, in steps that are recorded and with other momenta between", () => {
  /** Two rows of mean v and unbiased variance 2. */
  const batch = (v: number) => [[v - 1], [v + 1]];
  const x = () => keep(Tensor.from(batch(0)));
  const meanOf = async (norm: BatchNorm) => (await norm.runningMean.data())[0]!;

  it("tracks the mean over all batches, the first of them recorded", async () => {
    const [norm, input] = [new BatchNorm(1, { momentum: null }), x()];
    input.write(batch(1));
    const step = recordStep(() => void norm.forward(input));
    for (const v of [5, 30]) {
      input.write(batch(v));
      step.replay();
    }
    expect(await meanOf(norm)).toBeCloseTo(12, 5);
    expect((await norm.runningVar.data())[0]).toBeCloseTo(2, 5);
    // Batches that others counted, and a state that was loaded, count for replays too.
    norm.batchesTracked = 0;
    input.write(batch(7));
    step.replay();
    expect(await meanOf(norm)).toBeCloseTo(7, 5);
    expect(norm.batchesTracked).toBe(1);
    step.dispose();
  });

  it("weighs a batch by all that were tracked", async () => {
    const [norm, input] = [new BatchNorm(1, { momentum: null }), x()];
    const feed = (v: number, momentum: number | null) => {
      norm.momentum = momentum;
      input.write(batch(v));
      norm.forward(input);
    };
    feed(1, null);
    feed(11, 0.5);
    expect(await meanOf(norm)).toBeCloseTo(6, 5);
    // PyTorch's: 6 + (21 − 6) / 3.
    feed(21, null);
    expect(await meanOf(norm)).toBeCloseTo(11, 5);
  });
});

describe("padding same", () => {
  it.each([
    [2, 1],
    [3, 2],
    [4, 3],
  ])("keeps the size with kernel %i and dilation %i, the odd zero behind", async (kernel, dilation) => {
    const x = randomTensor([1, 6, 7, 1], 3);
    const layer = new Conv2d(1, 1, kernel, { padding: "same", dilation, random });
    const all = dilation * (kernel - 1);
    const sides = [Math.floor(all / 2), Math.ceil(all / 2)] as const;
    const expected = conv2d(pad(x, [[0, 0], sides, sides, [0, 0]]), layer.weight, layer.bias, { dilation });
    expect(await values(layer.forward(x))).toEqual(await values(expected));
    const line = new Conv1d(1, 2, kernel, { padding: "same", dilation, random });
    expect(line.forward(randomTensor([2, 7, 1], 3)).shape).toEqual([2, 7, 2]);
  });
});

describe("layers and functions of one name", () => {
  it("take the same words for padding", async () => {
    const x = randomTensor([1, 4, 4, 1], 3);
    const layer = new Conv2d(1, 1, 3, { padding: "valid", random });
    const y = conv2d(x, layer.weight, layer.bias, { padding: "valid" });
    expect(await values(layer.forward(x))).toEqual(await values(y));
    expect(new Conv1d(1, 1, 3, { padding: "valid", random }).forward(randomTensor([1, 4, 1], 3)).shape).toEqual([
      1, 2, 1,
    ]);
  });

  it.each([
    { stride: 0 },
    { dilation: 0.5 },
    { padding: -1 },
    { padding: "full" },
    { groups: 0 },
    { padding: "same", stride: 2 },
  ])("refuse %o alike", (options) => {
    const [x, w] = [Tensor.full([1, 4, 4, 1], 1), Tensor.full([3, 3, 1, 1], 1)];
    expect(() => new Conv2d(1, 1, 3, { ...options, random } as never)).toThrow(ArgumentError);
    expect(() => conv2d(x, w, null, options as never)).toThrow(ArgumentError);
    expect(() => new ConvTranspose2d(1, 1, 3, { ...options, random } as never)).toThrow(ArgumentError);
    expect(() => convTranspose2d(x, w, null, options as never)).toThrow(ArgumentError);
  });

  it("speak of themselves, and not of what they are made of", () => {
    for (const [name, f] of Object.entries({ kaimingNormal, kaimingUniform, xavierNormal, xavierUniform }))
      expect(() => f([2, 2], 3 as never)).toThrow(new RegExp(`^${name}: random`));
  });
});

describe("the common source of random numbers", () => {
  it("gives the same layers the same weights for the same seed, and layers weights of their own", async () => {
    const made = async () => {
      manualSeed(3);
      const layers = [new Linear(3, 2), new Linear(3, 2), new Conv2d(1, 1, 3), new Conv1d(1, 1, 3)];
      return Promise.all(layers.map(({ weight }) => values(weight)));
    };
    const first = await made();
    expect(await made()).toEqual(first);
    expect(first[0]).not.toEqual(first[1]);
    expect(() => manualSeed(-1)).toThrow(ArgumentError);
    expect(new Dropout().p).toBe(0.5);
    expect(new LayerNorm(4).shape).toEqual([4]);
  });
});

describe("Dropout", () => {
  it("drops a share p while training, scales the rest, and lets gradients through where values went", async () => {
    const p = 0.3;
    const layer = new Dropout(p, { random: new Generator(4) });
    const n = 4000;
    const x = Tensor.full([n], 2);
    x.requiresGrad = true;
    const y = layer.forward(x);
    y.backward(Tensor.full([n], 1));
    const [out, grad] = [await y.data(), await x.grad!.data()];
    const dropped = out.filter((v) => v === 0).length;
    expect(Math.abs(dropped - p * n)).toBeLessThan(3 * Math.sqrt(n * p * (1 - p)));
    const scale = 1 / (1 - p);
    for (let i = 0; i < n; i++) {
      expect(Math.abs(out[i]! - (out[i] === 0 ? 0 : 2 * scale))).toBeLessThan(1e-5);
      expect(Math.abs(grad[i]! - (out[i] === 0 ? 0 : scale))).toBeLessThan(1e-5);
    }
    expect(await values(layer.forward(x))).not.toEqual([[n], ...out]);
    const again = new Dropout(p, { random: new Generator(4) });
    expect(await values(again.forward(x))).toEqual([[n], ...out]);
  });

  it("does nothing in evaluation", async () => {
    const layer = new Sequential(new Dropout(0.9, { random }));
    const x = randomTensor([50], 5);
    expect(await values(layer.eval().forward(x))).toEqual(await values(x));
    expect(await values(layer.train().forward(x))).not.toEqual(await values(x));
  });

  it("refuses what is no probability", () => {
    expect(() => new Dropout(1.5, { random })).toThrow(ArgumentError);
  });
});

describe("Sequential", () => {
  it("applies its layers in order, none of them included", async () => {
    const [a, b] = [new Linear(3, 4, { random }), new Linear(4, 2, { random })];
    const x = randomTensor([5, 3], 6);
    expect(await values(new Sequential(a, new ReLU(), b).forward(x))).toEqual(
      await values(b.forward(relu(a.forward(x)))),
    );
    expect(new Sequential().forward(x)).toBe(x);
  });

  it("does a max-pooling right behind a norm in the norm's kernel, and no other", async () => {
    const d = await gpu();
    const x = randomTensor([2, 5, 4, 3], 6);
    const norms = [new BatchNorm(3, { relu: true }), new GroupNorm(1, 3), new InstanceNorm(3), new LayerNorm(3)];
    const launches = (f: () => Tensor) => {
      const before = d.counters.dispatches;
      const y = f();
      return [d.counters.dispatches - before, y] as const;
    };
    for (const norm of norms) {
      const pools = [
        ...[new MaxPool2d(2), new MaxPool2d(2, { stride: 1 }), new MaxPool2d([2, 1])],
        // Five rows are three windows then, which the norm's kernel does not make.
        new MaxPool2d(2, { ceilMode: true }),
      ];
      for (const [i, pool] of pools.entries()) {
        const [apart, wanted] = launches(() => pool.forward(norm.forward(x)));
        const [together, y] = launches(() => new Sequential(norm, pool).forward(x));
        expect(together).toBe(i === 0 && !(norm instanceof LayerNorm) ? apart - 1 : apart);
        expect(y.shape).toEqual([2, i === 3 ? 3 : i === 1 ? 4 : 2, i === 1 ? 3 : i === 2 ? 4 : 2, 3]);
        expect(await values(y)).toEqual(await values(wanted));
      }
    }
    const rows = randomTensor([4, 3], 7);
    expect(() => new Sequential(new BatchNorm(3), new MaxPool2d(2)).forward(rows)).toThrow(ShapeError);
  });
});

describe("layers refuse", () => {
  it("groups that do not divide their channels", () => {
    for (const [inputs, outputs, groups] of [
      [3, 4, 2],
      [4, 3, 2],
      [5, 5, 0],
      [1.5, 3, 1],
    ] as const) {
      expect(() => new Conv2d(inputs, outputs, 1, { groups, random })).toThrow(ArgumentError);
      expect(() => new Conv1d(inputs, outputs, 1, { groups, random })).toThrow(/^Conv1d: .*groups/);
    }
  });

  it("input of another width", () => {
    expect(() => new Linear(3, 2, { random }).forward(Tensor.full([2, 4], 1))).toThrow(ShapeError);
    expect(() => new Conv2d(3, 2, 1, { random }).forward(Tensor.full([1, 4, 4, 2], 1))).toThrow(ShapeError);
    expect(() => new BatchNorm(3).forward(Tensor.full([4, 2], 1))).toThrow(ShapeError);
    expect(() => new Linear(-1, 2, { random })).toThrow(ArgumentError);
  });

  it("no layer without inputs: its bias is 0, as PyTorch's", async () => {
    expect(await values(new Linear(0, 2, { random }).bias!)).toEqual([[2], 0, 0]);
  });
});
