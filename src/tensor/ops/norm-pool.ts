import { ShapeError } from "../../errors";
import { type Shape, showShape } from "../shape";
import type { Tensor } from "../tensor";
import type { View } from "./norm-layout";
import { expectWhole } from "./operands";

/** Windows of k×k that lie side by side in images [h, w], and what they leave of them, [oh, ow]. */
export interface Windows {
  readonly k: number;
  readonly h: number;
  readonly w: number;
  readonly oh: number;
  readonly ow: number;
}

/**
 * The windows of a norm that ends in max-pooling; null for k = 1, which pools nothing.
 * @throws ArgumentError for a k that is no whole number from 1; ShapeError unless x is [N, H, W, C] and a window fits.
 */
export function windowsOf(what: string, x: Tensor, k: number): Windows | null {
  expectWhole(what, "pool", k, 1);
  if (k === 1) return null;
  if (x.rank !== 4)
    throw new ShapeError(`${what}: with pool, images [N, H, W, C] are expected, found shape ${showShape(x.shape)}`);
  const [h, w] = [x.shape[1]!, x.shape[2]!];
  const [oh, ow] = [Math.floor(h / k), Math.floor(w / k)];
  if (oh < 1 || ow < 1)
    throw new ShapeError(
      `${what}: no window of ${k}×${k} fits into images of ${h}×${w}: take a smaller pool or larger images`,
    );
  return { k, h, w, oh, ow };
}

/** [N, …, C] with the windows' maxima in the place of the images. */
export const pooledShape = ([n, ...rest]: Shape, windows: Windows | null): Shape =>
  windows ? [n!, windows.oh, windows.ow, rest[rest.length - 1]!] : [n!, ...rest];

/** What kernels are compiled for. */
export const windowSpec = ({ k, h, w }: Windows) => ({ window: k, ragged: h % k !== 0 || w % k !== 0 });

/** Sizes of one part for the kernels: outputs and windows (those included that reach past the image) in loads, `items` output positions a batch item. */
export function windowSizes({ k, h, w, oh, ow }: Windows, view: View, row: number) {
  const images = (view.batches * view.rows) / (h * w);
  return {
    h,
    w,
    oh,
    ow,
    outputs: images * oh * ow * row,
    windows: images * Math.ceil(h / k) * Math.ceil(w / k) * row,
    items: (images * oh * ow) / view.batches,
  };
}
