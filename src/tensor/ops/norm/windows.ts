import type { Shape } from "../../shape";
import type { Tensor } from "../../tensor";
import type { View } from "./layout";

/** Windows of k×k that lie side by side in images [h, w], and what they leave of them, [oh, ow]. */
export interface Windows {
  readonly k: number;
  readonly h: number;
  readonly w: number;
  readonly oh: number;
  readonly ow: number;
}

/** Windows of one element, for kernels that know windows only. */
export const NO_WINDOWS: Windows = { k: 1, h: 1, w: 1, oh: 1, ow: 1 };

/**
 * Windows of k×k in images [N, H, W, C]; null where there is nothing to fuse: k = 1, other inputs,
 * or images that no window fits into.
 */
export function windowsOf(x: Tensor, k: number): Windows | null {
  if (x.rank !== 4 || !Number.isSafeInteger(k) || k < 2) return null;
  const [h, w] = [x.shape[1]!, x.shape[2]!];
  const [oh, ow] = [Math.floor(h / k), Math.floor(w / k)];
  return oh < 1 || ow < 1 ? null : { k, h, w, oh, ow };
}

/** [N, …, C] with the windows' maxima in the place of the images. */
export const pooledShape = ([n, ...rest]: Shape, windows: Windows | null): Shape =>
  windows ? [n!, windows.oh, windows.ow, rest[rest.length - 1]!] : [n!, ...rest];

/** What kernels are compiled for. */
export const windowSpec = ({ k, h, w }: Windows) => ({ window: k, ragged: h % k !== 0 || w % k !== 0 });

/**
 * Sizes of one part for the kernels: outputs and windows (those included that reach past the image)
 * in loads, `items` output positions per batch item.
 */
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
