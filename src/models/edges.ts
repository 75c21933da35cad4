import { type NetworkConfig, networkLayers } from "./build";
import { layerSizes } from "./convnet";
import { type MapLayer, tapsOf, weightName } from "./layers";

/**
 * Hidden channels: outputs of one linear map that go into one further tensor and nowhere else. They
 * have no order and no scale of their own.
 */
export interface HiddenChannels {
  /** The layer whose outputs they are. */
  from: string;
  channels: number;
  /**
   * State-dict name of the weight that takes them in (of the plain network), and how many
   * neighbouring columns of it belong to a channel.
   */
  into: string;
  columns: number;
}

/**
 * Hidden channels of a network, as its plain form names them, in the order they run: every layer of
 * a chain, and the inside of each residual block and of each T-Net. The stream between residual
 * blocks is added up from several convolutions and is left out, and so is `convp1` of a PointNet,
 * whose channels the feature transform mixes.
 */
export function hiddenChannels(config: NetworkConfig): HiddenChannels[] {
  const layers = networkLayers(config);
  if (config.arch === "resnet")
    return layers.flatMap((l) => {
      if (!l.name.endsWith(".convbnrelu_1")) return [];
      const second = l.name.replace("convbnrelu_1", "convbn_2");
      return [{ from: l.name, channels: l.channels, into: `${second}.conv.weight`, columns: 9 }];
    });
  if (config.arch === "pointnet") return pointNetChannels(layers);
  const sizes = layerSizes(config);
  const [h, w] = sizes[sizes.length - 1]!;
  return layers.map(({ name, channels }, i) => {
    const next = layers[i + 1];
    return next
      ? { from: name, channels, into: `${next.name}.conv.weight`, columns: next.kernel ** 2 }
      : { from: name, channels, into: "classifier.weight", columns: h * w };
  });
}

/**
 * A maximum over the points lies between a convolution and a fully connected layer: it keeps
 * channels apart.
 */
function pointNetChannels(layers: readonly MapLayer[]): HiddenChannels[] {
  const chains = [
    ...["stn", "fstn"].map((net) => ["conv1", "conv2", "conv3", "fc1", "fc2", "fc3"].map((part) => `${net}.${part}`)),
    ["convp2", "convp3", "p1", "p2", "p3"],
  ];
  const at = new Map(layers.map((l) => [l.name, l]));
  return chains.flatMap((names) =>
    names.slice(0, -1).map((from, i): HiddenChannels => {
      const next = at.get(names[i + 1]!);
      // The last layer of a T-Net has no norm and is none of the maps.
      const into = next ? weightName(next) : `${names[i + 1]}.weight`;
      return { from, channels: at.get(from)!.channels, into, columns: next ? tapsOf(next) : 1 };
    }),
  );
}
