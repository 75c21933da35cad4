import { flag, refuse } from "../demand";
import { ArgumentError } from "../errors";
import { listed, shown } from "../io/shown";
import type { Tensor } from "../tensor/tensor";

/**
 * Which parameters of a module. A text is the name of a parameter, or of a module for all below it,
 * and `*` in it stands for any characters, dots too: `"features.0"`, `"*.bias"`. A regular
 * expression is looked for in whole names. A function says yes or no to each.
 */
export type ParameterFilter = string | RegExp | ((name: string, parameter: Tensor) => boolean);

/**
 * The parameters that a filter means; all without one.
 * @throws ArgumentError for what is no filter, and for one that means none of them, with their
 * names.
 */
export function selected(
  what: string,
  named: readonly (readonly [name: string, parameter: Tensor])[],
  filter: ParameterFilter | undefined,
): Tensor[] {
  if (filter === undefined) return named.map(([, t]) => t);
  const takes = predicate(what, filter);
  const chosen = named.filter(([name, t]) => takes(name, t)).map(([, t]) => t);
  if (chosen.length) return chosen;
  const names = listed(named.map(([name]) => name));
  const found = filter instanceof RegExp ? clipped(filter) : shown(filter);
  throw new ArgumentError(`${what}: ${found} means no parameter of this module; its parameters are ${names}`);
}

const clipped = (filter: RegExp): string => shown(String(filter)).slice(1, -1);

/**
 * Whether names are what a text means: itself, everything below it, and with `*` in it any
 * characters there, dots too.
 */
export function means(text: string): (name: string) => boolean {
  const parts = text.split("*").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  const pattern = new RegExp(`^${parts.join(".*")}(?:\\.|$)`, "s");
  return (name) => pattern.test(name);
}

function predicate(what: string, filter: ParameterFilter): (name: string, t: Tensor) => boolean {
  if (typeof filter === "string") return means(filter);
  // search() starts at the front whatever the expression's flags and last index.
  if (filter instanceof RegExp) return (name) => name.search(filter) >= 0;
  const expected = "a name, a regular expression or a function";
  if (typeof filter !== "function") return refuse(what, "which", expected, filter);
  // Classes have a prototype that nobody can exchange, functions another or none.
  if (Object.getOwnPropertyDescriptor(filter, "prototype")?.writable === false)
    refuse(
      what,
      "which",
      expected,
      filter,
      `find(${filter.name}) gives the modules of a class, to be frozen one by one`,
    );
  return (name, t) => flag(what, "what its function returns", filter(name, t));
}
