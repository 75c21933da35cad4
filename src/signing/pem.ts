/** PEM (RFC 7468): DER in base64 between two lines that say what it is. */
import { FormatError } from "../errors";
import { shown } from "../io/shown";
import { fromBase64, toBase64 } from "./base64";

/** Most characters of a PEM text: hundreds of certificates. */
const LONGEST = 2 ** 20;

/** DER as PEM, in lines of 64 characters, as OpenSSL and Python's cryptography write it. */
export function toPem(label: string, der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return `${[`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`].join("\n")}\n`;
}

/** One block of a PEM text. */
export interface PemBlock {
  /** `PUBLIC KEY`, `CERTIFICATE`, … */
  label: string;
  der: Uint8Array<ArrayBuffer>;
}

/**
 * All blocks of a PEM text; text between them is passed over, as RFC 7468 has it. Messages never
 * repeat the text: it may be a private key.
 * @throws FormatError for no text, one without a block, and a block that is not closed or no
 * base64.
 */
export function fromPem(text: unknown, what: string): PemBlock[] {
  if (typeof text !== "string") throw new FormatError(`${what}: PEM expected, found ${shown(typeof text)}`);
  if (text.length > LONGEST)
    throw new FormatError(`${what}: at most ${LONGEST} characters of PEM expected, found ${text.length}`);
  const blocks: PemBlock[] = [];
  let open: string | null = null;
  let body: string[] = [];
  for (const raw of text.split(/\r\n|\n|\r/)) {
    const line = raw.trim();
    const [, edge, label] = /^-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----$/.exec(line) ?? [];
    if (edge === undefined || label === undefined) {
      if (open !== null) body.push(line);
      continue;
    }
    if ((edge === "BEGIN") === (open !== null) || (open !== null && open !== label))
      throw new FormatError(
        `${what}: PEM blocks that begin and end with the same label expected, found ${edge} ${label}`,
      );
    if (edge === "BEGIN") body = [];
    else blocks.push({ label, der: fromBase64(body.join(""), `${what}, ${label}`) });
    open = edge === "BEGIN" ? label : null;
  }
  if (open !== null || blocks.length === 0)
    throw new FormatError(
      `${what}: PEM expected, "-----BEGIN …-----" to "-----END …-----", found ${open === null ? "no block" : "no end"}`,
    );
  return blocks;
}
