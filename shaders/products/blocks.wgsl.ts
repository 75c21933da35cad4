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
 * How an operand lies: four k of one line (a row or a column) are one quad, or four lines of one k.
 */
export type Along = "k" | "lines";

/**
 * Where an operand's quads lie in workgroup memory. One quad is left free after each row of it, so
 * that lanes a row apart meet different banks. Along k, lines that leave the same rest when divided
 * by 4 lie together: an invocation owns lines in fours, and its neighbour the next four.
 */
function layout(b: Block, lines: number, along: Along) {
  if (along === "lines") return { stride: lines / 4 + 1, section: 0, quads: b.bk * (lines / 4 + 1) };
  const stride = b.bk / 4 + 1;
  const section = (lines / 4) * stride + b.bk / 4;
  return { stride, section, quads: 4 * section };
}

/** Bytes of workgroup memory, whichever way the operands lie. */
export const blockBytes = (b: Block) => {
  const most = (lines: number) => Math.max(layout(b, lines, "k").quads, layout(b, lines, "lines").quads);
  return (b.half ? 8 : 16) * (most(b.bm) + most(b.bn));
};

/** Workgroups that cover `rows` × `columns`, `planes` times. */
export const blockGroups = (b: Block, rows: number, columns: number, planes: number) =>
  Math.ceil(rows / b.bm) * Math.ceil(columns / b.bn) * planes;

/**
 * How an operand is fetched, in quads. An invocation makes several fetches a step, all at the same
 * k, each of its own line. All of this is WGSL; `n` is the operand's letter, `A` for rows or `B`
 * for columns, and `k{n}` the (first) k of the fetch under way.
 *
 * Nothing branches: compilers wait for a load before they leave the branch it stands in, and no
 * load would be under way while the step before is multiplied. What is read of lines past the last
 * may be anything, as nothing of it is stored.
 */
export interface Operand {
  readonly along: Along;
  /** Run once, for all fetches; and for fetch `id` (`A0`), whose first line is `line`. */
  readonly start?: string;
  readonly prepare: (id: string, line: string) => string;
  /** Run before the fetches of every step, and after them. */
  readonly before?: string;
  readonly advance: string;
  /** Expression of the quad. */
  readonly load: (id: string) => string;
  /**
   * Expression of whether it counts (a bool, or one for each component), else it is 0; null: it
   * does.
   */
  readonly counts: (id: string) => string | null;
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const lines = (n: number, f: (i: number) => string) => range(n).map(f).join("\n");

/** Expression of f(0) to f(3) as a vector. */
export const vector = (type: "vec4f" | "vec4<bool>", f: (j: number) => string) =>
  `${type}(${range(4).map(f).join(", ")})`;

/**
 * An operand whose elements lie at base + line · stride + k (`along: "k"`) or base + k · stride +
 * line.
 */
export function linearOperand(
  b: Block,
  n: "A" | "B",
  o: { buffer: string; along: Along; vec: boolean; base: string; stride: string; whole: boolean },
): Operand {
  const alongK = o.along === "k";
  const perQuad = o.vec ? " / 4u" : "";
  const loadAt = (id: string, j: number) => `${o.buffer}[at${id} + off${n} + ${j}u]`;
  return {
    along: o.along,
    start: `var off${n} = 0u;\nlet step${n} = ${b.bk}u${alongK ? "" : ` * ${o.stride}`}${perQuad};`,
    prepare: (id, line) => {
      const [slow, fast] = alongK ? [line, `k${n}`] : [`k${n}`, line];
      return `let at${id} = (${o.base} + ${slow} * ${o.stride} + ${fast})${perQuad};`;
    },
    advance: `off${n} += step${n};`,
    load: (id) => (o.vec ? `${o.buffer}[at${id} + off${n}]` : vector("vec4f", (j) => loadAt(id, j))),
    counts: () => {
      if (o.whole) return null;
      return alongK && !o.vec ? `vec4u(k${n}) + vec4u(0u, 1u, 2u, 3u) < vec4u(end)` : `k${n} < end`;
    },
  };
}

/** Type of a staged quad. */
const quad = (b: Block) => (b.half ? "vec4<f16>" : "vec4f");
const wide = (b: Block, e: string) => (b.half ? `vec4f(${e})` : e);

/**
 * Rows r of an invocation come in fours, a block's height apart; columns likewise. Both relative to
 * the block.
 */
const rowIn = (b: Block, r: number) => `(${Math.floor(r / 4) * down(b)}u + ty) * 4u + ${r % 4}u`;

/**
 * WGSL function `NAME4(at, last) -> vec4f`: four elements of an array of f32, the one at `last`
 * repeated past it.
 */
export const four = (name: string) => /* wgsl */ `
fn ${name}4(at: u32, last: u32) -> vec4f {
  return vec4f(${name}[at], ${name}[at + min(1u, last)], ${name}[at + min(2u, last)], ${name}[at + min(3u, last)]);
}`;

/**
 * WGSL: the head of `main`. Declares `plane`, `split` (chunk of k: planes vary faster), `row0` and
 * `col0` (the block's first row and column). `rows`, `columns` and `planes` are expressions of
 * parameters; `p.splits` chunks of `p.chunk` values of k each.
 */
export const blockHead = (b: Block, rows: string, columns: string, planes: string) => /* wgsl */ `
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

/** WGSL: the workgroup memory of both operands. */
export const blockStages = (b: Block, rows: Along, columns: Along) => /* wgsl */ `
var<workgroup> stageA: array<${quad(b)}, ${layout(b, b.bm, rows).quads}>;
var<workgroup> stageB: array<${quad(b)}, ${layout(b, b.bn, columns).quads}>;`;

/**
 * Quads of k whose products are written out one after the other, of a step: all of it, unless that
 * is more than the compilers of software adapters take in seconds.
 */
const perTurn = (b: Block) => Math.min(b.bk / 4, 128 / (b.tm * b.tn));
const isWhole = (b: Block) => perTurn(b) === b.bk / 4;

/** One operand's part of {@link multiplyBlocks}. */
function staging(b: Block, n: "A" | "B", operand: Operand) {
  const turn = isWhole(b) ? "" : " + q";
  const [length, first, apart, lane] = n === "A" ? [b.bm, "row0", down(b), "ty"] : [b.bn, "col0", across(b), "tx"];
  const threads = blockThreads(b);
  const { stride, section } = layout(b, length, operand.along);
  const alongK = operand.along === "k";
  const ids = range((length * b.bk) / 4 / threads).map((i) => `${n}${i}`);
  // Lanes run along what is contiguous in memory: the k of a line, or the lines of a k.
  const lanes = alongK ? b.bk / 4 : threads / b.bk;
  const [fast, slow] = [`lid % ${lanes}u`, `lid / ${lanes}u`];
  // The (first) line of fetch i, relative to the block, and where its quad is put.
  const lineAt = (i: number) => (alongK ? `(${slow} + ${(i * threads) / lanes}u)` : `(${fast} + ${i * lanes}u) * 4u`);
  const placeAt = (i: number) =>
    alongK
      ? `(${slow}) % 4u * ${section}u + (${slow} + ${(i * threads) / lanes}u) / 4u * ${stride}u + ${fast}`
      : `(${slow}) * ${stride}u + ${fast} + ${i * lanes}u`;
  const each = (f: (id: string, i: number) => string) => ids.map(f).join("\n");
  const staged = (id: string) => {
    const counts = operand.counts(id);
    return counts === null ? `next${id}` : `select(vec4f(), next${id}, counts${id})`;
  };
  return {
    declare: `var k${n} = first + ${alongK ? `(${fast}) * 4u` : slow};
  ${operand.start ?? ""}
  ${each((id, i) => `let place${id} = ${placeAt(i)};\n${operand.prepare(id, `(${first} + ${lineAt(i)})`)}`)}`,
    before: operand.before ?? "",
    fetch: each((id) => {
      const counts = operand.counts(id);
      return `let next${id} = ${operand.load(id)}; ${counts === null ? "" : `let counts${id} = ${counts};`}`;
    }),
    advance: `${operand.advance}
    k${n} += ${b.bk}u;`,
    stage: each((id) => `stage${n}[place${id}] = ${quad(b)}(${staged(id)});`),
    // The quad of k 4q to 4q + 3 of the invocation's line r, or of k 4q + j of its lines 4i to
    // 4i + 3, `turn` quads of k further on. What no invocation changes is one number: compilers
    // make it part of the load.
    alongKAt: (r: number, q: number) =>
      wide(
        b,
        `stage${n}[${lane} * ${stride}u + ${(r % 4) * section + Math.floor(r / 4) * apart * stride + q}u${turn}]`,
      ),
    alongLinesAt: (i: number, k: number) =>
      wide(b, `stage${n}[${lane} + ${k * stride + i * apart}u${turn && `${turn} * ${4 * stride}u`}]`),
  };
}

/**
 * WGSL: declares the accumulators and adds Σ_k A(row, k) · B(k, column) over the k of this
 * workgroup's chunk, which ends below `depth`.
 */
export function multiplyBlocks(b: Block, depth: string, rowOperand: Operand, columnOperand: Operand): string {
  const a = staging(b, "A", rowOperand);
  const c = staging(b, "B", columnOperand);
  const quads = b.tn / 4;
  // Columns of the quad `i` at the j of the four k of quad q.
  const loadsB = (q: number) =>
    columnOperand.along === "k"
      ? lines(b.tn, (i) => `let c${i} = ${c.alongKAt(i, q)};`) +
        lines(4, (j) =>
          lines(quads, (i) => `let b${j}_${i} = ${vector("vec4f", (l) => `c${4 * i + l}.${"xyzw"[j]}`)};`),
        )
      : lines(4, (j) => lines(quads, (i) => `let b${j}_${i} = ${c.alongLinesAt(i, 4 * q + j)};`));
  const add = (r: number, a: string, j: number) => lines(quads, (i) => `acc${r}_${i} += ${a} * b${j}_${i};`);
  const products = (q: number) =>
    rowOperand.along === "k"
      ? lines(b.tm, (r) => `{ let a = ${a.alongKAt(r, q)};\n${lines(4, (j) => add(r, `a.${"xyzw"[j]}`, j))} }`)
      : lines(4, (j) =>
          lines(
            b.tm / 4,
            (i) =>
              `{ let a = ${a.alongLinesAt(i, 4 * q + j)};\n${lines(4, (r) => add(4 * i + r, `a.${"xyzw"[r]}`, j))} }`,
          ),
        );
  const turn = range(perTurn(b))
    .map((q) => `{ ${loadsB(q)}\n${products(q)} }`)
    .join("\n");
  const fetch = lines(3, (i) => [a, c].map((each) => [each.before, each.fetch, each.advance][i]).join("\n"));
  const stage = `${a.stage}\n${c.stage}`;
  return /* wgsl */ `
  let first = split * p.chunk;
  let end = min(first + p.chunk, ${depth});
  ${lines(b.tm, (r) => lines(quads, (i) => `var acc${r}_${i} = vec4f();`))}
  ${a.declare}
  ${c.declare}
  { ${fetch}
    ${stage} }
  // Every step is fetched while the one before it is multiplied; what is past the last is left.
  // The counter's own limit is never met: of a loop without such a one Dawn does not know that it
  // ends, and counts along.
  let steps = (end - first + ${b.bk - 1}u) / ${b.bk}u;
  for (var step = 0u; step < 0x7fffffffu; step++) {
    if (step >= steps) { break; }
    workgroupBarrier();
    ${fetch}
    ${isWhole(b) ? turn : `for (var q = 0u; q < ${b.bk / 4}u; q += ${perTurn(b)}u) { ${turn} }`}
    workgroupBarrier();
    ${stage}
  }`;
}

/**
 * WGSL function `put(at, room, v)`: stores up to `room` of v's components from element `at` of
 * `into` on. With `vec` that is an array of vec4f, and indices and column counts are multiples
 * of 4.
 */
export const putter = (into: string, vec: boolean, adds: boolean) =>
  vec
    ? `fn put(at: u32, room: u32, v: vec4f) { ${into}[at / 4u] ${adds ? "+" : ""}= v; }`
    : /* wgsl */ `
fn put(at: u32, room: u32, v: vec4f) {
  for (var j = 0u; j < min(room, 4u); j++) { ${into}[at + j] ${adds ? "+" : ""}= v[j]; }
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
