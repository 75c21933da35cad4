import { PanError } from "../errors";
import type { CredentialInfo } from "../models/credential";
import type { OpenFile } from "./network-file";
import { type RelationEvidence, relationBetween } from "./relation";
import type { Runner } from "./runner";

/** How two files are compared. */
export interface Comparing {
  /** What the credential says of its network. */
  readonly info: CredentialInfo;
  readonly falsePositiveRate: number;
  readonly runner: Runner | null;
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
  { info, falsePositiveRate, runner, reasons }: Comparing,
): RelationEvidence | null {
  try {
    // Credentials of the first format leave it to the network, which has to be traced.
    const channels = info.channels ?? (info.config && runner?.channels?.(released.file));
    if (channels) return relationBetween(file.file, released.file, channels, falsePositiveRate);
    reasons.push("the credential does not say which channels hang together: the relation was not tested");
  } catch (cause) {
    if (!(cause instanceof PanError)) throw cause;
    reasons.push(`the relation to the committed file could not be tested: ${cause.message}`);
  }
  return null;
}
