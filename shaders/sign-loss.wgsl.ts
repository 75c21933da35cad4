import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel, linearGrid, linearIndex, linearMain, nanTest } from "../src/gpu/kernel";

const READ: Binding = { access: "read" };

/**
 * loss = alpha · Σ max(margin − γ·b, 0) + l2 · Σ γ² (+ the losses before). One invocation: a layer
 * has a few hundred channels, and a fixed order costs nothing.
 */
export const signLossKernel = /* @__PURE__ */ defineKernel({
  name: "sign-loss",
  key: (s: { more: boolean }) => (s.more ? "more" : ""),
  bindings: (s) => {
    const before: { before?: Binding } = s.more ? { before: READ } : {};
    return { gamma: READ, b: READ, ...before, loss: { access: "write" } } as Record<
      "gamma" | "b" | "before" | "loss",
      Binding
    >;
  },
  params: { n: "u32", alpha: "f32", margin: "f32", l2: "f32" },
  body: (s) => wgsl`
${nanTest("f32")}
@compute @workgroup_size(1)
fn main() {
  var hinge = 0.0;
  var squares = 0.0;
  for (var i = 0u; i < p.n; i++) {
    let short = p.margin - gamma[i] * b[i];
    hinge += select(max(short, 0.0), short, isNan(short));
    squares += gamma[i] * gamma[i];
  }
  loss[0] = ${s.more ? "before[0] + " : ""}p.alpha * hinge + p.l2 * squares;
}`,
  workgroups: () => [1, 1, 1],
});

/**
 * dγ = g · ( −alpha·b where γ·b < margin, + 2·l2·γ ); 0 in what lies behind the n channels of γ, up
 * to `size`. With `adds` it is added to what is there.
 */
export const signLossGradKernel = /* @__PURE__ */ defineKernel({
  name: "sign-loss-grad",
  key: () => "",
  bindings: { g: { access: "read" }, gamma: { access: "read" }, b: { access: "read" }, dgamma: { access: "write" } },
  params: { n: "u32", size: "u32", alpha: "f32", margin: "f32", l2: "f32", adds: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.size")}
  var d = 0.0;
  if (index < p.n) {
    let push = select(0.0, p.alpha * b[index], gamma[index] * b[index] < p.margin);
    d = g[0] * (2.0 * p.l2 * gamma[index] - push);
  }
  if (p.adds != 0u) { d += dgamma[index]; }
  dgamma[index] = d;
}`,
  workgroups: (_, p) => linearGrid(p.size),
});
