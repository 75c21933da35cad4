import { performance } from "node:perf_hooks";
import { init } from "@pan/core";
import { dawn } from "@pan/core/node";
import { expect, it } from "vitest";
import { patient } from "../../src/node/patience";

/** A clock, and what was asked of it: turns that come at once, timers after their time. */
function clock() {
  let now = 0;
  const asked: string[] = [];
  let next: (() => void) | null = null;
  const turns = {
    immediate: (callback: (...args: unknown[]) => void, ...args: unknown[]) => {
      asked.push("turn");
      next = () => callback(...args);
    },
    later: (callback: () => void, ms: number) => {
      asked.push("timer");
      next = () => {
        now += ms;
        callback();
      };
    },
    now: () => now,
  };
  const run = (ms: number) => {
    now += ms;
    const callback = next;
    next = null;
    callback?.();
  };
  return { turns, asked, run };
}

const straight = (ask: () => void) => ask();

it("asks in every turn at first, later by timers, and anew for a wait of its own", () => {
  const { turns, asked, run } = clock();
  let left = 4;
  const soon = patient(turns, straight, () => true);
  const ask = () => {
    if (left-- > 0) soon(ask);
  };
  soon(ask);
  for (let i = 0; i < 5; i++) run(0.8);
  expect(asked).toEqual(["turn", "turn", "turn", "timer", "timer"]);
  soon(() => undefined);
  expect(asked.at(-1)).toBe("turn");
});

it("leaves others' callbacks where they were", async () => {
  const { turns, asked, run } = clock();
  const soon = patient(turns, straight);
  const got: unknown[] = [];
  for (const each of [() => got.push(1), got.push.bind(got)]) {
    for (let i = 0; i < 3; i++) {
      soon(each as (n?: unknown) => void, i);
      run(5);
    }
  }
  await new Promise<unknown>((resolve) => {
    soon(resolve);
    run(5);
  });
  expect(asked.every((kind) => kind === "turn")).toBe(true);
  expect(got).toEqual([1, 1, 1, 0, 1, 2]);
});

it("leaves the thread idle while the adapter works, and `setImmediate` what it was", async () => {
  const before = globalThis.setImmediate;
  const device = await init({ gpu: await dawn() });
  const code = `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  var s = f32(id.x);
  for (var i = 0u; i < 400000u; i++) { s = fract(s * 1.7 + 0.3); }
  x[id.x] = s;
}`;
  const module = device.gpu.createShaderModule({ code });
  const pipeline = device.gpu.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
  const buffer = device.gpu.createBuffer({ size: 4096 * 4, usage: GPUBufferUsage.STORAGE });
  const group = device.gpu.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer } }],
  });
  const encoder = device.gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(64);
  pass.end();
  const started = performance.eventLoopUtilization();
  device.gpu.queue.submit([encoder.finish()]);
  await device.gpu.queue.onSubmittedWorkDone();
  const { utilization, idle } = performance.eventLoopUtilization(started);
  buffer.destroy();
  // A graphics processor is done before there is anything to wait for.
  if (idle > 5) expect(utilization).toBeLessThan(0.5);
  else expect(device.caps.adapter).toBe("hardware");
  expect(globalThis.setImmediate).toBe(before);
});
