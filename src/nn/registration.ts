/**
 * Which tensors belong to modules, and as what: trained parameters, or buffers that only lie in the
 * state.
 */
import { instance, refuse } from "../demand";
import { ArgumentError, ShapeError } from "../errors";
import { showShape } from "../tensor/shape";
import { keep } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { type Layout, TO_TORCH } from "./state";

/** What a tensor is to the module that holds it. */
export interface Registration {
  readonly kind: "parameter" | "buffer";
  readonly layout: Layout;
}

const registered = new WeakMap<Tensor, Registration>();

/** What a tensor was registered as; undefined where it was not. */
export const registrationOf = (t: Tensor): Registration | undefined => registered.get(t);

/**
 * Makes a tensor a trained parameter of the module it is a property of. It then lives until the
 * module is disposed.
 * @throws ShapeError unless it is f32 and of the layout's rank; ArgumentError when it was computed
 * from others; LifetimeError for one that is disposed of.
 */
export function parameter(t: Tensor, layout: Layout = "same"): Tensor {
  checkRegistered("parameter", t, layout);
  if (t.dtype !== "f32")
    throw new ShapeError(`parameter: an f32 tensor expected, found ${t.dtype} ${showShape(t.shape)}: use buffer()`);
  if (!t.isLeaf)
    throw new ArgumentError(
      `parameter: the tensor ${showShape(t.shape)} was computed from trained ones: register those, or detach() it`,
    );
  t.requiresGrad = true;
  registered.set(keep(t), { kind: "parameter", layout });
  return t;
}

/**
 * Makes a tensor part of a module's state without training it: running statistics, passports.
 * @throws ShapeError when it has not the layout's rank; LifetimeError for one that is disposed of.
 */
export function buffer(t: Tensor, layout: Layout = "same"): Tensor {
  checkRegistered("buffer", t, layout);
  registered.set(keep(t), { kind: "buffer", layout });
  return t;
}

function checkRegistered(what: string, t: Tensor, layout: Layout): void {
  instance(what, "its first argument", t, Tensor);
  // One that is gone says so here, and not in the middle of a training.
  void t.buffer;
  if (layout === "same") return;
  if (typeof layout !== "string" || !Object.hasOwn(TO_TORCH, layout))
    refuse(what, "layout", `"same" or one of ${Object.keys(TO_TORCH).join(", ")}`, layout);
  const { length } = TO_TORCH[layout];
  if (t.rank !== length)
    throw new ShapeError(`${what}: layout "${layout}" is of ${length} dimensions, the tensor is ${showShape(t.shape)}`);
}
