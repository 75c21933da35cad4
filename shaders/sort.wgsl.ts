import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../src/gpu/kernel";

/** What is compiled in: the type of the elements, and the order. */
export interface SortSpec {
  readonly dtype: "f32" | "i32" | "u32";
  readonly descending: boolean;
}

/** Neighbours that the first launch puts in order; later ones merge runs of twice the length. */
export const FIRST_RUN = 64;

/** Bits of an element to unsigned numbers of the same order: all NaN greatest, −0 as 0. */
const KEYS = {
  f32: /* wgsl */ `
  let flipped = bits ^ select(0x80000000u, 0xffffffffu, bits > 0x80000000u);
  return select(select(flipped, bits, bits == 0x80000000u), 0xffffffffu, (bits & 0x7fffffffu) > 0x7f800000u);`,
  i32: "return bits ^ 0x80000000u;",
  u32: "return bits;",
} as const;

const key = ({ dtype, descending }: SortSpec) => /* wgsl */ `
fn ascending(bits: u32) -> u32 { ${KEYS[dtype]} }
fn key(bits: u32) -> u32 { return ${descending ? "~" : ""}ascending(bits); }`;

const specKey = ({ dtype, descending }: SortSpec) => `${dtype}${descending ? ",descending" : ""}`;

/** WGSL: this element's place `i` on its line of [outer, n, inner], and where the line begins. */
const ELEMENT = `
  let i = (index / p.inner) % p.n;
  let base = index - i * p.inner;`;

/**
 * The order of each run of {@link FIRST_RUN} elements along the middle of [outer, n, inner]: an
 * element's place is the number of those before it, in value or, of equals, in position.
 */
export const sortRunsKernel = /* @__PURE__ */ defineKernel({
  name: "sort-runs",
  key: specKey,
  bindings: { x: { access: "read", type: "u32" }, order: { access: "write", type: "u32" } },
  params: { count: "u32", n: "u32", inner: "u32" },
  body: (spec: SortSpec) => wgsl`
${key(spec)}
${linearMain()} {
  ${linearIndex("p.count")}
  ${ELEMENT}
  let mine = key(x[index]);
  let start = i / ${FIRST_RUN}u * ${FIRST_RUN}u;
  let end = min(start + ${FIRST_RUN}u, p.n);
  var place = start;
  for (var j = start; j < end; j++) {
    let other = key(x[base + j * p.inner]);
    place += select(0u, 1u, (other < mine) | ((other == mine) & (j < i)));
  }
  order[base + place * p.inner] = i;
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/**
 * Merges pairs of ordered runs of `run` elements: an element's place is its own in its run and the
 * number of those in the other run that go before it, found by bisection. Equals of the left run go
 * first.
 */
export const sortMergeKernel = /* @__PURE__ */ defineKernel({
  name: "sort-merge",
  key: specKey,
  bindings: {
    x: { access: "read", type: "u32" },
    order: { access: "read", type: "u32" },
    merged: { access: "write", type: "u32" },
  },
  params: { count: "u32", n: "u32", inner: "u32", run: "u32" },
  body: (spec: SortSpec) => wgsl`
${key(spec)}
${linearMain()} {
  ${linearIndex("p.count")}
  ${ELEMENT}
  let which = order[index];
  let mine = key(x[base + which * p.inner]);
  let start = i / (2u * p.run) * (2u * p.run);
  let middle = min(start + p.run, p.n);
  let end = min(middle + p.run, p.n);
  let left = i < middle;
  var low = select(start, middle, left);
  var high = select(middle, end, left);
  while (low < high) {
    let j = (low + high) / 2u;
    let other = key(x[base + order[base + j * p.inner] * p.inner]);
    let before = (other < mine) | ((other == mine) & !left);
    low = select(low, j + 1u, before);
    high = select(j, high, before);
  }
  merged[base + (i + low - middle) * p.inner] = which;
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/**
 * Elements of [outer, n, inner] that `at` [outer, k, inner] names by their places along the middle:
 * they are taken from there, or put there (each place at most once).
 */
export const alongKernel = /* @__PURE__ */ defineKernel({
  name: "along",
  key: (way: "take" | "put") => way,
  bindings: {
    x: { access: "read", type: "u32" },
    at: { access: "read", type: "u32" },
    y: { access: "write", type: "u32" },
  },
  params: { count: "u32", n: "u32", k: "u32", inner: "u32" },
  body: (way) => wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let far = (index / p.inner / p.k * p.n + at[index]) * p.inner + index % p.inner;
  ${way === "take" ? "y[index] = x[far];" : "y[far] = x[index];"}
}`,
  workgroups: (_, p) => linearGrid(p.count),
});
