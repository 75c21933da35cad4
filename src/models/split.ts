import { ArgumentError, FormatError, StateDictError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import type { Branch } from "../passport/passport-aware";
import { type ConvNetConfig, checkConfig, passportLayers } from "./config";

/** Accuracy of each branch, 0 to 1. */
export type BranchAccuracy = Partial<Record<Branch, number>>;

/** Names of a passport layer's public half, as the plain layer in its place has them. */
const PUBLIC_NAMES: Readonly<Record<string, string>> = {
  weight: "conv.weight",
  scale: "bn.weight",
  bias: "bn.bias",
  "bn0.running_mean": "bn.running_mean",
  "bn0.running_var": "bn.running_var",
  "bn0.num_batches_tracked": "bn.num_batches_tracked",
};

/** The two halves of a trained network's state: what may be given away, and what only the owner has. */
export interface SplitState {
  deployed: StateDict;
  credential: StateDict;
}

/**
 * Splits a whole state dict by the passport layers of its configuration. The deployed half has exactly the plain network's names and nothing else; every
 * entry of a passport layer that is not known to be public goes to the credential, so nothing private can slip through.
 */
export function splitState(state: StateDict, config: ConvNetConfig): SplitState {
  const layers = passportLayers(config).map(([i]) => `features.${i}.`);
  const [deployed, credential]: [StateDict, StateDict] = [new Map(), new Map()];
  for (const [name, value] of state) {
    const prefix = layers.find((p) => name.startsWith(p));
    const open = prefix === undefined ? name : PUBLIC_NAMES[name.slice(prefix.length)];
    if (prefix === undefined) deployed.set(name, value);
    else if (open) deployed.set(prefix + open, value);
    else credential.set(name, value);
  }
  return { deployed, credential };
}

/** Puts the halves together again: a deployed (or suspect) network's weights under the owner's private parts. @throws StateDictError for doubled names. */
export function joinState({ deployed, credential }: SplitState, config: ConvNetConfig): StateDict {
  const layers = passportLayers(config).map(([i]) => `features.${i}.`);
  const whole: StateDict = new Map(credential);
  const original = new Map(Object.entries(PUBLIC_NAMES).map(([own, open]) => [open, own]));
  for (const [name, value] of deployed) {
    const prefix = layers.find((p) => name.startsWith(p));
    const own =
      prefix === undefined ? name : prefix + (original.get(name.slice(prefix.length)) ?? name.slice(prefix.length));
    if (whole.has(own))
      throw new StateDictError(
        `${own} is in the network's weights and in the credential: this is not a deployed model and its credential`,
      );
    whole.set(own, value);
  }
  return whole;
}

const DEPLOYED = "pan-deployed-1";
const CREDENTIAL = "pan-credential-1";

/** The deployed half as a file; its description is that of the plain network and does not say which layers have passports. */
export function deployedFile(state: StateDict, config: ConvNetConfig): SafetensorsFile {
  const { classes, input, layers } = config;
  const plain: ConvNetConfig = { classes, input, layers, scheme: "plain" };
  return { tensors: splitState(state, config).deployed, metadata: { format: DEPLOYED, model: JSON.stringify(plain) } };
}

/** The owner's half as a file, with the configuration (signature texts included) and the claimed accuracies. */
export function credentialFile(state: StateDict, config: ConvNetConfig, claimed: BranchAccuracy): SafetensorsFile {
  const metadata = { format: CREDENTIAL, model: JSON.stringify(config), claimed: JSON.stringify(claimed) };
  return { tensors: splitState(state, config).credential, metadata };
}

/** The plain network that a deployed file describes. @throws FormatError when the file is something else. */
export const deployedConfig = (file: SafetensorsFile): ConvNetConfig => configOf(file, DEPLOYED);

/** What a credential says of its network. */
export interface CredentialInfo {
  config: ConvNetConfig;
  claimed: BranchAccuracy;
  /** Passport layer → its signature text, where it has one. */
  texts: Map<string, string>;
}

/** @throws FormatError when the file is no credential. */
export function readCredential(file: SafetensorsFile): CredentialInfo {
  const config = configOf(file, CREDENTIAL);
  if (config.scheme === "plain")
    throw new FormatError("the credential describes a network without passports: there is nothing it could prove");
  const texts = new Map(
    passportLayers(config).flatMap(([i, v]) => (typeof v === "string" ? [[`features.${i}`, v]] : [])),
  );
  const claimed = parse(file, "claimed");
  if (typeof claimed !== "object" || claimed === null)
    throw new FormatError(`the file's entry "claimed" holds no accuracies: ${JSON.stringify(claimed)}`);
  return { config, claimed, texts };
}

function configOf(file: SafetensorsFile, format: string): ConvNetConfig {
  if (file.metadata["format"] !== format) {
    throw new FormatError(
      `a ${format} file expected, found ${file.metadata["format"] ?? "one without a format"}: are the deployed model and the credential exchanged?`,
    );
  }
  const config = parse(file, "model") as ConvNetConfig;
  try {
    checkConfig(config);
  } catch (cause) {
    if (!(cause instanceof ArgumentError)) throw cause;
    throw new FormatError(`the file's entry "model" describes no network: ${cause.message}`, { cause });
  }
  return config;
}

function parse(file: SafetensorsFile, entry: string): unknown {
  try {
    return JSON.parse(file.metadata[entry] ?? "");
  } catch (cause) {
    throw new FormatError(`the file's entry "${entry}" is not readable JSON`, { cause });
  }
}
