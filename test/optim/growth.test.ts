/** A training loop that frees nothing is told of once, and one that does never. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Device } from "../../src/gpu/device";
import { Linear } from "../../src/nn/linear";
import { forgetWarning, STEPS } from "../../src/optim/growth";
import { SGD } from "../../src/optim/sgd";
import { mseLoss } from "../../src/tensor/ops/loss";
import { keep, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";

let d: Device;
beforeAll(async () => {
  d = await gpu();
});
beforeEach(() => {
  forgetWarning();
});
afterEach(() => vi.restoreAllMocks());

/** Trains in loops of `steps`, each with a body of its own; gives what the console was told. */
function told(steps: number, body: (step: () => Tensor) => void): string[] {
  const said: string[] = [];
  vi.spyOn(console, "warn").mockImplementation((line) => void said.push(String(line)));
  scope(() => {
    const net = new Linear(2, 1);
    const optimizer = new SGD(net.parameters(), { lr: 0.1 });
    for (let i = 0; i < steps; i++)
      body(() => {
        const loss = mseLoss(net.forward(Tensor.full([4, 2], 1)), Tensor.full([4, 1], 0));
        loss.backward();
        optimizer.step();
        optimizer.zeroGrad();
        return loss;
      });
    optimizer.dispose();
    net.dispose();
  });
  return said;
}

describe("a training loop", () => {
  it("that frees nothing is told of, once, with what to do", () => {
    const said = told(3 * STEPS, (step) => void step());
    expect(said.length).toBe(1);
    expect(said[0]).toMatch(/left about 4 tensors each.*scope\(.*keep\(\).*leakWarning: false/);
  });

  it("is not told of before it is sure", () => {
    expect(told(STEPS, (step) => void step())).toEqual([]);
  });

  it("in scopes is well, and so is one that keeps its losses", () => {
    expect(told(2 * STEPS, (step) => scope(() => void step()))).toEqual([]);
    const kept: Tensor[] = [];
    expect(told(2 * STEPS, (step) => scope(() => void kept.push(keep(step()))))).toEqual([]);
    for (const t of kept) t.dispose();
  });

  it("that frees all now and then is well", () => {
    let steps = 0;
    const pile: Tensor[] = [];
    const said = told(3 * STEPS, (step) => {
      scope(() => void pile.push(keep(step()), ...[1, 2, 3].map((v) => keep(Tensor.full([], v)))));
      if (++steps % 10 === 0) for (const t of pile.splice(0)) t.dispose();
    });
    for (const t of pile) t.dispose();
    expect(said).toEqual([]);
  });

  it("is not told of where init said so", () => {
    const before = d.leakWarning;
    Object.assign(d, { leakWarning: false });
    expect(told(2 * STEPS, (step) => void step())).toEqual([]);
    Object.assign(d, { leakWarning: before });
  });
});
