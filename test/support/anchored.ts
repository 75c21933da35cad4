/** What a verifier has beside suspect and credential: a dated commitment, and its file. */
import type { SafetensorsFile } from "../../src/io/safetensors";
import { commit, type VerdictName } from "../../src/ownership";
import type { Bundle } from "../../src/signing/bundle";
import { fileBytes, latin1 } from "./bytes";
import { authority, signerFor, type Who } from "./owner";

/** When {@link anchored} commitments are stamped, and their suspects said to be published. */
export const [STAMPED, PUBLISHED] = ["2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"] as const;

/** Options of `verify` with which a marked suspect gets the best verdict that it can. */
export interface Anchored {
  commitment: Bundle;
  released: SafetensorsFile;
  roots: Uint8Array[];
  published: string;
}

let stamps: ReturnType<typeof authority> | null = null;

/** Commits a signer to a released file, and dates it. */
export async function anchored(
  { credential, released }: { credential: SafetensorsFile; released: SafetensorsFile },
  { who = "acme", at = STAMPED }: { who?: Who; at?: string } = {},
): Promise<Anchored> {
  stamps ??= authority();
  const { root, stamp } = await stamps;
  const commitment = await stamp(await commit(credential, released, await signerFor(who)), at);
  return { commitment, released, roots: [root], published: PUBLISHED };
}

/** What a released file, edited, is judged as: its bytes have the tensors in one order. */
export const editedVerdict = (suspect: SafetensorsFile, released: SafetensorsFile): VerdictName =>
  latin1(fileBytes(suspect)) === latin1(fileBytes(released)) ? "holds as released" : "holds";
