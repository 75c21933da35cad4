import { foldGrid } from "../../src/gpu/kernel";
import { hasScale, hasShift, type NormAffine } from "./apply.wgsl";
import { affineConstants, type NormPoolSpec } from "./pool.wgsl";

/*
 * How workgroups are laid over an input seen as [S, C] whose columns have their statistics in
 * common: of `lanes` · `columns` invocations, lane l takes rows l, l + lanes, … of its column.
 */

/** How a workgroup is laid over its columns. */
export interface NormTeam {
  /** Loads of a row that a workgroup owns: a divisor of those of a row. */
  readonly columns: number;
  /** Invocations of a column. */
  readonly lanes: number;
}

/** What kernels of workgroups over columns are compiled for. */
export interface NormTeamSpec extends NormPoolSpec, NormTeam {
  /**
   * Several workgroups share the rows of a column, `p.slices` of them, and what they sum up goes
   * through memory, from one launch to the next.
   */
  readonly sliced: boolean;
  /**
   * A workgroup takes one part of the batch, and others take the others: half of the code, and
   * twice as many workgroups. For parts that have nothing in common.
   */
  readonly apart: boolean;
}

export const teamKey = ({ columns, lanes, sliced, apart }: NormTeamSpec): string =>
  `${columns}x${lanes}${sliced ? "s" : ""}${apart ? "a" : ""},`;

/** Parts that have workgroups of their own. */
const partsApart = (s: NormTeamSpec): number => (s.apart ? s.parts : 1);

/** The specification as a workgroup sees it: of all parts, or of one as if there were no other. */
export function seen<S extends NormTeamSpec>(s: S): S {
  if (!s.apart) return s;
  const scale = s.affine.some(hasScale);
  const shift = s.affine.some((form) => form === "rows" || hasShift(form));
  const form: NormAffine = scale ? (shift ? "both" : "scale") : shift ? "shift" : "none";
  return { ...s, parts: 1, statistics: "one", affine: [form] };
}

/**
 * WGSL: the entry point's head, down to `j`, the load of a row, and this invocation's lane, slice
 * (where columns are `sliced`) and part (`mine`, where those are `apart`).
 */
export const teamMain = (s: NormTeamSpec): string => /* wgsl */ `
@compute @workgroup_size(${s.columns * s.lanes})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let team = wid.y * grid.x + wid.x;
  let teams = p.row / ${s.columns}u;
  if (team >= ${partsApart(s)}u * teams${s.sliced ? " * p.slices" : ""}) { return; }
  let column = lid % ${s.columns}u;
  let lane = lid / ${s.columns}u;
  let j = team % teams * ${s.columns}u + column;
  ${s.apart ? `let mine = team / teams % ${s.parts}u;` : ""}
  ${s.sliced ? `let slice = team / teams / ${partsApart(s)}u;` : ""}`;

/** Workgroups for rows of `row` loads, `slices` a column. */
export const teamGrid = (s: NormTeamSpec, { row, slices }: { readonly row: number; readonly slices: number }) =>
  foldGrid((row / s.columns) * partsApart(s) * (s.sliced ? slices : 1));

/** WGSL: where column `j` begins in a workgroup's part of `size` loads. */
export const begins = ({ apart }: NormTeamSpec, size: string): string => (apart ? `mine * ${size} + j` : "j");

/** WGSL: plane `n` of `sets` that each have one for every part, or for all. */
export const planeOf = ({ apart }: NormTeamSpec, sets: number, n: number, k: number): string =>
  apart ? `(${n * sets}u + mine)` : `${n * sets + k}u`;

/**
 * WGSL: sum `n` (of two) of this invocation's column in slice `l`, in planes
 * [slices, 2, sets, row].
 */
export const sliceSum = (s: NormTeamSpec, sets: number, n: 0 | 1, k: number, l: string): string =>
  `sums[(${l} * ${2 * sets}u + ${planeOf(s, sets, n, k)}) * p.row + j]`;

/** WGSL: the one lane of a column that writes what all of its workgroups know. */
export const isFirst = ({ sliced }: NormTeamSpec): string => (sliced ? "lane == 0u && slice == 0u" : "lane == 0u");

/** WGSL: what is done for part `k` alone. */
export const ofPart = ({ apart }: NormTeamSpec, k: number, line: string): string =>
  apart ? `  if (mine == ${k}u) { ${line} }` : `  ${line}`;

/** WGSL: the first row of an invocation, and how far apart its rows are. */
const turns = ({ sliced, lanes }: NormTeamSpec): [first: string, step: string] =>
  sliced ? [`(slice * ${lanes}u + lane)`, `(p.slices * ${lanes}u)`] : ["lane", `${lanes}u`];

/** WGSL: a loop over this invocation's share of the numbers below `count`. */
export function inTurns(s: NormTeamSpec, name: string, count: string): string {
  const [first, step] = turns(s);
  return `for (var ${name} = ${first}; ${name} < ${count}; ${name} += ${step})`;
}

/** Rows of a lane that are summed up by themselves: long sums lose digits. */
const RUN = 16;

/**
 * WGSL: the same in runs of {@link RUN} turns, `before` and `after` each of which something is
 * done.
 */
export function inRuns(
  s: NormTeamSpec,
  name: string,
  count: string,
  body: Record<"before" | "turn" | "after", string>,
): string {
  const [first, step] = turns(s);
  return `for (var start = ${first}; start < ${count}; start += ${RUN}u * ${step}) {
    ${body.before}
    let end = min(start + ${RUN}u * ${step}, ${count});
    for (var ${name} = start; ${name} < end; ${name} += ${step}) {
${body.turn}
    }
    ${body.after}
  }`;
}

/** WGSL: workgroup memory for one value of each invocation in each of `planes`. */
export const shelf = ({ columns, lanes }: NormTeam, name: string, planes: number): string =>
  `var<workgroup> ${name}: array<T, ${planes * columns * lanes}>;`;

/** WGSL: place of lane `l` of this invocation's column in plane `plane` of a shelf. */
export const onShelf = ({ columns, lanes }: NormTeam, plane: number, l: string): string =>
  `${plane * columns * lanes}u + ${l} * ${columns}u + column`;

/** WGSL: γ and β of load `j` of a row in registers, of all parts or of the workgroup's own. */
export function teamConstants(s: NormTeamSpec): string {
  if (!s.apart) return affineConstants(s);
  const own = s.affine.map((form, a) => {
    const line = [
      hasScale(form) ? `scale0 = gamma${a}[j];` : "",
      form === "rows" ? `plus0 = gamma${a}[p.row + j];` : "",
      hasShift(form) ? `plus0 = beta${a}[j];` : "",
    ].join(" ");
    return s.affine.length > 1 ? ofPart(s, a, line) : `  ${line}`;
  });
  return `  var scale0 = T(1.0);\n  var plus0 = T();\n${own.join("\n")}`;
}
