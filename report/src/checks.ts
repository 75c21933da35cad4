/**
 * Checks of result records before a page is drawn from them. A record may come out of a JSON file,
 * so its form is checked too.
 */

import { ArgumentError } from "@pan/core";
import { branchesOf, type Scheme } from "@pan/core/passport";

/** The claim read from the weights: `pValue` = P(X ≥ matched), X ~ Bin(bits, ½). */
export interface SignatureFound extends Matches {
  text: string;
  decodedText: string;
  pValue: number;
  layers: ({ name: string } & Matches)[];
}

/** Checks that name the entry they refuse; see {@link recordChecks}. */
export interface RecordChecks {
  /** Refuses the entry `where`: expected this, got that. */
  fail(where: string, expected: string, got: unknown): never;
  /** A finite number from `low` to `high`. */
  number(where: string, value: number, low?: number, high?: number): void;
  /** A whole number from `low` to `high`. */
  whole(where: string, value: number, low: number, high?: number): void;
  /** Text of at least one character, or any text. */
  text(where: string, value: string, empty?: "may be empty"): void;
  /** A date that can be read. */
  date(where: string, value: string): void;
  /** One of some names. */
  choice(where: string, value: string, among: readonly string[]): void;
  /** A list. */
  list(where: string, value: readonly unknown[]): void;
  /** An object that is no list. */
  object(where: string, value: object): void;
  /** Fractions by branch, of branches that the scheme has. */
  branches(where: string, shares: readonly (readonly [branch: string, share: number])[], scheme: Scheme): void;
  /**
   * Layers whose bits and matches are whole numbers that add up to those of the whole signature.
   */
  layers(where: string, layers: readonly Matches[], whole: Matches): void;
}

/** How many signature bits match, of how many. */
interface Matches {
  bits: number;
  matched: number;
}

function shown(got: unknown): string {
  if (typeof got === "string") return `"${got.slice(0, 60)}"`;
  if (Array.isArray(got)) return `a list of ${got.length}`;
  return typeof got === "object" && got !== null ? "an object" : String(got);
}

/** The checks of one kind of record; each raises {@link ArgumentError} that ends with `advice`. */
export function recordChecks(advice: string): RecordChecks {
  const fail = (where: string, expected: string, got: unknown): never => {
    throw new ArgumentError(`report.${where}: expected ${expected}, got ${shown(got)}. ${advice}`);
  };
  const number: RecordChecks["number"] = (
    where,
    value,
    low = Number.NEGATIVE_INFINITY,
    high = Number.POSITIVE_INFINITY,
  ) => {
    const limits = Number.isFinite(high) ? ` from ${low} to ${high}` : Number.isFinite(low) ? ` ≥ ${low}` : "";
    if (!Number.isFinite(value) || value < low || value > high) fail(where, `a finite number${limits}`, value);
  };
  const whole: RecordChecks["whole"] = (where, value, low, high) => {
    number(where, value, low, high);
    if (!Number.isInteger(value)) fail(where, "a whole number", value);
  };
  return {
    fail,
    number,
    whole,
    text: (where, value, empty) => {
      if (typeof value !== "string" || (!empty && value === "")) fail(where, "text", value);
    },
    date: (where, value) => {
      if (typeof value !== "string" || Number.isNaN(Date.parse(value))) fail(where, "a date in ISO 8601", value);
    },
    choice: (where, value, among) => {
      if (!among.includes(value)) fail(where, `one of ${among.join(", ")}`, value);
    },
    list: (where, value) => {
      if (!Array.isArray(value)) fail(where, "a list", value);
    },
    object: (where, value) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) fail(where, "an object", value);
    },
    branches: (where, shares, scheme) => {
      const among: readonly string[] = branchesOf(scheme);
      for (const [branch, share] of shares) {
        const at = `${where}.${branch}`;
        if (!among.includes(branch))
          fail(at, `no entry, since scheme ${scheme} has only ${among.join(" and ")}`, share);
        number(at, share, 0, 1);
      }
    },
    layers: (where, layers, all) => {
      for (const [i, layer] of layers.entries()) {
        whole(`${where}[${i}].bits`, layer.bits, 0);
        whole(`${where}[${i}].matched`, layer.matched, 0, layer.bits);
      }
      for (const key of ["bits", "matched"] as const) {
        const sum = layers.reduce((total, layer) => total + layer[key], 0);
        if (layers.length > 0 && sum !== all[key])
          fail(where, `${key} that add up to signature.${key} = ${all[key]}`, sum);
      }
    },
  };
}
