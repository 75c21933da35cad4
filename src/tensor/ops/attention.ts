import {
  type AttentionGradSpec,
  type AttentionSpec,
  attentionGradKernel,
  attentionKernel,
  attentionStatsKernel,
} from "../../../shaders/attention.wgsl";
import { optionsOf } from "../../demand";
import { ShapeError } from "../../errors";
import type { ProductCaps } from "../../gpu/kernel";
import { sameShape, showShape } from "../shape";
import { scope } from "../storage";
import { record, type Tensor } from "../tensor";
import { lifted, repeated } from "./lift";
import { narrow, pad } from "./movement";
import { expectFlag, expectNumber, expectTensors, type Integers, withIntegers } from "./operands";

/** Options of {@link scaledDotProductAttention}. */
export interface AttentionOptions {
  /** Query i sees keys 0 … i alone, however many of either there are (default false). */
  causal?: boolean;
  /**
   * Keys that nobody sees, [N, S]: whole numbers (i32, u32 or a list), 0 for a key and any other
   * for padding, as PyTorch's `key_padding_mask`. Default: none.
   */
  keyPadding?: Integers | null;
  /** What scores are multiplied by (default 1/√D). */
  scale?: number;
}

/** Longest row of a head: an invocation holds whole rows. */
const LONGEST_ROW = 256;

/**
 * Vectors of four that one invocation's rows of an operand fill at most. More rows load less and
 * compile longer: `npm run bench -- kernels --rows attention`, on SwiftShader. Those of graphics
 * processors are what fits into registers by `npm run bench -- offline`: the gradient of keys and
 * values holds four operands' rows.
 */
const VECTORS = {
  software: { forward: 64, queries: 32, keys: 32 },
  gpu: { forward: 16, queries: 16, keys: 8 },
} as const;

interface Call {
  /** Query, key and value; the same tensor thrice where they are packed. */
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly packed: boolean;
  readonly causal: boolean;
  readonly scale: number;
  /** Samples, queries, keys, heads, and numbers in a head's row. */
  readonly sizes: readonly [n: number, t: number, s: number, heads: number, d: number];
}

const op = "scaledDotProductAttention";

/**
 * Attention: what each query reads from the values, by how well it goes with their keys.
 *
 *     y_i = Σ_j w_ij v_j,   w_i = softmax over the keys j that i sees of (scale · q_i · k_j)
 *
 * A query that sees no key (all are padding) gives 0 and gets no gradient, where PyTorch's formula
 * would give NaN. A score of NaN or +∞ makes its row NaN. Differentiable towards q, k and v; sums
 * run in a fixed order. No tensor of T × S elements is ever in memory: the softmax is put together
 * along the keys, and the backward pass computes the scores again.
 *
 * Heads lie behind the positions, as channels-last tensors have them: a tensor [N, T, H·D]
 * reshaped. PyTorch's function has them before, [N, H, T, D].
 *
 * Shape: q [N, T, H, D], k and v [N, S, H, D] → [N, T, H, D]; D up to 256.
 *
 * @throws ShapeError for other shapes, and integers.
 * @throws ArgumentError for options that are none.
 *
 * Source: Vaswani et al., "Attention is all you need", NeurIPS 2017; Dao et al., "FlashAttention",
 * NeurIPS 2022; Milakov, Gimelshein, "Online normalizer calculation for softmax", 2018.
 */
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options?: AttentionOptions,
): Tensor {
  expectTensors(op, { q: query, k: key, v: value });
  const [q, k, v] = lifted([query, key, value] as const);
  const [n, t, heads, d] = q.shape as [number, number, number, number];
  const s = k.shape[1] ?? 0;
  if (q.rank !== 4 || !sameShape(k.shape, [n, s, heads, d]) || !sameShape(v.shape, k.shape))
    throw new ShapeError(
      `${op}: q [N, T, H, D], and k and v [N, S, H, D] are expected, found ${[q, k, v].map((x) => showShape(x.shape)).join(", ")}`,
    );
  return masked({ q, k, v, packed: false, sizes: [n, t, s, heads, d] }, options);
}

/**
 * {@link scaledDotProductAttention} of queries, keys and values that lie side by side, as one
 * linear map gives them: nothing is cut, and the gradient comes in one piece.
 *
 * Shape: qkv [N, T, 3, H, D] → [N, T, H, D].
 */
export function packedAttention(qkv: Tensor, options?: AttentionOptions): Tensor {
  expectTensors(op, { qkv });
  const [n, t, parts, heads, d] = qkv.shape as [number, number, number, number, number];
  if (qkv.rank !== 5 || parts !== 3)
    throw new ShapeError(`${op}: qkv [N, T, 3, H, D] is expected, found ${showShape(qkv.shape)}`);
  return masked({ q: qkv, k: qkv, v: qkv, packed: true, sizes: [n, t, t, heads, d] }, options);
}

function masked(call: Omit<Call, "causal" | "scale">, options: AttentionOptions | undefined): Tensor {
  const given = optionsOf(op, options, ["causal", "keyPadding", "scale"]);
  const [n, , s, , d] = call.sizes;
  const { causal = false, keyPadding = null, scale = 1 / Math.sqrt(Math.max(1, d)) } = given;
  expectFlag(op, "causal", causal);
  expectNumber(op, "scale", scale, -Number.MAX_VALUE);
  if (d > LONGEST_ROW)
    throw new ShapeError(`${op}: heads of up to ${LONGEST_ROW} numbers are handled, found ${d}: use more heads`);
  const whole = { ...call, causal, scale };
  if (keyPadding === null) return attend(whole, null);
  return withIntegers(op, "keyPadding", keyPadding, Infinity, call.q, (given) => {
    const { parts } = call.q;
    const padding = parts > 1 && given.shape[0] === n / parts ? repeated(given, parts) : given;
    if (!sameShape(padding.shape, [n, s]))
      throw new ShapeError(
        `${op}: keyPadding of shape ${showShape([n, s])} is expected, found ${showShape(padding.shape)}`,
      );
    return attend(whole, padding);
  });
}

/** Whole vectors of each row: what is missing is 0, and adds nothing to any product. */
function attend(call: Call, padding: Tensor | null): Tensor {
  const { sizes, packed } = call;
  const [n, t, s, heads, d] = sizes;
  const missing = (4 - (d % 4)) % 4;
  if (missing === 0) return run(call, padding);
  return scope(() => {
    const filled = (x: Tensor) => pad(x, [...x.shape.slice(1).map(() => [0, 0] as const), [0, missing]]);
    const q = filled(call.q);
    const [k, v] = packed ? [q, q] : [filled(call.k), filled(call.v)];
    return narrow(run({ ...call, q, k, v, sizes: [n, t, s, heads, d + missing] }, padding), -1, 0, d);
  });
}

function run(call: Call, padding: Tensor | null): Tensor {
  const { q, k, v, packed, causal, scale } = call;
  const [n, t, s, heads, d] = call.sizes;
  const y = q.newEmpty([n, t, heads, d]);
  const logs = q.newEmpty([n, heads, t]);
  const params = { planes: n * heads, heads, t, s, scale };
  const form = { d4: d / 4, causal, padded: padding !== null, packed };
  const { caps } = q.device;
  const mask = (of: Tensor | undefined) => (of ? { padding: of.buffer } : {});
  const buffers = { q: q.buffer, k: k.buffer, v: v.buffer, y: y.buffer, logs: logs.buffer };
  q.device.run(
    attentionKernel,
    { ...form, ...tile(caps, form.d4, "forward") },
    { ...buffers, ...mask(padding ?? undefined) },
    params,
  );
  const inputs = packed ? [q] : [q, k, v];
  const chosen = padding ? [padding] : [];
  const backward =
    (...saved: Tensor[]) =>
    (g: Tensor) => {
      const [sq, sk, sv] = packed ? [saved[0]!, saved[0]!, saved[0]!] : (saved as [Tensor, Tensor, Tensor]);
      const [sy, slogs, spadding] = saved.slice(inputs.length) as [Tensor, Tensor, Tensor | undefined];
      const stats = g.newEmpty([n, heads, t, 2]);
      const rows = { count: n * heads * t, heads, t, d4: form.d4 };
      g.device.run(
        attentionStatsKernel,
        null,
        { g: g.buffer, y: sy.buffer, logs: slogs.buffer, stats: stats.buffer },
        rows,
      );
      const gradient = (of: AttentionGradSpec["of"], into: Readonly<Record<string, Tensor>>) => {
        const spec = { ...form, of, ...tile(caps, form.d4, of) };
        const known = { q: sq.buffer, k: sk.buffer, v: sv.buffer, g: g.buffer, stats: stats.buffer, ...mask(spadding) };
        const results = Object.fromEntries(Object.entries(into).map(([name, x]) => [name, x.buffer]));
        g.device.run(attentionGradKernel, spec, { ...known, ...results }, params);
      };
      if (packed) {
        const da = g.newEmpty(sq.shape);
        for (const of of ["queries", "keys"] as const) gradient(of, { da });
        return [da];
      }
      const empty = (x: Tensor, wanted: boolean) => (wanted ? g.newEmpty(x.shape) : null);
      const dq = empty(sq, q.requiresGrad);
      if (dq) gradient("queries", { da: dq });
      const both = k.requiresGrad || v.requiresGrad;
      const [dk, dv] = [empty(sk, both), empty(sv, both)];
      if (dk && dv) gradient("keys", { da: dk, db: dv });
      return [dq, dk, dv];
    };
  const how = { numbers: [scale], form: causal ? "causal" : "all", chosen };
  // Weights are computed again by e^(q·k − …), and what rounding makes of the exponent they are off
  // by.
  const exact = packed ? inputs : [q, k];
  const result = record(op, y, inputs, [...inputs, y, logs, ...chosen], backward, how, { exact: [...exact, logs] });
  logs.dispose();
  return result;
}

/** What an invocation owns, and how many go together. */
function tile(
  { tiling, subgroupSize }: ProductCaps,
  d4: number,
  pass: "forward" | AttentionGradSpec["of"],
): Pick<AttentionSpec, "rows" | "lanes" | "shared"> {
  const isGpu = tiling === "workgroup";
  const shared = tiling === "subgroup";
  const most = VECTORS[isGpu ? "gpu" : "software"][pass] / d4;
  return { rows: [4, 2].find((rows) => rows <= most) ?? 1, lanes: isGpu ? 32 : shared ? subgroupSize : 4, shared };
}
