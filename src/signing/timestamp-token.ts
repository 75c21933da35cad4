import { clip } from "../io/shown";
import { DerReader, onlyElement, TAG } from "./der";
import { readSmall } from "./der-values";

/**
 * Longest response or token that is read, in bytes: those with whole chains have seven thousand.
 */
export const LONGEST_TOKEN = 2 ** 16;

/**
 * The token (`ContentInfo`) inside an authority's response (`TimeStampResp` of RFC 3161 §2.4.2), or
 * the bare token.
 * @returns a reader of the token
 * @throws FormatError for neither, and a response in which the authority refuses.
 */
export function tokenOf(stamp: Uint8Array, what: string): DerReader {
  const file = new DerReader(stamp, what);
  if (stamp.length > LONGEST_TOKEN)
    file.refuse("the whole", `at most ${LONGEST_TOKEN} bytes expected, found ${stamp.length}`);
  const response = onlyElement(stamp, what);
  // A token begins with the name of its type, a response with its status.
  if (response.tag === TAG.oid) return file;
  const status = response.inside("status");
  const number = readSmall(status, "number");
  const texts = status.insideOptional("text", TAG.sequence);
  const said = texts?.list(4, () => new TextDecoder().decode(texts.read(TAG.utf8, "text").content)).join(" ");
  status.optional(TAG.bitString, "failure");
  status.end();
  if (number > 1)
    response.refuse(
      "status",
      `a stamp expected, found a refusal (${number}${said ? `: ${JSON.stringify(clip(said))}` : ""})`,
    );
  const token = response.read(TAG.sequence, "token").whole;
  response.end();
  return new DerReader(token, what);
}
