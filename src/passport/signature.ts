import { isWellFormed, refuse, whole } from "../demand";
import { ArgumentError } from "../errors";
import { bytesOf } from "../io/bytes";
import { shown } from "../io/shown";
import type { Generator } from "../tensor/random";

const encoder = new TextEncoder();

/**
 * A text that shall be spelt.
 * @throws ArgumentError for none, and half of a pair of UTF-16, which no bytes of UTF-8 spell.
 */
export function checkText(what: string, name: string, value: unknown): string {
  if (typeof value !== "string" || !isWellFormed(value))
    return refuse(what, name, "a text, of whole characters", value, "a text that is cut may end in half of one");
  return value;
}

/** Characters (bytes of UTF-8) that `channels` bits hold. */
export const capacity = (channels: number): number => Math.floor(whole("capacity", "channels", channels, 0) / 8);

/**
 * Bits of a signature: eight a byte of the text's UTF-8, most significant first, 0 → −1 and 1 → +1;
 * the remaining channels random.
 * @param text a text, or bytes of one that is spread over layers.
 * @throws ArgumentError when the text does not fit into `channels` bits.
 */
export function signatureBits(
  text: string | Uint8Array,
  channels: number,
  random: Generator,
): Float32Array<ArrayBuffer> {
  const bytes = typeof text === "string" ? encoder.encode(text) : text;
  if (bytes.length > capacity(channels)) {
    const name = typeof text === "string" ? ` ${shown(text)}` : "";
    throw new ArgumentError(
      `the signature${name} takes ${bytes.length} bytes and a layer of ${channels} channels holds ${capacity(channels)}: shorten it, or put it into a wider layer`,
    );
  }
  const bits = Float32Array.from(random.bits(channels), (b) => (b ? 1 : -1));
  bytes.forEach((byte, i) => {
    for (let k = 0; k < 8; k++) bits[8 * i + k] = (byte >> (7 - k)) & 1 ? 1 : -1;
  });
  return bits;
}

/**
 * A text's bytes dealt out over layers in order, each filled before the next begins; layers left
 * over get none.
 * @param channels of each layer
 * @throws ArgumentError when the text is longer than all layers together hold.
 */
export function spreadSignature(text: string, channels: readonly number[]): Uint8Array[] {
  const bytes = encoder.encode(text);
  const room = channels.reduce((sum, c) => sum + capacity(c), 0);
  if (bytes.length > room)
    throw new ArgumentError(
      `the signature ${shown(text)} takes ${bytes.length} bytes; the ${channels.length} layers it is spread over hold ${room} (${sumOf(channels.map(capacity))}): shorten it, or give passports to more layers`,
    );
  let at = 0;
  return channels.map((c) => bytes.slice(at, (at += capacity(c))));
}

/** Summands for a message, the first twelve. */
const sumOf = (n: readonly number[]): string => n.slice(0, 12).join(" + ") + (n.length > 12 ? " + …" : "");

/**
 * The bytes that the first `8 · bytes` signs spell.
 * @throws ArgumentError unless `bytes` is a whole number from 0 that the signs suffice for.
 */
export function signBytes(signs: ArrayLike<number>, bytes: number): Uint8Array {
  if (!Number.isInteger(bytes) || bytes < 0)
    throw new ArgumentError(`a whole number of characters from 0 expected, found ${shown(bytes)}`);
  if (!Array.isArray(signs) && !ArrayBuffer.isView(signs)) refuse("signBytes", "signs", "a list of numbers", signs);
  if (8 * bytes > signs.length)
    throw new ArgumentError(`${bytes} characters need ${8 * bytes} signs, found ${signs.length}`);
  return Uint8Array.from({ length: bytes }, (_, i) => {
    let byte = 0;
    for (let k = 0; k < 8; k++) byte = (byte << 1) | (signs[8 * i + k]! > 0 ? 1 : 0);
    return byte;
  });
}

/**
 * The text that bytes spell; those that are no UTF-8 become U+FFFD. A byte order mark is a
 * character of the text.
 */
export const decodeBytes = (bytes: Uint8Array): string =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesOf(bytes, "decodeBytes"));

/**
 * The text that the first `8 · bytes` signs spell; bytes that are no UTF-8 become U+FFFD.
 * @throws ArgumentError unless `bytes` is a whole number from 0 that the signs suffice for.
 */
export const decodeSignature = (signs: ArrayLike<number>, bytes: number): string =>
  decodeBytes(signBytes(signs, bytes));

/** Bytes a signature text occupies. */
export const signatureBytes = (text: string): number => encoder.encode(text).length;
