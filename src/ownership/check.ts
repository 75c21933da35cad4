/**
 * Checks of what the functions that decide about ownership take, beside those of `demand.ts`: a
 * value that nobody can mean is refused, never read as absent.
 */
import { type Check, refuse, text, whole, within } from "../demand";
import { certificatesOf } from "../signing/certificate";

/** A share from 0 to 1. */
export const isShare: Check = (what, name, v) => within(what, name, v, 0, 1);

/** A probability that is neither 0 nor 1. */
export const isRate: Check = (what, name, v) =>
  (typeof v === "number" && v > 0 && v < 1) || refuse(what, name, "a number between 0 and 1", v);

export const isSeed: Check = (what, name, v) => whole(what, name, v, 0);

/** A day, or a time with its zone: nothing that a parser guesses, as years of six digits. */
const DATE = /^(\d{4})-(\d\d)-(\d\d)(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/;

/** The time of a date in words; NaN for what is none. */
function timeOf(words: string): number {
  const [, year, month, day] = DATE.exec(words) ?? [];
  // A parser takes June 31 for July 1.
  return Number(day) <= new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate() ? Date.parse(words) : NaN;
}

/** A date of our time. */
export const isDate: Check = (what, name, v) => {
  const time = v instanceof Date ? v.getTime() : timeOf(text(what, name, v));
  const advice = "a day means its beginning in UTC";
  if (time >= 0 && time < Date.UTC(10_000, 0)) return time;
  return refuse(what, name, "a date from 1970 on such as 2026-11-02, or 2026-11-02T09:30:00Z", v, advice);
};

/** Certificates, each PEM or DER. @throws FormatError for one that is none. */
export const isRoots: Check = (what, name, v) =>
  Array.isArray(v) && v.every((root) => typeof root === "string" || root instanceof Uint8Array)
    ? certificatesOf(v as (string | Uint8Array)[], `${what}: ${name}`)
    : refuse(what, name, "a list of certificates, each PEM or DER", v);
