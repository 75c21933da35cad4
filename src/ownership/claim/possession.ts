/**
 * That a claimant has the claim's key now: whoever has seen an opened credential could claim with
 * it, but cannot sign. A verifier gives a nonce; the owner signs it with the suspect's digest.
 */
import { ArgumentError } from "../../errors";
import { sha512Hex } from "../../io/digest";
import { canonicalJson } from "../../io/json";
import { pae } from "../../signing/dsse";
import { type Signer, signWith, verifySignature } from "../../signing/keys";
import { type NetworkFile, openFile } from "../network-file";

const TYPE = "application/vnd.pan-core.possession+json";

/** What a verifier asked, and what the claimant's key answered. JSON-able but for its bytes. */
export interface Possession {
  /** The verifier's own, 32 to 128 hexadecimal digits. */
  readonly nonce: string;
  readonly signature: Uint8Array;
}

async function asked(what: string, nonce: unknown, suspect: Uint8Array): Promise<Uint8Array> {
  if (typeof nonce !== "string" || !/^[0-9a-f]{32,128}$/.test(nonce))
    throw new ArgumentError(`${what}: a nonce of 32 to 128 hexadecimal digits expected, as newSecret() makes one`);
  return pae(TYPE, new TextEncoder().encode(canonicalJson({ nonce, suspect: await sha512Hex(suspect) })));
}

/**
 * The claimant's answer to a verifier's nonce about a suspect.
 * @throws ArgumentError for a nonce that is none, or a signer that is none.
 */
export async function provePossession(signer: Signer, nonce: string, suspect: NetworkFile): Promise<Possession> {
  const what = "provePossession";
  const { bytes } = openFile(what, "suspect", suspect);
  return { nonce, signature: await signWith(signer, await asked(what, nonce, bytes), what) };
}

/** Whether the key answered the nonce about this suspect. @throws ArgumentError for no nonce. */
export async function possessed(
  key: Uint8Array,
  { nonce, signature }: Possession,
  suspect: Uint8Array,
): Promise<boolean> {
  return verifySignature(key, await asked("verify", nonce, suspect), signature);
}
