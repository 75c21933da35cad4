/** Which channels hang together in the network of a file. */
import { callable, instance, refuse } from "../demand";
import { FormatError } from "../errors";
import type { SafetensorsFile } from "../io/safetensors";
import { isObject } from "../io/shown";
import { Module } from "../nn/module";
import { type Channels, channelsOf, checkChannels } from "../passport/channels";
import type { Network, NetworkSample } from "../passport/trace";
import { buildPlain } from "./build";
import { deployedConfig, type NetworkConfig, networkLayers, shapesOf } from "./described/network";
import { checkBounds } from "./shapes";

/**
 * How it is known which channels of a network hang together: from the network, or a function that
 * makes one, and the shape of an input; or from what was found before.
 */
export type ChannelSource =
  | { readonly model: Network | (() => Network); readonly sample: NetworkSample }
  | { readonly channels: Channels };

/** @throws ArgumentError for what is no source; whatever the network's code throws. */
export function channelsFrom(what: string, source: ChannelSource): Channels {
  if (!isObject(source)) refuse(what, "source", "{ model, sample } or { channels }", source);
  if ("channels" in source) {
    checkChannels(source.channels);
    return source.channels;
  }
  const { model, sample } = source;
  if (model instanceof Module) return channelsOf(model, sample);
  const made = instance(what, "what `model` returns", callable(what, "model", model)(), Module) as Network;
  try {
    return channelsOf(made, sample);
  } finally {
    made.dispose();
  }
}

/**
 * The channels of a network of this package, once a file is seen to hold as much.
 * @throws FormatError when it does not.
 */
export function channelsOfConfig(config: NetworkConfig, file: SafetensorsFile): Channels {
  checkBounds(shapesOf(config), file.tensors, networkLayers(config).length);
  return channelsFrom("channels", { model: () => buildPlain(config), sample: [1, ...config.input] });
}

/**
 * The channels of a deployed network, and its configuration where it is one of this package.
 * @throws FormatError for a file that does not describe its network, where no source is given.
 */
export function channelsOfFile(
  what: string,
  file: SafetensorsFile,
  source?: ChannelSource,
): { channels: Channels; config: NetworkConfig | undefined } {
  const described = file.metadata["model"] !== undefined;
  if (!described && source === undefined && file.metadata["format"] !== undefined)
    throw new FormatError(
      `${what}: the file does not describe its network, which is none of this package's: say which channels hang together, { model, sample } or { channels }`,
    );
  const config = described || source === undefined ? deployedConfig(file) : undefined;
  return { channels: source === undefined ? channelsOfConfig(config!, file) : channelsFrom(what, source), config };
}
