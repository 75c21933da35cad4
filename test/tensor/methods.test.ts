/** Operations as methods, and what `using` frees. */

import * as core from "@pan/core";
import { memory, Tensor } from "@pan/core";
import * as nn from "@pan/core/nn";
import { SGD } from "@pan/core/optim";
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors";
import { METHODS } from "../../src/tensor/methods";
import { gpu, randomTensor } from "../support/gpu";

beforeAll(async () => void (await gpu()));

/** What each is called with behind the tensor of shape [2, 3, 4]. */
const ARGUMENTS: Partial<Record<keyof typeof METHODS, unknown[]>> = {
  ...Object.fromEntries(
    ["add", "sub", "mul", "div", "maximum", "minimum", "greater", "less", "equal"].map((n) => [n, [0.5]]),
  ),
  pow: [2],
  clamp: [-0.5, 0.5],
  reshape: [[4, 6]],
  transpose: [0, 2],
  permute: [[2, 0, 1]],
  argmax: [1],
  sum: [1, { keepdim: true }],
  variance: [[0, 2], { correction: 0 }],
};

describe("methods of tensors", () => {
  it.each(Object.keys(METHODS) as (keyof typeof METHODS)[])("%s is the function of its name", async (name) => {
    const x = randomTensor([2, 3, 4], 3);
    const f = (name in core ? core : nn)[name as never] as (...all: unknown[]) => Tensor;
    const rest = name === "matmul" ? [randomTensor([4, 2], 4)] : (ARGUMENTS[name] ?? []);
    const [own, function_] = [
      (x as never as Record<string, (...all: unknown[]) => Tensor>)[name]!(...rest),
      f(x, ...rest),
    ];
    expect(own.shape).toEqual(function_.shape);
    expect(await own.data()).toEqual(await function_.data());
  });

  it("read as in PyTorch, with gradients", async () => {
    const [x, w] = [
      Tensor.from([[1, -2]]),
      Tensor.from([
        [1, 2],
        [3, 4],
      ]),
    ];
    w.requiresGrad = true;
    const y = x.matmul(w).add(1).relu().square().sum();
    expect(await y.item()).toBe(0);
    x.neg().matmul(w).sum().backward();
    expect([...(await w.grad!.data())]).toEqual([-1, -1, 2, 2]);
  });

  it("are no properties of an object's own, and refuse what the functions refuse", () => {
    const x = Tensor.full([2], 1);
    expect(Object.keys(x)).not.toContain("add");
    expect(() => x.reshape([3])).toThrow(ShapeError);
    expect(() => x.sum(0, { keepdims: true } as never)).toThrow(ArgumentError);
  });
});

describe("using", () => {
  it("frees tensors, networks and optimisers at the end of a block", () => {
    const before = memory().tensors;
    {
      using x = Tensor.full([2, 3], 1);
      using layer = new nn.Linear(3, 2);
      using optimizer = new SGD(layer.parameters(), { lr: 0.1, momentum: 0.9 });
      using y = layer.forward(x);
      expect(y.shape).toEqual([2, 2]);
      expect(optimizer.params).toHaveLength(2);
      expect(memory().tensors).toBeGreaterThan(before);
    }
    expect(memory().tensors).toBe(before);
  });
});
