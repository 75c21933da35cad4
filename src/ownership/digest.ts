/**
 * Hashes of lists and pseudo-random streams by the platform's WebCrypto: browsers and Node have the
 * same.
 */
import { digest } from "../io/digest";

/**
 * SHA-512 of parts, each preceded by its length, so that no two lists of parts are hashed alike.
 */
export async function sha512(parts: readonly Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(parts.reduce((n, p) => n + 8 + p.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const part of parts) {
    view.setBigUint64(at, BigInt(part.length));
    bytes.set(part, at + 8);
    at += 8 + part.length;
  }
  return digest("SHA-512", bytes);
}

/** n bytes of AES-256 in counter mode, key and first counter from a 64-byte seed. */
export async function keystream(seed: Uint8Array<ArrayBuffer>, n: number): Promise<Uint8Array<ArrayBuffer>> {
  const key = await crypto.subtle.importKey("raw", seed.slice(0, 32), "AES-CTR", false, ["encrypt"]);
  const counter = seed.slice(32, 48);
  return new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CTR", counter, length: 128 }, key, new Uint8Array(n)));
}

/** Numbers uniform in [−1, 1), one of four bytes each: the upper 24 bits, exact in f32. */
export function toUniform(stream: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  return Float32Array.from({ length: stream.length / 4 }, (_, i) => (view.getUint32(4 * i, true) >>> 8) / 2 ** 23 - 1);
}

/** The first n bits, most significant first, 0 → −1 and 1 → +1. */
export const toBits = (stream: Uint8Array, n: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: n }, (_, i) => ((stream[i >> 3]! >> (7 - (i & 7))) & 1 ? 1 : -1));
