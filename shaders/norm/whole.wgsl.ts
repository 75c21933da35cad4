import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel, foldGrid } from "../../src/gpu/kernel";
import {
  bind,
  ended,
  endFunctions,
  flagsKey,
  loadType,
  numbers,
  partAt,
  read,
  scaleBindings,
  shiftBindings,
  statSets,
  write,
} from "./apply.wgsl";
import { affineConstants, element, head, maximum, type NormPoolSpec, poolKey, windowAt } from "./pool.wgsl";
import { runningBindings, runningSets } from "./statistics.wgsl";

/*
 * Batch normalisation in one launch: a workgroup owns a few columns of x seen as [S, C], takes
 * their statistics, and goes over them a second time. For inputs so small that launches would cost
 * more than what the other workgroups could have done meanwhile.
 *
 * Windows, parts and planes as in pool.wgsl.ts; a window of 1 is none. Of `lanes` · `columns`
 * invocations, lane l takes rows l, l + lanes, … of its column.
 */

/** How a workgroup is laid over its columns. */
export interface NormTeam {
  /** Loads of a row that a workgroup owns: a divisor of those of a row. */
  readonly columns: number;
  /** Invocations of a column. */
  readonly lanes: number;
}

export const teamKey = ({ columns, lanes }: NormTeam): string => `${columns}x${lanes},`;

/** WGSL: the entry point's head, down to `j`, the load of a row, and `lane`. */
export const teamMain = ({ columns, lanes }: NormTeam): string => /* wgsl */ `
@compute @workgroup_size(${columns * lanes})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let team = wid.y * grid.x + wid.x;
  if (team >= p.row / ${columns}u) { return; }
  let column = lid % ${columns}u;
  let lane = lid / ${columns}u;
  let j = team * ${columns}u + column;`;

/** Workgroups for rows of `row` loads. */
export const teamGrid = ({ columns }: NormTeam, row: number) => foldGrid(row / columns);

/** WGSL: a loop over every `lanes`-th number below `count`. */
export const inTurns = ({ lanes }: NormTeam, name: string, count: string): string =>
  `for (var ${name} = lane; ${name} < ${count}; ${name} += ${lanes}u)`;

/** Rows of a lane that are summed up by themselves: long sums lose digits. */
const RUN = 16;

/**
 * WGSL: the same in runs of {@link RUN} turns, `before` and `after` each of which something is
 * done.
 */
export const inRuns = (
  team: NormTeam,
  name: string,
  count: string,
  body: Record<"before" | "turn" | "after", string>,
) =>
  `for (var start = lane; start < ${count}; start += ${RUN * team.lanes}u) {
    ${body.before}
    let end = min(start + ${RUN * team.lanes}u, ${count});
    for (var ${name} = start; ${name} < end; ${name} += ${team.lanes}u) {
${body.turn}
    }
    ${body.after}
  }`;

/** WGSL: workgroup memory for one value of each invocation in each of `planes`. */
export const shelf = ({ columns, lanes }: NormTeam, name: string, planes: number): string =>
  `var<workgroup> ${name}: array<T, ${planes * columns * lanes}>;`;

/** WGSL: place of lane `l` of this invocation's column in plane `plane` of a shelf. */
export const onShelf = ({ columns, lanes }: NormTeam, plane: number, l: string): string =>
  `${plane * columns * lanes}u + ${l} * ${columns}u + column`;

export interface NormWholeSpec extends NormPoolSpec, NormTeam {
  /** y = max(· + r, 0), r of y's shape. Without windows. */
  readonly residual: boolean;
  /** By part, the number of the running set that moves, as in `NormTracking`; or empty. */
  readonly running: readonly number[];
}

/** WGSL: number, mean and sum of squared deviations of some values, and Chan's merge of two. */
const MOMENTS = `struct Moments { count: f32, mean: T, m2: T }
fn merged(a: Moments, b: Moments) -> Moments {
  let d = b.mean - a.mean;
  let share = b.count / (a.count + b.count);
  return Moments(a.count + b.count, a.mean + d * share, a.m2 + b.m2 + d * d * a.count * share);
}`;

/** WGSL: `first<k>`, `rest<k>` and `rstd<k>`: shift, mean − shift and 1/std of set `k`. */
function ownStatistics(s: NormWholeSpec): string {
  const sets = numbers(statSets(s));
  const moments = sets.map(
    (k) => `  let first${k} = x[${partAt("j", k)}];
  {
    var all = Moments();
  ${inRuns(s, "i", "p.items", {
    before: "var run = Moments();",
    turn: `      let v = x[${partAt("(i * p.row + j)", k)}] - first${k};
      run.count += 1.0;
      let d = v - run.mean;
      run.mean += d / run.count;
      run.m2 += d * (v - run.mean);`,
    after: "all = merged(all, run);",
  })}
    means[${onShelf(s, k, "lane")}] = all.mean;
    squares[${onShelf(s, k, "lane")}] = all.m2;
  }`,
  );
  // In the order of the lanes, by every invocation for itself.
  const merged = sets.map(
    (k) => `  var all${k} = Moments();
  for (var l = 0u; l < ${s.lanes}u; l++) {
    let count = f32((p.items - l + ${s.lanes - 1}u) / ${s.lanes}u);
    all${k} = merged(all${k}, Moments(count, means[${onShelf(s, k, "l")}], squares[${onShelf(s, k, "l")}]));
  }
  let rest${k} = all${k}.mean;
  let rstd${k} = 1.0 / sqrt(all${k}.m2 / f32(p.items) + p.eps);`,
  );
  return [...moments, "  workgroupBarrier();", ...merged].join("\n");
}

/** WGSL: what one lane of a column writes of the statistics. */
function keepStatistics(s: NormWholeSpec): string {
  const sets = statSets(s);
  return numbers(sets)
    .map(
      (k) => `    stats[${k}u * p.row + j] = first${k};
    stats[${sets + k}u * p.row + j] = rest${k};
    stats[${2 * sets + k}u * p.row + j] = rstd${k};
${(sets === 1 ? s.running : s.running.slice(k, k + 1))
  .map(
    (r) => `    runningMean${r}[j] = (1.0 - p.momentum) * runningMean${r}[j] + p.momentum * (first${k} + rest${k});
    runningVar${r}[j] = (1.0 - p.momentum) * runningVar${r}[j] + p.momentum * (all${k}.m2 / (f32(p.items) - 1.0));`,
  )
  .join("\n")}`,
    )
    .join("\n");
}

/** y and the statistics, of all parts, with their running ones moved. */
export const normWholeKernel = /* @__PURE__ */ defineKernel({
  name: "norm-whole",
  key: (s: NormWholeSpec) => `${teamKey(s)}${poolKey(s)},${s.running.join("+")}${flagsKey({ residual: s.residual })}`,
  bindings: (s) => {
    const [given, out] = [read(loadType(s)), write(loadType(s))];
    return {
      ...bind({ x: given, r: s.residual && given, stats: out, y: out }),
      ...scaleBindings(s, loadType(s)),
      ...shiftBindings(s, loadType(s)),
      ...runningBindings(runningSets(s.running), out),
    };
  },
  /** `items` rows have mean and variance; `positions` of the output are a column's. */
  params: {
    loads: "u32",
    outputs: "u32",
    row: "u32",
    h: "u32",
    w: "u32",
    oh: "u32",
    ow: "u32",
    items: "u32",
    positions: "u32",
    eps: "f32",
    momentum: "f32",
  },
  body: (s) => wgsl`
${head(s)}
${endFunctions(s)}
${MOMENTS}
${shelf(s, "means", statSets(s))}
${shelf(s, "squares", statSets(s))}
${teamMain(s)}
${ownStatistics(s)}
  if (lane == 0u) {
${keepStatistics(s)}
  }
${affineConstants(s)}
  ${inTurns(s, "o", "p.positions")} {
    ${windowAt(s)}
    let to = o * p.row + j;
${maximum(s, (e) => element(s, e))}
${numbers(s.parts)
  .map((k) => `    y[${partAt("to", k, "p.outputs")}] = ${ended(s, `best${k}`, partAt("to", k, "p.outputs"))};`)
  .join("\n")}
  }
}`,
  workgroups: (s, p) => teamGrid(s, p.row),
});
