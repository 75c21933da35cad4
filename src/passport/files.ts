/** The two halves of a network as files. */
import { ArgumentError, FormatError } from "../errors";
import { DTYPES, type HostTensor, type StateDict } from "../io/host-tensor";
import { parseJson } from "../io/json";
import type { SafetensorsFile } from "../io/safetensors";
import { isObject, shown } from "../io/shown";
import { sizeOf } from "../tensor/shape";
import { BRANCHES, type BranchAccuracy } from "./branches";
import type { SecretPlan } from "./built-in";
import { checkChannels } from "./channels/check";
import type { Channels } from "./channels/types";
import { faultOf, LONGEST_PLAN } from "./plan";

/** Entries `format` of the two kinds of file. */
export const DEPLOYED = "pan-deployed-2";
export const CREDENTIAL = "pan-credential-2";
/** Those of the first files, which are still read. */
export const FIRST_DEPLOYED = "pan-deployed-1";
export const FIRST_CREDENTIAL = "pan-credential-1";

/**
 * The deployed half as a file. It describes a plain network, and does not say which layers have
 * passports.
 * @param model the description of a network of this package
 */
export const deployedFile = (tensors: StateDict, model?: string): SafetensorsFile => ({
  tensors,
  metadata: { format: DEPLOYED, ...(model !== undefined && { model }) },
});

/** What a credential says beside its tensors. */
export interface CredentialEntries extends SecretPlan {
  readonly claimed: BranchAccuracy;
  /** The description of the plain network, where it is one of this package. */
  readonly model?: string | undefined;
  /** Which channels of the network hang together, where that is known. */
  readonly channels?: Channels | undefined;
}

/**
 * The owner's half as a file: tensors, where each passport sits, signature texts and the claimed
 * accuracies. Channels that are more than readers take are left out: a claim holds without.
 * @throws ArgumentError for accuracies that are none.
 */
export function credentialFile(
  tensors: StateDict,
  { claimed, model, channels, ...plan }: CredentialEntries,
): SafetensorsFile {
  checkClaims(claimed);
  const entries = { passports: JSON.stringify(plan), claimed: JSON.stringify(claimed) };
  const which = channels && faultOf(() => checkChannels(channels)) === null ? JSON.stringify(channels) : "";
  const fits = which && which.length <= LONGEST_PLAN;
  const more = { ...(model !== undefined && { model }), ...(fits && { channels: which }) };
  return { tensors, metadata: { format: CREDENTIAL, ...entries, ...more } };
}

/**
 * Claimed accuracies: shares from 0 to 1, by the names of branches.
 * @throws ArgumentError naming what is something else.
 */
export function checkClaims(claimed: unknown): asserts claimed is BranchAccuracy {
  if (!isObject(claimed)) throw new ArgumentError(`claimed accuracies by branch expected, found ${shown(claimed)}`);
  for (const [branch, value] of Object.entries(claimed)) {
    if (!(BRANCHES as readonly string[]).includes(branch))
      throw new ArgumentError(`claimed accuracies of ${BRANCHES.join(", ")} expected, found one of ${shown(branch)}`);
    if (typeof value !== "number" || !(value >= 0 && value <= 1))
      throw new ArgumentError(`the claimed accuracy of the ${branch} branch: 0 to 1 expected, found ${shown(value)}`);
  }
}

/**
 * A metadata entry as JSON.
 * @throws FormatError when it is missing, unreadable, or out of bounds ({@link parseJson}).
 */
export const parseEntry = (file: SafetensorsFile, entry: string, most?: number): unknown =>
  parseJson(file.metadata[entry] ?? "", `the file's entry "${entry}"`, most);

/**
 * Checks that a value is a file in memory, whole in itself: it may come from a caller without
 * types.
 * @param what names it in messages
 * @throws ArgumentError when it is something else; FormatError for a tensor whose data are not
 * those of its type and shape.
 */
export function checkFile(file: unknown, what: string): asserts file is SafetensorsFile {
  const refuse = (found: unknown): never => {
    throw new ArgumentError(
      `${what}: a safetensors file in memory, { tensors, metadata }, expected, found ${shown(found)}; loadSafetensors() reads one`,
    );
  };
  if (!isObject(file) || !(file["tensors"] instanceof Map) || !isObject(file["metadata"])) return refuse(file);
  for (const [key, value] of Object.entries(file["metadata"]))
    if (typeof value !== "string")
      throw new FormatError(`${what}: text expected as its metadata ${shown(key)}, found ${shown(value)}`);
  for (const [name, tensor] of file["tensors"])
    if (typeof name !== "string" || !isTensor(tensor))
      throw new FormatError(
        `${what}: its tensor ${shown(name)} has not the dtype, shape and data of one: found ${shown(tensor)}`,
      );
}

function isTensor(value: unknown): value is HostTensor {
  if (!isObject(value)) return false;
  const { dtype, shape, data } = value;
  if (typeof dtype !== "string" || !Object.hasOwn(DTYPES, dtype) || !Array.isArray(shape)) return false;
  if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0) || !ArrayBuffer.isView(data)) return false;
  const kind = DTYPES[dtype as HostTensor["dtype"]];
  return data instanceof kind && data.length === sizeOf(shape);
}
