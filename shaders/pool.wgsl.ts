import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel, linearGrid, linearIndex, linearMain } from "../src/gpu/kernel";

/** An index that stands for "no position": a window that lies in the padding alone. */
export const NO_INDEX = 0xffffffff;

/** What pooling kernels are compiled for; everything else is a parameter. */
export interface PoolSpec {
  /**
   * The channel count is a multiple of four and every `c` below counts vectors of four channels.
   */
  vec: boolean;
}

export interface MaxPoolSpec extends PoolSpec {
  /**
   * The input is itself the result of a max pool, whose indices are passed on (second stage of a
   * global max).
   */
  carry: boolean;
}

export const values = (vec: boolean, access: "read" | "write"): Binding => ({ access, type: vec ? "vec4f" : "f32" });
const indices = (access: "read" | "write"): Binding => ({ access, type: "u32" });

/** WGSL: one body for one channel and for four: values T, indices U, truths B. */
export const types = (vec: boolean) =>
  vec ? "alias T = vec4f; alias U = vec4u; alias B = vec4<bool>;" : "alias T = f32; alias U = u32; alias B = bool;";

/**
 * WGSL: index vectors are read and written word by word, as there is no binding of unsigned
 * vectors.
 */
const loadIndices = (buffer: string, at: string, vec: boolean) =>
  vec ? `vec4u(${[0, 1, 2, 3].map((k) => `${buffer}[4u * (${at}) + ${k}u]`).join(", ")})` : `${buffer}[${at}]`;
const storeIndices = (buffer: string, at: string, vec: boolean) =>
  vec
    ? [0, 1, 2, 3].map((k) => `${buffer}[4u * (${at}) + ${k}u] = which[${k}];`).join(" ")
    : `${buffer}[${at}] = which;`;

/** WGSL: splits `index` over [N, `h`, `w`, C]. */
export const position = (h: string, w: string) => `
  let c = index % p.c;
  let column = (index / p.c) % ${w};
  let row = (index / p.c / ${w}) % ${h};
  let image = index / p.c / ${w} / ${h};`;

/**
 * Sizes shared by all: input h×w, output oh×ow, channels (vectors), window kh×kw, stride, padding.
 */
const GEOMETRY = {
  count: "u32",
  h: "u32",
  w: "u32",
  c: "u32",
  oh: "u32",
  ow: "u32",
  kh: "u32",
  kw: "u32",
  sh: "u32",
  sw: "u32",
  ph: "u32",
  pw: "u32",
} as const;

/**
 * y = the window's maximum, `at` = its place y·W + x in the plane: the first maximum, or the last
 * NaN, as PyTorch has it. `lowest` is −∞, which WGSL cannot write as a constant; NaN is told by its
 * bits, as WGSL lets a compiler assume there is none.
 */
export const maxPoolKernel = /* @__PURE__ */ defineKernel({
  name: "max-pool",
  key: ({ vec, carry }: MaxPoolSpec) => `${vec ? "vec" : "scalar"}${carry ? ",carry" : ""}`,
  bindings: ({ vec, carry }) =>
    ({
      x: values(vec, "read"),
      ...(carry ? { earlier: indices("read") } : {}),
      y: values(vec, "write"),
      at: indices("write"),
    }) as Record<"x" | "y" | "at" | "earlier", Binding>,
  params: { ...GEOMETRY, dh: "u32", dw: "u32", lowest: "f32" },
  body: ({ vec, carry }) => wgsl`
${types(vec)}
fn isNaN(v: T) -> B { return (bitcast<U>(v) & U(0x7fffffffu)) > U(0x7f800000u); }

${linearMain()} {
  ${linearIndex("p.count")}
  ${position("p.oh", "p.ow")}
  var best = T(p.lowest);
  var which = U(${NO_INDEX}u);
  for (var i = 0u; i < p.kh; i++) {
    // Unsigned numbers wrap around, so a place before the first row or column is beyond the last one too.
    let in_y = row * p.sh + i * p.dh - p.ph;
    if (in_y >= p.h) { continue; }
    for (var j = 0u; j < p.kw; j++) {
      let in_x = column * p.sw + j * p.dw - p.pw;
      if (in_x >= p.w) { continue; }
      let place = ((image * p.h + in_y) * p.w + in_x) * p.c + c;
      let v = x[place];
      let wins = isNaN(v) | (!isNaN(best) & ((v > best) | (which == U(${NO_INDEX}u))));
      best = select(best, v, wins);
      which = select(which, ${carry ? loadIndices("earlier", "place", vec) : "U(in_y * p.w + in_x)"}, wins);
    }
  }
  y[index] = best;
  ${storeIndices("at", "index", vec)}
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/**
 * WGSL: rows and columns of the windows that may cover this input place, as bounds `from … to`
 * (exclusive).
 */
const windows = `
  let below = select(0u, (row + p.ph - p.kh) / p.sh + 1u, row + p.ph >= p.kh);
  let left = select(0u, (column + p.pw - p.kw) / p.sw + 1u, column + p.pw >= p.kw);
  let above = min((row + p.ph) / p.sh + 1u, p.oh);
  let right = min((column + p.pw) / p.sw + 1u, p.ow);`;

/**
 * dx = sum of g over the windows whose maximum this input was. Each input asks the windows over it,
 * so overlapping windows need no atomics and the order is fixed. `kh`, `kw` are the windows'
 * extents, dilation included.
 */
export const maxPoolGradKernel = /* @__PURE__ */ defineKernel({
  name: "max-pool-grad",
  key: ({ vec }: PoolSpec) => (vec ? "vec" : "scalar"),
  bindings: ({ vec }) => ({ g: values(vec, "read"), at: indices("read"), dx: values(vec, "write") }),
  params: GEOMETRY,
  body: ({ vec }) => wgsl`
${types(vec)}
${linearMain()} {
  ${linearIndex("p.count")}
  ${position("p.h", "p.w")}
  ${windows}
  var sum = T();
  for (var y = below; y < above; y++) {
    for (var x = left; x < right; x++) {
      let place = ((image * p.oh + y) * p.ow + x) * p.c + c;
      sum += select(T(), g[place], ${loadIndices("at", "place", vec)} == U(row * p.w + column));
    }
  }
  dx[index] = sum;
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/**
 * WGSL: elements that the window at (y, x) averages over: what of it lies in the image and (with
 * `all` ≠ 0) its padding. A last window may reach past both.
 */
const divisor = /* wgsl */ `
fn overlap(o: u32, stride: u32, padding: u32, kernel: u32, size: u32) -> u32 {
  let start = o * stride;
  let all = p.all != 0u;
  return min(start + kernel, size + padding * select(1u, 2u, all)) - select(max(start, padding), start, all);
}
fn divisor(y: u32, x: u32) -> f32 {
  return f32(overlap(y, p.sh, p.ph, p.kh, p.h) * overlap(x, p.sw, p.pw, p.kw, p.w));
}`;

/** y = the window's sum over its number of elements. */
export const avgPoolKernel = /* @__PURE__ */ defineKernel({
  name: "avg-pool",
  key: ({ vec }: PoolSpec) => (vec ? "vec" : "scalar"),
  bindings: ({ vec }) => ({ x: values(vec, "read"), y: values(vec, "write") }),
  params: { ...GEOMETRY, all: "u32" },
  body: ({ vec }) => wgsl`
${types(vec)}
${divisor}
${linearMain()} {
  ${linearIndex("p.count")}
  ${position("p.oh", "p.ow")}
  var sum = T();
  for (var i = 0u; i < p.kh; i++) {
    let in_y = row * p.sh + i - p.ph;
    if (in_y >= p.h) { continue; }
    for (var j = 0u; j < p.kw; j++) {
      let in_x = column * p.sw + j - p.pw;
      if (in_x >= p.w) { continue; }
      sum += x[((image * p.h + in_y) * p.w + in_x) * p.c + c];
    }
  }
  y[index] = sum / divisor(row, column);
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/** dx = sum over the windows above this input of g over the window's number of elements. */
export const avgPoolGradKernel = /* @__PURE__ */ defineKernel({
  name: "avg-pool-grad",
  key: ({ vec }: PoolSpec) => (vec ? "vec" : "scalar"),
  bindings: ({ vec }) => ({ g: values(vec, "read"), dx: values(vec, "write") }),
  params: { ...GEOMETRY, all: "u32" },
  body: ({ vec }) => wgsl`
${types(vec)}
${divisor}
${linearMain()} {
  ${linearIndex("p.count")}
  ${position("p.h", "p.w")}
  ${windows}
  var sum = T();
  for (var y = below; y < above; y++) {
    for (var x = left; x < right; x++) {
      sum += g[((image * p.oh + y) * p.ow + x) * p.c + c] / divisor(y, x);
    }
  }
  dx[index] = sum;
}`,
  workgroups: (_, p) => linearGrid(p.count),
});
