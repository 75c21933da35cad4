import { get } from "../nn/contents";
import { type Module, partsOf } from "../nn/module";

/**
 * What a module was at one time, apart from the numbers in its tensors: every property of every
 * module below it, what their collections hold, and which tensors are trained. A step that ran
 * under the same gives the same commands again.
 */
export class Watch {
  readonly #seen: (readonly [holder: object, key: PropertyKey, value: unknown])[] = [];

  constructor(root: Module) {
    root.visit({
      module: (module) => this.#look(module),
      tensor: (tensor) => void this.#seen.push([tensor, "requiresGrad", tensor.requiresGrad]),
    });
  }

  #look(module: Module): void {
    for (const [key, value] of Object.entries(module)) this.#seen.push([module, key, value]);
    for (const { holder, key, value } of partsOf(module)) {
      if (holder === module) continue;
      this.#seen.push([holder, key, value]);
      if (Array.isArray(holder)) this.#seen.push([holder, "length", holder.length]);
    }
  }

  /** Whether it is all as it was. */
  holds(): boolean {
    return this.#seen.every(([holder, key, value]) => Object.is(get(holder, key), value));
  }
}
