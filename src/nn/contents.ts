import { ArgumentError } from "../errors";
import { isPlain } from "../io/shown";

/** A part that an object holds, in a property or in collections below one. */
export interface Content<P> {
  /** In state dicts: `name`, `name.0`, `name.key`. */
  readonly name: string;
  readonly value: P;
  /** What holds it, and where in that: with {@link get} the part that is there now. */
  readonly holder: object;
  readonly key: PropertyKey;
}

/** What is at a key of an object, an array or a map now. */
export const get = (holder: object, key: unknown): unknown =>
  holder instanceof Map ? holder.get(key) : (holder as Record<PropertyKey, unknown>)[key as PropertyKey];

/** State-dict name of a property. */
const snake = (key: string) => key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/**
 * The parts an object holds in its own properties, and in arrays, plain objects and maps there, at
 * any depth; each under the name that state dicts give it. Properties are in snake_case there, keys
 * of objects and maps as they are. What other objects hold, and `#private` fields, cannot be seen
 * from outside.
 *
 * @throws ArgumentError for parts without a name of their own: in a `Set`, under a key that is a
 * symbol, an object or holds a dot, or two under one name.
 */
export function contentsOf<P extends object>(owner: object, isPart: (value: unknown) => value is P): Content<P>[] {
  const found: Content<P>[] = [];
  const paths = new Map<string, string>();
  /** Collections without parts, and those that the one at hand lies in. */
  const [barren, above] = [new Set<object>(), new Set<object>()];

  const add = (value: P, holder: object, key: PropertyKey, name: string, path: string, fault: string | null) => {
    if (fault) throw new ArgumentError(`${titleOf(owner)}: ${path} has no name in state dicts: ${fault}`);
    const other = paths.get(name);
    if (other !== undefined)
      throw new ArgumentError(
        `${titleOf(owner)}: ${other} and ${path} are both "${name}" in state dicts, one of them would be lost: rename one`,
      );
    paths.set(name, path);
    found.push({ name, value, holder, key });
  };
  const visit = (
    value: unknown,
    holder: object,
    key: PropertyKey,
    name: string,
    path: string,
    fault: string | null,
  ) => {
    if (typeof value !== "object" || value === null) return;
    if (isPart(value)) return add(value, holder, key, name, path, fault);
    if (barren.has(value) || above.has(value)) return;
    above.add(value);
    const before = found.length;
    for (const [k, v, at, own] of entriesOf(value)) visit(v, value, k, `${name}.${String(k)}`, path + at, fault ?? own);
    above.delete(value);
    if (found.length === before) barren.add(value);
  };

  for (const key of Reflect.ownKeys(owner)) {
    if (!Object.prototype.propertyIsEnumerable.call(owner, key)) continue;
    const name = typeof key === "symbol" ? key.toString() : snake(key);
    visit(get(owner, key), owner, key, name, String(key), faultOf(key));
  }
  return found;
}

type Entry = readonly [key: PropertyKey, value: unknown, path: string, fault: string | null];

/** What a collection holds; nothing where an object is none. */
function* entriesOf(value: object): Iterable<Entry> {
  if (Array.isArray(value)) {
    // Data may lie there too, by the million.
    for (let i = 0; i < value.length; i++) if (typeof value[i] === "object") yield [i, value[i], `[${i}]`, null];
  } else if (value instanceof Map)
    for (const [k, v] of value) yield [k as PropertyKey, v, `.get(${keyText(k)})`, faultOf(k)];
  else if (value instanceof Set)
    for (const v of value) yield ["", v, " (a Set)", "entries of a Set have none; use an array or a Map"];
  else if (isPlain(value))
    for (const key of Reflect.ownKeys(value)) yield [key, get(value, key), `.${String(key)}`, faultOf(key)];
}

const keyText = (key: unknown) => (typeof key === "string" ? JSON.stringify(key) : typeof key);

/** Why a key cannot be part of a name; null where it can. */
function faultOf(key: unknown): string | null {
  if (Number.isSafeInteger(key)) return null;
  if (typeof key !== "string") return `its key is a ${typeof key}; use a string`;
  if (key === "") return "its key is empty";
  return key.includes(".") ? "its key holds a dot, which separates names" : null;
}

/** What messages call an object. */
export const titleOf = (owner: object): string => owner.constructor?.name || "a module";
