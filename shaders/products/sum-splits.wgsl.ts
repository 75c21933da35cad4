import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../../src/gpu/kernel";

/** out[i] = Σ_s parts[s·n + i], s ascending; with `adds` that is added to what is there. */
export const sumSplitsKernel = /* @__PURE__ */ defineKernel({
  name: "sum-splits",
  key: () => "",
  bindings: { parts: { access: "read" }, out: { access: "write" } },
  params: { n: "u32", splits: "u32", adds: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.n")}
  var sum = 0.0;
  var s = 0u;
  // Four loads are under way at a time: waiting for them is all there is to this.
  for (; s + 4u <= p.splits; s += 4u) {
    let at = s * p.n + index;
    let a = parts[at];
    let b = parts[at + p.n];
    let c = parts[at + 2u * p.n];
    let d = parts[at + 3u * p.n];
    sum = sum + a + b + c + d;
  }
  for (; s < p.splits; s++) { sum += parts[s * p.n + index]; }
  if (p.adds != 0u) { sum += out[index]; }
  out[index] = sum;
}`,
  workgroups: (_, p) => linearGrid(p.n),
});
