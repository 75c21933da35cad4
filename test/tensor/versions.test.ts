import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, LifetimeError } from "../../src/errors";
import { Linear } from "../../src/nn";
import { SGD } from "../../src/optim";
import { affine, mul, relu, square } from "../../src/tensor/ops/elementwise";
import { sum } from "../../src/tensor/ops/reduce";
import { Generator } from "../../src/tensor/random";
import { recordStep } from "../../src/tensor/recorded";
import { keep } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";

beforeAll(gpu);

function leaf(...values: number[]): Tensor {
  const t = Tensor.from(values);
  t.requiresGrad = true;
  return t;
}

describe("values that a backward pass needs", () => {
  const changes: [name: string, change: (w: Tensor) => void][] = [
    ["write", (w) => w.write([9, 9])],
    ["fill", (w) => void w.fill(9)],
    ["a write through a view", (w) => w.view([2, 1]).write([9, 9])],
    [
      "an optimiser's step",
      (w) => {
        sum(w).backward();
        new SGD([w], { lr: 0.5 }).step();
      },
    ],
    [
      "a replayed step",
      (w) => {
        const step = recordStep(() => void w.fill(3));
        step.replay();
        step.dispose();
      },
    ],
  ];

  it.each(changes)("may not have been overwritten by %s", async (_, change) => {
    const w = leaf(2, 3);
    const loss = sum(mul(w, w));
    change(w);
    w.zeroGrad();
    expect(() => loss.backward()).toThrow(LifetimeError);
    expect(() => loss.backward()).toThrow(/mul: a tensor of shape \[2\].*overwritten/);
    // Nothing was half done, and the next pass is right.
    expect(w.grad).toBeNull();
    w.write([2, 3]);
    sum(square(w)).backward();
    expect(Array.from(await w.grad!.data())).toEqual([4, 6]);
  });

  it("may not have been loaded from a state dict", async () => {
    const layer = new Linear(2, 1, { random: new Generator(1) });
    const x = leaf(1, 2).view([1, 2]);
    x.requiresGrad = true;
    const loss = sum(layer.forward(x));
    const state = await layer.stateDict();
    layer.loadStateDict(state);
    expect(() => loss.backward()).toThrow(/linear: .*\[2, 1\]/);
  });

  it("may be overwritten where the gradient does not need them", async () => {
    const w = leaf(2, 3);
    const loss = sum(affine(w, 4));
    w.fill(7);
    loss.backward();
    expect(Array.from(await w.grad!.data())).toEqual([4, 4]);
  });

  it("are results too", () => {
    const w = leaf(2, 3);
    const y = relu(w);
    const loss = sum(y);
    y.fill(0);
    expect(() => loss.backward()).toThrow(/relu/);
  });

  it("are the same in a second pass over a kept graph, or it is refused", async () => {
    const w = leaf(2, 3);
    const loss = sum(mul(w, w));
    loss.backward(undefined, { retainGraph: true });
    loss.backward(undefined, { retainGraph: true });
    expect(Array.from(await w.grad!.data())).toEqual([8, 12]);
    new SGD([w], { lr: 0.1 }).step();
    expect(() => loss.backward()).toThrow(/overwritten/);
    const other = sum(mul(w, w));
    other.backward();
    expect(() => other.backward()).toThrow(/retainGraph/);
    loss.dispose();
  });

  it("do not stand in the way of steps one after another", async () => {
    const [w, x] = [leaf(1, 1), Tensor.from([1, 2])];
    const sgd = new SGD([w], { lr: 0.1 });
    for (let i = 0; i < 3; i++) {
      sgd.zeroGrad();
      sum(square(mul(w, x))).backward();
      sgd.step();
    }
    expect(w.version).toBeGreaterThan(3);
  });
});

describe("noGrad", () => {
  it("refuses an asynchronous body and goes on recording", async () => {
    const w = keep(leaf(1));
    expect(() => noGrad(async () => square(w))).toThrow(ArgumentError);
    expect(() => noGrad(() => Promise.reject(new Error("mine")))).toThrow(/synchronous/);
    expect(square(w).requiresGrad).toBe(true);
    expect(noGrad(() => square(w)).requiresGrad).toBe(false);
  });
});
