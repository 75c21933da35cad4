import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, type Caps, defineKernel, foldGrid, type Workgroups } from "../src/gpu/kernel";
import { NAN } from "./softmax.wgsl";

/**
 * How invocations come by the rows that they run over, which all of a workgroup read: `subgroup`
 * lanes load one each and hand them round; `workgroup` memory holds some; `alone` everyone loads
 * each.
 */
export type Sharing = "subgroup" | "workgroup" | "alone";

/** What the kernels of attention are compiled for; everything else is a parameter. */
export interface AttentionSpec {
  /** Vectors of four in a head's row. */
  readonly d4: number;
  /** Rows an invocation owns, in registers. */
  readonly rows: number;
  readonly sharing: Sharing;
  /** Invocations of a workgroup; the subgroup's size where that shares. */
  readonly lanes: number;
  /** Query i sees keys up to i. */
  readonly causal: boolean;
  /** Some keys are padding. */
  readonly padded: boolean;
  /** Query, key and value are columns of one tensor [N, T, 3, H, D]. */
  readonly packed: boolean;
}

const key = (s: AttentionSpec) =>
  `${s.d4},${s.rows},${s.sharing}${s.lanes}${s.causal ? ",causal" : ""}${s.padded ? ",padded" : ""}${s.packed ? ",packed" : ""}`;

const enables = (s: AttentionSpec) => (s.sharing === "subgroup" ? ["subgroups"] : []);

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const each = (n: number, f: (i: number) => string) => range(n).map(f).join("\n");

/** Rows that are shared at a time: what 8 KiB of workgroup memory hold of two operands. */
const shared = ({ sharing, lanes, d4 }: AttentionSpec) =>
  sharing === "subgroup" ? lanes : sharing === "workgroup" ? Math.max(1, Math.floor(256 / d4)) : 1;

/** WGSL: where row t of operand `part` begins, of a tensor with `length` rows per sample. */
const place = ({ packed, d4 }: AttentionSpec, t: string, length: string, part: number) =>
  packed ? `(((n * ${length} + ${t}) * 3u + ${part}u) * p.heads + h) * ${d4}u` : `((n * ${length} + ${t}) * p.heads + h) * ${d4}u`;

/**
 * WGSL: the head of `main`. Declares the sample `n`, the head `h`, and the first of this
 * invocation's rows, `first`, out of `length`; rows past the end are copies of the last that store
 * nothing, as subgroup operations and barriers need all invocations.
 */
const head = (s: AttentionSpec, length: string) => /* wgsl */ `
${
  s.sharing === "workgroup"
    ? `var<workgroup> sharedA: array<vec4f, ${shared(s) * s.d4}>;
var<workgroup> sharedB: array<vec4f, ${shared(s) * s.d4}>;`
    : ""
}
@compute @workgroup_size(${s.lanes})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(${s.sharing === "subgroup" ? "subgroup_invocation_id" : "local_invocation_index"}) lane: u32) {
  let blocks = (${length} + ${s.rows * s.lanes - 1}u) / ${s.rows * s.lanes}u;
  let group = wid.y * grid.x + wid.x;
  if (group >= p.planes * blocks) { return; }
  let n = group / blocks / p.heads;
  let h = group / blocks % p.heads;
  let start = group % blocks * ${s.rows * s.lanes}u;
  let first = start + lane * ${s.rows}u;
  ${each(s.rows, (r) => `let row${r} = min(first + ${r}u, ${length} - 1u);`)}`;

/** WGSL: row `r` of this invocation, of operand `name`, in registers `name{r}_{d}`. */
const own = (s: AttentionSpec, name: string, from: string, length: string, part: number, factor = "") =>
  each(s.rows, (r) =>
    each(s.d4, (d) => `let ${name}${r}_${d} = ${from}[${place(s, `row${r}`, length, part)} + ${d}u]${factor};`),
  );

const zeros = (s: AttentionSpec, name: string) => each(s.rows, (r) => each(s.d4, (d) => `var ${name}${r}_${d} = vec4f();`));

interface Walk {
  readonly from: string;
  readonly to: string;
  /** Rows of both operands there are: none past them is read. */
  readonly length: string;
  readonly a: string;
  readonly b: string;
  /** Place of row t in each. */
  readonly placeA: (t: string) => string;
  readonly placeB: (t: string) => string;
  /** Of row `j`, whose operands `a(d)` and `b(d)` are. */
  readonly body: (a: (d: number) => string, b: (d: number) => string) => string;
}

/** WGSL: runs over the rows j of two operands. */
function walk(s: AttentionSpec, w: Walk): string {
  const block = shared(s);
  if (s.sharing === "alone")
    return `for (var j = ${w.from}; j < ${w.to}; j++) {
  let atA = ${w.placeA("j")};
  let atB = ${w.placeB("j")};
  ${w.body(
    (d) => `${w.a}[atA + ${d}u]`,
    (d) => `${w.b}[atB + ${d}u]`,
  )}
}`;
  if (s.sharing === "subgroup")
    return `for (var j0 = ${w.from}; j0 < ${w.to}; j0 += ${block}u) {
  let mine = min(j0 + lane, ${w.length} - 1u);
  let atA = ${w.placeA("mine")};
  let atB = ${w.placeB("mine")};
  ${each(s.d4, (d) => `let a${d} = ${w.a}[atA + ${d}u]; let b${d} = ${w.b}[atB + ${d}u];`)}
  ${each(
    block,
    (k) => `if (j0 + ${k}u < ${w.to}) {
  let j = j0 + ${k}u;
  ${w.body(
    (d) => `subgroupBroadcast(a${d}, ${k}u)`,
    (d) => `subgroupBroadcast(b${d}, ${k}u)`,
  )}
}`,
  )}
}`;
  return `for (var j0 = ${w.from}; j0 < ${w.to}; j0 += ${block}u) {
  workgroupBarrier();
  for (var i = lane; i < ${block * s.d4}u; i += ${s.lanes}u) {
    let t = min(j0 + i / ${s.d4}u, ${w.length} - 1u);
    sharedA[i] = ${w.a}[${w.placeA("t")} + i % ${s.d4}u];
    sharedB[i] = ${w.b}[${w.placeB("t")} + i % ${s.d4}u];
  }
  workgroupBarrier();
  for (var j = j0; j < min(j0 + ${block}u, ${w.to}); j++) {
    let at = (j - j0) * ${s.d4}u;
    ${w.body(
      (d) => `sharedA[at + ${d}u]`,
      (d) => `sharedB[at + ${d}u]`,
    )}
  }
}`;
}

/** Sizes: planes = N · heads, T queries, S keys. */
const SIZES = { planes: "u32", heads: "u32", t: "u32", s: "u32", scale: "f32" } as const;
const READ = { access: "read", type: "vec4f" } as const;
const WRITE = { access: "write", type: "vec4f" } as const;
const padding = ({ padded }: AttentionSpec): Record<string, Binding> => (padded ? { padding: { access: "read", type: "u32" } } : {});

const groups = (s: AttentionSpec, rows: number, planes: number): Workgroups =>
  foldGrid(Math.ceil(rows / (s.rows * s.lanes)) * planes);

/** WGSL: the first key that no row of this workgroup sees. */
const lastKey = (s: AttentionSpec) => (s.causal ? `min(p.s, start + ${s.rows * s.lanes}u)` : "p.s");

const LOWEST = "-3.4028234e38";

export const attentionKernel = defineKernel({
  name: "attention",
  key,
  enables,
  bindings: (s: AttentionSpec): Record<string, Binding> => ({ q: READ, k: READ, v: READ, ...padding(s), y: { access: "write", type: "vec4u" }, lse: { access: "write", type: "u32" } }),
  params: SIZES,
  body: (s) => wgsl`
fn unsound(x: f32) -> bool {
  let bits = bitcast<u32>(x);
  return ((bits & 0x7fffffffu) >= 0x7f800000u) & (bits != 0xff800000u);
}
${head(s, "p.t")}
  let end = ${lastKey(s)};
  ${own(s, "q", "q", "p.t", 0, " * p.scale")}
  ${zeros(s, "y")}
  ${each(s.rows, (r) => `var most${r} = ${LOWEST}; var total${r} = 0.0; var bad${r} = false; var seen${r} = false;`)}
  ${walk(s, {
    from: "0u",
    to: "end",
    length: "p.s",
    a: "k",
    b: "v",
    placeA: (t) => place(s, t, "p.s", 1),
    placeB: (t) => place(s, t, "p.s", 2),
    body: (k, v) => `
  ${s.padded ? "if (padding[n * p.s + j] != 0u) { continue; }" : ""}
  ${each(s.rows, (r) => `var score${r} = 0.0;`)}
  ${each(s.d4, (d) => `{ let k = ${k(d)}; ${range(s.rows).map((r) => `score${r} += dot(q${r}_${d}, k);`).join(" ")} }`)}
  ${each(s.rows, (r) => `let open${r} = ${s.causal ? `j <= row${r}` : "true"};
  if (!open${r}) { score${r} = ${LOWEST}; }
  seen${r} = seen${r} | open${r};
  bad${r} = bad${r} | unsound(score${r});`)}
  if (${range(s.rows).map((r) => `(score${r} > most${r})`).join(" | ")}) {
    ${each(s.rows, (r) => `{
      let greater = max(most${r}, score${r});
      let factor = exp(most${r} - greater);
      most${r} = greater;
      total${r} *= factor;
      ${each(s.d4, (d) => `y${r}_${d} *= factor;`)}
    }`)}
  }
  ${each(s.rows, (r) => `let w${r} = select(0.0, exp(score${r} - most${r}), open${r}); total${r} += w${r};`)}
  ${each(s.d4, (d) => `{ let v = ${v(d)}; ${range(s.rows).map((r) => `y${r}_${d} += w${r} * v;`).join(" ")} }`)}`,
  })}
  ${each(s.rows, (r) => `if (first + ${r}u < p.t) {
    let wrong = bad${r} | (seen${r} & !(total${r} > 0.0));
    let share = select(0.0, 1.0 / total${r}, total${r} > 0.0);
    let at = ((n * p.t + row${r}) * p.heads + h) * ${s.d4}u;
    ${each(s.d4, (d) => `y[at + ${d}u] = select(bitcast<vec4u>(y${r}_${d} * share), vec4u(${NAN}), wrong);`)}
    let sum = most${r} + log(total${r});
    lse[(n * p.heads + h) * p.t + row${r}] = select(select(0u, bitcast<u32>(sum), seen${r}), ${NAN}, wrong);
  }`)}
}`,
  workgroups: (s, p) => groups(s, p["t"]!, p["planes"]!),
});
