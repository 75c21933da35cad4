import { signLossGradKernel, signLossKernel } from "../../shaders/sign-loss.wgsl";
import { ShapeError } from "../errors";
import { expectNumber, expectOptional, expectOptions, expectTensors } from "../tensor/ops/operands";
import { sameShape, showShape } from "../tensor/shape";
import { record, type Tensor } from "../tensor/tensor";

/** Constants of {@link signLoss}. */
export interface SignLossOptions {
  /** Weight of the hinge (default 0.1). */
  alpha?: number;
  /** How far each γ must be on its bit's side (default 0.1). */
  margin?: number;
  /** Weight of the squares, which keep γ small (default 1e-5). */
  l2?: number;
}

const CONSTANTS = ["alpha", "margin", "l2"] as const;

/** @throws ArgumentError for other options, and a constant that is negative or not finite. */
export function checkSignLoss(what: string, options: SignLossOptions): void {
  expectOptions(what, options, CONSTANTS);
  for (const name of CONSTANTS) if (options[name] !== undefined) expectNumber(what, name, options[name], 0);
}

/**
 * Loss that drives the signs of γ to a signature:
 *
 *     L = alpha · Σ_i max(margin − γ_i·b_i, 0) + l2 · Σ_i γ_i²
 *
 * Shapes: gamma [O] (before any FC), or rows [2, O] that begin with it; bits [O] of −1 and +1 → [].
 * Fan et al., "DeepIPR", TPAMI 2021, equation 4; margin, alpha and the second term as in the
 * authors' code.
 * @param before loss of other layers [], added in the same kernel
 * @throws ShapeError unless there is one bit per channel, and for integers.
 * @throws ArgumentError for a constant that is negative or not finite.
 */
export function signLoss(
  gamma: Tensor,
  bits: Tensor,
  options: SignLossOptions = {},
  before: Tensor | null = null,
): Tensor {
  expectTensors("signLoss", { gamma, bits });
  expectOptional("signLoss", { before });
  checkSignLoss("signLoss", options);
  const { alpha = 0.1, margin = 0.1, l2 = 1e-5 } = options;
  if (before && before.size !== 1)
    throw new ShapeError(`signLoss: before is a loss of shape [], found ${showShape(before.shape)}`);
  if (bits.rank !== 1 || !(sameShape(gamma.shape, bits.shape) || sameShape(gamma.shape, [2, bits.size]))) {
    throw new ShapeError(
      `signLoss: γ ${showShape(gamma.shape)} and bits ${showShape(bits.shape)}: one bit a channel, both of shape [O], or γ the first of two rows [2, O]`,
    );
  }
  const params = { n: bits.size, size: gamma.size, alpha, margin, l2 };
  const loss = gamma.newEmpty([]);
  const buffers = { gamma: gamma.buffer, b: bits.buffer, before: (before ?? gamma).buffer, loss: loss.buffer };
  gamma.device.run(signLossKernel, { more: !!before }, buffers, params);
  return record("signLoss", loss, before ? [gamma, before] : [gamma], [gamma, bits], (saved, b) => (g, sumSoFar) => {
    const sum = sumSoFar(0);
    const d = sum ?? g.newEmpty(saved.shape);
    saved.device.run(
      signLossGradKernel,
      null,
      { g: g.buffer, gamma: saved.buffer, b: b.buffer, dgamma: d.buffer },
      { ...params, adds: sum ? 1 : 0 },
    );
    const own = sum ? null : d;
    return before ? [own, g] : [own];
  });
}
