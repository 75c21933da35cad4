/**
 * 3×3 convolutions of stride 1 by Winograd's minimal filtering: 16 multiplications where 36 are
 * needed otherwise. A tile of 4×4 inputs d, four values of which the next tile shares, makes 2×2
 * outputs of a 3×3 filter g, and as well the 3×3 outputs of a 2×2 filter, which is the weight
 * gradient:
 *
 *     F(2×2, 3×3):  Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A          F(3×3, 2×2):  Y = A₃ᵀ[(G₂ g G₂ᵀ) ⊙ (Bᵀ d B)]A₃
 *
 *          ⎡1  0 −1  0⎤       ⎡1  0  0⎤                              ⎡1  0⎤
 *     Bᵀ = ⎢0  1  1  0⎥   G = ⎢½  ½  ½⎥   Aᵀ = ⎡1  1  1  0⎤     G₂ = ⎢½  ½⎥   A₃ᵀ = ⎡1  1  1  0⎤
 *          ⎢0 −1  1  0⎥       ⎢½ −½  ½⎥        ⎣0  1 −1 −1⎦          ⎢½ −½⎥         ⎢0  1 −1  0⎥
 *          ⎣0  1  0 −1⎦       ⎣0  0  1⎦                              ⎣0  1⎦         ⎣0  1  1 −1⎦
 *
 * The element-wise products, summed over what a convolution sums over, are 16 matrix products.
 * Source: Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016; both forms
 * interpolate at 0, 1, −1 and ∞.
 */
import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, foldGrid, linearGrid, linearIndex, linearMain } from "../../src/gpu/kernel";
import {
  accumulators,
  eachRow,
  eachSum,
  gatherColumns,
  multiply,
  put,
  type Tile,
  takeColumns,
  tileEnables,
  tileGroups,
  tileHead,
  tileKey,
  tileLoads,
  vector,
  vectorOf,
} from "./registers.wgsl";

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** A matrix times a vector of expressions, with halves taken out in front and zeros left out. */
type Transform = (v: readonly string[]) => readonly string[];

const inputRows: Transform = ([a, b, c, d]) => [`(${a} - ${c})`, `(${b} + ${c})`, `(${c} - ${b})`, `(${b} - ${d})`];
const weightRows: Transform = ([a, b, c]) => [
  `${a}`,
  `(0.5 * (${a} + ${c}) + 0.5 * ${b})`,
  `(0.5 * (${a} + ${c}) - 0.5 * ${b})`,
  `${c}`,
];
const gradientRows: Transform = ([a, b]) => [`${a}`, `(0.5 * (${a} + ${b}))`, `(0.5 * (${a} - ${b}))`, `${b}`];
const tapRows: Transform = ([a, b, c, d]) => [`(${a} + ${b} + ${c})`, `(${b} - ${c})`, `(${b} + ${c} - ${d})`];

/**
 * WGSL: declares t = M·from (rows × `columns`) and yields M·from·Mᵀ as [row][column], for `from`
 * named `x{row}{column}`.
 */
function both(m: Transform, from: string, size: number): { code: string; out: string[][] } {
  const columns = range(size).map((j) => m(range(size).map((i) => `${from}${i}${j}`)));
  const rows = columns[0]!.length;
  const code = columns.flatMap((c, j) => c.map((v, i) => `let t${from}${i}${j} = ${v};`)).join("\n");
  const out = range(rows).map((i) => [...m(range(size).map((j) => `t${from}${i}${j}`))]);
  return { code, out };
}

const elements = (vec: boolean) => (vec ? "vec4f" : "f32");

export interface WinogradSpec {
  /** The channel count is a multiple of four and `c` counts vectors of four channels. */
  readonly vec: boolean;
}

/**
 * V [16, tiles, C]: Bᵀ d B of the 4×4 tiles of x [N, H, W, C], two apart, the first at −padding;
 * zeros outside.
 */
export const winogradInputKernel = /* @__PURE__ */ defineKernel({
  name: "winograd-input",
  key: (s: WinogradSpec) => (s.vec ? "4" : "1"),
  bindings: (s) => ({
    x: { access: "read", type: elements(s.vec) },
    v: { access: "write", type: elements(s.vec) },
  }),
  params: {
    count: "u32",
    h: "u32",
    w: "u32",
    c: "u32",
    down: "u32",
    across: "u32",
    before: "u32",
    padY: "i32",
    padX: "i32",
  },
  body: (s: WinogradSpec) => {
    const { code, out } = both(inputRows, "d", 4);
    return wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let c = index % p.c;
  let tile = index / p.c + p.before;
  let x0 = i32(tile % p.across * 2u) - p.padX;
  let y0 = i32(tile / p.across % p.down * 2u) - p.padY;
  let first = i32(tile / (p.across * p.down) * p.h * p.w);
  ${range(4)
    .map((i) => `let okY${i} = u32(y0 + ${i}) < p.h; let okX${i} = u32(x0 + ${i}) < p.w;`)
    .join("\n")}
  ${range(4)
    .map((i) =>
      [
        `let at${i} = u32(first + (y0 + ${i}) * i32(p.w) + x0) * p.c + c;`,
        ...range(4).map(
          (j) => `let d${i}${j} = select(${elements(s.vec)}(), x[at${i} + ${j}u * p.c], okY${i} & okX${j});`,
        ),
      ].join("\n"),
    )
    .join("\n")}
  ${code}
  ${out.flatMap((row, i) => row.map((v, j) => `v[${4 * i + j}u * p.count + index] = ${v};`)).join("\n")}
}`;
  },
  workgroups: (_, p) => linearGrid(p.count),
});

/** Z [16, tiles, C]: G₂ g G₂ᵀ of the 2×2 tiles of dy [N, H, W, C]; zeros outside. */
export const winogradGradientKernel = /* @__PURE__ */ defineKernel({
  name: "winograd-gradient",
  key: (s: WinogradSpec) => (s.vec ? "4" : "1"),
  bindings: (s) => ({
    dy: { access: "read", type: elements(s.vec) },
    z: { access: "write", type: elements(s.vec) },
  }),
  params: { count: "u32", h: "u32", w: "u32", c: "u32", down: "u32", across: "u32", before: "u32" },
  body: (s: WinogradSpec) => {
    const { code, out } = both(gradientRows, "g", 2);
    return wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let tile = index / p.c + p.before;
  let x0 = tile % p.across * 2u;
  let y0 = tile / p.across % p.down * 2u;
  let at = ((tile / (p.across * p.down) * p.h + y0) * p.w + x0) * p.c + index % p.c;
  let right = x0 + 1u < p.w;
  let below = y0 + 1u < p.h;
  let g00 = dy[at];
  let g01 = select(${elements(s.vec)}(), dy[at + p.c], right);
  let g10 = select(${elements(s.vec)}(), dy[at + p.w * p.c], below);
  let g11 = select(${elements(s.vec)}(), dy[at + (p.w + 1u) * p.c], right & below);
  ${code}
  ${out.flatMap((row, i) => row.map((v, j) => `z[${4 * i + j}u * p.count + index] = ${v};`)).join("\n")}
}`;
  },
  workgroups: (_, p) => linearGrid(p.count),
});

export interface WinogradWeightSpec {
  /**
   * `input`: the filters turned by 180°, inputs and outputs exchanged: what the input gradient
   * convolves with.
   */
  readonly mode: "forward" | "input";
}

/** U [16, I, O] of w [3, 3, I, O]: G w Gᵀ; with `input` U [16, O, I], of the turned filters. */
export const winogradWeightKernel = /* @__PURE__ */ defineKernel({
  name: "winograd-weight",
  key: (s: WinogradWeightSpec) => s.mode,
  bindings: { w: { access: "read" }, u: { access: "write" } },
  params: { i: "u32", o: "u32" },
  body: (s: WinogradWeightSpec) => {
    const { code, out } = both(weightRows, "w", 3);
    const forward = s.mode === "forward";
    const tap = (i: number, j: number) => (forward ? 3 * i + j : 8 - 3 * i - j);
    return wgsl`
${linearMain()} {
  ${linearIndex("(p.i * p.o)")}
  let size = p.i * p.o;
  let at = ${forward ? "index" : "(index % p.i) * p.o + index / p.i"};
  ${range(9)
    .map((k) => `let w${Math.floor(k / 3)}${k % 3} = w[${tap(Math.floor(k / 3), k % 3)}u * size + at];`)
    .join("\n")}
  ${code}
  ${out.flatMap((row, i) => row.map((v, j) => `u[${4 * i + j}u * size + index] = ${v};`)).join("\n")}
}`;
  },
  workgroups: (_, p) => linearGrid(p.i * p.o),
});

/** dw [3, 3, I, O] = A₃ᵀ m A₃ of m [16, I, O]; `n` is I·O. */
export const winogradTapsKernel = /* @__PURE__ */ defineKernel({
  name: "winograd-taps",
  key: () => "",
  bindings: { m: { access: "read" }, dw: { access: "write" } },
  params: { n: "u32" },
  body: (_: null) => {
    const { code, out } = both(tapRows, "m", 4);
    return wgsl`
${linearMain()} {
  ${linearIndex("p.n")}
  ${range(16)
    .map((k) => `let m${k >> 2}${k & 3} = m[${k}u * p.n + index];`)
    .join("\n")}
  ${code}
  ${out.flatMap((row, i) => row.map((v, j) => `dw[${3 * i + j}u * p.n + index] = ${v};`)).join("\n")}
}`;
  },
  workgroups: (_, p) => linearGrid(p.n),
});

export interface WinogradProductSpec {
  /** O is a multiple of the tile's columns. */
  readonly vec: boolean;
  readonly bias: boolean;
  /** C is a multiple of the tile's lanes. */
  readonly whole: boolean;
  readonly tile: Tile;
}

/**
 * y [N, H, W, O] = Aᵀ[Σ_c V_c ⊙ U_c]A + bias, of V [16, tiles, C] and U [16, C, O]: the 16 products
 * one after the other, each added to the four outputs as soon as it is there, so that no product
 * ever reaches memory.
 */
export const winogradProductKernel = /* @__PURE__ */ defineKernel({
  name: "winograd-product",
  key: (s: WinogradProductSpec) => `${s.vec ? "vec," : ""}${s.bias}${s.whole ? ",whole" : ""},${tileKey(s.tile)}`,
  bindings: (s) => ({
    v: { access: "read" },
    u: { access: "read", type: s.vec ? vectorOf(s.tile) : "f32" },
    bias: { access: "read" },
    y: { access: "write", type: s.vec ? vectorOf(s.tile) : "f32" },
  }),
  params: { tiles: "u32", c: "u32", o: "u32", h: "u32", w: "u32", down: "u32", across: "u32", before: "u32" },
  enables: (s) => tileEnables(s.tile),
  body: (s: WinogradProductSpec) => {
    const t = s.tile;
    const u = (k: string) => {
      const row = `atU + (${k}) * p.o`;
      return s.vec ? takeColumns(t, "p.o", "u", row) : gatherColumns(t, "p.o", (j) => `u[${row} + ${j}]`);
    };
    const output = (q: number, r: number) => {
      const value = `${vector(t, (j) => `y${q}_${r}_${j}`)} + add`;
      const at = `pixel + ${q >> 1 ? (q & 1 ? "(p.w + 1u) * p.o" : "p.w * p.o") : q & 1 ? "p.o" : "0u"}`;
      const when = `inside${q & 1 ? " & right" : ""}${q >> 1 ? " & below" : ""}`;
      return `if (${when}) { let at = ${at}; let v = ${value}; ${put(t, { into: "y", columns: "p.o", vec: s.vec })} }`;
    };
    return wgsl`
${tileHead(t, "p.tiles", "p.o", "1u")}
  ${eachRow(t, (r) => `let v${r} = min(row + ${r}u, p.tiles - 1u) * p.c;`)}
  ${range(4)
    .map((q) => eachSum(t, (r, j) => `var y${q}_${r}_${j} = 0.0;`))
    .join("\n")}
  for (var k = 0u; k < 16u; k++) {
    let atV = k * p.tiles * p.c;
    let atU = k * p.c * p.o;
    ${accumulators(t)}
    ${multiply(t, { from: "0u", to: "p.c", whole: s.whole, a: (r) => `v[atV + v${r} + ka]`, b: u })}
    let i = k / 4u;
    let j = k % 4u;
    let i0 = select(0.0, 1.0, i < 3u);
    let i1 = select(select(-1.0, 1.0, i == 1u), 0.0, i == 0u);
    let j0 = select(0.0, 1.0, j < 3u);
    let j1 = select(select(-1.0, 1.0, j == 1u), 0.0, j == 0u);
    let f0 = i0 * j0; let f1 = i0 * j1; let f2 = i1 * j0; let f3 = i1 * j1;
    ${range(4)
      .map((q) => eachSum(t, (r, j) => `y${q}_${r}_${j} += f${q} * acc${r}_${j};`))
      .join("\n")}
  }
  let add = ${s.bias ? gatherColumns(t, "p.o", (j) => `bias[${j}]`) : vector(t, () => "0.0")};
  ${eachRow(
    t,
    (r) => `{
    let tile = row + ${r}u + p.before;
    let tx = tile % p.across * 2u;
    let ty = tile / p.across % p.down * 2u;
    let pixel = ((tile / (p.across * p.down) * p.h + ty) * p.w + tx) * p.o + col;
    let inside = (row + ${r}u < p.tiles) & (col < p.o);
    let right = tx + 1u < p.w;
    let below = ty + 1u < p.h;
    ${range(4)
      .map((q) => output(q, r))
      .join("\n")}
  }`,
  )}
}`;
  },
  workgroups: (s, p) => foldGrid(tileGroups(s.tile, p.tiles, p.o, 1)),
  operations: (_, p) => 32 * p.tiles * p.c * p.o,
  loads: ({ tile }, p) => 16 * tileLoads(tile, p.tiles, p.o, p.c),
});
