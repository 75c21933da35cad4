import { optionsOf, refuse, within } from "../demand";
import { Optimizer, type OptimizerRule } from "./optimizer";
import type { Params } from "./params";

/** Options of {@link Adam} and {@link AdamW}. */
export interface AdamOptions {
  /** Learning rate, ≥ 0. Default 1e-3. */
  lr?: number;
  /** β₁ and β₂, the decay rates of the two moments, from 0 to below 1. Default [0.9, 0.999]. */
  betas?: readonly [beta1: number, beta2: number];
  /** ε, added to the denominator. Default 1e-8. */
  eps?: number;
  /** λ. Default 0 for {@link Adam}, 0.01 for {@link AdamW}. */
  weightDecay?: number;
}

/** What stands for ln 0, which WGSL need not represent: e^-1000 is 0 in f32. */
const LOG_ZERO = -1000;

function adam(what: string, options: AdamOptions | undefined, decoupled: boolean): OptimizerRule {
  const given = optionsOf(what, options, ["lr", "betas", "eps", "weightDecay"]);
  const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = decoupled ? 1e-2 : 0 } = given;
  if (!Array.isArray(betas) || betas.length !== 2) refuse(what, "betas", "an array of two numbers", betas);
  const [beta1, beta2] = betas as readonly [number, number];
  for (const [i, beta] of [beta1, beta2].entries())
    if (!(typeof beta === "number" && beta >= 0 && beta < 1))
      refuse(what, `betas[${i}]`, "a number from 0 to below 1", beta);
  within(what, "eps", eps, 0);
  return {
    name: what,
    rule: "adam",
    lr,
    weightDecay,
    hyper: (rate, decay) => ({
      lr: rate,
      l2: decoupled ? 0 : decay,
      shrink: decoupled ? 1 - rate * decay : 1,
      beta1,
      rest1: 1 - beta1,
      log1: Math.max(Math.log(beta1), LOG_ZERO),
      beta2,
      rest2: 1 - beta2,
      log2: Math.max(Math.log(beta2), LOG_ZERO),
      eps,
    }),
  };
}

/**
 * Adam, with PyTorch's formulas; t counts the parameter's own steps from 1:
 *
 *     d = g + λ·w
 *     m ← β₁·m + (1 − β₁)·d
 *     v ← β₂·v + (1 − β₂)·d²
 *     w ← w − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
 *
 * State: `exp_avg` (m) and `exp_avg_sq` (v), two numbers a weight, and `step` (t).
 *
 * @example new Adam(model, { lr: 1e-3, weightDecay: 1e-4 })
 * @throws ArgumentError for a negative `lr`, `eps` or `weightDecay`, or betas not in [0, 1); see
 * also {@link Optimizer}.
 *
 * Source: `torch.optim.Adam` (PyTorch 1.13); Kingma, Ba, "Adam: a method for stochastic
 * optimization", ICLR 2015.
 */
export class Adam extends Optimizer {
  constructor(params: Params, options?: AdamOptions) {
    super(params, adam("Adam", options, false));
  }
}

/**
 * Adam with decoupled weight decay: as {@link Adam} with λ = 0 in d, and
 *
 *     w ← (1 − lr·λ)·w          before the step
 *
 * State and errors as {@link Adam}; λ is 0.01 by default.
 *
 * Source: `torch.optim.AdamW` (PyTorch 1.13); Loshchilov, Hutter, "Decoupled weight decay
 * regularization", ICLR 2019.
 */
export class AdamW extends Optimizer {
  constructor(params: Params, options?: AdamOptions) {
    super(params, adam("AdamW", options, true));
  }
}
