import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../src/gpu/kernel";
import { type PoolSpec, position, types, values } from "./pool.wgsl";

export interface UpsampleSpec extends PoolSpec {
  readonly mode: "nearest" | "bilinear";
  /** Corner pixels lie on corner pixels; else pixels are areas. For `bilinear`. */
  readonly alignCorners: boolean;
}

const key = ({ vec, mode, alignCorners }: UpsampleSpec) =>
  `${mode}${alignCorners ? ",corners" : ""},${vec ? "vec" : "scalar"}`;

/** Input h×w, output oh×ow, and how far apart two output pixels lie in the input. */
const SIZES = {
  count: "u32",
  c: "u32",
  h: "u32",
  w: "u32",
  oh: "u32",
  ow: "u32",
  stepY: "f32",
  stepX: "f32",
} as const;

/**
 * WGSL: `at(o)`, where output o lies in the input along one axis, and `near(o)`: the two inputs
 * that it is made of, and the second one's weight.
 */
const source = ({ mode, alignCorners }: UpsampleSpec) => /* wgsl */ `
struct Near { a: u32, b: u32, weight: f32 }
fn near(o: u32, step: f32, size: u32) -> Near {
  let at = ${mode === "nearest" || alignCorners ? "f32(o) * step" : "max((f32(o) + 0.5) * step - 0.5, 0.0)"};
  let a = min(u32(at), size - 1u);
  return Near(a, min(a + 1u, size - 1u), ${mode === "nearest" ? "0.0" : "at - f32(a)"});
}`;

/** y [N, oh, ow, C] of x [N, h, w, C]. */
export const upsampleKernel = /* @__PURE__ */ defineKernel({
  name: "upsample",
  key,
  bindings: ({ vec }) => ({ x: values(vec, "read"), y: values(vec, "write") }),
  params: SIZES,
  body: (s) => wgsl`
${types(s.vec)}
${source(s)}
${linearMain()} {
  ${linearIndex("p.count")}
  ${position("p.oh", "p.ow")}
  let v = near(row, p.stepY, p.h);
  let u = near(column, p.stepX, p.w);
  let upper = (image * p.h + v.a) * p.w;
  let lower = (image * p.h + v.b) * p.w;
  y[index] = ${
    s.mode === "nearest"
      ? "x[(upper + u.a) * p.c + c]"
      : `(1.0 - v.weight) * ((1.0 - u.weight) * x[(upper + u.a) * p.c + c] + u.weight * x[(upper + u.b) * p.c + c])
    + v.weight * ((1.0 - u.weight) * x[(lower + u.a) * p.c + c] + u.weight * x[(lower + u.b) * p.c + c])`
  };
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/**
 * dx: each input asks the outputs that may be made of it, less than one input away, for its share
 * in them. Those at the border are asked by the outermost inputs.
 */
export const upsampleGradKernel = /* @__PURE__ */ defineKernel({
  name: "upsample-grad",
  key,
  bindings: ({ vec }) => ({ g: values(vec, "read"), dx: values(vec, "write") }),
  params: SIZES,
  body: (s) => {
    const half = s.mode === "bilinear" && !s.alignCorners ? 0.5 : 0;
    return wgsl`
${types(s.vec)}
${source(s)}
fn share(i: u32, o: u32, step: f32, size: u32) -> f32 {
  let n = near(o, step, size);
  return select(0.0, 1.0 - n.weight, n.a == i) + select(0.0, n.weight, n.b == i);
}
fn start(i: u32, step: f32) -> u32 {
  if (i == 0u || step == 0.0) { return 0u; }
  return u32(max((f32(i) - ${1 - half}) / step - ${half}, 0.0));
}
fn end(i: u32, step: f32, size: u32, outputs: u32) -> u32 {
  if (i + 1u == size || step == 0.0) { return outputs; }
  return min(u32((f32(i) + ${1 + half}) / step - ${half}) + 2u, outputs);
}

${linearMain()} {
  ${linearIndex("p.count")}
  ${position("p.h", "p.w")}
  let left = start(column, p.stepX);
  let right = end(column, p.stepX, p.w, p.ow);
  let below = end(row, p.stepY, p.h, p.oh);
  var sum = T();
  for (var y = start(row, p.stepY); y < below; y++) {
    let shareY = share(row, y, p.stepY, p.h);
    if (shareY == 0.0) { continue; }
    for (var x = left; x < right; x++) {
      let shareX = share(column, x, p.stepX, p.w);
      if (shareX != 0.0) { sum += shareY * shareX * g[((image * p.oh + y) * p.ow + x) * p.c + c]; }
    }
  }
  dx[index] = sum;
}`;
  },
  workgroups: (_, p) => linearGrid(p.count),
});
