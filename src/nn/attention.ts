import { flag, optionsOf, refuse, whole } from "../demand";
import { ShapeError } from "../errors";
import { type AttentionOptions, packedAttention, scaledDotProductAttention } from "../tensor/ops/attention";
import { add, reshape } from "../tensor/ops/elementwise";
import { narrow } from "../tensor/ops/movement";
import { expectTensors } from "../tensor/ops/operands";
import { linear } from "../tensor/ops/products/matmul";
import type { Generator } from "../tensor/random";
import { showShape } from "../tensor/shape";
import { scope } from "../tensor/storage";
import type { Tensor } from "../tensor/tensor";
import { constant } from "./constant";
import type { Layer } from "./layers";
import { Linear } from "./linear";
import { Module, type ModuleChild } from "./module";
import { generatorOf } from "./random";
import { parameter } from "./registration";

/** Options of {@link MultiheadAttention}. */
export interface MultiheadAttentionOptions {
  /** Learn biases of all projections (default true). */
  bias?: boolean;
  /** Channels of the keys' input (default: `embedDim`). */
  kdim?: number;
  /** Channels of the values' input (default: `embedDim`). */
  vdim?: number;
  /** Source of the initial weights (default: the common one, see `manualSeed`). */
  random?: Generator;
}

/** Which keys a query sees, see {@link scaledDotProductAttention}. */
export type AttentionMask = Pick<AttentionOptions, "causal" | "keyPadding">;

/**
 * Attention in several heads, each over its own part of the channels:
 *
 *     y = outProj(concat over heads h of attention(Q_h, K_h, V_h)),  Q, K, V = projections of q, k, v
 *
 * The projections are ordinary linear maps: `inProj` gives Q, K and V side by side as 3·E outputs;
 * with another `kdim` or `vdim` there are `qProj`, `kProj` and `vProj` in its place, and one bias
 * for all.
 *
 * Shape: q [N, T, E], k [N, S, kdim], v [N, S, vdim] → [N, T, E]: batch first. State dicts are
 * PyTorch's: `in_proj_weight` (or `q_proj_weight` …), `in_proj_bias`, `out_proj.weight`,
 * `out_proj.bias`; so is the initialisation, Xavier uniform and biases of 0.
 *
 * Source: Vaswani et al., "Attention is all you need", NeurIPS 2017;
 * `torch.nn.MultiheadAttention`, without dropout and without the weights it can return.
 *
 * @throws ArgumentError when heads do not divide the channels, and for sizes and options that are
 * none.
 *
 * @example
 * const attention = new MultiheadAttention(64, 4);
 * const y = attention.forward(x, x, x, { causal: true });      // [N, T, 64]
 */
export class MultiheadAttention extends Module {
  /** E inputs to 3·E outputs; null where keys or values have channels of their own number. */
  readonly inProj: Linear | null = null;
  readonly qProj: Linear | null = null;
  readonly kProj: Linear | null = null;
  readonly vProj: Linear | null = null;
  /** Where the projections are apart: 3·E numbers. */
  readonly inProjBias: Tensor | null = null;
  readonly outProj: Linear;

  constructor(
    readonly embedDim: number,
    readonly numHeads: number,
    options?: MultiheadAttentionOptions,
  ) {
    super();
    const what = "MultiheadAttention";
    const given = optionsOf(what, options, ["bias", "kdim", "vdim", "random"]);
    whole(what, "embedDim", embedDim);
    whole(what, "numHeads", numHeads);
    if (embedDim % numHeads !== 0) refuse(what, "numHeads", `a divisor of embedDim, which is ${embedDim}`, numHeads);
    const { bias = true, kdim = embedDim, vdim = embedDim } = given;
    flag(what, "bias", bias);
    whole(what, "kdim", kdim);
    whole(what, "vdim", vdim);
    const random = generatorOf(what, given.random);
    if (kdim === embedDim && vdim === embedDim) this.inProj = xavier(embedDim, 3 * embedDim, bias, random);
    else {
      this.qProj = xavier(embedDim, embedDim, false, random);
      this.kProj = xavier(kdim, embedDim, false, random);
      this.vProj = xavier(vdim, embedDim, false, random);
      this.inProjBias = bias ? parameter(constant([3 * embedDim], 0)) : null;
    }
    this.outProj = new Linear(embedDim, embedDim, { bias, random });
    this.outProj.bias?.write(new Float32Array(embedDim));
  }

  /** PyTorch's names: `in_proj_weight`, but `out_proj.weight`. */
  override *children(): Iterable<ModuleChild> {
    for (const [name, child] of super.children()) yield [name, child, name === "out_proj" ? "." : "_"];
  }

  protected override describe(): string {
    return `${this.embedDim}, ${this.numHeads} heads`;
  }

  /**
   * @param k default: q
   * @param v default: k
   * @throws ShapeError for other shapes; ArgumentError for a mask that is none.
   */
  forward(q: Tensor, k: Tensor = q, v: Tensor = k, mask?: AttentionMask): Tensor {
    const what = "MultiheadAttention";
    expectTensors(what, { q, k, v });
    optionsOf(what, mask, ["causal", "keyPadding"]);
    this.#check(q, k, v);
    const [n, t] = q.shape as [number, number];
    const [heads, d] = [this.numHeads, this.embedDim / this.numHeads];
    return scope(() => {
      const y =
        this.inProj && q === k && k === v
          ? packedAttention(reshape(this.inProj.forward(q), [n, t, 3, heads, d]), mask)
          : this.#apart([q, k, v], mask);
      return this.outProj.forward(reshape(y, [y.shape[0]!, t, this.embedDim]));
    });
  }

  #apart(inputs: readonly Tensor[], mask: AttentionMask | undefined): Tensor {
    const [q, k, v] = inputs.map((x, i) =>
      reshape(this.#projected(x, i), [...x.shape.slice(0, 2), this.numHeads, this.embedDim / this.numHeads]),
    ) as [Tensor, Tensor, Tensor];
    return scaledDotProductAttention(q, k, v, mask);
  }

  /** Q, K or V of an input. */
  #projected(x: Tensor, i: number): Tensor {
    const { embedDim: e, inProj } = this;
    const part = (t: Tensor, axis: number) => narrow(t, axis, i * e, e);
    if (inProj instanceof Linear) return linear(x, part(inProj.weight, 1), inProj.bias && part(inProj.bias, 0));
    // Somebody's own map in its place.
    if (inProj) return part((inProj as Layer).forward(x), -1);
    const y = [this.qProj, this.kProj, this.vProj][i]!.forward(x);
    return this.inProjBias ? add(y, part(this.inProjBias, 0)) : y;
  }

  #check(q: Tensor, k: Tensor, v: Tensor): void {
    const { embedDim, kProj, vProj } = this;
    const [kdim, vdim] = [kProj?.inFeatures ?? embedDim, vProj?.inFeatures ?? embedDim];
    // What the branches of a network share has the batch of each.
    const batchOf = ({ shape, parts }: Tensor) => shape[0]! / parts;
    const fits = (x: Tensor, channels: number) => x.rank === 3 && x.shape[2] === channels && batchOf(x) === batchOf(q);
    if (fits(q, embedDim) && fits(k, kdim) && fits(v, vdim) && k.shape[1] === v.shape[1]) return;
    const found = [q, k, v].map((x) => showShape(x.shape)).join(", ");
    throw new ShapeError(
      `MultiheadAttention: q [N, T, ${embedDim}], k [N, S, ${kdim}] and v [N, S, ${vdim}] are expected, found ${found}`,
    );
  }
}

/** A linear map as PyTorch's attention begins with: weights U(±√(6 / (I + O))), biases 0. */
function xavier(inputs: number, outputs: number, bias: boolean, random: Generator): Linear {
  const map = new Linear(inputs, outputs, { bias, random });
  const bound = Math.sqrt(6 / (inputs + outputs));
  map.weight.write(random.fill(new Float32Array(map.weight.size), "uniform", -bound, bound));
  map.bias?.write(new Float32Array(outputs));
  return map;
}
