import { PanError } from "../errors";
import type { CredentialInfo } from "../models/credential";
import type { OpenFile } from "./network-file";
import { type RelationEvidence, relation } from "./relation";

/**
 * The relation of a file to one that was released, by the channels that a credential knows of; null
 * where it cannot be tested, and why is added to `reasons`.
 */
export function compared(
  file: OpenFile,
  released: OpenFile,
  { config, channels }: CredentialInfo,
  falsePositiveRate: number,
  reasons: string[],
): RelationEvidence | null {
  if (!config && !channels) {
    reasons.push("the credential does not say which channels hang together: the relation was not tested");
    return null;
  }
  try {
    const source = config ? {} : { channels: { channels: channels! } };
    return relation(file.file, released.file, { falsePositiveRate, ...source });
  } catch (cause) {
    if (!(cause instanceof PanError)) throw cause;
    reasons.push(`the relation to the committed file could not be tested: ${cause.message}`);
    return null;
  }
}
