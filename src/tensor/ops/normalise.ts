import {
  type NormLanes,
  normApplyKernel,
  normMergeKernel,
  normRunningKernel,
  normStatsKernel,
} from "../../../shaders/norm.wgsl";
import {
  normGradApplyKernel,
  normGradFinishKernel,
  normGradPartialKernel,
  normGradRowsKernel,
} from "../../../shaders/norm-grad.wgsl";
import { ArgumentError, ShapeError } from "../../errors";
import type { Device } from "../../gpu/device";
import { type Shape, sameShape, showShape } from "../shape";
import { record, Tensor } from "../tensor";

/** What every normalisation takes besides its input. */
export interface NormOptions {
  /** Factor γ of the normalised input; it may be a computed tensor and receives its gradient. Without it: 1. */
  gamma?: Tensor | null | undefined;
  /** Offset β, likewise. Without it: 0. */
  beta?: Tensor | null | undefined;
  /** Added to the variance (default 1e-5). */
  eps?: number | undefined;
  /** y = max(·, 0) in the same kernel (default false). */
  relu?: boolean | undefined;
}

export interface Running {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/** x as [batches, rows, channels], with statistics for each of `groups` groups of neighbouring channels in each batch. */
export interface View {
  readonly batches: number;
  readonly rows: number;
  readonly channels: number;
  readonly groups: number;
}

/** Which statistics: the input's own (and where they are tracked), or fixed ones. */
export type Source =
  | { readonly own: true; readonly track: Running | null; readonly momentum: number }
  | { readonly own: false; readonly fixed: Running };

/** The input's own statistics, tracked nowhere. */
export const OWN: Source = { own: true, track: null, momentum: 0 };

/** The one normalisation behind all: records the forward, and the backward for it. */
export function normalise(
  what: string,
  x: Tensor,
  view: View,
  affineShape: Shape,
  options: NormOptions,
  source: Source,
): Tensor {
  const { gamma, beta, eps = 1e-5, relu = false } = options;
  if (x.dtype !== "f32") throw new ShapeError(`${what}: needs an f32 tensor, found ${x.dtype}`);
  if (!(eps >= 0 && eps < Infinity)) throw new ArgumentError(`${what}: eps of at least 0 is expected, found ${eps}`);
  if (gamma) expectShape(what, "gamma", gamma, affineShape);
  if (beta) expectShape(what, "beta", beta, affineShape);
  const y = Tensor.empty(x.shape);
  const inputs = [x, gamma, beta].filter((t) => t != null);
  if (x.size === 0) return record(what, y, inputs, [], () => () => inputs.map((t) => Tensor.full(t.shape, 0)));

  const { lanes, sizes } = layoutOf(view);
  const stats = source.own ? ownStatistics(x, view, eps, source) : fixedStatistics(source.fixed, eps);
  x.device.run(
    normApplyKernel,
    { ...lanes, gamma: !!gamma, beta: !!beta, relu },
    { x: x.buffer, stats: stats.buffer, gamma: (gamma ?? x).buffer, beta: (beta ?? x).buffer, y: y.buffer },
    sizes,
  );
  const save = [x, stats, ...(relu ? [y] : []), ...(gamma ? [gamma] : [])];
  const needed = [x, gamma, beta].map((t) => !!t?.requiresGrad) as [boolean, boolean, boolean];
  record(what, y, inputs, save, (savedX, savedStats, ...more) => (g) => {
    const saved: Saved = {
      x: savedX!,
      stats: savedStats!,
      y: relu ? more[0]! : null,
      gamma: gamma ? more[relu ? 1 : 0]! : null,
    };
    const [dx, dgamma, dbeta] = gradients(g, view, saved, source.own, needed);
    return [dx, ...(gamma ? [dgamma] : []), ...(beta ? [dbeta] : [])].map(
      (d, i) => d && (i ? reshaped(d, affineShape) : d),
    );
  });
  stats.dispose();
  return y;
}

const reshaped = (d: Tensor, shape: Shape): Tensor => (sameShape(d.shape, shape) ? d : d.view(shape));

/** Statistics planes of the input itself; running ones are moved along. Two dispatches, one where a single split will do. */
function ownStatistics(
  x: Tensor,
  view: View,
  eps: number,
  { track, momentum }: Extract<Source, { own: true }>,
): Tensor {
  const { lanes, sizes } = layoutOf(view);
  const items = view.rows * sizes.q;
  const splits = splitsFor(x.device, sizes.units, items);
  const stats = Tensor.empty([3, view.batches, view.groups]);
  const part = splits > 1 ? Tensor.empty([2, splits, view.batches, view.groups]) : null;
  const buffers = {
    x: x.buffer,
    part: (part ?? x).buffer,
    stats: stats.buffer,
    runningMean: (track?.mean ?? x).buffer,
    runningVar: (track?.variance ?? x).buffer,
  };
  const common = { splits, items, eps, momentum };
  const output = part ? "partial" : track ? "running" : "whole";
  x.device.run(normStatsKernel, { ...lanes, output }, buffers, {
    ...sizes,
    ...common,
    invocations: sizes.units * splits,
  });
  if (part) {
    const { sizes: scalars } = layoutOf(view, 1);
    x.device.run(normMergeKernel, { running: !!track }, buffers, {
      ...scalars,
      ...common,
      width: lanes.grouped ? lanes.width : 1,
    });
    part.dispose();
  }
  return stats;
}

function fixedStatistics({ mean, variance }: Running, eps: number): Tensor {
  const stats = Tensor.empty([3, mean.size]);
  const buffers = { runningMean: mean.buffer, runningVar: variance.buffer, stats: stats.buffer };
  mean.device.run(normRunningKernel, null, buffers, { units: mean.size, eps });
  return stats;
}

interface Saved {
  readonly x: Tensor;
  readonly stats: Tensor;
  readonly y: Tensor | null;
  readonly gamma: Tensor | null;
}

/** dx, dγ and dβ, those that are needed: partial sums, their end, dx. Rows that are groups of their own take a fourth dispatch. */
function gradients(
  g: Tensor,
  view: View,
  { x, stats, y, gamma }: Saved,
  batch: boolean,
  [needX, needGamma, needBeta]: readonly [boolean, boolean, boolean],
): [Tensor | null, Tensor | null, Tensor | null] {
  const { device } = g;
  const { lanes, sizes } = layoutOf(view);
  const scalars = layoutOf(view, 1).sizes;
  const relu = !!y;
  const affine = needGamma || needBeta;
  const values = (view.rows * view.channels) / view.groups;
  // With one row a batch item there is nothing to sum a channel and item: group means come from the rows, dγ and dβ across them.
  const perRow = lanes.grouped && view.rows === 1;
  const means = needX && batch ? Tensor.empty([2, view.batches, view.groups]) : null;
  const dgamma = affine ? Tensor.empty([view.channels]) : null;
  const dbeta = affine ? Tensor.empty([view.channels]) : null;
  const read = { x: x.buffer, g: g.buffer, y: (y ?? g).buffer, stats: stats.buffer, gamma: (gamma ?? g).buffer };
  const write = { means: (means ?? g).buffer, dgamma: (dgamma ?? g).buffer, dbeta: (dbeta ?? g).buffer };

  if (means && perRow) {
    device.run(
      normGradRowsKernel,
      { width: lanes.width, relu, gamma: !!gamma },
      { ...read, means: write.means },
      { ...sizes, values },
    );
  }
  const groups = !!means && !perRow;
  if (groups || affine) {
    const batches = perRow ? 1 : view.batches;
    const items = perRow ? view.batches : view.rows;
    const splits = splitsFor(device, batches * sizes.row, items);
    const part = Tensor.empty([2, batches, splits, view.channels]);
    const invocations = batches * splits * sizes.row;
    device.run(
      normGradPartialKernel,
      { ...lanes, relu, perRow },
      { ...read, part: part.buffer },
      { ...sizes, invocations, splits, items },
    );
    device.run(
      normGradFinishKernel,
      { gamma: !!gamma, groups, affine },
      { part: part.buffer, gamma: read.gamma, ...write },
      {
        ...scalars,
        units: groups ? scalars.units : 0,
        channels: affine ? view.channels : 0,
        parts: part.size / 2,
        splits,
        values,
      },
    );
  }
  if (!needX) return [null, needGamma ? dgamma : null, needBeta ? dbeta : null];
  const dx = Tensor.empty(x.shape);
  const buffers = { ...read, means: write.means, dx: dx.buffer };
  device.run(normGradApplyKernel, { ...lanes, relu, gamma: !!gamma, batch }, buffers, sizes);
  return [dx, needGamma ? dgamma : null, needBeta ? dbeta : null];
}

/** How kernels load such an input, and its sizes in loads of `width` channels (`units`: in statistics values of a load). */
function layoutOf({ batches, rows, channels, groups }: View, width?: 1) {
  const size = channels / groups;
  const grouped = size > 1;
  const wide = width !== 1 && (grouped ? size : channels) % 4 === 0;
  const lanes: NormLanes = { width: wide ? 4 : 1, grouped };
  const row = channels / lanes.width;
  return {
    lanes,
    sizes: {
      loads: batches * rows * row,
      units: (batches * groups) / (grouped ? 1 : lanes.width),
      row,
      q: grouped ? size / lanes.width : 1,
      block: rows * row,
    },
  };
}

/**
 * Into how many parts to split reductions of `items` loads when there are `units` of them: enough invocations to fill the adapter
 * (a few workgroups of 64 for a processor's cores), no part so short that merging costs more than it, no merge longer than its parts.
 */
function splitsFor({ caps }: Device, units: number, items: number): number {
  const [invocations, shortest] = caps.adapter === "hardware" ? [32_768, 8] : [512, 32];
  return Math.max(
    1,
    Math.min(Math.ceil(invocations / units), Math.floor(items / shortest), Math.ceil(Math.sqrt(items))),
  );
}

/** @throws ShapeError unless `t` is f32 and has that shape. */
export function expectShape(what: string, name: string, t: Tensor, shape: Shape): void {
  if (t.dtype === "f32" && sameShape(t.shape, shape)) return;
  throw new ShapeError(
    `${what}: ${name} of shape ${showShape(shape)} (f32) is expected, found ${showShape(t.shape)} (${t.dtype})`,
  );
}
