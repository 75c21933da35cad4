import { callable, checkOptions } from "../../demand";
import type { AskTriggers } from "../claim/answers";
import type { NetworkFile } from "../network-file";
import { askingRunner } from "../running/ask";
import { EVIDENCE, type Evidence } from "./evidence";
import { type Verification, verificationOf } from "./verification";

/** What `verify` of `@pan/core/verify` may use beside the suspect and the credential. */
export interface VerifyFilesOptions extends Evidence {
  /**
   * Runs a network on the claim's triggers, by whatever runs networks here. Without it no trigger
   * is asked, and the verdict goes by bits, files and dates.
   */
  ask?: AskTriggers;
}

/**
 * Verifies a claim of ownership on a suspect from files alone, on any JavaScript: `verify` of
 * `@pan/core/ownership` in all but what needs a network that runs. Signature, binding, commitment,
 * stamps, anchor and relation are the same code, and give the same verdict for the same reasons;
 * accuracies are not measured, and triggers are asked by `ask` alone: where they are not, the
 * result says so (`mark.triggers` is null, and `reasons`).
 * @throws FormatError for a credential that is none, and files that are none; StateDictError when
 * suspect and credential are of different structures and there is no committed file to compare the
 * suspect with; ArgumentError for options that are none.
 */
export async function verifyFiles(
  suspect: NetworkFile,
  credential: NetworkFile,
  options: VerifyFilesOptions = {},
): Promise<Verification> {
  checkOptions("verify", options, { ...EVIDENCE, ask: callable });
  const { ask } = options;
  return verificationOf(suspect, credential, options, ask ? askingRunner("verify", ask) : null);
}
