import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../src/gpu/kernel";

/** WGSL: place `i` of a line of [outer, n, inner], from its end on where `p.reverse` ≠ 0. */
const STEP = `
fn step(i: u32) -> u32 { return select(i, p.n - 1u - i, p.reverse != 0u) * p.inner; }`;

/**
 * Running sums along the middle of [outer, n, inner], begun anew in each chunk of `length`
 * elements, and the chunks' totals [outer, chunks, inner]. An invocation walks a chunk, in order.
 */
export const cumsumKernel = /* @__PURE__ */ defineKernel({
  name: "cumsum",
  key: () => "",
  bindings: { x: { access: "read" }, y: { access: "write" }, totals: { access: "write" } },
  params: { count: "u32", n: "u32", inner: "u32", chunks: "u32", length: "u32", reverse: "u32" },
  body: (_: null) => wgsl`
${STEP}
${linearMain()} {
  ${linearIndex("p.count")}
  let chunk = (index / p.inner) % p.chunks;
  let base = index / p.inner / p.chunks * p.n * p.inner + index % p.inner;
  var total = 0.0;
  for (var i = chunk * p.length; i < min((chunk + 1u) * p.length, p.n); i++) {
    total += x[base + step(i)];
    y[base + step(i)] = total;
  }
  totals[index] = total;
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/** Adds to each chunk's running sums what the chunks before it have together. */
export const cumsumCarryKernel = /* @__PURE__ */ defineKernel({
  name: "cumsum-carry",
  key: () => "",
  bindings: { sums: { access: "read" }, y: { access: "write" } },
  params: { count: "u32", n: "u32", inner: "u32", chunks: "u32", length: "u32", reverse: "u32" },
  body: (_: null) => wgsl`
${STEP}
${linearMain()} {
  ${linearIndex("p.count")}
  let i = p.length + (index / p.inner) % (p.n - p.length);
  let line = index / p.inner / (p.n - p.length);
  let lane = index % p.inner;
  let before = sums[(line * p.chunks + i / p.length - 1u) * p.inner + lane];
  y[line * p.n * p.inner + lane + step(i)] += before;
}`,
  workgroups: (_, p) => linearGrid(p.count),
});
