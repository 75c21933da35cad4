/**
 * The example of the README, run as it stands there: as a program in a folder with some of
 * CIFAR-10's pictures in the official form.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "./entries";

const RECORD = 1 + 3 * 32 * 32;

/** The block behind the comment that says that it is run. */
function example(): string {
  const found = [...readFileSync(join(ROOT, "README.md"), "utf8").matchAll(/<!-- run -->\s*^```ts\n(.*?)^```$/gms)];
  expect(found).toHaveLength(1);
  return found[0]![1]!;
}

/** CIFAR-10's six files, with a few pictures in each. */
function pictures(folder: string, each: number): void {
  const read = (name: string) => readFileSync(resolve(ROOT, "examples/data", name));
  const [train, test] = [read("train_sample.bin"), read("test_sample.bin")];
  mkdirSync(folder);
  for (let i = 0; i < 5; i++)
    writeFileSync(join(folder, `data_batch_${i + 1}.bin`), train.subarray(i * each * RECORD, (i + 1) * each * RECORD));
  writeFileSync(join(folder, "test_batch.bin"), test.subarray(0, each * RECORD));
}

/** A program on its own, as it would run outside of this repository but for the package's name. */
async function run(cwd: string, file: string): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const embedded = join(ROOT, ".adapter", "swiftshader");
  const env = { PAN_SWIFTSHADER: embedded, ...process.env, TSX_TSCONFIG_PATH: join(ROOT, "tsconfig.json") };
  const child = spawn(process.execPath, ["--import", "tsx", file], { cwd, env });
  const printed = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const)
    child[stream].setEncoding("utf8").on("data", (text: string) => void (printed[stream] += text));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, ...printed };
}

it("the README's example trains, signs and verifies", async () => {
  const code = example();
  const statements = code.split("\n").filter((line) => /^(await|const|for|console)\b/.test(line));
  expect(statements.length).toBeLessThanOrEqual(11);
  mkdirSync(join(ROOT, "out"), { recursive: true });
  // Below the project, so that the program finds its packages.
  const folder = mkdtempSync(join(ROOT, "out", "readme-"));
  try {
    pictures(join(folder, "data"), 20);
    writeFileSync(join(folder, "example.mts"), code);
    const { status, stdout, stderr } = await run(folder, "example.mts");
    expect(status, stderr).toBe(0);
    expect(stdout.match(/epoch: \d+/g)).toHaveLength(10);
    // Ten epochs of a hundred pictures teach a classifier little, and the signs of γ all the same.
    expect(stdout).toContain("The suspect bears the claim's mark");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 300_000);
