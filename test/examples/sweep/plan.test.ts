/** Plans of sweeps, and the tasks that they come to. */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { readSettings } from "../../../examples/sweep/settings";
import { argumentsOf, checkTasks, commandOf, needsOf } from "../../../examples/sweep/tasks";
import { ArgumentError, FormatError, LimitError } from "../../../src/errors";
import { PLAN, tasks } from "./support";

/** A plan whose tasks read a file of others. */
const withFile = (source: object, more: object = {}) => ({
  program: "cifar10",
  options: { source, ...more },
  grid: { scheme: ["plain", "v1"], seed: [1] },
});

describe("a plan", () => {
  it("is every combination but those left out, the last name fastest, and attacks behind", () => {
    const grid = { scheme: ["plain", "v2", "pan"], seed: [1, 2] };
    const found = tasks({ ...PLAN, grid, exclude: [{ scheme: "v2", seed: 2 }] });
    expect(found.map((t) => [t.index, t.program, Object.values(t.chosen).join(" "), t.follows?.index])).toEqual([
      [0, "cifar10", "plain 1", undefined],
      [1, "cifar10", "plain 2", undefined],
      [2, "cifar10", "v2 1", undefined],
      [3, "cifar10", "pan 1", undefined],
      [4, "cifar10", "pan 2", undefined],
      [5, "attacks", "v2 1 prune", 2],
      [6, "attacks", "pan 1 prune", 3],
      [7, "attacks", "pan 2 prune", 4],
    ]);
    expect(new Set(found.map((t) => t.folder)).size).toBe(8);
  });

  it("gives arguments that programs read, and folders that lists of folders can hold", () => {
    const found = tasks({ program: "cifar10", grid: { "passport-layers": ["4,5", "4, 5"], triggers: [true, false] } });
    expect(argumentsOf(found[0]!, "/x")).toEqual([
      "--passport-layers=4,5",
      "--triggers",
      `--out=/x/${found[0]!.folder}`,
    ]);
    expect(argumentsOf(found[1]!, "/x")).toHaveLength(2);
    for (const { folder } of found) expect(folder).toMatch(/^cifar10\/[\w.=-]+_[0-9a-f]{8}$/);
    const [first, , , , attack] = tasks();
    expect(first!.folder).toMatch(/^cifar10\/scheme=plain_seed=1_/);
    expect(commandOf(attack!)).toBe(
      `npm run attacks -- --attack=prune --checkpoint=${tasks()[2]!.folder} --out=${attack!.folder}`,
    );
  });

  it('names a task by what it is: not by its number, the order of options or 1 for "1"', () => {
    const one = tasks({ program: "cifar10", options: { epochs: 2, lr: 0.1 }, grid: { seed: [1, 2] } });
    const other = tasks({ program: "cifar10", options: { lr: "0.1", epochs: "2" }, grid: { seed: [2] } });
    expect(other[0]!.digest).toBe(one[1]!.digest);
    expect(other[0]!.folder).toBe(one[1]!.folder);
    const longer = tasks({ program: "cifar10", options: { epochs: 3, lr: 0.1 }, grid: { seed: [2] } });
    expect(longer[0]!.folder).not.toBe(other[0]!.folder);
  });

  it("hands a task a file of another one, which is of its own seed, and does without in that one", () => {
    const source = { of: { scheme: "plain" }, file: "deployed.safetensors" };
    const grid = { scheme: ["v1", "plain"], seed: [1, 2] };
    const found = tasks({ program: "cifar10", options: { epochs: 2, source }, grid });
    const [first, second, plain, other] = found;
    expect(found.map((t) => needsOf(t).map((n) => n.index))).toEqual([[2], [3], [], []]);
    expect(argumentsOf(first!, "/x")).toContain(`--source=/x/${plain!.folder}/deployed.safetensors`);
    expect(argumentsOf(second!, "/x")).toContain(`--source=/x/${other!.folder}/deployed.safetensors`);
    expect(argumentsOf(plain!, "/x").join()).not.toContain("--source");
    // Who reads other files is another task; one without references is what it was.
    const elsewhere = tasks({ program: "cifar10", options: { epochs: 2 }, grid });
    expect(elsewhere[0]!.digest).not.toBe(first!.digest);
    expect(elsewhere[2]!.digest).toBe(plain!.digest);
  });

  it("hands attacks the folder of another training, to compare with", () => {
    const grid = { scheme: ["plain", "pan"], seed: [1, 2] };
    const attacks = { options: { plain: { of: { scheme: "plain" } } }, exclude: [{ "on.scheme": "plain" }] };
    const found = tasks({ program: "cifar10", grid, attacks });
    expect(found.map((t) => needsOf(t).map((n) => n.index))).toEqual([[], [], [], [], [2, 0], [3, 1]]);
    expect(argumentsOf(found[5]!, "/x")).toContain(`--plain=/x/${found[1]!.folder}`);
  });

  it.each([
    [[], /the plan: an object expected, found \[\]/],
    [{ program: "cifar100" }, /program: one of cifar10, modelnet40, photos, attacks expected, found "cifar100"/],
    [{ program: "cifar10", gird: {} }, /gird: one of options, grid, exclude, program, attacks expected/],
    [{ program: "cifar10", grid: { seed: 3 } }, /grid\.seed: a list expected, found 3/],
    [{ program: "cifar10", grid: { seed: [] } }, /grid\.seed: at least one value/],
    [{ program: "cifar10", grid: { seed: [1, "1"] } }, /grid\.seed: every value once/],
    [{ program: "cifar10", grid: { seed: [[1]] } }, /grid\.seed: texts, numbers/],
    [{ program: "cifar10", options: { lr: null } }, /options\.lr: a text, a number, true or false/],
    [{ program: "cifar10", options: { out: "x" } }, /options\.out: nothing, since every task has a folder/],
    [{ program: "cifar10", options: { seed: 1 }, grid: { seed: [1] } }, /grid\.seed: an option that is not fixed/],
    [{ program: "cifar10", grid: { seed: [1] }, exclude: [{ sede: 1 }] }, /exclude\[0\]\.sede: an option of a grid/],
    [
      { program: "cifar10", grid: { scheme: ["plain", "pan"] }, exclude: [{ scheme: "plian" }] },
      /exclude\[0\]\.scheme: one of the grid's values \(plain, pan\) expected, found "plian"/,
    ],
    [
      { ...PLAN, attacks: { grid: { attack: ["prune"] }, exclude: [{ "on.scheme": "v9" }] } },
      /attacks\.exclude\[0\]\.on\.scheme: one of the grid's values/,
    ],
    [{ program: "cifar10", exclude: [{}] }, /exclude\[0\]: at least one option/],
    [{ program: "cifar10", grid: { seed: [1] }, exclude: [{ seed: 1 }] }, /at least one task/],
    [{ program: "attacks", attacks: {} }, /attacks: a program that trains before them/],
    [
      { program: "photos", attacks: {} },
      /attacks: a program whose data they can read \(cifar10, modelnet40\) expected, found photos: leave attacks out/,
    ],
    [{ ...PLAN, attacks: { program: "attacks" } }, /attacks\.program: one of options, grid, exclude/],
    [{ ...PLAN, attacks: { options: { checkpoint: "x" } } }, /attacks\.options\.checkpoint: nothing, since/],
    [withFile({ of: { scheme: "plain" }, file: 3 }), /options\.source\.file: the name of a file in that task's folder/],
    [withFile({ of: { scheme: "plain" }, file: "../x" }), /options\.source\.file: the name of a file/],
    [withFile({ of: {}, file: "x" }), /options\.source\.of: what the other task has otherwise/],
    [withFile({ of: { scheme: ["v1"] }, file: "x" }), /options\.source\.of\.scheme: a text, a number, true or false/],
    [
      withFile({ of: { sceme: "v1" }, file: "x" }),
      /options\.source\.of\.sceme: an option of the trainings' grid \(scheme, seed\)/,
    ],
    [withFile({ of: { scheme: "v2" }, file: "x" }), /options\.source: a task scheme=v2 seed=1 expected in the plan/],
    [withFile({ of: { scheme: "v1" }, file: "x", to: 1 }), /options\.source\.to: one of of, file expected/],
    [
      withFile({ of: { scheme: "v1" }, file: "x" }, { other: { of: { scheme: "plain" }, file: "x" } }),
      /options: files of tasks that come before expected, and scheme=plain seed=1 needs its own/,
    ],
    [
      { ...PLAN, attacks: { options: { data: { of: { attack: "a" }, file: "x" } }, grid: { attack: ["a", "b"] } } },
      /attacks\.options\.data\.of\.attack: an option of the trainings' grid \(scheme, seed\)/,
    ],
  ])("refuses %j", (plan, message) => {
    expect(() => tasks(plan)).toThrow(FormatError);
    expect(() => tasks(plan)).toThrow(message);
  });

  it("has no more tasks than anybody runs", () => {
    const digits = Array.from({ length: 10 }, (_, i) => i);
    const grid = Object.fromEntries(["epochs", "batch", "seed", "lr", "width", "images"].map((name) => [name, digits]));
    expect(() => tasks({ program: "cifar10", grid })).toThrow(LimitError);
    expect(() => tasks({ ...PLAN, attacks: { grid } })).toThrow(/at most 100000 tasks expected/);
  });

  it("has its options read by the programs before anything runs", async () => {
    await checkTasks(tasks());
    const wrong = checkTasks(tasks({ program: "cifar10", grid: { scheme: ["pan", "v9"] } }));
    await expect(wrong).rejects.toThrow(/^task 1, npm run cifar10 .*: --scheme: one of .* found "v9"$/);
    await expect(checkTasks(tasks({ program: "cifar10", options: { colour: "red" } }))).rejects.toThrow(ArgumentError);
  });
});

describe("readSettings", () => {
  it("takes the task from whichever scheduler asks", () => {
    const auto = (env: NodeJS.ProcessEnv) => readSettings(["a/plan.json", "--task", "auto"], env);
    const order = (task: number) => ({ plan: "a/plan.json", out: "out/sweep/plan", order: { do: "task", task } });
    expect(auto({ SLURM_ARRAY_TASK_ID: "7" })).toEqual(order(7));
    expect(auto({ JOB_COMPLETION_INDEX: "0" })).toEqual(order(0));
    const later = readSettings(["a/plan.json", "--task", "auto", "--first", "9"], { JOB_COMPLETION_INDEX: "2" });
    expect(later).toEqual(order(11));
    expect(() => auto({})).toThrow(/found neither/);
    expect(() => auto({ SLURM_ARRAY_TASK_ID: "all" })).toThrow(/the number of a task expected, found "all"/);
    expect(readSettings(["p.json", "--list", "--json", "--out", "o"])).toMatchObject({
      order: { do: "list", json: true },
    });
  });

  it.each([
    [["--list"], /the JSON file of a plan expected first/],
    [["p.json"], /one of --list, --task and --merge expected, found none/],
    [["p.json", "--list", "--merge"], /found --list and --merge/],
    [["p.json", "--task", "x"], /--task: a whole number/],
    [["p.json", "--task", "3", "--first", "1"], /--first: --task auto expected/],
    [["p.json", "--merge", "--json"], /--json: --list expected/],
    [["p.json", "--merge", "--out", "a,b"], /a folder without commas/],
  ])("refuses %j", (args, message) => {
    expect(() => readSettings(args, {})).toThrow(ArgumentError);
    expect(() => readSettings(args, {})).toThrow(message);
  });
});

it.each([
  "cifar10",
  "modelnet40",
])("the plan of bench/gpu.sh for %s is one, with seeds and epochs to fill in", async (name) => {
  const text = await readFile(`bench/gpu/${name}.json`, "utf8");
  expect(text).toMatch(/"epochs": 200\b/);
  expect(text).toContain('"seed": [1]');
  await checkTasks(tasks(JSON.parse(text)));
});

it("docs/scale.md shows the job files as they lie in examples/sweep/jobs", async () => {
  const text = await readFile("docs/scale.md", "utf8");
  for (const name of ["slurm.sh", "kubernetes.yaml", "Containerfile"])
    expect(text).toContain(await readFile(`examples/sweep/jobs/${name}`, "utf8"));
  const plans = [...text.matchAll(/```json\n(.*?)```/gs)].map(([, plan]) => tasks(JSON.parse(plan!)));
  expect(plans.map((all) => all.length)).toEqual([21, 6]);
  for (const all of plans) await checkTasks(all);
});
