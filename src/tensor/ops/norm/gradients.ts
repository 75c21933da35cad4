import { unaryGradKernel } from "../../../../shaders/elementwise.wgsl";
import { hasScale, hasShift, type NormAffine, type NormParts } from "../../../../shaders/norm/apply.wgsl";
import {
  normGradApplyKernel,
  normGradFinishKernel,
  normGradPartialKernel,
} from "../../../../shaders/norm/gradients.wgsl";
import { normPoolGradApplyKernel, normPoolGradPartialKernel } from "../../../../shaders/norm/pool-gradients.wgsl";
import { normRowsGradKernel } from "../../../../shaders/norm/rows.wgsl";
import type { PooledBuffer } from "../../../gpu/pool";
import type { Shape } from "../../shape";
import type { Tensor } from "../../tensor";
import { layoutOf, type MeasuredView, numbered, splitsFor } from "./layout";
import { reluMask } from "./rows";
import { runWholeGradients, type Team } from "./whole";
import { type Windows, windowSizes, windowSpec } from "./windows";

/** What the forward pass of a normalisation left for its gradients. */
export interface SavedNorm {
  readonly x: Tensor;
  /** Statistics planes; null where nothing was normalised. */
  readonly stats: Tensor | null;
  /** The output, where it tells what a ReLU let through: its own, or that behind a residual. */
  readonly y: Tensor | null;
  /** By affine map: γ, or the rows it is the first of. */
  readonly gammas: readonly (Tensor | null)[];
  /** By affine map: β, where it is a tensor of its own and the output is computed again. */
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
  /** A residual was added behind, and a ReLU came behind that. */
  readonly residual: boolean;
  /** Of the max-pooling at its end. */
  readonly windows: Windows | null;
  /** The statistics were the input's own. */
  readonly batch: boolean;
  /** Each group was one invocation's. */
  readonly rows: boolean;
  /** Where workgroups owned columns. */
  readonly team: Team | null;
}

/** Gradients of γ and β of one affine map; of `rows` the first is that of both. */
export interface AffineGradient {
  gamma: Tensor | null;
  beta: Tensor | null;
}

/** The gradients of a normalisation, those that are needed. */
export interface NormGradients {
  readonly dx: Tensor | null;
  readonly affine: readonly AffineGradient[];
  readonly residual: Tensor | null;
}

/** Which gradients are needed. */
export interface NormNeeds {
  readonly x: boolean;
  readonly affine: readonly boolean[];
}

/** Of each γ and β what is to be written: their own form, or nothing. */
export const wantedGrads = ({ affine }: NormParts, needs: NormNeeds): NormAffine[] =>
  affine.map((form, a) => (needs.affine[a] ? form : "none"));

/** Whether dx can be added to what there is. */
export const addsInput = ({ batch, rows }: NormForm): boolean => batch && rows;

/**
 * dx, dγ, dβ and, with a residual, that of the sum: in one launch or two where workgroups owned
 * columns; else partial sums, their end, and dx, which takes two launches for groups in a row that
 * are more than one invocation's.
 * @param g gradient of the output, the pooled one where there are windows
 * @param sum what dx is added to, in place: of {@link addsInput} alone
 */
export function normGradients(
  g: Tensor,
  form: NormForm,
  saved: SavedNorm,
  needs: NormNeeds,
  sum: Tensor | null = null,
): NormGradients {
  const { view, spec, affineShape, relu, windows, team } = form;
  const { x, stats, y, gammas, betas } = saved;
  const grads = wantedGrads(spec, needs);
  const affine = grads.map((wanted): AffineGradient => {
    const shape = wanted === "rows" ? [2, ...affineShape] : affineShape;
    return {
      gamma: hasScale(wanted) ? g.newEmpty(shape) : null,
      beta: hasShift(wanted) ? g.newEmpty(shape) : null,
    };
  });
  const read = {
    x: x.buffer,
    stats: (stats ?? g).buffer,
    y: (y ?? g).buffer,
    ...numbered("gamma", gammas),
    ...numbered("beta", betas),
  };
  const written = {
    ...numbered(
      "dgamma",
      affine.map((d) => d.gamma),
    ),
    ...numbered(
      "dbeta",
      affine.map((d) => d.beta),
    ),
  };
  const residual = form.residual ? g.newEmpty(g.shape) : null;
  const dx = needs.x ? (sum ?? g.newEmpty(x.shape)) : null;
  const wanted = dx || affine.some((d) => d.gamma || d.beta);
  if (team && wanted) {
    const norm = { view, spec: { ...spec, relu, residual: !!residual }, windows, team };
    const out = { g: g.buffer, dr: (residual ?? g).buffer, dx: (dx ?? g).buffer };
    runWholeGradients(g, norm, grads, { ...read, ...written, ...out }, !!dx);
  } else inLaunches(g, form, { grads, read, written }, { dx, residual, adds: sum !== null });
  return { dx, affine, residual };
}

/** What the launches of {@link normGradients} read and write, but for g, dx and the residual's. */
interface GradientBuffers {
  readonly grads: readonly NormAffine[];
  readonly read: Readonly<Record<"x" | "stats" | "y" | `gamma${number}` | `beta${number}`, PooledBuffer>>;
  readonly written: Readonly<Record<`dgamma${number}` | `dbeta${number}`, PooledBuffer>>;
}

function inLaunches(
  g: Tensor,
  form: NormForm,
  { grads, read, written }: GradientBuffers,
  { dx, residual, adds }: { dx: Tensor | null; residual: Tensor | null; adds: boolean },
): void {
  const { view, spec, relu: rectified, windows, batch } = form;
  const { device } = g;
  const { lanes, sizes } = layoutOf(view);
  const scalars = layoutOf(view, 1).sizes;
  const pooled = windows && {
    spec: { ...lanes, ...spec, relu: rectified, ...windowSpec(windows) },
    sizes: { ...sizes, ...windowSizes(windows, view, sizes.row) },
  };
  const values = (view.measured * view.channels) / view.groups;
  const some = batch && view.measured < view.rows;
  const measured = view.measured * sizes.row;
  // With one row per batch item there is nothing to sum per channel and item: group means come from
  // the rows, dγ and dβ across them.
  const perRow = lanes.grouped && view.rows === 1;
  const whole = dx !== null && addsInput(form);
  const means = dx && batch && !whole ? g.newEmpty([2, spec.shared ? 1 : spec.parts, view.batches, view.groups]) : null;
  const groups = !!means && !perRow;
  const channels = grads.some((form) => form !== "none") ? view.channels : 0;
  const relu = reluMask({ relu: rectified, residual: residual !== null });
  // The gradient of the sum: the partial sums' kernel writes it on its way, where it comes first.
  const onTheWay = !!residual && !perRow && (groups || channels > 0);
  if (residual && !onTheWay) {
    const buffers = { g: g.buffer, s: read.y, dx: residual.buffer };
    device.run(unaryGradKernel, "reluOfY", buffers, { n4: g.vectors, a: 0, b: 0 });
  }
  const given = { ...read, g: (residual ?? g).buffer, means: (means ?? g).buffer };

  if (whole || (means && perRow)) {
    const buffers = { ...given, dx: (dx ?? g).buffer };
    device.run(normRowsGradKernel, { ...lanes, ...spec, relu, means: !whole, adds }, buffers, { ...sizes, values });
  }
  if (groups || channels) {
    const batches = perRow ? 1 : view.batches;
    const items = pooled?.sizes.items ?? (perRow ? view.batches : view.rows);
    const splits = splitsFor(device, batches * sizes.row, items);
    const part = g.newEmpty([spec.parts, 2, batches, splits, view.channels]);
    const counts = { invocations: batches * splits * sizes.row, splits, items };
    const dr = (residual ?? g).buffer;
    const sums = { ...given, part: part.buffer, dr, ...(onTheWay && { g: g.buffer }) };
    if (pooled) device.run(normPoolGradPartialKernel, pooled.spec, sums, { ...pooled.sizes, ...counts });
    else {
      const form = { ...lanes, ...spec, relu, perRow, residual: onTheWay };
      device.run(normGradPartialKernel, form, sums, { ...sizes, ...counts });
    }
    device.run(
      normGradFinishKernel,
      { ...spec, groups, grads },
      { ...given, ...written, part: part.buffer },
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
  if (!dx || whole) return;
  const buffers = { ...given, dx: dx.buffer };
  if (pooled)
    device.run(normPoolGradApplyKernel, { ...pooled.spec, batch, some }, buffers, { ...pooled.sizes, measured });
  else device.run(normGradApplyKernel, { ...lanes, ...spec, relu, batch, some }, buffers, { ...sizes, measured });
}
