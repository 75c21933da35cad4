import { type Browser, chromium } from "playwright-core";
import { preProcessFile } from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dawn } from "../../src/node/dawn";
import * as pan from "../support/entries";
import { expectClose } from "../support/gpu";
import { environment, executablePath, FLAGS, missing } from "./chromium";
import { buildBundle, type Site, serve } from "./serve";
import { type StepsOutcome, trainSteps } from "./train-steps";

/**
 * Modules that a script imports, statically or not, and that no browser can resolve without an
 * import map.
 */
const bareImports = (script: string): string[] =>
  preProcessFile(script, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => !/^(\.{0,2}\/|https?:)/.test(name));

function expectSame(actual: StepsOutcome, expected: StepsOutcome): void {
  expectClose(actual.losses, expected.losses, { what: "losses" });
  expect(Object.keys(actual.weights)).toEqual(Object.keys(expected.weights));
  for (const [name, sums] of Object.entries(expected.weights)) {
    // A sum over w cancels: its error is to be measured against Σ |w|.
    expectClose(actual.weights[name]!, sums, { atol: 1e-5 + 1e-5 * sums[1], what: name });
  }
  // One of the 40 images may lie on the edge.
  const accuracy = (o: StepsOutcome) => [o.accuracy.public!, o.accuracy.private!];
  expectClose(accuracy(actual), accuracy(expected), { atol: 0.026, what: "accuracy" });
}

let outcomeInNode: Promise<StepsOutcome> | undefined;

/** The steps on this process's adapter, done once. */
const inNode = () => (outcomeInNode ??= dawn().then((gpu) => trainSteps(pan, { gpu })));

describe("the same five training steps", () => {
  it("lower the loss in Node", async () => {
    const node = await inNode();
    expect(node.losses).toHaveLength(5);
    expect(node.losses.every(Number.isFinite)).toBe(true);
    expect(node.losses[4]!).toBeLessThan(node.losses[0]!);
  });

  it("come to the same bits in Node when sizes travel through a uniform buffer", async () => {
    const ring = await trainSteps(pan, { gpu: await dawn(), immediates: false });
    expect(ring).toEqual(await inNode());
  });

  describe.skipIf(missing)("in Chromium, from the built bundle", () => {
    let built: Awaited<ReturnType<typeof buildBundle>>;
    let site: Site;
    let browser: Browser;
    beforeAll(async () => {
      built = await buildBundle();
      site = await serve(built.folder);
      browser = await chromium.launch({ executablePath, args: FLAGS, env: environment() });
    });
    afterAll(async () => {
      await browser?.close();
      await site?.close();
      await built?.remove();
    });

    // Chrome gives immediates and subgroups by degrees to its users, so both ways must work in it.
    it.each([
      ["with all that this Chromium has", {}],
      ["without immediates and subgroups", { immediates: false, subgroups: false }],
    ] as const)("come to the same numbers %s", async (_, options) => {
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
      await page.goto(`${site.url}?${encodeURIComponent(JSON.stringify(options))}`);
      const outcome = await page.evaluate<StepsOutcome | undefined>("window.outcome");
      await page.close();
      expect(complaints).toEqual([]);
      const node = await inNode();
      console.log(
        `Chromium ${browser.version()}, ${outcome?.adapter}, immediates ${outcome?.hasImmediates ? "offered" : "missing"}: ` +
          `weights ${outcome?.hash === node.hash ? "equal to the bit" : "close"} to Node's on ${node.adapter}`,
      );
      expectSame(outcome!, node);
    });

    it("load nothing that a browser has not got", () => {
      const scripts = [...site.served].filter(([path]) => path.endsWith(".js"));
      expect(scripts.map(([path]) => path)).toEqual(
        expect.arrayContaining(["/index.js", "/train.js", "/train-steps.js"]),
      );
      expect(site.served.has("/node.js")).toBe(false);
      for (const [path, text] of scripts) expect(bareImports(text!), path).toEqual([]);
    });
  });
});
