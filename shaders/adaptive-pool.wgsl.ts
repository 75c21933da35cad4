import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../src/gpu/kernel";
import { type PoolSpec, position, types, values } from "./pool.wgsl";

export interface AdaptivePoolSpec extends PoolSpec {
  /** Means of the windows, or what the gradient of the means sends back. */
  readonly pass: "forward" | "gradient";
}

/**
 * Means over windows that divide the input evenly: window i of n over size s is ⌊i·s/n⌋ …
 * ⌈(i + 1)·s/n⌉. The windows that cover an input are by the same formula, sizes exchanged, so that
 * one body does both passes: `to` are the pixels that are computed, `of` those that are read.
 */
export const adaptivePoolKernel = /* @__PURE__ */ defineKernel({
  name: "adaptive-avg-pool",
  key: ({ vec, pass }: AdaptivePoolSpec) => `${pass},${vec ? "vec" : "scalar"}`,
  bindings: ({ vec }) => ({ src: values(vec, "read"), dst: values(vec, "write") }),
  params: { count: "u32", c: "u32", toH: "u32", toW: "u32", ofH: "u32", ofW: "u32" },
  body: ({ vec, pass }) => wgsl`
${types(vec)}
fn start(i: u32, to: u32, size: u32) -> u32 { return i * size / to; }
fn end(i: u32, to: u32, size: u32) -> u32 { return ((i + 1u) * size + to - 1u) / to; }
fn length(i: u32, to: u32, size: u32) -> u32 { return end(i, to, size) - start(i, to, size); }

${linearMain()} {
  ${linearIndex("p.count")}
  ${position("p.toH", "p.toW")}
  let right = end(column, p.toW, p.ofW);
  let below = end(row, p.toH, p.ofH);
  var sum = T();
  for (var y = start(row, p.toH, p.ofH); y < below; y++) {
    for (var x = start(column, p.toW, p.ofW); x < right; x++) {
      let v = src[((image * p.ofH + y) * p.ofW + x) * p.c + c];
      sum += ${pass === "forward" ? "v" : "v / f32(length(y, p.ofH, p.toH) * length(x, p.ofW, p.toW))"};
    }
  }
  dst[index] = ${pass === "forward" ? "sum / f32(length(row, p.toH, p.ofH) * length(column, p.toW, p.ofW))" : "sum"};
}`,
  workgroups: (_, p) => linearGrid(p.count),
});
