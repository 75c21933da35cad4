/**
 * The inner block of matrix products and convolutions for graphics processors: a workgroup owns a
 * block of `bm` × `bn` outputs and walks the common dimension k in steps of `bk`. Its invocations
 * fetch both operands' parts of a step together into workgroup memory, where each value is read
 * many times, and each keeps `tm` × `tn` outputs in registers. The next step's values are fetched
 * while the current ones are multiplied.
 *
 * Borders are handled where an operand is fetched: what lies outside is 0. Operands are staged as
 * f32, or as f16 (`half`), which halves the bytes and doubles the step: then each operand is
 * rounded to 11 bits, so that a product errs by up to 2·2⁻¹¹ of itself (typically 2⁻¹¹); products
 * and sums are f32. Barriers stand in uniform control flow: every loop's bounds come from
 * parameters and the workgroup's number.
 */
export interface Block {
  /** Output rows and columns a workgroup owns, and k a step. */
  readonly bm: number;
  readonly bn: number;
  readonly bk: number;
  /** Output rows and columns an invocation owns, multiples of 4. */
  readonly tm: number;
  readonly tn: number;
  /** Operands are staged as f16. */
  readonly half: boolean;
}

export const blockKey = (b: Block) => `${b.bm}x${b.bn}x${b.bk},${b.tm}x${b.tn}${b.half ? ",f16" : ""}`;

export const blockEnables = (b: Block) => (b.half ? ["f16"] : []);

/** Invocations across a block's rows and columns. */
const down = (b: Block) => b.bm / b.tm;
const across = (b: Block) => b.bn / b.tn;

/** Invocations of a workgroup. */
export const blockThreads = (b: Block) => down(b) * across(b);

/**
 * Quads of a row of workgroup memory: one is left free, so that lanes a row apart meet different
 * banks.
 */
const paddedQuads = (length: number) => length / 4 + 1;

/** Bytes of workgroup memory, whichever way the row operand lies. */
export const blockBytes = (b: Block) =>
  (b.half ? 8 : 16) * (Math.max(b.bm * paddedQuads(b.bk), b.bk * paddedQuads(b.bm)) + b.bk * paddedQuads(b.bn));

/** Workgroups that cover `rows` × `columns`, `planes` times. */
export const blockGroups = (b: Block, rows: number, columns: number, planes: number) =>
  Math.ceil(rows / b.bm) * Math.ceil(columns / b.bn) * planes;

/**
 * How the row operand A is fetched, in quads: four k of one row (`along: "k"`), or four rows of one
 * k (`along: "rows"`), whichever is contiguous. `prepare(i, row)` is WGSL run once for fetch i of
 * an invocation, whose (first) row is `row` and whose first k is `first + kA{i}`; `advance(i)` is
 * run between two fetches, the later of which is `bk` further; `load(i, row, k)` an expression
 * of the quad at `k`, a vec4f that is 0 wherever k is past the end and readable for rows past the
 * last.
 */
export interface RowOperand {
  readonly along: "k" | "rows";
  readonly prepare?: (i: number, row: string) => string;
  readonly advance?: (i: number) => string;
  readonly load: (i: number, row: string, k: string) => string;
}

/**
 * How the column operand B is fetched: always four columns of one k. `contiguous`: columns lie side
 * by side in memory, and so neighbouring invocations take neighbouring columns; otherwise
 * neighbouring k. `load(column, k)` is an expression as for {@link RowOperand}.
 */
export interface ColumnOperand {
  readonly contiguous: boolean;
  readonly load: (column: string, k: string) => string;
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const lines = (n: number, f: (i: number) => string) => range(n).map(f).join("\n");

/** Type of a staged quad. */
const quad = (b: Block) => (b.half ? "vec4<f16>" : "vec4f");
const wide = (b: Block, e: string) => (b.half ? `vec4f(${e})` : e);

/**
 * Rows r of an invocation come in fours, a block's height apart; columns likewise. Both relative to
 * the block.
 */
const rowIn = (b: Block, r: number) => `(${Math.floor(r / 4) * down(b)}u + ty) * 4u + ${r % 4}u`;

/**
 * WGSL function `NAME4(at, last, stride) -> vec4f`: four elements of an array of f32, the one at
 * `last` repeated past it.
 */
export const four = (name: string) => /* wgsl */ `
fn ${name}4(at: u32, last: u32, stride: u32) -> vec4f {
  return vec4f(${name}[at], ${name}[at + min(1u, last) * stride], ${name}[at + min(2u, last) * stride], ${name}[at + min(3u, last) * stride]);
}`;

/**
 * WGSL: the head of `main`. Declares `plane`, `split` (chunk of k: planes vary faster), `row0` and
 * `col0` (the block's first row and column). `rows`, `columns` and `planes` are expressions of
 * parameters; `p.splits` chunks of `p.chunk` values of k each.
 */
export const blockHead = (b: Block, rows: string, columns: string, planes: string, along: RowOperand["along"]) => {
  const a = along === "k" ? b.bm * paddedQuads(b.bk) : b.bk * paddedQuads(b.bm);
  return /* wgsl */ `
var<workgroup> stageA: array<${quad(b)}, ${a}>;
var<workgroup> stageB: array<${quad(b)}, ${b.bk * paddedQuads(b.bn)}>;

@compute @workgroup_size(${blockThreads(b)})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let group = wid.y * grid.x + wid.x;
  let columnBlocks = (${columns} + ${b.bn - 1}u) / ${b.bn}u;
  let rowBlocks = (${rows} + ${b.bm - 1}u) / ${b.bm}u;
  let layer = group / (columnBlocks * rowBlocks);
  if (layer >= ${planes} * p.splits) { return; }
  let plane = layer % ${planes};
  let split = layer / ${planes};
  let inLayer = group % (columnBlocks * rowBlocks);
  let row0 = (inLayer / columnBlocks) * ${b.bm}u;
  let col0 = (inLayer % columnBlocks) * ${b.bn}u;
  let tx = lid % ${across(b)}u;
  let ty = lid / ${across(b)}u;`;
};

/**
 * WGSL: declares the accumulators and adds Σ_k A(row, k) · B(k, column) over the k of this
 * workgroup's chunk, which ends below `depth`.
 */
export function multiplyBlocks(b: Block, depth: string, rowOperand: RowOperand, columnOperand: ColumnOperand): string {
  const threads = blockThreads(b);
  const alongK = rowOperand.along === "k";
  const fetchesA = (b.bm * b.bk) / 4 / threads;
  const fetchesB = (b.bk * b.bn) / 4 / threads;
  const strideA = paddedQuads(alongK ? b.bk : b.bm);
  const strideB = paddedQuads(b.bn);
  // Lanes run along what is contiguous in memory. `outer` is the slower index of fetch i: all
  // fetches of an invocation share the faster one.
  const perA = alongK ? b.bk / 4 : b.bm / 4;
  const perB = columnOperand.contiguous ? b.bn / 4 : b.bk;
  const outer = (i: number, per: number) => `lid / ${per}u + ${(i * threads) / per}u`;
  const quads = b.tn / 4;
  const placeA = (i: number) => {
    const [slow, fast] = [outer(i, perA), `lid % ${perA}u`];
    return `let rowA${i} = row0 + ${alongK ? slow : `(${fast}) * 4u`};
  let kA${i} = ${alongK ? `(${fast}) * 4u` : slow};
  let atA${i} = (${slow}) * ${strideA}u + ${fast};
  ${rowOperand.prepare?.(i, `rowA${i}`) ?? ""}
  `;
  };
  const placeB = (i: number) => {
    const [slow, fast] = [outer(i, perB), `lid % ${perB}u`];
    const [k, column] = columnOperand.contiguous ? [slow, fast] : [fast, slow];
    return `let colB${i} = col0 + (${column}) * 4u;
  let kB${i} = ${k};
  let atB${i} = (${k}) * ${strideB}u + ${column};`;
  };
  // The one at j of the four k of quad q. What no q changes is one number: compilers make it part
  // of the load.
  const bAt = (j: number, c: number) => wide(b, `stageB[q * ${4 * strideB}u + ${j * strideB + c * across(b)}u + tx]`);
  // Four k of a row at once: each component of A's quad meets its own row of B.
  const quadsOfK = () => /* wgsl */ `
    for (var q = 0u; q < ${b.bk / 4}u; q++) {
      ${lines(4, (j) => lines(quads, (c) => `let b${j}_${c} = ${bAt(j, c)};`))}
      ${lines(
        b.tm,
        (r) => `{ let a = ${wide(b, `stageA[(${rowIn(b, r)}) * ${strideA}u + q]`)};
      ${lines(quads, (c) => `acc${r}_${c} += a.x * b0_${c}; acc${r}_${c} += a.y * b1_${c}; acc${r}_${c} += a.z * b2_${c}; acc${r}_${c} += a.w * b3_${c};`)} }`,
      )}
    }`;
  // Four rows at once: each component of A's quad goes to its own row's sums. Four k a turn here
  // too: what a turn spends on addresses and counting is then little beside its products.
  const rowsAt = (j: number) => /* wgsl */ `{
      ${lines(quads, (c) => `let b${c} = ${bAt(j, c)};`)}
      ${lines(
        b.tm / 4,
        (i) => `{ let a = ${wide(b, `stageA[q * ${4 * strideA}u + ${j * strideA + i * down(b)}u + ty]`)};
      ${lines(4, (r) => lines(quads, (c) => `acc${4 * i + r}_${c} += a.${"xyzw"[r]} * b${c};`))} }`,
      )} }`;
  const quadsOfRows = () => /* wgsl */ `
    for (var q = 0u; q < ${b.bk / 4}u; q++) { ${lines(4, rowsAt)} }`;
  return /* wgsl */ `
  let first = split * p.chunk;
  let end = min(first + p.chunk, ${depth});
  ${lines(b.tm, (r) => lines(quads, (c) => `var acc${r}_${c} = vec4f();`))}
  ${lines(fetchesA, placeA)}
  ${lines(fetchesB, placeB)}
  // Every step is fetched while the one before it is multiplied; the step past the last fetches nothing.
  for (var k0 = first; ; k0 += ${b.bk}u) {
    ${lines(fetchesA, (i) => `let nextA${i} = ${quad(b)}(${rowOperand.load(i, `rowA${i}`, `(k0 + kA${i})`)});`)}
    ${lines(fetchesB, (i) => `let nextB${i} = ${quad(b)}(${columnOperand.load(`colB${i}`, `(k0 + kB${i})`)});`)}
    if (k0 > first) {
      ${alongK ? quadsOfK() : quadsOfRows()}
    }
    if (k0 >= end) { break; }
    workgroupBarrier();
    ${lines(fetchesA, (i) => `stageA[atA${i}] = nextA${i};`)}
    ${lines(fetchesB, (i) => `stageB[atB${i}] = nextB${i};`)}
    workgroupBarrier();
    ${lines(fetchesA, (i) => rowOperand.advance?.(i) ?? "")}
  }`;
}

/**
 * WGSL function `put(at, room, v)`: stores up to `room` of v's components from element `at` of
 * `into` on. With `vec` that is an array of vec4f, and indices and column counts are multiples
 * of 4.
 */
export const putter = (into: string, vec: boolean) =>
  vec
    ? `fn put(at: u32, room: u32, v: vec4f) { ${into}[at / 4u] = v; }`
    : /* wgsl */ `
fn put(at: u32, room: u32, v: vec4f) {
  for (var j = 0u; j < min(room, 4u); j++) { ${into}[at + j] = v[j]; }
}`;

/**
 * WGSL: stores the accumulators through {@link putter}'s function, leaving out rows and columns
 * past the last. `at` is an expression of the element index for `row` and `col`; `add` one of a
 * vec4f for `col`, added by the first chunk of k.
 */
export const storeBlocks = (b: Block, o: { rows: string; columns: string; at: string; add: string | null }) =>
  lines(
    b.tn / 4,
    (c) => /* wgsl */ `
  { let col = col0 + (${c * across(b)}u + tx) * 4u;
    if (col < ${o.columns}) {
      let add = ${o.add ? `select(vec4f(), ${o.add}, split == 0u)` : "vec4f()"};
      ${lines(
        b.tm,
        (r) => `{ let row = row0 + ${rowIn(b, r)};
      if (row < ${o.rows}) { put(${o.at}, ${o.columns} - col, acc${r}_${c} + add); } }`,
      )}
    }
  }`,
  );
