/** What optimisers accept: parameters, groups of them, and options within their ranges. */
import { ArgumentError, LifetimeError, ShapeError } from "../errors";
import type { Device } from "../gpu/device";
import type { PooledBuffer } from "../gpu/pool";
import { showShape } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";

/** Parameters that share options. */
export interface ParamGroup {
  readonly params: Iterable<Tensor>;
  /** The group's learning rate is `lr · lrScale`. Default 1. */
  readonly lrScale?: number;
  /** Default: the optimiser's own. */
  readonly weightDecay?: number;
}

/** What to train: parameters, or groups of them with options of their own. */
export type Params = Iterable<Tensor> | readonly ParamGroup[];

/** @throws ArgumentError unless `value` is a finite number ≥ 0. */
export function demandAtLeastZero(name: string, value: number): number {
  if (Number.isFinite(value) && value >= 0) return value;
  throw new ArgumentError(`${name} is a finite number of at least 0, found ${value}`);
}

/** @throws ArgumentError unless 0 ≤ value < 1. */
export function demandFraction(name: string, value: number): number {
  if (value >= 0 && value < 1) return value;
  throw new ArgumentError(`${name} is a number from 0 to below 1, found ${value}`);
}

/** The groups given, or one group of the parameters given. */
export function groupsOf(params: Params): readonly ParamGroup[] {
  const given: (Tensor | ParamGroup)[] = [...params];
  const isGroup = (x: Tensor | ParamGroup): x is ParamGroup => "params" in x;
  if (given.every(isGroup)) return given;
  const tensors = given.filter((x): x is Tensor => !isGroup(x));
  if (tensors.length === given.length) return [{ params: tensors }];
  throw new ArgumentError(
    "an optimiser takes parameters or groups { params, lrScale?, weightDecay? }, found both: put the single parameters into a group",
  );
}

/** The device of the parameters, once they are found fit to be trained together. */
export function checkParameters(params: readonly Tensor[]): Device {
  const first = params[0];
  if (!first) throw new ArgumentError("an optimiser needs parameters to train, found none: pass model.parameters()");
  const seen = new Set<PooledBuffer>();
  for (const [i, p] of params.entries()) {
    if (p.isDisposed)
      throw new LifetimeError(
        `parameter ${i} of shape ${showShape(p.shape)} is disposed: make the optimiser while its model lives`,
      );
    if (p.dtype !== "f32")
      throw new ShapeError(
        `parameter ${i} of shape ${showShape(p.shape)} is ${p.dtype}: only f32 tensors can be trained`,
      );
    if (!p.isLeaf)
      throw new ArgumentError(
        `parameter ${i} of shape ${showShape(p.shape)} was computed from other tensors: pass those, or detach() it`,
      );
    if (p.device !== first.device)
      throw new ArgumentError(`parameter ${i} lies on another device than parameter 0: use one optimiser a device`);
    if (seen.has(p.buffer))
      throw new ArgumentError(
        `parameter ${i} of shape ${showShape(p.shape)} shares memory with one before it: pass each parameter once`,
      );
    seen.add(p.buffer);
  }
  return first.device;
}

/** @throws ShapeError unless the gradient of parameter `index` is f32 and of the parameter's size. */
export function checkGradient(p: Tensor, index: number): void {
  const grad = p.grad!;
  if (grad.size === p.size && grad.dtype === "f32") return;
  throw new ShapeError(
    `step: parameter ${index} has shape ${showShape(p.shape)}, its gradient is ${grad.dtype} ${showShape(grad.shape)}: give it an f32 gradient of the same shape`,
  );
}
