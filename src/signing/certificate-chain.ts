/**
 * Certification paths (RFC 5280 §6) from a certificate up to one that is trusted, as they were at a
 * time. Names are compared byte by byte; revocation is not looked at, since what is stamped once
 * has to verify for ever, and offline.
 */
import { FormatError } from "../errors";
import { sameBytes } from "../io/bytes";
import {
  basicConstraints,
  type Certificate,
  checkExtensions,
  extendedKeyUsage,
  isSignedBy,
  keyUsage,
  USAGE,
} from "./certificate";

/**
 * Most certificates between the first and the trusted one, and most signatures that are verified.
 */
const MOST_BETWEEN = 6;
const MOST_CHECKS = 24;
const ANY_PURPOSE = "2.5.29.37.0";

/** What a path is made of, and what it is for. */
export interface ChainRequest {
  /** The certificates that are trusted. */
  readonly roots: readonly Certificate[];
  /** Certificates that may stand between; nobody trusts them for that. */
  readonly others: readonly Certificate[];
  /** When every certificate of the path has to be valid: milliseconds since 1970. */
  readonly time: number;
  /** Purpose that certificates between may not exclude. */
  readonly purpose: string;
}

/**
 * Searches a path from a certificate to a trusted one.
 * @throws FormatError saying why there is none: what was wrong with the last one that was tried.
 */
export async function checkChain(first: Certificate, request: ChainRequest): Promise<void> {
  let checks = 0;
  let problem = "no trusted root has issued it, nor a certificate that came along";

  async function climbs(certificate: Certificate, between: number): Promise<boolean> {
    if (request.roots.some(({ whole }) => sameBytes(whole, certificate.whole))) return true;
    if (between > MOST_BETWEEN) return false;
    const isIssuer = ({ subject }: Certificate) => sameBytes(subject, certificate.issuer);
    for (const issuer of [...request.roots, ...request.others].filter(isIssuer)) {
      if (++checks > MOST_CHECKS)
        throw new FormatError(
          `${first.what}: a path of few certificates to a trusted root expected, found too many to try`,
        );
      const fault = await faultOf(certificate, issuer, between, request);
      if (fault) problem = fault;
      else if (await climbs(issuer, between + 1)) return true;
    }
    return false;
  }

  checkValidAt(first, request.time);
  checkExtensions(first);
  if (!(await climbs(first, 0)))
    throw new FormatError(`${first.what}: a path to a trusted root expected, found none: ${problem}`);
}

/** Why one certificate may not have been issued by another; null where it may. */
async function faultOf(
  certificate: Certificate,
  issuer: Certificate,
  between: number,
  { time, purpose }: ChainRequest,
): Promise<string | null> {
  try {
    checkValidAt(issuer, time);
    checkExtensions(issuer);
    const { ca, pathLength } = basicConstraints(issuer);
    if (!ca) return "its issuer is no authority for certificates (basic constraints)";
    if (pathLength < between) return "more certificates stand between than an issuer allows (path length)";
    const usage = keyUsage(issuer);
    if (usage !== undefined && !(usage & USAGE.certificateSigning))
      return "its issuer's key may not sign certificates (key usage)";
    const purposes = extendedKeyUsage(issuer)?.purposes;
    if (purposes && !purposes.includes(purpose) && !purposes.includes(ANY_PURPOSE))
      return "an issuer is for other purposes (extended key usage)";
    return (await isSignedBy(certificate, issuer)) ? null : "a signature is not its issuer's";
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
}

/** @throws FormatError unless a certificate was valid then. */
function checkValidAt({ what, notBefore, notAfter }: Certificate, time: number): void {
  if (time >= notBefore && time <= notAfter) return;
  const day = (t: number) => new Date(t).toISOString();
  throw new FormatError(
    `${what}: one that is valid at ${day(time)} expected, found one from ${day(notBefore)} to ${day(notAfter)}`,
  );
}
