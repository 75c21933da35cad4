import type { NormAffine } from "../../../../shaders/norm/apply.wgsl";
import { expectUnparted } from "../../parts";
import type { Shape } from "../../shape";
import { Tensor } from "../../tensor";
import { expectShape } from "../operands";

/**
 * γ and β of a normalisation, computed tensors too, which then receive their gradients: each by
 * itself, or both as the rows of one tensor [2, …], γ first. A missing γ is 1, a missing β 0.
 */
export type Affine = AffinePair | Tensor;

/** γ and β, each by itself. */
export interface AffinePair {
  /** Factor γ of the normalised input (default 1). */
  gamma?: Tensor | null | undefined;
  /** Offset β (default 0). */
  beta?: Tensor | null | undefined;
}

/** In which form γ and β are given. */
export function affineForm(affine: Affine): NormAffine {
  if (affine instanceof Tensor) return "rows";
  if (affine.gamma) return affine.beta ? "both" : "scale";
  return affine.beta ? "shift" : "none";
}

/** γ, or the rows that it is the first of. */
export const gammaOf = (affine: Affine): Tensor | null => (affine instanceof Tensor ? affine : (affine.gamma ?? null));

/** β where it is a tensor of its own. */
export const betaOf = (affine: Affine): Tensor | null => (affine instanceof Tensor ? null : (affine.beta ?? null));

/** The tensors of γ and β, γ first. */
export const affineTensors = (affine: Affine): Tensor[] => [gammaOf(affine), betaOf(affine)].filter((t) => t !== null);

/** @throws ShapeError unless γ and β have that shape. */
export function expectAffine(what: string, affine: Affine, shape: Shape): void {
  expectUnparted(what, affine instanceof Tensor ? { rows: affine } : { gamma: affine.gamma, beta: affine.beta });
  if (affine instanceof Tensor) return expectShape(what, "rows", affine, [2, ...shape]);
  const { gamma, beta } = affine;
  if (gamma != null) expectShape(what, "gamma", gamma, shape);
  if (beta != null) expectShape(what, "beta", beta, shape);
}
