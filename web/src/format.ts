/** Numbers and dates as texts. */

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A probability: 0.04, 10⁻⁶, 3.1 · 10⁻⁸⁰. */
export function chance(p: number): string {
  if (p === 0) return "less than 10⁻³⁰⁰";
  if (p >= 0.001) return p.toPrecision(2).replace(/\.?0+$/, "");
  const [digits, exponent] = p.toExponential(1).split("e-");
  const power = `10⁻${[...exponent!].map((d) => SUPERSCRIPTS[Number(d)]).join("")}`;
  return digits === "1.0" ? power : `${digits} · ${power}`;
}

/** A day and a time of ISO 8601, in UTC. */
export const day = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;

/** A size in bytes. */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const [value, unit] = bytes < 999_500 ? [bytes / 1e3, "kB"] : [bytes / 1e6, "MB"];
  return `${value.toPrecision(3).replace(/\.0+$/, "")} ${unit}`;
}

/** A share of 1. */
export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
