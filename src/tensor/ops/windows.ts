/** Positions of a window that slides over one axis, with `padding` zeros on either side. */
export const windowCount = (size: number, kernel: number, stride: number, padding: number, dilation = 1): number =>
  Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
