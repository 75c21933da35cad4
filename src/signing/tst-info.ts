import type { Hash } from "../io/digest";
import { readHash } from "./algorithms";
import { onlyElement, TAG } from "./der";
import { readFlag, readInteger, readOid, readSmall, timeOf } from "./der-values";

/** What a time stamp says (`TSTInfo` of RFC 3161 §2.4.2). */
export interface TstInfo {
  /** The digest of what was stamped. */
  readonly hash: Hash;
  readonly imprint: Uint8Array;
  readonly serial: Uint8Array;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** In seconds, either way; null where the authority does not say. */
  readonly accuracy: number | null;
  readonly nonce: Uint8Array | undefined;
}

/** @throws FormatError for what is none, and critical extensions, of which none is understood. */
export function parseTstInfo(bytes: Uint8Array, what: string): TstInfo {
  const info = onlyElement(bytes, what);
  if (readSmall(info, "version") !== 1) info.refuse("version", "1 expected");
  readOid(info, "policy");
  const message = info.inside("imprint");
  const hash = readHash(message, "digest");
  const imprint = message.read(TAG.octetString, "value").content;
  message.end();
  const serial = readInteger(info, "serial number");
  const time = timeOf(info.read(TAG.generalizedTime, "time"), info, "time");
  const accuracy = info.tag === TAG.sequence ? readAccuracy(info.inside("accuracy")) : null;
  readFlag(info, "ordering");
  const nonce = info.tag === TAG.integer ? readInteger(info, "nonce") : undefined;
  info.optional(TAG.constructed(0), "the authority's name");
  const extensions = info.insideOptional("extensions", TAG.constructed(1));
  extensions?.list(16, () => {
    const extension = extensions.inside("extension");
    const name = readOid(extension, "name");
    if (readFlag(extension, "critical"))
      extensions.refuse("extension", `none that is critical expected, found ${name}`);
    extension.read(TAG.octetString, "value");
    extension.end();
  });
  info.end();
  return { hash, imprint, serial, time, accuracy, nonce };
}

/** Seconds, thousandths and millionths. */
function readAccuracy(from: ReturnType<typeof onlyElement>): number {
  const part = (tag: number, name: string) => (from.tag === tag ? readSmall(from, name, tag) : 0);
  const seconds = part(TAG.integer, "seconds");
  const millis = part(TAG.primitive(0), "millis");
  const micros = part(TAG.primitive(1), "micros");
  from.end();
  if (millis > 999 || micros > 999) from.refuse("fractions", "below 1000 expected");
  return seconds + millis / 1e3 + micros / 1e6;
}
