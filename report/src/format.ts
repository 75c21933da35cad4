/**
 * Numbers as a reader wants to see them. Values and units are joined by a narrow no-break space
 * (U+202F), so they never part at a line end.
 */

import { least, most } from "./series";

const GAP = "\u202f";
const SUPERSCRIPT: Record<string, string> = {
  "-": "⁻",
  "0": "⁰",
  "1": "¹",
  "2": "²",
  "3": "³",
  "4": "⁴",
  "5": "⁵",
  "6": "⁶",
  "7": "⁷",
  "8": "⁸",
  "9": "⁹",
};

/** `-39` → `⁻³⁹`. */
export function superscript(exponent: number): string {
  return [...String(exponent)].map((c) => SUPERSCRIPT[c] ?? c).join("");
}

/**
 * A probability: `0.12` as it is (three significant digits), small ones as `3.7 × 10⁻³⁹`, and 0,
 * which is an underflow of doubles and not a probability, as `< 10⁻³⁰⁷`.
 */
export function formatPValue(p: number): string {
  if (p < 1e-307) return `<${GAP}10${superscript(-307)}`;
  if (p >= 0.001) return String(Number(p.toPrecision(3)));
  const [mantissa, exponent] = p.toExponential(1).split("e") as [string, string];
  return `${mantissa}${GAP}×${GAP}10${superscript(Number(exponent))}`;
}

/**
 * A sentence of the core's, with its numbers as the page writes them: `1e-6` → `10⁻⁶`, `2.5e-9` →
 * `2.5 × 10⁻⁹`, times of ISO 8601 as `2026-01-01 00:00:00 UTC`. None parts at a line's end.
 */
export function prose(sentence: string): string {
  const times = sentence.replace(
    /\b(\d{4})-(\d\d)-(\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.\d+)?Z)?/g,
    (_, y: string, m: string, d: string, time?: string) =>
      `${y}-\u2060${m}-\u2060${d}${time === undefined ? "" : `${GAP}${time}${GAP}UTC`}`,
  );
  return times.replace(/(?<![\w.])(\d(?:\.\d+)?)e([+-]?\d+)(?!\w)/g, (_, mantissa: string, exponent: string) => {
    const power = `10${superscript(Number(exponent))}`;
    return mantissa === "1" ? power : `${mantissa}${GAP}×${GAP}${power}`;
  });
}

/** A fraction as percent: `0.7125` → `71.3 %`. */
export function formatPercent(fraction: number, digits = 1): string {
  return `${(100 * fraction).toFixed(digits)}${GAP}%`;
}

/**
 * The span of some fractions: `8.9–12.4 %`, or one value where they agree. `undefined` for an empty
 * list.
 */
export function formatPercentRange(fractions: readonly number[], digits = 1): string | undefined {
  if (fractions.length === 0) return undefined;
  const low = (100 * least(fractions)).toFixed(digits);
  const high = (100 * most(fractions)).toFixed(digits);
  return `${formatSpan(low, high)}${GAP}%`;
}

/** Two ends of a range, `105–138`, that stay on one line. */
export function formatSpan(low: string | number, high: string | number): string {
  return String(low) === String(high) ? String(low) : `${low}–\u2060${high}`;
}

/** A whole number with thousands separators: `12,800`. */
export function formatCount(n: number): string {
  return Math.round(n).toLocaleString("en-US");
}

/** A measured number with four significant digits at most: `1843`, `12.35`, `0.0004`. */
export function formatNumber(x: number): string {
  if (Number.isInteger(x)) return Math.abs(x) < 10_000 ? String(x) : x.toLocaleString("en-US");
  return Math.abs(x) >= 1000 ? formatCount(x) : String(Number(x.toPrecision(4)));
}

/** A duration: `8.3 s`, `4 min 12 s`, `2 h 5 min`. */
export function formatDuration(seconds: number): string {
  if (seconds < 59.5) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)}${GAP}s`;
  const total = Math.round(seconds);
  const [h, m, s] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  return h > 0 ? `${h}${GAP}h ${m}${GAP}min` : `${m}${GAP}min ${s}${GAP}s`;
}

/** A file size in powers of 1000: `512 bytes`, `9.4 kB`, `1.41 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes}${GAP}bytes`;
  const units = ["kB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), units.length);
  return `${Number((bytes / 1000 ** power).toPrecision(3))}${GAP}${units[power - 1]}`;
}

/** `1 epoch`, `5 epochs`. */
export function plural(n: number, noun: string): string {
  return `${formatCount(n)} ${noun}${n === 1 ? "" : "s"}`;
}
