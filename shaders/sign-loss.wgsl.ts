import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "./kernel";

/**
 * loss = alpha · Σ max(margin − γ·b, 0) + l2 · Σ γ². One invocation: a layer has a few hundred channels, and a fixed order costs nothing.
 */
export const signLossKernel = defineKernel({
  name: "sign-loss",
  key: () => "",
  bindings: { gamma: { access: "read" }, b: { access: "read" }, loss: { access: "write" } },
  params: { n: "u32", alpha: "f32", margin: "f32", l2: "f32" },
  body: (_: null) => wgsl`
@compute @workgroup_size(1)
fn main() {
  var hinge = 0.0;
  var squares = 0.0;
  for (var i = 0u; i < p.n; i++) {
    hinge += max(p.margin - gamma[i] * b[i], 0.0);
    squares += gamma[i] * gamma[i];
  }
  loss[0] = p.alpha * hinge + p.l2 * squares;
}`,
  workgroups: () => [1, 1, 1],
});

/** dγ = g · ( −alpha·b where γ·b < margin, + 2·l2·γ ). */
export const signLossGradKernel = defineKernel({
  name: "sign-loss-grad",
  key: () => "",
  bindings: { g: { access: "read" }, gamma: { access: "read" }, b: { access: "read" }, dgamma: { access: "write" } },
  params: { n: "u32", alpha: "f32", margin: "f32", l2: "f32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.n")}
  let push = select(0.0, p.alpha * b[index], gamma[index] * b[index] < p.margin);
  dgamma[index] = g[0] * (2.0 * p.l2 * gamma[index] - push);
}`,
  workgroups: (_, p) => linearGrid(p.n),
});
