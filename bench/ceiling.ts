/** The arithmetic ceiling of an adapter: multiply-adds that touch registers only. */
import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel } from "../shaders/kernel";
import { type Device, Tensor } from "../src/index";

const CHAINS = Array.from({ length: 16 }, (_, i) => i);
const WORKGROUP = 64;

/** Sixteen independent chains of scalar multiply-adds an invocation: no loads, nothing to wait for. */
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
  for (var i = 0u; i < p.steps; i++) {
    ${CHAINS.map((i) => `a${i} = a${i} * x + c;`).join(" ")}
  }
  y[id.x] = ${CHAINS.map((i) => `a${i}`).join(" + ")};
}`,
  workgroups: ({ groups }) => [groups, 1, 1],
});

/** Work that keeps every unit busy: a graphics card holds some hundred thousand invocations at once, a processor a handful. */
const SIZES = { hardware: { groups: 4096, steps: 8192 }, software: { groups: 64, steps: 2000 } } as const;

/**
 * A run that measures the multiply-add ceiling of the device's adapter, in operations: a multiply-add counts two.
 *
 * @returns `run` records one dispatch (flush or sync to execute it) of `flop` operations.
 */
export function fmaCeiling(device: Device): { run: () => void; flop: number } {
  const { groups, steps } = SIZES[device.caps.adapter === "hardware" ? "hardware" : "software"];
  const sink = Tensor.empty([groups * WORKGROUP], "f32", device);
  return {
    run: () => device.run(fma, { groups }, { y: sink.buffer }, { steps, scale: 0.5 }),
    flop: 2 * CHAINS.length * steps * groups * WORKGROUP,
  };
}
