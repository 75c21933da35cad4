/** What TypeScript knows of the trainer and of evaluations; nothing here runs. */
import type { Tensor } from "@pan/core";
import type { AnySet } from "@pan/core/data";
import { type Module, mseLoss } from "@pan/core/nn";
import type { Optimizer } from "@pan/core/optim";
import type { BranchAccuracy, Network } from "@pan/core/passport";
import { evaluate, type Measured, predict, type TaskBatch, Trainer } from "@pan/core/train";
import { describe, expectTypeOf, it } from "vitest";

declare const network: Network;
declare const bare: Module;
declare const set: AnySet;
declare const optimizer: Optimizer;
const squares = (y: Tensor, { targets }: TaskBatch): Tensor => mseLoss(y, targets);

describe("evaluate", () => {
  it("gives what was measured by the names it was given", () => {
    const named = () => evaluate(network, set, { metrics: { iou: (y, { targets }) => mseLoss(y, targets) } });
    const both = () => evaluate(network, set, { loss: squares, metrics: { iou: squares } });
    const loss = () => evaluate(network, set, { loss: squares });
    const accuracy = () => evaluate(network, set, { branches: ["public"] });
    const any = (metrics: Record<string, typeof squares>) => evaluate(network, set, { metrics });
    expectTypeOf(named).returns.resolves.toEqualTypeOf<Measured<"iou">>();
    expectTypeOf(both).returns.resolves.toEqualTypeOf<Measured<"iou" | "loss">>();
    expectTypeOf(loss).returns.resolves.toEqualTypeOf<Measured<"loss">>();
    expectTypeOf(accuracy).returns.resolves.toEqualTypeOf<BranchAccuracy>();
    expectTypeOf(any).returns.resolves.toEqualTypeOf<Measured>();
  });
});

describe("modules without a forward", () => {
  it("are refused before anything runs", () => {
    void (() => [
      // @ts-expect-error it has no forward
      evaluate(bare, set),
      // @ts-expect-error it has no forward
      predict(bare, set),
      // @ts-expect-error it has no forward
      new Trainer(bare, optimizer),
    ]);
  });
});
