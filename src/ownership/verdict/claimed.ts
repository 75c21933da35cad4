/** What a credential claims, of either version, or why it claims nothing. */
import { FormatError } from "../../errors";
import type { SafetensorsFile } from "../../io/safetensors";
import type { CredentialInfo } from "../../models/credential";
import type { DerivedClaim } from "../claim/derive";
import { claimOf, hasClaim } from "../claim/own";
import { bindingOf } from "../first/binding";

/** What a credential claims; `derived` is that of a claim of version 2. */
export type Claimed = { statement: string; version: 1 | 2; broken: string | null } & (
  | { derived: DerivedClaim; bits?: undefined }
  | { derived: null; bits: DerivedClaim["bits"] }
);

/** What a credential claims; `broken` says why it holds nothing that could be claimed. */
export async function claimed(credential: SafetensorsFile, info: CredentialInfo): Promise<Claimed> {
  const none = { statement: "", derived: null, bits: new Map() } as const;
  const version = hasClaim(credential) ? 2 : 1;
  try {
    if (version === 2) {
      const derived = await claimOf(credential, info);
      return { statement: derived.spec.statement, version, broken: null, derived };
    }
    const binding = await bindingOf(credential, info);
    if (binding) return { statement: binding.statement, version, broken: null, derived: null, bits: binding.bits };
    const broken =
      "the credential is not bound to a secret: passports solved for these very weights would match as well, so it shows nothing";
    return { ...none, version, broken };
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    return { ...none, version, broken: cause.message };
  }
}
