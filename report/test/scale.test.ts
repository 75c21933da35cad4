/** The figure of the scale bench stands alone as an SVG file and leaves nothing out. */
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { drawScale, type MeasuredStep, type ScaleRecord, type ScaleRow } from "../src/scale";

const row = (scheme: "plain" | "pan", width: number, batch: number): MeasuredStep => ({
  ...{ scheme, width, batch, dispatches: 10, peakHeld: 3e6 * batch },
  ...{ milliseconds: 5 * width * batch, peakUsed: 2e6 * width * batch, mustLive: 1.5e6 * width * batch },
  live: { parameters: 1, gradients: 1, state: 1, saved: 1 },
  ratio: 4 / 3,
});

const record = (rows: readonly ScaleRow[]): ScaleRecord => ({
  ...{ adapter: "a <GPU>", kind: "hardware", arch: "alexnet", rounds: 3, mostSeconds: 60, rows },
});

/** Dots of each panel, and all text. */
function read(svg: string) {
  const { document } = parseHTML(`<body>${svg}</body>`);
  const panels = [...document.querySelectorAll("svg svg")];
  return {
    dots: panels.map((p) => p.querySelectorAll("path[transform], circle").length),
    texts: [...document.querySelectorAll("text")].map((t) => t.textContent),
  };
}

describe("drawScale", () => {
  it("marks every measured size in both panels, names widths and what was left out", () => {
    const sizes = (["plain", "pan"] as const).flatMap((s) =>
      [0.0625, 1].flatMap((w) => [1, 2, 4].map((b) => row(s, w, b))),
    );
    const missing = [8, 16, 32, 64, 128, 256].map((batch) => ({
      ...row("pan", 1, batch),
      problem: "does not fit: <1 GB>",
    }));
    const svg = drawScale(record([...sizes, ...missing]));
    const { dots, texts } = read(svg);
    expect(dots).toHaveLength(2);
    for (const n of dots) expect(n).toBeGreaterThanOrEqual(12);
    expect(texts.filter((t) => t === "1/16")).toHaveLength(2);
    expect(texts).toContain("pan, width 1, batch 8: does not fit: <1 GB>");
    expect(texts).toContain("and 2 more, in the JSON file");
    expect(texts.join()).toMatch(/a <GPU>, medians of 3.*● plain {4}■ pan/);
    // No style sheet comes with it.
    expect(svg).not.toMatch(/var\(|NaN|undefined|<style/);
  });

  it("draws a single size", () => {
    const { dots, texts } = read(drawScale(record([row("plain", 0.3, 7)])));
    for (const n of dots) expect(n).toBeGreaterThanOrEqual(1);
    expect(texts).toContain("0.3");
    expect(texts).toContain("7");
  });
});
