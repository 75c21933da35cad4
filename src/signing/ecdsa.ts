/**
 * The two forms of an ECDSA signature (r, s): a sequence of two integers in DER (RFC 3279 §2.2.3),
 * which DSSE, Sigstore and certificates have, and r ‖ s of fixed length (IEEE P1363), which
 * WebCrypto has.
 */
import { FormatError } from "../errors";
import { onlyElement } from "./der";
import { readInteger } from "./der-values";
import { natural, sequence } from "./der-writer";

/** r ‖ s as DER. */
export function toDerSignature(fixed: Uint8Array): Uint8Array<ArrayBuffer> {
  const half = fixed.length / 2;
  return sequence(natural(fixed.subarray(0, half)), natural(fixed.subarray(half)));
}

/**
 * DER as r ‖ s, each of `size` bytes.
 * @throws FormatError for another encoding than the one of DER, and numbers that are negative, 0 or
 * longer than `size`.
 */
export function toFixedSignature(der: Uint8Array, size: number, what: string): Uint8Array<ArrayBuffer> {
  const numbers = onlyElement(der, what);
  const out = new Uint8Array(2 * size);
  for (const [i, name] of ["r", "s"].entries()) {
    const bytes = readInteger(numbers, name);
    const digits = bytes[0] === 0 ? bytes.subarray(1) : bytes;
    if (bytes[0]! >= 0x80 || digits.length === 0 || digits.length > size)
      throw new FormatError(`${what}: ${name}: a number above 0 of at most ${size} bytes expected`);
    out.set(digits, (i + 1) * size - digits.length);
  }
  numbers.end();
  return out;
}
