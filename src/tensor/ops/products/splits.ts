import { sumSplitsKernel } from "../../../../shaders/products/sum-splits.wgsl";
import type { Device } from "../../../gpu/device";
import type { Shape } from "../../shape";
import { Tensor } from "../../tensor";

/**
 * An output of `shape` that `run` fills; with `splits` > 1 it fills [splits, ...shape], whose parts
 * are then added in order.
 * @param sum what the output is added to, in place: by `run`, told so, where nothing is split
 */
export function inSplits(
  d: Device,
  shape: Shape,
  splits: number,
  run: (out: Tensor, adds: boolean) => void,
  sum: Tensor | null = null,
): Tensor {
  if (splits === 1) {
    const out = sum ?? Tensor.empty(shape, "f32", d);
    run(out, sum !== null);
    return out;
  }
  const parts = Tensor.empty([splits, ...shape], "f32", d);
  run(parts, false);
  const out = sum ?? parts.newEmpty(shape);
  const sizes = { n: out.size, splits, adds: sum ? 1 : 0 };
  d.run(sumSplitsKernel, null, { parts: parts.buffer, out: out.buffer }, sizes);
  parts.dispose();
  return out;
}
