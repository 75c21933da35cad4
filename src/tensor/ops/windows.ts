/**
 * Positions of a window that slides over one axis, with `padding` zeros on either side. With `ceil`
 * a last window may reach past the far side's padding, as long as it starts before it: PyTorch's
 * `ceil_mode`.
 */
export function windowCount(
  size: number,
  kernel: number,
  stride: number,
  padding: number,
  dilation = 1,
  ceil = false,
): number {
  const steps = (size + 2 * padding - dilation * (kernel - 1) - 1) / stride;
  if (!ceil) return Math.floor(steps) + 1;
  const last = Math.ceil(steps);
  return last * stride < size + padding ? last + 1 : last;
}
