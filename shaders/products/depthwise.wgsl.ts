/**
 * Depthwise convolutions: every channel is convolved with a filter of its own. Nothing is summed
 * over channels, so that these are no matrix products: what counts is how often a loaded number is
 * used. An invocation owns a tile of neighbouring pixels of four channels, with all taps unrolled,
 * and loads every source pixel under the tile once.
 */
import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, linearGrid, linearIndex, linearMain } from "../../src/gpu/kernel";
import { type ConvShape, shapeKey } from "./conv-registers.wgsl";

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const elements = (vec: boolean) => (vec ? "vec4f" : "f32");

/** A tap of an owned pixel, and where it lies from the tile's first source pixel. */
interface Hit {
  readonly pixel: number;
  readonly tap: number;
  readonly at: number;
}

/**
 * Along one axis, what the taps of a tile's pixels reach. A tile of input pixels begins at a
 * multiple of the stride, padding counted, so that it is known which taps hit an output pixel.
 */
function hits(mode: "forward" | "input", pixels: number, taps: number, stride: number, dilation: number): Hit[] {
  return range(pixels).flatMap((pixel) =>
    range(taps).flatMap((tap) => {
      if (mode === "forward") return [{ pixel, tap, at: pixel * stride + tap * dilation }];
      const at = (pixel - tap * dilation) / stride;
      return Number.isInteger(at) ? [{ pixel, tap, at }] : [];
    }),
  );
}

/** The source places of hits, each once. */
const places = (all: readonly Hit[]) => [...new Set(all.map(({ at }) => at))].sort((a, b) => a - b);

export interface DepthwiseSpec extends ConvShape {
  /** `forward`: x → y. `input`: dy → dx, every tap looks for the output pixel it came from. */
  readonly mode: "forward" | "input";
  /** The channel count is a multiple of four and `c` counts vectors of four channels. */
  readonly vec: boolean;
  readonly bias: boolean;
  /** Rows and columns of pixels of an invocation; with `input` multiples of the strides. */
  readonly tile: readonly [number, number];
}

/** What a tile's taps reach along an axis. */
const tileHits = ({ mode, tile, kernel, stride, dilation }: DepthwiseSpec, a: 0 | 1): Hit[] =>
  hits(mode, tile[a], kernel[a], stride[a], dilation[a]);

/**
 * y[n, p, q, c] = bias[c] + Σ_{u,v} x[n, p·stride + u·dilation − pad, …, c] · w[u, v, c], or dx of
 * dy. `down` and `across` count tiles.
 */
export const depthwiseKernel = /* @__PURE__ */ defineKernel({
  name: "depthwise",
  key: (s: DepthwiseSpec) => `${s.mode},${shapeKey(s)},${s.vec ? 4 : 1},${s.bias},${s.tile.join("x")}`,
  bindings: (s) => ({
    src: { access: "read", type: elements(s.vec) },
    w: { access: "read", type: elements(s.vec) },
    bias: { access: "read", type: elements(s.vec) },
    dst: { access: "write", type: elements(s.vec) },
  }),
  params: {
    count: "u32",
    c: "u32",
    dstH: "u32",
    dstW: "u32",
    srcH: "u32",
    srcW: "u32",
    down: "u32",
    across: "u32",
    padY: "i32",
    padX: "i32",
  },
  body: (s: DepthwiseSpec) => {
    const { mode, tile, kernel, stride } = s;
    const [kh, kw] = kernel;
    const [rows, columns] = [tileHits(s, 0), tileHits(s, 1)];
    const T = elements(s.vec);
    // The first pixel of the tile `t`, and the source pixel that `at` counts from.
    const first = (a: 0 | 1, t: string, pad: string) =>
      mode === "forward"
        ? `let dst${a} = i32(${t}) * ${tile[a]};
  let src${a} = dst${a} * ${stride[a]} - ${pad};`
        : `let dst${a} = i32(${t}) * ${tile[a]} - ${pad} % ${stride[a]};
  let src${a} = i32(${t}) * ${tile[a] / stride[a]} + ${pad} / ${stride[a]};`;
    const name = (at: number) => `x${at < 0 ? `m${-at}` : at}`;
    // Weights are loaded before their first row, so that few of a large kernel's are held at a
    // time.
    const firstRow = (u: number) => Math.min(...rows.filter(({ tap }) => tap === u).map(({ at }) => at));
    const weights = (at: number) =>
      range(kh)
        .filter((u) => firstRow(u) === at)
        .flatMap((u) => range(kw).map((v) => `let w${u * kw + v} = w[${u * kw + v}u * p.c + c];`))
        .join("\n");
    const row = (at: number) => `${weights(at)}
  {
    let ok = u32(src0 + (${at})) < p.srcH;
    let row = base + (${at}) * i32(p.srcW * p.c);
    ${places(columns)
      .map((k) => `let ${name(k)} = select(${T}(), src[u32(row + (${k}) * i32(p.c))], ok & ok${name(k)});`)
      .join("\n")}
    ${rows
      .filter((r) => r.at === at)
      .flatMap((r) => columns.map((k) => `acc${r.pixel}_${k.pixel} += ${name(k.at)} * w${r.tap * kw + k.tap};`))
      .join("\n")}
  }`;
    return wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let c = index % p.c;
  ${first(1, "index / p.c % p.across", "p.padX")}
  ${first(0, "index / (p.c * p.across) % p.down", "p.padY")}
  let n = i32(index / (p.c * p.across * p.down));
  let base = ((n * i32(p.srcH) + src0) * i32(p.srcW) + src1) * i32(p.c) + i32(c);
  ${places(columns)
    .map((k) => `let ok${name(k)} = u32(src1 + (${k})) < p.srcW;`)
    .join("\n")}
  let add = ${s.bias ? "bias[c]" : `${T}()`};
  ${range(tile[0])
    .flatMap((y) => range(tile[1]).map((x) => `var acc${y}_${x} = add;`))
    .join("\n")}
  ${places(rows).map(row).join("\n")}
  let out = ((n * i32(p.dstH) + dst0) * i32(p.dstW) + dst1) * i32(p.c) + i32(c);
  ${range(tile[0])
    .flatMap((y) =>
      range(tile[1]).map(
        (x) => `if ((u32(dst0 + ${y}) < p.dstH) & (u32(dst1 + ${x}) < p.dstW)) {
    dst[u32(out + (${y} * i32(p.dstW) + ${x}) * i32(p.c))] = acc${y}_${x};
  }`,
      ),
    )
    .join("\n")}
}`;
  },
  workgroups: (_, p) => linearGrid(p.count),
  operations: ({ mode, vec, kernel: [kh, kw] }, p) => {
    const images = p.count / (p.c * p.down * p.across);
    const outputs = images * (mode === "forward" ? p.dstH * p.dstW : p.srcH * p.srcW);
    return 2 * outputs * kh * kw * p.c * (vec ? 4 : 1);
  },
  loads: (s, p) => {
    const [down, across] = ([0, 1] as const).map((a) => places(tileHits(s, a)).length);
    return p.count * (down! * across! + s.kernel[0] * s.kernel[1]) * (s.vec ? 4 : 1);
  },
});

export interface DepthwiseWeightSpec extends ConvShape {
  /** The channel count is a multiple of four and `c` counts vectors of four channels. */
  readonly vec: boolean;
  /** Rows of taps of an invocation: all, or one. */
  readonly rows: number;
  /** Neighbouring rows of output pixels that are read together; a divisor of theirs. */
  readonly down: number;
}

/** Neighbouring output pixels that are read together. */
const RUN = 4;

/** What taps of `pixels` neighbouring output pixels along an axis reach. */
const runHits = ({ kernel, rows, stride, dilation }: DepthwiseWeightSpec, a: 0 | 1, pixels: number): Hit[] =>
  hits("forward", pixels, a === 0 ? rows : kernel[1], stride[a], dilation[a]);

/**
 * dw[u, v, c] = Σ over output pixels of x[pixel·stride + tap, c] · dy[pixel, c]. Rows of output
 * pixels of all images are cut into chunks of `chunk` rows, a multiple of `down`, whose partial
 * sums are added by {@link sumSplitsKernel} in a fixed order.
 */
export const depthwiseWeightKernel = /* @__PURE__ */ defineKernel({
  name: "depthwise-weight",
  key: (s: DepthwiseWeightSpec) => `${shapeKey(s)},${s.vec ? 4 : 1},${s.rows}x${s.down}`,
  bindings: (s) => ({
    x: { access: "read", type: elements(s.vec) },
    dy: { access: "read", type: elements(s.vec) },
    dw: { access: "write", type: elements(s.vec) },
  }),
  params: {
    count: "u32",
    c: "u32",
    rows: "u32",
    chunk: "u32",
    dyH: "u32",
    dyW: "u32",
    xH: "u32",
    xW: "u32",
    padY: "i32",
    padX: "i32",
  },
  body: (s: DepthwiseWeightSpec) => {
    const { kernel, stride, dilation } = s;
    const [kh, kw] = kernel;
    const T = elements(s.vec);
    const taps = (f: (u: number, v: number) => string) =>
      range(s.rows)
        .flatMap((u) => range(kw).map((v) => f(u, v)))
        .join("\n");
    const rows = runHits(s, 0, s.down);
    const run = (pixels: number) => {
      const columns = runHits(s, 1, pixels);
      return `${range(s.down)
        .flatMap((j) => range(pixels).map((r) => `let g${j}_${r} = dy[start + (${j}u * p.dyW + q + ${r}u) * p.c];`))
        .join("\n")}
      let x0 = i32(q) * ${stride[1]} - p.padX;
      ${places(columns)
        .map((k) => `let okX${k} = u32(x0 + ${k}) < p.xW;`)
        .join("\n")}
      ${places(rows)
        .map(
          (row) => `{
        let at = base + (${row} * i32(p.xW) + x0) * i32(p.c);
        ${places(columns)
          .map((k) => `let x${k} = select(${T}(), x[u32(at + ${k} * i32(p.c))], okY${row} & okX${k});`)
          .join("\n")}
        ${rows
          .filter(({ at }) => at === row)
          .flatMap((r) => columns.map((k) => `acc${r.tap}_${k.tap} += x${k.at} * g${r.pixel}_${k.pixel};`))
          .join("\n")}
      }`,
        )
        .join("\n")}`;
    };
    return wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let c = index % p.c;
  let part = index / p.c;
  let u0 = part % ${kh / s.rows}u * ${s.rows}u;
  let split = part / ${kh / s.rows}u;
  let end = min((split + 1u) * p.chunk, p.rows);
  ${taps((u, v) => `var acc${u}_${v} = ${T}();`)}
  for (var row = split * p.chunk; row < end; row += ${s.down}u) {
    let y0 = i32(row % p.dyH) * ${stride[0]} + i32(u0) * ${dilation[0]} - p.padY;
    ${places(rows)
      .map((k) => `let okY${k} = u32(y0 + ${k}) < p.xH;`)
      .join("\n")}
    let base = (i32(row / p.dyH * p.xH) + y0) * i32(p.xW * p.c) + i32(c);
    let start = row * p.dyW * p.c + c;
    var q = 0u;
    for (; q + ${RUN}u <= p.dyW; q += ${RUN}u) {
      ${run(RUN)}
    }
    for (; q < p.dyW; q++) {
      ${run(1)}
    }
  }
  ${taps((u, v) => `dw[((split * ${kh}u + u0 + ${u}u) * ${kw}u + ${v}u) * p.c + c] = acc${u}_${v};`)}
}`;
  },
  workgroups: (_, p) => linearGrid(p.count),
  operations: ({ vec, kernel: [kh, kw] }, p) => 2 * p.rows * p.dyW * kh * kw * p.c * (vec ? 4 : 1),
  loads: (s, p) => {
    const owners = p.c * (s.kernel[0] / s.rows);
    const run = RUN * s.down + places(runHits(s, 0, s.down)).length * places(runHits(s, 1, RUN)).length;
    return (owners * (p.rows / s.down) * p.dyW * run * (s.vec ? 4 : 1)) / RUN;
  },
});
