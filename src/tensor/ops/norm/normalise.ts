import { type NormParts, normApplyKernel, statSets } from "../../../../shaders/norm/apply.wgsl";
import { normPoolKernel } from "../../../../shaders/norm/pool.wgsl";
import { normRowsKernel } from "../../../../shaders/norm/rows.wgsl";
import type { SumSoFar } from "../../graph";
import { keepBatch } from "../../parts";
import { sameShape } from "../../shape";
import { record, Tensor } from "../../tensor";
import { isTracing } from "../../trace";
import { expectFlag, expectNumber } from "../operands";
import { maxPool2d } from "../pool";
import { type Affine, affineForm, affineTensors, betaOf, expectAffine, gammaOf } from "./affine";
import { NORM_EPS } from "./eps";
import { addsInput, type NormForm, normGradients, wantedGrads } from "./gradients";
import { layoutOf, numbered } from "./layout";
import { checkParting, isAboutZero, measuredRows, nameOf, type Over, viewOf } from "./over";
import { inRows } from "./rows";
import { type Running, sourceOf, statisticsForm, statisticsOf } from "./statistics";
import { runWhole, wholeOf } from "./whole";
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
export const normalise = (x: Tensor, n: Normalisation): Tensor => run(x, n, {});

/**
 * The same with the maximum over k×k windows that lie side by side behind it, as
 * `maxPool2d(normalise(x, …), k)`, gradients included. Of images [parts · N, H, W, C] it is one
 * kernel, and neither the full-size output nor its gradient is ever in memory; but for layer norm,
 * where the elements of a window have not their statistics in common.
 */
export function normaliseThenPool(x: Tensor, n: Normalisation, k: number): Tensor {
  const windows = typeof n.over === "object" && "shape" in n.over ? null : windowsOf(x, k);
  return windows ? run(x, n, { windows }) : maxPool2d(normalise(x, n), k);
}

/**
 * y = max(normalise(x, …) + r, 0), the end of a residual block, as `relu(add(normalise(x, …), r))`,
 * gradients included, in the norm's last kernel. A trace is shown the three operations.
 * @param r the residual, which {@link addsResidual} has found to fit
 */
export const normaliseThenAdd = (x: Tensor, n: Normalisation, r: Tensor): Tensor => run(x, n, { residual: r });

/** Whether a residual is of the output's shape and parts, and the norm one that can add it. */
export function addsResidual(x: Tensor, { over, parts = 1, shared = false }: Normalisation, r: Tensor): boolean {
  const shape = shared ? [parts * x.shape[0]!, ...x.shape.slice(1)] : x.shape;
  const isLayer = typeof over === "object" && "shape" in over;
  return (
    !isTracing() &&
    !isLayer &&
    r.dtype === "f32" &&
    sameShape(shape, r.shape) &&
    r.parts === (parts > 1 ? parts : x.parts)
  );
}

/** What comes behind a normalisation, in its last kernel: one of the two, or neither. */
interface Behind {
  readonly windows?: Windows | null;
  readonly residual?: Tensor | null;
}

function run(x: Tensor, n: Normalisation, { windows = null, residual = null }: Behind): Tensor {
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
  const inputs = [x, ...tensors.flat(), ...(residual ? [residual] : [])];
  if (x.size === 0) return record(what, y, inputs, [], () => () => inputs.map((t) => t.newFull(t.shape, 0)));

  const { lanes, sizes } = layoutOf(view);
  const spec: NormParts = {
    parts,
    shared,
    statistics: statisticsForm(source, { parts, shared }),
    affine: affine.map(affineForm),
    aboutZero: isAboutZero(over),
  };
  const end = { relu, residual: residual !== null };
  const needs = { x: x.requiresGrad, affine: tensors.map((ts) => ts.some((t) => t.requiresGrad)) };
  const measuredView = { ...view, measured };
  const [gammas, betas] = [affine.map(gammaOf), affine.map(betaOf)];
  const given = {
    x: x.buffer,
    r: (residual ?? x).buffer,
    ...numbered("gamma", gammas),
    ...numbered("beta", betas),
    y: y.buffer,
  };
  const whole =
    source.kind === "own"
      ? wholeOf(x.device, measuredView, { ...spec, ...end }, windows, source.moved, wantedGrads(spec, needs))
      : null;
  const rows = source.kind === "own" && !windows && inRows(x.device, view, { ...spec, ...end });
  let stats: Tensor | null;
  if (rows) {
    stats = x.newEmpty([3, statSets(spec) * view.batches, view.groups]);
    x.device.run(normRowsKernel, { ...lanes, ...spec, ...end }, { ...given, stats: stats.buffer }, { ...sizes, eps });
  } else if (whole && source.kind === "own") {
    stats = x.newEmpty([3, statSets(spec), view.channels]);
    runWhole(x, whole, { ...given, stats: stats.buffer }, source, eps);
  } else {
    stats = statisticsOf(x, measuredView, spec, source, eps);
    const [kernel, buffers] = [
      { ...lanes, ...spec, ...end },
      { ...given, stats: (stats ?? x).buffer },
    ];
    if (windows) {
      const geometry = windowSizes(windows, view, sizes.row);
      x.device.run(normPoolKernel, { ...kernel, ...windowSpec(windows) }, buffers, { ...sizes, ...geometry });
    } else x.device.run(normApplyKernel, kernel, buffers, sizes);
  }
  // What a ReLU let through is told by y, or, where y is not the norm's own output or more to read,
  // computed again from what made it; which element of a window won is found again as well.
  const again = windows || residual || whole;
  const optional = [stats, residual || (relu && !again) ? y : null, ...gammas, ...betas.map((b) => (again ? b : null))];
  const present = optional.filter((t) => t !== null);
  const form: NormForm = {
    view: measuredView,
    spec,
    affineShape,
    ...end,
    windows,
    batch: source.kind === "own",
    rows,
    team: whole?.team ?? null,
  };
  const backward =
    (savedX: Tensor | undefined, ...handles: Tensor[]) =>
    (g: Tensor, sumSoFar: SumSoFar<Tensor>) => {
      const [savedStats, savedY, ...rest] = optional.map((t) => (t ? handles[present.indexOf(t)]! : null));
      const saved = {
        x: savedX!,
        stats: savedStats!,
        y: savedY!,
        gammas: rest.slice(0, affine.length),
        betas: rest.slice(affine.length),
      };
      const sum = needs.x && addsInput(form) ? sumSoFar(0) : null;
      const grads = normGradients(g, form, saved, needs, sum);
      return [
        sum ? null : grads.dx,
        ...affine.flatMap((a, i) => [
          ...(gammaOf(a) ? [grads.affine[i]!.gamma] : []),
          ...(betaOf(a) ? [grads.affine[i]!.beta] : []),
        ]),
        ...(residual ? [grads.residual] : []),
      ];
    };
  const running = source.kind === "fixed" ? source.sets[0]! : null;
  const [first] = affine as [Affine];
  const traced = first instanceof Tensor ? ("rows" as const) : first;
  const norm = { over, affine: traced, running, eps, relu, pooled: windows?.k ?? null };
  const centred = stats && !isAboutZero(over) ? { x, by: stats, columns: view.channels } : undefined;
  record(what, y, inputs, [x, ...present], backward, parts === 1 ? { norm } : {}, centred && { centred });
  stats?.dispose();
  return y;
}
