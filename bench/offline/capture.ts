/** What a training step would have a graphics card do: kernels as WGSL, and dispatches. */
import { init, scope } from "@pan/core";
import { globals } from "webgpu";
import type { Precision, Workgroups } from "../../src/gpu/kernel";
import { absentDevice, GRAPHICS_CARD } from "./absent-device";
import { type NetworkName, prepareStep, type StepSize } from "./networks";

export interface StepOptions extends StepSize {
  readonly precision: Precision;
}

export interface CapturedDispatch {
  readonly kernel: string;
  readonly groups: Workgroups;
  /** As in a profile (`Device.profile`), of this dispatch alone. */
  readonly operations: number;
  readonly loads: number;
  readonly bytes: number;
}

export interface CapturedStep {
  /** WGSL of each kernel of the step, by its label. */
  readonly kernels: ReadonlyMap<string, string>;
  readonly dispatches: readonly CapturedDispatch[];
}

/**
 * A network's training step, as a graphics card would be given it. The first step makes what later
 * ones find (the optimiser's state, tables): the second is the one looked at.
 */
export async function captureStep(
  network: NetworkName,
  { precision, ...size }: StepOptions,
  abilities = GRAPHICS_CARD,
): Promise<CapturedStep> {
  Object.assign(globalThis, globals);
  const { gpu, sources } = absentDevice(abilities);
  const device = await init({ device: gpu, precision });
  const step = prepareStep(network, size);
  scope(step);
  device.flush();
  const { recording } = device.record(() => scope(step));
  const dispatches = recording.dispatches.map(({ kernel, groups, operations, loads, bytesBound }) => {
    return { kernel: kernel.label, groups, operations, loads, bytes: bytesBound };
  });
  recording.dispose();
  const used = new Set(dispatches.map(({ kernel }) => kernel));
  return { kernels: new Map([...sources].filter(([label]) => used.has(label))), dispatches };
}
