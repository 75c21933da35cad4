import { isPlain } from "../io/shown";
import { get } from "../nn/contents";
import { type Module, partsOf } from "../nn/module";

/** Entries of a module's collections that are looked at: data may lie there too, by the million. */
const MOST = 1000;

/** In the place of a key: how many entries there are. */
const COUNT = Symbol("count");

/**
 * What a module was at one time, apart from the numbers in its tensors: every property of every
 * module below it, what lists, plain objects and maps there hold, and which tensors are trained. A
 * step that ran under the same gives the same commands again. `#private` fields, and those of other
 * objects, cannot be seen.
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
    const collections = new Set<object>([module]);
    let room = MOST;
    // What is found on the way is looked at in its turn.
    for (const holder of collections) {
      this.#seen.push([holder, COUNT, countOf(holder)]);
      for (const [key, value] of entriesOf(holder)) {
        if (holder !== module && room-- <= 0) break;
        this.#seen.push([holder, key as PropertyKey, value]);
        if (Array.isArray(value) || value instanceof Map || isPlain(value)) collections.add(value);
      }
    }
    for (const { holder, key, value } of partsOf(module)) this.#seen.push([holder, key, value]);
  }

  /** Whether it is all as it was. */
  holds(): boolean {
    return this.#seen.every(([holder, key, value]) =>
      Object.is(key === COUNT ? countOf(holder) : get(holder, key), value),
    );
  }
}

const entriesOf = (holder: object): Iterable<[unknown, unknown]> =>
  Array.isArray(holder) ? holder.entries() : holder instanceof Map ? holder : Object.entries(holder);

const countOf = (holder: object): number =>
  Array.isArray(holder) ? holder.length : holder instanceof Map ? holder.size : Object.keys(holder).length;
