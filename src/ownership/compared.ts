import { PanError } from "../errors";
import type { CredentialInfo } from "../models/credential";
import type { OpenFile } from "./network-file";
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
 * where it cannot be tested.
 */
export function compared(
  file: OpenFile,
  released: OpenFile,
  { info, falsePositiveRate, reasons }: Comparing,
): RelationEvidence | null {
  try {
    const { channels } = info;
    if (channels) return relationBetween(file.file, released.file, channels, falsePositiveRate);
    reasons.push("the credential does not say which channels hang together: the relation was not tested");
  } catch (cause) {
    if (!(cause instanceof PanError)) throw cause;
    reasons.push(`the relation to the committed file could not be tested: ${cause.message}`);
  }
  return null;
}
