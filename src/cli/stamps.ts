/** Time-stamping authorities over the network. */
import { UnavailableError } from "../errors";
import { word } from "./shell";

const TYPE = "application/timestamp-query";

/** Most bytes of an answer, and how long one is waited for. */
const [LONGEST, PATIENCE] = [2 ** 16, 30_000];

/**
 * Asks an authority of RFC 3161.
 * @returns its answer as it came; `withTimestamp` reads it
 * @throws UnavailableError where none comes.
 */
export async function askAuthority(url: string, question: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const none = (why: string, cause?: unknown) =>
    new UnavailableError(`expected an answer, got ${why}: try again, name another, or ask it with curl`, { cause });
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": TYPE },
      body: question,
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (!answer.ok) throw none(`status ${answer.status}`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (bytes.length > LONGEST) throw none(`${bytes.length} bytes`);
    return bytes;
  } catch (cause) {
    if (cause instanceof UnavailableError) throw cause;
    const { message, cause: inner } = cause as Error;
    throw none(inner instanceof Error && inner.message !== "" ? inner.message : message, cause);
  }
}

/** The line that asks an authority with a file. */
export const curlLine = (query: string, url = "https://freetsa.org/tsr"): string =>
  `curl -sS -H 'Content-Type: ${TYPE}' --data-binary ${word(`@${query}`)} -o ${word(query.replace(/tsq$/, "tsr"))} ${word(url)}`;
