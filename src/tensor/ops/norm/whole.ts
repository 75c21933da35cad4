import { type NormAffine, type NormEnd, type NormParts, statSets } from "../../../../shaders/norm/apply.wgsl";
import { type NormTeam, seen } from "../../../../shaders/norm/team.wgsl";
import { type NormWholeSpec, normMomentsKernel, normWholeKernel } from "../../../../shaders/norm/whole.wgsl";
import {
  type NormWholeGradSpec,
  normGradSumsKernel,
  normWholeGradKernel,
} from "../../../../shaders/norm/whole-gradients.wgsl";
import type { Device } from "../../../gpu/device";
import type { PooledBuffer } from "../../../gpu/pool";
import type { Tensor } from "../../tensor";
import { layoutOf, type MeasuredView } from "./layout";
import { type RunningSet, runningBuffers, runningOf, type Source } from "./statistics";
import { NO_WINDOWS, type Windows, windowSizes, windowSpec } from "./windows";

/** Loads of a row that a team owns, the most that divide it: four are a line of the cache. */
const COLUMNS = [4, 2, 1];
/** Lanes of a column on software adapters. */
const LANES = 4;
/**
 * Invocations of a team on graphics processors, and the rows of each up to which it is on its own.
 */
const TEAM = 256;
const MOST_ROWS = 64;
/**
 * Teams that share columns on graphics processors: so many take sums, each of which is then read by
 * all of so many more, which is why there are not as many of the former. Arithmetic, for 96 to 132
 * units.
 */
const SUMMING = 128;
const FOLLOWING = 512;
/** Rows of a lane that are worth a team more. */
const FEW_ROWS = 4;

/** A normalisation of columns, in one launch in each direction, or in two. */
export interface WholeNorm {
  /** Of one part. */
  readonly view: MeasuredView;
  readonly spec: NormParts & NormEnd;
  readonly windows: Windows | null;
  readonly team: Team;
}

/** How workgroups are laid over columns; `sliced` where several share one. */
export type Team = NormTeam & { readonly sliced: boolean };

/**
 * The workgroups that compute statistics of columns and what follows from them; null where columns
 * have not their statistics to themselves.
 *
 * On software adapters what a small workgroup reads stays in the processor's cache, and the second
 * pass costs little: at any size one launch was as fast as several, at most sizes twice and more
 * (norms of 2×32×32×4 to 64×32×32×64, with windows and without, on SwiftShader and lavapipe). On
 * graphics processors a workgroup has to be large, and is enough for a column of few rows.
 */
function teamFor({ caps }: Device, view: MeasuredView, { aboutZero }: NormParts): Team | null {
  const { lanes, sizes } = layoutOf(view);
  if (view.batches > 1 || lanes.grouped || aboutZero) return null;
  const columns = COLUMNS.find((n) => sizes.row % n === 0)!;
  if (caps.adapter !== "hardware") return { columns, lanes: LANES, sliced: false };
  const team = { columns, lanes: Math.min(TEAM, caps.maxInvocations) / columns };
  return { ...team, sliced: view.rows > MOST_ROWS * team.lanes };
}

/**
 * Into how many slices a column is cut where `wanted` teams are wanted for all `columns` of them.
 */
const slicesFor = ({ team, view }: WholeNorm, wanted: number, columns: number, most = Number.POSITIVE_INFINITY) =>
  team.sliced
    ? Math.max(1, Math.min(Math.ceil(wanted / columns), Math.floor(view.rows / team.lanes / FEW_ROWS), most))
    : 1;

/** Slices of both launches. */
function slicing(norm: WholeNorm, apart: boolean) {
  const columns = (layoutOf(norm.view).sizes.row / norm.team.columns) * (apart ? norm.spec.parts : 1);
  return {
    // A lane of the second launch reads the sums of one.
    earlier: slicesFor(norm, SUMMING, columns, norm.team.lanes),
    slices: slicesFor(norm, FOLLOWING, columns),
  };
}

/**
 * A normalisation of columns, where the device has room for all that it takes.
 * @param moved running statistics
 * @param grads of each γ and β whose gradient is wanted its form, else nothing
 */
export function wholeOf(
  device: Device,
  view: MeasuredView,
  spec: NormParts & NormEnd,
  windows: Windows | null,
  moved: readonly RunningSet[],
  grads: readonly NormAffine[],
): WholeNorm | null {
  const team = teamFor(device, view, spec);
  if (!team) return null;
  const norm: WholeNorm = { view, spec, windows, team };
  const [forward, backward] = [forwardSpec(norm, runningOf(moved, spec.parts)), backwardSpec(norm, grads, true)];
  const bound = [
    normWholeKernel.bindings(forward),
    normGradSumsKernel.bindings(backward),
    normWholeGradKernel.bindings(behindSums(backward)),
  ].map((bindings) => Object.keys(bindings).length);
  const { maxStorageBuffers, maxWorkgroupStorage } = device.caps;
  const shelves = Math.max(statSets(seen(forward)), seen(backward).parts);
  const room = 2 * 16 * shelves * team.columns * team.lanes;
  return Math.max(...bound) <= maxStorageBuffers && room <= maxWorkgroupStorage ? norm : null;
}

const kernelSpec = ({ view, spec, windows, team }: WholeNorm) => ({
  ...layoutOf(view).lanes,
  ...spec,
  ...windowSpec(windows ?? NO_WINDOWS),
  ...team,
});

/** Whether each part reads and has statistics of its own. */
const areApart = ({ parts, shared, statistics }: NormParts): boolean => parts > 1 && !shared && statistics === "each";

const forwardSpec = (norm: WholeNorm, running: readonly number[]): NormWholeSpec => ({
  ...kernelSpec(norm),
  running,
  // Two parts that move one running set do so in turn.
  apart: areApart(norm.spec) && new Set(running).size === running.length,
});

const backwardSpec = (norm: WholeNorm, grads: readonly NormAffine[], input: boolean): NormWholeGradSpec => ({
  ...kernelSpec(norm),
  grads,
  input,
  some: norm.view.measured < norm.view.rows,
  // Gradients of γ and β that parts have in common are summed over them.
  apart: areApart(norm.spec) && (norm.spec.affine.length > 1 || grads.every((form) => form === "none")),
});

/** Of slices, the sums' launch leaves the residual's gradient, which then takes the place of g. */
const behindSums = (spec: NormWholeGradSpec): NormWholeGradSpec => (spec.sliced ? { ...spec, residual: false } : spec);

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
  const { earlier, slices } = slicing(norm, spec.apart);
  const sizes = { ...sizesOf(norm), items: norm.view.measured };
  const sums = norm.team.sliced ? x.newEmpty([earlier, 2, statSets(spec), norm.view.channels]) : null;
  if (sums) x.device.run(normMomentsKernel, spec, { x: buffers.x, sums: sums.buffer }, { ...sizes, slices: earlier });
  x.device.run(
    normWholeKernel,
    spec,
    { ...buffers, sums: (sums ?? x).buffer, ...runningBuffers(moved) },
    { ...sizes, slices, earlier, eps, momentum },
  );
  sums?.dispose();
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
  const spec = backwardSpec(norm, grads, input);
  const { earlier, slices } = slicing(norm, spec.apart);
  const sums = norm.team.sliced ? g.newEmpty([earlier, 2, norm.spec.parts, view.channels]) : null;
  if (sums) g.device.run(normGradSumsKernel, spec, { ...buffers, sums: sums.buffer }, { ...sizes, slices: earlier });
  const behind = sums && spec.residual ? { ...buffers, g: buffers.dr } : buffers;
  g.device.run(
    normWholeGradKernel,
    behindSums(spec),
    { ...behind, sums: (sums ?? g).buffer },
    { ...sizes, measured: view.measured * sizes.row, values: view.measured, slices, earlier },
  );
  sums?.dispose();
}
