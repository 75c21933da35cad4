/** JSON out of files of strangers: read within bounds, and shown within bounds in messages. */
import { FormatError } from "../errors";
import { shown } from "./shown";

/**
 * Most characters of a JSON text in a file's metadata: 256 Ki, what a network of thousands of
 * layers takes.
 */
export const MAX_JSON = 2 ** 18;
/** Deepest nesting: configurations need five levels. */
const MAX_DEPTH = 32;

/**
 * A JSON text as a value, checked for its size and depth before it is parsed, so that whatever
 * walks the value afterwards may recurse.
 * @param what stands for the text in messages
 * @throws FormatError when it is no text, longer than `most` characters, nested deeper than 32
 * levels, or no JSON.
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
