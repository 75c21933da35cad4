/** JSON out of files of strangers: read within bounds, and shown within bounds in messages. */
import { FormatError } from "../errors";

/** Most characters of a JSON text in a file's metadata: 256 Ki, what a network of thousands of layers takes. */
export const MAX_JSON = 2 ** 18;
/** Deepest nesting: configurations need five levels. */
const MAX_DEPTH = 32;

/**
 * A JSON text as a value, checked for its size and depth before it is parsed, so that whatever walks the value afterwards may recurse.
 * @param what stands for the text in messages
 * @throws FormatError when it is no text, longer than `most` characters, nested deeper than 32 levels, or no JSON.
 */
export function parseJson(text: unknown, what: string, most = MAX_JSON): unknown {
  if (typeof text !== "string") throw new FormatError(`${what}: JSON expected, found ${shown(text)}`);
  if (text.length > most)
    throw new FormatError(`${what}: at most ${most} characters of JSON expected, found ${text.length}`);
  if (deeperThan(text, MAX_DEPTH))
    throw new FormatError(`${what}: JSON of at most ${MAX_DEPTH} levels expected, found a deeper one`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${what} is not readable JSON`, { cause });
  }
}

/** Whether brackets outside of strings nest deeper than so many levels. */
function deeperThan(text: string, most: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"') {
      at++;
      while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    } else if (char === "{" || char === "[") {
      if (++depth > most) return true;
    } else if (char === "}" || char === "]") depth--;
  }
  return false;
}

/**
 * Any value at all for a message, in at most about `most` characters: as JSON where it has one, without calling anything of its own. What it costs depends on `most`, not on the value.
 */
export function shown(value: unknown, most = 80): string {
  const text = describe(value, most, 3);
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

function describe(value: unknown, most: number, depth: number): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, most + 1));
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  try {
    if (ArrayBuffer.isView(value)) return `a ${value.constructor.name} of ${value.byteLength} bytes`;
    if (Array.isArray(value))
      return depth ? `[${listed(value.slice(0, most), (v) => describe(v, most, depth - 1), most)}]` : "[…]";
    if (value instanceof Map || value instanceof Set) return `a ${value.constructor.name} of ${value.size}`;
    if (!depth) return "{…}";
    return `{${listed(keysOf(value, most), (key) => `${JSON.stringify(key.slice(0, most))}:${describe((value as Record<string, unknown>)[key], most, depth - 1)}`, most)}}`;
  } catch {
    // A proxy, or a property that throws when it is read.
    return "an object";
  }
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
function listed<T>(items: readonly T[], show: (item: T) => string, most: number): string {
  let text = "";
  for (const [i, item] of items.entries()) {
    if (text.length > most) break;
    text += (i ? "," : "") + show(item);
  }
  return text;
}
