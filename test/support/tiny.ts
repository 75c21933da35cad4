import { type ImageSet, imageSet } from "../../src/data/sample-set";
import { encodeSafetensors } from "../../src/io/safetensors";
import type { ConvNetConfig } from "../../src/models/described/convnet";
import type { Module } from "../../src/nn/module";
import { Generator } from "../../src/tensor/random";
import type { CheckpointStore } from "../../src/train/checkpoint";

/**
 * A network small enough to be trained in seconds on a software adapter: a plain convolution, then
 * two passport layers of 16 and 32 bits.
 */
export const TINY: ConvNetConfig = {
  classes: 3,
  input: [8, 8, 3],
  layers: [
    { channels: 8, kernel: 3, padding: 1 },
    "pool",
    { channels: 16, kernel: 3, padding: 1 },
    { channels: 32, kernel: 3 },
  ],
  scheme: "pan",
  passports: { 2: true, 3: "PAN!" },
};

/** The same structure without passports. */
export const TINY_PLAIN: ConvNetConfig = { classes: 3, input: TINY.input, layers: TINY.layers, scheme: "plain" };

/**
 * n images of three classes that a small network separates: class c has channel c bright on the
 * left, dark on the right, in noise.
 */
export function tinySet(n: number, seed: number): ImageSet {
  const random = new Generator(seed);
  const [height, width, channels] = TINY.input;
  const labels = Uint8Array.from({ length: n }, (_, i) => i % 3);
  const images = new Uint8Array(n * channels * height * width);
  for (let i = 0, at = 0; i < n; i++) {
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < height * width; p++) {
        const bright = c === labels[i] && p % width < width / 2;
        images[at++] = 60 + random.integer(80) + (bright ? 90 : 0);
      }
    }
  }
  return imageSet({ images, labels, channels, height, width, classes: ["red", "green", "blue"] });
}

/** A checkpoint store in memory that counts its saves. */
export function memoryStore(): CheckpointStore & { bytes: Uint8Array | null; saves: number } {
  return {
    bytes: null,
    saves: 0,
    async save(bytes) {
      this.bytes = bytes;
      this.saves++;
    },
    async load() {
      return this.bytes;
    },
  };
}

/** A module's whole state as bytes: equal bytes are equal bits. */
export const stateBytes = async (m: Module): Promise<Uint8Array> => encodeSafetensors(await m.stateDict());
