import { optionsOf, whole } from "../demand";
import { embedding, expectRow } from "../tensor/ops/gather";
import type { Integers } from "../tensor/ops/operands";
import type { Generator } from "../tensor/random";
import { Tensor } from "../tensor/tensor";
import { Module } from "./module";
import { generatorOf } from "./random";
import { parameter } from "./registration";

/** Options of {@link Embedding}. */
export interface EmbeddingLayerOptions {
  /** A row that is 0 at first and gets no gradient (default: none). */
  paddingIdx?: number | null;
  /** Source of the initial weights (default: the common one, see `manualSeed`). */
  random?: Generator;
}

/**
 * A learned vector for each of `num` indices.
 *
 * Shape: indices [K…] (i32 or u32, or lists of whole numbers) → [K…, dim]. Weight [num, dim], in
 * state dicts too. Initialised as PyTorch's: N(0, 1). Errors: {@link embedding}.
 * @throws ArgumentError for sizes that are no whole numbers from 1, and a paddingIdx that is no
 * row.
 *
 * @example
 * const words = new Embedding(1000, 64, { paddingIdx: 0 });
 * const x = words.forward([[5, 17, 0], [8, 0, 0]]);   // [2, 3, 64]
 */
export class Embedding extends Module {
  readonly weight: Tensor;
  readonly paddingIdx: number | null;

  constructor(
    readonly num: number,
    readonly dim: number,
    options?: EmbeddingLayerOptions,
  ) {
    super();
    const what = "Embedding";
    const { paddingIdx = null, random } = optionsOf(what, options, ["paddingIdx", "random"]);
    whole(what, "num", num);
    whole(what, "dim", dim);
    if (paddingIdx !== null) expectRow(what, paddingIdx, num);
    this.paddingIdx = paddingIdx;
    // The device's word first: the host might find room for what the device cannot hold.
    const weight = Tensor.empty([num, dim]);
    const data = generatorOf(what, random).fill(new Float32Array(num * dim), "normal");
    if (paddingIdx !== null) data.fill(0, paddingIdx * dim, (paddingIdx + 1) * dim);
    weight.write(data);
    this.weight = parameter(weight);
  }

  protected override describe(): string {
    return `${this.num} → ${this.dim}${this.paddingIdx === null ? "" : `, padding ${this.paddingIdx}`}`;
  }

  forward(indices: Integers): Tensor {
    return embedding(indices, this.weight, { paddingIdx: this.paddingIdx });
  }
}
