import { sumSplitsKernel } from "../../../../shaders/products/sum-splits.wgsl";
import type { Device } from "../../../gpu/device";
import type { Shape } from "../../shape";
import { Tensor } from "../../tensor";

/**
 * An output of `shape` that `run` fills; with `splits` > 1 it fills [splits, ...shape], whose parts
 * are then added in order.
 */
export function inSplits(d: Device, shape: Shape, splits: number, run: (out: Tensor) => void): Tensor {
  const parts = Tensor.empty(splits === 1 ? shape : [splits, ...shape], "f32", d);
  run(parts);
  if (splits === 1) return parts;
  const out = parts.newEmpty(shape);
  d.run(sumSplitsKernel, null, { parts: parts.buffer, out: out.buffer }, { n: out.size, splits });
  parts.dispose();
  return out;
}
