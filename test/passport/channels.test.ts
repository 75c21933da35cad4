/** Channels that hang together: every rearrangement of them leaves what networks compute as it was. */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, StateDictError } from "../../src/errors";
import type { StateDict } from "../../src/io/host-tensor";
import { AlexNet, ConvNet, PointNet, ResNet9 } from "../../src/models";
import { MultiheadAttention } from "../../src/nn/attention";
import { BatchNorm } from "../../src/nn/batch-norm";
import { Conv2d } from "../../src/nn/conv";
import { ConvTranspose2d } from "../../src/nn/conv-transpose";
import { Embedding } from "../../src/nn/embedding";
import { Flatten, MaxPool2d, ReLU, Sequential } from "../../src/nn/layers";
import { Linear } from "../../src/nn/linear";
import { Module } from "../../src/nn/module";
import { GroupNorm, InstanceNorm, LayerNorm, RMSNorm } from "../../src/nn/norm";
import { parameter } from "../../src/nn/registration";
import { type Channels, channelsOf, checkChannels, permuteChannels } from "../../src/passport/channels";
import type { Network } from "../../src/passport/trace";
import { gelu, silu } from "../../src/tensor/ops/activations";
import { cumsum } from "../../src/tensor/ops/cumsum";
import { add, affine, compare, mul, relu, reshape, sigmoid, sub, where } from "../../src/tensor/ops/elementwise";
import { indexSelect, oneHot } from "../../src/tensor/ops/gather";
import { concat, flip, narrow, permute } from "../../src/tensor/ops/movement";
import { globalAvgPool, maxPool2d } from "../../src/tensor/ops/pool";
import { matmul } from "../../src/tensor/ops/products/matmul";
import { argmax, mean, sum } from "../../src/tensor/ops/reduce";
import { upsample2d } from "../../src/tensor/ops/resize";
import { softmax } from "../../src/tensor/ops/softmax";
import { Generator } from "../../src/tensor/random";
import type { Shape } from "../../src/tensor/shape";
import { scope } from "../../src/tensor/storage";
import { noGrad, record, Tensor } from "../../src/tensor/tensor";
import { scattered } from "../support/bytes";
import { rearranged } from "../support/channels";
import { expectClose, gpu, randomData, randomTensor } from "../support/gpu";

beforeAll(async () => void (await gpu()));

/** Depthwise convolutions between 1×1 ones, with a gate per channel and a sum around. */
class MobileBlock extends Module {
  readonly expand: Conv2d;
  readonly bn1: BatchNorm;
  readonly depthwise: Conv2d;
  readonly bn2: BatchNorm;
  readonly squeeze: Linear;
  readonly excite: Linear;
  readonly project: Conv2d;
  readonly bn3: BatchNorm;

  constructor(channels: number, hidden: number) {
    super();
    this.expand = new Conv2d(channels, hidden, 1, { bias: false });
    this.bn1 = new BatchNorm(hidden, { relu: true });
    this.depthwise = new Conv2d(hidden, hidden, 3, { padding: 1, groups: hidden, bias: false });
    this.bn2 = new BatchNorm(hidden);
    this.squeeze = new Linear(hidden, 4);
    this.excite = new Linear(4, hidden);
    this.project = new Conv2d(hidden, channels, 1, { bias: false });
    this.bn3 = new BatchNorm(channels);
  }

  forward(x: Tensor): Tensor {
    const h = silu(this.bn2.forward(this.depthwise.forward(this.bn1.forward(this.expand.forward(x)))));
    const gate = sigmoid(this.excite.forward(relu(this.squeeze.forward(globalAvgPool(h)))));
    const gated = mul(h, reshape(gate, [h.shape[0]!, 1, 1, h.shape[3]!]));
    return add(x, this.bn3.forward(this.project.forward(gated)));
  }
}

class MobileNet extends Module {
  readonly stem = new Conv2d(3, 8, 3, { padding: 1 });
  readonly bn = new BatchNorm(8, { relu: true });
  readonly blocks = [new MobileBlock(8, 16), new MobileBlock(8, 12)];
  /** Two outputs for each input channel. */
  readonly spread = new Conv2d(8, 16, 3, { groups: 8 });
  readonly mixed = new Conv2d(16, 8, 1);
  readonly grouped = new Conv2d(8, 12, 1, { groups: 4 });
  readonly head = new Linear(12, 5);

  forward(x: Tensor): Tensor {
    const h = this.blocks.reduce((y, b) => b.forward(y), this.bn.forward(this.stem.forward(x)));
    const mixed = this.mixed.forward(relu(this.spread.forward(h)));
    return this.head.forward(globalAvgPool(relu(this.grouped.forward(relu(mixed)))));
  }
}

/** Skips by concatenation, group norms, and a way up by interpolation and by transposed convolution. */
class UNet extends Module {
  readonly down1 = new Conv2d(3, 8, 3, { padding: 1 });
  readonly norm1 = new GroupNorm(4, 8);
  readonly down2 = new Conv2d(8, 12, 3, { padding: 1 });
  readonly norm2 = new InstanceNorm(12, { affine: true });
  readonly middle = new Conv2d(12, 10, 3, { padding: 1 });
  readonly up1 = new ConvTranspose2d(10, 6, 2, { stride: 2 });
  readonly join1 = new Conv2d(18, 8, 3, { padding: 1 });
  readonly norm3 = new BatchNorm(8, { relu: true });
  readonly join2 = new Conv2d(16, 8, 1);
  readonly last = new Conv2d(8, 2, 1);

  forward(x: Tensor): Tensor {
    const one = relu(this.norm1.forward(this.down1.forward(x)));
    const two = gelu(this.norm2.forward(this.down2.forward(maxPool2d(one, 2))));
    const low = relu(this.middle.forward(maxPool2d(two, 2)));
    const mid = this.norm3.forward(this.join1.forward(concat([this.up1.forward(low), two], 3)));
    const high = upsample2d(mid, { scale: 2, mode: "bilinear" });
    return this.last.forward(relu(this.join2.forward(concat([high, one], 3))));
  }
}

/** A transformer block of parts: heads by reshape and permute. */
class Block extends Module {
  readonly norm1: LayerNorm;
  readonly qkv: Linear;
  readonly proj: Linear;
  readonly norm2: RMSNorm;
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly scale: Tensor;

  constructor(
    dim: number,
    readonly heads: number,
  ) {
    super();
    this.norm1 = new LayerNorm(dim);
    this.qkv = new Linear(dim, 3 * dim);
    this.proj = new Linear(dim, dim);
    this.norm2 = new RMSNorm(dim);
    this.fc1 = new Linear(dim, 2 * dim);
    this.fc2 = new Linear(2 * dim, dim);
    this.scale = parameter(Tensor.full([dim], 0.5));
  }

  forward(x: Tensor): Tensor {
    const [n, t, d] = x.shape as [number, number, number];
    const { heads } = this;
    const all = reshape(this.qkv.forward(this.norm1.forward(x)), [n, t, 3, heads, d / heads]);
    const apart = permute(all, [2, 0, 3, 1, 4]);
    const [q, k, v] = [0, 1, 2].map((i) => reshape(narrow(apart, 0, i, 1), [n, heads, t, d / heads]));
    const weights = softmax(affine(matmul(q!, k!, { transposeB: true }), 0.5));
    const read = reshape(permute(matmul(weights, v!), [0, 2, 1, 3]), [n, t, d]);
    const h = add(x, mul(this.proj.forward(read), this.scale));
    return add(h, this.fc2.forward(gelu(this.fc1.forward(this.norm2.forward(h)))));
  }
}

class ViT extends Module {
  readonly patches = new Conv2d(3, 12, 4, { stride: 4 });
  readonly cls = parameter(Tensor.from(randomData([1, 1, 12], 3), [1, 1, 12]));
  readonly positions = parameter(Tensor.from(randomData([1, 5, 12], 4), [1, 5, 12]));
  readonly block = new Block(12, 3);
  readonly attention = new MultiheadAttention(12, 3);
  readonly cross = new MultiheadAttention(12, 3);
  readonly norm = new LayerNorm(12);
  readonly head = new Linear(12, 4);

  forward(x: Tensor): Tensor {
    const rows = reshape(this.patches.forward(x), [x.shape[0]!, 4, 12]);
    const first = add(mul(mean(rows, 1, true), 0), this.cls);
    const tokens = this.block.forward(add(concat([first, rows], 1), this.positions));
    const h = add(tokens, this.attention.forward(this.norm.forward(tokens)));
    const seen = add(h, this.cross.forward(h, tokens));
    return this.head.forward(reshape(narrow(seen, 1, 0, 1), [x.shape[0]!, 12]));
  }
}

/** Words, a gated perceptron whose two halves are one map's outputs, and flattened channels. */
class Words extends Module {
  readonly words = new Embedding(7, 6);
  readonly both = new Linear(6, 16);
  readonly down = new Linear(8, 6);
  readonly out = new Linear(6 * 4, 3);

  forward(x: Tensor): Tensor {
    const h = this.words.forward(x);
    const both = this.both.forward(h);
    const gated = mul(narrow(both, 2, 0, 8), sigmoid(narrow(both, 2, 8, 8)));
    return this.out.forward(reshape(add(h, this.down.forward(gated)), [x.shape[0]!, 24]));
  }
}

interface Case {
  make: () => Network;
  shape: Shape;
  sample?: () => Tensor;
  /** Groups in order: units, and channels of each part of one. */
  groups: string;
}

const flat = (): Network =>
  new Sequential(
    new Conv2d(3, 6, 3),
    new InstanceNorm(6),
    new ReLU(),
    new MaxPool2d(2),
    new Flatten(),
    new Linear(6 * 9, 8),
    new LayerNorm(8),
    new ReLU(),
    new Linear(8, 3),
  ) as Network;

const CASES: Record<string, Case> = {
  "a quarter of AlexNet": {
    make: () => new AlexNet({ width: 0.25 } as never),
    shape: [2, 32, 32, 3],
    groups: "16×1 48×1 96×1 64×1 64×1",
  },
  "ResNet-9": {
    make: () => new ResNet9({ width: 4, input: [8, 8, 3] }),
    shape: [2, 8, 8, 3],
    groups: "4×1 4×1 8×1 8×1 16×1 16×1 32×1 32×1",
  },
  "ResNet-9 of group norms": {
    make: () => new ResNet9({ width: 32, input: [8, 8, 3], norm: "gn" }),
    shape: [2, 8, 8, 3],
    groups: "2×16 2×16 4×16 4×16 8×16 8×16 16×16 16×16",
  },
  PointNet: {
    make: () => new PointNet({ points: 16, width: 0.125, classes: 4 }),
    shape: [2, 16, 3],
    groups: "8×1 16×1 128×1 64×1 32×1 8×1 16×1 128×1 64×1 32×1 16×1 128×1 64×1 32×1",
  },
  "a chain of layer norms": {
    make: () =>
      new ConvNet({
        norm: "ln",
        classes: 3,
        input: [8, 8, 3],
        layers: [{ channels: 8, kernel: 3 }, "pool", { channels: 6, kernel: 2 }],
      }),
    shape: [2, 8, 8, 3],
    groups: "8×1 6×1",
  },
  "a flattened image": { make: flat, shape: [2, 8, 8, 3], groups: "6×1 8×1" },
  MobileNet: { make: () => new MobileNet(), shape: [2, 8, 8, 3], groups: "8×1+×2 16×1 4×1 12×1 4×1 4×2+×3" },
  UNet: { make: () => new UNet(), shape: [2, 8, 8, 3], groups: "4×2 12×1 10×1 6×1 8×1 8×1" },
  ViT: { make: () => new ViT(), shape: [2, 8, 8, 3], groups: "12×1 3×4+×4 24×1 3×4+×4 3×4+×4" },
  Words: {
    make: () => new Words(),
    shape: [2, 4],
    sample: () =>
      Tensor.from(
        [
          [1, 2, 3, 4],
          [0, 6, 5, 2],
        ],
        [2, 4],
        "i32",
      ),
    groups: "6×1 8×1",
  },
};

const unitsOf = ({ groups }: Channels) =>
  groups.map((g) => `${g.units}${g.parts.map((p) => `×${p.each}`).join("+")}`).join(" ");

describe.each(Object.entries(CASES))("%s", (_, { make, shape, sample, groups }) => {
  it("computes the same with its channels rearranged", async () => {
    const network = make();
    network.eval();
    network.loadStateDict(scattered(await network.stateDict()));
    const x = sample?.() ?? randomTensor(shape, 5);
    const outputs = async () => {
      const y = scope(() => noGrad(() => network.forward(x) as Tensor));
      const data = await y.data();
      y.dispose();
      return data;
    };
    const channels = channelsOf(network, sample ? x : shape);
    expect(unitsOf(channels)).toBe(groups);
    expect(JSON.parse(JSON.stringify(channels))).toEqual(channels);
    const state = await network.stateDict();
    const before = await outputs();
    const most = Math.max(...before.map(Math.abs));
    for (let seed = 0; seed < 4; seed++) {
      const changed = rearranged(state, channels, new Generator(seed));
      expect(changed).not.toEqual(state);
      network.loadStateDict(changed);
      expectClose(await outputs(), before, { rtol: 1e-4, atol: 1e-4 * most });
    }
    network.dispose();
    x.dispose();
  });
});

/** Two convolutions with something of somebody's between them. */
class Between extends Module {
  readonly first = new Conv2d(3, 6, 1);
  readonly second = new Conv2d(6, 4, 1);
  readonly head = new Linear(4, 2);

  constructor(readonly between: (x: Tensor) => Tensor) {
    super();
  }

  forward(x: Tensor): Tensor {
    return this.head.forward(globalAvgPool(relu(this.second.forward(this.between(this.first.forward(x))))));
  }
}

describe("channels stay in their place", () => {
  const between = (f: (x: Tensor) => Tensor) => {
    const network = new Between(f);
    const channels = channelsOf(network, [1, 4, 4, 3]);
    network.dispose();
    return channels;
  };
  const tensorsOf = ({ groups }: Channels) =>
    groups.flatMap((g) => g.parts.flatMap((p) => p.members.map((m) => m.tensor)));

  it("where nothing is known of an operation", () => {
    const strange = (x: Tensor) => record("somebody's own", x.newFull(x.shape, 0), [x], [], () => (g) => [g]);
    expect(unitsOf(between(relu))).toBe("6×1 4×1");
    expect(unitsOf(between(strange))).toBe("4×1");
    expect(tensorsOf(between(strange))).not.toContain("first.weight");
    expect(JSON.stringify(between(strange).factors)).not.toContain("first");
  });

  it.each<[string, (x: Tensor) => Tensor]>([
    ["turned round", (x) => flip(x, [3])],
    ["summed up one by one", (x) => cumsum(x, 3)],
    ["chosen by number", (x) => indexSelect(x, 3, [5, 4, 3, 2, 1, 0])],
    ["added to something that has an order", (x) => add(x, Tensor.from([1, 2, 3, 4, 5, 6], [6]))],
    ["compared, and the answer used", (x) => mul(x, compare("greater", x, Tensor.from([1, 2, 3, 4, 5, 6], [6])))],
    ["named by the greatest", (x) => mul(x, reshape(argmaxOf(x), [...x.shape.slice(0, 3), 1]))],
    ["mixed with positions", (x) => reshape(permute(x, [0, 3, 1, 2]), x.shape)],
  ])("where they are %s", (_, f) => {
    expect(unitsOf(between(f))).toBe("4×1");
  });

  it("in the part that something happens to, and move within both", () => {
    const half = (x: Tensor) => concat([relu(narrow(x, 3, 0, 2)), narrow(x, 3, 2, 4)], 3);
    expect(unitsOf(between(half))).toBe("2×1 4×1 4×1");
  });

  it("pass through sums, means and comparisons of all alike", () => {
    expect(unitsOf(between((x) => sub(x, mean(x, 3, true))))).toBe("6×1 4×1");
    expect(unitsOf(between((x) => where(compare("greater", x, 0), x, affine(x, 2))))).toBe("6×1 4×1");
    expect(unitsOf(between((x) => softmax(x, 3)))).toBe("6×1 4×1");
  });
});

/** What the position of the greatest channel is, as a number. */
const argmaxOf = (x: Tensor): Tensor => sum(mul(oneHot(argmax(x, 3), 6), Tensor.from([1, 2, 3, 4, 5, 6], [6])), 3);

it("what a file says of channels is checked before it is used", () => {
  const network = new Between(relu);
  const channels = channelsOf(network, [1, 4, 4, 3]);
  network.dispose();
  expect(() => checkChannels(channels)).not.toThrow();
  const run = channels.groups[0]!.parts[0]!.members[0]!;
  const withRun = (changed: object) => ({
    groups: [{ units: 6, parts: [{ each: 1, members: [{ ...run, ...changed }] }] }],
    factors: [],
  });
  for (const bad of [
    null,
    [],
    { groups: [] },
    { groups: [], factors: [], more: [] },
    withRun({ tensor: 3 }),
    withRun({ role: "any" }),
    withRun({ times: 0 }),
    withRun({ start: -1 }),
    withRun({ unit: 1.5 }),
    withRun({ stride: 2 ** 40 }),
    { groups: [{ units: 0, parts: [] }], factors: [] },
  ])
    expect(() => checkChannels(bad)).toThrow(ArgumentError);
  const state: StateDict = new Map([
    ["first.weight", { dtype: "F32", shape: [6, 3, 1, 1], data: new Float32Array(18) }],
  ]);
  const still = { units: [0, 1, 2, 3, 4, 5], within: [Array.from({ length: 6 }, () => [0])] };
  for (const changed of [
    { start: 1 },
    { unit: 2 },
    { times: 2 ** 20 },
    { axis: 7 },
    { axis: 1 },
    { groups: 4, axis: 1 },
  ])
    expect(() => permuteChannels(state, withRun(changed).groups[0] as never, still)).toThrow(StateDictError);
});
