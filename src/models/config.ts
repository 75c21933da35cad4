import { ArgumentError } from "../errors";
import { capacity, signatureBytes } from "../passport/signature";

/** A convolution of a {@link ConvNet} (conv → norm → ReLU), or a 2×2 max-pooling. */
export type LayerSpec = "pool" | { channels: number; kernel: number; padding?: number; stride?: number };

/** Everything that decides a network's structure; JSON-able, it travels with saved files. */
export interface ConvNetConfig {
  classes: number;
  /** Height, width and channels of an input image. */
  input: readonly [number, number, number];
  layers: readonly LayerSpec[];
  /** `plain`: one branch. `pan`: passport-aware normalisation, a public and a private branch. */
  scheme: "plain" | "pan";
  /** Layer index → `true` (random signature bits) or the text to embed there. */
  passports?: Readonly<Record<number, boolean | string>>;
}

/** Output sizes [H, W, C] of every layer, its input's first. @throws ArgumentError when an image shrinks to nothing. */
export function layerSizes({ input, layers }: ConvNetConfig): [number, number, number][] {
  const sizes: [number, number, number][] = [[...input]];
  layers.forEach((layer, i) => {
    const [h, w, c] = sizes[i]!;
    const size = (n: number) =>
      layer === "pool"
        ? Math.floor(n / 2)
        : Math.floor((n + 2 * (layer.padding ?? 0) - layer.kernel) / (layer.stride ?? 1)) + 1;
    const next: [number, number, number] = [size(h), size(w), layer === "pool" ? c : layer.channels];
    if (next[0] < 1 || next[1] < 1)
      throw new ArgumentError(`layer ${i} leaves nothing of a ${h}×${w} image: drop a pooling, or use larger images`);
    sizes.push(next);
  });
  return sizes;
}

/**
 * Checks a configuration before anything is built. It may have come out of a file, so its form is checked too.
 * @throws ArgumentError naming sizes that are no whole numbers, a passport layer that is not a convolution, a text that does not fit, or a scheme without passports.
 */
export function checkConfig(config: ConvNetConfig): void {
  checkForm(config);
  const convolutions = config.layers.flatMap((l, i) => (l === "pool" ? [] : [i]));
  if (!Number.isInteger(config.classes) || config.classes < 2)
    throw new ArgumentError(`classes: at least 2 expected, found ${config.classes}`);
  const chosen = passportLayers(config);
  if (config.scheme === "plain" && chosen.length)
    throw new ArgumentError('scheme "plain" takes no passports: use "pan", or leave passports out');
  if (config.scheme === "pan" && !chosen.length) {
    throw new ArgumentError(
      `scheme "pan" needs passports at one convolution or more, for example { ${convolutions[convolutions.length - 1]}: true }`,
    );
  }
  for (const [index, value] of chosen) {
    const layer = config.layers[index];
    if (!layer || layer === "pool") {
      throw new ArgumentError(
        `passports name layer ${index}, which is ${layer ? "a pooling" : "not there"}: the convolutions are ${convolutions.join(", ")}`,
      );
    }
    if (typeof value === "string" && signatureBytes(value) > capacity(layer.channels)) {
      throw new ArgumentError(
        `the signature "${value}" of layer ${index} takes ${signatureBytes(value)} bytes; its ${layer.channels} channels hold ${capacity(layer.channels)}: shorten it, or put it into a wider layer`,
      );
    }
  }
  layerSizes(config);
}

const isWhole = (n: unknown, least: number): boolean => Number.isSafeInteger(n) && (n as number) >= least;
const isObject = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);

function checkForm(config: unknown): void {
  const refuse = (expected: string, found: unknown): never => {
    throw new ArgumentError(`${expected} expected, found ${JSON.stringify(found)}`);
  };
  if (!isObject(config)) return refuse("a network configuration", config);
  const { input, layers, scheme, passports = {} } = config;
  if (!Array.isArray(input) || input.length !== 3 || !input.every((n) => isWhole(n, 1)))
    refuse("input: [height, width, channels], whole numbers from 1,", input);
  if (!Array.isArray(layers)) return refuse("layers: a list", layers);
  layers.forEach((layer: unknown, i) => {
    if (layer === "pool") return;
    if (!isObject(layer)) return refuse(`layer ${i}: "pool" or { channels, kernel, padding?, stride? }`, layer);
    const { channels, kernel, padding = 0, stride = 1 } = layer;
    const whole = [channels, kernel, stride].every((n) => isWhole(n, 1)) && isWhole(padding, 0);
    if (!whole) refuse(`layer ${i}: whole numbers (channels, kernel and stride from 1, padding from 0)`, layer);
  });
  if (scheme !== "plain" && scheme !== "pan") refuse('scheme: "plain" or "pan"', scheme);
  if (!isObject(passports)) return refuse("passports: { layer: true or a text }", passports);
  for (const [layer, value] of Object.entries(passports)) {
    if (typeof value !== "boolean" && typeof value !== "string")
      refuse(`passports: true, false or a text at layer ${layer}`, value);
  }
}

/** Passport layers in order, with their signature text or `true`. */
export function passportLayers({ passports = {} }: ConvNetConfig): [index: number, value: true | string][] {
  return Object.entries(passports)
    .flatMap(([k, v]) => (v === false ? [] : [[Number(k), v] as [number, true | string]]))
    .sort((a, b) => a[0] - b[0]);
}
