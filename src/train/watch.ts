import { get } from "../nn/contents";
import { type Module, partsOf } from "../nn/module";
import { Tensor } from "../tensor/tensor";

/**
 * What a module was at one time, apart from the numbers in its tensors: every property of every
 * module below it, what their collections hold, and which tensors are trained. A step that ran
 * under the same gives the same commands again.
 */
export class Watch {
  readonly #seen: (readonly [holder: object, key: PropertyKey, value: unknown])[] = [];

  constructor(root: Module) {
    for (const module of new Set(root.namedModules().map(([, m]) => m))) {
      for (const [key, value] of Object.entries(module)) this.#seen.push([module, key, value]);
      for (const { holder, key, value } of partsOf(module)) {
        if (value instanceof Tensor) this.#seen.push([value, "requiresGrad", value.requiresGrad]);
        if (holder === module) continue;
        this.#seen.push([holder, key, value]);
        if (Array.isArray(holder)) this.#seen.push([holder, "length", holder.length]);
      }
    }
  }

  /** Whether it is all as it was. */
  holds(): boolean {
    return this.#seen.every(([holder, key, value]) => Object.is(get(holder, key), value));
  }
}
