import type { Normaliser } from "../tensor/ops/norm/normalise";
import { refuseAsync } from "../tensor/storage";
import type { Tensor } from "../tensor/tensor";
import type { Module } from "./module";

/**
 * What somebody outside a network does at its layers during one forward pass: run a norm otherwise,
 * look at what goes into linear maps, collect losses. The network's code knows nothing of it.
 */
export interface Pass {
  /** In the place of a norm's own computation; undefined leaves it to the norm. */
  normalise?(norm: Module, x: Tensor, normaliser: Normaliser): Tensor | undefined;
  /** Sees the input and the output of a convolution or a fully connected layer. */
  mapped?(map: Module, x: Tensor, y: Tensor): void;
  /** Takes what {@link penalise} is given. */
  penalise?(values: Tensor): void;
}

let current: Pass | null = null;

/** The pass that runs now, if one does. */
export const currentPass = (): Pass | null => current;

/**
 * Runs `body`, in which layers ask `pass`.
 * @throws ArgumentError when it is asynchronous: layers behind its first `await` would not.
 */
export function duringPass<T>(pass: Pass, body: () => T): T {
  const before = current;
  current = pass;
  try {
    const result = body();
    refuseAsync("a forward pass", result);
    return result;
  } finally {
    current = before;
  }
}

/**
 * Adds something of a network's own to its training loss: the mean over the batch of `values`, one
 * number per sample (a distance from orthogonality, a balance between experts). Call it in
 * `forward`; a trainer collects it, for each branch by itself, and elsewhere it does nothing.
 * Shape: [N].
 */
export function penalise(values: Tensor): void {
  current?.penalise?.(values);
}
