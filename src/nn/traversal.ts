/**
 * The one way through modules: all that counts, names, freezes, saves, prints or frees what a
 * network holds goes it.
 */
import { ArgumentError } from "../errors";
import { Tensor } from "../tensor/tensor";
import { type Content, contentsOf, titleOf } from "./contents";
import { type Registration, registrationOf } from "./registration";

/** Where a module stands in a walk. */
export interface ModulePlace<M> {
  /** Names from the root, joined by dots; "" for the root itself. */
  readonly path: string;
  /** The last of them. */
  readonly name: string;
  /** The module it is a child of; null for the root. */
  readonly parent: M | null;
  /** What the names of its parts begin with: "" for the root, else the path and a mark. */
  readonly prefix: string;
}

/** Where a registered tensor stands in a walk, and as what. */
export interface TensorPlace<M> extends Registration {
  /** Its name in the root's state dict. */
  readonly path: string;
  /** The module that holds it. */
  readonly parent: M;
}

/** What is done at each stop of a walk. */
export interface Visitor<M> {
  /** At each module, before what it holds. */
  module?(module: M, at: ModulePlace<M>): void;
  /** At each parameter and buffer of the module at hand, before those of its children. */
  tensor?(tensor: Tensor, at: TensorPlace<M>): void;
  /** At each module, after what it holds. */
  leave?(module: M, at: ModulePlace<M>): void;
}

/**
 * A module that another holds, and what stands between its name and those of its own parts: a dot,
 * or "_" where a state dict has `in_proj_weight` for the weight of `in_proj`.
 */
export type Child<M> = [name: string, child: M, mark?: "." | "_"];

interface Parent<M> {
  children(): Iterable<Child<M>>;
  tensors(): Iterable<[string, Tensor]>;
}

/** The class of all modules, with the `children()` of those that give none of their own. */
interface Base<M> {
  readonly prototype: M;
}

/**
 * Modules and registered tensors that a module holds in its properties, whether or not it calls
 * them its children.
 */
export const contentsOfModule = <M extends object>(module: M, base: Base<M>): Content<M | Tensor>[] =>
  contentsOf(module, (value): value is M | Tensor =>
    value instanceof Tensor ? registrationOf(value) !== undefined : value instanceof (base as never),
  );

/**
 * Takes a visitor through a module and all that is below it, parents first. What is held in several
 * places is met in each.
 * @throws ArgumentError, before the first stop, for a module that holds itself, names that are no
 * names or stand twice, properties that hide methods of every module, and a module that an
 * overridden `children()` leaves out: it would neither be trained nor saved.
 */
export function visit<M extends Parent<M>>(root: M, base: Base<M>, visitor: Visitor<M>): void {
  walk(checked(root, base), visitor);
}

/** A module with what it holds, as it was when it was looked at. */
interface Stop<M> {
  readonly module: M;
  readonly at: ModulePlace<M>;
  readonly contents: readonly Content<M | Tensor>[];
  readonly tensors: readonly [name: string, tensor: Tensor][];
  readonly below: readonly Stop<M>[];
}

function walk<M>({ module, at, tensors, below }: Stop<M>, visitor: Visitor<M>): void {
  visitor.module?.(module, at);
  if (visitor.tensor)
    for (const [name, tensor] of tensors)
      visitor.tensor(tensor, { path: at.prefix + name, parent: module, ...registrationOf(tensor)! });
  for (const stop of below) walk(stop, visitor);
  visitor.leave?.(module, at);
}

function checked<M extends Parent<M>>(root: M, base: Base<M>): Stop<M> {
  const above = new Map<M, string>();
  const all = new Set<M>();
  const look = (module: M, at: ModulePlace<M>): Stop<M> => {
    const seen = above.get(module);
    if (seen !== undefined)
      throw new ArgumentError(
        `${titleOf(root)}: ${at.path} leads back to ${seen || "the module itself"}, and a module cannot be part of itself: keep such a reference in a #private field`,
      );
    above.set(module, at.path);
    all.add(module);
    checkMethods(module, at, base);
    const contents = contentsOfModule(module, base);
    const held = contents.flatMap(({ name, value }): Child<M>[] => (value instanceof Tensor ? [] : [[name, value]]));
    const names = new Set<string>();
    const below: Stop<M>[] = [];
    for (const [name, child, mark = "."] of module.children === base.prototype.children ? held : module.children()) {
      if (names.has(name)) throw new ArgumentError(`${titleOf(module)}: children() gives the name "${name}" twice`);
      names.add(name);
      // A child without a name of its own stands where its parent does.
      const [path, prefix] = name === "" ? [at.path, at.prefix] : [at.prefix + name, at.prefix + name + mark];
      below.push(look(child, { path, name, parent: module, prefix }));
    }
    above.delete(module);
    const own = contents.flatMap(({ name, value }): [string, Tensor][] =>
      value instanceof Tensor ? [[name, value]] : [],
    );
    const tensors = module.tensors === base.prototype.tensors ? own : [...module.tensors()];
    checkTensors(module, at, own, tensors);
    return { module, at, contents, tensors, below };
  };
  const tree = look(root, { path: "", name: "", parent: null, prefix: "" });
  checkNamed(tree, all);
  return tree;
}

function checkNamed<M extends object>({ module, at, contents, below }: Stop<M>, all: ReadonlySet<unknown>): void {
  const lost = contents.find(({ value }) => !(value instanceof Tensor) && !all.has(value));
  if (lost)
    throw new ArgumentError(
      `${titleOf(module)}${at.path && ` at ${at.path}`}: its children() leaves out ${lost.name}, which would neither be trained nor saved: name it there, or keep it in a #private field`,
    );
  for (const stop of below) checkNamed(stop, all);
}

/** A property that is no function, called as a method of every module is, hides that. */
function checkMethods<M extends object>(module: M, at: ModulePlace<M>, { prototype }: Base<M>): void {
  const isMethod = (of: M, key: string) => key !== "constructor" && typeof of[key as keyof M] === "function";
  const hidden = Object.keys(module).find((key) => isMethod(prototype, key) && !isMethod(module, key));
  if (hidden !== undefined)
    throw new ArgumentError(
      `${titleOf(module)}${at.path && ` at ${at.path}`}: its property ${hidden} hides the method ${hidden}() of every module: rename the property`,
    );
}

/**
 * What an overridden `tensors()` gives: all that the module holds, registered, each under a name of
 * its own.
 */
function checkTensors<M extends object>(
  module: M,
  at: ModulePlace<M>,
  own: readonly [string, Tensor][],
  named: readonly [string, Tensor][],
): void {
  if (named === own) return;
  const what = `${titleOf(module)}${at.path && ` at ${at.path}`}: its tensors()`;
  const all = new Set(named.map(([, t]) => t));
  const lost = own.find(([, t]) => !all.has(t));
  if (lost)
    throw new ArgumentError(`${what} leaves out ${lost[0]}, which would neither be trained nor saved: name it there`);
  const names = new Set<string>();
  for (const [name, t] of named) {
    if (names.has(name)) throw new ArgumentError(`${what} gives the name "${name}" twice`);
    names.add(name);
    if (!registrationOf(t))
      throw new ArgumentError(`${what} gives ${name}, which is neither a parameter nor a buffer: register it`);
  }
}
