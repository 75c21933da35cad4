import { hasScale, hasShift, type NormAffine, type NormParts } from "../../../../shaders/norm/apply.wgsl";
import {
  normGradApplyKernel,
  normGradFinishKernel,
  normGradPartialKernel,
  normGradRowsKernel,
} from "../../../../shaders/norm/gradients.wgsl";
import { normPoolGradApplyKernel, normPoolGradPartialKernel } from "../../../../shaders/norm/pool-gradients.wgsl";
import type { Shape } from "../../shape";
import type { Tensor } from "../../tensor";
import { layoutOf, type MeasuredView, numbered, splitsFor } from "./layout";
import { type Windows, windowSizes, windowSpec } from "./windows";

/** What the forward pass of a normalisation left for its gradients. */
export interface SavedNorm {
  readonly x: Tensor;
  /** Statistics planes; null where nothing was normalised. */
  readonly stats: Tensor | null;
  /** The output, where a ReLU ended it and no pooling came behind. */
  readonly y: Tensor | null;
  /** By affine map: γ, or the rows it is the first of. */
  readonly gammas: readonly (Tensor | null)[];
  /** By affine map: β, where it is a tensor of its own and windows need it. */
  readonly betas: readonly (Tensor | null)[];
}

/** What a normalisation was. */
export interface NormForm {
  /** Of one part. */
  readonly view: MeasuredView;
  readonly spec: NormParts;
  /** Of γ and β. */
  readonly affineShape: Shape;
  readonly relu: boolean;
  /** Of the max-pooling at its end. */
  readonly windows: Windows | null;
  /** The statistics were the input's own. */
  readonly batch: boolean;
}

/** Gradients of γ and β of one affine map; of `rows` the first is that of both. */
export interface AffineGradient {
  gamma: Tensor | null;
  beta: Tensor | null;
}

/**
 * dx, dγ and dβ, those that are needed: partial sums, their end, dx. Rows that are groups of their
 * own take a fourth dispatch.
 * @param g gradient of the output, the pooled one where there are windows
 */
export function normGradients(
  g: Tensor,
  { view, spec, affineShape, relu, windows, batch }: NormForm,
  { x, stats, y, gammas, betas }: SavedNorm,
  needs: { x: boolean; affine: readonly boolean[] },
): { dx: Tensor | null; affine: AffineGradient[] } {
  const { device } = g;
  const { lanes, sizes } = layoutOf(view);
  const scalars = layoutOf(view, 1).sizes;
  const pooled = windows && {
    spec: { ...lanes, ...spec, relu, ...windowSpec(windows) },
    sizes: { ...sizes, ...windowSizes(windows, view, sizes.row) },
  };
  const values = (view.measured * view.channels) / view.groups;
  const some = batch && view.measured < view.rows;
  const measured = view.measured * sizes.row;
  // With one row per batch item there is nothing to sum per channel and item: group means come from
  // the rows, dγ and dβ across them.
  const perRow = lanes.grouped && view.rows === 1;
  const sets = spec.shared ? 1 : spec.parts;
  const means = needs.x && batch ? g.newEmpty([2, sets, view.batches, view.groups]) : null;
  const grads = spec.affine.map((form, a): NormAffine => (needs.affine[a] ? form : "none"));
  const affine = grads.map((form): AffineGradient => {
    const shape = form === "rows" ? [2, ...affineShape] : affineShape;
    return {
      gamma: hasScale(form) ? g.newEmpty(shape) : null,
      beta: hasShift(form) ? g.newEmpty(shape) : null,
    };
  });
  const read = {
    x: x.buffer,
    g: g.buffer,
    y: (y ?? g).buffer,
    stats: (stats ?? g).buffer,
    ...numbered("gamma", gammas),
    ...numbered("beta", betas),
  };

  if (means && perRow) {
    device.run(
      normGradRowsKernel,
      { ...spec, width: lanes.width, relu },
      { ...read, means: means.buffer },
      { ...sizes, values },
    );
  }
  const groups = !!means && !perRow;
  const channels = grads.some((form) => form !== "none") ? view.channels : 0;
  if (groups || channels) {
    const batches = perRow ? 1 : view.batches;
    const items = pooled?.sizes.items ?? (perRow ? view.batches : view.rows);
    const splits = splitsFor(device, batches * sizes.row, items);
    const part = g.newEmpty([spec.parts, 2, batches, splits, view.channels]);
    const invocations = batches * splits * sizes.row;
    const counts = { invocations, splits, items };
    const sums = { ...read, part: part.buffer };
    if (pooled) device.run(normPoolGradPartialKernel, pooled.spec, sums, { ...pooled.sizes, ...counts });
    else device.run(normGradPartialKernel, { ...lanes, ...spec, relu, perRow }, sums, { ...sizes, ...counts });
    device.run(
      normGradFinishKernel,
      { ...spec, groups, grads },
      {
        part: part.buffer,
        means: (means ?? g).buffer,
        ...numbered("gamma", gammas),
        ...numbered(
          "dgamma",
          affine.map((d) => d.gamma),
        ),
        ...numbered(
          "dbeta",
          affine.map((d) => d.beta),
        ),
      },
      {
        ...scalars,
        units: groups ? scalars.units : 0,
        channels,
        plane: part.size / (2 * spec.parts),
        splits,
        values,
      },
    );
  }
  if (!needs.x) return { dx: null, affine };
  const dx = g.newEmpty(x.shape);
  const buffers = { ...read, means: (means ?? g).buffer, dx: dx.buffer };
  if (pooled)
    device.run(normPoolGradApplyKernel, { ...pooled.spec, batch, some }, buffers, { ...pooled.sizes, measured });
  else device.run(normGradApplyKernel, { ...lanes, ...spec, relu, batch, some }, buffers, { ...sizes, measured });
  return { dx, affine };
}
