import { ArgumentError } from "@pan/core";
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { type QuickstartReport, renderQuickstart } from "../src/index";
import { madeUpReport } from "./fixture";
import { madeUpVerdict } from "./verdict-fixture";

const parse = (page: string) => parseHTML(page).document;
/**
 * The page's text with all kinds of space made plain, so that the tests do not depend on
 * typography.
 */
const textOf = (page: string) => parse(page).body.textContent!.replace(/[\s\u202f\u2060]+/g, " ");
const changed = (change: (r: QuickstartReport) => void) => {
  const r = madeUpReport();
  change(r);
  return r;
};
const COORDINATES = ["d", "transform", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "viewBox"];

/** Opening and closing tags must pair up; void elements and self-closed SVG shapes stand alone. */
function unbalanced(page: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  const body = page.replace(/<style>[^<]*<\/style>/g, "").replace(/<!doctype html>/, "");
  for (const [tag, close, name, rest] of body.matchAll(
    /<(\/?)([a-z][a-z0-9]*)((?:\s+[^\s=>"/]+(?:="[^"]*")?)*\s*\/?)>/gi,
  )) {
    if (/^(meta|br|wbr)$/.test(name!) || rest!.endsWith("/")) continue;
    if (!close) open.push(name!);
    else if (open.pop() !== name) wrong.push(tag);
  }
  return [...wrong, ...open];
}

describe("renderQuickstart", () => {
  const page = renderQuickstart(madeUpReport());
  const document = parse(page);

  it("is a well-formed page with every section under its heading", () => {
    expect(page.startsWith("<!doctype html>")).toBe(true);
    expect(unbalanced(page)).toEqual([]);
    expect(unbalanced("<p><b>x</p>")).not.toEqual([]);
    expect([...document.querySelectorAll("h2")].map((h) => h.id)).toEqual([
      "verdict",
      "signature",
      "forged",
      "training",
      "numbers",
      "files",
      "reproduce",
      "glossary",
    ]);
    const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("says whose network it is and how sure that is", () => {
    const text = textOf(page);
    for (const part of [
      "Verdict: holds as released",
      "This is the very file that its owner committed to",
      "(c) 2026 ACME",
      "256 of 256",
      "8.6 × 10⁻⁷⁸",
      "256 tosses of a coin",
      "70.3 %",
      "69.8 %",
      "24 forged passports",
      "threshold 167",
      "1.41 MB",
      "llvmpipe",
      "npm run quickstart",
      "9f9f9f",
      "weightDecay",
      "4 min 12 s",
    ]) {
      expect(text).toContain(part);
    }
  });

  it("loads nothing: no script, no link, no address, and a policy that forbids it", () => {
    expect(document.querySelectorAll("script, link, iframe, img, object, embed, base").length).toBe(0);
    for (const node of document.querySelectorAll("*")) {
      for (const name of ["src", "href", "xlink:href", "srcset", "action", "data"]) {
        expect(node.hasAttribute(name)).toBe(false);
      }
    }
    expect(page).not.toMatch(/@import|url\(\s*["']?(?!data:)/);
    expect(page.replaceAll(/xmlns(:\w+)?="http:\/\/www\.w3\.org[^"]*"/g, "")).not.toMatch(/https?:\/\//);
    const policy = document.querySelector('meta[http-equiv="Content-Security-Policy"]')!.getAttribute("content");
    expect(policy).toContain("default-src 'none'");
  });

  it("gives every figure a caption, a text alternative, axis labels, and drawings with finite coordinates", () => {
    const figures = [...document.querySelectorAll("figure")];
    expect(figures.length).toBe(8);
    for (const f of figures) {
      expect(f.querySelector("figcaption")!.textContent!.length).toBeGreaterThan(60);
      const drawings = [...f.querySelectorAll(".canvas svg")];
      expect(drawings.length).toBeGreaterThanOrEqual(2);
      for (const svg of drawings) {
        expect(svg.getAttribute("role")).toBe("img");
        expect(svg.getAttribute("aria-label")!.length).toBeGreaterThan(40);
        expect(svg.textContent).toMatch(/step|epoch|no unit|accuracy \(%\)|matching bits/);
        for (const node of svg.querySelectorAll("*")) {
          for (const name of COORDINATES)
            expect(node.getAttribute(name) ?? "").not.toMatch(/NaN|Infinity|undefined|null/);
        }
      }
    }
    expect(figures.flatMap((f) => [...f.querySelectorAll("path, circle, rect")]).length).toBeGreaterThan(500);
  });

  it("takes colours from the theme only, so that the dark scheme reaches the figures", () => {
    for (const node of document.querySelectorAll(".canvas svg, .canvas svg *")) {
      for (const name of ["fill", "stroke"]) {
        expect(node.getAttribute(name) ?? "none").toMatch(/^(none|currentColor|var\(--[a-z]+\))$/);
      }
    }
    for (const [, name] of page.matchAll(/var\(--([a-z-]+)/g)) expect(page).toMatch(new RegExp(`--${name}:`));
  });

  it("counts the dots of the margin plot as the text beside them does", () => {
    const { gamma } = madeUpReport();
    const drawn = [...document.querySelectorAll("figure")].find((f) => f.textContent!.includes("channel by channel"))!;
    expect(drawn.querySelectorAll("svg.m circle").length).toBe(2 * 256);
    for (const g of gamma) {
      const right = g.forged.filter((v, i) => v * g.bits[i]! > 0).length;
      expect(drawn.querySelector("svg.m")!.textContent).toContain(`${right} of ${g.bits.length} right`);
    }
  });

  it("gives the same bytes for the same record", () => {
    expect(renderQuickstart(madeUpReport())).toBe(page);
  });

  it("escapes hostile text wherever the record holds text", () => {
    const evil = `"><script>alert(1)</script><img src=x onerror='a'>&amp;\u0000\u202e`;
    const hostile = renderQuickstart(
      changed((r) => {
        r.signature.text = evil;
        r.signature.decodedText = `${evil}!`;
        r.adapter = { kind: evil, name: evil };
        for (const l of r.signature.layers) l.name = evil;
        for (const g of r.gamma) g.layer = evil;
        Object.assign(r.verdict, { reasons: [evil], open: [evil], sentence: evil, statement: evil });
        for (const f of r.files) Object.assign(f, { path: evil, about: evil, ...(f.sha256 && { sha256: evil }) });
        r.settings = { [evil]: evil };
      }),
    );
    const parsed = parse(hostile);
    expect(parsed.querySelectorAll("script, img, [onerror]").length).toBe(0);
    expect(parsed.querySelectorAll("*").length).toBe(
      parse(
        renderQuickstart(
          changed((r) => {
            r.signature.decodedText = "other";
            Object.assign(r.verdict, { reasons: ["one"], open: ["one"], sentence: "one" });
            // As many folders: a line may end behind each.
            for (const f of r.files) f.path = "a/b";
            r.settings = { one: 1 };
          }),
        ),
      ).querySelectorAll("*").length,
    );
    expect(/\p{Cc}(?<!\n)|\u202e/u.exec(hostile)).toBeNull();
    expect(hostile.includes("<script")).toBe(false);
    expect(textOf(hostile)).toContain("<script>alert(1)</script>");
  });

  it("says so when a claim is refused", () => {
    const text = textOf(
      renderQuickstart(
        changed((r) => {
          r.verdict = madeUpVerdict("refused", { turned: 108 });
          r.signature = { ...r.signature, matched: 133, pValue: 0.287, decodedText: "??", layers: [] };
        }),
      ),
    );
    expect(text).toContain("Verdict: refused");
    expect(text).toContain("This claim shows nothing");
    expect(text).toContain("116 of 224 bound bits fit; 194 are needed");
    expect(text).not.toMatch(/Verdict: holds|tosses of a coin/);
  });

  it.each<[string, (r: QuickstartReport) => void]>([
    [
      "no forged passports",
      (r) => {
        r.accuracy.forged = [];
        r.signature.forgedMatched = [];
        for (const g of r.gamma) g.forged = [];
      },
    ],
    [
      "one forged passport",
      (r) => {
        r.accuracy.forged = [0.1];
        r.signature.forgedMatched = [130];
      },
    ],
    [
      "a single epoch of a single step",
      (r) => {
        r.train.lossCurve.splice(1);
        r.train.accuracyCurve.splice(1);
      },
    ],
    [
      "no training recorded",
      (r) => {
        r.train.lossCurve = [];
        r.train.accuracyCurve = [];
      },
    ],
    [
      "no γ recorded",
      (r) => {
        r.gamma = [];
      },
    ],
    [
      "a p-value below the doubles",
      (r) => {
        r.signature.pValue = 0;
      },
    ],
    [
      "no text in the signature",
      (r) => {
        r.signature.text = "";
        r.signature.decodedText = "";
      },
    ],
    [
      "γ all zero",
      (r) => {
        for (const g of r.gamma) g.owner = g.forged = g.bits.map(() => 0);
      },
    ],
  ])("renders with %s", (_, change) => {
    const edge = renderQuickstart(changed(change));
    expect(unbalanced(edge)).toEqual([]);
    expect(textOf(edge)).not.toMatch(/NaN|Infinity|undefined|null/);
  });

  it("renders a signature too short to prove anything, and a long one with rows thinned", () => {
    const short = renderQuickstart(madeUpReport([16]));
    expect(textOf(short)).toContain("too short");
    const long = renderQuickstart(madeUpReport([512]));
    expect(textOf(long)).toContain("400 dots are shown");
    expect(textOf(long)).toContain("512 of 512 right");
  });

  it.each<[string, RegExp, (r: QuickstartReport) => void]>([
    [
      "a loss that is not a number",
      /lossCurve\[3\]\.loss: expected a finite number.*NaN/,
      (r) => void Object.assign(r.train.lossCurve[3]!, { loss: Number.NaN }),
    ],
    [
      "percent instead of fractions",
      /accuracy\.public: expected .* from 0 to 1, got 70/,
      (r) => void Object.assign(r.accuracy, { public: 70.3 }),
    ],
    ["more matches than bits", /signature\.matched/, (r) => void Object.assign(r.signature, { matched: 257 })],
    [
      "layers that do not add up",
      /add up to signature\.matched = 256, got 255/,
      (r) => void Object.assign(r.signature.layers[0]!, { matched: 63 }),
    ],
    [
      "bits that are not ±1",
      /gamma\[1\]\.bits\[5\]: expected 1 or -1, got 0/,
      (r) => void r.gamma[1]!.bits.splice(5, 1, 0),
    ],
    ["γ of another length", /gamma\[0\]\.forged: expected no values or 64/, (r) => void r.gamma[0]!.forged.pop()],
    [
      "forged lists of different length",
      /forgedMatched: expected 24 entries/,
      (r) => void r.signature.forgedMatched.pop(),
    ],
    ["no verdict", /verdict: expected an object/, (r) => void Object.assign(r, { verdict: undefined })],
    ["a date that is none", /startedAt/, (r) => void Object.assign(r, { startedAt: "yesterday" })],
  ])("refuses %s", (_, message, change) => {
    expect(() => renderQuickstart(changed(change))).toThrow(ArgumentError);
    expect(() => renderQuickstart(changed(change))).toThrow(message);
  });

  it("draws the same page from the record read back from JSON", () => {
    expect(renderQuickstart(JSON.parse(JSON.stringify(madeUpReport())) as QuickstartReport)).toBe(page);
  });
});
