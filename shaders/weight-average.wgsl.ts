import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel, linearGrid, linearIndex, linearMain, type ParamType } from "../src/gpu/kernel";
import { each, inItsSlot, MOST_SLOTS, READ, WRITE } from "./slots.wgsl";

/** Slots of {@link averageKernel}: a weight each, beside the averages and what they are made by. */
export const averageSlots = (buffers: number): number => Math.min(MOST_SLOTS, buffers - 2);

/**
 * Averages of up to {@link averageSlots} weights, side by side in `averages`: `update` makes a ←
 * kept · a + fresh · w, with both factors in `factors`; `swap` exchanges them with the weights.
 * `end…` are running totals of vectors.
 */
export const averageKernel = /* @__PURE__ */ defineKernel({
  name: "weight-average",
  key: (s: { does: "update" | "swap"; slots: number }) => `${s.does},${s.slots}`,
  bindings: ({ does, slots }): Record<string, Binding> => ({
    ...(does === "update" ? { factors: { access: "read" } as Binding } : {}),
    averages: WRITE,
    ...each<Binding>(slots, "w", does === "update" ? READ : WRITE),
  }),
  params: ({ slots }): Record<string, ParamType> => each<ParamType>(slots, "end", "u32"),
  body: ({ does, slots }) => wgsl`
${linearMain()} {
  ${linearIndex(`p.end${slots - 1}`)}
  let average = averages[index];
  ${inItsSlot(slots, (k) =>
    does === "update"
      ? `averages[index] = factors[0] * average + factors[1] * w${k}[i];`
      : `averages[index] = w${k}[i]; w${k}[i] = average;`,
  )}
}`,
  workgroups: ({ slots }, p) => linearGrid(p[`end${slots - 1}`]!),
});
