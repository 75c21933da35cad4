import { FormatError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import type { Branch } from "../passport/layer";
import type { NetworkSettings } from "./config";
import { foldBatchNorm } from "./fold";
import { type Scales, type Structure, splitState } from "./split";

/** Accuracy of each branch, 0 to 1. */
export type BranchAccuracy = Partial<Record<Branch, number>>;

/** Entries `format` of the two kinds of file. */
export const DEPLOYED = "pan-deployed-1";
export const CREDENTIAL = "pan-credential-1";

/** What makes a deployed file out of a state. */
export interface Deployment extends Structure {
  /** Configuration of the plain network that it describes. */
  plain: NetworkSettings;
  scales?: Scales | undefined;
  foldNorm: boolean;
}

/** The deployed half as a file; its description is that of the plain network and does not say which layers have passports. */
export function deployedFile(state: StateDict, deployment: Deployment): SafetensorsFile {
  const { plain, scales, foldNorm, layers } = deployment;
  const { deployed } = splitState(state, deployment, scales);
  const config: NetworkSettings = foldNorm ? { ...plain, norm: "folded" } : plain;
  return {
    tensors: foldNorm ? foldBatchNorm(deployed, layers) : deployed,
    metadata: { format: DEPLOYED, model: JSON.stringify(config) },
  };
}

/** The owner's half as a file, with the configuration (signature texts included) and the claimed accuracies. */
export function credentialFile(state: StateDict, owner: Structure & { claimed: BranchAccuracy }): SafetensorsFile {
  const { config, claimed } = owner;
  const metadata = { format: CREDENTIAL, model: JSON.stringify(config), claimed: JSON.stringify(claimed) };
  return { tensors: splitState(state, owner).credential, metadata };
}

/** A metadata entry as JSON. @throws FormatError when it is missing or unreadable. */
export function parseEntry(file: SafetensorsFile, entry: string): unknown {
  try {
    return JSON.parse(file.metadata[entry] ?? "");
  } catch (cause) {
    throw new FormatError(`the file's entry "${entry}" is not readable JSON`, { cause });
  }
}
