import { inspect } from "node:util";
import { expect, it } from "vitest";
import { AlexNet } from "../../src/models";
import {
  AvgPool2d,
  BatchNorm,
  ChannelAffine,
  Conv1d,
  Conv2d,
  Dropout,
  Flatten,
  GELU,
  LayerNorm,
  LeakyReLU,
  Linear,
  MaxPool2d,
  Module,
  parameter,
  ReLU,
  RMSNorm,
  Sequential,
} from "../../src/nn";
import { protect } from "../../src/passport";
import { Generator } from "../../src/tensor/random";
import { Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";

const d = await gpu();

class Block extends Module {
  readonly rate = 0.5;
  readonly name = "a";
  readonly deep = true;
  readonly flat = false;
  readonly convs = [new Conv2d(2, 3, 1), new Conv2d(3, 2, [5, 3], { stride: [2, 1], padding: 1 })];
  readonly again = this.convs[0]!;
  readonly scale = parameter(Tensor.full([1000], 1));

  forward(x: Tensor): Tensor {
    return x;
  }
}

it.each<[Module, string]>([
  [new Conv2d(3, 64, 5, { padding: 2 }), "Conv2d(3 → 64, kernel 5×5, padding 2) 4,864 parameters"],
  [
    new Conv2d(4, 8, [1, 3], { stride: 1, padding: "same", dilation: [1, 2], groups: 2, bias: false }),
    "Conv2d(4 → 8, kernel 1×3, padding same, dilation 1×2, groups 2, no bias) 48 parameters",
  ],
  [new Conv1d(3, 5, 4, { stride: 2 }), "Conv1d(3 → 5, kernel 4, stride 2) 65 parameters"],
  [new Linear(512, 10), "Linear(512 → 10) 5,130 parameters"],
  [new Linear(2, 3, { bias: false }), "Linear(2 → 3, no bias) 6 parameters"],
  [new ReLU(), "ReLU()"],
  [new Flatten(), "Flatten()"],
  [new LeakyReLU(0.2), "LeakyReLU(slope 0.2)"],
  [new GELU(), "GELU()"],
  [new GELU({ approximate: "tanh" }), "GELU(approximate tanh)"],
  [new Dropout(0.3), "Dropout(p 0.3)"],
  [new MaxPool2d(2), "MaxPool2d(kernel 2)"],
  [new MaxPool2d(3, { stride: 2, ceilMode: true }), "MaxPool2d(kernel 3, stride 2, ceilMode)"],
  [new AvgPool2d(2, { ceilMode: false, countIncludePad: false }), "AvgPool2d(kernel 2, padding not counted)"],
  [new AvgPool2d([3, 2], { stride: 2, padding: [1, 0] }), "AvgPool2d(kernel 3×2, stride 2, padding 1×0)"],
])("%s", (layer, text) => {
  expect(String(layer)).toBe(text);
  expect(inspect(layer)).toBe(text);
  expect(`${layer}`).toBe(text);
});

it("a tree of modules, what is tied counted once", () => {
  const net = new Sequential(new Block(), new Sequential(), new ReLU());
  expect(String(net)).toBe(`\
Sequential(
  (0): Block(
    (convs.0): Conv2d(2 → 3, kernel 1×1)   9
    (convs.1): Conv2d(3 → 2, kernel 5×3, stride 2×1, padding 1)   92
    (again): Conv2d(2 → 3, kernel 1×1)   9
  )   1,101
  (1): Sequential()
  (2): ReLU()
) 1,101 parameters`);
});

it("a layer that says nothing of itself: the numbers, texts and set flags among its properties", () => {
  class Scale extends Module {
    readonly kind = "a";
    readonly rate = 0.5;
    readonly deep = true;
    readonly flat = false;
    readonly scale = parameter(Tensor.full([3], 1));
  }
  expect(String(new Scale())).toBe("Scale(kind a, rate 0.5, deep) 3 parameters");
});

it("says what is frozen and gone, and reads nothing", () => {
  const read = d.counters.bytesRead;
  const net = new Sequential(new Linear(2, 3), new Linear(3, 1));
  net.freeze("0").freeze("1.bias");
  expect(String(net)).toBe(`\
Sequential(
  (0): Linear(2 → 3)   9, frozen
  (1): Linear(3 → 1)   4, 1 frozen
) 13 parameters, 10 frozen`);
  net.dispose();
  expect(String(net).split("\n").at(-1)).toBe(") 13 parameters, 10 frozen, disposed");
  expect(d.counters.bytesRead).toBe(read);
});

it("a module that cannot be gone through says why", () => {
  const net = Object.assign(new ReLU(), { self: null as Module | null });
  net.self = net;
  expect(String(net)).toMatch(/^ReLU\(\): ReLU: self leads back to the module itself/);
});

it("networks", () => {
  const model = new AlexNet();
  const lines = String(model).split("\n");
  expect(lines.slice(0, 3)).toEqual([
    "AlexNet(",
    "  (features.0): NormedMap(",
    "    (conv): Conv2d(3 → 64, kernel 5×5, padding 2, no bias)   4,800",
  ]);
  expect(lines.at(-1)).toBe(`) ${model.parameterCount().toLocaleString("en-US")} parameters`);
  model.dispose();
});

it("networks with passports show the network, and what the owner keeps beside it", () => {
  const net = new Sequential(new Conv2d(3, 16, 3, { bias: false }), new BatchNorm(16, { relu: true }));
  const options = { scheme: "pan", at: true, sample: [1, 8, 8, 3], random: new Generator(1) } as const;
  expect(String(protect(net, options))).toBe(`\
Protected(
  Sequential(
    (0): Conv2d(3 → 16, kernel 3×3, no bias)   432
    (1): BatchNorm(16, eps 0.00001, relu)   32
  )   464
  (1.passport): Secret(
    (fc): Sequential(
      (0): Linear(16 → 4, no bias)   64
      (1): LeakyReLU(slope 0.01)
      (2): Linear(4 → 16, no bias)   64
    )   128
    (norm): BatchNorm(16, eps 0.00001, relu, no γ and β)
  )   128
) 592 parameters`);
});

it("norms say what they are of", () => {
  expect(String(new LayerNorm([4, 2]))).toBe("LayerNorm(4×2, eps 0.00001) 16 parameters");
  expect(String(new RMSNorm([4, 2]))).toBe("RMSNorm(4×2, eps 0.00001) 8 parameters");
  expect(String(new ChannelAffine(4, { relu: true }))).toBe("ChannelAffine(4, relu) 8 parameters");
});
