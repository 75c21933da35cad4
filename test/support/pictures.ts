/** Small picture files of every kind, made when a test asks for them. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import sharp from "sharp";

type Pixel = readonly number[];

/** A picture of `height` × `width` whose pixels are given by their place. */
export function picture(width: number, height: number, pixel: (x: number, y: number) => Pixel): sharp.Sharp {
  const channels = pixel(0, 0).length as 1 | 2 | 3 | 4;
  const bytes = new Uint8Array(height * width * channels);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) bytes.set(pixel(x, y), (y * width + x) * channels);
  return sharp(bytes, { raw: { width, height, channels } });
}

/** Of 16 bits. */
export const picture16 = (width: number, height: number, value: (i: number) => number, channels: 1 | 3): sharp.Sharp =>
  sharp(
    Uint16Array.from({ length: width * height * channels }, (_, i) => value(i)),
    { raw: { width, height, channels } },
  ).toColourspace(channels === 1 ? "grey16" : "rgb16");

/** Writes files into a folder, making the folders in between. */
export async function writeTree(folder: string, files: Readonly<Record<string, Uint8Array | string>>): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), bytes);
  }
}

/** What a set holds of pixel (x, y) of picture `index`, a number per channel. */
export function pixelAt(
  { images, channels, height, width }: { images: Uint8Array; channels: number; height: number; width: number },
  index: number,
  x: number,
  y: number,
): number[] {
  return Array.from({ length: channels }, (_, c) => images[((index * channels + c) * height + y) * width + x]!);
}
