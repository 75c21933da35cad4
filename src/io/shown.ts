/**
 * How values, texts and names are told in messages: in a bounded number of characters, whatever
 * they are, and without running anything of theirs. A message must not grow with the file or the
 * argument that it speaks of.
 */

/** Characters of a value that a message repeats. */
const MOST = 80;

/** A text cut to `most` characters. */
export const clip = (text: string, most = MOST): string => (text.length > most ? `${text.slice(0, most)}…` : text);

/** A text cut to `most` characters, in quotes, control characters escaped. */
export const quote = (text: string, most = MOST): string => JSON.stringify(clip(text, most));

/** Whether something is a promise, of this realm or another. */
export const isPromise = (value: unknown): boolean =>
  typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";

/** Whether something is an object, and no list. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether something is an object made by braces: class instances, lists and promises are not. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || isPromise(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Another realm has an `Object.prototype` of its own, which is nobody's child.
  return prototype === null || (!Array.isArray(value) && Object.getPrototypeOf(prototype) === null);
}

/**
 * A value that was not expected, in at most about `most` characters: plain data as JSON has it, all
 * else by its kind. What it costs depends on `most`, not on the value.
 */
export function shown(value: unknown, most = MOST): string {
  if (typeof value === "string") return quote(value, most);
  try {
    return clip(told(value, most, 3), most);
  } catch {
    // A proxy, or a property that throws when it is read.
    return "an object";
  }
}

/** A name as it is, cut to `most` characters; in quotes where it would not stay on its line. */
export const shownName = (name: string, most = MOST): string =>
  /\p{Cc}/u.test(name) ? quote(name, most) : clip(name, most);

/** Some names: the first ones, and how many more there are. */
export function listed(names: readonly string[], most = 12): string {
  if (!names.length) return "none";
  const first = names.slice(0, most).map((name) => shownName(name, 30));
  return first.join(", ") + (names.length > first.length ? ` and ${names.length - first.length} more` : "");
}

function told(value: unknown, most: number, depth: number): string {
  if (typeof value === "string") return quote(value, most);
  if (typeof value === "bigint") return `${clip(String(value), most)}n`;
  if (typeof value === "function") return value.name ? `the function ${clip(value.name)}` : "a function";
  if (typeof value === "symbol") return "a symbol";
  if (typeof value !== "object" || value === null) return String(value);
  if (isPromise(value)) return "a Promise";
  if (ArrayBuffer.isView(value) && "length" in value) return `${kindOf(value)} of ${value.length}`;
  if (value instanceof Map || value instanceof Set) return `${kindOf(value)} of ${value.size}`;
  if (Array.isArray(value)) {
    const entry = (v: unknown) => told(v, most, depth - 1);
    return depth ? `[${joined(value.slice(0, most), entry, most)}]` : "[…]";
  }
  if (!isPlain(value)) return kindOf(value);
  if (!depth) return "{…}";
  const entry = (key: string) => `${quote(key, most)}:${told(value[key], most, depth - 1)}`;
  return `{${joined(keysOf(value, most), entry, most)}}`;
}

/** The class of an object, with its article. */
function kindOf(value: object): string {
  const made = (Object.getPrototypeOf(value) as { constructor?: { name?: unknown } }).constructor?.name;
  const name = typeof made === "string" && made ? clip(made) : "object";
  return `${/^[AEIO]/i.test(name) ? "an" : "a"} ${name}`;
}

/** Own keys, the first ones. */
function keysOf(value: object, most: number): string[] {
  const keys: string[] = [];
  for (const key in value) {
    if (Object.hasOwn(value, key)) keys.push(key);
    if (keys.length > most) break;
  }
  return keys;
}

/** Items joined by commas until there are enough characters. */
function joined<T>(items: readonly T[], show: (item: T) => string, most: number): string {
  let text = "";
  for (const [i, item] of items.entries()) {
    if (text.length > most) break;
    text += (i ? "," : "") + show(item);
  }
  return text;
}
