import { ArgumentError } from "@pan/core";
import type { Scheme } from "@pan/core/passport";
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { renderTraining, type TrainingReport } from "../src/index";
import { madeUpTraining } from "./training-fixture";
import { madeUpVerdict } from "./verdict-fixture";

const ALL = ["plain", "v1", "v2", "v3", "pan"] as const;
const parse = (page: string) => parseHTML(page).document;
/**
 * The page's text with all kinds of space made plain, so that the tests do not depend on
 * typography.
 */
const textOf = (page: string) => parse(page).body.textContent!.replace(/[\s\u00a0\u202f\u2060]+/g, " ");
const changed = (scheme: Scheme, change: (r: TrainingReport) => void) => {
  const r = madeUpTraining(scheme, 5);
  change(r);
  return r;
};
const percent = (x: number) => `${(100 * x).toFixed(1)} %`;

/**
 * Names of elements that are not closed as often as they are opened; self-closed SVG shapes are
 * left out.
 */
function unclosed(page: string): string[] {
  const body = page.replace(/<style>[^<]*<\/style>/g, "");
  const names = new Set([...body.matchAll(/<([a-z][a-z0-9]*)/gi)].map((m) => m[1]!));
  const count = (pattern: string) => [...body.matchAll(new RegExp(pattern, "g"))].length;
  return [...names].filter(
    (name) => !/^(meta|br|wbr)$/.test(name) && count(`<${name}(?:\\s[^>]*[^/>])?>`) !== count(`</${name}>`),
  );
}

describe.each(ALL)("the page of a training run, scheme %s", (scheme) => {
  const record = madeUpTraining(scheme);
  const page = renderTraining(record);
  const document = parse(page);
  const text = textOf(page);
  const headings = [...document.querySelectorAll("h2")].map((h) => h.id);
  const titles = [...document.querySelectorAll("figure h3")].map((h) => h.textContent!);

  it("says that it is private where it tells of a signature", () => {
    expect(/Private: this tells of the owner.s γ/.test(text)).toBe(scheme !== "plain");
  });

  it("has the sections and figures of the scheme, and no other", () => {
    expect(page.startsWith("<!doctype html>")).toBe(true);
    expect(unclosed(page)).toEqual([]);
    expect(unclosed("<p><b>x</p>")).toEqual(["b"]);
    const marked = scheme !== "plain";
    expect(headings).toEqual([
      ...(marked ? ["verdict"] : []),
      "training",
      ...(marked ? ["signature"] : []),
      ...(scheme === "v3" ? ["triggers"] : []),
      ...(marked ? ["forged"] : []),
      "numbers",
      "files",
      "reproduce",
      ...(marked ? ["glossary"] : []),
    ]);
    expect(titles).toEqual([
      "Test accuracy after each epoch",
      "Loss while training",
      ...(marked ? ["Signature bits in place after each epoch", "Writing the signature"] : []),
      ...(scheme === "v3" ? ["Trigger pictures answered as taught"] : []),
      ...(marked ? ["Does the signature come out?", "Does the passport open the network?"] : []),
    ]);
  });

  it("gives its key figures", () => {
    const end = record.epochs.at(-1)!;
    const shown = { plain: ["public"], v1: ["passport"], v2: ["public", "private"] } as const;
    for (const branch of shown[scheme as keyof typeof shown] ?? shown.v2) {
      expect(text).toContain(percent(end[branch]!));
      expect(text).toContain(`${percent(record.best!.accuracy[branch]!)} in epoch ${record.best!.epoch}, the best`);
    }
    for (const part of [record.title, record.command, "2,473,610", "50,000", "NVIDIA H200", "45 min 0 s", "9.89 MB"]) {
      expect(text).toContain(part);
    }
    const values = [...document.querySelectorAll(".tile .value")].map((e) => e.textContent);
    expect(values.length).toBe(6);
    if (scheme === "plain") {
      expect(text).toContain("An ordinary network, without a signature");
      expect(text).not.toMatch(/signature bits|verdict|private|forged|p-value/i);
    } else {
      for (const part of ["Verdict: holds", "(c) 2026 ACME", "896 of 896", "threshold 520", "1.9 × 10⁻²⁷⁰"]) {
        expect(text).toContain(part);
      }
      expect(values).toContain("896 / 896");
    }
    expect(values.includes("99 / 100")).toBe(scheme === "v3");
    expect(/public branch/i.test(text)).toBe(["v2", "v3", "pan"].includes(scheme));
  });

  it("has a row for every epoch, layer, setting and file", () => {
    const rows = (caption: string) =>
      [...document.querySelectorAll("table")]
        .find((t) => t.querySelector("caption")!.textContent === caption)
        ?.querySelectorAll("tbody tr").length;
    expect(rows("By epoch")).toBe(60);
    expect(rows("Settings of this run")).toBe(Object.keys(record.settings).length);
    expect(rows("Written by this run")).toBe(record.files.length);
    expect(rows("Signature by layer")).toBe(scheme === "plain" ? undefined : 3);
    expect(rows("By forged passport")).toBe(scheme === "plain" ? undefined : 10);
  });

  it("holds nothing undefined and draws finite coordinates in the theme's colours", () => {
    expect(text).not.toMatch(/undefined|NaN|Infinity|null|\[object/);
    expect(document.querySelectorAll(".canvas path, .canvas circle").length).toBeGreaterThan(4);
    for (const node of document.querySelectorAll("svg, svg *")) {
      for (const { name, value } of node.attributes) {
        expect(`${name} ${value}`).not.toMatch(/NaN|Infinity|undefined|null/);
        if (name === "fill" || name === "stroke") expect(value).toMatch(/^(none|currentColor|var\(--[a-z]+\))$/);
      }
    }
    for (const svg of document.querySelectorAll(".canvas svg")) {
      expect(svg.getAttribute("aria-label")!.length).toBeGreaterThan(40);
    }
  });

  it("loads nothing", () => {
    expect(document.querySelectorAll("script, link, iframe, img, object, embed, base").length).toBe(0);
    expect(document.querySelectorAll("[src], [href], [srcset], [action], [data]").length).toBe(0);
    expect(page.replaceAll(/xmlns(:\w+)?="http:\/\/www\.w3\.org[^"]*"/g, "")).not.toMatch(/https?:\/\/|@import|url\(/);
    expect(page).toContain("default-src 'none'");
  });

  it("is the same from the record read back from JSON", () => {
    expect(renderTraining(JSON.parse(JSON.stringify(record)) as TrainingReport)).toBe(page);
  });

  it("renders a run that was stopped before its first epoch, and one of a single epoch", () => {
    const none = changed(scheme, (r) => {
      Object.assign(r, { epochs: [], steps: [], best: null, forged: [], files: [], triggers: null });
    });
    for (const r of [none, madeUpTraining(scheme, 1)]) {
      const edge = renderTraining(r);
      expect(unclosed(edge)).toEqual([]);
      expect(textOf(edge)).not.toMatch(/undefined|NaN|Infinity|null/);
    }
    expect(textOf(renderTraining(none))).toContain("was not measured");
  });
});

describe("the page of a training run", () => {
  it("says so when a claim is refused", () => {
    const r = changed("v3", ({ signature, verdict, triggers }) => {
      Object.assign(signature!, { matched: 440, pValue: 0.71, decodedText: "??", layers: [] });
      Object.assign(verdict!, madeUpVerdict("refused", { turned: 108 }));
      Object.assign(triggers!, { hits: 9, pValue: 0.68 });
    });
    const text = textOf(renderTraining(r));
    expect(text).toContain("Verdict: refused");
    expect(text).toContain("116 of 224 bound bits fit");
    expect(text).not.toMatch(/Verdict: holds|tosses of a coin/);
  });

  it("says only what holds of another threshold than one in a million, and of a signature too short", () => {
    const text = (threshold: number) =>
      textOf(renderTraining(changed("pan", (r) => void Object.assign(r.signature!, { threshold }))));
    expect(text(520)).toContain("once in a million");
    expect(text(540)).not.toContain("million");
    expect(text(897)).toContain("too short");
  });

  it("leaves out epochs in which nothing was measured", () => {
    const r = changed("v2", ({ epochs }) => {
      delete epochs.at(-1)!.public;
      delete epochs.at(-1)!.private;
    });
    const text = textOf(renderTraining(r));
    expect(text).toContain(percent(r.epochs.at(-2)!.public!));
    expect(text).not.toMatch(/undefined|NaN/);
  });

  it("escapes hostile text wherever the record holds text", () => {
    const evil = `"><script>alert(1)</script><img src=x onerror='a'>&amp;\u0000\u202e`;
    const fill = (word: string) =>
      changed("v3", (r) => {
        Object.assign(r, { title: word, command: word, adapter: { kind: word, name: word } });
        Object.assign(r.network, { arch: word, passportLayers: [word] });
        Object.assign(r.signature!, { text: word, decodedText: word });
        for (const layer of r.signature!.layers) layer.name = word;
        for (const file of r.files) Object.assign(file, { path: word, about: word });
        Object.assign(r.verdict!, { reasons: [word], open: [word], sentence: word, statement: word });
        r.settings = { [word]: word };
      });
    const hostile = renderTraining(fill(evil));
    const parsed = parse(hostile);
    expect(parsed.querySelectorAll("script, img, [onerror]").length).toBe(0);
    // As many folders: a line may end behind each.
    expect(parsed.querySelectorAll("*").length).toBe(parse(renderTraining(fill("a/b"))).querySelectorAll("*").length);
    expect(/\p{Cc}(?<!\n)|\u202e/u.exec(hostile)).toBeNull();
    expect(hostile).not.toContain("<script");
    expect(textOf(hostile)).toContain("<script>alert(1)</script>");
  });

  it.each<[string, Scheme, RegExp, (r: TrainingReport) => void]>([
    ["no title", "pan", /report\.title: expected text/, (r) => void Object.assign(r, { title: undefined })],
    ["a date that is none", "pan", /startedAt/, (r) => void Object.assign(r, { startedAt: "yesterday" })],
    [
      "an unknown scheme",
      "pan",
      /network\.scheme: expected one of plain/,
      (r) => void Object.assign(r.network, { scheme: "v4" }),
    ],
    [
      "missing epochs",
      "pan",
      /epochs: expected a list, got undefined/,
      (r) => void Object.assign(r, { epochs: undefined }),
    ],
    [
      "missing triggers",
      "pan",
      /report\.triggers: expected an object/,
      (r) => void Object.assign(r, { triggers: undefined }),
    ],
    [
      "a loss that is not a number",
      "v1",
      /steps\[3\]\.passportLoss: .*NaN/,
      (r) => void Object.assign(r.steps[3]!, { passportLoss: Number.NaN }),
    ],
    ["steps that do not rise", "v1", /steps\[2\]\.step/, (r) => void Object.assign(r.steps[2]!, { step: 100 })],
    [
      "percent instead of fractions",
      "v2",
      /epochs\[1\]\.private: expected .* from 0 to 1, got 70/,
      (r) => void Object.assign(r.epochs[1]!, { private: 70 }),
    ],
    [
      "a branch that the scheme has not",
      "v1",
      /epochs\[0\]\.public: expected no entry/,
      (r) => void Object.assign(r.epochs[0]!, { public: 0.5 }),
    ],
    [
      "another branch's triggers",
      "v3",
      /epochs\[0\]\.triggers\.passport/,
      (r) => void Object.assign(r.epochs[0]!, { triggers: { passport: 1 } }),
    ],
    [
      "bits of another signature",
      "v2",
      /epochs\[4\]\.bits: expected 896/,
      (r) => void Object.assign(r.epochs[4]!, { bits: 64 }),
    ],
    [
      "a best epoch that never was",
      "v2",
      /best\.epoch: expected an epoch of the run, got 9/,
      (r) => void Object.assign(r.best!, { epoch: 9 }),
    ],
    ["chance 0", "v2", /chance/, (r) => void Object.assign(r, { chance: 0 })],
    [
      "a plain network with a signature",
      "plain",
      /signature: expected null/,
      (r) => void Object.assign(r, { signature: madeUpTraining("v2").signature }),
    ],
    [
      "a marked network without",
      "v2",
      /signature: expected an object/,
      (r) => void Object.assign(r, { signature: null }),
    ],
    ["a marked network without a verdict", "v2", /verdict/, (r) => void Object.assign(r, { verdict: null })],
    [
      "passport layers of a plain network",
      "plain",
      /passportLayers: expected no layer/,
      (r) => void r.network.passportLayers.push("x"),
    ],
    [
      "layers that do not add up",
      "v2",
      /matched that add up to signature\.matched = 896, got 895/,
      (r) => void Object.assign(r.signature!.layers[0]!, { matched: 255 }),
    ],
    [
      "more hits than triggers",
      "v3",
      /triggers\.hits: .* from 0 to 100, got 101/,
      (r) => void Object.assign(r.triggers!, { hits: 101 }),
    ],
    [
      "triggers on an unknown branch",
      "v3",
      /triggers\.branch: expected public or private/,
      (r) => void Object.assign(r.triggers!, { branch: "x" }),
    ],
    [
      "a forgery with too many bits",
      "v2",
      /forged\[1\]\.matched/,
      (r) => void Object.assign(r.forged[1]!, { matched: 897 }),
    ],
    [
      "a setting that is not finite",
      "v2",
      /settings\.rate/,
      (r) => void Object.assign(r.settings, { rate: Number.NaN }),
    ],
    ["a file without a size", "v2", /files\[0\]\.bytes/, (r) => void Object.assign(r.files[0]!, { bytes: undefined })],
  ])("refuses %s", (_, scheme, message, change) => {
    const r = changed(scheme, change);
    expect(() => renderTraining(r)).toThrow(ArgumentError);
    expect(() => renderTraining(r)).toThrow(message);
  });
});
