/** What a merged sweep says, and that it says the same wherever its tasks ran. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Done } from "../../../examples/sweep/done";
import { resultsPage } from "../../../examples/sweep/markdown";
import { groupsOf, meanOf } from "../../../examples/sweep/means";
import { merge } from "../../../examples/sweep/merge";
import { type Results, resultsOf } from "../../../examples/sweep/results";
import { runTask } from "../../../examples/sweep/run-task";
import type { Task } from "../../../examples/sweep/tasks";
import { programs, tasks } from "./support";

const FOUND = ["results.json", "results.csv", "results.md", "means.csv"];
const RUNS = ["runs.json", "runs.csv", "runs.md"];

let root: string;
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), "pan-merge-"))));
afterEach(() => rm(root, { recursive: true }));

const read = (out: string, names: readonly string[]) => Promise.all(names.map((n) => readFile(join(out, n), "utf8")));

/** Runs some tasks in an order on a machine, and merges. */
async function swept(name: string, order: readonly number[], adapter: string): Promise<string> {
  const out = join(root, name);
  const all = tasks();
  for (const index of order) await runTask(all[index]!, { out, launch: programs({ adapter }).launch });
  await merge(all, out);
  return out;
}

it("has the same bytes in any order and on any machine; times and adapters are apart", async () => {
  const [a, b] = [await swept("a", [0, 1, 2, 3, 4, 5], "A"), await swept("b", [3, 5, 2, 0, 4, 1], "B")];
  expect(await read(a, FOUND)).toEqual(await read(b, FOUND));
  for (const text of await read(b, RUNS)) expect(text).toMatch(/\bB\b/);
  for (const text of await read(b, FOUND)) expect(text).not.toContain(root);
});

it("has means and deviations over seeds, the commands, and nothing missing", async () => {
  const [results, , page, means] = await read(await swept("a", [0, 1, 2, 3, 4, 5], "A"), FOUND);
  const { groups, tasks: all, missing } = JSON.parse(results!);
  expect(missing).toEqual([]);
  expect(all).toHaveLength(6);
  expect(groups.map((g: { chosen: object; tasks: number[] }) => [g.chosen, g.tasks])).toEqual([
    [{ scheme: "plain" }, [0, 1]],
    [{ scheme: "pan" }, [2, 3]],
    [{ "on.scheme": "pan", attack: "prune" }, [4, 5]],
  ]);
  const { count, mean, deviation } = groups[1].means.public;
  expect([count, mean, deviation]).toEqual([2, expect.closeTo(1 / 3 + 0.15), expect.closeTo(Math.SQRT1_2 / 10)]);
  expect(groups[2].means["pruning, share=0.5: public"]).toEqual({ count: 2, mean: 0.5, deviation: 0 });
  expect(groups[2].counts).toEqual({ verdict: { "mark present": 2 } });
  expect(means).toContain("cifar10,pan,,,public,2,");
  expect(page).toContain("6 of 6 tasks are done");
  expect(page).toContain("0.4833 ± 0.071");
  expect(page).toMatch(/5 {2}npm run attacks -- --attack=prune --checkpoint=cifar10\/scheme=pan_seed=2_/);
  expect(page).not.toContain("Missing");
});

it("says what is missing", async () => {
  const out = await swept("a", [2], "A");
  const [results, , page] = await read(out, FOUND);
  expect(JSON.parse(results!).missing.map((t: { index: number }) => t.index)).toEqual([0, 1, 3, 4, 5]);
  expect(page).toContain("1 of 6 tasks are done");
  expect(page).toContain("## Missing");
});

it("calls measures of attacks by what was spent and set, never by what came of it", async () => {
  const after = { accuracy: { public: 0.5 }, matched: 9, bits: 10, pValue: 1 };
  const record = (attack: string, budget: object, steps: object[]) => ({ attack, budget, steps });
  const found = async (own: number) => {
    const attacks = [
      record("forged bound claims", { data: "none" }, [{ setting: { means: "all" }, after, own }]),
      ...[0.01, 0.05].map((lr) => record("fine-tuning, FTAL", { lr, epochs: 1 }, [{ setting: { epoch: 1 }, after }])),
      record("fine-tuning, RTAL", { task: "CIFAR-100", lr: 0.01 }, [{ setting: { epoch: 1 }, after }]),
      ...["a", "a, b"].map((layers) => record("turned signs", { layers }, [{ setting: { share: 0.5 }, after }])),
    ];
    const network = { adapter: {}, claim: after, verdict: { verdict: "holds" }, attacks, forgeries: [] };
    await writeFile(join(root, "report.json"), JSON.stringify({ networks: [network] }));
    return (await resultsOf("attacks", root)).results;
  };
  const [one, other] = [await found(7), await found(8)];
  expect(Object.keys(one)).toEqual(Object.keys(other));
  expect(one).toMatchObject({
    "forged bound claims, means=all: own": 7,
    "fine-tuning, FTAL, lr=0.01, epoch=1: public": 0.5,
    "fine-tuning, FTAL, lr=0.05, epoch=1: public": 0.5,
    "fine-tuning, RTAL, task=CIFAR-100, lr=0.01, epoch=1: matched": 9,
    "turned signs, layers=a, share=0.5: matched": 9,
    "turned signs, layers=a, b, share=0.5: matched": 9,
  });
  expect(Object.keys(one).filter((name) => name.includes("(2)"))).toEqual([]);
});

it.each([1, 20])("says of how many runs a mean is, with %i measures", (count) => {
  const [a, b] = tasks() as [Task, Task];
  const done = (results: Results) => ({ results }) as Done;
  const many = Object.fromEntries(Array.from({ length: count }, (_, i) => [`measure ${i}`, 1]));
  const finished = [
    { task: a, done: done(many) },
    { task: b, done: done({ ...many, rare: 3 }) },
  ];
  const page = resultsPage({ finished, missing: [], groups: groupsOf(finished) });
  expect(page).toMatch(count === 1 ? /\| plain \| 2 \| 1 ± 0 \| 3 \(of 1\) \|/ : /\| plain \| rare \| 1 \| 3 \|/);
});

it("takes the deviation of a sample, and none of one value", () => {
  expect(meanOf([1, 2, 3, 4])).toEqual({ count: 4, mean: 2.5, deviation: Math.sqrt(5 / 3) });
  expect(meanOf([7])).toEqual({ count: 1, mean: 7, deviation: null });
});
