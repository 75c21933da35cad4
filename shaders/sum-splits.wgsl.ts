import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel, linearGrid, linearIndex, linearMain, type ParamType } from "../src/gpu/kernel";
import { each, inItsSlot, startOf } from "./slots.wgsl";

/** Past this many the sizes no longer fit into immediates. */
const MOST_SUMMED = 7;

/** Sums of one dispatch on a device that binds `buffers` storage buffers: parts and a sum each. */
export const summedSlots = (buffers: number): number => Math.min(MOST_SUMMED, Math.floor(buffers / 2));

/**
 * out_k[i] = Σ_s parts_k[s·n_k + i], s ascending, for up to {@link summedSlots} sums; those whose
 * bit is set in `adds` are added to what is there. `end…` are running totals of n_k.
 */
export const sumSplitsKernel = /* @__PURE__ */ defineKernel({
  name: "sum-splits",
  key: (s: { slots: number }) => `${s.slots}`,
  bindings: ({ slots }): Record<string, Binding> => ({
    ...each<Binding>(slots, "parts", { access: "read" }),
    ...each<Binding>(slots, "out", { access: "write" }),
  }),
  params: ({ slots }): Record<string, ParamType> => ({
    adds: "u32",
    ...each<ParamType>(slots, "end", "u32"),
    ...each<ParamType>(slots, "splits", "u32"),
  }),
  body: ({ slots }) => wgsl`
${linearMain()} {
  ${linearIndex(`p.end${slots - 1}`)}
  ${inItsSlot(slots, sumOf)}
}`,
  workgroups: ({ slots }, p) => linearGrid(p[`end${slots - 1}`]!),
});

/** WGSL: sum `i` of slot `k`. */
const sumOf = (k: number): string => /* wgsl */ `
    let n = p.end${k} - ${startOf(k)};
    var sum = 0.0;
    var s = 0u;
    // Four loads are under way at a time: waiting for them is all there is to this.
    for (; s + 4u <= p.splits${k}; s += 4u) {
      let at = s * n + i;
      let a = parts${k}[at];
      let b = parts${k}[at + n];
      let c = parts${k}[at + 2u * n];
      let d = parts${k}[at + 3u * n];
      sum = sum + a + b + c + d;
    }
    for (; s < p.splits${k}; s++) { sum += parts${k}[s * n + i]; }
    if ((p.adds & ${1 << k}u) != 0u) { sum += out${k}[i]; }
    out${k}[i] = sum;
  `;
