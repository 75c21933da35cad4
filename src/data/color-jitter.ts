/** Random changes of colours. */

import { FLOAT_MAX, optionsOf, within } from "../demand";
import { ArgumentError, ShapeError } from "../errors";
import { shown } from "../io/shown";
import type { ColorTransform } from "./transforms";

/** How far a colour may be changed: one number for both sides, or the bounds of a factor. */
export type JitterRange = number | readonly [low: number, high: number];

/** Options of {@link colorJitter}; what is left out stays as it is. */
export interface ColorJitterOptions {
  /** Factor of all pixels: b for [max(0, 1 − b), 1 + b], or its bounds. */
  brightness?: JitterRange;
  /** Factor of the distance from the picture's mean grey. */
  contrast?: JitterRange;
  /** Factor of the distance from each pixel's own grey. */
  saturation?: JitterRange;
  /** Turn of the colour circle, at most half of one: h for [−h, h], or its bounds. */
  hue?: JitterRange;
}

/** In the order that torchvision numbers them. */
const PARTS = ["brightness", "contrast", "saturation", "hue"] as const;
type Part = (typeof PARTS)[number];

/**
 * Changes brightness, contrast, saturation and hue by random amounts in random order: torchvision's
 * `ColorJitter` on floats. Pixels x in 0 … 1 become, by a factor f and clamped to 0 … 1,
 *
 * - brightness: f x;
 * - contrast: f x + (1 − f) m, m the mean over the picture of grey g = 0.2989 R + 0.587 G + 0.114
 *   B;
 * - saturation: f x + (1 − f) g;
 * - hue: turned by f of a full circle in HSV.
 *
 * Draws the order of four, then one number for each that is given, in the order above. Pictures of
 * one channel have no saturation and no hue, and keep theirs.
 *
 * Source: torchvision, `transforms.ColorJitter` and `transforms.functional`.
 *
 * @throws ArgumentError if nothing is given, or a range is not from 0 (hue: −½ to ½) and in order;
 *   on use, ShapeError if pictures have neither one nor three channels
 */
export function colorJitter(options: ColorJitterOptions): ColorTransform {
  const given = optionsOf("colorJitter", options, PARTS);
  const ranges = new Map<Part, readonly [number, number]>();
  for (const part of PARTS) if (given[part] !== undefined) ranges.set(part, rangeOf(part, given[part]));
  if (ranges.size === 0) throw new ArgumentError(`colorJitter: expected one or more of ${PARTS.join(", ")}, got none`);
  return {
    kind: "color",
    apply(pixels, [, , channels], random) {
      if (channels !== 1 && channels !== 3) {
        throw new ShapeError(`colorJitter: expected pictures of one or three channels, got ${channels}`);
      }
      const order = random.permutation(PARTS.length);
      const factors = new Map([...ranges].map(([part, [low, high]]) => [part, random.uniform(low, high)]));
      for (const number of order) {
        const part = PARTS[number]!;
        const factor = factors.get(part);
        if (factor !== undefined) CHANGES[part](pixels, channels, factor);
      }
    },
  };
}

function rangeOf(part: Part, range: unknown): readonly [number, number] {
  const [least, most] = part === "hue" ? [-0.5, 0.5] : [0, FLOAT_MAX];
  if (Array.isArray(range) && range.length === 2) {
    const [low, high] = range.map((v, i) => within("colorJitter", `${part}[${i}]`, v, least, most)) as [number, number];
    if (low <= high) return [low, high];
    throw new ArgumentError(`colorJitter: expected ${part} as [low, high] in this order, got ${shown(range)}`);
  }
  const by = within("colorJitter", part, range, 0, most);
  return part === "hue" ? [-by, by] : [Math.max(0, 1 - by), 1 + by];
}

type Change = (pixels: Float32Array, channels: 1 | 3, factor: number) => void;

const clamp = (x: number): number => Math.min(1, Math.max(0, x));

const CHANGES: Readonly<Record<Part, Change>> = {
  brightness(pixels, _, factor) {
    for (let i = 0; i < pixels.length; i++) pixels[i] = clamp(factor * pixels[i]!);
  },
  contrast(pixels, channels, factor) {
    let sum = 0;
    for (let i = 0; i < pixels.length; i += channels) sum += channels === 3 ? greyAt(pixels, i) : pixels[i]!;
    const mean = (sum * channels) / pixels.length;
    for (let i = 0; i < pixels.length; i++) pixels[i] = clamp(factor * pixels[i]! + (1 - factor) * mean);
  },
  saturation(pixels, channels, factor) {
    if (channels === 1) return;
    for (let i = 0; i < pixels.length; i += 3) {
      const grey = greyAt(pixels, i);
      for (let c = 0; c < 3; c++) pixels[i + c] = clamp(factor * pixels[i + c]! + (1 - factor) * grey);
    }
  },
  hue(pixels, channels, turn) {
    if (channels === 1) return;
    for (let i = 0; i < pixels.length; i += 3) turnHue(pixels, i, turn);
  },
};

const greyAt = (pixels: Float32Array, i: number): number =>
  0.2989 * pixels[i]! + 0.587 * pixels[i + 1]! + 0.114 * pixels[i + 2]!;

/** Turns the hue of the pixel at `i`: RGB to HSV, on by `turn` of the circle, and back. */
function turnHue(pixels: Float32Array, i: number, turn: number): void {
  const [r, g, b] = [pixels[i]!, pixels[i + 1]!, pixels[i + 2]!];
  const most = Math.max(r, g, b);
  const range = most - Math.min(r, g, b);
  // Grey has no hue to turn.
  if (range === 0) return;
  const sixth = r === most ? (g - b) / range : g === most ? 2 + (b - r) / range : 4 + (r - g) / range;
  const hue = (((sixth / 6 + turn) % 1) + 1) % 1;
  // Channel number n falls from `most` to `most − range` and back along a trapezium of its own.
  const channel = (n: number): number => {
    const k = (n + hue * 6) % 6;
    return most - range * Math.max(0, Math.min(k, 4 - k, 1));
  };
  pixels[i] = channel(5);
  pixels[i + 1] = channel(3);
  pixels[i + 2] = channel(1);
}
