import type { PassportPlace } from "../passport/place";

/**
 * A linear map of a network, a convolution or a fully connected layer, with everything that decides
 * its shape and what follows it.
 */
export interface MapLayer {
  /** Its name in state dicts, such as `features.4` or `layer4.0.convbn_2`. */
  readonly name: string;
  /**
   * Its place in `passports` of a configuration, keys joined by dots; null for a layer that takes
   * none.
   */
  readonly key: string | null;
  readonly kind: "conv2d" | "conv1d" | "linear";
  readonly inChannels: number;
  readonly channels: number;
  /** Of every axis; 1, 1 and 0 for a fully connected layer. */
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  /** [H, W], [L], or nothing for a fully connected layer. */
  readonly inputSize: readonly number[];
  /** Whether the map has a bias of its own, which γ and β of passports contain (default false). */
  readonly bias?: boolean;
  /** Whether it ends in a ReLU (default true). */
  readonly relu?: boolean;
  /** No norm at this layer, scale and shift alone, whatever the network's. */
  readonly norm?: "none";
  /**
   * Whether a layer without a passport has a norm for each branch, `bn0` public and `bn1` private,
   * each with its own γ and β (default false).
   */
  readonly branchNorms?: boolean;
}

/** Most layers of a network; deeper ones are refused before they are written down. */
export const MOST_LAYERS = 2048;

/** Layers that can take a passport. */
export const passportPlaces = (layers: readonly MapLayer[]): (MapLayer & { key: string })[] =>
  layers.filter((l): l is MapLayer & { key: string } => l.key !== null);

/**
 * Under which name a plain layer keeps its map in state dicts: `NAME.conv.weight` or
 * `NAME.linear.weight`, `….bias` beside it.
 */
export const mapName = ({ kind }: Pick<MapLayer, "kind">): "conv" | "linear" => (kind === "linear" ? "linear" : "conv");

/** State-dict name of a layer's weight in a plain network. */
export const weightName = (layer: Pick<MapLayer, "kind" | "name">): string => `${layer.name}.${mapName(layer)}.weight`;

const square = <T>({ kind }: MapLayer, value: T): T[] =>
  Array<T>({ conv2d: 2, conv1d: 1, linear: 0 }[kind]).fill(value);

/**
 * Where a passport sits that a layer carries.
 * @param text bytes of text that its bits spell
 */
export function placeOf(layer: MapLayer, text: number): PassportPlace {
  const { name, kind, inChannels, channels, kernel, stride, padding, inputSize, bias } = layer;
  return {
    norm: `${name}.bn`,
    weight: weightName(layer),
    ...(bias && { bias: `${name}.${mapName(layer)}.bias` }),
    text,
    ...{ kind, inChannels, channels, groups: 1, inputSize },
    kernel: square(layer, kernel),
    stride: square(layer, stride),
    padding: square(layer, [padding, padding] as const),
    dilation: square(layer, 1),
  };
}
