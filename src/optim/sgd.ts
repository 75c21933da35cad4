import { flag, optionsOf, within } from "../demand";
import { ArgumentError } from "../errors";
import { Optimizer } from "./optimizer";
import type { Params } from "./params";

/** Options of {@link SGD}. */
export interface SGDOptions {
  /** Learning rate, ≥ 0. */
  lr: number;
  /** μ, ≥ 0. Default 0: no momentum buffer is kept. */
  momentum?: number;
  /** τ. Default 0. */
  dampening?: number;
  /**
   * Look ahead: w ← w − lr·(d + μ·m) instead of w ← w − lr·m (default false). Needs momentum above
   * 0 and no dampening.
   */
  nesterov?: boolean;
  /** λ, an L2 penalty of λ/2·‖w‖². Default 0. */
  weightDecay?: number;
}

/**
 * Stochastic gradient descent with momentum, with PyTorch's formulas:
 *
 *     d = g + λ·w
 *     m ← d at a parameter's first step, else μ·m + (1 − τ)·d        (only with momentum)
 *     w ← w − lr·(nesterov ? d + μ·m : m)                            (without momentum: w − lr·d)
 *
 * State: `momentum_buffer`, one number a weight, with momentum; also `step`, with dampening.
 *
 * Without any options `lr` is 1e-3, PyTorch's default; with others it has to be said.
 *
 * @example new SGD(model, { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 })
 *
 * @throws ArgumentError for options without an `lr`, for a negative `lr`, `momentum` or
 * `weightDecay`, an option that is none, or `nesterov` without momentum or with dampening; see also
 * {@link Optimizer}.
 *
 * Source: `torch.optim.SGD` (PyTorch 1.13); Sutskever et al., "On the importance of initialization
 * and momentum in deep learning", ICML 2013.
 */
export class SGD extends Optimizer {
  constructor(params: Params, options: SGDOptions = { lr: 1e-3 }) {
    const given = optionsOf("SGD", options, ["lr", "momentum", "dampening", "nesterov", "weightDecay"]);
    const { lr, momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 } = given;
    within("SGD", "momentum", momentum, 0);
    flag("SGD", "nesterov", nesterov);
    within("SGD", "dampening", dampening, -Number.MAX_VALUE);
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new ArgumentError(
        `nesterov needs a momentum above 0 and a dampening of 0, found ${momentum} and ${dampening}: change them, or leave nesterov out`,
      );
    }
    const name = "SGD";
    const steering = { momentum, fresh: nesterov ? 1 : 0, carried: nesterov ? momentum : 1 };
    if (momentum === 0) super(params, { name, rule: "sgd", lr, weightDecay, hyper: (rate, l2) => ({ lr: rate, l2 }) });
    else if (dampening === 0)
      super(params, { name, rule: "momentum", lr, weightDecay, hyper: (rate, l2) => ({ lr: rate, l2, ...steering }) });
    else
      super(params, {
        name,
        rule: "dampened",
        lr,
        weightDecay,
        hyper: (rate, l2) => ({ lr: rate, l2, ...steering, gain: 1 - dampening }),
      });
  }
}
