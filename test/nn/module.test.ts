import { beforeAll, describe, expect, it } from "vitest";
import { StateDictError } from "../../src/errors";
import { type HostTensor, type StateDict, toFloat32 } from "../../src/io/host-tensor";
import {
  BatchNorm,
  buffer,
  Conv1d,
  Conv2d,
  GroupNorm,
  InstanceNorm,
  LayerNorm,
  type Layout,
  Linear,
  Module,
  parameter,
  ReLU,
  Sequential,
} from "../../src/nn";
import { Generator } from "../../src/tensor/random";
import { type Shape, sizeOf } from "../../src/tensor/shape";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";

beforeAll(gpu);

const random = new Generator(5);

const host = (shape: Shape, from = 0): HostTensor => ({
  dtype: "F32",
  shape,
  data: Float32Array.from({ length: sizeOf(shape) }, (_, i) => from + i),
});

/** Every value of a state dict, by name, shape and number. */
const plain = (dict: StateDict) =>
  Object.fromEntries([...dict].map(([name, t]) => [name, [t.dtype, [...t.shape], ...Array.from(t.data, Number)]]));

class Block extends Module {
  readonly conv = new Conv2d(2, 3, 1, { bias: false, random });
  readonly bn1 = new BatchNorm(3);
  readonly shortcutLayers: Module[] = [new Linear(3, 2, { random }), new ReLU(), new GroupNorm(1, 2)];
  readonly keyPrivate = buffer(Tensor.full([1, 2, 2, 3], 1), "image");
  readonly pointKey = buffer(Tensor.full([1, 4, 3], 1), "sequence");
  readonly scale = parameter(Tensor.full([3], 2));
  /** Not registered: no part of the state. */
  readonly scratch = Tensor.full([2], 0);
  private handed = 0;

  protected override loaded(): void {
    this.handed++;
  }

  get loads(): number {
    return this.handed;
  }
}

class Net extends Module {
  readonly block = new Block();
  readonly head = new Sequential(new Linear(3, 4, { random }), new ReLU(), new Linear(4, 2, { bias: false, random }));
  /** The same module under a second name. */
  readonly tied = this.head;
}

const BLOCK_SHAPES: Record<string, number[]> = {
  "conv.weight": [3, 2, 1, 1],
  "bn1.weight": [3],
  "bn1.bias": [3],
  "bn1.running_mean": [3],
  "bn1.running_var": [3],
  "bn1.num_batches_tracked": [],
  "shortcut_layers.0.weight": [2, 3],
  "shortcut_layers.0.bias": [2],
  "shortcut_layers.2.weight": [2],
  "shortcut_layers.2.bias": [2],
  key_private: [1, 3, 2, 2],
  point_key: [1, 3, 4],
  scale: [3],
};

describe("names", () => {
  it("are properties in snake_case, joined by dots, arrays by number", async () => {
    const dict = await new Block().stateDict();
    expect(Object.fromEntries([...dict].map(([name, t]) => [name, [...t.shape]]))).toEqual(BLOCK_SHAPES);
  });

  it("of a Sequential are numbers alone", async () => {
    const net = new Sequential(
      new ReLU(),
      new Sequential(new Linear(2, 1, { random }), new BatchNorm(1, { affine: false })),
    );
    expect([...(await net.stateDict()).keys()]).toEqual([
      "1.0.weight",
      "1.0.bias",
      "1.1.running_mean",
      "1.1.running_var",
      "1.1.num_batches_tracked",
    ]);
  });
});

describe("parameters", () => {
  it("are each given once, without buffers, those of shared modules included", () => {
    const net = new Net();
    const own = [net.block.conv.weight, net.block.bn1.weight, net.block.bn1.bias, net.block.scale];
    const list = net.parameters();
    expect(new Set(list).size).toBe(list.length);
    expect(list.length).toBe(own.length + 4 + 3);
    for (const p of own) expect(list).toContain(p);
    expect(list.every((p) => p.requiresGrad)).toBe(true);
    expect(net.block.keyPrivate.requiresGrad).toBe(false);
  });

  it("outlive the scope their module was made in, and end with it", () => {
    const before = memory();
    const net = scope(() => new Sequential(new Linear(2, 3, { random }), new BatchNorm(3)));
    expect(net.parameters().some((p) => p.isDisposed)).toBe(false);
    scope(() => net.forward(Tensor.full([2, 2], 1)).backward(Tensor.full([2, 3], 1)));
    expect(net.parameters().map((p) => p.grad?.shape)).toEqual([[2, 3], [3], [3], [3]]);
    net.zeroGrad();
    expect(net.parameters().every((p) => p.grad === null)).toBe(true);
    net.dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors, storages: before.storages, bytes: before.bytes });
  });
});

it("train and eval reach every module below", () => {
  const net = new Net();
  const all = (m: Module): Module[] => [m, ...[...m.children()].flatMap(([, c]) => all(c))];
  const modes = () => new Set(all(net).map((m) => m.training));
  expect(all(net).length).toBeGreaterThan(10);
  expect(modes()).toEqual(new Set([true]));
  expect(net.eval()).toBe(net);
  expect(modes()).toEqual(new Set([false]));
  net.block.train();
  expect([net.training, net.block.bn1.training, net.head.training]).toEqual([false, true, false]);
});

describe("state dicts are in PyTorch's order", () => {
  /** PyTorch's index of each element of ours, by the documentation's own words. */
  const cases: { layout: Layout; ours: Shape; torch: Shape; from: (i: number[]) => number[] }[] = [
    { layout: "conv2d", ours: [2, 3, 4, 5], torch: [5, 4, 2, 3], from: ([kh, kw, i, o]) => [o!, i!, kh!, kw!] },
    { layout: "conv1d", ours: [2, 3, 4], torch: [4, 3, 2], from: ([k, i, o]) => [o!, i!, k!] },
    { layout: "linear", ours: [3, 4], torch: [4, 3], from: ([i, o]) => [o!, i!] },
    { layout: "image", ours: [2, 3, 4, 5], torch: [2, 5, 3, 4], from: ([n, h, w, c]) => [n!, c!, h!, w!] },
    { layout: "sequence", ours: [2, 3, 4], torch: [2, 4, 3], from: ([n, l, c]) => [n!, c!, l!] },
    { layout: "same", ours: [2, 3, 4], torch: [2, 3, 4], from: (i) => i },
  ];

  class Holder extends Module {
    readonly value: Tensor;
    constructor(shape: Shape, layout: Layout) {
      super();
      this.value = parameter(Tensor.full(shape, -1), layout);
    }
  }

  it.each(cases)("$layout", async ({ layout, ours, torch, from }) => {
    const module = new Holder(ours, layout);
    const source = host(torch);
    module.loadStateDict(new Map([["value", source]]));
    const data = await module.value.data();
    const flat = (index: number[], shape: Shape) => index.reduce((at, i, d) => at * shape[d]! + i, 0);
    for (let at = 0; at < data.length; at++) {
      let rest = at;
      const index = [...ours].reverse().map((n) => {
        const i = rest % n;
        rest = (rest - i) / n;
        return i;
      });
      expect(data[at]).toBe(flat(from(index.reverse()), torch));
    }
    expect(plain(await module.stateDict())).toEqual(plain(new Map([["value", source]])));
  });

  it.each<[string, () => Module, Record<string, number[]>]>([
    ["Conv2d", () => new Conv2d(4, 6, [3, 2], { groups: 2, random }), { weight: [6, 2, 3, 2], bias: [6] }],
    ["Conv1d", () => new Conv1d(3, 5, 4, { random }), { weight: [5, 3, 4], bias: [5] }],
    ["Conv1d without bias", () => new Conv1d(4, 4, 1, { groups: 4, bias: false, random }), { weight: [4, 1, 1] }],
    ["Linear", () => new Linear(3, 5, { random }), { weight: [5, 3], bias: [5] }],
    ["GroupNorm", () => new GroupNorm(2, 4), { weight: [4], bias: [4] }],
    ["InstanceNorm", () => new InstanceNorm(4), {}],
    ["InstanceNorm with affine map", () => new InstanceNorm(4, { affine: true }), { weight: [4], bias: [4] }],
    ["LayerNorm", () => new LayerNorm([3, 4]), { weight: [3, 4], bias: [3, 4] }],
    ["LayerNorm of maps", () => new LayerNorm([2, 3, 4]), { weight: [4, 2, 3], bias: [4, 2, 3] }],
    ["GroupNorm without affine map", () => new GroupNorm(2, 4, { affine: false }), {}],
    ["Block", () => new Block(), BLOCK_SHAPES],
  ])("%s, there and back", async (_, make, shapes) => {
    const dict: StateDict = new Map(Object.entries(shapes).map(([name, shape], i) => [name, host(shape, 100 * i)]));
    const [module, other] = [make(), make()];
    module.loadStateDict(dict);
    const saved = await module.stateDict();
    expect([...saved.keys()].sort()).toEqual([...dict.keys()].sort());
    for (const [name, t] of saved) {
      expect([name, [...t.shape], ...toFloat32(t)]).toEqual([
        name,
        [...dict.get(name)!.shape],
        ...toFloat32(dict.get(name)!),
      ]);
    }
    other.loadStateDict(saved);
    expect(plain(await other.stateDict())).toEqual(plain(saved));
  });
});

describe("loadStateDict", () => {
  const names = Object.keys(BLOCK_SHAPES);
  const fresh = (): StateDict => new Map(names.map((name, i) => [name, host(BLOCK_SHAPES[name]!, 7 * i)]));

  it("refuses missing and unexpected names, all of them named, and changes nothing", async () => {
    const block = new Block();
    const before = plain(await block.stateDict());
    const dict = fresh();
    dict.delete("scale");
    dict.delete("bn1.num_batches_tracked");
    dict.set("fc.0.weight", host([2]));
    expect(() => block.loadStateDict(dict)).toThrow(StateDictError);
    expect(() => block.loadStateDict(dict)).toThrow(
      /missing scale, bn1\.num_batches_tracked; unexpected fc\.0\.weight.*strict: false/,
    );
    expect(plain(await block.stateDict())).toEqual(before);
    expect(block.loads).toBe(0);
  });

  it("takes what fits when not strict, and reports the rest", async () => {
    const block = new Block();
    const dict = fresh();
    dict.delete("scale");
    dict.set("fc.0.weight", host([2]));
    expect(block.loadStateDict(dict, { strict: false })).toEqual({ missing: ["scale"], unexpected: ["fc.0.weight"] });
    const after = plain(await block.stateDict());
    expect(after["scale"]).toEqual(["F32", [3], 2, 2, 2]);
    expect(after["bn1.bias"]).toEqual(["F32", [3], 14, 15, 16]);
    expect(block.loads).toBe(1);
  });

  it("refuses a wrong shape, strict or not, and changes nothing", async () => {
    const block = new Block();
    const before = plain(await block.stateDict());
    const dict = fresh();
    // The last tensor: everything before it would have been written by now.
    dict.set("scale", host([1, 3]));
    for (const strict of [true, false]) {
      expect(() => block.loadStateDict(dict, { strict })).toThrow(/scale: shape \[1, 3\].*\[3\] in this module/);
    }
    // Of the right size, in our order instead of PyTorch's.
    dict.set("scale", host([3]));
    dict.set("conv.weight", host([1, 1, 2, 3]));
    expect(() => block.loadStateDict(dict)).toThrow(StateDictError);
    expect(plain(await block.stateDict())).toEqual(before);
  });

  it("takes num_batches_tracked as PyTorch and others write it", async () => {
    const bn = new BatchNorm(2);
    const dict = await bn.stateDict();
    const forms: HostTensor[] = [
      { dtype: "I64", shape: [], data: BigInt64Array.of(11n) },
      { dtype: "I64", shape: [1], data: BigInt64Array.of(12n) },
      { dtype: "F32", shape: [], data: Float32Array.of(13) },
      { dtype: "F32", shape: [1], data: Float32Array.of(14) },
    ];
    for (const [i, form] of forms.entries()) {
      bn.loadStateDict(new Map([...dict, ["num_batches_tracked", form]]));
      expect(bn.batchesTracked).toBe(11 + i);
    }
    const before = plain(await bn.stateDict());
    const wrong: HostTensor = { dtype: "I64", shape: [2], data: BigInt64Array.of(1n, 2n) };
    dict.set("weight", host([2], 50));
    expect(() => bn.loadStateDict(new Map([...dict, ["num_batches_tracked", wrong]]))).toThrow(StateDictError);
    expect(plain(await bn.stateDict())).toEqual(before);
  });
});

it("a state dict is that of its moment, and costs one submit", async () => {
  const d = await gpu();
  const bn = new BatchNorm(2);
  await d.sync();
  const { submits } = d.counters;
  const reading = bn.stateDict();
  bn.weight!.fill(9);
  bn.batchesTracked = 3;
  const dict = await reading;
  expect(d.counters.submits).toBe(submits + 1);
  expect(plain(dict)).toMatchObject({ weight: ["F32", [2], 1, 1], num_batches_tracked: ["I64", [], 0] });
  expect(plain(await new ReLU().stateDict())).toEqual({});
});
