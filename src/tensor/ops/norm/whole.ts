import { type NormAffine, type NormEnd, type NormParts, numbers } from "../../../../shaders/norm/apply.wgsl";
import { type NormTeam, type NormWholeSpec, normWholeKernel } from "../../../../shaders/norm/whole.wgsl";
import { type NormWholeGradSpec, normWholeGradKernel } from "../../../../shaders/norm/whole-gradients.wgsl";
import type { Device } from "../../../gpu/device";
import type { PooledBuffer } from "../../../gpu/pool";
import type { Tensor } from "../../tensor";
import { layoutOf, type MeasuredView } from "./layout";
import { runningBuffers, runningOf, type Source } from "./statistics";
import { NO_WINDOWS, type Windows, windowSizes, windowSpec } from "./windows";

/** Loads of a row that a team owns, the most that divide it: four are a line of the cache. */
const COLUMNS = [4, 2, 1];
/** Lanes of a column on software adapters. */
const LANES = 4;
/** Invocations of a team on graphics processors, and the rows of each up to which it is formed. */
const TEAM = 256;
const MOST_ROWS = 64;

/** A normalisation that is computed in one launch in each direction. */
export interface WholeNorm {
  /** Of one part. */
  readonly view: MeasuredView;
  readonly spec: NormParts & NormEnd;
  readonly windows: Windows | null;
  readonly team: NormTeam;
}

/**
 * The workgroups that compute statistics of columns and what follows from them in one launch; null
 * where several launches are to do it.
 *
 * On software adapters what a small workgroup reads stays in the processor's cache, and the second
 * pass costs little: at any size it was as fast as the launches, at most sizes twice and more
 * (norms of 2×32×32×4 to 64×32×32×64, with windows and without, on SwiftShader and lavapipe). On
 * graphics processors a workgroup has to be large, and is worth it while its columns have few rows.
 */
function teamFor({ caps }: Device, view: MeasuredView, { aboutZero }: NormParts): NormTeam | null {
  const { lanes, sizes } = layoutOf(view);
  if (view.batches > 1 || lanes.grouped || aboutZero) return null;
  const columns = COLUMNS.find((n) => sizes.row % n === 0)!;
  if (caps.adapter !== "hardware") return { columns, lanes: LANES };
  const team = { columns, lanes: Math.min(TEAM, caps.maxInvocations) / columns };
  return view.rows <= MOST_ROWS * team.lanes ? team : null;
}

/**
 * A normalisation in one launch in each direction, where that is worth it and the device binds all
 * that it takes.
 * @param grads of each γ and β whose gradient is wanted its form, else nothing
 */
export function wholeOf(
  device: Device,
  view: MeasuredView,
  spec: NormParts & NormEnd,
  windows: Windows | null,
  grads: readonly NormAffine[],
): WholeNorm | null {
  const team = teamFor(device, view, spec);
  if (!team) return null;
  const norm = { view, spec, windows, team };
  const running = spec.statistics === "each" ? numbers(spec.parts) : [0];
  const bound = [
    normWholeKernel.bindings(forwardSpec(norm, running)),
    normWholeGradKernel.bindings(backwardSpec(norm, grads, true)),
  ].map((bindings) => Object.keys(bindings).length);
  return Math.max(...bound) <= device.caps.maxStorageBuffers ? norm : null;
}

const kernelSpec = ({ view, spec, windows, team }: WholeNorm) => ({
  ...layoutOf(view).lanes,
  ...spec,
  ...windowSpec(windows ?? NO_WINDOWS),
  ...team,
});

const forwardSpec = (norm: WholeNorm, running: readonly number[]): NormWholeSpec => ({ ...kernelSpec(norm), running });

const backwardSpec = (norm: WholeNorm, grads: readonly NormAffine[], input: boolean): NormWholeGradSpec => ({
  ...kernelSpec(norm),
  grads,
  input,
  some: norm.view.measured < norm.view.rows,
});

/** Sizes that both directions take. */
function sizesOf({ view, windows }: WholeNorm) {
  const { sizes } = layoutOf(view);
  if (!windows) {
    const { loads, row } = sizes;
    return { ...sizes, h: 1, w: 1, oh: 1, ow: 1, outputs: loads, windows: loads / row, positions: loads / row };
  }
  const geometry = windowSizes(windows, view, sizes.row);
  return { ...sizes, ...geometry, windows: geometry.windows / sizes.row, positions: geometry.outputs / sizes.row };
}

/** Computes y and the statistics; moves running ones. */
export function runWhole(
  x: Tensor,
  norm: WholeNorm,
  buffers: Readonly<Record<"x" | "r" | "stats" | "y", PooledBuffer>>,
  { moved, momentum }: Extract<Source, { kind: "own" }>,
  eps: number,
): void {
  const spec = forwardSpec(norm, runningOf(moved, norm.spec.parts));
  x.device.run(
    normWholeKernel,
    spec,
    { ...buffers, ...runningBuffers(moved) },
    { ...sizesOf(norm), items: norm.view.measured, eps, momentum },
  );
}

/**
 * dγ, dβ, the residual's gradient where there is one, and dx where `input` is set.
 * @param grads of each γ and β what is wanted: their own form, or nothing
 */
export function runWholeGradients(
  g: Tensor,
  norm: WholeNorm,
  grads: readonly NormAffine[],
  buffers: Readonly<Record<"x" | "stats" | "y" | "g" | "dr" | "dx", PooledBuffer>>,
  input: boolean,
): void {
  const { view } = norm;
  const sizes = sizesOf(norm);
  g.device.run(normWholeGradKernel, backwardSpec(norm, grads, input), buffers, {
    ...sizes,
    measured: view.measured * sizes.row,
    values: view.measured,
  });
}
