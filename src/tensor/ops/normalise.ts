import { type NormParts, normApplyKernel } from "../../../shaders/norm.wgsl";
import { normPoolKernel } from "../../../shaders/norm-pool.wgsl";
import { normMergeKernel, normRunningKernel, normStatsKernel } from "../../../shaders/norm-stats.wgsl";
import type { Shape } from "../shape";
import { record, type Tensor } from "../tensor";
import {
  type AffineTensors,
  affineForm,
  affineTensors,
  expectAffine,
  layoutOf,
  numbered,
  type Parted,
  splitsFor,
  type View,
} from "./norm-layout";
import { pooledShape, windowSizes, windowSpec, windowsOf } from "./norm-pool";
import { normGradients } from "./normalise-grad";
import { expectFlag, expectNumber } from "./operands";

/** What every normalisation takes besides its input, γ and β. */
export interface NormSettings {
  /** Added to the variance (default 1e-5). */
  eps?: number | undefined;
  /** y = max(·, 0) in the same kernel (default false). */
  relu?: boolean | undefined;
  /** Maximum of each window of so many rows and columns, side by side, in the same kernel: y [N, ⌊H / pool⌋, ⌊W / pool⌋, C] (default 1, no pooling). As `maxPool2d` of the norm without it. */
  pool?: number | undefined;
}

/** What every normalisation takes besides its input. */
export interface NormOptions extends NormSettings, AffineTensors {}

export interface Running {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/**
 * Which statistics: the input's own (and where they are tracked), fixed ones, or none at all. Running sets are as many as there are parts, or one
 * for all of them, which each moves in its turn.
 */
export type Source =
  | { readonly kind: "own"; readonly track: readonly Running[]; readonly momentum: number }
  | { readonly kind: "fixed"; readonly running: readonly Running[] }
  | { readonly kind: "none" };

/** The input's own statistics, tracked nowhere. */
export const OWN: Source = { kind: "own", track: [], momentum: 0 };

/**
 * The one normalisation behind all: records the forward, and the backward for it.
 * @param view of one part of x
 * @param affineShape of γ and β
 */
export function normalise(
  what: string,
  x: Tensor,
  view: View,
  affineShape: Shape,
  { parts, shared, affine }: Parted,
  { eps = 1e-5, relu = false, pool = 1 }: NormSettings,
  source: Source,
): Tensor {
  expectNumber(what, "eps", eps, 0, Number.MAX_VALUE);
  expectFlag(what, "relu", relu);
  for (const a of affine) expectAffine(what, a, affineShape);
  const windows = windowsOf(what, x, pool);
  const y = x.newEmpty(pooledShape(shared ? [parts * x.shape[0]!, ...x.shape.slice(1)] : x.shape, windows));
  const tensors = affine.map(affineTensors);
  const inputs = [x, ...tensors.flat()];
  if (x.size === 0) return record(what, y, inputs, [], () => () => inputs.map((t) => t.newFull(t.shape, 0)));

  const { lanes, sizes } = layoutOf(view);
  const spec: NormParts = { parts, shared, statistics: setsOf(source, parts, shared), affine: affine.map(affineForm) };
  const stats = statisticsOf(x, view, spec, source, eps);
  const buffers = {
    x: x.buffer,
    stats: (stats ?? x).buffer,
    ...numbered(
      "gamma",
      affine.map((a) => a.rows ?? a.gamma),
    ),
    ...numbered(
      "beta",
      affine.map((a) => a.beta),
    ),
    y: y.buffer,
  };
  const kernel = { ...lanes, ...spec, relu };
  if (windows) {
    const geometry = windowSizes(windows, view, sizes.row);
    x.device.run(normPoolKernel, { ...kernel, ...windowSpec(windows) }, buffers, { ...sizes, ...geometry });
  } else x.device.run(normApplyKernel, kernel, buffers, sizes);
  // Which element of a window won is found again from what made y; without windows y tells where the ReLU let gradients through.
  const optional = [
    stats,
    relu && !windows ? y : null,
    ...affine.map((a) => a.rows ?? a.gamma ?? null),
    ...affine.map((a) => (windows && a.beta) || null),
  ];
  const needs = { x: x.requiresGrad, affine: tensors.map((ts) => ts.some((t) => t.requiresGrad)) };
  const present = optional.filter((t) => t !== null);
  const form = { view, spec, affineShape, relu, windows, batch: source.kind === "own" };
  record(what, y, inputs, [x, ...present], (savedX, ...handles) => (g) => {
    const [savedStats, savedY, ...rest] = optional.map((t) => (t ? handles[present.indexOf(t)]! : null));
    const [scales, shifts] = [rest.slice(0, affine.length), rest.slice(affine.length)];
    const saved = { x: savedX!, stats: savedStats!, y: savedY!, scales, shifts };
    const grads = normGradients(g, form, saved, needs);
    return [
      grads.dx,
      ...affine.flatMap((a, i) => {
        const { gamma, beta } = grads.affine[i]!;
        return a.rows ? [gamma] : [...(a.gamma ? [gamma] : []), ...(a.beta ? [beta] : [])];
      }),
    ];
  });
  stats?.dispose();
  return y;
}

/** Whose statistics the parts have: parts of one input, and parts that share running ones, have them in common. */
function setsOf(source: Source, parts: number, shared: boolean): NormParts["statistics"] {
  if (source.kind === "none") return "none";
  const one = source.kind === "own" ? shared : source.running.length === 1;
  return one || parts === 1 ? "one" : "each";
}

function statisticsOf(x: Tensor, view: View, spec: NormParts, source: Source, eps: number): Tensor | null {
  if (source.kind === "none") return null;
  if (source.kind === "own") return ownStatistics(x, view, spec, eps, source);
  const { running } = source;
  const [units, sets] = [view.channels, running.length];
  const stats = x.newEmpty([3, sets, units]);
  x.device.run(normRunningKernel, { sets }, { ...runningBuffers(running), stats: stats.buffer }, { units, eps });
  return stats;
}

/** Statistics planes of the input itself; running ones are moved along. Two dispatches, one where a single split will do. */
function ownStatistics(
  x: Tensor,
  view: View,
  { parts, statistics }: NormParts,
  eps: number,
  { track, momentum }: Extract<Source, { kind: "own" }>,
): Tensor {
  const sets = statistics === "each" ? parts : 1;
  const whole = { ...view, batches: sets * view.batches };
  const { lanes, sizes } = layoutOf(whole);
  const items = view.rows * sizes.q;
  // By the units of one part: a part's statistics are the same numbers in whatever batch it lies.
  const splits = splitsFor(x.device, sizes.units / sets, items);
  const stats = x.newEmpty([3, whole.batches, view.groups]);
  const part = splits > 1 ? x.newEmpty([2, splits, whole.batches, view.groups]) : null;
  // Sets are told apart only where they move running statistics; else they are so many batch items more.
  const running = track.length ? Array.from({ length: parts }, (_, k) => (track.length > 1 ? k : 0)) : [];
  const tracking = { sets: track.length ? sets : 1, running };
  const buffers = { x: x.buffer, part: (part ?? x).buffer, stats: stats.buffer, ...runningBuffers(track) };
  const common = { splits, items, eps, momentum };
  const invocations = part ? sizes.units * splits : sizes.units / tracking.sets;
  x.device.run(normStatsKernel, { ...lanes, ...tracking, partial: !!part }, buffers, {
    ...sizes,
    ...common,
    invocations,
  });
  if (part) {
    const { sizes: scalars } = layoutOf(whole, 1);
    x.device.run(normMergeKernel, tracking, buffers, {
      ...scalars,
      ...common,
      width: lanes.grouped ? lanes.width : 1,
    });
    part.dispose();
  }
  return stats;
}

const runningBuffers = (running: readonly Running[]) => ({
  ...numbered(
    "runningMean",
    running.map((r) => r.mean),
  ),
  ...numbered(
    "runningVar",
    running.map((r) => r.variance),
  ),
});
