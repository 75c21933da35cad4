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
  putter,
  storeBlocks,
} from "./blocks.wgsl";

export interface MatmulBlocksSpec {
  /** A is stored [K, M] instead of [M, K]. */
  readonly transA: boolean;
  /** B is stored [N, K] instead of [K, N]. */
  readonly transB: boolean;
  /** A's stored rows are whole vec4f: K (transposed: M) is divisible by 4. */
  readonly vecA: boolean;
  /** B's are: N (transposed: K) is. */
  readonly vecB: boolean;
  /** C's are: N is. */
  readonly vec: boolean;
  /** K is whole steps of the block. */
  readonly whole: boolean;
  /** Products are added to what is there. */
  readonly adds: boolean;
  /** A vector of N is added to every row. */
  readonly bias: boolean;
  readonly block: Block;
}

/**
 * The matrix product of `matmul.wgsl.ts` in workgroup blocks. With `splits` > 1, K is cut into
 * chunks of `chunk` (a multiple of the block's step), whose partial products are left one after the
 * other in c, to be added in order.
 */
export const matmulBlocksKernel = /* @__PURE__ */ defineKernel({
  name: "matmul-blocks",
  key: (s: MatmulBlocksSpec) =>
    `${s.transA ? "T" : "N"}${s.transB ? "T" : "N"},${[s.vecA, s.vecB, s.vec].map((v) => (v ? 4 : 1)).join("")},${s.bias},${blockKey(s.block)}${s.whole ? ",whole" : ""}${s.adds ? ",adds" : ""}`,
  bindings: (s) => ({
    a: { access: "read", type: s.vecA ? "vec4f" : "f32" },
    b: { access: "read", type: s.vecB ? "vec4f" : "f32" },
    bias: { access: "read" },
    c: { access: "write", type: s.vec ? "vec4f" : "f32" },
  }),
  params: {
    m: "u32",
    n: "u32",
    k: "u32",
    batch: "u32",
    strideA: "u32",
    strideB: "u32",
    chunk: "u32",
    splits: "u32",
  },
  enables: (s) => blockEnables(s.block),
  body: (s) => {
    const b = s.block;
    const { whole } = s;
    const a = linearOperand(b, "A", {
      buffer: "a",
      along: s.transA ? "lines" : "k",
      vec: s.vecA,
      base: "plane * p.strideA",
      stride: s.transA ? "p.m" : "p.k",
      whole,
    });
    const c = linearOperand(b, "B", {
      buffer: "b",
      along: s.transB ? "k" : "lines",
      vec: s.vecB,
      base: "plane * p.strideB",
      stride: s.transB ? "p.k" : "p.n",
      whole,
    });
    return wgsl`
${s.bias ? four("bias") : ""}
${putter("c", s.vec, s.adds)}
${blockStages(b, a.along, c.along)}
${blockHead(b, "p.m", "p.n", "p.batch")}
  ${multiplyBlocks(b, "p.k", a, c)}
  ${storeBlocks(b, {
    rows: "p.m",
    columns: "p.n",
    at: "(layer * p.m + row) * p.n + col",
    add: s.bias ? "bias4(col, p.n - 1u - col)" : null,
  })}
}`;
  },
  workgroups: (s, p) => foldGrid(blockGroups(s.block, p.m, p.n, p.batch * p.splits)),
  operations: (_, p) => 2 * p.m * p.n * p.k * p.batch,
});
