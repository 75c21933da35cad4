import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { type PlaceOptions, protect } from "../passport/protect";
import { asProtected, type Protected } from "../passport/protected";
import { branchesOf } from "../passport/schemes";
import { Generator } from "../tensor/random";
import { flatten } from "./config";
import { ConvNet } from "./convnet";
import {
  checkConfig,
  deployedConfig,
  type NetworkConfig,
  networkLayers,
  shapesOf,
  statisticsOf,
} from "./described/network";
import { plainOf } from "./plain";
import { PointNet } from "./pointnet";
import { ResNet } from "./resnet";
import { checkState } from "./shapes";

/** Any network of this package, without passports. */
export type AnyNetwork = ConvNet | ResNet | PointNet;

/** The ordinary network of a configuration, without its passports. */
export function buildPlain(config: NetworkConfig, options: { seed?: number } = {}): AnyNetwork {
  checkConfig(config);
  const plain = plainOf(config);
  if (plain.arch === "resnet") return new ResNet(plain, options);
  if (plain.arch !== "pointnet") return new ConvNet(plain, options);
  const { arch: _, input, ...chosen } = plain;
  return new PointNet({ ...chosen, ...options, points: input[0] });
}

/**
 * The network of a configuration under its scheme: {@link protect} of an ordinary network.
 * @param options.seed decides weights (default 0), and where it is given passports and random
 * signature bits too: whoever knows it knows the passports, until they are bound. Without it they
 * are drawn from the platform's randomness, as those of `protect`
 * @throws ArgumentError for a configuration that is none, or whose parts do not fit together.
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
    ...(options.seed !== undefined && { random: new Generator(options.seed) }),
  });
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
