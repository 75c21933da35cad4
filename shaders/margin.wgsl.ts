import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../src/gpu/kernel";

/**
 * dx = g, but 0 in rows from `first` on whose label leads every other class by `margin`; one
 * invocation a row of n classes.
 */
export const marginGradKernel = /* @__PURE__ */ defineKernel({
  name: "margin-grad",
  key: () => "",
  bindings: {
    g: { access: "read" },
    x: { access: "read" },
    labels: { access: "read", type: "i32" },
    dx: { access: "write" },
  },
  params: { rows: "u32", n: "u32", first: "u32", margin: "f32" },
  body: () => wgsl`
${linearMain()} {
  ${linearIndex("p.rows")}
  let base = index * p.n;
  let label = u32(labels[index]);
  var leads = index >= p.first && label < p.n;
  for (var i = 0u; i < p.n; i++) {
    // A NaN leads nothing, and so its gradient goes on.
    leads = leads && (i == label || x[base + min(label, p.n - 1u)] - x[base + i] >= p.margin);
  }
  for (var i = 0u; i < p.n; i++) { dx[base + i] = select(g[base + i], 0.0, leads); }
}`,
  workgroups: (_, p) => linearGrid(p.rows),
});
