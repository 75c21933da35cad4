/** Modules as texts. */
import type { Pair } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";
import { titleOf } from "./contents";
import type { ModulePlace, Visitor } from "./traversal";

const INDENT = "  ";

/**
 * A module as a tree, a line a module: names, classes, options, and how many trained numbers there
 * are in each, those held twice counted once. Shapes tell all of it; nothing is read from the GPU.
 */
export class TreePrinter<M extends object> implements Visitor<M> {
  /** The modules that are not yet left, the innermost last. */
  readonly #open: { lines: string[]; parameters: Set<Tensor> }[] = [{ lines: [], parameters: new Set() }];
  readonly #describe: (module: M) => string;

  /** @param describe options of one module in one line */
  constructor(describe: (module: M) => string) {
    this.#describe = describe;
  }

  module(): void {
    this.#open.push({ lines: [], parameters: new Set() });
  }

  tensor(tensor: Tensor, { kind }: { readonly kind: string }): void {
    if (kind === "parameter") this.#top.parameters.add(tensor);
  }

  leave(module: M, { name, parent }: ModulePlace<M>): void {
    const { lines, parameters } = this.#open.pop()!;
    const options = this.#describe(module);
    const title = `${parent && name ? `(${name}): ` : ""}${titleOf(module)}(${options}`;
    const end = `)${parent ? counted("   ", parameters, "") : counted(" ", parameters, " parameters")}`;
    const { lines: above, parameters: all } = this.#top;
    if (lines.length) above.push(title + (options && ":"), ...lines.map((line) => INDENT + line), end);
    else above.push(title + end);
    for (const p of parameters) all.add(p);
  }

  toString(): string {
    return this.#top.lines.join("\n");
  }

  get #top() {
    return this.#open[this.#open.length - 1]!;
  }
}

/** How many numbers parameters have in all, and how many of these are frozen or gone. */
function counted(before: string, parameters: ReadonlySet<Tensor>, unit: string): string {
  if (!parameters.size) return "";
  const of = (list: readonly Tensor[]) => list.reduce((n, p) => n + p.size, 0).toLocaleString("en-US");
  const all = [...parameters];
  const frozen = all.filter((p) => !p.requiresGrad);
  const parts = [of(all) + unit];
  if (frozen.length) parts.push(frozen.length < all.length ? `${of(frozen)} frozen` : "frozen");
  if (all.some((p) => p.isDisposed)) parts.push("disposed");
  return before + parts.join(", ");
}

/**
 * Numbers, texts and set flags among a module's own properties: what a layer says of itself unless
 * it knows better.
 */
export function scalarsOf(module: object): string {
  const told = (key: string, value: unknown): string[] => {
    if (key === "training") return [];
    if (typeof value === "number" || typeof value === "string") return [`${key} ${value}`];
    return value === true ? [key] : [];
  };
  return Object.entries(module)
    .flatMap(([key, value]) => told(key, value))
    .join(", ");
}

/** A size of one axis, or of both: 2, 5×3. */
export const times = (size: Pair | readonly number[] | string): string =>
  Array.isArray(size) ? size.join("×") : String(size);
