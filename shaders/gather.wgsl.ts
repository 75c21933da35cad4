import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../src/gpu/kernel";

/**
 * y[o, k, i] = x[o, indices[k], i] of any 32-bit type, or the bits `missing` where indices[k] is
 * not below `n` (negative numbers are not, read as unsigned). `n` rows of `inner` elements, `k`
 * indices.
 */
export const gatherKernel = /* @__PURE__ */ defineKernel({
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

/** Ends a chain of equal indices. */
const NO_NEXT = "0xffffffffu";

/**
 * Chains of equal indices: links[k].y is the place of the next index equal to that at k, and
 * links[k].x whether there is none before. An index walks no further than to its neighbours.
 */
export const gatherLinksKernel = /* @__PURE__ */ defineKernel({
  name: "gather-links",
  key: () => "",
  bindings: { indices: { access: "read", type: "u32" }, links: { access: "write", type: "u32" } },
  params: { k: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.k")}
  let row = indices[index];
  var before = index;
  while (before > 0u && indices[before - 1u] != row) { before--; }
  var next = index + 1u;
  while (next < p.k && indices[next] != row) { next++; }
  links[2u * index] = select(0u, 1u, before == 0u);
  links[2u * index + 1u] = select(${NO_NEXT}, next, next < p.k);
}`,
  workgroups: (_, p) => linearGrid(p.k),
});

/**
 * dx[o, r, i] = Σ over k with indices[k] = r of g[o, k, i], k ascending, where there is such a k;
 * dx is 0 before. The first of equal indices adds up all of them, so that the order is fixed
 * without atomics. Row `skipped` gets nothing, nor does what is not below `n`.
 */
export const gatherGradKernel = /* @__PURE__ */ defineKernel({
  name: "gather-grad",
  key: () => "",
  bindings: {
    g: { access: "read" },
    indices: { access: "read", type: "u32" },
    links: { access: "read", type: "u32" },
    dx: { access: "write" },
  },
  params: { count: "u32", n: "u32", k: "u32", inner: "u32", skipped: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let i = index % p.inner;
  let outer = index / p.inner / p.k;
  var k = (index / p.inner) % p.k;
  let row = indices[k];
  if (links[2u * k] == 0u || row >= p.n || row == p.skipped) { return; }
  var sum = 0.0;
  while (k != ${NO_NEXT}) {
    sum += g[(outer * p.k + k) * p.inner + i];
    k = links[2u * k + 1u];
  }
  dx[(outer * p.n + row) * p.inner + i] = sum;
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/**
 * y[k, j] = 1 where j = indices[k], else 0; a row of NaN (as bits) where indices[k] is not below
 * `n`.
 */
export const oneHotKernel = /* @__PURE__ */ defineKernel({
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
