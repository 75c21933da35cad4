/**
 * The first training step in a fresh process: how long from `init` to its end. With the argument
 * `in-turn`, each kernel is compiled when the one before it is done; without, all beside each
 * other, as the package does. Sends its figures to the parent.
 */
import { init } from "@pan/core";
import { dawn } from "@pan/core/node";
import { prepare } from "./networks";

const gpu = await dawn();
if (process.argv[2] === "in-turn") {
  const { prototype } = GPUDevice;
  const compile = prototype.createComputePipelineAsync;
  let before: Promise<unknown> = Promise.resolve();
  prototype.createComputePipelineAsync = function (descriptor) {
    const mine = before.then(() => compile.call(this, descriptor));
    before = mine.catch(() => undefined);
    return mine;
  };
}
const started = performance.now();
const device = await init({ gpu });
const opened = performance.now();
const { step } = prepare("AlexNet, pan", device);
step();
const recorded = performance.now();
await device.sync();
const done = performance.now();
const second = performance.now();
step();
await device.sync();
process.send?.({
  adapter: device.name,
  pipelines: device.counters.pipelines,
  init: opened - started,
  record: recorded - opened,
  wait: done - recorded,
  total: done - started,
  second: performance.now() - second,
});
process.disconnect?.();
