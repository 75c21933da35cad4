/**
 * The same numbers in every engine: Dawn (Node) on both software adapters, wgpu (Deno, and what
 * Firefox has), Chromium. What is not installed is skipped with a word; SwiftShader on Dawn is what
 * all are held against.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { environment, executablePath, FLAGS, missing } from "../browser/chromium";
import { type Bundled, bundleProgram } from "../support/bundled";
import { program } from "../support/programs";
import type { EngineNumbers } from "./numbers";

const HERE = import.meta.dirname;
const IMPORTS = `
import * as pan from ${JSON.stringify(resolve(HERE, "../support/entries.ts"))};
import { engineNumbers } from ${JSON.stringify(join(HERE, "numbers.ts"))};
`;
const IN_NODE = `${IMPORTS}
import { dawn } from "@pan/core/node";
console.log(JSON.stringify(await engineNumbers(pan, { gpu: await dawn() })));
`;
/** Where there is a \`navigator.gpu\`. */
const ON_THE_WEB = `${IMPORTS}
globalThis.outcome = engineNumbers(pan);
if (globalThis.Deno) console.log(JSON.stringify(await globalThis.outcome));
`;

/** Lavapipe, where `.ci/mesa` has put it; else Vulkan finds what is installed. */
const LAVAPIPE = resolve(HERE, "../../.adapter/mesa/lvp_icd.json");
const onLavapipe = existsSync(LAVAPIPE) ? { VK_DRIVER_FILES: LAVAPIPE, VK_ICD_FILENAMES: LAVAPIPE } : {};

/** Lavapipe compiles each kernel for half a second, and every process compiles all of them. */
const PATIENCE = 900_000;

let inNode: Bundled;
let onTheWeb: Bundled;
let reference: EngineNumbers;
const table: string[] = [];

beforeAll(async () => {
  [inNode, onTheWeb] = await Promise.all([bundleProgram(IN_NODE), bundleProgram(ON_THE_WEB, "browser")]);
  reference = await run(process.execPath, [inNode.file], inNode, { PAN_ADAPTER: "swiftshader" });
}, PATIENCE);
afterAll(() => {
  inNode?.remove();
  onTheWeb?.remove();
  console.log(
    ["engine, adapter: largest difference from Dawn on SwiftShader, of a tensor's largest", ...table].join("\n"),
  );
});

/** @throws Error that ends with what the program wrote to its standard error. */
async function run(
  command: string,
  args: string[],
  { where }: Bundled,
  env: NodeJS.ProcessEnv,
): Promise<EngineNumbers> {
  const options = { cwd: where.cwd, env: { ...where.env, ...env }, maxBuffer: 2 ** 28 };
  const { stdout } = await promisify(execFile)(command, args, options);
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as EngineNumbers;
}

/** The largest difference of two lists, as a share of the largest number in them. */
function difference(actual: readonly number[], expected: readonly number[]): number {
  const largest = expected.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6);
  return expected.reduce((most, v, i) => Math.max(most, Math.abs(actual[i]! - v) / largest), 0);
}

/** What training amplifies: rounding of one step is in the weights of the next. */
const isTrained = (name: string) => /losses$|tensors$|^[γβ] of/.test(name);

function expectAgreement(engine: string, { adapter, subgroupSize, numbers, words }: EngineNumbers): void {
  expect(Object.keys(numbers)).toEqual(Object.keys(reference.numbers));
  const worst = { operation: ["", 0] as [string, number], training: ["", 0] as [string, number] };
  for (const [name, expected] of Object.entries(reference.numbers)) {
    const actual = numbers[name]!;
    expect(actual, name).toHaveLength(expected.length);
    expect(actual.every(Number.isFinite), name).toBe(true);
    const kind = isTrained(name) ? "training" : "operation";
    const far = difference(actual, expected);
    if (far > worst[kind][1]) worst[kind] = [name, far];
  }
  const [operation, training] = [worst.operation, worst.training].map(
    ([name, far]) => `${far.toExponential(1)} (${name})`,
  );
  table.push(`${engine}, ${adapter}, subgroups of ${subgroupSize}: operations ${operation}, training ${training}`);
  expect(worst.operation[1], worst.operation[0]).toBeLessThan(1e-5);
  expect(worst.training[1], worst.training[0]).toBeLessThan(1e-3);
  expect(words).toEqual(reference.words);
}

describe("the same numbers", { timeout: PATIENCE }, () => {
  const deno = program("deno");
  const swiftshader = join(resolve(HERE, "../.."), ".adapter", "swiftshader", "vk_swiftshader_icd.json");
  const inDeno = ["run", "--allow-all", "--no-config", "--unstable-webgpu"];

  it("are numbers, and the training learns its bits", () => {
    for (const [name, list] of Object.entries(reference.numbers)) {
      expect(list.length, name).toBeGreaterThan(0);
      expect(list.every(Number.isFinite), name).toBe(true);
    }
    expect(reference.words["verdict"]).toMatch(/bits$/);
  });

  /** Runs on the system's adapter, where it has one: SwiftShader comes along, others do not. */
  async function onSystem(context: TestContext, engine: string, ...how: Parameters<typeof run>): Promise<void> {
    let found: EngineNumbers;
    try {
      found = await run(...how);
    } catch (error) {
      if (!/AdapterNotFoundError|UnavailableError/.test(String(error))) throw error;
      console.warn(
        `${engine} on an adapter of the system is skipped: it has none (Debian: mesa-vulkan-drivers, or .ci/mesa).`,
      );
      return context.skip();
    }
    expectAgreement(engine, found);
  }

  it("by Dawn in Node, on lavapipe", (context) =>
    onSystem(context, "Node, Dawn", process.execPath, [inNode.file], inNode, {
      ...onLavapipe,
      PAN_ADAPTER: "lavapipe",
    }));

  it.skipIf(!deno)("by wgpu in Deno, on the system’s adapter", (context) =>
    onSystem(context, "Deno, wgpu", deno!, [...inDeno, onTheWeb.file], onTheWeb, onLavapipe),
  );

  it.skipIf(!deno)("by wgpu in Deno, on SwiftShader", async () => {
    const drivers = { VK_DRIVER_FILES: swiftshader, VK_ICD_FILENAMES: swiftshader };
    expectAgreement("Deno, wgpu", await run(deno!, [...inDeno, onTheWeb.file], onTheWeb, drivers));
  });

  it.skipIf(missing)("by Chromium", async () => {
    const browser = await chromium.launch({ executablePath, args: FLAGS, env: environment() });
    try {
      const page = await browser.newPage();
      const script = readFileSync(join(onTheWeb.where.cwd, onTheWeb.file), "utf8");
      // Browsers have WebGPU on local addresses, as on https.
      await page.route("**/*", (route) => {
        const isScript = route.request().url().endsWith(".js");
        const html = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/program.js"></script>';
        return route.fulfill({
          contentType: isScript ? "text/javascript" : "text/html",
          body: isScript ? script : html,
        });
      });
      await page.goto("http://localhost/");
      await page.waitForFunction("'outcome' in window");
      expectAgreement(`Chromium ${browser.version()}`, await page.evaluate<EngineNumbers>("window.outcome"));
    } finally {
      await browser.close();
    }
  });
});
