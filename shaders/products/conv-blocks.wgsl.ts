import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, foldGrid } from "../../src/gpu/kernel";
import {
  type Block,
  blockEnables,
  blockGroups,
  blockHead,
  blockKey,
  four,
  multiplyBlocks,
  putter,
  storeBlocks,
} from "./blocks.wgsl";
import { type ConvShape, GATHER_SIZES, WEIGHT_SIZES } from "./conv-registers.wgsl";

const shapeKey = (s: ConvShape) => `k${s.kernel.join("x")}s${s.stride.join("x")}d${s.dilation.join("x")}`;

const taps = (s: ConvShape) => s.kernel[0] * s.kernel[1];

/** WGSL: declares `tap` and `c`, of which `value` is tap · channels + c. */
const tapAndChannel = (s: ConvShape, value: string, channels: string) =>
  taps(s) === 1
    ? `let tap = 0u; let c = ${value};`
    : `let tap = ${value} / ${channels}; let c = ${value} - tap * ${channels};`;

/** WGSL expression: how far a tap reaches down (axis 0) or right (axis 1), in source pixels. */
const reach = (s: ConvShape, axis: 0 | 1) => `i32(tap ${axis === 0 ? "/" : "%"} ${s.kernel[1]}u) * ${s.dilation[axis]}`;

export interface ConvBlocksSpec extends ConvShape {
  /** `forward`: x → y. `input`: dy → dx, the transposed convolution. */
  readonly mode: "forward" | "input";
  /** Source channels per group are whole vec4f. */
  readonly vecSrc: boolean;
  /** Output channels per group are. */
  readonly vec: boolean;
  readonly bias: boolean;
  readonly block: Block;
}

/**
 * The implicit GEMM of `conv.wgsl.ts` in workgroup blocks: rows are output pixels, columns output
 * channels, k taps and, innermost, source channels. The source is gathered (im2col) as it is
 * fetched into workgroup memory; borders are 0 there. With `splits` > 1, k is cut into chunks of
 * `chunk` (a multiple of the block's step), whose partial outputs are left one after the other in
 * dst, to be added in order.
 */
export const convBlocksKernel = /* @__PURE__ */ defineKernel({
  name: "conv2d-blocks",
  key: (s: ConvBlocksSpec) =>
    `${s.mode},${shapeKey(s)},${s.vecSrc ? 4 : 1}${s.vec ? 4 : 1},${s.bias},${blockKey(s.block)}`,
  bindings: (s) => ({
    src: { access: "read", type: s.vecSrc ? "vec4f" : "f32" },
    w: { access: "read", type: s.vec && s.mode === "forward" ? "vec4f" : "f32" },
    bias: { access: "read" },
    dst: { access: "write", type: s.vec ? "vec4f" : "f32" },
  }),
  params: { ...GATHER_SIZES, chunk: "u32", splits: "u32" },
  enables: (s) => blockEnables(s.block),
  body: (s) => {
    const b = s.block;
    const forward = s.mode === "forward";
    const [type, perQuad] = s.vecSrc ? ["vec4f", " / 4u"] : ["f32", ""];
    // Source coordinate that a tap reaches from the output pixel at `name`, and whether there is
    // one.
    const locate = (axis: 0 | 1, name: "y" | "x", size: string) => {
      const there = `d${name}`;
      if (forward || s.stride[axis] === 1) {
        const at = `let ${there} = ${name} ${forward ? "+" : "-"} ${reach(s, axis)}; let s${name} = u32(${there});`;
        return `${at} let in${name} = s${name} < ${size};`;
      }
      const step = s.stride[axis];
      return `let ${there} = ${name} - ${reach(s, axis)}; let s${name} = u32(${there}) / ${step}u;
  let in${name} = (${there} >= 0) & (u32(${there}) % ${step}u == 0u) & (s${name} < ${size});`;
    };
    const weights = () => {
      if (!forward) {
        return `${tapAndChannel(s, "k", "p.srcK")}
  let stride = p.srcK * p.groups;
  return w4((tap * p.dstN + column) * stride + plane * p.srcK + c, p.dstN - 1u - column, stride);`;
      }
      const at = "k * (p.dstN * p.groups) + plane * p.dstN + column";
      return s.vec ? `return w[(${at}) / 4u];` : `return w4(${at}, p.dstN - 1u - column, 1u);`;
    };
    const source = (i: number, k: string) => `source(n${i}, y${i}, x${i}, plane * p.srcK, ${k}, end)`;
    return wgsl`
fn source(n: u32, y: i32, x: i32, channel: u32, k: u32, end: u32) -> ${type} {
  ${tapAndChannel(s, "k", "p.srcK")}
  ${locate(0, "y", "p.srcH")}
  ${locate(1, "x", "p.srcW")}
  if (!((k < end) & iny & inx)) { return ${type}(); }
  return src[(((n + sy) * p.srcW + sx) * (p.srcK * p.groups) + channel + c)${perQuad}];
}
${forward && s.vec ? "" : four("w")}
fn weights(plane: u32, column: u32, k: u32, end: u32) -> vec4f {
  if ((k >= end) | (column >= p.dstN)) { return vec4f(); }
  ${weights()}
}
${s.bias ? four("bias") : ""}
${putter("dst", s.vec)}
${blockHead(b, "p.pixels", "p.dstN", "p.groups", "k")}
  ${multiplyBlocks(
    b,
    `(${taps(s)}u * p.srcK)`,
    {
      along: "k",
      prepare: (i, row) => `let m${i} = min(${row}, p.pixels - 1u);
  let x${i} = i32(m${i} % p.dstW)${forward ? ` * ${s.stride[1]} - p.padX` : " + p.padX"};
  let y${i} = i32((m${i} / p.dstW) % p.dstH)${forward ? ` * ${s.stride[0]} - p.padY` : " + p.padY"};
  let n${i} = m${i} / (p.dstW * p.dstH) * p.srcH;`,
      load: (i, _, k) =>
        s.vecSrc ? source(i, k) : `vec4f(${[0, 1, 2, 3].map((j) => source(i, `${k} + ${j}u`)).join(", ")})`,
    },
    { contiguous: forward, load: (column, k) => `weights(plane, ${column}, ${k}, end)` },
  )}
  ${storeBlocks(b, {
    rows: "p.pixels",
    columns: "p.dstN",
    at: "(split * p.pixels + row) * (p.dstN * p.groups) + plane * p.dstN + col",
    add: s.bias ? "bias4(plane * p.dstN + col, p.dstN - 1u - col, 1u)" : null,
  })}
}`;
  },
  workgroups: (s, p) => foldGrid(blockGroups(s.block, p.pixels, p.dstN, p.groups * p.splits)),
  // As in `conv.wgsl.ts`: every output pixel of the convolution itself meets every tap.
  operations: (s, p) => {
    const outputs = s.mode === "forward" ? p.pixels : (p.pixels / (p.dstH * p.dstW)) * p.srcH * p.srcW;
    return 2 * outputs * taps(s) * p.srcK * p.dstN * p.groups;
  },
});

export interface ConvWeightBlocksSpec extends ConvShape {
  /** Input channels per group are whole vec4f. */
  readonly vecX: boolean;
  /** Rows of dy and dw a group are. */
  readonly vec: boolean;
  readonly block: Block;
}

/**
 * The weight gradient of `conv.wgsl.ts` in workgroup blocks: rows are (tap, i), columns o, k the
 * output pixels, cut into `splits` chunks.
 */
export const convWeightBlocksKernel = /* @__PURE__ */ defineKernel({
  name: "conv2d-weight-blocks",
  key: (s: ConvWeightBlocksSpec) => `${shapeKey(s)},${s.vecX ? 4 : 1}${s.vec ? 4 : 1},${blockKey(s.block)}`,
  bindings: (s) => ({
    x: { access: "read", type: s.vecX ? "vec4f" : "f32" },
    dy: { access: "read", type: s.vec ? "vec4f" : "f32" },
    dw: { access: "write", type: s.vec ? "vec4f" : "f32" },
  }),
  params: WEIGHT_SIZES,
  enables: (s) => blockEnables(s.block),
  body: (s) => {
    const b = s.block;
    const [type, perQuad, width] = s.vecX ? ["vec4f", " / 4u", 4] : ["f32", "", 1];
    // Rows of a quad: one tap's four channels, or each its own.
    const each = Array.from({ length: 4 / width }, (_, j) => j);
    const source = (i: number, j: number, k: string) => `source(at${i}, y${i}_${j}, x${i}_${j}, c${i}_${j}, ${k}, end)`;
    const dy = "k * (p.o * p.groups) + plane * p.o + column";
    return wgsl`
// The output pixel (column, line, sample) that comes step after another: steps are less than a line
// of pixels, a sample of lines, so that each carries at most one.
fn after(at: vec3u, step: vec3u) -> vec3u {
  let column = at.x + step.x;
  let isNextLine = column >= p.dyW;
  let line = at.y + step.y + u32(isNextLine);
  let isNextSample = line >= p.dyH;
  return vec3u(
    column - select(0u, p.dyW, isNextLine),
    line - select(0u, p.dyH, isNextSample),
    at.z + step.z + u32(isNextSample),
  );
}
fn pixel(k: u32) -> vec3u {
  let line = k / p.dyW;
  let n = line / p.dyH;
  return vec3u(k - line * p.dyW, line - n * p.dyH, n);
}
fn source(at: vec3u, top: i32, left: i32, channel: u32, k: u32, end: u32) -> ${type} {
  let sy = u32(i32(at.y) * ${s.stride[0]} + top);
  let sx = u32(i32(at.x) * ${s.stride[1]} + left);
  if (!((k < end) & (sy < p.xH) & (sx < p.xW))) { return ${type}(); }
  return x[(((at.z * p.xH + sy) * p.xW + sx) * (p.i * p.groups) + channel)${perQuad}];
}
${s.vec ? "" : four("dy")}
fn gradient(plane: u32, column: u32, k: u32, end: u32) -> vec4f {
  if ((k >= end) | (column >= p.o)) { return vec4f(); }
  return ${s.vec ? `dy[(${dy}) / 4u]` : `dy4(${dy}, p.o - 1u - column, 1u)`};
}
${putter("dw", s.vec)}
${blockHead(b, `(${taps(s)}u * p.i)`, "p.o", "p.groups", "rows")}
  let rows = ${taps(s)}u * p.i;
  // Divisions take longer than all else in a fetch: they are done once.
  let step = pixel(${b.bk}u);
  ${multiplyBlocks(
    b,
    "p.pixels",
    {
      along: "rows",
      prepare: (i, row) =>
        `var at${i} = pixel(first + kA${i});\n${each
          .map(
            (j) => `let m${i}_${j} = min(${row} + ${j}u, rows - ${width}u);
  let tap${i}_${j} = m${i}_${j} / p.i;
  let c${i}_${j} = plane * p.i + m${i}_${j} % p.i;
  let y${i}_${j} = i32(tap${i}_${j} / ${s.kernel[1]}u) * ${s.dilation[0]} - p.padY;
  let x${i}_${j} = i32(tap${i}_${j} % ${s.kernel[1]}u) * ${s.dilation[1]} - p.padX;`,
          )
          .join("\n")}`,
      advance: (i) => `at${i} = after(at${i}, step);`,
      load: (i, _, k) => (s.vecX ? source(i, 0, k) : `vec4f(${each.map((j) => source(i, j, k)).join(", ")})`),
    },
    { contiguous: true, load: (column, k) => `gradient(plane, ${column}, ${k}, end)` },
  )}
  ${storeBlocks(b, {
    rows: "rows",
    columns: "p.o",
    at: "(split * rows + row) * (p.o * p.groups) + plane * p.o + col",
    add: null,
  })}
}`;
  },
  workgroups: (s, p) => foldGrid(blockGroups(s.block, taps(s) * p.i, p.o, p.groups * p.splits)),
  operations: (s, p) => 2 * p.pixels * taps(s) * p.i * p.o * p.groups,
});
