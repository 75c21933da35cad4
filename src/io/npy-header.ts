/**
 * The header of an NPY file: a Python literal of three entries, read in one pass without regular
 * expressions over it.
 */
import type { FormatError } from "../errors";

/** The entries, as they are written. */
export interface NpyHeader {
  descr: string;
  fortran_order: string;
  shape: string;
}

const NAMES = ["descr", "fortran_order", "shape"] as const;

/**
 * Splits `{'name': value, …}` into its entries. NumPy too refuses a header with another entry.
 *
 * @param wrong makes the error about a field
 * @throws FormatError naming the entry that is missing, there twice or not known, or the header
 *   where it is no such literal
 */
export function parseHeader(header: string, wrong: (field: string, problem: string) => FormatError): NpyHeader {
  const quoted = JSON.stringify(header.trim().slice(0, 200));
  const text = header.trim();
  if (!text.startsWith("{") || !text.endsWith("}")) {
    throw wrong("header", `expected a Python dictionary in braces, got ${quoted}`);
  }
  const found = new Map<string, string>();
  for (const entry of entriesOf(text.slice(1, -1))) {
    const name = NAMES.find((known) => entry.name === known);
    if (!name || found.has(name)) {
      const problem = name ? `${name} once` : "descr, fortran_order and shape alone";
      throw wrong("header", `expected ${problem}, got also ${JSON.stringify(entry.text.slice(0, 200))}`);
    }
    found.set(name, entry.value);
  }
  const [descr, fortran_order, shape] = NAMES.map((name) => {
    const value = found.get(name);
    if (value === undefined) throw wrong(name, `it is missing in the header ${quoted}`);
    return value;
  }) as [string, string, string];
  return { descr, fortran_order, shape };
}

interface Entry {
  /** Without its quotes; all of the text where there is no colon. */
  name: string;
  value: string;
  text: string;
}

/**
 * What stands between the commas that are in no brackets and no quotes, split at its first colon.
 */
function* entriesOf(text: string): Generator<Entry, void, void> {
  let [start, colon, depth, quote] = [0, -1, 0, ""];
  for (let at = 0; at <= text.length; at++) {
    const char = text[at] ?? ",";
    if (at < text.length && quote) {
      if (char === quote) quote = "";
    } else if (char === "'" || char === '"') quote = char;
    else if ("([{".includes(char)) depth++;
    else if (")]}".includes(char)) depth--;
    else if (char === ":" && depth === 0 && colon < 0) colon = at;
    if (at < text.length && (char !== "," || depth > 0 || quote)) continue;
    const whole = text.slice(start, at).trim();
    if (whole !== "") yield { ...entryOf(text, start, colon, at), text: whole };
    [start, colon] = [at + 1, -1];
  }
}

function entryOf(text: string, start: number, colon: number, end: number): { name: string; value: string } {
  const name = text.slice(start, colon < 0 ? end : colon).trim();
  const isQuoted = name.length > 1 && (name[0] === "'" || name[0] === '"') && name.at(-1) === name[0];
  return { name: isQuoted ? name.slice(1, -1) : "", value: colon < 0 ? "" : text.slice(colon + 1, end).trim() };
}
