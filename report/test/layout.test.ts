import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openChromium } from "../../test/support/chromium";
import { renderAttacks, renderJudgment, renderQuickstart, renderTraining } from "../src/index";
import { madeUpNetwork, madeUpRuns } from "./attacks-fixture";
import { madeUpReport } from "./fixture";
import { madeUpJudgment } from "./judgment-fixture";
import { layoutFaults, VIEWS } from "./layout-faults";
import { madeUpTraining } from "./training-fixture";

/** Settings as long as real ones are. */
const SETTINGS = {
  optimizer: "SGD, Nesterov",
  schedule: "cosine, one epoch of warm-up",
  falsePositiveRate: 1e-6,
  out: "out/quickstart-of-a-longer-name/2026-11-28",
  network:
    '[{"channels":24,"kernel":5,"padding":2,"stride":2},"pool",{"channels":48,"kernel":3,"padding":1},"pool",{"channels":64,"kernel":3,"padding":1}]',
};

const quickstart = () => {
  const r = madeUpReport();
  Object.assign(r.settings, SETTINGS);
  r.verdict = {
    ...r.verdict,
    reasons: ["112 of 112 signature bits match; 82 are needed at a false-positive rate of 1e-6"],
  };
  return renderQuickstart(r);
};
const training = (...args: Parameters<typeof madeUpTraining>) => {
  const r = madeUpTraining(...args);
  return renderTraining({ ...r, settings: { ...r.settings, ...SETTINGS } });
};

const PAGES: Readonly<Record<string, () => string>> = {
  quickstart,
  "cifar10, plain": () => training("plain"),
  "cifar10, V3": () => training("v3"),
  modelnet40: () => training("pan", 20, "shapes"),
  attacks: () => renderAttacks(madeUpRuns()).html,
  judgment: () => renderJudgment(madeUpJudgment("A", "one mark crosses")),
  "attacks, one network": () => renderAttacks({ networks: [madeUpNetwork("pan")] }).html,
};

let browser: Browser;
beforeAll(async () => {
  browser = await openChromium();
});
afterAll(() => browser?.close());

describe.each(Object.entries(PAGES))("the page of %s", (_, draw) => {
  const html = draw();
  it("writes nothing that its records do not hold as something hidden", () => {
    // What a forged passport spells is random bytes, and is quoted.
    expect(html.replace(/<bdi class="quoted">[^<]*<\/bdi>/g, "")).not.toContain("\ufffd");
  });
  it.each(VIEWS)("has no word cut, no text outside its box and nothing to scroll sideways: $name", async (view) => {
    expect(await layoutFaults(browser, html, view)).toEqual([]);
  });
});

describe("the measure", () => {
  const faults = (body: string, view = VIEWS[0]!) =>
    layoutFaults(browser, `<!doctype html><body style="margin:0"><main>${body}</main>`, view);

  it("finds a cell narrower than its longest word", async () => {
    const cell = (style: string) =>
      `<table style="width:200px;table-layout:fixed"><tr><td style="width:26px;${style}">weightDecay<td>1</table>`;
    expect(await faults(cell("overflow-wrap:anywhere"))).toEqual([expect.stringMatching(/^“weightDecay” is cut into/)]);
    expect(await faults(cell(""))).toEqual([expect.stringMatching(/^“weightDecay” leaves/)]);
  });

  it("finds numbers that a line's end parts, and no other hyphen", async () => {
    const narrow = (text: string) => `<p style="width:3ch;font:20px monospace">${text}</p>`;
    expect(await faults(narrow("1e-6"))).toEqual([expect.stringMatching(/^“1e-6” is cut into 2/)]);
    expect(await faults(narrow("so-so"))).toEqual([]);
  });

  it("finds pages that scroll sideways, and what paper cuts off", async () => {
    const wide = '<div style="width:2000px;height:1px"></div>';
    expect(await faults(wide)).toEqual([expect.stringMatching(/^the page scrolls sideways: 2000/)]);
    const scrolled = `<div style="overflow-x:auto">${wide}</div>`;
    expect(await faults(scrolled)).toEqual([]);
    expect(await faults(scrolled, VIEWS.find((v) => v.print)!)).toEqual([expect.stringMatching(/^cut off on paper/)]);
  });
});
