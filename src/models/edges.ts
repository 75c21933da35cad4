import { type NetworkConfig, networkLayers } from "./build";
import { layerSizes } from "./convnet";

/** Hidden channels: outputs of one convolution that go into one further tensor and nowhere else. They have no order and no scale of their own. */
export interface HiddenChannels {
  /** The convolution whose outputs they are. */
  from: string;
  channels: number;
  /** State-dict name of the weight that takes them in (of the plain network), and how many neighbouring columns of it belong to a channel. */
  into: string;
  columns: number;
}

/**
 * Hidden channels of a network, as its plain form names them, in the order they run: every convolution of a chain, and the inside of each residual block. The stream
 * between residual blocks is added up from several convolutions and is left out.
 */
export function hiddenChannels(config: NetworkConfig): HiddenChannels[] {
  const layers = networkLayers(config);
  if (config.arch === "resnet")
    return layers.flatMap((l) => {
      if (!l.name.endsWith(".convbnrelu_1")) return [];
      const second = l.name.replace("convbnrelu_1", "convbn_2");
      return [{ from: l.name, channels: l.channels, into: `${second}.conv.weight`, columns: 9 }];
    });
  const sizes = layerSizes(config);
  const [h, w] = sizes[sizes.length - 1]!;
  return layers.map(({ name, channels }, i) => {
    const next = layers[i + 1];
    return next
      ? { from: name, channels, into: `${next.name}.conv.weight`, columns: next.kernel ** 2 }
      : { from: name, channels, into: "classifier.weight", columns: h * w };
  });
}
