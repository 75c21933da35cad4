import { unexpected } from "../demand";
import { ArgumentError, FormatError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { isObject, shown } from "../io/shown";
import { checkFile, DEPLOYED, FIRST_DEPLOYED, parseEntry } from "../passport/files";
import { type PlaceOptions, protect } from "../passport/protect";
import { asProtected, type Protected } from "../passport/protected";
import { branchesOf } from "../passport/schemes";
import { Generator } from "../tensor/random";
import { readNorm } from "./compat/file-norms";
import { flatten, normOf } from "./config";
import { ConvNet, type ConvNetConfig, checkConvNet, convNetLayers, layerSizes } from "./convnet";
import type { MapLayer } from "./layers";
import { plainOf } from "./plain";
import { checkPointNet, PointNet, type PointNetConfig, pointNetLayers } from "./pointnet";
import { checkResNet, ResNet, type ResNetConfig, resNetLayers } from "./resnet";
import { checkBounds, checkState, deployedShapes, type Shapes } from "./shapes";

/** Configuration of any network of this package, with or without passports; `arch` tells which. */
export type NetworkConfig = ConvNetConfig | ResNetConfig | PointNetConfig;

/** Any network of this package, without passports. */
export type AnyNetwork = ConvNet | ResNet | PointNet;

/** What an architecture is made of. */
interface Architecture<C> {
  check(config: C): void;
  layers(config: C): MapLayer[];
  /** Name of the classifier in state dicts, and of its weight. */
  head: { name: string; weight: string };
  /** Fully connected maps beside the layers, by name: outputs and inputs. */
  rest(config: C): Record<string, readonly [outputs: number, inputs: number]>;
  /** Of a plain configuration. */
  build(config: C & { scheme: "plain" }, options: { seed?: number }): AnyNetwork;
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
    build: (config, options) => new ConvNet(config, options),
  },
  resnet: {
    check: checkResNet,
    layers: resNetLayers,
    head: { name: "linear", weight: "linear.weight" },
    rest: (config) => ({ linear: [config.classes, resNetLayers(config).at(-1)!.channels] }),
    build: (config, options) => new ResNet(config, options),
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
    build: ({ arch: _, input: [points], ...chosen }, options) => new PointNet({ ...chosen, ...options, points }),
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

/** The ordinary network of a configuration, without its passports. */
export function buildPlain(config: NetworkConfig, options: { seed?: number } = {}): AnyNetwork {
  checkConfig(config);
  return architecture(config).build(plainOf(config), options);
}

/**
 * The network of a configuration under its scheme: {@link protect} of an ordinary network.
 * @param options.seed decides weights, passports and random signature bits (default 0): whoever
 * knows it knows the passports, until they are bound
 * @throws ArgumentError as {@link checkConfig}.
 */
export function buildNetwork(config: NetworkConfig, options: { seed?: number } = {}): Protected<AnyNetwork> {
  const network = buildPlain(config, options);
  if (config.scheme === "plain") return asProtected("buildNetwork", "the network", network) as Protected<AnyNetwork>;
  const layers = networkLayers(config);
  const names = new Map(layers.map((l) => [l.key, `${l.name}.bn`]));
  const at = [...flatten(config.passports ?? {}, layers)].map(([key, text]): [string, PlaceOptions] => [
    names.get(key)!,
    text === "" ? {} : { text },
  ]);
  const [two, passports] = [branchesOf(config.scheme).length > 1, new Set(at.map(([name]) => name))];
  const separate = layers.filter((l) => l.branchNorms && !passports.has(`${l.name}.bn`)).map((l) => `${l.name}.bn`);
  return protect(network, {
    scheme: config.scheme,
    at: Object.fromEntries(at),
    sample: [1, ...config.input],
    ...(config.signature !== undefined && { signature: config.signature }),
    ...(config.fc !== undefined && { fc: config.fc }),
    ...(two && { statistics: statisticsOf(config) }),
    separate: two ? separate : [],
    random: new Generator(options.seed ?? 0),
  });
}

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

/**
 * The network in a deployed file, plain and in evaluation mode.
 * @throws FormatError, StateDictError when the file is something else; nothing is built then.
 */
export function loadDeployed(file: SafetensorsFile): AnyNetwork {
  const config = deployedConfig(file);
  checkState(file.tensors, shapesOf(config));
  return networkOf(config, file.tensors).eval();
}

/**
 * A plain network with a state.
 * @throws StateDictError as its `loadStateDict`; the network is gone then.
 */
export function networkOf(config: NetworkConfig, state: StateDict, options?: { strict?: boolean }): AnyNetwork {
  const model = buildPlain(config);
  try {
    model.loadStateDict(state, options);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
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
