import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel, linearGrid, linearIndex, linearMain, type ParamType } from "../src/gpu/kernel";
import { each, inItsSlot, READ, WRITE } from "./slots.wgsl";

/**
 * The update rules of the optimisers. A rule names the hyper-parameters it reads (`hyper`, all of
 * them data in a buffer), the state it keeps an element (`states`), and what it needs of the
 * parameter's step count (`counted`: two numbers that `tickKernel` derives from it, `c.x` and
 * `c.y`). `update` gives the new weight from w, the gradient g, and the state: the first at `at` of
 * `s`, the second `p.plane` vectors behind it.
 *
 * PyTorch's options are coefficients here, so that each rule is one formula: Nesterov momentum
 * steps along 1·d + μ·m and heavy ball along 0·d + 1·m; L2 decay adds `l2`·w to the gradient and
 * decoupled decay multiplies w by `shrink`.
 */
export const RULES = {
  sgd: {
    hyper: ["lr", "l2"],
    states: [],
    counted: false,
    update: "return w - lr * (g + l2 * w);",
    tick: "",
  },
  momentum: {
    hyper: ["lr", "l2", "momentum", "fresh", "carried"],
    states: ["momentum_buffer"],
    counted: false,
    update: `
  let d = g + l2 * w;
  let m = momentum * s[at] + d;
  s[at] = m;
  return w - lr * (fresh * d + carried * m);`,
    tick: "",
  },
  dampened: {
    hyper: ["lr", "l2", "momentum", "fresh", "carried", "gain"],
    states: ["momentum_buffer"],
    counted: true,
    update: `
  let d = g + l2 * w;
  let m = momentum * s[at] + c.x * d;
  s[at] = m;
  return w - lr * (fresh * d + carried * m);`,
    tick: "return vec2f(select(gain, 1.0, t == 1.0), 0.0);",
  },
  adam: {
    hyper: ["lr", "l2", "shrink", "beta1", "rest1", "log1", "beta2", "rest2", "log2", "eps"],
    states: ["exp_avg", "exp_avg_sq"],
    counted: true,
    update: `
  let d = g + l2 * w;
  let m = beta1 * s[at] + rest1 * d;
  let v = beta2 * s[p.plane + at] + rest2 * d * d;
  s[at] = m;
  s[p.plane + at] = v;
  return shrink * w - lr * c.x * (m / (sqrt(v) / c.y + eps));`,
    tick: "return vec2f(1.0 / complement(t * log1), sqrt(complement(t * log2)));",
  },
} as const;

export type RuleName = keyof typeof RULES;

/**
 * Numbers kept for each parameter of a counted rule: its step count t, and the two that follow from
 * it.
 */
export const COUNT_ENTRY = 3;

/**
 * Parameters updated by one dispatch: past so many the slots' sizes no longer fit into immediates,
 * and kernels compile for longer.
 */
const mostUpdated = (rule: RuleName): number => (RULES[rule].counted ? 4 : 5);

/**
 * Slots of {@link updateKernel} on a device that binds `buffers` storage buffers: a weight and a
 * gradient each.
 */
export const updateSlots = (rule: RuleName, buffers: number): number =>
  Math.min(mostUpdated(rule), Math.floor((buffers - (RULES[rule].states.length ? 2 : 1)) / 2));

/** WGSL: the rule's hyper-parameters by name, from `p.base` on. */
const namedHyper = (rule: RuleName): string =>
  RULES[rule].hyper.map((name, i) => `let ${name} = hyper[p.base + ${i}u];`).join("\n  ");

/**
 * One step of up to {@link updateSlots} parameters, four elements per invocation: w_k ← update(w_k,
 * g_k, state). `end…` are running totals of vectors, `state…` where a slot's state begins in `s`,
 * in vectors, `plane` how far apart states are, `count…` where its {@link COUNT_ENTRY} lies in
 * `hyper`, `base` where the hyper-parameters lie there.
 */
export const updateKernel = /* @__PURE__ */ defineKernel({
  name: "optimizer-update",
  key: (s: { rule: RuleName; slots: number }) => `${s.rule},${s.slots}`,
  bindings: ({ rule, slots }): Record<string, Binding> => ({
    hyper: { access: "read" },
    ...(RULES[rule].states.length ? { s: WRITE as Binding } : {}),
    ...each<Binding>(slots, "w", WRITE),
    ...each<Binding>(slots, "g", READ),
  }),
  params: ({ rule, slots }): Record<string, ParamType> => ({
    base: "u32",
    ...(RULES[rule].states.length > 1 ? { plane: "u32" as ParamType } : {}),
    ...each<ParamType>(slots, "end", "u32"),
    ...(RULES[rule].states.length ? each<ParamType>(slots, "state", "u32") : {}),
    ...(RULES[rule].counted ? each<ParamType>(slots, "count", "u32") : {}),
  }),
  body: ({ rule, slots }) => {
    const { states, counted } = RULES[rule];
    const arguments_ = (k: number) =>
      `w${k}[i], g${k}[i]${states.length ? `, p.state${k} + i` : ""}${counted ? `, vec2f(hyper[p.count${k} + 1u], hyper[p.count${k} + 2u])` : ""}`;
    return wgsl`
fn update(w: vec4f, g: vec4f${states.length ? ", at: u32" : ""}${counted ? ", c: vec2f" : ""}) -> vec4f {
  ${namedHyper(rule)}
  ${RULES[rule].update}
}
${linearMain()} {
  ${linearIndex(`p.end${slots - 1}`)}
  ${inItsSlot(slots, (k) => `w${k}[i] = update(${arguments_(k)});`)}
}`;
  },
  workgroups: ({ slots }, p) => linearGrid(p[`end${slots - 1}`]!),
});

/**
 * t ← t + 1 for `parameters` neighbouring entries from `first` on, and what the rule derives from
 * t. A dispatch of its own: the update reads the count in many invocations, so none of them may
 * change it.
 */
export const tickKernel = /* @__PURE__ */ defineKernel({
  name: "optimizer-tick",
  key: (s: { rule: RuleName }) => s.rule,
  bindings: { hyper: { access: "write" } },
  params: { base: "u32", first: "u32", parameters: "u32" },
  body: ({ rule }) => wgsl`
// 1 - exp(x) for x <= 0; by its series near 0, where the difference would cancel (1 - 0.999 has an f32 error of 3e-5).
fn complement(x: f32) -> f32 {
  if (x < -0.5) { return 1.0 - exp(x); }
  var sum = 1.0;
  for (var k = 8.0; k > 1.0; k -= 1.0) { sum = 1.0 + sum * x / k; }
  return -x * sum;
}
fn derived(t: f32) -> vec2f {
  ${namedHyper(rule)}
  ${RULES[rule].tick}
}
${linearMain()} {
  ${linearIndex("p.parameters")}
  let at = p.first + ${COUNT_ENTRY}u * index;
  let t = hyper[at] + 1.0;
  let c = derived(t);
  hyper[at] = t;
  hyper[at + 1u] = c.x;
  hyper[at + 2u] = c.y;
}`,
  workgroups: (_, p) => linearGrid(p.parameters),
});
