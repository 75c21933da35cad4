import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, foldGrid } from "../../src/gpu/kernel";
import {
  type Block,
  blockEnables,
  blockGroups,
  blockHead,
  blockKey,
  blockStages,
  four,
  linearOperand,
  multiplyBlocks,
  type Operand,
  putter,
  storeBlocks,
  vector,
} from "./blocks.wgsl";
import { type ConvShape, GATHER_SIZES, WEIGHT_SIZES } from "./conv-registers.wgsl";

const shapeKey = (s: ConvShape) => `k${s.kernel.join("x")}s${s.stride.join("x")}d${s.dilation.join("x")}`;

const taps = (s: ConvShape) => s.kernel[0] * s.kernel[1];

/** WGSL expression: how far a tap reaches down (axis 0) or right (axis 1), in source pixels. */
const reach = (s: ConvShape, axis: 0 | 1, tap: string) =>
  `i32(${tap} ${axis === 0 ? "/" : "%"} ${s.kernel[1]}u) * ${s.dilation[axis]}`;

export interface ConvBlocksSpec extends ConvShape {
  /** `forward`: x → y. `input`: dy → dx, the transposed convolution. */
  readonly mode: "forward" | "input";
  /** Source channels per group are whole vec4f. */
  readonly vecSrc: boolean;
  /** Output channels per group are. */
  readonly vec: boolean;
  readonly bias: boolean;
  /** Source channels per group are whole steps of the block: all of a step are of one tap. */
  readonly whole: boolean;
  /** Outputs are added to what is there. */
  readonly adds: boolean;
  readonly block: Block;
}

/**
 * The source as the row operand: what the pixel of a row meets at (tap, channel) = k. Taps and
 * channels are counted on from step to step, as divisions take longer than all else in a fetch;
 * with `whole` they are the same for all invocations, and counted once for all. Without vec4f each
 * component of a quad has a tap of its own.
 */
function gathered(s: ConvBlocksSpec): Operand {
  const b = s.block;
  const forward = s.mode === "forward";
  const each = Array.from({ length: s.vecSrc ? 1 : 4 }, (_, j) => j);
  const perQuad = s.vecSrc ? " / 4u" : "";
  // What is counted on, and what an invocation adds to it.
  const [counted, own] = s.whole ? ["first", "(kA - first)"] : ["kA", "0u"];
  // Of a strided convolution's input pixels, only some meet a tap; all others lie at a fixed
  // distance from what they meet.
  const isStrided = (axis: 0 | 1) => !forward && s.stride[axis] > 1;
  const isFixed = !isStrided(0) && !isStrided(1);
  const at = (id: string, j: number, axis: 0 | 1) => {
    const pixel = `u32(${"yx"[axis]}${id} ${forward ? "+" : "-"} ${"yx"[axis]}${j})`;
    return isStrided(axis) ? `${pixel} / ${s.stride[axis]}u` : pixel;
  };
  const meets = (id: string, j: number, axis: 0 | 1) => {
    const inside = `${at(id, j, axis)} < p.src${"HW"[axis]}`;
    const pixel = `u32(${"yx"[axis]}${id} - ${"yx"[axis]}${j})`;
    return isStrided(axis) ? `(${inside}) & (${pixel} % ${s.stride[axis]}u == 0u)` : `(${inside})`;
  };
  const load = (id: string, j: number) =>
    isFixed
      ? `src[at${id} + off${j}]`
      : `src[((line${id} + ${at(id, j, 0)}) * p.srcW + ${at(id, j, 1)}) * stride + at${id} + off${j}]`;
  const counts = (id: string, j: number) =>
    `${meets(id, j, 0)} & ${meets(id, j, 1)}${s.whole ? "" : ` & (kA + ${j}u < end)`}`;
  const [start, advance] =
    taps(s) === 1
      ? [`let tap0 = 0u; var c0 = ${counted};`, `c0 += ${b.bk}u;`]
      : [
          `var tap0 = ${counted} / p.srcK; var c0 = ${counted} - tap0 * p.srcK;`,
          `c0 += ${b.bk}u % p.srcK;
    let isNextTap = c0 >= p.srcK;
    c0 -= select(0u, p.srcK, isNextTap);
    tap0 += ${b.bk}u / p.srcK + u32(isNextTap);`,
        ];
  return {
    along: "k",
    start: `let stride = p.srcK * p.groups${perQuad};\n${s.vecSrc ? start : ""}`,
    prepare: (id, line) => `let x${id} = i32(${line} % p.dstW)${forward ? ` * ${s.stride[1]} - p.padX` : " + p.padX"};
  let y${id} = i32(${line} / p.dstW % p.dstH)${forward ? ` * ${s.stride[0]} - p.padY` : " + p.padY"};
  let line${id} = ${line} / (p.dstW * p.dstH) * p.srcH;
  let at${id} = ${isFixed ? `((line${id} + u32(y${id})) * p.srcW + u32(x${id})) * stride + ` : ""}(plane * p.srcK + ${own})${perQuad};`,
    before: each
      .map((j) => {
        const found = s.vecSrc ? "" : `let tap${j} = (kA + ${j}u) / p.srcK; let c${j} = kA + ${j}u - tap${j} * p.srcK;`;
        const fixed = `${forward ? "" : "0u - "}u32(y${j} * i32(p.srcW) + x${j}) * stride + `;
        return `${found}
    let y${j} = ${reach(s, 0, `tap${j}`)};
    let x${j} = ${reach(s, 1, `tap${j}`)};
    let off${j} = ${isFixed ? fixed : ""}c${j}${perQuad};`;
      })
      .join("\n"),
    advance: s.vecSrc ? advance : "",
    load: (id) => (s.vecSrc ? load(id, 0) : vector("vec4f", (j) => load(id, j))),
    counts: (id) => (s.vecSrc ? counts(id, 0) : vector("vec4<bool>", (j) => counts(id, j))),
  };
}

/** The weights as the column operand. */
function weights(s: ConvBlocksSpec): Operand {
  const b = s.block;
  const { whole } = s;
  if (s.mode === "forward") {
    const layout = { base: "plane * p.dstN", stride: "(p.dstN * p.groups)" };
    return linearOperand(b, "B", { buffer: "w", along: "lines", vec: s.vec, ...layout, whole });
  }
  // Along k, as the source: taps and channels are those that it counts.
  const each = Array.from({ length: s.vecSrc ? 1 : 4 }, (_, j) => j);
  const perQuad = s.vecSrc ? " / 4u" : "";
  return {
    along: "k",
    prepare: (id, line) =>
      `let at${id} = ${line} * stride + (plane * p.srcK + ${whole ? "kB - first" : "0u"})${perQuad};`,
    before: each.map((j) => `let offB${j} = tap${j} * p.dstN * stride + c${j}${perQuad};`).join("\n"),
    advance: "",
    load: (id) => (s.vecSrc ? `w[at${id} + offB0]` : vector("vec4f", (j) => `w[at${id} + offB${j}]`)),
    counts: () => {
      if (whole) return null;
      return s.vecSrc ? "kB < end" : vector("vec4<bool>", (j) => `kB + ${j}u < end`);
    },
  };
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
    `${s.mode},${shapeKey(s)},${s.vecSrc ? 4 : 1}${s.vec ? 4 : 1},${s.bias},${blockKey(s.block)}${s.whole ? ",whole" : ""}${s.adds ? ",adds" : ""}`,
  bindings: (s) => ({
    src: { access: "read", type: s.vecSrc ? "vec4f" : "f32" },
    w: { access: "read", type: (s.mode === "forward" ? s.vec : s.vecSrc) ? "vec4f" : "f32" },
    bias: { access: "read" },
    dst: { access: "write", type: s.vec ? "vec4f" : "f32" },
  }),
  params: { ...GATHER_SIZES, chunk: "u32", splits: "u32" },
  enables: (s) => blockEnables(s.block),
  body: (s) => {
    const b = s.block;
    const [source, columns] = [gathered(s), weights(s)];
    return wgsl`
${s.bias ? four("bias") : ""}
${putter("dst", s.vec, s.adds)}
${blockStages(b, source.along, columns.along)}
${blockHead(b, "p.pixels", "p.dstN", "p.groups")}
  ${multiplyBlocks(b, `(${taps(s)}u * p.srcK)`, source, columns)}
  ${storeBlocks(b, {
    rows: "p.pixels",
    columns: "p.dstN",
    at: "(split * p.pixels + row) * (p.dstN * p.groups) + plane * p.dstN + col",
    add: s.bias ? "bias4(plane * p.dstN + col, p.dstN - 1u - col)" : null,
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
  /** Output pixels are whole steps of the block. */
  readonly whole: boolean;
  /** Gradients are added to what is there. */
  readonly adds: boolean;
  readonly block: Block;
}

/** What output pixels k meet at (tap, channel) as the row operand; pixels are counted on. */
function met(s: ConvWeightBlocksSpec): Operand {
  // Rows of a quad: one tap's four channels, or each its own.
  const width = s.vecX ? 4 : 1;
  const each = Array.from({ length: 4 / width }, (_, j) => j);
  const perQuad = s.vecX ? " / 4u" : "";
  const load = (id: string, j: number) => `x[at${id}_${j} + off]`;
  const counts = (id: string, j: number) =>
    `(u32(top + y${id}_${j}) < p.xH) & (u32(left + x${id}_${j}) < p.xW)${s.whole ? "" : " & (kA < end)"}`;
  return {
    along: "lines",
    start: `let stride = p.i * p.groups${perQuad};
  var pixel = pixelAt(kA);
  let pixelStep = pixelAt(${s.block.bk}u);`,
    prepare: (id, line) =>
      each
        .map(
          (j) => `let row${id}_${j} = ${line} + ${j}u;
  let tap${id}_${j} = row${id}_${j} / p.i;
  let y${id}_${j} = ${reach(s, 0, `tap${id}_${j}`)} - p.padY;
  let x${id}_${j} = ${reach(s, 1, `tap${id}_${j}`)} - p.padX;
  let at${id}_${j} = u32(y${id}_${j} * i32(p.xW) + x${id}_${j}) * stride + (plane * p.i + row${id}_${j} % p.i)${perQuad};`,
        )
        .join("\n"),
    before: `let top = i32(pixel.y * ${s.stride[0]}u);
    let left = i32(pixel.x * ${s.stride[1]}u);
    let off = ((pixel.z * p.xH + u32(top)) * p.xW + u32(left)) * stride;`,
    advance: "pixel = after(pixel, pixelStep);",
    load: (id) => (s.vecX ? load(id, 0) : vector("vec4f", (j) => load(id, j))),
    counts: (id) => (s.vecX ? counts(id, 0) : vector("vec4<bool>", (j) => counts(id, j))),
  };
}

/**
 * The weight gradient of `conv.wgsl.ts` in workgroup blocks: rows are (tap, i), columns o, k the
 * output pixels, cut into `splits` chunks.
 */
export const convWeightBlocksKernel = /* @__PURE__ */ defineKernel({
  name: "conv2d-weight-blocks",
  key: (s: ConvWeightBlocksSpec) =>
    `${shapeKey(s)},${s.vecX ? 4 : 1}${s.vec ? 4 : 1},${blockKey(s.block)}${s.whole ? ",whole" : ""}${s.adds ? ",adds" : ""}`,
  bindings: (s) => ({
    x: { access: "read", type: s.vecX ? "vec4f" : "f32" },
    dy: { access: "read", type: s.vec ? "vec4f" : "f32" },
    dw: { access: "write", type: s.vec ? "vec4f" : "f32" },
  }),
  params: WEIGHT_SIZES,
  enables: (s) => blockEnables(s.block),
  body: (s) => {
    const b = s.block;
    const source = met(s);
    const gradient = linearOperand(b, "B", {
      buffer: "dy",
      along: "lines",
      vec: s.vec,
      base: "plane * p.o",
      stride: "(p.o * p.groups)",
      whole: s.whole,
    });
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
fn pixelAt(k: u32) -> vec3u {
  let line = k / p.dyW;
  let n = line / p.dyH;
  return vec3u(k - line * p.dyW, line - n * p.dyH, n);
}
${putter("dw", s.vec, s.adds)}
${blockStages(b, source.along, gradient.along)}
${blockHead(b, `(${taps(s)}u * p.i)`, "p.o", "p.groups")}
  let rows = ${taps(s)}u * p.i;
  ${multiplyBlocks(b, "p.pixels", source, gradient)}
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
