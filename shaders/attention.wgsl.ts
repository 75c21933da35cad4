import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { type Binding, defineKernel, foldGrid, linearGrid, linearIndex, linearMain, nanTest } from "../src/gpu/kernel";
import { NAN } from "./softmax.wgsl";

/**
 * What the kernels of attention are compiled for; sizes are parameters. An invocation owns a few
 * rows of one side, queries or keys, in registers, and runs over the rows of the other, which all
 * of its workgroup read at the same time: no workgroup memory and no barrier. On software adapters,
 * where loads cost most, each of a subgroup loads its share of such a row and hands it round.
 */
export interface AttentionSpec {
  /** Vectors of four in a head's row. */
  readonly d4: number;
  /** Rows an invocation owns. */
  readonly rows: number;
  /** Invocations of a workgroup. */
  readonly lanes: number;
  /** They are one subgroup, which shares the loads of the other side's rows. */
  readonly shared: boolean;
  /** Query i sees keys 0 to i. */
  readonly causal: boolean;
  /** Some keys are padding, which nobody sees. */
  readonly padded: boolean;
  /**
   * Queries, keys and values are parts of one tensor [N, T, 3, H, D]; else each is [N, T, H, D].
   */
  readonly packed: boolean;
}

const key = (s: AttentionSpec) =>
  [s.d4, s.rows, s.lanes, ...(["shared", "causal", "padded", "packed"] as const).filter((flag) => s[flag])].join();

/** Sizes: `planes` is samples · heads, t queries, s keys. */
const SIZES = { planes: "u32", heads: "u32", t: "u32", s: "u32", scale: "f32" } as const;
const READ = { access: "read", type: "vec4f" } as const;
const WRITE = { access: "write", type: "vec4f" } as const;
const padding = ({ padded }: AttentionSpec): Record<string, Binding> =>
  padded ? { padding: { access: "read", type: "u32" } } : {};

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
/** WGSL: a line for each number below n. */
const each = (n: number, line: (i: number) => string) => range(n).map(line).join("\n");

/** WGSL: where row `t` of query, key or value begins. */
const place = ({ packed, d4 }: AttentionSpec, of: "q" | "k" | "v", t: string) => {
  const row = `n * ${of === "q" ? "p.t" : "p.s"} + ${t}`;
  return `((${packed ? `(${row}) * 3u + ${"qkv".indexOf(of)}u` : row}) * p.heads + h) * ${d4}u`;
};

/** WGSL: where row `t` of the output, and of its gradient, begins. */
const placeOut = ({ d4 }: AttentionSpec, t: string) => `((n * p.t + ${t}) * p.heads + h) * ${d4}u`;

/**
 * WGSL: the head of `main`. Declares the sample `n`, the head `h`, `plane` for both, the
 * workgroup's first row `start` out of `length`, and this invocation's, `row0` …: those past the
 * end are copies of the last, and store nothing.
 */
const head = ({ rows, lanes, shared }: AttentionSpec, length: string) => /* wgsl */ `
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(${shared ? "subgroup_invocation_id" : "local_invocation_index"}) lane: u32) {
  let group = wid.y * grid.x + wid.x;
  let blocks = (${length} + ${rows * lanes - 1}u) / ${rows * lanes}u;
  let plane = group / blocks;
  if (plane >= p.planes) { return; }
  let n = plane / p.heads;
  let h = plane % p.heads;
  let start = group % blocks * ${rows * lanes}u;
  let first = start + lane * ${rows}u;
  ${each(rows, (r) => `let row${r} = min(first + ${r}u, ${length} - 1u);`)}`;

const groups = (s: AttentionSpec, length: number, planes: number) =>
  foldGrid(planes * Math.ceil(length / (s.rows * s.lanes)));

/** Multiplications and additions of `products` products of T × S × D; half of them where causal. */
const operations = (s: AttentionSpec, products: number, p: Readonly<Record<string, number>>) =>
  (8 * products * s.d4 * p["planes"]! * p["t"]! * p["s"]!) / (s.causal ? 2 : 1);

/** Numbers loaded: two rows of the other side for each tile of own ones, or of a subgroup's. */
const loads = (s: AttentionSpec, p: Readonly<Record<string, number>>) =>
  (8 * s.d4 * p["planes"]! * p["t"]! * p["s"]!) / (s.rows * (s.shared ? s.lanes : 1)) / (s.causal ? 2 : 1);

/** WGSL: own rows of `from`, which begin at `at(r)`, in registers `from{r}_{d}`. */
const load = (s: AttentionSpec, from: string, at: (r: number) => string, factor = "") =>
  each(s.rows, (r) => {
    const vectors = each(s.d4, (d) => `let ${from}${r}_${d} = ${from}[at${from}${r} + ${d}u]${factor};`);
    return `let at${from}${r} = ${at(r)};\n${vectors}`;
  });

/** WGSL: as many registers, all 0. */
const zeros = (s: AttentionSpec, name: string) =>
  each(s.rows, (r) => each(s.d4, (d) => `var ${name}${r}_${d} = vec4f();`));

/**
 * WGSL: a row of the other side, which begins at `at`, in registers `name_{d}`: a load each, or one
 * of a subgroup's share.
 */
const take = ({ d4, lanes, shared }: AttentionSpec, name: string, at: string) => {
  const from = (place: string) => `${name}[at${name} + ${place}]`;
  const share = (i: number) => {
    const place = `${i * lanes}u + lane`;
    return from((i + 1) * lanes <= d4 ? place : `min(${place}, ${d4 - 1}u)`);
  };
  return `let at${name} = ${at};
${shared ? each(Math.ceil(d4 / lanes), (i) => `let share${name}${i} = ${share(i)};`) : ""}
${each(d4, (d) => `let ${name}_${d} = ${shared ? `subgroupBroadcast(share${name}${Math.floor(d / lanes)}, ${d % lanes}u)` : from(`${d}u`)};`)}`;
};

const enables = ({ shared }: AttentionSpec) => (shared ? ["subgroups"] : []);

/** WGSL: a line for each vector of each own row. */
const meet = (s: AttentionSpec, line: (r: number, d: number) => string) =>
  each(s.d4, (d) =>
    range(s.rows)
      .map((r) => line(r, d))
      .join(" "),
  );

/** Less than every score. */
const LOWEST = "-3.4028234e38";

/**
 * y = softmax(scale · q kᵀ) v over the keys that each query sees, and log Σ exp of its scores. The
 * softmax is shifted by the greatest score so far; when a greater one comes, what was added up is
 * scaled down. A query that sees no key, or scores of −∞ alone, gives 0; one with a score of NaN or
 * +∞ gives NaN.
 */
export const attentionKernel = /* @__PURE__ */ defineKernel({
  name: "attention",
  key,
  bindings: (s: AttentionSpec): Record<string, Binding> => ({
    ...{ q: READ, k: READ, v: READ },
    ...padding(s),
    y: { access: "write", type: "vec4u" },
    logs: { access: "write", type: "u32" },
  }),
  params: SIZES,
  body: (s) => wgsl`
${nanTest("f32")}
fn isUnsound(score: f32) -> bool { return isNan(score) | (score > 3.4028234e38); }
${head(s, "p.t")}
  ${load(s, "q", (r) => place(s, "q", `row${r}`), " * p.scale")}
  ${zeros(s, "y")}
  ${each(s.rows, (r) => `var most${r} = ${LOWEST}; var total${r} = 0.0; var sound${r} = true;`)}
  let end = ${s.causal ? `min(p.s, start + ${s.rows * s.lanes}u)` : "p.s"};
  for (var j = 0u; j < end; j++) {
    ${s.padded ? "if (padding[n * p.s + j] != 0u) { continue; }" : ""}
    ${each(s.rows, (r) => `var score${r} = 0.0;`)}
    ${take(s, "k", place(s, "k", "j"))}
    ${meet(s, (r, d) => `score${r} += dot(q${r}_${d}, k_${d});`)}
    ${s.causal ? each(s.rows, (r) => `let sees${r} = j <= row${r}; score${r} = select(${LOWEST}, score${r}, sees${r});`) : ""}
    // NaN is not less than anything.
    if (${range(s.rows)
      .map((r) => `!(score${r} <= most${r})`)
      .join(" | ")}) {
      ${each(
        s.rows,
        (r) => `{
        sound${r} = sound${r} & !isUnsound(score${r});
        let greater = max(most${r}, score${r});
        let factor = exp(most${r} - greater);
        most${r} = greater;
        total${r} *= factor;
        ${each(s.d4, (d) => `y${r}_${d} *= factor;`)}
      }`,
      )}
    }
    ${each(s.rows, (r) => {
      const weight = `exp(score${r} - most${r})`;
      return `let w${r} = ${s.causal ? `select(0.0, ${weight}, sees${r})` : weight}; total${r} += w${r};`;
    })}
    ${take(s, "v", place(s, "v", "j"))}
    ${meet(s, (r, d) => `y${r}_${d} += w${r} * v_${d};`)}
  }
  ${each(
    s.rows,
    (r) => `if (first + ${r}u < p.t) {
    let some = total${r} > 0.0;
    let share = select(0.0, 1.0 / total${r}, some);
    let at = ${placeOut(s, `row${r}`)};
    ${each(s.d4, (d) => `y[at + ${d}u] = select(vec4u(${NAN}), bitcast<vec4u>(y${r}_${d} * share), sound${r});`)}
    let sum = select(0.0, most${r} + log(total${r}), some);
    logs[plane * p.t + row${r}] = select(${NAN}, bitcast<u32>(sum), sound${r});
  }`,
  )}
}`,
  enables,
  workgroups: (s, p) => groups(s, p["t"]!, p["planes"]!),
  operations: (s, p) => operations(s, 2, p),
  loads,
});

/** What the backward pass knows of a query: log Σ exp of its scores, and Σ g y. */
export const attentionStatsKernel = /* @__PURE__ */ defineKernel({
  name: "attention-stats",
  key: () => "",
  bindings: { g: READ, y: READ, logs: { access: "read" }, stats: { access: "write", type: "vec2f" } },
  params: { count: "u32", heads: "u32", t: "u32", d4: "u32" },
  body: (_: null) => wgsl`
${linearMain()} {
  ${linearIndex("p.count")}
  let plane = index / p.t;
  let row = (plane / p.heads * p.t + index % p.t) * p.heads + plane % p.heads;
  var sum = 0.0;
  for (var d = row * p.d4; d < (row + 1u) * p.d4; d++) { sum += dot(g[d], y[d]); }
  stats[index] = vec2f(logs[index], sum);
}`,
  workgroups: (_, p) => linearGrid(p.count),
});

/** Whose rows an invocation owns: the gradients of queries, or those of keys and values. */
export interface AttentionGradSpec extends AttentionSpec {
  readonly of: "queries" | "keys";
}

/**
 * With w = exp(score − log Σ exp), computed again, and e = w · (g · v − Σ g y):
 *
 *     dq_i = scale · Σ_j e_ij k_j      dk_j = scale · Σ_i e_ij q_i      dv_j = Σ_i w_ij g_i
 *
 * The sums run in order. To either side an own row a has a partner b (q and g, or k and v), and
 * meets the pairs c, d of the other: its score is a · c, and g · v is b · d. Packed gradients go to
 * `da` all.
 */
export const attentionGradKernel = /* @__PURE__ */ defineKernel({
  name: "attention-grad",
  key: (s: AttentionGradSpec) => `${s.of},${key(s)}`,
  bindings: (s: AttentionGradSpec): Record<string, Binding> => ({
    ...{ q: READ, k: READ, v: READ, g: READ, stats: { access: "read", type: "vec2f" } },
    ...padding(s),
    da: WRITE,
    ...(s.of === "keys" && !s.packed ? { db: WRITE } : {}),
  }),
  params: SIZES,
  body: (s) => {
    const byKeys = s.of === "keys";
    const [a, b, c, d] = byKeys ? (["k", "v", "q", "g"] as const) : (["q", "g", "k", "v"] as const);
    const at = (name: "q" | "k" | "v" | "g", t: string) => (name === "g" ? placeOut(s, t) : place(s, name, t));
    const stats = (row: string) => `stats[plane * p.t + ${row}]`;
    const conditions = (r: number) => [
      ...(s.causal ? [byKeys ? `(j >= row${r})` : `(j <= row${r})`] : []),
      ...(s.padded && byKeys ? [`open${r}`] : []),
    ];
    const weight = (r: number) => {
      const [about, sees] = [byKeys ? "about" : `about${r}`, conditions(r).join(" & ")];
      const ifSeen = (value: string) => (sees ? `select(0.0, ${value}, ${sees})` : value);
      return `let w${r} = ${ifSeen(`weight(score${r} - ${about}.x)`)};
    let e${r} = ${ifSeen(`w${r} * (part${r} - ${about}.y)`)};`;
    };
    return wgsl`
${nanTest("f32")}
/// A query whose sum is NaN has weights of NaN.
fn weight(power: f32) -> f32 { return bitcast<f32>(select(bitcast<u32>(exp(power)), ${NAN}, isNan(power))); }
${head(s, byKeys ? "p.s" : "p.t")}
  ${load(s, a, (r) => at(a, `row${r}`), " * p.scale")}
  ${load(s, b, (r) => at(b, `row${r}`))}
  ${zeros(s, "da")}
  ${byKeys ? zeros(s, "db") : each(s.rows, (r) => `let about${r} = ${stats(`row${r}`)};`)}
  ${byKeys && s.padded ? each(s.rows, (r) => `let open${r} = padding[n * p.s + row${r}] == 0u;`) : ""}
  let end = ${byKeys ? "p.t" : s.causal ? `min(p.s, start + ${s.rows * s.lanes}u)` : "p.s"};
  for (var j = ${byKeys && s.causal ? "start" : "0u"}; j < end; j++) {
    ${s.padded && !byKeys ? "if (padding[n * p.s + j] != 0u) { continue; }" : ""}
    ${byKeys ? `let about = ${stats("j")};` : ""}
    ${each(s.rows, (r) => `var score${r} = 0.0; var part${r} = 0.0;`)}
    ${take(s, c, at(c, "j"))}
    ${take(s, d, at(d, "j"))}
    ${meet(s, (r, i) => `score${r} += dot(${a}${r}_${i}, ${c}_${i});`)}
    ${meet(s, (r, i) => `part${r} += dot(${b}${r}_${i}, ${d}_${i});`)}
    ${each(s.rows, weight)}
    ${meet(s, (r, i) => `da${r}_${i} += e${r} * ${c}_${i};`)}
    ${byKeys ? meet(s, (r, i) => `db${r}_${i} += w${r} * ${d}_${i};`) : ""}
  }
  ${each(
    s.rows,
    (r) => `if (first + ${r}u < ${byKeys ? "p.s" : "p.t"}) {
    ${each(s.d4, (i) => `da[at${a}${r} + ${i}u] = da${r}_${i} * p.scale;`)}
    ${byKeys ? each(s.d4, (i) => `${s.packed ? "da" : "db"}[at${b}${r} + ${i}u] = db${r}_${i};`) : ""}
  }`,
  )}
}`;
  },
  enables,
  workgroups: (s, p) => groups(s, p[s.of === "keys" ? "s" : "t"]!, p["planes"]!),
  operations: (s, p) => operations(s, s.of === "keys" ? 4 : 3, p),
  loads,
});
