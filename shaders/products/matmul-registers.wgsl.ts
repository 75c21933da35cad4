import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, foldGrid } from "../../src/gpu/kernel";
import {
  accumulators,
  CHAIN,
  eachRow,
  gatherColumns,
  multiply,
  multiplyInChains,
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

export interface MatmulSpec {
  /** A is stored [K, M] instead of [M, K]. */
  readonly transA: boolean;
  /** B is stored [N, K] instead of [K, N]. */
  readonly transB: boolean;
  /** Rows of C, and of B unless transposed, are whole vectors of the tile. */
  readonly vec: boolean;
  /** A vector of N is added to every row. */
  readonly bias: boolean;
  /** k is made of whole steps of the tile. */
  readonly whole: boolean;
  /** k takes several chains of sums. */
  readonly chains: boolean;
  readonly tile: Tile;
}

/** How a tile walks k. */
export const matmulWalk = (tile: Tile, k: number): Pick<MatmulSpec, "whole" | "chains"> => ({
  whole: k % tile.lanes === 0,
  chains: k > CHAIN,
});

/**
 * C[b] = op(A[b]) · op(B[b]) (+ bias), row-major; `strideA`/`strideB` 0 repeats one matrix over the
 * batch.
 */
export const matmulKernel = /* @__PURE__ */ defineKernel({
  name: "matmul",
  key: (s: MatmulSpec) =>
    `${s.transA ? "T" : "N"}${s.transB ? "T" : "N"}${s.vec ? ",vec" : ""},${s.bias}${s.whole ? ",whole" : ""}${s.chains ? ",chains" : ""},${tileKey(s.tile)}`,
  bindings: (s) => ({
    a: { access: "read" },
    b: { access: "read", type: s.vec && !s.transB ? vectorOf(s.tile) : "f32" },
    bias: { access: "read" },
    c: { access: "write", type: s.vec ? vectorOf(s.tile) : "f32" },
  }),
  params: { m: "u32", n: "u32", k: "u32", batch: "u32", strideA: "u32", strideB: "u32" },
  enables: (s) => tileEnables(s.tile),
  body: (s) => {
    const t = s.tile;
    const b = (k: string) => {
      if (s.transB) return gatherColumns(t, "p.n", (j) => `b[atB + ${j} * p.k + ${k}]`);
      const row = `atB + (${k}) * p.n`;
      return s.vec ? takeColumns(t, "p.n", "b", row) : gatherColumns(t, "p.n", (j) => `b[${row} + ${j}]`);
    };
    const walked = s.chains ? multiplyInChains : multiply;
    return wgsl`
${tileHead(t, "p.m", "p.n", "p.batch")}
  let atB = plane * p.strideB;
  ${eachRow(t, (r) => `let r${r} = plane * p.strideA + min(row + ${r}u, p.m - 1u)${s.transA ? "" : " * p.k"};`)}
  ${accumulators(t)}
  ${walked(t, {
    from: "0u",
    to: "p.k",
    whole: s.whole,
    a: (r) => (s.transA ? `a[r${r} + ka * p.m]` : `a[r${r} + ka]`),
    b,
  })}
  let add = ${s.bias ? gatherColumns(t, "p.n", (j) => `bias[${j}]`) : vector(t, () => "0.0")};
  ${store(t, {
    rows: "p.m",
    columns: "p.n",
    vec: s.vec,
    into: "c",
    at: (r) => `(plane * p.m + row + ${r}u) * p.n + col`,
    value: (r) => `${sums(t, r)} + add`,
  })}
}`;
  },
  workgroups: (s, p) => foldGrid(tileGroups(s.tile, p.m, p.n, p.batch)),
  operations: (_, p) => 2 * p.m * p.n * p.k * p.batch,
  loads: ({ tile }, p) => p.batch * tileLoads(tile, p.m, p.n, p.k),
});
