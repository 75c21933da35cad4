import { ArgumentError, FormatError } from "../errors";
import type { SafetensorsFile } from "../io/safetensors";
import { type ConvLayer, isObject, refuse, type SignatureText, signatureTexts } from "./config";
import { ConvNet, type ConvNetConfig, checkConvNet, convNetLayers } from "./convnet";
import { type BranchAccuracy, CREDENTIAL, DEPLOYED, parseEntry } from "./files";
import { checkResNet, ResNet, type ResNetConfig, resNetLayers } from "./resnet";

/** Configuration of any network; `arch` tells which. */
export type NetworkConfig = ConvNetConfig | ResNetConfig;

/** Any network of this package. */
export type AnyNetwork = ConvNet | ResNet;

const isResNet = (config: NetworkConfig): config is ResNetConfig => config.arch === "resnet";

/**
 * Checks a configuration before anything is built. It may have come out of a file, so its form is checked too.
 * @throws ArgumentError naming sizes that are no whole numbers, a passport layer that is not a convolution, a text that does not fit, or a scheme that does not go with the rest.
 */
export function checkConfig(config: NetworkConfig): void {
  if (!isObject(config)) refuse("a network configuration", config);
  const arch: unknown = config.arch ?? "convnet";
  if (arch === "resnet") checkResNet(config as ResNetConfig);
  else if (arch === "convnet") checkConvNet(config as ConvNetConfig);
  else refuse('arch: "convnet" or "resnet"', arch);
}

/** The convolutions that a configuration makes, in order. */
export const networkLayers = (config: NetworkConfig): ConvLayer[] =>
  isResNet(config) ? resNetLayers(config) : convNetLayers(config);

/** Name of the classifier in state dicts. */
export const headName = (config: NetworkConfig): string => (isResNet(config) ? "linear" : "classifier");

/** The network of a configuration. @throws ArgumentError as {@link checkConfig}. */
export function buildNetwork(config: NetworkConfig, options: { seed?: number } = {}): AnyNetwork {
  checkConfig(config);
  return isResNet(config) ? new ResNet(config, options) : new ConvNet(config, options);
}

/** The plain network that a deployed file describes. @throws FormatError when the file is something else. */
export const deployedConfig = (file: SafetensorsFile): NetworkConfig => configOf(file, DEPLOYED);

/** The network in a deployed file, plain and in evaluation mode. @throws FormatError, StateDictError when the file is something else. */
export function loadDeployed(file: SafetensorsFile): AnyNetwork {
  const model = buildNetwork(deployedConfig(file));
  try {
    model.loadStateDict(file.tensors);
  } catch (error) {
    model.dispose();
    throw error;
  }
  return model.eval();
}

/** What a credential says of its network. */
export interface CredentialInfo {
  config: NetworkConfig;
  claimed: BranchAccuracy;
  /** The texts that its signature bits spell. */
  texts: SignatureText[];
}

/** @throws FormatError when the file is no credential. */
export function readCredential(file: SafetensorsFile): CredentialInfo {
  const config = configOf(file, CREDENTIAL);
  if (config.scheme === "plain")
    throw new FormatError("the credential describes a network without passports: there is nothing it could prove");
  const claimed = parseEntry(file, "claimed");
  if (!isObject(claimed))
    throw new FormatError(`the file's entry "claimed" holds no accuracies: ${JSON.stringify(claimed)}`);
  return { config, claimed, texts: signatureTexts(config, networkLayers(config)) };
}

function configOf(file: SafetensorsFile, format: string): NetworkConfig {
  if (file.metadata["format"] !== format) {
    throw new FormatError(
      `a ${format} file expected, found ${file.metadata["format"] ?? "one without a format"}: are the deployed model and the credential exchanged?`,
    );
  }
  const config = parseEntry(file, "model") as NetworkConfig;
  try {
    checkConfig(config);
  } catch (cause) {
    if (!(cause instanceof ArgumentError)) throw cause;
    throw new FormatError(`the file's entry "model" describes no network: ${cause.message}`, { cause });
  }
  return config;
}
