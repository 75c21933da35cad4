import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, foldGrid } from "../../src/gpu/kernel";
import {
  accumulators,
  eachRow,
  gatherColumns,
  multiply,
  store,
  sums,
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

/** What of a convolution is compiled in; sizes are parameters. */
export interface ConvShape {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
}

export const shapeKey = (s: ConvShape) => `k${s.kernel.join("x")}s${s.stride.join("x")}d${s.dilation.join("x")}`;

export interface ConvGatherSpec extends ConvShape {
  /** `forward`: x → y. `input`: dy → dx, the transposed convolution. */
  readonly mode: "forward" | "input";
  /**
   * Forward: weights and output rows are whole vectors of the tile a group. Input: output rows are.
   */
  readonly vec: boolean;
  readonly bias: boolean;
  /**
   * Forward only: k runs over taps and channels as one, for few channels, which would leave most
   * lanes of a tap idle.
   */
  readonly flat: boolean;
  /** Channels of a source pixel are whole steps of the tile's lanes. */
  readonly whole: boolean;
  readonly tile: Tile;
}

/**
 * Input gradient: weights are read along k, four at a time. A column's weights lie a row of the
 * weight apart, so that reading them as columns would be four loads a k; a step's worth of each
 * column is read instead and turned in registers.
 */
const inQuads = (s: ConvGatherSpec) => s.mode === "input" && s.whole && s.tile.lanes % 4 === 0;

/** Sizes of a forward convolution or an input gradient; srcK and dstN are channels per group. */
export const GATHER_SIZES = {
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
} as const;

/**
 * Implicit GEMM over output pixels (rows) and output channels (columns), k running over taps and,
 * innermost, source channels.
 * Layouts: src and dst [N, H, W, C], w [kH, kW, I/groups, O]. With `input`, src is dy, dst is dx
 * and every tap looks for the output pixel it came from.
 */
export const convGatherKernel = /* @__PURE__ */ defineKernel({
  name: "conv2d",
  key: (s: ConvGatherSpec) =>
    `${s.mode}${s.flat ? ",flat" : ""}${s.whole ? ",whole" : ""},${shapeKey(s)}${s.vec ? ",vec" : ""},${s.bias},${tileKey(s.tile)}`,
  bindings: (s) => ({
    src: { access: "read" },
    w: {
      access: "read",
      type: s.mode === "input" ? (inQuads(s) ? "vec4f" : "f32") : s.vec ? vectorOf(s.tile) : "f32",
    },
    bias: { access: "read" },
    dst: { access: "write", type: s.vec ? vectorOf(s.tile) : "f32" },
  }),
  params: GATHER_SIZES,
  enables: (s) => tileEnables(s.tile),
  body: (s) => {
    const t = s.tile;
    const [kh, kw] = s.kernel;
    const forward = s.mode === "forward";
    const [sy, sx] = s.stride;
    const phases = forward ? 1 : sy * sx;
    // What a tap adds to a row's source coordinate, the same for all rows of a tile.
    const shift = (axis: 0 | 1, tap: string) => {
      const [d, stride, pad] = [s.dilation[axis], s.stride[axis], axis === 0 ? "p.padY" : "p.padX"];
      if (forward) return `i32(${tap}) * ${d}`;
      return stride === 1 ? `${pad} - i32(${tap}) * ${d}` : `(phase${axis} + ${pad} - i32(${tap}) * ${d}) / ${stride}`;
    };
    // Of a strided convolution's input pixels, those of one phase meet the same taps.
    const skip = (axis: 0 | 1, tap: string) => {
      const [d, stride, pad] = [s.dilation[axis], s.stride[axis], axis === 0 ? "p.padY" : "p.padX"];
      if (forward || stride === 1) return "";
      return `if ((phase${axis} + ${pad} + ${s.kernel[axis] * d * stride} - i32(${tap}) * ${d}) % ${stride} != 0) { continue; }`;
    };
    const w = (k: string) => {
      if (inQuads(s)) {
        const part = (j: number) => `w${j}${Math.floor(Number(k) / 4)}.${"xyzw"[Number(k) % 4]}`;
        return vector(t, part);
      }
      if (!forward)
        return gatherColumns(
          t,
          "p.dstN",
          (j) => `w[(tap * p.dstN + ${j}) * (p.srcK * p.groups) + group_ * p.srcK + ${k}]`,
        );
      const row = `(${s.flat ? k : `tap * p.srcK + ${k}`}) * (p.dstN * p.groups) + group_ * p.dstN`;
      return s.vec ? takeColumns(t, "p.dstN", "w", row) : gatherColumns(t, "p.dstN", (j) => `w[${row} + ${j}]`);
    };
    const quads = () =>
      Array.from({ length: t.columns }, (_, j) => {
        const at = `((tap * p.dstN + min(col + ${j}u, p.dstN - 1u)) * (p.srcK * p.groups) + group_ * p.srcK + k0) / 4u`;
        const loads = Array.from({ length: t.lanes / 4 }, (_, q) => `let w${j}${q} = w[at${j} + ${q}u];`);
        return `let at${j} = ${at};\n${loads.join("\n")}`;
      }).join("\n");
    // `&`, never `&&`: short-circuits are branches, and with many rows a software adapter's
    // compiler drowns in them.
    const byTap = () => /* wgsl */ `
  for (var i = 0u; i < ${kh}u; i++) {
    ${skip(0, "i")}
    let dy = ${shift(0, "i")};
    for (var j = 0u; j < ${kw}u; j++) {
      ${skip(1, "j")}
      let dx = ${shift(1, "j")};
      let tap = i * ${kw}u + j;
      let reach = (dy * i32(p.srcW) + dx) * i32(srcC) + i32(group_ * p.srcK);
      ${eachRow(
        t,
        (r) => `let ok${r} = (u32(y${r} + dy) < p.srcH) & (u32(x${r} + dx) < p.srcW);
      let at${r} = u32(base${r} + reach);`,
      )}
      ${multiply(t, {
        from: "0u",
        to: "p.srcK",
        whole: s.whole,
        a: (r) => `select(0.0, src[at${r} + ka], ok${r})`,
        b: w,
        ...(inQuads(s) && { columns: quads() }),
      })}
    }
  }`;
    const flat = () =>
      multiply(t, {
        from: "0u",
        to: `(${kh * kw}u * p.srcK)`,
        prepare: `let tap = ka / p.srcK;
  let dy = i32(tap / ${kw}u) * ${s.dilation[0]};
  let dx = i32(tap % ${kw}u) * ${s.dilation[1]};
  let reach = (dy * i32(p.srcW) + dx) * i32(srcC) + i32(ka % p.srcK + group_ * p.srcK);`,
        a: (r) => `select(0.0, src[u32(base${r} + reach)], (u32(y${r} + dy) < p.srcH) & (u32(x${r} + dx) < p.srcW))`,
        b: w,
      });
    const toY = (r: number) => `(y${r} * ${sy} + phase0)`;
    const toX = (r: number) => `(x${r} * ${sx} + phase1)`;
    const pixel = (r: number) => (phases > 1 ? `((n${r} * p.dstH + u32${toY(r)}) * p.dstW + u32${toX(r)})` : `m${r}`);
    const across = phases > 1 ? `((p.dstW + ${sx - 1}u) / ${sx}u)` : "p.dstW";
    const down = phases > 1 ? `((p.dstH + ${sy - 1}u) / ${sy}u)` : "p.dstH";
    return wgsl`
${tileHead(t, "p.pixels", "p.dstN", phases > 1 ? `(p.groups * ${phases}u)` : "p.groups")}
  ${
    phases > 1
      ? `let group_ = plane % p.groups;
  let phase0 = i32(plane / p.groups / ${sx}u);
  let phase1 = i32(plane / p.groups % ${sx}u);`
      : "let group_ = plane;"
  }
  let srcC = p.srcK * p.groups;
  ${eachRow(
    t,
    (r) => `let m${r} = min(row + ${r}u, p.pixels - 1u);
  let x${r} = i32(m${r} % ${across})${forward ? ` * ${sx} - p.padX` : ""};
  let y${r} = i32((m${r} / ${across}) % ${down})${forward ? ` * ${sy} - p.padY` : ""};
  let n${r} = m${r} / (${across} * ${down});
  let base${r} = ((i32(n${r} * p.srcH) + y${r}) * i32(p.srcW) + x${r}) * i32(srcC);`,
  )}
  ${accumulators(t)}
  ${s.flat ? flat() : byTap()}
  let add = ${s.bias ? gatherColumns(t, "p.dstN", (j) => `bias[group_ * p.dstN + ${j}]`) : vector(t, () => "0.0")};
  ${store(t, {
    rows: "p.pixels",
    columns: "p.dstN",
    vec: s.vec,
    into: "dst",
    // A phase of an odd size is a pixel short.
    ...(phases > 1 && {
      when: (r: number) => `(u32(${toY(r)}) < p.dstH) & (u32(${toX(r)}) < p.dstW)`,
    }),
    at: (r) => `${pixel(r)} * (p.dstN * p.groups) + group_ * p.dstN + col`,
    value: (r) => `${sums(t, r)} + add`,
  })}
}`;
  },
  workgroups: (s, p) =>
    foldGrid(tileGroups(s.tile, p.pixels, p.dstN, p.groups * (s.mode === "input" ? s.stride[0] * s.stride[1] : 1))),
  // Of the convolution itself, as both directions do it: every output pixel meets every tap,
  // borders included.
  operations: ({ mode, kernel: [kh, kw], stride: [sy, sx] }, p) => {
    const images =
      mode === "forward" ? p.pixels / (p.dstH * p.dstW) : p.pixels / (Math.ceil(p.dstH / sy) * Math.ceil(p.dstW / sx));
    const outputs = images * (mode === "forward" ? p.dstH * p.dstW : p.srcH * p.srcW);
    return 2 * outputs * kh * kw * p.srcK * p.dstN * p.groups;
  },
  // A phase of a strided input gradient meets its share of the taps.
  loads: ({ tile, kernel: [kh, kw] }, p) => p.groups * tileLoads(tile, p.pixels, p.dstN, kh * kw * p.srcK),
});

export interface ConvWeightSpec extends ConvShape {
  /** dy and dw rows are whole vectors of the tile a group. */
  readonly vec: boolean;
  /** Chunks of pixels are whole steps of the tile's lanes. */
  readonly whole: boolean;
  /**
   * Channels a group are whole tiles of rows, a multiple of 4: a tile's rows are neighbouring
   * channels of one tap, read four at a time.
   */
  readonly oneTap: boolean;
  readonly tile: Tile;
}

/** Sizes of a weight gradient; channels are those of a group. */
export const WEIGHT_SIZES = {
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
} as const;

/**
 * Weight gradient: dw[tap, i, o] = Σ over output pixels of x[pixel·stride + tap, i] · dy[pixel, o].
 * Rows are (tap, i), columns o, k the pixels, cut into `splits` chunks whose partial sums are added
 * by {@link sumSplitsKernel} in a fixed order.
 */
export const convWeightKernel = /* @__PURE__ */ defineKernel({
  name: "conv2d-weight",
  key: (s: ConvWeightSpec) =>
    `${shapeKey(s)}${s.whole ? ",whole" : ""}${s.oneTap ? ",tap" : ""}${s.vec ? ",vec" : ""},${tileKey(s.tile)}`,
  bindings: (s) => ({
    x: { access: "read", type: s.oneTap ? "vec4f" : "f32" },
    dy: { access: "read", type: s.vec ? vectorOf(s.tile) : "f32" },
    dw: { access: "write", type: s.vec ? vectorOf(s.tile) : "f32" },
  }),
  params: WEIGHT_SIZES,
  enables: (s) => tileEnables(s.tile),
  body: (s) => {
    const t = s.tile;
    const [kh, kw] = s.kernel;
    const dy = (k: string) => {
      const row = `(${k}) * (p.o * p.groups) + group_ * p.o`;
      return s.vec ? takeColumns(t, "p.o", "dy", row) : gatherColumns(t, "p.o", (j) => `dy[${row} + ${j}]`);
    };
    // Where the tap and channel of row `m` lie, seen from the first pixel under the kernel.
    const origin = (r: string, m: string) => `let y${r} = i32(${m} / p.i / ${kw}u) * ${s.dilation[0]} - p.padY;
  let x${r} = i32(${m} / p.i % ${kw}u) * ${s.dilation[1]} - p.padX;
  let reach${r} = (y${r} * i32(p.xW) + x${r}) * i32(p.i * p.groups) + i32(group_ * p.i + ${m} % p.i);`;
    const inside = (r: string) => `(u32(py + y${r}) < p.xH) & (u32(px + x${r}) < p.xW)`;
    const quads = () =>
      Array.from({ length: t.rows / 4 }, (_, q) => `let v${q} = select(vec4f(), x[at + ${q}u], ok);`).join("\n");
    return wgsl`
${tileHead(t, `(${kh * kw}u * p.i)`, "p.o", "(p.splits * p.groups)")}
  let split = plane / p.groups;
  let group_ = plane % p.groups;
  let rows = ${kh * kw}u * p.i;
  ${s.oneTap ? origin("T", "row") : eachRow(t, (r) => `let m${r} = min(row + ${r}u, rows - 1u);\n${origin(String(r), `m${r}`)}`)}
  let first = split * p.chunk;
  let end = min(first + p.chunk, p.pixels);
  ${accumulators(t)}
  ${multiply(t, {
    from: "first",
    to: "end",
    whole: s.whole,
    prepare: `let px = i32(ka % p.dyW) * ${s.stride[1]};
  let py = i32(ka / p.dyW % p.dyH) * ${s.stride[0]};
  let pn = i32(ka / (p.dyW * p.dyH) * p.xH);
  let pixel = ((pn + py) * i32(p.xW) + px) * i32(p.i * p.groups);
  ${s.oneTap ? `let ok = ${inside("T")};\n  let at = u32(pixel + reachT) / 4u;\n  ${quads()}` : ""}`,
    a: (r) =>
      s.oneTap
        ? `v${Math.floor(r / 4)}.${"xyzw"[r % 4]}`
        : `select(0.0, x[u32(pixel + reach${r})], ${inside(String(r))})`,
    b: dy,
  })}
  ${store(t, {
    rows: "rows",
    columns: "p.o",
    vec: s.vec,
    into: "dw",
    at: (r) => `(split * rows + row + ${r}u) * (p.o * p.groups) + group_ * p.o + col`,
    value: (r) => sums(t, r),
  })}
}`;
  },
  workgroups: (s, p) => foldGrid(tileGroups(s.tile, s.kernel[0] * s.kernel[1] * p.i, p.o, p.splits * p.groups)),
  operations: ({ kernel: [kh, kw] }, p) => 2 * p.pixels * kh * kw * p.i * p.o * p.groups,
  loads: ({ tile, kernel: [kh, kw] }, p) => p.groups * tileLoads(tile, kh * kw * p.i, p.o, p.pixels),
});
