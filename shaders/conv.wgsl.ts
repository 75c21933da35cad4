import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import {
  accumulators,
  eachRow,
  gather4,
  multiply,
  store,
  type Tile,
  tileEnables,
  tileGroups,
  tileHead,
  tileKey,
} from "./gemm.wgsl";
import { defineKernel, foldGrid, linearGrid, linearIndex, linearMain } from "./kernel";

/** What of a convolution is compiled in; sizes are parameters. */
export interface ConvShape {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
}

const shapeKey = (s: ConvShape) => `k${s.kernel.join("x")}s${s.stride.join("x")}d${s.dilation.join("x")}`;

export interface ConvGatherSpec extends ConvShape {
  /** `forward`: x → y. `input`: dy → dx, the transposed convolution. */
  readonly mode: "forward" | "input";
  /** Forward: weights and output rows are whole vec4f a group. Input: the output rows are. */
  readonly vec: boolean;
  readonly bias: boolean;
  /** Forward only: k runs over taps and channels as one, for few channels, which would leave most lanes of a tap idle. */
  readonly flat: boolean;
  readonly tile: Tile;
}

/**
 * Implicit GEMM over output pixels (rows) and output channels (columns), k running over taps and, innermost, source channels.
 * Layouts: src and dst [N, H, W, C], w [kH, kW, I/groups, O]. With `input`, src is dy, dst is dx and every tap looks for the output pixel it came from.
 */
export const convGatherKernel = defineKernel({
  name: "conv2d",
  key: (s: ConvGatherSpec) =>
    `${s.mode}${s.flat ? ",flat" : ""},${shapeKey(s)},${s.vec ? 4 : 1},${s.bias},${tileKey(s.tile)}`,
  bindings: (s) => ({
    src: { access: "read" },
    w: { access: "read", type: s.vec && s.mode === "forward" ? "vec4f" : "f32" },
    bias: { access: "read" },
    dst: { access: "write", type: s.vec ? "vec4f" : "f32" },
  }),
  // srcK and dstN are channels a group.
  params: {
    pixels: "u32",
    dstH: "u32",
    dstW: "u32",
    srcH: "u32",
    srcW: "u32",
    srcK: "u32",
    dstN: "u32",
    groups: "u32",
    padY: "i32",
    padX: "i32",
  },
  enables: (s) => tileEnables(s.tile),
  body: (s) => {
    const t = s.tile;
    const [kh, kw] = s.kernel;
    const forward = s.mode === "forward";
    // Source coordinate of row r at the tap, and whether there is one. `&`, never `&&`: short-circuits are branches, and with
    // many rows a software adapter's compiler drowns in them.
    const locate = (r: number, axis: "y" | "x", tap: string, size: string) => {
      const i = axis === "y" ? 0 : 1;
      const at = `${axis}${r}`;
      if (forward) return `let s${at} = ${at} + i32(${tap}) * ${s.dilation[i]};\nlet o${at} = u32(s${at}) < ${size};`;
      const reach = `let d${at} = ${at} - i32(${tap}) * ${s.dilation[i]};`;
      return s.stride[i] === 1
        ? `${reach}\nlet s${at} = d${at};\nlet o${at} = u32(s${at}) < ${size};`
        : `${reach}\nlet s${at} = u32(d${at}) / ${s.stride[i]}u;\nlet o${at} = (d${at} >= 0) & (u32(d${at}) % ${s.stride[i]}u == 0u) & (s${at} < ${size});`;
    };
    const w = (k: string) => {
      if (!forward)
        return gather4("p.dstN", (j) => `w[(tap * p.dstN + ${j}) * (p.srcK * p.groups) + plane * p.srcK + ${k}]`);
      const row = `(${s.flat ? k : `tap * p.srcK + ${k}`}) * (p.dstN * p.groups) + plane * p.dstN`;
      return s.vec ? `w[(${row} + min(col, p.dstN - 4u)) / 4u]` : gather4("p.dstN", (j) => `w[${row} + ${j}]`);
    };
    const byTap = () => /* wgsl */ `
  for (var i = 0u; i < ${kh}u; i++) {
    ${eachRow(t, (r) => locate(r, "y", "i", "p.srcH"))}
    for (var j = 0u; j < ${kw}u; j++) {
      let tap = i * ${kw}u + j;
      ${eachRow(
        t,
        (r) => `${locate(r, "x", "j", "p.srcW")}
      let ok${r} = oy${r} & ox${r};
      let at${r} = ((n${r} + u32(sy${r})) * p.srcW + u32(sx${r})) * srcC + plane * p.srcK;`,
      )}
      ${multiply(t, { from: "0u", to: "p.srcK", a: (r) => `select(0.0, src[at${r} + ka], ok${r})`, b: w })}
    }
  }`;
    const flat = () =>
      multiply(t, {
        from: "0u",
        to: `(${kh * kw}u * p.srcK)`,
        prepare: `let tap = ka / p.srcK;
  let dy = i32(tap / ${kw}u) * ${s.dilation[0]};
  let dx = i32(tap % ${kw}u) * ${s.dilation[1]};
  let c = ka % p.srcK + plane * p.srcK;`,
        a: (r) =>
          `select(0.0, src[((n${r} + u32(y${r} + dy)) * p.srcW + u32(x${r} + dx)) * srcC + c], (u32(y${r} + dy) < p.srcH) & (u32(x${r} + dx) < p.srcW))`,
        b: w,
      });
    return wgsl`
${tileHead(t, "p.pixels", "p.dstN", "p.groups")}
  let srcC = p.srcK * p.groups;
  ${eachRow(
    t,
    (r) => `let m${r} = min(row + ${r}u, p.pixels - 1u);
  let x${r} = i32(m${r} % p.dstW)${forward ? ` * ${s.stride[1]} - p.padX` : " + p.padX"};
  let y${r} = i32((m${r} / p.dstW) % p.dstH)${forward ? ` * ${s.stride[0]} - p.padY` : " + p.padY"};
  let n${r} = m${r} / (p.dstW * p.dstH) * p.srcH;`,
  )}
  ${accumulators(t)}
  ${s.flat ? flat() : byTap()}
  let add = ${s.bias ? gather4("p.dstN", (j) => `bias[plane * p.dstN + ${j}]`) : "vec4f()"};
  ${store(t, {
    rows: "p.pixels",
    columns: "p.dstN",
    vec: s.vec,
    into: "dst",
    at: (r) => `m${r} * (p.dstN * p.groups) + plane * p.dstN + col`,
    value: (r) => `acc${r} + add`,
  })}
}`;
  },
  workgroups: (s, p) => foldGrid(tileGroups(s.tile, p.pixels, p.dstN, p.groups)),
});

export interface ConvWeightSpec extends ConvShape {
  /** dy and dw rows are whole vec4f a group. */
  readonly vec: boolean;
  readonly tile: Tile;
}

/**
 * Weight gradient: dw[tap, i, o] = Σ over output pixels of x[pixel·stride + tap, i] · dy[pixel, o]. Rows are (tap, i), columns o,
 * k the pixels, cut into `splits` chunks whose partial sums are added by {@link sumSplitsKernel} in a fixed order.
 */
export const convWeightKernel = defineKernel({
  name: "conv2d-weight",
  key: (s: ConvWeightSpec) => `${shapeKey(s)},${s.vec ? 4 : 1},${tileKey(s.tile)}`,
  bindings: (s) => ({
    x: { access: "read" },
    dy: { access: "read", type: s.vec ? "vec4f" : "f32" },
    dw: { access: "write", type: s.vec ? "vec4f" : "f32" },
  }),
  params: {
    pixels: "u32",
    chunk: "u32",
    splits: "u32",
    dyH: "u32",
    dyW: "u32",
    xH: "u32",
    xW: "u32",
    i: "u32",
    o: "u32",
    groups: "u32",
    padY: "i32",
    padX: "i32",
  },
  enables: (s) => tileEnables(s.tile),
  body: (s) => {
    const t = s.tile;
    const [kh, kw] = s.kernel;
    const dy = (k: string) => {
      const row = `(${k}) * (p.o * p.groups) + group_ * p.o`;
      return s.vec ? `dy[(${row} + min(col, p.o - 4u)) / 4u]` : gather4("p.o", (j) => `dy[${row} + ${j}]`);
    };
    return wgsl`
${tileHead(t, `(${kh * kw}u * p.i)`, "p.o", "(p.splits * p.groups)")}
  let split = plane / p.groups;
  let group_ = plane % p.groups;
  let rows = ${kh * kw}u * p.i;
  ${eachRow(
    t,
    (r) => `let m${r} = min(row + ${r}u, rows - 1u);
  let c${r} = group_ * p.i + m${r} % p.i;
  let y${r} = i32(m${r} / p.i / ${kw}u) * ${s.dilation[0]} - p.padY;
  let x${r} = i32(m${r} / p.i % ${kw}u) * ${s.dilation[1]} - p.padX;`,
  )}
  let first = split * p.chunk;
  let end = min(first + p.chunk, p.pixels);
  ${accumulators(t)}
  ${multiply(t, {
    from: "first",
    to: "end",
    prepare: `let px = i32(ka % p.dyW) * ${s.stride[1]};
  let py = i32(ka / p.dyW % p.dyH) * ${s.stride[0]};
  let pn = ka / (p.dyW * p.dyH) * p.xH;`,
    a: (r) =>
      `select(0.0, x[((pn + u32(py + y${r})) * p.xW + u32(px + x${r})) * (p.i * p.groups) + c${r}], (u32(py + y${r}) < p.xH) & (u32(px + x${r}) < p.xW))`,
    b: dy,
  })}
  ${store(t, {
    rows: "rows",
    columns: "p.o",
    vec: s.vec,
    into: "dw",
    at: (r) => `(split * rows + row + ${r}u) * (p.o * p.groups) + group_ * p.o + col`,
    value: (r) => `acc${r}`,
  })}
}`;
  },
  workgroups: (s, p) => foldGrid(tileGroups(s.tile, s.kernel[0] * s.kernel[1] * p.i, p.o, p.splits * p.groups)),
});

/** out[i] = Σ_s parts[s·n + i], s ascending. */
export const sumSplitsKernel = defineKernel({
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
