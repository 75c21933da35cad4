import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../../src/gpu/kernel";
import {
  affined,
  bind,
  ended,
  endFunctions,
  flagsKey,
  inputSets,
  loadType,
  type NormEnd,
  type NormLanes,
  type NormParts,
  normalised,
  partAt,
  partsKey,
  read,
  scaleBindings,
  scaled,
  setOf,
  shiftBindings,
  statistic,
  statSets,
  write,
} from "./apply.wgsl";
import {
  behindRelu,
  gradSets,
  inputGrad,
  lines,
  maskBindings,
  maskKey,
  partsOf,
  type ReluMask,
} from "./gradients.wgsl";
import { momentsOf } from "./statistics.wgsl";

/*
 * Normalisation of groups that lie in one row each (layer norm, group norm without positions), one
 * launch each way: an invocation takes a group, its statistics, and goes over it a second time.
 * Sizes and parts as in apply.wgsl.ts; of groups there are `units` a part, of `q` loads.
 */

/** WGSL: the first number of the load at a place. */
const firstOf = ({ width }: NormLanes, at: string): string => (width === 4 ? `x[${at}].x` : `x[${at}]`);

export interface NormRowsSpec extends NormLanes, NormParts, NormEnd {}

/** y and the statistics. */
export const normRowsKernel = /* @__PURE__ */ defineKernel({
  name: "norm-rows",
  key: (s: NormRowsSpec) => s.width + partsKey(s) + flagsKey({ relu: s.relu, residual: s.residual }),
  bindings: (s) => ({
    ...bind({
      x: read(loadType(s)),
      r: s.residual && read(loadType(s)),
      stats: write({ type: "f32" }),
      y: write(loadType(s)),
    }),
    ...scaleBindings(s, loadType(s)),
    ...shiftBindings(s, loadType(s)),
  }),
  params: { loads: "u32", units: "u32", row: "u32", q: "u32", eps: "f32" },
  body: (s) => wgsl`
alias T = ${loadType(s).type};
${endFunctions(s)}
${linearMain()} {
  ${linearIndex("p.units")}
  let first = index * p.q;
${lines(statSets(s), (k) => {
  const zero = (value: string) => (s.aboutZero ? "0.0" : value);
  return `  let shift${k} = ${firstOf(s, partAt("first", k))};
  var mean${k} = 0.0;
  var rstd${k} = 0.0;
  {
    let shift = shift${k};
${momentsOf({ ...s, grouped: true }, { start: "0u", end: "p.q", step: "1u", load: (at) => `x[${partAt("first", k)} + ${at}]` })}
    mean${k} = mean;
    rstd${k} = 1.0 / sqrt(m2 / count + ${s.aboutZero ? "(shift + mean) * (shift + mean) + " : ""}p.eps);
  }
  ${statistic(s, 0, "index", k)} = ${zero(`shift${k}`)};
  ${statistic(s, 1, "index", k)} = ${zero(`mean${k}`)};
  ${statistic(s, 2, "index", k)} = rstd${k};`;
})}
  for (var i = 0u; i < p.q; i++) {
    let at = first + i;
    let j = at % p.row;
${lines(inputSets(s), (k) => {
  const set = setOf(statSets(s), k);
  const x = `x[${s.shared ? "at" : partAt("at", k)}]`;
  const z = s.aboutZero ? x : `(${x} - shift${set} - mean${set})`;
  return `    let z${k} = ${z} * rstd${set};`;
})}
${lines(
  s.parts,
  (k) => `    {
      let v = ${affined(s, `z${setOf(inputSets(s), k)}`, "j", k)};
      y[${partAt("at", k)}] = ${ended(s, "v", partAt("at", k))};
    }`,
)}
  }
}`,
  workgroups: (_, p) => linearGrid(p.units),
});

export interface NormRowsGradSpec extends NormLanes, NormParts {
  readonly relu: ReluMask;
  /** Write the means that dx needs, and leave it to `norm-grad-apply`, which spreads it wider. */
  readonly means: boolean;
  /** dx is added to what is there. */
  readonly adds: boolean;
}

/** dx, from mean γ·dz and mean γ·dz·z of its group; or those means. */
export const normRowsGradKernel = /* @__PURE__ */ defineKernel({
  name: "norm-rows-grad",
  key: (s: NormRowsGradSpec) => s.width + partsKey(s) + maskKey(s.relu) + flagsKey({ means: s.means, adds: s.adds }),
  bindings: (s) => ({
    ...bind({
      x: read(loadType(s)),
      g: read(loadType(s)),
      y: s.relu === "y" && read(loadType(s)),
      stats: read({ type: "f32" }),
      means: s.means && write({ type: "f32" }),
      dx: !s.means && write(loadType(s)),
    }),
    ...scaleBindings(s, loadType(s)),
    ...maskBindings(s),
  }),
  params: { loads: "u32", units: "u32", row: "u32", q: "u32", values: "f32" },
  body: (s) => {
    const total = (sum: string) => (s.width === 4 ? `dot(${sum}, vec4f(1.0))` : sum);
    return wgsl`
alias T = ${loadType(s).type};
${linearMain()} {
  ${linearIndex("p.units")}
  let first = index * p.q;
${lines(
  gradSets(s),
  (set) => `  {
    var plain = T();
    var weighted = T();
    for (var i = 0u; i < p.q; i++) {
      let at = first + i;
      let j = at % p.row;
      let z = ${normalised(s, "at", "index", set)};
${partsOf(s, set)
  .map(
    (k) => `      {
        var d = ${behindRelu(s, `g[${partAt("at", k)}]`, "at", k, "z")};
        ${scaled(s, "d", "j", k)}
        plain += d;
        weighted += d * z;
      }`,
  )
  .join("\n")}
    }
    let mean0 = ${total("plain")} / p.values;
    let mean1 = ${total("weighted")} / p.values;
${
  s.means
    ? `    means[${set}u * p.units + index] = mean0;
    means[${gradSets(s) + set}u * p.units + index] = mean1;`
    : `    for (var i = 0u; i < p.q; i++) {
      let at = first + i;
      let j = at % p.row;
      let z = ${normalised(s, "at", "index", set)};
${partsOf(s, set)
  .map(
    (k) => `      var d${k} = ${behindRelu(s, `g[${partAt("at", k)}]`, "at", k, "z")};
      ${scaled(s, `d${k}`, "j", k)}`,
  )
  .join("\n")}
      dx[${partAt("at", set)}] ${s.adds ? "+" : ""}= ${inputGrad({ ...s, batch: true }, set, {
        d: (k) => `d${k}`,
        z: "z",
        rstd: (k) => statistic(s, 2, "index", k),
        mean: (plane) => `mean${plane}`,
      })};
    }`
}
  }`,
)}
}`;
  },
  workgroups: (_, p) => linearGrid(p.units),
});
