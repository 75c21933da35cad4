/** Networks, images and stores small enough to be trained in a second on a software adapter. */
import { encodeSafetensors, Generator } from "@pan/core";
import { type ImageSet, imageSet } from "@pan/core/data";
import type { ConvNetConfig } from "@pan/core/models";
import type { Module } from "@pan/core/nn";
import type { CheckpointStore } from "@pan/core/train";

const [HEIGHT, WIDTH, CHANNELS, CLASSES] = [8, 8, 3, 3];

/** One convolution and a classifier: the fewest kernels that still train. */
export const SMALLEST: ConvNetConfig = {
  classes: CLASSES,
  input: [HEIGHT, WIDTH, CHANNELS],
  layers: [{ channels: 8, kernel: 3, stride: 2 }],
  scheme: "plain",
};

/** Two branches, two passport layers, a text, and bits enough to be bound. */
export const MARKED: ConvNetConfig = {
  classes: CLASSES,
  input: [HEIGHT, WIDTH, CHANNELS],
  layers: [
    { channels: 8, kernel: 3, padding: 1 },
    "pool",
    { channels: 96, kernel: 3, padding: 1 },
    { channels: 96, kernel: 3 },
  ],
  scheme: "pan",
  passports: { 2: true, 3: "PAN" },
};

/** The same with one passport layer. */
export const ONE_PASSPORT: ConvNetConfig = { ...MARKED, passports: { 2: true } };

/**
 * n images of three classes that a small network separates: class c has channel c bright on the
 * left, in noise.
 */
export function images(n: number, seed: number): ImageSet {
  const random = new Generator(seed);
  const labels = Uint8Array.from({ length: n }, (_, i) => i % CLASSES);
  const pixels = new Uint8Array(n * CHANNELS * HEIGHT * WIDTH);
  for (let i = 0, at = 0; i < n; i++)
    for (let c = 0; c < CHANNELS; c++)
      for (let p = 0; p < HEIGHT * WIDTH; p++)
        pixels[at++] = 60 + random.integer(80) + (c === labels[i] && p % WIDTH < WIDTH / 2 ? 90 : 0);
  return imageSet({
    images: pixels,
    labels,
    channels: CHANNELS,
    height: HEIGHT,
    width: WIDTH,
    classes: ["red", "green", "blue"],
  });
}

/** A checkpoint store in memory. */
export function memoryStore(bytes: Uint8Array | null = null): CheckpointStore & { bytes: Uint8Array | null } {
  return {
    bytes,
    async save(saved) {
      this.bytes = saved;
    },
    async load() {
      return this.bytes;
    },
  };
}

/** A short name of bytes: equal names are equal bits. */
export async function digest(bytes: Uint8Array): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes));
  return Buffer.from(hash).toString("hex").slice(0, 16);
}

/** A short name of everything that a module holds. */
export const stateOf = async (m: Module): Promise<string> => digest(encodeSafetensors(await m.stateDict()));
