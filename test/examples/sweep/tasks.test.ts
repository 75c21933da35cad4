/** Tasks of a sweep: run once, by one process at a time, in folders of their own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { begin, runningAt } from "../../../examples/sweep/attempt";
import { doneOf } from "../../../examples/sweep/done";
import { claimFolder } from "../../../examples/sweep/folder";
import { runTask } from "../../../examples/sweep/run-task";
import { stateOf } from "../../../examples/sweep/state";
import { ArgumentError } from "../../../src/errors";
import { PLAN, programs, tasks } from "./support";

let out: string;
beforeEach(async () => void (out = await mkdtemp(join(tmpdir(), "pan-sweep-"))));
afterEach(() => rm(out, { recursive: true }));

const [plain, , pan, , attack] = tasks();
const until = async (what: () => unknown) => {
  while (!what()) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe("a task", () => {
  it("runs once: what is done is left alone", async () => {
    const { launch, started } = programs();
    expect(await stateOf(pan!, out)).toMatchObject({ state: "not begun" });
    expect(await runTask(pan!, { out, launch })).toBe("done");
    expect(await runTask(pan!, { out, launch })).toBe("done before");
    expect(started.map(({ program }) => program)).toEqual(["cifar10"]);
    expect(started[0]!.args).not.toContain("--resume");
    const done = JSON.parse(await readFile(join(out, pan!.folder, "done.json"), "utf8"));
    expect(done).toMatchObject({
      digest: pan!.digest,
      attempts: 1,
      seconds: expect.any(Number),
      adapter: { kind: "software", name: "A" },
      results: { public: 1 / 3 + 0.1, matched: 9, bits: 10 },
    });
    expect(await stateOf(pan!, out)).toMatchObject({ state: "done" });
  });

  it("is tried again when it was interrupted, from its checkpoint, and not told so when it failed", async () => {
    const { launch, started } = programs({ waits: true });
    const stop = new AbortController();
    const first = runTask(pan!, { out, launch, signal: stop.signal });
    await until(() => started.length);
    stop.abort();
    await until(() => started[0]!.stopped);
    await writeFile(join(out, pan!.folder, "last.checkpoint"), "");
    started[0]!.end({ code: 130 });
    expect(await first).toBe("interrupted");
    expect(await stateOf(pan!, out)).toEqual({ state: "begun", note: "attempt 1 interrupted" });

    const second = runTask(pan!, { out, launch });
    await until(() => started.length > 1);
    expect(await stateOf(pan!, out)).toMatchObject({ state: "begun", note: expect.stringMatching(/^running on /) });
    started[1]!.end({ code: 1 });
    expect(await second).toBe("failed");
    expect(started[1]!.args.at(-1)).toBe("--resume");
    expect(await stateOf(pan!, out)).toEqual({ state: "begun", note: "attempt 2 failed" });
  });

  it.each([
    [{ signal: "SIGTERM" }, "interrupted"],
    [{ signal: "SIGKILL" }, "failed"],
    [{ code: 130 }, "interrupted"],
    [{ code: 2 }, "failed"],
  ])("that ends by %j is %s", async (how, outcome) => {
    const { launch, started } = programs({ waits: true });
    const run = runTask(pan!, { out, launch });
    await until(() => started.length);
    started[0]!.end(how);
    expect(await run).toBe(outcome);
  });

  it("that reads a file of another waits until that one is done", async () => {
    const source = { of: { scheme: "plain" }, file: "deployed.safetensors" };
    const [first, plain] = tasks({
      program: "cifar10",
      options: { source },
      grid: { scheme: ["v1", "plain"], seed: [1] },
    });
    const { launch, started } = programs();
    expect(await runTask(first!, { out, launch })).toBe("waiting");
    expect(await stateOf(first!, out)).toEqual({ state: "not begun", note: "waits for 1" });
    expect(await runTask(plain!, { out, launch })).toBe("done");
    expect(await runTask(first!, { out, launch })).toBe("done");
    expect(started.at(-1)!.args).toContain(`--source=${join(out, plain!.folder, "deployed.safetensors")}`);
  });

  it("that attacks waits for its network, and is handed its folder", async () => {
    const { launch, started } = programs();
    expect(await runTask(attack!, { out, launch })).toBe("waiting");
    expect(await stateOf(attack!, out)).toEqual({ state: "not begun", note: "waits for 2" });
    await runTask(pan!, { out, launch });
    expect(await runTask(attack!, { out, launch })).toBe("done");
    expect(started[1]!.args).toContain(`--checkpoint=${join(out, pan!.folder)}`);
  });

  it("goes to one of two that want it at once", async () => {
    const { launch, started } = programs({ waits: true });
    const rivals = Array.from({ length: 8 }, () => runTask(pan!, { out, launch }));
    await until(() => started.length);
    const first = await Promise.race(rivals);
    expect(first).toBe("busy");
    started[0]!.end({ code: 3 });
    const outcomes = await Promise.all(rivals);
    expect(outcomes.filter((o) => o === "failed")).toHaveLength(1);
    expect(started).toHaveLength(1);
  });

  it("is refused in the folder of another", async () => {
    const { launch } = programs();
    await runTask(plain!, { out, launch });
    await mkdir(join(out, pan!.folder));
    await writeFile(join(out, pan!.folder, "done.json"), await readFile(join(out, plain!.folder, "done.json")));
    await expect(runTask(pan!, { out, launch })).rejects.toThrow(ArgumentError);
    await expect(runTask(pan!, { out, launch })).rejects.toThrow(
      /the folder of task 2 .*scheme=pan.* found that of another/,
    );
  });
});

describe("a plan that a program refuses", () => {
  it.each(["--list", "--task=0"])("claims no folder (%s)", async (order) => {
    const plan = join(out, "plan.json");
    await writeFile(plan, JSON.stringify({ program: "cifar10", grid: { sceme: ["plain", "pan"] } }));
    const args = ["--import", "tsx", "examples/sweep.ts", plan, order, "--out", join(out, "sweep")];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (text) => (said += text));
    const [code] = await once(child, "close");
    expect([code, said]).toEqual([1, expect.stringMatching(/task 0, .*: Unknown option '--sceme'/)]);
    expect(await readdir(out)).toEqual(["plan.json"]);
  });
});

describe("a lock", () => {
  const files = async (task: string) => (await readdir(join(task, "attempts"))).filter((n) => /^\d/.test(n));

  it("of a process that died is followed, as soon as all that wrote there are gone", async () => {
    const held = await begin(out);
    const sleeper = spawn("sleep", ["60"]);
    await held!.watch(sleeper.pid!);
    await held!.end("interrupted");
    const path = join(out, "attempts", "1.json");
    const record = JSON.parse(await readFile(path, "utf8"));
    // This process lives, but began at another time: its number was another's.
    record.processes[0].start = "1";
    await writeFile(path, JSON.stringify({ ...record, ended: null }));
    expect(await runningAt(out)).toMatchObject({ ended: null });
    expect(await begin(out)).toBeNull();
    sleeper.kill("SIGKILL");
    await once(sleeper, "close");
    const next = await begin(out);
    expect(next!.number).toBe(2);
    await next!.end("done");
    expect(await files(out)).toEqual(["1.json", "2.json"]);
  });

  it.each([
    ["that says where it is", JSON.stringify({ origin: "elsewhere", host: "far", processes: [], ended: null })],
    ["whose file is not written yet", ""],
  ])("of another machine %s is held until it gives no sign of life", async (_, text) => {
    await mkdir(join(out, "attempts"));
    const path = join(out, "attempts", "1.json");
    await writeFile(path, text);
    expect(await begin(out)).toBeNull();
    const old = new Date(Date.now() - 200_000);
    await utimes(path, old, old);
    const next = await begin(out);
    expect(next!.number).toBe(2);
    await next!.end("done");
  });

  it("gives signs of life, and notices when the task was taken over", async () => {
    const held = await begin(out, { beat: 10, stale: 1000 });
    const path = join(out, "attempts", "1.json");
    const old = new Date(0);
    await utimes(path, old, old);
    await until(() => true);
    await writeFile(join(out, "attempts", "2.json"), "");
    await held!.lost;
    expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({ ended: null });
    await held!.end("interrupted");
  });
});

describe("the folder of a sweep", () => {
  it("belongs to its plan, which may grow, and to no other", async () => {
    const folder = join(out, "sweep");
    await claimFolder(folder, tasks(), { writes: false });
    await expect(readdir(folder)).rejects.toThrow(/ENOENT/);
    await claimFolder(folder, tasks(), { writes: true });
    await claimFolder(folder, tasks(), { writes: true });
    await claimFolder(folder, tasks({ ...PLAN, grid: { scheme: ["plain", "pan"], seed: [1, 2, 3] } }), {
      writes: true,
    });
    const smaller = claimFolder(folder, tasks(), { writes: true });
    await expect(smaller).rejects.toThrow(ArgumentError);
    await expect(smaller).rejects.toThrow(/found one of another plan, with 3 tasks that this one has not/);
  });

  it("keeps what is done, however the plan is written", async () => {
    const folder = join(out, "sweep");
    const first = tasks();
    await claimFolder(folder, first, { writes: true });
    for (const task of first) expect(await runTask(task, { out: folder, launch: programs().launch })).toBe("done");
    const { passports } = PLAN.options;
    const others = [
      { ...PLAN, grid: { seed: [1, 2], scheme: ["plain", "pan"] } },
      { ...PLAN, grid: { ...PLAN.grid, seed: [2, 1, 3] } },
      { ...PLAN, options: { epochs: 2 }, grid: { ...PLAN.grid, passports: [passports] } },
      { ...PLAN, options: { passports }, grid: { epochs: [2, 3], ...PLAN.grid } },
    ];
    for (const plan of others) {
      const again = tasks(plan);
      await claimFolder(join(out, "sweep"), again, { writes: false });
      const done = await Promise.all(again.map((task) => doneOf(task, folder)));
      expect(done.filter((one) => one !== null)).toHaveLength(first.length);
    }
  });

  it("is not one that holds other files", async () => {
    await writeFile(join(out, "thesis.tex"), "");
    const wrong = claimFolder(out, tasks(), { writes: true });
    await expect(wrong).rejects.toThrow(/a folder of this plan or a new one expected, found other files/);
  });
});
