/**
 * `dawn()` in the JavaScripts that have Node's modules: the package is bundled, trains a few steps
 * there on the adapter of this process, and comes to the same bits.
 */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bundled, bundleProgram } from "../support/bundled";
import { program } from "../support/programs";

/** Prints the losses of five steps, and the adapter they ran on. */
const TRAINING = `
import { init, manualSeed, scope, Tensor } from "@pan/core";
import { BatchNorm, Conv2d, Linear, Module, crossEntropy, globalAvgPool, relu } from "@pan/core/nn";
import { dawn, describeAdapter } from "@pan/core/node";
import { SGD } from "@pan/core/optim";
class Net extends Module {
  conv = new Conv2d(3, 8, 3, { padding: 1 });
  norm = new BatchNorm(8);
  head = new Linear(8, 3);
  forward(x) {
    return this.head.forward(globalAvgPool(relu(this.norm.forward(this.conv.forward(x)))));
  }
}
const gpu = await dawn();
await init({ gpu });
manualSeed(3);
const net = new Net().train();
const optimizer = new SGD(net.parameters(), { lr: 0.1, momentum: 0.9 });
const values = Float32Array.from({ length: 8 * 6 * 6 * 3 }, (_, i) => Math.sin(7 * i));
const x = Tensor.from(values, [8, 6, 6, 3]);
const y = Tensor.from(Int32Array.of(0, 1, 2, 0, 1, 2, 0, 1), [8]);
const losses = [];
for (let step = 0; step < 5; step++) {
  const loss = scope(() => {
    const value = crossEntropy(net.forward(x), y);
    optimizer.zeroGrad();
    value.backward();
    optimizer.step();
    return value;
  });
  losses.push((await loss.data())[0]);
}
console.log(JSON.stringify({ losses, adapter: describeAdapter(await gpu.requestAdapter()).kind }));
`;

let bundled: Bundled;
let expected: unknown;

beforeAll(async () => {
  bundled = await bundleProgram(TRAINING);
  expected = printed(process.execPath, [bundled.file]);
});
afterAll(() => bundled.remove());

function printed(command: string, args: string[]): unknown {
  const { status, stdout, stderr } = spawnSync(command, args, { ...bundled.where, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr.slice(-2000)}`);
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

describe("dawn()", () => {
  const [deno, bun] = [program("deno"), program("bun")];

  it("in Node, from a bundle: a training that learns", () => {
    const { losses } = expected as { losses: number[] };
    expect(losses).toHaveLength(5);
    expect(losses[4]).toBeLessThan(losses[0]!);
  });

  it.skipIf(!deno)("in Deno: the same adapter, the same bits", () => {
    expect(printed(deno!, ["run", "--allow-all", "--no-config", "--node-modules-dir=manual", bundled.file])).toEqual(
      expected,
    );
  });

  it.skipIf(!bun)("in Bun: the same adapter, the same bits", () => {
    expect(printed(bun!, [bundled.file])).toEqual(expected);
  });
});
