import { type NormParts, normApplyKernel } from "../../../../shaders/norm/apply.wgsl";
import { normPoolKernel } from "../../../../shaders/norm/pool.wgsl";
import { keepBatch } from "../../parts";
import { record, Tensor } from "../../tensor";
import { expectFlag, expectNumber } from "../operands";
import { maxPool2d } from "../pool";
import { type Affine, affineForm, affineTensors, betaOf, expectAffine, gammaOf } from "./affine";
import { NORM_EPS } from "./eps";
import { normGradients } from "./gradients";
import { layoutOf, numbered } from "./layout";
import { checkParting, isAboutZero, measuredRows, nameOf, type Over, viewOf } from "./over";
import { type Running, sourceOf, statisticsForm, statisticsOf } from "./statistics";
import { pooledShape, type Windows, windowSizes, windowSpec, windowsOf } from "./windows";

/** A normalisation: all but its input. */
export interface Normalisation {
  /** Which elements have their mean and variance in common. */
  readonly over: Over;
  /** Running statistics, of `over: "batch"` alone. */
  readonly running?: Running | undefined;
  /** γ and β of each part, or (a single entry) the same for all; by default none. */
  readonly affine?: readonly Affine[] | undefined;
  /**
   * Parts of equal size that the batch is made of (default 1), each normalised as if it were a
   * batch of its own.
   */
  readonly parts?: number | undefined;
  /**
   * All parts read the same x [N, …] (default false); else theirs lie one after the other in it,
   * [parts · N, …].
   */
  readonly shared?: boolean | undefined;
  /**
   * Of each part so many items, from the first on, have mean and variance (default all), of `over:
   * "batch"` alone; the others are normalised by these.
   */
  readonly measured?: number | undefined;
  /** Added to the variance (default 1e-5). */
  readonly eps?: number | undefined;
  /** y = max(·, 0) in the same kernel (default false). */
  readonly relu?: boolean | undefined;
}

/** Computes a normalisation of x: `normalise`, or one with something fused behind it. */
export type Normaliser = (x: Tensor, n: Normalisation) => Tensor;

/**
 * The one normalisation, of each part k of a batch by itself, in the same number of launches for
 * any number of parts:
 *
 *     y_k = act(γ_k ⊙ (x_k − μ_k) / √(σ_k² + eps) + β_k)
 *
 * μ and σ² (biased) are those of the elements that `over` says, or the running ones. Parts that
 * share x have its statistics in common, and dx is the sum of theirs.
 *
 * With fewer items `measured`, means over what μ and σ² are of stand in their gradients alone:
 *
 *     dx_i = rstd·(γ·dy_i − [i is measured]·(Σ γ·dy + z_i·Σ γ·dy·z) / measured values),
 *
 * Σ over all.
 *
 * Shapes: x [N, …, C] where the parts share it, else [parts · N, …, C] → [parts · N, …, C].
 * @throws ShapeError for an input, γ, β or running statistics that do not fit; ArgumentError for
 * numbers out of their ranges.
 */
export const normalise = (x: Tensor, n: Normalisation): Tensor => run(x, n, null);

/**
 * The same with the maximum over k×k windows that lie side by side behind it, as
 * `maxPool2d(normalise(x, …), k)`, gradients included. Of images [parts · N, H, W, C] it is one
 * kernel, and neither the full-size output nor its gradient is ever in memory; but for layer norm,
 * where the elements of a window have not their statistics in common.
 */
export function normaliseThenPool(x: Tensor, n: Normalisation, k: number): Tensor {
  const windows = typeof n.over === "object" && "shape" in n.over ? null : windowsOf(x, k);
  return windows ? run(x, n, windows) : maxPool2d(normalise(x, n), k);
}

function run(x: Tensor, n: Normalisation, windows: Windows | null): Tensor {
  const { over, affine = [{}], parts = 1, shared = false, eps = NORM_EPS, relu = false } = n;
  const what = nameOf(over);
  const { view, affine: affineShape } = viewOf(x, over, { parts, shared });
  const ofBatch = typeof over === "object" && "shape" in over && over.shape.length === x.rank;
  keepBatch(what, x, ofBatch || (over === "batch" && parts !== x.parts));
  checkParting(x, over, { parts, shared }, affine.length);
  const measured = measuredRows(x, over, view, { parts, shared }, n.measured);
  const source = sourceOf(x, over, { ...view, rows: measured }, parts, n.running);
  expectNumber(what, "eps", eps, 0, Number.MAX_VALUE);
  expectFlag(what, "relu", relu);
  for (const a of affine) expectAffine(what, a, affineShape);
  const y = x.newEmpty(pooledShape(shared ? [parts * x.shape[0]!, ...x.shape.slice(1)] : x.shape, windows));
  if (parts > 1) y.parts = parts;
  const tensors = affine.map(affineTensors);
  const inputs = [x, ...tensors.flat()];
  if (x.size === 0) return record(what, y, inputs, [], () => () => inputs.map((t) => t.newFull(t.shape, 0)));

  const { lanes, sizes } = layoutOf(view);
  const spec: NormParts = {
    parts,
    shared,
    statistics: statisticsForm(source, { parts, shared }),
    affine: affine.map(affineForm),
    aboutZero: isAboutZero(over),
  };
  const stats = statisticsOf(x, { ...view, measured }, spec, source, eps);
  const [gammas, betas] = [affine.map(gammaOf), affine.map(betaOf)];
  const buffers = {
    x: x.buffer,
    stats: (stats ?? x).buffer,
    ...numbered("gamma", gammas),
    ...numbered("beta", betas),
    y: y.buffer,
  };
  const kernel = { ...lanes, ...spec, relu };
  if (windows) {
    const geometry = windowSizes(windows, view, sizes.row);
    x.device.run(normPoolKernel, { ...kernel, ...windowSpec(windows) }, buffers, { ...sizes, ...geometry });
  } else x.device.run(normApplyKernel, kernel, buffers, sizes);
  // Which element of a window won is found again from what made y; without windows y tells where
  // the ReLU let gradients through.
  const optional = [stats, relu && !windows ? y : null, ...gammas, ...betas.map((b) => (windows ? b : null))];
  const needs = { x: x.requiresGrad, affine: tensors.map((ts) => ts.some((t) => t.requiresGrad)) };
  const present = optional.filter((t) => t !== null);
  const form = { view: { ...view, measured }, spec, affineShape, relu, windows, batch: source.kind === "own" };
  const backward =
    (savedX: Tensor | undefined, ...handles: Tensor[]) =>
    (g: Tensor) => {
      const [savedStats, savedY, ...rest] = optional.map((t) => (t ? handles[present.indexOf(t)]! : null));
      const saved = {
        x: savedX!,
        stats: savedStats!,
        y: savedY!,
        gammas: rest.slice(0, affine.length),
        betas: rest.slice(affine.length),
      };
      const grads = normGradients(g, form, saved, needs);
      return [
        grads.dx,
        ...affine.flatMap((a, i) => [
          ...(gammaOf(a) ? [grads.affine[i]!.gamma] : []),
          ...(betaOf(a) ? [grads.affine[i]!.beta] : []),
        ]),
      ];
    };
  const running = source.kind === "fixed" ? source.sets[0]! : null;
  const [first] = affine as [Affine];
  const traced = first instanceof Tensor ? ("rows" as const) : first;
  const norm = { over, affine: traced, running, eps, relu, pooled: windows?.k ?? null };
  record(what, y, inputs, [x, ...present], backward, parts === 1 ? { norm } : {});
  stats?.dispose();
  return y;
}
