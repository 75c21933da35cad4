import type { Caps } from "../../src/gpu/kernel";

/**
 * The inner block that matrix products and all three convolutions share: an invocation owns `rows`
 * rows and `columns` columns of the output in registers and runs over the common dimension k. With
 * `lanes` > 1 a subgroup shares the row operand: each lane loads one k of it for every row, and
 * `subgroupBroadcast` hands it round, so that a step costs a quarter vector of loads instead of a
 * row's worth. No workgroup memory, no barrier: on software adapters loads cost far more than
 * arithmetic and barriers compile for seconds.
 */
export interface Tile {
  /** Output rows an invocation owns. */
  readonly rows: number;
  /** Neighbouring columns it owns: 4, or less where so many would leave lanes without any. */
  readonly columns: 1 | 2 | 4;
  /** Subgroup size that shares the row operand; 1 for none. */
  readonly lanes: number;
}

/** Invocations of a workgroup without subgroups; with them a workgroup is one subgroup. */
const ALONE = 64;

/**
 * What a product's rows are: matrix rows, pixels of a convolution (of few channels: `patches`), or
 * the taps of a weight gradient.
 */
export type Product = "matmul" | "pixels" | "patches" | "taps";

/**
 * Most rows a subgroup's tile has, by measurement of 16 against 8 (GFLOP/s). SwiftShader: matmul
 * 2.7 : 1.7, pixels 2.9 : 2.3, patches 35 : 24 ms, taps 2.6 : 2.4; lavapipe: pixels 12.5 : 12.1,
 * taps 10.1 : 11.3, and matmul by the processor: 10.8 : 8.4 on one with 16 vector registers, 22 :
 * 35 on one with 32, which hold 8 rows. More rows also compile longer.
 */
const SUBGROUP_ROWS: Readonly<Record<Product, Readonly<Partial<Record<Caps["adapter"], number>>>>> = {
  matmul: { swiftshader: 16, lavapipe: 8 },
  pixels: { swiftshader: 16, lavapipe: 8 },
  patches: { swiftshader: 8, lavapipe: 8 },
  taps: { swiftshader: 16, lavapipe: 8 },
};

/** Most rows without subgroups: registers of one invocation. */
const ALONE_ROWS = 8;

/**
 * Most rows of an invocation that owns fewer than four columns, since a value of a row is used less
 * often there. Four columns everywhere against fewer of 16 rows, and of 8, in ms, forward, input
 * and weight gradient (50 images, medians of seven runs in turn on two cores that others used too):
 *
 *     H = W, I → O          lavapipe (8 lanes)                                       SwiftShader (4 lanes)
 *     32,  8 →  8, 3×3      132 : 48 : 62    87 : 35 : 34    42 : 20 : 21            260 : 183 : 149   163 : 119 : 129   60 : 51 : 46
 *     32,  8 → 16, 3×3, /2   18 : 12 : 12    72 : 28 : 34    24 : 13 : 11             44 : 38 : 43     123 :  77 :  61   16 : 20 : 17
 *     16, 16 → 16, 3×3       36 : 23 : 22    20 : 13 : 12    14 : 11 : 12             37 : 36 : 41      38 :  39 :  42   28 : 29 : 31
 *      8, 24 → 48, 3×3       13 : 14 :  9    13 : 12 : 12    12 :  7 :  9             48 : 43 : 43      82 :  83 :  89   54 : 56 : 51
 */
const NARROW_ROWS = 16;

/**
 * How many columns an invocation owns: those that cost least for each column there is, where a
 * row's value is handed round once and multiplied once for each of them.
 */
function columnsOf(lanes: number, columns: number): Tile["columns"] {
  const cost = (own: number) => (1 + own) * Math.ceil(columns / (own * lanes));
  return ([4, 2, 1] as const).reduce((best, own) => (cost(own) < cost(best) ? own : best));
}

/** Chooses the tile for an output of `rows` × `columns`. */
export function tileFor(caps: Caps, product: Product, rows: number, columns: number): Tile {
  // One subgroup size and a small one: the software adapters. A wide subgroup would idle on few
  // columns.
  const lanes = caps.subgroupSize > 1 && caps.subgroupSize <= 8 && columns >= 8 ? caps.subgroupSize : 1;
  const own = columnsOf(lanes, columns);
  const shared = lanes > 1 ? SUBGROUP_ROWS[product][caps.adapter] : undefined;
  const most = own < 4 ? NARROW_ROWS : (shared ?? ALONE_ROWS);
  // Few rows want small tiles, or there is too little to run side by side.
  return { rows: rows >= 4 * most ? most : rows >= 4 ? Math.min(most, 8) : rows >= 2 ? 4 : 1, columns: own, lanes };
}

export const tileKey = (t: Tile) => `${t.rows}x${t.columns}x${t.lanes}`;

export const tileEnables = (t: Tile) => (t.lanes > 1 ? ["subgroups"] : []);

/** Invocations of a workgroup for this tile. */
const groupSize = (t: Tile) => (t.lanes > 1 ? t.lanes : ALONE);

/** Workgroups that cover `rows` × `columns`, `planes` times. */
export function tileGroups(t: Tile, rows: number, columns: number, planes: number): number {
  return Math.ceil((Math.ceil(rows / t.rows) * columnBlocks(t, columns) * t.lanes * planes) / groupSize(t));
}

/**
 * Numbers loaded by all invocations for `rows` × `columns` outputs over `depth` values of k: a
 * value of each row and one of each of a lane's columns per step.
 */
export const tileLoads = (t: Tile, rows: number, columns: number, depth: number): number =>
  Math.ceil(rows / t.rows) * columnBlocks(t, columns) * depth * (t.rows + t.columns * t.lanes);

/** Blocks of a whole subgroup's columns across the output. */
const columnBlocks = (t: Tile, columns: number) => Math.ceil(columns / (t.columns * t.lanes));

/**
 * WGSL: the head of `main`. Declares `lane`, `row` (first row), `col` (first column) and `plane`
 * (batch, group or split). `rows` and `columns` are expressions. Invocations past the end keep
 * running as copies of the last (subgroup operations need them), with `col` beyond `columns` so
 * that they store nothing.
 */
export const tileHead = (t: Tile, rows: string, columns: string, planes: string) => /* wgsl */ `
@compute @workgroup_size(${groupSize(t)})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u,
        ${t.lanes > 1 ? "@builtin(subgroup_invocation_id) lane: u32" : "@builtin(local_invocation_index) lid: u32"}) {
  let group = wid.y * grid.x + wid.x;
  ${t.lanes > 1 ? "let tile = group;" : `let lane = 0u; let tile = group * ${ALONE}u + lid;`}
  let columnBlocks = (${columns} + ${t.columns * t.lanes - 1}u) / ${t.columns * t.lanes}u;
  let rowBlocks = (${rows} + ${t.rows - 1}u) / ${t.rows}u;
  let plane = tile / (columnBlocks * rowBlocks);
  if (plane >= ${planes}) { return; }
  let inPlane = tile % (columnBlocks * rowBlocks);
  let row = (inPlane / columnBlocks) * ${t.rows}u;
  let col = ((inPlane % columnBlocks) * ${t.lanes}u + lane) * ${t.columns}u;`;

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** WGSL for every row `r` of the tile. */
export const eachRow = (t: Tile, f: (r: number) => string) => range(t.rows).map(f).join("\n");

const VECTORS = { 1: "f32", 2: "vec2f", 4: "vec4f" } as const;

/** The type that an invocation's columns are read and written as, where rows are whole ones. */
export const vectorOf = ({ columns }: Tile) => VECTORS[columns];

/** WGSL: `parts` as that type. */
export const vector = (t: Tile, part: (j: number) => string): string =>
  t.columns === 1 ? part(0) : `${vectorOf(t)}(${range(t.columns).map(part).join(", ")})`;

/** WGSL: column `j` of a value of that type. */
const partOf = (t: Tile, value: string, j: number): string => (t.columns === 1 ? value : `${value}.${"xyzw"[j]}`);

/** WGSL for every row and column of an invocation. */
export const eachSum = (t: Tile, f: (r: number, j: number) => string): string =>
  eachRow(t, (r) =>
    range(t.columns)
      .map((j) => f(r, j))
      .join(" "),
  );

/** Terms that one chain of sums takes: of a longer one the digits would be lost. */
export const CHAIN = 1024;

/**
 * WGSL: {@link multiply} in chains of {@link CHAIN}, whose sums are added up: to accumulators that
 * are there, and 0.
 */
export const multiplyInChains = (t: Tile, k: Walk): string => /* wgsl */ `
${eachSum(t, (r, j) => `var total${r}_${j} = 0.0;`)}
for (var chain = ${k.from}; chain < ${k.to}; chain += ${CHAIN}u) {
  let end = min(chain + ${CHAIN}u, ${k.to});
  ${multiply(t, { ...k, from: "chain", to: "end" })}
  ${eachSum(t, (r, j) => `total${r}_${j} += acc${r}_${j}; acc${r}_${j} = 0.0;`)}
}
${eachSum(t, (r, j) => `acc${r}_${j} = total${r}_${j};`)}`;

/**
 * WGSL: zeroed accumulators, scalars for each column of a row: software adapters keep those in
 * registers rather than vectors of a loop.
 */
export const accumulators = (t: Tile) => eachSum(t, (r, j) => `var acc${r}_${j} = 0.0;`);

/** WGSL: the sums of row r. */
export const sums = (t: Tile, r: number) => vector(t, (j) => `acc${r}_${j}`);

/** How {@link multiply} walks k and finds its operands. */
export interface Walk {
  readonly from: string;
  readonly to: string;
  /** The range is made of whole steps of `lanes`: nothing has to be looked after at its end. */
  readonly whole?: boolean;
  /** Runs once for the k a lane loads (name `ka`). */
  readonly prepare?: string;
  /**
   * The row operand at `ka`, an expression that is 0 when row r has none there; it is dropped when
   * `ka` ≥ `to`.
   */
  readonly a: (r: number) => string;
  /**
   * The columns at k, of type {@link vectorOf}, which must be readable for every k in range; past
   * its end they count as 0, whatever is there.
   */
  readonly b: (k: string) => string;
  /**
   * Runs once per step, for `b` of all its k to use, which is then asked for the number of k in the
   * step, from 0.
   */
  readonly columns?: string;
}

/** WGSL: adds Σ_k a(r, k) · b(k) to every accumulator, k from `from` up to below `to`. */
export function multiply(t: Tile, k: Walk): string {
  const whole = k.whole || t.lanes === 1;
  const steps = range(t.lanes).map((s) => {
    const at = s === 0 ? "k0" : whole ? `(k0 + ${s}u)` : `min(k0 + ${s}u, ${k.to} - 1u)`;
    // 0 · ∞ would be NaN.
    const columns = k.b(k.columns ? String(s) : at);
    const own = s === 0 || whole ? columns : `select(${vector(t, () => "0.0")}, ${columns}, k0 + ${s}u < ${k.to})`;
    const take = (r: number) => (t.lanes > 1 ? `subgroupBroadcast(a${r}, ${s}u)` : `a${r}`);
    return `{ let b = ${own};\n${eachRow(
      t,
      (r) =>
        `{ let a = ${take(r)}; ${range(t.columns)
          .map((j) => `acc${r}_${j} += a * ${partOf(t, "b", j)};`)
          .join(" ")} }`,
    )} }`;
  });
  return /* wgsl */ `
for (var k0 = ${k.from}; k0 < ${k.to}; k0 += ${t.lanes}u) {
  let ka = k0 + lane;
  ${k.prepare ?? ""}
  ${eachRow(t, (r) => (whole ? `let a${r} = ${k.a(r)};` : `let a${r} = select(0.0, ${k.a(r)}, ka < ${k.to});`))}
  ${k.columns ?? ""}
  ${steps.join("\n")}
}`;
}

/**
 * WGSL: stores the accumulators. `at(r)` is the element index of row r's first column, `value(r)`
 * what to store; rows at or past `rows` and columns at or past `columns` are left out. With `vec`
 * the destination is an array of {@link vectorOf} and indices are multiples of an invocation's
 * columns.
 */
export const store = (
  t: Tile,
  o: {
    rows: string;
    columns: string;
    vec: boolean;
    into: string;
    /** Another condition on row r. */
    when?: (r: number) => string;
    at: (r: number) => string;
    value: (r: number) => string;
  },
) =>
  eachRow(
    t,
    (r) => /* wgsl */ `
if ((row + ${r}u < ${o.rows}) & (col < ${o.columns})${o.when ? ` & ${o.when(r)}` : ""}) {
  let at = ${o.at(r)};
  let v = ${o.value(r)};
  ${put(t, o)}
}`,
  );

/** WGSL: writes `v`, an invocation's columns of a row, from element `at` on; not past the end. */
export const put = (t: Tile, { into, columns, vec }: { into: string; columns: string; vec: boolean }): string =>
  vec
    ? `${into}[at / ${t.columns}u] = v;`
    : range(t.columns)
        .map((j) => {
          const write = `${into}[at + ${j}u] = ${partOf(t, "v", j)};`;
          return j === 0 ? write : `if (col + ${j}u < ${columns}) { ${write} }`;
        })
        .join("\n");

/**
 * WGSL expression: values `f(j)` for an invocation's columns j, the last column of all repeated
 * past the end.
 */
export const gatherColumns = (t: Tile, columns: string, f: (column: string) => string) =>
  vector(t, (j) => f(`min(col + ${j}u, ${columns} - 1u)`));

/**
 * WGSL expression: the same, read at once from an array of {@link vectorOf} whose rows are whole.
 */
export const takeColumns = (t: Tile, columns: string, from: string, row: string) =>
  `${from}[(${row} + min(col, ${columns} - ${t.columns}u)) / ${t.columns}u]`;
