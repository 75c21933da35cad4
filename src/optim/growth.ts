import type { Device } from "../gpu/device";
import { liveTensors } from "../tensor/storage";

/** Steps in a row that must each leave tensors behind. */
export const STEPS = 50;
/** How many at least: a loop that keeps one number per step to look at later is well. */
const LEFT = 3;

let warned = false;

/**
 * Warns, once, of a training loop that frees nothing: from optimiser step to optimiser step there
 * are more live tensors, `STEPS` times in a row. A few steps prove nothing, as a loop may set
 * something up; a steady one leaves none.
 */
export class GrowthWatch {
  #last = Number.POSITIVE_INFINITY;
  #first = 0;
  #steps = 0;

  /** Is told of every optimiser step. */
  step({ leakWarning }: Pick<Device, "leakWarning">): void {
    if (warned || !leakWarning) return;
    const tensors = liveTensors();
    if (tensors < this.#last + LEFT) [this.#steps, this.#first] = [0, tensors];
    this.#last = tensors;
    if (this.#steps++ < STEPS) return;
    warned = true;
    const left = Math.round((tensors - this.#first) / STEPS);
    console.warn(
      `${STEPS} optimiser steps in a row left about ${left} tensors each alive, ${tensors} by now, and memory grows with them: run each step in scope(() => { … }), which frees what is made inside, and keep() what must outlive it (docs/training.md). This is said once; init({ leakWarning: false }) never says it`,
    );
  }
}

/** For tests: the next leak is told of again. */
export function forgetWarning(): void {
  warned = false;
}
