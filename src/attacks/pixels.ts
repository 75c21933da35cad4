import { ImageWriter } from "../data/image-writer";
import { type ImageSet, imageSet } from "../data/sample-set";
import type { ImageTransform } from "../data/transforms";
import { ArgumentError } from "../errors";
import { Generator } from "../tensor/random";

/**
 * Makes bytes of pixels: n × height × width × channels floats, channels last, to n × channels ×
 * height × width bytes, as an image set holds them.
 */
export type PixelRounding = (pixels: Float32Array) => Uint8Array<ArrayBuffer>;

/**
 * Finds the bytes whose transformed values are nearest to given pixels: what is left of floats in a
 * network's space once they are stored as images. What is beyond black or white becomes that.
 * @throws ArgumentError when a transform does more than map pixel values, since nothing could be
 * turned back then
 */
export function pixelRounding(
  { channels, height, width }: Pick<ImageSet, "channels" | "height" | "width">,
  transform: readonly ImageTransform[],
): PixelRounding {
  const tables = valuesOfBytes(channels, transform);
  const plane = height * width;
  return (pixels) => rounded(pixels, tables, plane);
}

function rounded(pixels: Float32Array, tables: readonly Float32Array[], plane: number): Uint8Array<ArrayBuffer> {
  const channels = tables.length;
  const bytes = new Uint8Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) {
    const c = i % channels;
    const [image, at] = [Math.floor(i / (plane * channels)), Math.floor(i / channels) % plane];
    bytes[(image * channels + c) * plane + at] = nearest(tables[c]!, pixels[i]!);
  }
  return bytes;
}

/** What becomes of each byte, a channel. */
function valuesOfBytes(channels: number, transform: readonly ImageTransform[]): Float32Array[] {
  const other = transform.find((t) => t.kind !== "value");
  if (other)
    throw new ArgumentError(
      `transform: only maps of pixel values (normalize) can be turned back into bytes, found one of kind "${other.kind}"; give what is done to test images`,
    );
  const images = Uint8Array.from({ length: 256 * channels }, (_, i) => i % 256);
  const ramp = imageSet({ images, labels: new Uint8Array(1), channels, height: 1, width: 256, classes: ["ramp"] });
  const random = new Generator(0);
  const out = new Float32Array(images.length);
  new ImageWriter(ramp, transform, random).write(ramp, 0, out, 0, random);
  return Array.from({ length: channels }, (_, c) =>
    Float32Array.from({ length: 256 }, (_, b) => out[b * channels + c]!),
  );
}

/**
 * Index of the nearest value of a table that rises or falls throughout; the lower of two as near.
 */
function nearest(table: Float32Array, value: number): number {
  const sign = table[255]! >= table[0]! ? 1 : -1;
  let [low, high] = [0, 255];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sign * table[middle]! <= sign * value) low = middle;
    else high = middle;
  }
  return Math.abs(table[high]! - value) < Math.abs(table[low]! - value) ? high : low;
}
