import { ArgumentError, FormatError } from "../errors";
import { encodeSafetensors, type SafetensorsFile } from "../io/safetensors";
import { isObject } from "../models/config";
import { type BindingInfo, readBinding } from "./binding";
import { sha512, toHex } from "./digest";

/** What an owner publishes, and has time-stamped, before a network is released: it says nothing of the secret and can be opened by the credential alone. */
export interface Commitment {
  format: "pan-commitment-1";
  /** SHA-512 of h, the hash that binds passports, signature and statement; hexadecimal. */
  claim: string;
  /** SHA-512 of the deployed file, hexadecimal; where the commitment was made after training. */
  network?: string;
}

const FORMAT = "pan-commitment-1";

/**
 * The commitment of a bound credential, and of the deployed network where it is given. Publish it before the release, where its date can be shown later.
 * @throws ArgumentError for a credential without a binding; FormatError for one that contradicts it.
 */
export async function commit(credential: SafetensorsFile, deployed?: SafetensorsFile): Promise<Commitment> {
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
  /** The suspect is the very file that was committed to; null when the commitment names none. A changed copy is another file. */
  network: boolean | null;
}

/** @throws FormatError when that is no commitment; ArgumentError for a credential without a binding. */
export async function openCommitment(
  commitment: Commitment,
  credential: SafetensorsFile,
  suspect: SafetensorsFile,
): Promise<CommitmentMatch> {
  return matchCommitment(commitment, await readBinding(credential), suspect);
}

/** {@link openCommitment} for a binding that was read already. */
export async function matchCommitment(
  commitment: Commitment,
  binding: BindingInfo | null,
  suspect: SafetensorsFile,
): Promise<CommitmentMatch> {
  if (!isObject(commitment) || commitment.format !== FORMAT || typeof commitment.claim !== "string")
    throw new FormatError(
      `a commitment of format ${FORMAT} expected, found ${JSON.stringify(commitment).slice(0, 80)}`,
    );
  const claim = await claimOf(binding);
  const network = commitment.network === undefined ? null : commitment.network === (await digestOf(suspect));
  return { claim: claim === commitment.claim, network };
}
