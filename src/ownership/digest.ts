/**
 * Hashes and pseudo-random streams by the platform's WebCrypto: browsers and Node have the same.
 */
import { digest, toHex } from "../io/digest";

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

/**
 * 64 bytes by HKDF with SHA-512 (RFC 5869), from a secret and a name; those of one name say nothing
 * of those of another, nor of the secret.
 */
export async function subSecret(secret: Uint8Array<ArrayBuffer>, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const info = new TextEncoder().encode(name);
  const salt = new Uint8Array(64);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-512", salt, info }, key, 512));
}

/** A whole number from 0 to below n, n up to 2³², uniform. */
export type Draw = (n: number) => number;

/**
 * What `make` draws from a stream of bytes: draws that would favour some numbers are thrown away,
 * so that nobody knows in advance how many bytes it takes.
 * @param bytes how many it is expected to take
 */
export async function drawn<T>(seed: Uint8Array<ArrayBuffer>, bytes: number, make: (draw: Draw) => T): Promise<T> {
  const end = Symbol();
  for (let length = 64 + bytes; ; length *= 2) {
    const stream = await keystream(seed, length);
    const view = new DataView(stream.buffer);
    let at = 0;
    const draw: Draw = (n) => {
      for (;;) {
        if (at + 4 > length) throw end;
        const value = view.getUint32(at, true);
        at += 4;
        if (value < 2 ** 32 - (2 ** 32 % n)) return value % n;
      }
    };
    try {
      return make(draw);
    } catch (cause) {
      // The longer stream begins with the shorter one.
      if (cause !== end) throw cause;
    }
  }
}

/** Numbers uniform in [−1, 1), one of four bytes each: the upper 24 bits, exact in f32. */
export function toUniform(stream: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  return Float32Array.from({ length: stream.length / 4 }, (_, i) => (view.getUint32(4 * i, true) >>> 8) / 2 ** 23 - 1);
}

/** The first n bits, most significant first, 0 → −1 and 1 → +1. */
export const toBits = (stream: Uint8Array, n: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: n }, (_, i) => ((stream[i >> 3]! >> (7 - (i & 7))) & 1 ? 1 : -1));

/** A fresh secret: 32 bytes of the platform's own randomness, hexadecimal. */
export const newSecret = (): string => toHex(crypto.getRandomValues(new Uint8Array(32)));
