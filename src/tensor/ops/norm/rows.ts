import type { NormEnd, NormParts } from "../../../../shaders/norm/apply.wgsl";
import type { ReluMask } from "../../../../shaders/norm/gradients.wgsl";
import { normRowsGradKernel, normRowsKernel } from "../../../../shaders/norm/rows.wgsl";
import type { Device } from "../../../gpu/device";
import { layoutOf, splitsFor, type View } from "./layout";

/**
 * Loads of a group that one invocation goes through on graphics processors, and the groups without
 * which too few of them would be at work.
 */
const LONGEST = 64;
const FEWEST = 256;

/** What tells in the backward pass where a norm's ReLU let gradients through. */
export const reluMask = ({ relu, residual }: NormEnd): ReluMask => (!relu ? "none" : residual ? "again" : "y");

/**
 * Whether each group lies in one row, and an invocation is enough for it: then a normalisation, and
 * its dx, are a launch each.
 */
export function inRows(device: Device, view: View, spec: NormParts & NormEnd): boolean {
  const { lanes, sizes } = layoutOf(view);
  if (!lanes.grouped || view.rows > 1) return false;
  const { adapter, maxStorageBuffers } = device.caps;
  const enough =
    adapter === "hardware"
      ? sizes.q <= LONGEST && sizes.units >= FEWEST
      : splitsFor(device, sizes.units, sizes.q) === 1;
  const bound = [
    normRowsKernel.bindings({ ...lanes, ...spec }),
    normRowsGradKernel.bindings({ ...lanes, ...spec, relu: reluMask(spec), means: false, adds: false }),
  ].map((bindings) => Object.keys(bindings).length);
  return enough && Math.max(...bound) <= maxStorageBuffers;
}
