/** Base64 of RFC 4648, read strictly: one text for one sequence of bytes, up to the alphabet. */
import { FormatError } from "../errors";

/** Characters that are made at once, since an argument list has a limit. */
const CHUNK = 2 ** 13;

/** Bytes in the standard alphabet, padded. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += CHUNK) text += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  return btoa(text);
}

/**
 * Bytes of a text in the standard or the URL-safe alphabet, padded or not: DSSE and the JSON of
 * protocol buffers allow each.
 * @param what stands for the text in messages
 * @throws FormatError for characters outside of one alphabet, white space, padding of the wrong
 * length, and bits that are left over and not 0.
 */
export function fromBase64(text: unknown, what: string): Uint8Array<ArrayBuffer> {
  const fault = (found: string) => new FormatError(`${what}: base64 expected, found ${found}`);
  if (typeof text !== "string") throw fault(text === undefined ? "nothing" : "no text");
  const digits = text.replace(/={1,2}$/, "");
  if (!/^[A-Za-z0-9+/]*$/.test(digits) && !/^[A-Za-z0-9_-]*$/.test(digits))
    throw fault("characters that have no place");
  const padded = digits.length !== text.length;
  if (digits.length % 4 === 1 || (padded && text.length % 4 !== 0)) throw fault("a text that ends within a byte");
  const binary = atob(digits.replace(/-/g, "+").replace(/_/g, "/"));
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
  const last = digits.slice(digits.length - (digits.length % 4 || 4));
  const again = toBase64(bytes.subarray(bytes.length - (bytes.length % 3 || 3))).replace(/=+$/, "");
  if (last !== again && last !== again.replace(/\+/g, "-").replace(/\//g, "_"))
    throw fault("bits beyond the last byte");
  return bytes;
}
