import { wgsl } from "wgsl-preprocessor/wgsl-preprocessor.js";
import { defineKernel } from "../../src/gpu/kernel";
import {
  bind,
  ended,
  endFunctions,
  flagsKey,
  lanesKey,
  loadType,
  numbers,
  partAt,
  read,
  scaleBindings,
  shiftBindings,
  statSets,
  write,
} from "./apply.wgsl";
import { element, head, maximum, poolKey, windowAt } from "./pool.wgsl";
import { runningBindings, runningSets } from "./statistics.wgsl";
import {
  begins,
  inRuns,
  inTurns,
  isFirst,
  type NormTeamSpec,
  ofPart,
  onShelf,
  planeOf,
  seen,
  shelf,
  sliceSum,
  teamConstants,
  teamGrid,
  teamKey,
  teamMain,
} from "./team.wgsl";

/*
 * Batch normalisation by workgroups that own a few columns of x seen as [S, C]: each takes their
 * statistics, and goes over them a second time, in one launch. Where columns have too many rows for
 * that, several workgroups share them, and a launch before takes the moments of each.
 *
 * Windows, parts and planes as in pool.wgsl.ts; a window of 1 is none.
 */

export interface NormWholeSpec extends NormTeamSpec {
  /** y = max(· + r, 0), r of y's shape. Without windows. */
  readonly residual: boolean;
  /** By part, the number of the running set that moves, as in `NormTracking`; or empty. */
  readonly running: readonly number[];
}

/**
 * WGSL: number, mean and sum of squared deviations of some values, and Chan's merge of two, either
 * of which may be of none.
 */
const MOMENTS = `struct Moments { count: f32, mean: T, m2: T }
fn merged(a: Moments, b: Moments) -> Moments {
  let d = b.mean - a.mean;
  let share = b.count / max(a.count + b.count, 1.0);
  return Moments(a.count + b.count, a.mean + d * share, a.m2 + b.m2 + d * d * a.count * share);
}`;

/** WGSL: how many of the `p.items` rows the lanes before number `lane` of all `lanes` take. */
const ROWS_BEFORE = `fn rowsBefore(lane: u32, lanes: u32) -> u32 {
  return p.items / lanes * lane + min(p.items % lanes, lane);
}`;

const lines = (s: NormTeamSpec, line: (k: number) => string): string => numbers(statSets(s)).map(line).join("\n");

/** WGSL: `first<k>`, the shift of set `k`: its first value. */
const shifts = (s: NormTeamSpec): string => lines(s, (k) => `  let first${k} = x[${partAt("startX", k)}];`);

/** WGSL: mean and squared deviations of each invocation's rows, put on the shelves. */
const moments = (s: NormTeamSpec): string => `${lines(
  s,
  (k) => `  {
    var all = Moments();
  ${inRuns(s, "i", "p.items", {
    before: "var run = Moments();",
    turn: `      let v = x[${partAt("(i * p.row + startX)", k)}] - first${k};
      run.count += 1.0;
      let d = v - run.mean;
      run.mean += d / run.count;
      run.m2 += d * (v - run.mean);`,
    after: "all = merged(all, run);",
  })}
    means[${onShelf(s, k, "lane")}] = all.mean;
    squares[${onShelf(s, k, "lane")}] = all.m2;
  }`,
)}
  workgroupBarrier();`;

/** WGSL: the moments of each slice of the launch before, put on the shelves. */
const momentsOfSlices = (s: NormTeamSpec, sets: number): string => `  if (lane < p.earlier) {
${lines(
  s,
  (k) => `    means[${onShelf(s, k, "lane")}] = ${sliceSum(s, sets, 0, k, "lane")};
    squares[${onShelf(s, k, "lane")}] = ${sliceSum(s, sets, 1, k, "lane")};`,
)}
  }
  workgroupBarrier();`;

/**
 * WGSL: `all<k>`, what is on the shelves in the places below `count`, merged in order, by every
 * invocation for itself; `rows` are those of place `l`.
 */
const mergedMoments = (s: NormTeamSpec, count: string, rows: string): string =>
  lines(
    s,
    (k) => `  var all${k} = Moments();
  for (var l = 0u; l < ${count}; l++) {
    let rows = f32(${rows});
    all${k} = merged(all${k}, Moments(rows, means[${onShelf(s, k, "l")}], squares[${onShelf(s, k, "l")}]));
  }`,
  );

/** WGSL: the moments of this workgroup's rows, `all<k>`. */
function ownMoments(s: NormTeamSpec): string {
  const [first, lanes] = s.sliced ? [`slice * ${s.lanes}u + l`, `p.slices * ${s.lanes}u`] : ["l", `${s.lanes}u`];
  const rows = `rowsBefore(${first} + 1u, ${lanes}) - rowsBefore(${first}, ${lanes})`;
  return `${moments(s)}\n${mergedMoments(s, `${s.lanes}u`, rows)}`;
}

/** WGSL: those of all slices. */
function moreMoments(s: NormTeamSpec, sets: number): string {
  const before = (slice: string) => `rowsBefore(${slice} * ${s.lanes}u, p.earlier * ${s.lanes}u)`;
  return `${momentsOfSlices(s, sets)}\n${mergedMoments(s, "p.earlier", `${before("(l + 1u)")} - ${before("l")}`)}`;
}

/** WGSL: `rest<k>` and `rstd<k>`: mean − shift and 1/std of set `k`. */
const statistics = (s: NormTeamSpec): string =>
  lines(
    s,
    (k) => `  let rest${k} = all${k}.mean;
  let rstd${k} = 1.0 / sqrt(all${k}.m2 / f32(p.items) + p.eps);`,
  );

/** WGSL: what one lane of a column writes of the statistics, of `sets` of them. */
const keepStatistics = (s: NormWholeSpec, sets: number): string =>
  lines(s, (k) => {
    const moved = s.apart || sets === 1 ? s.running : s.running.slice(k, k + 1);
    return `    stats[${planeOf(s, sets, 0, k)} * p.row + j] = first${k};
    stats[${planeOf(s, sets, 1, k)} * p.row + j] = rest${k};
    stats[${planeOf(s, sets, 2, k)} * p.row + j] = rstd${k};
${moved
  .map((r, part) =>
    ofPart(
      s,
      part,
      `runningMean${r}[j] = (1.0 - p.momentum) * runningMean${r}[j] + p.momentum * (first${k} + rest${k});
    runningVar${r}[j] = (1.0 - p.momentum) * runningVar${r}[j] + p.momentum * (all${k}.m2 / (f32(p.items) - 1.0));`,
    ),
  )
  .join("\n")}`;
  });

/** The moments of each slice of every column, for {@link normWholeKernel}. */
export const normMomentsKernel = /* @__PURE__ */ defineKernel({
  name: "norm-moments",
  key: (s: NormTeamSpec) => `${teamKey(s)}${lanesKey(s)},${statSets(s)}`,
  bindings: (s) => ({ x: read(loadType(s)), sums: write(loadType(s)) }),
  /** `items` rows have mean and variance, `loads` are those of one part. */
  params: { loads: "u32", row: "u32", items: "u32", slices: "u32" },
  body: (s) => {
    const one = seen(s);
    return wgsl`
alias T = ${loadType(s).type};
${MOMENTS}
${ROWS_BEFORE}
${shelf(s, "means", statSets(one))}
${shelf(s, "squares", statSets(one))}
${teamMain(s)}
  let startX = ${begins(s, "p.loads")};
${shifts(one)}
${ownMoments(one)}
  if (lane == 0u) {
${lines(
  one,
  (k) => `    ${sliceSum(one, statSets(s), 0, k, "slice")} = all${k}.mean;
    ${sliceSum(one, statSets(s), 1, k, "slice")} = all${k}.m2;`,
)}
  }
}`;
  },
  workgroups: (s, p) => teamGrid(s, p),
});

/** y and the statistics, of all parts, with their running ones moved. */
export const normWholeKernel = /* @__PURE__ */ defineKernel({
  name: "norm-whole",
  key: (s: NormWholeSpec) => `${teamKey(s)}${poolKey(s)},${s.running.join("+")}${flagsKey({ residual: s.residual })}`,
  bindings: (s) => {
    const [given, out] = [read(loadType(s)), write(loadType(s))];
    return {
      ...bind({ x: given, r: s.residual && given, sums: s.sliced && given, stats: out, y: out }),
      ...scaleBindings(s, loadType(s)),
      ...shiftBindings(s, loadType(s)),
      ...runningBindings(runningSets(s.running), out),
    };
  },
  /**
   * `items` rows have mean and variance; `positions` of the output are a column's, `earlier` the
   * slices that the sums are of.
   */
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
    slices: "u32",
    earlier: "u32",
    eps: "f32",
    momentum: "f32",
  },
  body: (s) => {
    const one = seen(s);
    return wgsl`
${head(s)}
${endFunctions(s)}
${MOMENTS}
${ROWS_BEFORE}
${shelf(s, "means", statSets(one))}
${shelf(s, "squares", statSets(one))}
${teamMain(s)}
  let startX = ${begins(s, "p.loads")};
  let startY = ${begins(s, "p.outputs")};
${shifts(one)}
${s.sliced ? moreMoments(one, statSets(s)) : ownMoments(one)}
${statistics(one)}
  if (${isFirst(s)}) {
${keepStatistics(one, statSets(s))}
  }
${teamConstants(s)}
  ${inTurns(s, "o", "p.positions")} {
    ${windowAt(s, "startX")}
    let to = o * p.row + startY;
${maximum(one, (e) => element(s, e))}
${numbers(one.parts)
  .map((k) => `    y[${partAt("to", k, "p.outputs")}] = ${ended(s, `best${k}`, partAt("to", k, "p.outputs"))};`)
  .join("\n")}
  }
}`;
  },
  workgroups: (s, p) => teamGrid(s, p),
});
