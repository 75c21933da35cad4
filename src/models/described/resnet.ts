/** What the configuration of a `ResNet` says, before one is built. */
import { unexpected } from "../../demand";
import { windowCount } from "../../tensor/ops/windows";
import { checkSettings, type ImageNetworkSettings } from "../config";
import { checkForm, checkNames, isWhole, wholeFrom } from "../form";
import { type MapLayer, MOST_LAYERS } from "../layers";

/** Structure of a `ResNet`. */
export interface ResNetConfig extends ImageNetworkSettings {
  arch: "resnet";
  /** Basic blocks in each of the four stages: [2, 2, 2, 2] is ResNet-18, [1, 1, 1, 1] ResNet-9. */
  blocks: readonly number[];
  /**
   * Channels of the stem and the first stage; every further stage has twice those before it
   * (default 64).
   */
  width?: number;
}

const WIDTH = 64;

/** The convolutions in the order they run, keyed by their names. */
export function resNetLayers(config: ResNetConfig): MapLayer[] {
  const { input, blocks, width = WIDTH } = config;
  const layers: MapLayer[] = [];
  let [h, w, channels] = input;
  const conv = (
    name: string,
    [inChannels, out, kernel, stride]: readonly [number, number, number, number],
    inputSize: readonly [number, number],
  ) => {
    const padding = (kernel - 1) / 2;
    layers.push({ name, key: name, kind: "conv2d", inChannels, channels: out, kernel, stride, padding, inputSize });
  };
  conv("convbnrelu_1", [channels, width, 3, 1], [h, w]);
  channels = width;
  blocks.forEach((count, stage) => {
    const out = width * 2 ** stage;
    for (let i = 0; i < count; i++) {
      const stride = stage > 0 && i === 0 ? 2 : 1;
      const name = `layer${stage + 1}.${i}`;
      const before: readonly [number, number] = [h, w];
      [h, w] = [windowCount(h, 3, stride, 1), windowCount(w, 3, stride, 1)];
      conv(`${name}.convbnrelu_1`, [channels, out, 3, stride], before);
      conv(`${name}.convbn_2`, [out, out, 3, 1], [h, w]);
      if (stride > 1 || channels !== out) conv(`${name}.shortcut`, [channels, out, 1, stride], before);
      channels = out;
    }
  });
  return layers;
}

/**
 * @throws ArgumentError when the configuration does not hold together; it may have come out of a
 * file.
 */
export function checkResNet(config: ResNetConfig): void {
  checkForm(config, { arch: "resnet" });
  const { blocks, width = WIDTH } = config as ResNetConfig;
  if (!Array.isArray(blocks) || !blocks.length || !blocks.every((n) => isWhole(n, 1)))
    return unexpected(`blocks: ${wholeFrom(1)}, one a stage,`, blocks);
  // A block makes two layers, or three: so much is known before any of them is.
  if (2 * blocks.reduce((a, b) => a + b, 0) > MOST_LAYERS)
    unexpected(`blocks: at most ${MOST_LAYERS} layers in all`, blocks);
  if (!Number.isSafeInteger(width) || width < 1) unexpected("width: a whole number from 1", width);
  if (!isWhole(width * 2 ** (blocks.length - 1), 1))
    unexpected(`channels of the last stage, width · 2^(stages − 1): ${wholeFrom(1)}`, width * 2 ** (blocks.length - 1));
  const layers = resNetLayers(config as ResNetConfig);
  checkSettings(config, layers);
  checkNames(config, { arch: "resnet", own: ["blocks", "width"] });
}
