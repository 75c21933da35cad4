import { PanError } from "../../errors";
import type { CredentialInfo } from "../../models/credential";
import type { OpenFile } from "../network-file";
import type { Ways } from "../suspect/recognised";
import { type RelationEvidence, relationBetween } from "./relation";

/** How two files are compared. */
export interface Comparing {
  /** What the credential says of its network. */
  readonly info: CredentialInfo;
  readonly falsePositiveRate: number;
  /** Takes sentences: why nothing could be tested. */
  readonly reasons: string[];
}

/**
 * The relation of a file to one that was released, by the channels that a credential knows of; null
 * where it cannot be tested. One that was found in one of many ways is held to as much less.
 */
export function compared(
  file: OpenFile & { readonly ways?: Ways },
  released: OpenFile,
  { info, falsePositiveRate, reasons }: Comparing,
): RelationEvidence | null {
  // So many ways that no double is left of the rate: nothing is enough.
  const ways = 2 ** (file.ways?.weights ?? 0);
  try {
    const { channels } = info;
    if (channels) {
      const found = relationBetween(file.file, released.file, channels, falsePositiveRate / ways);
      return { ...found, pValue: Number.isFinite(ways) ? Math.min(1, found.pValue * ways) : 1 };
    }
    reasons.push("the credential does not say which channels hang together: the relation was not tested");
  } catch (cause) {
    if (!(cause instanceof PanError)) throw cause;
    reasons.push(`the relation to the committed file could not be tested: ${cause.message}`);
  }
  return null;
}
