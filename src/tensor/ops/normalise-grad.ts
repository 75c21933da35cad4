import { hasScale, hasShift, type NormAffine, type NormParts } from "../../../shaders/norm.wgsl";
import {
  normGradApplyKernel,
  normGradFinishKernel,
  normGradPartialKernel,
  normGradRowsKernel,
} from "../../../shaders/norm-grad.wgsl";
import type { Shape } from "../shape";
import { Tensor } from "../tensor";
import { layoutOf, numbered, splitsFor, type View } from "./norm-layout";

/** What the forward pass of a normalisation left for its gradients. */
export interface SavedNorm {
  readonly x: Tensor;
  /** Statistics planes; null where nothing was normalised. */
  readonly stats: Tensor | null;
  /** The output, where a ReLU ended it. */
  readonly y: Tensor | null;
  /** By affine map: γ, or the rows it is the first of. */
  readonly scales: readonly (Tensor | null)[];
}

/** Gradients of γ and β of one affine map; of `rows` the first is that of both. */
export interface AffineGrad {
  gamma: Tensor | null;
  beta: Tensor | null;
}

/**
 * dx, dγ and dβ, those that are needed: partial sums, their end, dx. Rows that are groups of their own take a fourth dispatch.
 * @param batch whether the statistics were the input's own
 * @param affineShape of γ and β
 */
export function normGradients(
  g: Tensor,
  view: View,
  spec: NormParts,
  { x, stats, y, scales }: SavedNorm,
  batch: boolean,
  needs: { x: boolean; affine: readonly boolean[] },
  affineShape: Shape,
): { dx: Tensor | null; affine: AffineGrad[] } {
  const { device } = g;
  const { lanes, sizes } = layoutOf(view);
  const scalars = layoutOf(view, 1).sizes;
  const relu = !!y;
  const values = (view.rows * view.channels) / view.groups;
  // With one row a batch item there is nothing to sum a channel and item: group means come from the rows, dγ and dβ across them.
  const perRow = lanes.grouped && view.rows === 1;
  const sets = spec.shared ? 1 : spec.parts;
  const means = needs.x && batch ? Tensor.empty([2, sets, view.batches, view.groups]) : null;
  const grads = spec.affine.map((form, a): NormAffine => (needs.affine[a] ? form : "none"));
  const affine = grads.map((form): AffineGrad => {
    const shape = form === "rows" ? [2, ...affineShape] : affineShape;
    return {
      gamma: hasScale(form) ? Tensor.empty(shape) : null,
      beta: hasShift(form) ? Tensor.empty(shape) : null,
    };
  });
  const read = {
    x: x.buffer,
    g: g.buffer,
    y: (y ?? g).buffer,
    stats: (stats ?? g).buffer,
    ...numbered("gamma", scales),
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
    const items = perRow ? view.batches : view.rows;
    const splits = splitsFor(device, batches * sizes.row, items);
    const part = Tensor.empty([spec.parts, 2, batches, splits, view.channels]);
    const invocations = batches * splits * sizes.row;
    device.run(
      normGradPartialKernel,
      { ...lanes, ...spec, relu, perRow },
      { ...read, part: part.buffer },
      { ...sizes, invocations, splits, items },
    );
    device.run(
      normGradFinishKernel,
      { ...spec, groups, grads },
      {
        part: part.buffer,
        means: (means ?? g).buffer,
        ...numbered("gamma", scales),
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
  const dx = Tensor.empty(x.shape);
  const buffers = { ...read, means: (means ?? g).buffer, dx: dx.buffer };
  device.run(normGradApplyKernel, { ...lanes, ...spec, relu, batch }, buffers, sizes);
  return { dx, affine };
}
