/** What a merged sweep says, and that it says the same wherever its tasks ran. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { meanOf } from "../../../examples/sweep/means";
import { merge } from "../../../examples/sweep/merge";
import { runTask } from "../../../examples/sweep/run-task";
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

it("takes the deviation of a sample, and none of one value", () => {
  expect(meanOf([1, 2, 3, 4])).toEqual({ count: 4, mean: 2.5, deviation: Math.sqrt(5 / 3) });
  expect(meanOf([7])).toEqual({ count: 1, mean: 7, deviation: null });
});
