import { ArgumentError, FormatError } from "../../errors";
import { toHex } from "../../io/digest";
import { encodeSafetensors, type SafetensorsFile } from "../../io/safetensors";
import { isObject, shown } from "../../io/shown";
import { checkFile } from "../../passport/files";
import { sha512 } from "../digest";
import { type BindingInfo, readBinding } from "./binding";

/**
 * What an owner publishes, and has time-stamped, before a network is released: it says nothing of
 * the secret and can be opened by the credential alone.
 */
export interface Commitment {
  format: "pan-commitment-1";
  /** SHA-512 of h, the hash that binds passports, signature and statement; hexadecimal. */
  claim: string;
  /** SHA-512 of the deployed file, hexadecimal; where the commitment was made after training. */
  network?: string;
}

const FORMAT = "pan-commitment-1";

/**
 * The commitment of a bound credential, and of the deployed network where it is given. Publish it
 * before the release, where its date can be shown later.
 * @throws ArgumentError for a credential without a binding; FormatError for one that contradicts
 * it.
 */
export async function commit(credential: SafetensorsFile, deployed?: SafetensorsFile): Promise<Commitment> {
  if (deployed !== undefined) checkFile(deployed, "commit: the deployed network");
  const claim = await claimOf(await readBinding(credential));
  return { format: FORMAT, claim, ...(deployed && { network: await digestOf(deployed) }) };
}

/** What stands for a binding in public. */
async function claimOf(binding: BindingInfo | null): Promise<string> {
  if (binding) return toHex(await sha512([binding.hash]));
  throw new ArgumentError(
    "the credential is not bound, so there is nothing that could be committed to: call bind() before training and boundCredential() after",
  );
}

/** SHA-512 of a file as {@link encodeSafetensors} writes it. */
const digestOf = async ({ tensors, metadata }: SafetensorsFile): Promise<string> =>
  toHex(await sha512([encodeSafetensors(tensors, metadata)]));

/** How a credential, and a suspect, stand to a commitment. */
export interface CommitmentMatch {
  /** The credential opens the commitment. */
  claim: boolean;
  /**
   * The suspect is the very file that was committed to; null when the commitment names none. A
   * changed copy is another file.
   */
  network: boolean | null;
}

/**
 * Checks the form of what somebody published.
 * @throws FormatError when it is no commitment: another format, digests that are not 128
 * hexadecimal digits in lower case, or anything beside.
 */
function checkCommitment(value: unknown): asserts value is Commitment {
  const { format, claim, network } = isObject(value) ? value : {};
  const isDigest = (text: unknown) => typeof text === "string" && /^[0-9a-f]{128}$/.test(text);
  const known = isObject(value) && Object.keys(value).every((key) => ["format", "claim", "network"].includes(key));
  if (known && format === FORMAT && isDigest(claim) && (network === undefined || isDigest(network))) return;
  throw new FormatError(
    `a commitment { format: "${FORMAT}", claim, network? } of SHA-512 digests expected, found ${shown(value)}`,
  );
}

/**
 * @throws FormatError when that is no commitment; ArgumentError for a credential without a binding.
 */
export async function openCommitment(
  commitment: Commitment,
  credential: SafetensorsFile,
  suspect: SafetensorsFile,
): Promise<CommitmentMatch> {
  checkCommitment(commitment);
  checkFile(suspect, "openCommitment: the suspect");
  const claim = await claimOf(await readBinding(credential));
  const network = commitment.network === undefined ? null : commitment.network === (await digestOf(suspect));
  return { claim: claim === commitment.claim, network };
}
