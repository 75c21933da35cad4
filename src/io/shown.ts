/**
 * How values and names are told in messages: in a bounded number of characters, whatever they are.
 */

/** The first `most` characters of a text, and three dots where there are more. */
export const clipped = (text: string, most = 60): string => (text.length > most ? `${text.slice(0, most)}...` : text);

/**
 * A value that was not expected: itself where it is short, else of what kind and how long it is.
 */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(clipped(value));
  if (typeof value === "bigint") return `the BigInt ${clipped(String(value))}`;
  if (typeof value === "symbol" || typeof value === "function") return `a ${typeof value}`;
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const kind = Object.prototype.toString.call(value).slice("[object ".length, -1);
  return ArrayBuffer.isView(value) && "length" in value ? `a ${kind} of ${value.length}` : `a value of type ${kind}`;
}

/** Some names: the first few, and how many more there are. */
export function listed(names: readonly string[]): string {
  const first = names.slice(0, 5).map((name) => clipped(name, 30));
  return first.join(", ") + (names.length > first.length ? ` and ${names.length - first.length} more` : "");
}
