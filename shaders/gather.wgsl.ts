import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../src/gpu/kernel";

/**
 * y[o, k, i] = x[o, indices[k], i] of any 32-bit type, or the bits `missing` where indices[k] is
 * not below `n` (negative numbers are not, read as unsigned). `n` rows of `inner` elements, `k`
 * indices.
 */
export const gatherKernel = defineKernel({
  name: "gather",
  key: () => "",
  bindings: {
    x: { access: "read", type: "u32" },
    indices: { access: "read", type: "u32" },
    y: { access: "write", type: "u32" },
  },
  params: { count: "u32", n: "u32", k: "u32", inner: "u32", missing: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let row = indices[(index / p.inner) % p.k];
  var value = p.missing;
  if (row < p.n) { value = x[(index / p.inner / p.k * p.n + row) * p.inner + index % p.inner]; }
  y[index] = value;
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/**
 * dx[o, r, i] = Σ over k with indices[k] = r of g[o, k, i], k ascending: every element of dx walks
 * all indices, so that the order is fixed without atomics.
 */
export const gatherGradKernel = defineKernel({
  name: "gather-grad",
  key: () => "",
  bindings: { g: { access: "read" }, indices: { access: "read", type: "u32" }, dx: { access: "write" } },
  params: { count: "u32", n: "u32", k: "u32", inner: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let row = (index / p.inner) % p.n;
  let first = index / p.inner / p.n * p.k;
  var sum = 0.0;
  for (var k = 0u; k < p.k; k++) {
    if (indices[k] == row) { sum += g[(first + k) * p.inner + index % p.inner]; }
  }
  dx[index] = sum;
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/**
 * y[k, j] = 1 where j = indices[k], else 0; a row of NaN (as bits) where indices[k] is not below
 * `n`.
 */
export const oneHotKernel = defineKernel({
  name: "one-hot",
  key: () => "",
  bindings: { indices: { access: "read", type: "u32" }, y: { access: "write", type: "u32" } },
  params: { count: "u32", n: "u32", one: "u32", missing: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let label = indices[index / p.n];
  y[index] = select(select(0u, p.one, label == index % p.n), p.missing, label >= p.n);
}`,
  workgroups: (_, p) => linearGrid(p.count),
});
