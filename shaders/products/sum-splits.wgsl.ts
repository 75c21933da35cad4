import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../../src/gpu/kernel";

/** out[i] = Σ_s parts[s·n + i], s ascending. */
export const sumSplitsKernel = /* @__PURE__ */ defineKernel({
  name: "sum-splits",
  key: () => "",
  bindings: { parts: { access: "read" }, out: { access: "write" } },
  params: { n: "u32", splits: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.n")}
  var sum = 0.0;
  for (var s = 0u; s < p.splits; s++) { sum += parts[s * p.n + index]; }
  out[index] = sum;
}`,
  workgroups: (_, p) => linearGrid(p.n),
});
