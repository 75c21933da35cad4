import { ArgumentError } from "../errors";
import { BatchNorm } from "../nn/batch-norm";
import type { Module } from "../nn/module";
import type { Norm } from "../nn/norm";
import { normaliseParts } from "../nn/norm-parts";
import type { Pass } from "../nn/pass";
import { add } from "../tensor/ops/elementwise";
import { stacked } from "../tensor/ops/lift";
import type { Affine } from "../tensor/ops/norm/affine";
import type { Normaliser } from "../tensor/ops/norm/normalise";
import { mean } from "../tensor/ops/reduce";
import { unstack } from "../tensor/ops/unstack";
import { showShape } from "../tensor/shape";
import { isWithoutGraph, type Tensor } from "../tensor/tensor";
import type { Branch } from "./branches";
import type { SignLossOptions } from "./sign-loss";
import type { Site } from "./site";

/** Runs around a batch norm that all branches go through together: `body` normalises x. */
export type AroundNorm = (norm: BatchNorm, x: Tensor, body: () => Tensor) => Tensor;

/** How a {@link BranchPass} runs. */
export interface PassOptions {
  /** Sum the sign losses of the passports. */
  signLoss?: SignLossOptions | undefined;
  /** Runs around every batch norm of what all branches share. */
  aroundTrunk?: AroundNorm | undefined;
  /**
   * Of so many samples the first ones have mean and variance of every batch norm in training; the
   * others are normalised by these.
   */
  measured?: { readonly samples: number; readonly first: number } | undefined;
  /** γ and β for some norms, in the place of their own. */
  affine?: ((norm: Norm) => Affine | undefined) | undefined;
}

/**
 * One pass through a network in some of its branches. What comes before the first norm that they
 * do not share is one batch [N, …]; that norm makes it as many, one after the other along the batch
 * (`Tensor.parts`), and each norm behind it gives every part its own statistics, γ and β.
 */
export class BranchPass implements Pass {
  #signLoss: Tensor | null = null;
  #penalties: Partial<Record<Branch, Tensor>> = {};

  constructor(
    readonly branches: readonly Branch[],
    private readonly sites: ReadonlyMap<Module, Site>,
    private readonly options: PassOptions = {},
  ) {}

  /**
   * Σ over the passports met so far of the sign loss; null before the first, or when it was not
   * asked for.
   */
  get signLoss(): Tensor | null {
    return this.#signLoss;
  }

  /** What the network penalised so far, summed up per branch. */
  get penalties(): Partial<Record<Branch, Tensor>> {
    return this.#penalties;
  }

  normalise(module: Module, x: Tensor, given: Normaliser): Tensor | undefined {
    const norm = module as Norm;
    const { branches, options } = this;
    const normaliser = norm instanceof BatchNorm && norm.training ? this.#measuring(given) : given;
    const affine = options.affine?.(norm);
    const site = this.sites.get(norm);
    if (site) {
      if (isWithoutGraph())
        throw new ArgumentError(
          "recompute: a norm with a passport lies in the module, whose sign loss and branches would be lost: name modules without passports, such as those before the first",
        );
      const secret = branches.some((b) => b !== "public") ? this.#secretRows(site) : undefined;
      const parts = branches.map((b) =>
        b === "public" ? { norm, affine } : { norm: site.secret.norm ?? norm, affine: secret },
      );
      return normaliseParts(x, parts, { shared: x.parts < parts.length, normaliser });
    }
    if (x.parts > 1) return normaliseParts(x, Array(x.parts).fill({ norm, affine }), { normaliser });
    const body = () => norm.run(x, norm.affine(affine), normaliser);
    const common = options.aroundTrunk && branches.length > 1 && norm instanceof BatchNorm;
    return common ? options.aroundTrunk!(norm, x, body) : body();
  }

  /** The same of the first samples alone, where that is asked for. */
  #measuring(normaliser: Normaliser): Normaliser {
    const { measured } = this.options;
    if (!measured) return normaliser;
    return (x, n) => {
      const items = x.shape[0]! / (n.shared ? 1 : (n.parts ?? 1));
      if (items === measured.samples) return normaliser(x, { ...n, measured: measured.first });
      throw new ArgumentError(
        `batch norm: a batch of ${measured.samples} samples, of which the first ${measured.first} have mean and variance, is expected, found input ${showShape(x.shape)}: leave samples along the first dimension, or train triggers with \`statistics: "batch"\``,
      );
    };
  }

  /** Adds the mean over the batch to the loss of each branch; what they share is computed once. */
  penalise(values: Tensor): void {
    const means = values.parts === 1 ? [mean(values)] : unstack(mean(stacked(values), 1));
    this.branches.forEach((branch, i) => {
      const [own, before] = [means[i] ?? means[0]!, this.#penalties[branch]];
      this.#penalties[branch] = before ? add(before, own) : own;
    });
  }

  /** γ and β of the private branch. */
  #secretRows({ secret }: Site): Affine {
    const { passport } = secret;
    if (!passport) return { gamma: secret.weight, beta: secret.bias };
    const { raw, rows } = passport.gammaBeta();
    const { signLoss } = this.options;
    if (signLoss) this.#signLoss = passport.signLoss(raw, signLoss, this.#signLoss);
    return rows;
  }
}
