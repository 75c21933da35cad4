/**
 * Channels that hang together: every rearrangement of them leaves what networks compute as it was.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, StateDictError } from "../../src/errors";
import type { StateDict } from "../../src/io/host-tensor";
import { AlexNet, ConvNet, PointNet, ResNet9 } from "../../src/models";
import { Conv2d } from "../../src/nn/conv";
import { Flatten, MaxPool2d, ReLU, Sequential } from "../../src/nn/layers";
import { Linear } from "../../src/nn/linear";
import { Module } from "../../src/nn/module";
import { InstanceNorm, LayerNorm } from "../../src/nn/norm";
import { type Channels, channelsOf, checkChannels, permuteChannels } from "../../src/passport/channels";
import type { Network } from "../../src/passport/trace";
import { cumsum } from "../../src/tensor/ops/cumsum";
import { add, affine, greater, mul, relu, reshape, sub, where } from "../../src/tensor/ops/elementwise";
import { indexSelect, oneHot } from "../../src/tensor/ops/gather";
import { concat, flip, narrow, permute } from "../../src/tensor/ops/movement";
import { globalAvgPool } from "../../src/tensor/ops/pool";
import { argmax, mean, sum } from "../../src/tensor/ops/reduce";
import { softmax } from "../../src/tensor/ops/softmax";
import { Generator } from "../../src/tensor/random";
import type { Shape } from "../../src/tensor/shape";
import { scope } from "../../src/tensor/storage";
import { noGrad, record, Tensor } from "../../src/tensor/tensor";
import { scattered } from "../support/bytes";
import { rearranged } from "../support/channels";
import { expectClose, gpu, randomTensor } from "../support/gpu";
import { MobileNet, Recurrent, TiedWords, UNet, ViT, Words } from "../support/varied";

beforeAll(async () => void (await gpu()));

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
  "a map three times": { make: () => new Recurrent(), shape: [2, 4, 4, 3], groups: "6×1" },
  "tied words": {
    make: () => new TiedWords(),
    shape: [2, 2],
    sample: () =>
      Tensor.from(
        [
          [1, 2],
          [0, 6],
        ],
        [2, 2],
        "i32",
      ),
    groups: "6×1 8×1",
  },
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
    ["compared, and the answer used", (x) => mul(x, greater(x, Tensor.from([1, 2, 3, 4, 5, 6], [6])))],
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
    expect(unitsOf(between((x) => sub(x, mean(x, 3, { keepdim: true }))))).toBe("6×1 4×1");
    expect(unitsOf(between((x) => where(greater(x, 0), x, affine(x, 2))))).toBe("6×1 4×1");
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
