import { ArgumentError, FormatError } from "../errors";
import type { SafetensorsFile } from "../io/safetensors";
import { isObject, refuse, type SignatureText, signatureTexts } from "./config";
import { ConvNet, type ConvNetConfig, checkConvNet, convNetLayers } from "./convnet";
import { type BranchAccuracy, CREDENTIAL, DEPLOYED, parseEntry } from "./files";
import type { MapLayer } from "./layers";
import { checkPointNet, PointNet, type PointNetConfig, pointNetLayers } from "./pointnet";
import { checkResNet, ResNet, type ResNetConfig, resNetLayers } from "./resnet";

/** Configuration of any network; `arch` tells which. */
export type NetworkConfig = ConvNetConfig | ResNetConfig | PointNetConfig;

/** Any network of this package. */
export type AnyNetwork = ConvNet | ResNet | PointNet;

/** What an architecture is made of. */
interface Architecture<C> {
  check(config: C): void;
  layers(config: C): MapLayer[];
  /** Name of the classifier in state dicts, and of its weight. */
  head: { name: string; weight: string };
  build(config: C, options: { seed?: number }): AnyNetwork;
}

const ARCHITECTURES: {
  convnet: Architecture<ConvNetConfig>;
  resnet: Architecture<ResNetConfig>;
  pointnet: Architecture<PointNetConfig>;
} = {
  convnet: {
    check: checkConvNet,
    layers: convNetLayers,
    head: { name: "classifier", weight: "classifier.weight" },
    build: (config, options) => new ConvNet(config, options),
  },
  resnet: {
    check: checkResNet,
    layers: resNetLayers,
    head: { name: "linear", weight: "linear.weight" },
    build: (config, options) => new ResNet(config, options),
  },
  pointnet: {
    check: checkPointNet,
    layers: pointNetLayers,
    head: { name: "p3", weight: "p3.linear.weight" },
    build: ({ arch: _, input: [points], ...chosen }, options) => new PointNet({ ...chosen, ...options, points }),
  },
};

/** The architecture of a configuration, which is of its kind. */
const architecture = (config: NetworkConfig): Architecture<NetworkConfig> =>
  ARCHITECTURES[config.arch ?? "convnet"] as Architecture<NetworkConfig>;

/**
 * Checks a configuration before anything is built. It may have come out of a file, so its form is checked too.
 * @throws ArgumentError naming sizes that are no whole numbers, a passport layer that is not a convolution, a text that does not fit, or a scheme that does not go with the rest.
 */
export function checkConfig(config: NetworkConfig): void {
  if (!isObject(config)) refuse("a network configuration", config);
  const arch: unknown = config.arch ?? "convnet";
  if (typeof arch !== "string" || !Object.hasOwn(ARCHITECTURES, arch))
    refuse(`arch: one of ${Object.keys(ARCHITECTURES).join(", ")}`, arch);
  architecture(config).check(config);
}

/** The linear maps that a configuration makes, in order: those with a norm, so that the classifier of images is none of them. */
export const networkLayers = (config: NetworkConfig): MapLayer[] => architecture(config).layers(config);

/** Name of the classifier in state dicts; of a network for clouds it is one of {@link networkLayers} and may carry a passport. */
export const headName = (config: NetworkConfig): string => architecture(config).head.name;

/** State-dict name of a deployed classifier's weight, which has a row a class. */
export const headWeight = (config: NetworkConfig): string => architecture(config).head.weight;

/** The network of a configuration. @throws ArgumentError as {@link checkConfig}. */
export function buildNetwork(config: NetworkConfig, options: { seed?: number } = {}): AnyNetwork {
  checkConfig(config);
  return architecture(config).build(config, options);
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
