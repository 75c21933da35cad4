/**
 * Checks of what the functions that decide about ownership take, beside those of `demand.ts`: a
 * value that nobody can mean is refused, never read as absent.
 */
import { type Check, refuse, whole, within } from "../demand";
import { certificatesOf } from "../signing/certificate";

/** A share from 0 to 1. */
export const isShare: Check = (what, name, v) => within(what, name, v, 0, 1);

/** A probability that is neither 0 nor 1. */
export const isRate: Check = (what, name, v) =>
  (typeof v === "number" && v > 0 && v < 1) || refuse(what, name, "a number between 0 and 1", v);

export const isSeed: Check = (what, name, v) => whole(what, name, v, 0);

/** Certificates, each PEM or DER. @throws FormatError for one that is none. */
export const isRoots: Check = (what, name, v) =>
  Array.isArray(v) && v.every((root) => typeof root === "string" || root instanceof Uint8Array)
    ? certificatesOf(v as (string | Uint8Array)[], `${what}: ${name}`)
    : refuse(what, name, "a list of certificates, each PEM or DER", v);
