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

export interface MatmulBlocksSpec {
  /** A is stored [K, M] instead of [M, K]. */
  readonly transA: boolean;
  /** B is stored [N, K] instead of [K, N]. */
  readonly transB: boolean;
  /** A's stored rows are whole vec4f: K (transposed: M) is divisible by 4. */
  readonly vecA: boolean;
  /** Rows of C, and of B unless transposed, are whole vec4f: N is divisible by 4. */
  readonly vec: boolean;
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
    `${s.transA ? "T" : "N"}${s.transB ? "T" : "N"},${s.vecA ? 4 : 1}${s.vec ? 4 : 1},${s.bias},${blockKey(s.block)}`,
  bindings: (s) => ({
    a: { access: "read", type: s.vecA ? "vec4f" : "f32" },
    b: { access: "read", type: s.vec && !s.transB ? "vec4f" : "f32" },
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
    // A quad of A runs along its stored rows. Rows of the product past the last repeat it.
    const [row, at] = s.transA
      ? [`min(row, p.m - ${s.vecA ? 4 : 1}u)`, "base + k * p.m + r"]
      : ["min(row, p.m - 1u)", "base + r * p.k + k"];
    const rowsA = () => {
      if (s.vecA) return "return a[at / 4u];";
      if (s.transA) return "return a4(at, p.m - 1u - r, 1u);";
      return `return vec4f(a[at], ${[1, 2, 3].map((j) => `select(0.0, a[at + ${j}u], k + ${j}u < end)`).join(", ")});`;
    };
    const columnsB = () => {
      if (s.transB) return "return b4(base + column * p.k + k, p.n - 1u - column, p.k);";
      return s.vec
        ? "return b[(base + k * p.n + column) / 4u];"
        : "return b4(base + k * p.n + column, p.n - 1u - column, 1u);";
    };
    return wgsl`
${!s.vecA && s.transA ? four("a") : ""}
${s.vec && !s.transB ? "" : four("b")}
fn rowsOfA(base: u32, row: u32, k: u32, end: u32) -> vec4f {
  if (k >= end) { return vec4f(); }
  let r = ${row};
  let at = ${at};
  ${rowsA()}
}
fn columnsOfB(base: u32, column: u32, k: u32, end: u32) -> vec4f {
  if ((k >= end) | (column >= p.n)) { return vec4f(); }
  ${columnsB()}
}
${s.bias ? four("bias") : ""}
${putter("c", s.vec)}
${blockHead(b, "p.m", "p.n", "p.batch", s.transA ? "rows" : "k")}
  let baseA = plane * p.strideA;
  let baseB = plane * p.strideB;
  ${multiplyBlocks(
    b,
    "p.k",
    { along: s.transA ? "rows" : "k", load: (_, r, k) => `rowsOfA(baseA, ${r}, ${k}, end)` },
    { contiguous: !s.transB, load: (column, k) => `columnsOfB(baseB, ${column}, ${k}, end)` },
  )}
  ${storeBlocks(b, {
    rows: "p.m",
    columns: "p.n",
    at: "(layer * p.m + row) * p.n + col",
    add: s.bias ? "bias4(col, p.n - 1u - col, 1u)" : null,
  })}
}`;
  },
  workgroups: (s, p) => foldGrid(blockGroups(s.block, p.m, p.n, p.batch * p.splits)),
  operations: (_, p) => 2 * p.m * p.n * p.k * p.batch,
});
