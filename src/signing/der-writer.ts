/** What little DER is written here: queries for time stamps, keys and signatures. */
import { TAG } from "./der";

/** Bytes one behind the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** An element of that tag around its content. */
export function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = content.reduce((n, part) => n + part.length, 0);
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest & 0xff);
  const header = length < 0x80 ? [tag, length] : [tag, 0x80 | digits.length, ...digits];
  return joined([Uint8Array.from(header), ...content]);
}

/** A sequence of elements. */
export const sequence = (...content: readonly Uint8Array[]) => element(TAG.sequence, ...content);

/** A natural number, from its bytes, most significant first. */
export function natural(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Uint8Array.of(0) : bytes.subarray(start);
  return element(TAG.integer, ...(digits[0]! >= 0x80 ? [Uint8Array.of(0)] : []), digits);
}

/** An object identifier, from its dots. */
export function oid(dots: string): Uint8Array<ArrayBuffer> {
  const [first, second, ...rest] = dots.split(".").map(Number) as [number, number, ...number[]];
  const bytes = [40 * first + second, ...rest].flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return element(TAG.oid, Uint8Array.from(bytes));
}
