/**
 * The seal of a checkpoint: a SHA-256 over the whole file, header, padding and data, that the file
 * carries itself. Metadata come first in a header and `digest` first among them, so the hexadecimal
 * digits are always at the same place; they are hashed as zeros.
 *
 *     digest = SHA-256(SHA-256(piece 0) ‖ SHA-256(piece 1) ‖ …),   pieces of 16 MiB
 *
 * Pieces, since WebCrypto takes no stream, copies what it is given, and refuses more than 2 GiB.
 */
import { digest, sha256Hex } from "../io/digest";

const OPENING = new TextEncoder().encode('{"__metadata__":{"digest":"');
const AT = 8 + OPENING.length;
const DIGITS = 64;
const PIECE = 2 ** 24;

/** What the metadata entry `digest` has to be when the file is encoded: room for the seal. */
export const UNSEALED = "0".repeat(DIGITS);

async function digestOf(file: Uint8Array): Promise<string> {
  const pieces = new Uint8Array(32 * Math.ceil(file.length / PIECE));
  for (let i = 0; i * PIECE < file.length; i++) {
    const piece = file.slice(i * PIECE, (i + 1) * PIECE);
    if (i === 0) piece.fill(0x30, AT, AT + DIGITS);
    pieces.set(await digest("SHA-256", piece), 32 * i);
  }
  return sha256Hex(pieces);
}

/**
 * Writes the seal into a file that was encoded with {@link UNSEALED} as its metadata entry
 * `digest`.
 */
export async function seal(file: Uint8Array): Promise<void> {
  file.set(new TextEncoder().encode(await digestOf(file)), AT);
}

/** Whether a file has the place of a seal. */
export const isSealed = (file: Uint8Array): boolean => OPENING.every((byte, i) => file[8 + i] === byte);

/** Whether a file is bit for bit the one that was sealed. */
export async function sealHolds(file: Uint8Array): Promise<boolean> {
  const written = new TextDecoder().decode(file.slice(AT, AT + DIGITS));
  return isSealed(file) && written === (await digestOf(file));
}
