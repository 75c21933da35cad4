/** What optimisers accept: parameters, groups of them, and options within their ranges. */
import { optionsOf } from "../demand";
import { ArgumentError, LifetimeError, ShapeError } from "../errors";
import type { Device } from "../gpu/device";
import type { PooledBuffer } from "../gpu/pool";
import { isPlain, shown } from "../io/shown";
import { Module } from "../nn/module";
import { showShape } from "../tensor/shape";
import { Tensor } from "../tensor/tensor";

/** Parameters that share options. */
export interface ParamGroup {
  /** Parameters, or a module for all of its own. */
  readonly params: Module | Iterable<Tensor>;
  /** The group's learning rate is `lr · lrScale`. Default 1. */
  readonly lrScale?: number;
  /** Default: the optimiser's own. */
  readonly weightDecay?: number;
}

/** What to train: a module, parameters, or groups of them with options of their own. */
export type Params = Module | Iterable<Tensor> | readonly ParamGroup[];

/** A group whose parameters are known to be tensors. */
export type TensorGroup = Omit<ParamGroup, "params"> & { readonly params: readonly Tensor[] };

/**
 * The groups given, or one group of the parameters given.
 * @throws ArgumentError for anything else.
 */
export function groupsOf(params: Params): readonly TensorGroup[] {
  if (params instanceof Module) return [{ params: params.parameters() }];
  const given: unknown[] = [...iterable(params)];
  const isGroup = (x: unknown): x is ParamGroup => isPlain(x) && "params" in x;
  if (given.length && given.every(isGroup))
    return given.map((group) => {
      const { params: own, ...options } = optionsOf("an optimiser's group", group, [
        "params",
        "lrScale",
        "weightDecay",
      ]);
      return { params: own instanceof Module ? own.parameters() : tensorsOf([...iterable(own)]), ...options };
    });
  if (given.some(isGroup))
    throw new ArgumentError(
      "an optimiser takes parameters or groups { params, lrScale?, weightDecay? }, found both: put the single parameters into a group",
    );
  return [{ params: tensorsOf(given) }];
}

function iterable(params: unknown): Iterable<unknown> {
  if (typeof params === "object" && params !== null && Symbol.iterator in params) return params as Iterable<unknown>;
  throw new ArgumentError(
    `an optimiser takes a module, an array of parameters, or groups of them, found ${shown(params)}: pass model.parameters()`,
  );
}

function tensorsOf(given: readonly unknown[]): readonly Tensor[] {
  const at = given.findIndex((x) => !(x instanceof Tensor));
  if (at < 0) return given as readonly Tensor[];
  throw new ArgumentError(`parameter ${at} of an optimiser is a tensor, found ${shown(given[at])}`);
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

/** Whether a step changes it. */
export const isDue = (p: Tensor): boolean => p.requiresGrad && p.grad !== null;

/**
 * What a step needs of parameter `index`.
 * @throws ShapeError unless its gradient, if it has one, is f32 and of its size; LifetimeError when
 * it, or its gradient, was disposed.
 */
export function checkParameter(p: Tensor, index: number): void {
  if (p.isDisposed)
    throw new LifetimeError(
      `step: parameter ${index} was disposed, with its network or by itself: make the optimiser of parameters that live`,
    );
  const { grad } = p;
  if (isDue(p) && grad!.isDisposed)
    throw new LifetimeError(
      `step: the gradient of parameter ${index} was disposed: zero gradients by zeroGrad(), or set them to null`,
    );
  if (!isDue(p) || (grad!.size === p.size && grad!.dtype === "f32")) return;
  throw new ShapeError(
    `step: parameter ${index} has shape ${showShape(p.shape)}, its gradient is ${grad!.dtype} ${showShape(grad!.shape)}: give it an f32 gradient of the same shape`,
  );
}
