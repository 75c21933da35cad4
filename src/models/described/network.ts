/**
 * What the configuration of any network of this package says, and which file describes one, before
 * anything is built.
 */
import { unexpected } from "../../demand";
import { ArgumentError, FormatError } from "../../errors";
import type { SafetensorsFile } from "../../io/safetensors";
import { isObject, shown } from "../../io/shown";
import { checkFile, DEPLOYED, FIRST_DEPLOYED, parseEntry } from "../../passport/files";
import { readNorm } from "../compat/file-norms";
import { normOf } from "../config";
import type { MapLayer } from "../layers";
import { checkBounds, deployedShapes, type Shapes } from "../shapes";
import { type ConvNetConfig, checkConvNet, convNetLayers, layerSizes } from "./convnet";
import { checkPointNet, type PointNetConfig, pointNetLayers } from "./pointnet";
import { checkResNet, type ResNetConfig, resNetLayers } from "./resnet";

/** Configuration of any network of this package, with or without passports; `arch` tells which. */
export type NetworkConfig = ConvNetConfig | ResNetConfig | PointNetConfig;

/** What an architecture is made of. */
interface Architecture<C> {
  check(config: C): void;
  layers(config: C): MapLayer[];
  /** Name of the classifier in state dicts, and of its weight. */
  head: { name: string; weight: string };
  /** Fully connected maps beside the layers, by name: outputs and inputs. */
  rest(config: C): Record<string, readonly [outputs: number, inputs: number]>;
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
    rest: (config) => {
      const [h, w, c] = layerSizes(config)[config.layers.length]!;
      return { classifier: [config.classes, h * w * c] };
    },
  },
  resnet: {
    check: checkResNet,
    layers: resNetLayers,
    head: { name: "linear", weight: "linear.weight" },
    rest: (config) => ({ linear: [config.classes, resNetLayers(config).at(-1)!.channels] }),
  },
  pointnet: {
    check: checkPointNet,
    layers: pointNetLayers,
    head: { name: "p3", weight: "p3.linear.weight" },
    rest: (config) => {
      const at = new Map(pointNetLayers(config).map((l) => [l.name, l]));
      const square = (net: string, k: number) => [k * k, at.get(`${net}.fc2`)!.channels] as const;
      return { "stn.fc3": square("stn", config.input[1]), "fstn.fc3": square("fstn", at.get("convp1")!.channels) };
    },
  },
};

/** The architecture of a configuration, which is of its kind. */
const architecture = (config: NetworkConfig): Architecture<NetworkConfig> =>
  ARCHITECTURES[config.arch ?? "convnet"] as Architecture<NetworkConfig>;

/**
 * Checks a configuration before anything is built. It may have come out of a file, so its form is
 * checked too.
 * @throws ArgumentError naming sizes that are no whole numbers, a passport layer that is not a
 * convolution, a text that does not fit, or a scheme that does not go with the rest.
 */
export function checkConfig(config: NetworkConfig): void {
  if (!isObject(config)) unexpected("a network configuration", config);
  const { arch = "convnet" } = config as { arch?: unknown };
  if (typeof arch !== "string" || !Object.hasOwn(ARCHITECTURES, arch))
    unexpected(`arch: one of ${Object.keys(ARCHITECTURES).join(", ")}`, arch);
  architecture(config).check(config);
}

/**
 * The linear maps that a configuration makes, in order: those with a norm, so that the classifier
 * of images is none of them.
 */
export const networkLayers = (config: NetworkConfig): MapLayer[] => architecture(config).layers(config);

/**
 * Name of the classifier in state dicts; of a network for clouds it is one of {@link networkLayers}
 * and may carry a passport.
 */
export const headName = (config: NetworkConfig): string => architecture(config).head.name;

/** State-dict name of a deployed classifier's weight, which has a row per class. */
export const headWeight = (config: NetworkConfig): string => architecture(config).head.weight;

/**
 * Names and shapes of what the deployed half has beside its layers: the classifier of images, the
 * last maps of T-Nets.
 */
export function restShapes(config: NetworkConfig): Shapes {
  const rest: Shapes = new Map();
  for (const [name, [outputs, inputs]] of Object.entries(architecture(config).rest(config))) {
    rest.set(`${name}.weight`, [outputs, inputs]);
    rest.set(`${name}.bias`, [outputs]);
  }
  return rest;
}

/** Names and shapes of the deployed half's tensors. */
export const shapesOf = (config: NetworkConfig): Shapes =>
  deployedShapes(config, networkLayers(config), restShapes(config));

/** Whose running statistics a configuration's passport layers of two branches use. */
export function statisticsOf(config: NetworkConfig): "separate" | "shared" {
  if (normOf(config) === "sbn") return "shared";
  if (config.arch !== "pointnet" || normOf(config) !== "bn") return "separate";
  return config.branchStatistics ?? "shared";
}

/**
 * The plain network that a deployed file describes.
 * @throws FormatError when the file is something else, or describes more than it holds.
 */
export function deployedConfig(file: SafetensorsFile): NetworkConfig {
  checkFile(file, `a ${DEPLOYED} file`);
  checkFormat(file, DEPLOYED, [DEPLOYED, FIRST_DEPLOYED]);
  if (file.metadata["model"] === undefined)
    throw new FormatError(
      "the deployed file does not describe its network, which is none of this package's: give the network, `model`, beside it",
    );
  const config = readConfig(file);
  if (config.scheme !== "plain")
    throw new FormatError(`the deployed file describes a network of scheme "${config.scheme}": a plain one expected`);
  checkBounds(shapesOf(config), file.tensors, networkLayers(config).length);
  return config;
}

/** @throws FormatError for a file of none of these formats. */
export function checkFormat(file: SafetensorsFile, wanted: string, formats: readonly string[]): void {
  const found = file.metadata["format"];
  if (found !== undefined && formats.includes(found)) return;
  throw new FormatError(
    `a ${wanted} file expected, found ${found === undefined ? "one without a format" : shown(found)}: are the deployed model and the credential exchanged?`,
  );
}

/** The configuration in a file's entry `model`. @throws FormatError */
export function readConfig(file: SafetensorsFile): NetworkConfig {
  const config = readNorm(parseEntry(file, "model")) as NetworkConfig;
  asFormat('the file\'s entry "model" describes no network', () => checkConfig(config));
  return config;
}

/** What a caller would be told of an argument, of something in a file. */
export function asFormat(what: string, check: () => void): void {
  try {
    check();
  } catch (cause) {
    if (!(cause instanceof ArgumentError)) throw cause;
    throw new FormatError(`${what}: ${cause.message}`, { cause });
  }
}
