/**
 * What an adapter can do at most: multiply-adds that touch registers only, numbers loaded from
 * storage buffers, bytes moved by a copy. A kernel is as good as its share of the one that binds
 * it.
 */

import { type Device, Tensor } from "@pan/core";
import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel } from "../src/gpu/kernel";

/**
 * A run that measures a ceiling: `work` operations, loads or bytes, recorded by `run` (flush or
 * sync to execute it).
 */
export interface Ceiling {
  readonly run: () => void;
  readonly work: number;
}

const count = (n: number) => Array.from({ length: n }, (_, i) => i);
const WORKGROUP = 64;
const CHAINS = count(8);
/** Steps written out: a loop around each would be most of what software adapters do. */
const STRETCH = 16;
const LOADS = count(16);
/** Numbers that the load kernel walks over: they stay in the nearest cache. */
const WALK = 2048;

/**
 * Eight independent chains of scalar multiply-adds per invocation: no loads, nothing to wait for.
 */
const fma = defineKernel({
  name: "fma-ceiling",
  key: () => "",
  bindings: { y: { access: "write" } },
  params: { steps: "u32", scale: "f32" },
  body: (_: { groups: number }) => wgsl`
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = p.scale + f32(id.x) * 1e-9;
  let c = 1.0 - x;
  ${CHAINS.map((i) => `var a${i} = ${i}.0;`).join(" ")}
  for (var i = 0u; i < p.steps; i += ${STRETCH}u) {
    ${count(STRETCH)
      .map(() => CHAINS.map((i) => `a${i} = a${i} * x + c;`).join(" "))
      .join("\n")}
  }
  y[id.x] = ${CHAINS.map((i) => `a${i}`).join(" + ")};
}`,
  workgroups: ({ groups }) => [groups, 1, 1],
});

/** Loads of neighbouring vectors by neighbouring invocations, out of the nearest cache. */
const loads = defineKernel({
  name: "load-ceiling",
  key: () => "",
  bindings: { x: { access: "read", type: "vec4f" }, y: { access: "write" } },
  params: { steps: "u32" },
  body: (_: { groups: number }) => wgsl`
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lid: u32) {
  var sum = vec4f();
  for (var i = 0u; i < p.steps; i++) {
    let at = lid + (i * 7u) % ${WALK / 4 - WORKGROUP - LOADS.length}u;
    ${LOADS.map((k) => `sum += x[at + ${k}u];`).join(" ")}
  }
  y[id.x] = (sum.x + sum.y) + (sum.z + sum.w);
}`,
  workgroups: ({ groups }) => [groups, 1, 1],
});

/**
 * Work that keeps every unit busy for some milliseconds: a graphics card holds some hundred
 * thousand invocations at once, a processor a handful.
 */
const SIZES = {
  hardware: { groups: 4096, steps: 16_384, loadSteps: 512, bytes: 2 ** 28 },
  software: { groups: 64, steps: 8192, loadSteps: 64, bytes: 2 ** 24 },
} as const;

const sizesOf = (device: Device) => SIZES[device.caps.adapter === "hardware" ? "hardware" : "software"];

/** Operations; a multiply-add counts two. */
export function fmaCeiling(device: Device): Ceiling {
  const { groups, steps } = sizesOf(device);
  const sink = Tensor.empty([groups * WORKGROUP], "f32", device);
  return {
    run: () => device.run(fma, { groups }, { y: sink.buffer }, { steps, scale: 0.5 }),
    work: 2 * CHAINS.length * steps * groups * WORKGROUP,
  };
}

/** Numbers loaded. */
export function loadCeiling(device: Device): Ceiling {
  const { groups, loadSteps: steps } = sizesOf(device);
  const source = Tensor.from(new Float32Array(WALK), [WALK], device);
  const sink = Tensor.empty([groups * WORKGROUP], "f32", device);
  return {
    run: () => device.run(loads, { groups }, { x: source.buffer, y: sink.buffer }, { steps }),
    work: 4 * LOADS.length * steps * groups * WORKGROUP,
  };
}

/**
 * Bytes moved, read and written, by a copy of a buffer larger than any cache of its kind of
 * adapter.
 */
export function copyCeiling(device: Device): Ceiling {
  const { bytes } = sizesOf(device);
  const [from, to] = [Tensor.full([bytes / 4], 1), Tensor.empty([bytes / 4], "f32", device)];
  return { run: () => device.copy(from.buffer, to.buffer, bytes), work: 2 * bytes };
}
