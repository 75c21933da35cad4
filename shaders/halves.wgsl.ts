import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain, nanTest } from "../src/gpu/kernel";

/** Largest number of f16. */
const LARGEST_HALF = 65504;

/**
 * y = x in f16, four numbers in two words; NaN for NaN. A number beyond f16's largest becomes that,
 * with its sign, and `beyond` counts it (vectors that hold one). `n` numbers in `n4` vectors; what
 * lies behind the last number is somebody else's, and becomes 0.
 */
export const packHalvesKernel = /* @__PURE__ */ defineKernel({
  name: "pack-halves",
  key: () => "",
  bindings: {
    x: { access: "read", type: "vec4f" },
    y: { access: "write", type: "vec2u" },
    beyond: { access: "write", type: "atomic<u32>" },
  },
  params: { n: "u32", n4: "u32" },
  body: (_: null) => wgsl`
${nanTest("vec4f")}
${linearMain()} {
  ${linearIndex("p.n4")}
  let x = select(vec4f(), x[index], vec4u(4u * index) + vec4u(0u, 1u, 2u, 3u) < vec4u(p.n));
  let nan = isNan(x);
  let c = select(clamp(x, vec4f(-${LARGEST_HALF}.0), vec4f(${LARGEST_HALF}.0)), vec4f(), nan);
  if (any((abs(x) > vec4f(${LARGEST_HALF}.0)) & !nan)) { atomicAdd(&beyond[0], 1u); }
  // Built-in packing may give anything for NaN.
  let low = select(vec2u(), vec2u(0x7e00u), nan.xz);
  let high = select(vec2u(), vec2u(0x7e000000u), nan.yw);
  y[index] = vec2u(pack2x16float(c.xy), pack2x16float(c.zw)) | low | high;
}`,
  workgroups: (_, p) => linearGrid(p.n4),
});

/** y = x, which {@link packHalvesKernel} packed; `n4` vectors. */
export const unpackHalvesKernel = /* @__PURE__ */ defineKernel({
  name: "unpack-halves",
  key: () => "",
  bindings: { x: { access: "read", type: "vec2u" }, y: { access: "write", type: "vec4f" } },
  params: { n4: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.n4")}
  let x = x[index];
  y[index] = vec4f(unpack2x16float(x.x), unpack2x16float(x.y));
}`,
  workgroups: (_, p) => linearGrid(p.n4),
});
