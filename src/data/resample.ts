/**
 * Pictures in another size: a triangle filter that widens as the picture shrinks, so that no pixel
 * is passed over. Pixel i of n takes the source's pixels j of N around c = (i + ½) N/n, weighted by
 * max(0, 1 − |j + ½ − c| / s), s = max(1, N/n), the weights divided by their sum: bilinear where a
 * picture grows.
 *
 * The same as PyTorch's `interpolate(mode="bilinear", antialias=True)` and as Pillow's
 * `resize(BILINEAR)` before it rounds to bytes.
 */

/** A part of a picture, in whole pixels. */
export interface PictureWindow {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** Which positions of a line each position of the new line takes, and how much of each. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `most` places for each position. */
  readonly weights: Float64Array;
  readonly most: number;
}

function tapsOf(from: number, to: number): Taps {
  const scale = from / to;
  const support = Math.max(1, scale);
  const most = 2 * Math.ceil(support) + 1;
  const taps = { first: new Int32Array(to), count: new Int32Array(to), weights: new Float64Array(to * most), most };
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - support + 0.5));
    const count = Math.min(from, Math.floor(centre + support + 0.5)) - first;
    let sum = 0;
    for (let j = 0; j < count; j++) {
      const weight = Math.max(0, 1 - Math.abs(first + j + 0.5 - centre) / support);
      taps.weights[i * most + j] = weight;
      sum += weight;
    }
    for (let j = 0; j < count; j++) taps.weights[i * most + j]! /= sum;
    taps.first[i] = first;
    taps.count[i] = count;
  }
  return taps;
}

/** Brings windows of pictures to one size; it keeps its memory from picture to picture. */
export class Resampler {
  readonly #channels: number;
  readonly #height: number;
  readonly #width: number;
  /** The picture that was made last: channels × height × width. */
  readonly planes: Float32Array;
  /** Lines of one plane that have their width already. */
  #lines = new Float32Array(0);

  constructor(channels: number, height: number, width: number) {
    this.#channels = channels;
    this.#height = height;
    this.#width = width;
    this.planes = new Float32Array(channels * height * width);
  }

  /**
   * The window of a picture whose planes, of `sourceHeight` lines of `sourceWidth`, begin at
   * `start`; a pixel counts `unit`.
   */
  run(
    pixels: Uint8Array | Float32Array,
    start: number,
    sourceHeight: number,
    sourceWidth: number,
    { top, left, height, width }: PictureWindow,
    unit: number,
  ): void {
    const [across, down] = [tapsOf(width, this.#width), tapsOf(height, this.#height)];
    const wide = this.#width;
    if (this.#lines.length < height * wide) this.#lines = new Float32Array(height * wide);
    const lines = this.#lines;
    for (let c = 0; c < this.#channels; c++) {
      const plane = start + (c * sourceHeight + top) * sourceWidth + left;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < wide; x++) {
          const from = plane + y * sourceWidth + across.first[x]!;
          const weight = x * across.most;
          let sum = 0;
          for (let j = 0; j < across.count[x]!; j++) sum += across.weights[weight + j]! * pixels[from + j]!;
          lines[y * wide + x] = sum * unit;
        }
      }
      const to = c * this.#height * wide;
      for (let y = 0; y < this.#height; y++) {
        const [first, weight] = [down.first[y]!, y * down.most];
        for (let x = 0; x < wide; x++) {
          let sum = 0;
          for (let j = 0; j < down.count[y]!; j++) sum += down.weights[weight + j]! * lines[(first + j) * wide + x]!;
          // Weights add up to 1 but for their last bit.
          this.planes[to + y * wide + x] = Math.min(1, sum);
        }
      }
    }
  }
}
