import type { NormParts } from "../../../../shaders/norm/apply.wgsl";
import { normMergeKernel, normRunningKernel, normStatsKernel } from "../../../../shaders/norm/statistics.wgsl";
import { ArgumentError, ShapeError } from "../../../errors";
import { isRerun } from "../../rerun";
import { showShape } from "../../shape";
import type { Tensor } from "../../tensor";
import { expectFlag, expectNumber, expectShape } from "../operands";
import { layoutOf, type MeasuredView, numbered, splitsFor, type View } from "./layout";
import { nameOf, type Over, type Parting } from "./over";

/** Running statistics [C] of one norm. */
export interface RunningSet {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/** Running statistics that a batch norm moves or uses. */
export interface Running {
  /** One set for each part, or one for all, which every part moves in its turn; or none. */
  readonly sets: readonly RunningSet[];
  /**
   * Normalise by the batch and move them; else they are constants. Without any the batch's own are
   * used.
   */
  readonly training: boolean;
  /** Weight m of a new batch: running = (1 − m)·running + m·batch. */
  readonly momentum: number;
}

/**
 * Where statistics come from: the input itself (and which running ones it moves), fixed ones, or
 * nowhere.
 */
export type Source =
  | { readonly kind: "own"; readonly moved: readonly RunningSet[]; readonly momentum: number }
  | { readonly kind: "fixed"; readonly sets: readonly RunningSet[] }
  | { readonly kind: "none" };

/**
 * @throws ShapeError, ArgumentError for running statistics that do not fit, or too few values to
 * normalise by.
 */
export function sourceOf(x: Tensor, over: Over, view: View, parts: number, running: Running | undefined): Source {
  if (over === "nothing") return { kind: "none" };
  if (over !== "batch") return { kind: "own", moved: [], momentum: 0 };
  const what = nameOf(over);
  const { sets, training, momentum } = running ?? { sets: [], training: true, momentum: 0 };
  expectNumber(what, "momentum", momentum, 0, 1);
  expectFlag(what, "training", training);
  if (sets.length > 1 && sets.length !== parts)
    throw new ArgumentError(
      `${what}: running statistics for each of the ${parts} parts, or one set for all, are expected, found ${sets.length}`,
    );
  for (const { mean, variance } of sets) {
    expectShape(what, "runningMean", mean, [view.channels]);
    expectShape(what, "runningVar", variance, [view.channels]);
  }
  if (!training && sets.length) return { kind: "fixed", sets };
  if (view.rows >= 2) return { kind: "own", moved: training && !isRerun() ? sets : [], momentum };
  throw new ShapeError(
    `${what}: expected more than 1 value per channel when normalising by the batch, found input ${showShape(x.shape)}: use a larger batch, or running statistics`,
  );
}

/**
 * Whose statistics the parts have: parts of one input, and parts that share running ones, have them
 * in common.
 */
export function statisticsForm(source: Source, { parts, shared }: Parting): NormParts["statistics"] {
  if (source.kind === "none") return "none";
  const one = source.kind === "own" ? shared : source.sets.length === 1;
  return one || parts === 1 ? "one" : "each";
}

/**
 * Planes [3, …] of shift, mean − shift and 1/√(variance + eps); null where nothing is normalised.
 */
export function statisticsOf(
  x: Tensor,
  view: MeasuredView,
  form: NormParts,
  source: Source,
  eps: number,
): Tensor | null {
  if (source.kind === "none") return null;
  if (source.kind === "own") return ownStatistics(x, view, form, eps, source);
  const { sets } = source;
  const stats = x.newEmpty([3, sets.length, view.channels]);
  x.device.run(
    normRunningKernel,
    { sets: sets.length },
    { ...runningBuffers(sets), stats: stats.buffer },
    { units: view.channels, eps },
  );
  return stats;
}

/**
 * Those of the input itself; running ones are moved along. Two dispatches, one where a single split
 * will do.
 */
function ownStatistics(
  x: Tensor,
  view: MeasuredView,
  { parts, statistics, aboutZero = false }: NormParts,
  eps: number,
  { moved, momentum }: Extract<Source, { kind: "own" }>,
): Tensor {
  const sets = statistics === "each" ? parts : 1;
  const whole = { ...view, batches: sets * view.batches };
  const { lanes, sizes } = layoutOf(whole);
  const items = view.measured * sizes.q;
  // By the units of one part: a part's statistics are the same numbers in whatever batch it lies.
  const splits = splitsFor(x.device, sizes.units / sets, items);
  const stats = x.newEmpty([3, whole.batches, view.groups]);
  const part = splits > 1 ? x.newEmpty([2, splits, whole.batches, view.groups]) : null;
  // Sets are told apart only where they move running statistics; else they are so many batch items
  // more.
  const tracking = { sets: moved.length ? sets : 1, running: runningOf(moved, parts), aboutZero };
  const buffers = { x: x.buffer, part: (part ?? x).buffer, stats: stats.buffer, ...runningBuffers(moved) };
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

/** By part, the number of the running set that it moves. */
export const runningOf = (moved: readonly RunningSet[], parts: number): number[] =>
  moved.length ? Array.from({ length: parts }, (_, k) => (moved.length > 1 ? k : 0)) : [];

/** Buffers of running means and variances, by their names in kernels. */
export const runningBuffers = (sets: readonly RunningSet[]) => ({
  ...numbered(
    "runningMean",
    sets.map((s) => s.mean),
  ),
  ...numbered(
    "runningVar",
    sets.map((s) => s.variance),
  ),
});
