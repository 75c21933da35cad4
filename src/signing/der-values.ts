/** Values of DER's primitive types, in the one form that DER allows. */
import { type DerReader, type Element, TAG } from "./der";

/** Most bytes of an object identifier; the longest in use have twenty. */
const LONGEST_OID = 64;

/** An object identifier in dots. */
export function readOid(from: DerReader, part: string): string {
  const { content } = from.read(TAG.oid, part);
  const fault = (problem: string) => from.refuse(part, problem);
  if (content.length === 0 || content.length > LONGEST_OID)
    fault(`an object identifier of 1 to ${LONGEST_OID} bytes expected`);
  const arcs: bigint[] = [];
  let arc = 0n;
  let begins = true;
  for (const byte of content) {
    if (begins && byte === 0x80) fault("an object identifier in its shortest form expected");
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    begins = (byte & 0x80) === 0;
    if (!begins) continue;
    arcs.push(arc);
    arc = 0n;
  }
  if (!begins) fault("an object identifier expected that ends");
  const first = arcs[0]! < 40n ? 0n : arcs[0]! < 80n ? 1n : 2n;
  return [first, arcs[0]! - 40n * first, ...arcs.slice(1)].join(".");
}

/** An integer's bytes, two's complement in its shortest form. */
export function readInteger(from: DerReader, part: string, tag: number = TAG.integer): Uint8Array {
  const { content } = from.read(tag, part);
  const [first, second] = content;
  if (first === undefined) from.refuse(part, "an integer expected, found no bytes");
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)))
    from.refuse(part, "an integer in its shortest form expected");
  return content;
}

/** An integer from 0 to 2³¹ − 1. */
export function readSmall(from: DerReader, part: string, tag: number = TAG.integer): number {
  const bytes = readInteger(from, part, tag);
  if (bytes.length > 4 || bytes[0]! >= 0x80) from.refuse(part, "a number from 0 to 2^31 - 1 expected, found another");
  return bytes.reduce((n, byte) => 256 * n + byte, 0);
}

/**
 * A truth value where one stands, else false. DER leaves false out where it is the default; many
 * certificates say it nevertheless.
 */
export function readFlag(from: DerReader, part: string): boolean {
  const content = from.optional(TAG.boolean, part)?.content;
  if (content && (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)))
    from.refuse(part, "a truth value expected");
  return content?.[0] === 0xff;
}

/** A bit string of whole bytes. */
export function readBits(from: DerReader, part: string): Uint8Array {
  const { content } = from.read(TAG.bitString, part);
  if (content[0] !== 0) from.refuse(part, "a bit string of whole bytes expected");
  return content.subarray(1);
}

/** A bit string as a list of flags: bit n is the n-th, as `KeyUsage` has them. At most 16. */
export function readFlags(from: DerReader, part: string): number {
  const { content } = from.read(TAG.bitString, part);
  const unused = content[0] ?? 8;
  const last = content.at(-1)!;
  // The shortest form: trailing zeros are left out.
  if (
    content.length < 2 ||
    content.length > 3 ||
    unused > 7 ||
    (last & ((1 << unused) - 1)) !== 0 ||
    !((last >> unused) & 1)
  )
    from.refuse(part, "up to 16 named bits in their shortest form expected");
  let flags = 0;
  for (let n = 0; n < 8 * (content.length - 1); n++) if ((content[1 + (n >> 3)]! >> (7 - (n & 7))) & 1) flags |= 1 << n;
  return flags;
}

/** NULL or nothing, to the end: the parameters of algorithms that have none. */
export function noParameters(from: DerReader): void {
  if (from.tag === TAG.null && from.any("parameters").content.length !== 0) from.refuse("parameters", "none expected");
  from.end();
}

const TIMES = new Map([
  [TAG.utcTime, /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)()Z$/],
  [TAG.generalizedTime, /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{0,8}[1-9]))?Z$/],
] as [number, RegExp][]);

/**
 * A time in UTC, in milliseconds since 1970 (what is finer is cut off): `UTCTime`, whose years are
 * those from 1950 to 2049, or `GeneralizedTime`.
 */
export function timeOf({ tag, content }: Element, from: DerReader, part: string): number {
  const pattern = content.length < 32 ? TIMES.get(tag) : undefined;
  const fields = pattern?.exec(String.fromCharCode(...content));
  if (!fields) return from.refuse(part, "a time in UTC, to the second or finer, expected");
  const [year, month, day, hour, minute, second] = fields.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const century = tag === TAG.utcTime ? (year < 50 ? 2000 : 1900) : 0;
  const date = new Date(0);
  date.setUTCFullYear(century + year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const again = [
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ];
  if (again.join() !== [month, day, hour, minute, second].join()) from.refuse(part, "a time that exists expected");
  return date.getTime() + Math.floor(1000 * Number(`0.${fields[7] || "0"}`));
}
