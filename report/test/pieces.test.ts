import { ArgumentError } from "@pan/core";
import { matchThreshold } from "@pan/core/ownership";
import { describe, expect, it } from "vitest";
import { histogramChart, lineChart, stripChart } from "../src/charts";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatNumber,
  formatPercent,
  formatPercentRange,
  formatPValue,
} from "../src/format";
import { html, raw } from "../src/html";
import { bins, ranks, span, thin, wholeTicks } from "../src/series";

const plain = (text: string | undefined) => text?.replace(/\u202f/g, " ").replace(/\u2060/g, "");

describe("numbers", () => {
  it("writes p-values readably", () => {
    expect(plain(formatPValue(3.74e-39))).toBe("3.7 × 10⁻³⁹");
    expect(plain(formatPValue(9.99e-5))).toBe("1.0 × 10⁻⁴");
    expect(plain(formatPValue(0.28712))).toBe("0.287");
    expect(plain(formatPValue(0.001))).toBe("0.001");
    expect(plain(formatPValue(1))).toBe("1");
    expect(plain(formatPValue(2 ** -896))).toBe("1.9 × 10⁻²⁷⁰");
    expect(plain(formatPValue(0))).toBe("< 10⁻³⁰⁷");
  });

  it("writes shares, sizes, times and counts", () => {
    expect(plain(formatPercent(0.7034))).toBe("70.3 %");
    expect(plain(formatPercentRange([0.12, 0.081, 0.1]))).toBe("8.1–12.0 %");
    expect(plain(formatPercentRange([0.1, 0.1]))).toBe("10.0 %");
    expect(formatPercentRange([])).toBeUndefined();
    expect([0, 999, 1000, 348120, 1412332].map((n) => plain(formatBytes(n)))).toEqual([
      "0 bytes",
      "999 bytes",
      "1 kB",
      "348 kB",
      "1.41 MB",
    ]);
    expect([0.31, 42.4, 59.7, 252, 7510].map((s) => plain(formatDuration(s)))).toEqual([
      "0.3 s",
      "42 s",
      "1 min 0 s",
      "4 min 12 s",
      "2 h 5 min",
    ]);
    expect(formatCount(12800)).toBe("12,800");
    expect([0.0005, 64, 12.3456, 50000].map(formatNumber)).toEqual(["0.0005", "64", "12.35", "50,000"]);
  });
});

describe("matchThreshold", () => {
  it("agrees with the known thresholds at one in a million", () => {
    expect([64, 256, 896].map((n) => matchThreshold(n))).toEqual([51, 167, 520]);
  });

  it("is the smallest such number, by direct summation", () => {
    for (const [n, rate] of [
      [10, 0.05],
      [20, 1e-6],
      [33, 1e-3],
      [50, 0.4],
    ] as const) {
      const terms = [1];
      for (let k = 1; k <= n; k++) terms.push((terms[k - 1]! * (n - k + 1)) / k);
      const tail = (k: number) => terms.slice(k).reduce((a, b) => a + b, 0) / 2 ** n;
      const k = matchThreshold(n, rate);
      expect(tail(k)).toBeLessThanOrEqual(rate);
      expect(tail(k - 1)).toBeGreaterThan(rate);
    }
  });

  it("does not underflow for long signatures, and says n + 1 where no match suffices", () => {
    const k = matchThreshold(4096);
    expect((k - 2048) / 32).toBeGreaterThan(4.7);
    expect((k - 2048) / 32).toBeLessThan(4.85);
    expect(matchThreshold(16)).toBe(17);
    expect(() => matchThreshold(0)).toThrow(ArgumentError);
  });
});

describe("html", () => {
  it("escapes strings, keeps markup, skips nothing-values", () => {
    expect(html`<i title="${`"<'&`}">${[1, "<", raw("<b>")]}${undefined}${false}${null}</i>`.text).toBe(
      '<i title="&quot;&lt;&#39;&amp;">1&lt;<b></i>',
    );
  });

  it("shows control characters and direction overrides as replacement characters", () => {
    expect(html`${"a\u0000\u202eb\ud800"}`.text).toBe("a\ufffd\ufffdb\ufffd");
  });
});

describe("charts", () => {
  it("thins long lines to averages that leave nothing out", () => {
    const points = Array.from({ length: 1001 }, (_, x) => ({ x, y: x % 2 }));
    const out = thin(points, 100);
    expect(out.length).toBeLessThanOrEqual(100);
    expect(out.every((p) => p.y > 0.3 && p.y < 0.7)).toBe(true);
    expect(thin(points.slice(0, 5), 100)).toEqual(points.slice(0, 5));
  });

  it("bins every value once, the upper end included", () => {
    const values = [0, 0.1, 0.5, 0.99, 1];
    const out = bins(values, [0, 1], 4);
    expect(out.map((b) => b.n)).toEqual([2, 0, 1, 2]);
  });

  it("keeps the extremes and the median when it drops dots", () => {
    const values = Array.from({ length: 5001 }, (_, i) => ((i * 7919) % 5001) - 2500);
    const kept = ranks(values, 101);
    expect([kept.length, kept[0], kept[50], kept[100]]).toEqual([101, -2500, 0, 2500]);
  });

  it("marks whole numbers at round steps", () => {
    expect(wholeTicks([1, 8], 8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(wholeTicks([1, 399], 5)).toEqual([100, 200, 300]);
    expect(wholeTicks([0.5, 1.5], 5)).toEqual([1]);
  });

  it("finds a span for no value, one value, equal values", () => {
    for (const values of [[], [3], [0, 0], [-1, -1]]) {
      const [low, high] = span(values);
      expect(high).toBeGreaterThan(low);
    }
    expect(span([2, 4], 0.5)).toEqual([1, 5]);
  });

  it("refuses to draw what is not finite, which Plot would leave out without a word", () => {
    const x = { label: "x", domain: [0, 1] as const };
    const colour = "currentColor";
    const values = [0.5, Number.NaN];
    const line = { x, y: { label: "y" }, series: [{ points: [{ x: 0, y: Number.POSITIVE_INFINITY }], colour }] };
    expect(() => lineChart("s", line)).toThrow(ArgumentError);
    expect(() => histogramChart("s", { x, countLabel: "n", sets: [{ values, colour }] })).toThrow(
      /got NaN at position 1/,
    );
    expect(() => stripChart("s", 330, { x, rows: [{ label: "", note: "", values, colour }], references: [] })).toThrow(
      ArgumentError,
    );
  });
});
