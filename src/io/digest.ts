/** Plain digests by the platform's WebCrypto, and bytes as hexadecimal digits. */
import { LimitError } from "../errors";
import { bytesOf } from "./bytes";

/** The digests that signatures and time stamps are made of. */
export type Hash = "SHA-256" | "SHA-384" | "SHA-512";

/** What WebCrypto takes in one piece; it has no streams. */
const MOST = 2 ** 31 - 1;

/**
 * Digest of bytes as they are.
 * @throws LimitError for 2 GiB or more.
 */
export async function digest(hash: Hash | "SHA-1", bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  if (bytes.length > MOST)
    throw new LimitError(
      `${hash}: at most ${MOST} bytes in one piece expected, found ${bytes.length}: give the digest that sha256sum or sha512sum prints`,
    );
  return new Uint8Array(await crypto.subtle.digest(hash, bytes as Uint8Array<ArrayBuffer>));
}

/** Bytes as hexadecimal digits. */
export const toHex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

/** The bytes of hexadecimal digits. */
export const fromHex = (digits: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));

/**
 * SHA-256 in hexadecimal, what `sha256sum` prints of a file of these bytes.
 * @throws LimitError for 2 GiB or more; ArgumentError for what is no bytes.
 */
export const sha256Hex = async (bytes: Uint8Array): Promise<string> =>
  toHex(await digest("SHA-256", bytesOf(bytes, "sha256Hex")));

/**
 * SHA-512 in hexadecimal, what `sha512sum` prints of a file of these bytes.
 * @throws LimitError for 2 GiB or more; ArgumentError for what is no bytes.
 */
export const sha512Hex = async (bytes: Uint8Array): Promise<string> =>
  toHex(await digest("SHA-512", bytesOf(bytes, "sha512Hex")));
