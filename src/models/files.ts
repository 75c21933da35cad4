import { ArgumentError, FormatError } from "../errors";
import { DTYPES, type HostTensor, type StateDict } from "../io/host-tensor";
import { parseJson } from "../io/json";
import type { SafetensorsFile } from "../io/safetensors";
import { isObject, shown } from "../io/shown";
import { BRANCHES, type BranchAccuracy } from "../passport/branches";
import { sizeOf } from "../tensor/shape";
import { writtenConfig } from "./compat/file-norms";
import type { NetworkSettings } from "./config";
import { foldBatchNorm } from "./fold";
import { type GammaBetas, type Structure, splitState } from "./split";

/** Entries `format` of the two kinds of file. */
export const DEPLOYED = "pan-deployed-1";
export const CREDENTIAL = "pan-credential-1";

/** What makes a deployed file out of a state. */
export interface Deployment extends Structure {
  /** Configuration of the plain network that it describes. */
  plain: NetworkSettings;
  /** γ and β of layers that work with their passports only. */
  gammaBetas?: GammaBetas | undefined;
  foldNorm: boolean;
}

/**
 * The deployed half as a file; its description is that of the plain network and does not say which
 * layers have passports.
 */
export function deployedFile(state: StateDict, deployment: Deployment): SafetensorsFile {
  const { plain, gammaBetas, foldNorm, layers } = deployment;
  const { deployed } = splitState(state, deployment, gammaBetas);
  const config: NetworkSettings = foldNorm ? { ...plain, norm: "folded" } : plain;
  return {
    tensors: foldNorm ? foldBatchNorm(deployed, layers) : deployed,
    metadata: { format: DEPLOYED, model: writtenConfig(config) },
  };
}

/**
 * The owner's half as a file, with the configuration (signature texts included) and the claimed
 * accuracies.
 * @throws ArgumentError for accuracies that are none.
 */
export function credentialFile(state: StateDict, owner: Structure & { claimed: BranchAccuracy }): SafetensorsFile {
  const { config, claimed } = owner;
  checkClaims(claimed);
  const metadata = { format: CREDENTIAL, model: writtenConfig(config), claimed: JSON.stringify(claimed) };
  return { tensors: splitState(state, owner).credential, metadata };
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
