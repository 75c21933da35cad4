import { oneOf, optionsOf } from "../demand";
import { ArgumentError } from "../errors";
import { bytesOf } from "../io/bytes";
import { digest, type Hash } from "../io/digest";
import type { NonSharedUint8Array } from "../io/typed-arrays";
import { writeHash } from "./algorithms";
import { TAG } from "./der";
import { element, natural, sequence } from "./der-writer";

/** Options of {@link timestampQuery}. */
export interface TimestampQueryOptions {
  /**
   * A number by its bytes, 1 to 32, that the answer has to repeat: it shows that the answer is to
   * this question. A signature that was made just now is as fresh without.
   */
  nonce?: Uint8Array;
  /** The digest that is stamped; SHA-256 by default. */
  hash?: Hash;
}

/**
 * The question to a time-stamp authority (`TimeStampReq` of RFC 3161 §2.4.1), with the request that
 * its certificate come along. Send it by any client,
 *
 *     curl -H "Content-Type: application/timestamp-query" --data-binary @query.tsq URL > response.tsr
 *
 * @param bytes what shall be stamped; of a bundle, `bundleSignature(bundle)`. Only its digest is in
 * the query.
 * @throws ArgumentError for no bytes, and options that are not understood.
 */
export async function timestampQuery(bytes: Uint8Array, options?: TimestampQueryOptions): Promise<NonSharedUint8Array> {
  const what = "timestampQuery";
  const { nonce, hash = "SHA-256" } = optionsOf(what, options, ["nonce", "hash"]);
  oneOf(what, "hash", hash, ["SHA-256", "SHA-384", "SHA-512"]);
  const imprint = element(TAG.octetString, await digest(hash, bytesOf(bytes, what)));
  return sequence(
    natural(Uint8Array.of(1)),
    sequence(writeHash(hash), imprint),
    ...(nonce === undefined ? [] : [natural(nonceOf(nonce, what))]),
    element(TAG.boolean, Uint8Array.of(0xff)),
  );
}

/** @throws ArgumentError unless it is a number above 0 in 1 to 32 bytes. */
export function nonceOf(nonce: Uint8Array, what: string): Uint8Array {
  const bytes = bytesOf(nonce, `${what}: the nonce`);
  if (bytes.length <= 32 && bytes.some((byte) => byte !== 0)) return bytes;
  throw new ArgumentError(`${what}: a nonce above 0 in 1 to 32 bytes expected, found ${bytes.length} bytes`);
}
