import { callable, flag, objectOf, optionsOf, refuse } from "../demand";
import { disposal } from "../disposal";
import { ArgumentError, PanError } from "../errors";
import type { Device } from "../gpu/device";
import { device } from "../gpu/init";
import type { StateDict } from "../io/host-tensor";
import { isPlain } from "../io/shown";
import { Tensor } from "../tensor/tensor";
import { type Content, titleOf } from "./contents";
import { scalarsOf, TreePrinter } from "./print";
import type { Registration } from "./registration";
import { type ParameterFilter, selected } from "./select";
import { checkStateDict } from "./state";
import { type HostState, type LoadReport, loadState, readState, type State } from "./state-dict";
import { type Child, contentsOfModule, type Visitor, visit } from "./traversal";

/** What {@link Module.children} gives of each: its name, itself, and the mark behind the name. */
export type ModuleChild = Child<Module>;

/** A visitor of modules, see {@link Module.visit}. */
export type ModuleVisitor = Visitor<Module>;

const STOPS = ["module", "tensor", "leave"] as const;

/**
 * Modules and registered tensors that a module holds in its properties, whether or not it calls
 * them its children.
 */
export const partsOf = (m: Module): Content<Module | Tensor>[] => contentsOfModule(m, Module);

/**
 * A part of a network: owns parameters, buffers and further modules as properties, in PyTorch's
 * way. State-dict names are property names, in snake_case, joined by dots.
 *
 * Parts may also lie in arrays, plain objects and maps with string keys, at any depth: `name.0`,
 * `name.key`. A part under two names (tied weights) is trained once and has both in state dicts.
 * `#private` fields cannot be seen: what they hold is no part of the module, and a trainer refuses
 * a network whose loss depends on parameters there.
 *
 * @throws ArgumentError, when its parts are asked for, where one has no name of its own: in a
 * `Set`, under a key with a dot, two under one name (`fooBar` and `foo_bar`), or in a module that
 * holds itself; and where a property hides a method of this class.
 */
export abstract class Module {
  /** True while training: batch norm uses batch statistics, dropout drops. */
  training = true;

  /**
   * Child modules by name: those in properties, and in arrays, plain objects and maps there.
   * Override it to give other names; every module that a property holds must stay among them, or
   * below one. A third entry "_" stands between its name and its tensors' in the place of a dot.
   */
  *children(): Iterable<ModuleChild> {
    for (const { name, value } of partsOf(this)) if (value instanceof Module) yield [name, value];
  }

  /**
   * Registered tensors of this module alone, by name: those in properties, and in arrays, plain
   * objects and maps there. Override it to give other names; every registered tensor that a
   * property holds must stay among them.
   */
  *tensors(): Iterable<[name: string, tensor: Tensor]> {
    for (const { name, value } of partsOf(this)) if (value instanceof Tensor) yield [name, value];
  }

  /**
   * Takes a visitor through this module and all that is below it: at each module, then at its own
   * tensors, then its children. A part that is held in several places is met in each. The parts are
   * all found before the first is visited.
   *
   * @example
   * net.visit({ tensor: (t, { path, parent, kind }) => console.log(path, kind, t.shape, parent.training) });
   */
  visit(visitor: ModuleVisitor): void {
    objectOf("visit", "a visitor { module?, tensor?, leave? }", visitor);
    // A visitor of a class has properties of its own.
    if (isPlain(visitor)) optionsOf("visit", visitor, STOPS);
    for (const stop of STOPS) if (visitor[stop] !== undefined) callable("visit", stop, visitor[stop]);
    visit<Module>(this, Module, visitor);
  }

  /**
   * This module, under the name "", and all modules below it. A module that is held in several
   * places stands under the name of each.
   */
  namedModules(): [name: string, module: Module][] {
    const found: [string, Module][] = [];
    this.visit({ module: (module, { path }) => void found.push([path, module]) });
    return found;
  }

  /** Tensors of this module and its children by state-dict name, parameters and buffers. */
  namedTensors(prefix = ""): [name: string, tensor: Tensor, registration: Registration][] {
    const found: [string, Tensor, Registration][] = [];
    this.visit({
      tensor: (tensor, at) => {
        const name = this.stateName(at.path);
        if (name !== null) found.push([prefix + name, tensor, at]);
      },
    });
    return found;
  }

  /** Parameters by state-dict name, tied ones under each of theirs, frozen ones too. */
  namedParameters(): [name: string, parameter: Tensor][] {
    return this.namedTensors().flatMap(([name, t, { kind }]) => (kind === "parameter" ? [[name, t]] : []));
  }

  /** Parameters, each once, frozen ones too. */
  parameters(): Tensor[] {
    return [...new Set(this.namedParameters().map(([, t]) => t))];
  }

  /**
   * How many numbers the parameters are, each counted once.
   * @param options.trainable count those alone that are not frozen (default false)
   */
  parameterCount(options?: { trainable?: boolean }): number {
    const { trainable = false } = optionsOf("parameterCount", options, ["trainable"]);
    flag("parameterCount", "trainable", trainable);
    return this.parameters().reduce((n, p) => n + (trainable && !p.requiresGrad ? 0 : p.size), 0);
  }

  /**
   * The modules of a class, this one included, with their names; none where there is none.
   *
   * @example
   * for (const [name, norm] of net.find(BatchNorm)) norm.freeze().eval();
   * @throws ArgumentError for what is no class.
   */
  find<T extends Module>(of: { readonly prototype: T; readonly name: string }): [name: string, module: T][] {
    if (typeof of !== "function" || !(of as typeof Module).prototype)
      refuse("find", "its argument", "a class of modules", of);
    return this.namedModules().filter((found): found is [string, T] => found[1] instanceof (of as never));
  }

  /**
   * Stops the training of parameters here and below, all or those that `which` means: no gradient
   * is computed towards them, the one they have is freed, and optimisers pass them over. Running
   * statistics of norms are no parameters, and move until their norm is in `eval()`.
   *
   * @example
   * net.freeze("features").unfreeze("*.bias");
   * @throws ArgumentError for names, patterns and functions that mean no parameter, saying which
   * there are.
   */
  freeze(which?: ParameterFilter): this {
    for (const p of selected("freeze", this.namedParameters(), which)) {
      p.requiresGrad = false;
      p.zeroGrad();
    }
    return this;
  }

  /**
   * Trains parameters again, all or those that `which` means.
   * @throws ArgumentError as {@link freeze}.
   */
  unfreeze(which?: ParameterFilter): this {
    for (const p of selected("unfreeze", this.namedParameters(), which)) p.requiresGrad = true;
    return this;
  }

  /**
   * The name in this module's state dict of what stands at a path below it; null leaves it out.
   * Override it where a network's files have names of their own.
   */
  protected stateName(path: string): string | null {
    return path;
  }

  /** Host-side state of this module alone; override where there is some. */
  protected hostState(): Record<string, HostState> {
    return {};
  }

  /** Sets training mode here and below. */
  train(on = true): this {
    flag("train", "its argument", on);
    this.visit({
      module: (module) => {
        module.training = on;
      },
    });
    return this;
  }

  /** Sets evaluation mode here and below: `train(false)`. Gradients are computed as before. */
  eval(): this {
    return this.train(false);
  }

  /**
   * Frees the gradient of every parameter here and below; the next one is stored, not added.
   */
  zeroGrad(): void {
    for (const p of this.parameters()) p.zeroGrad();
  }

  /** Every tensor of the module, as it is now, read back and put into PyTorch's order. */
  async stateDict(): Promise<StateDict> {
    return readState(this.#state());
  }

  /**
   * Takes values from a state dict in PyTorch's order.
   * @param options.strict Throw when names are missing or unexpected (default true); otherwise
   * report them.
   * @throws StateDictError naming every missing and unexpected name, the first tensor of another
   * shape or with values that this module cannot hold, or two names of one tensor with values that
   * differ; ArgumentError for what is no state dict. Nothing is changed then.
   */
  loadStateDict(dict: StateDict, options?: { strict?: boolean }): LoadReport {
    checkStateDict(dict);
    const { strict = true } = optionsOf("loadStateDict", options, ["strict"]);
    flag("loadStateDict", "strict", strict);
    const report = loadState(this.#state(), dict, strict);
    for (const module of new Set(this.namedModules().map(([, m]) => m))) module.loaded();
    return report;
  }

  /**
   * Called here and below after a state dict was loaded: drop what was derived from the old values.
   */
  protected loaded(): void {}

  /** Frees everything at the end of a block: `using model = new MyNet()`. */
  [disposal](): void {
    this.dispose();
  }

  /** Frees every parameter, gradient and buffer, here and below. */
  dispose(): void {
    // All are named before any is gone: a module that cannot be gone through is found whole.
    const tensors = this.namedTensors();
    for (const [, child] of this.children()) child.dispose();
    for (const [, t] of tensors) t.dispose();
  }

  /**
   * The layer's options in one line, for {@link toString}: `3 → 64, kernel 5×5`. By default the
   * numbers, texts and set flags among its properties, and nothing where there are children to be
   * shown.
   */
  protected describe(): string {
    const [child] = this.children();
    return child ? "" : scalarsOf(this);
  }

  /**
   * The module as a tree: names, classes, options, numbers of parameters. Nothing is read from the
   * GPU.
   */
  toString(): string {
    const printer = new TreePrinter<Module>((module) => module.describe());
    try {
      this.visit(printer);
      return printer.toString();
    } catch (error) {
      // Whoever looks at a module that cannot be gone through wants to be told why.
      if (error instanceof PanError) return `${titleOf(this)}(): ${error.message}`;
      throw error;
    }
  }

  /** What `console.log` shows in Node. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** Everything that state dicts hold, by name. */
  #state(): State {
    const tensors = new Map(this.namedTensors().map(([name, tensor, { layout }]) => [name, { tensor, layout }]));
    const host = new Map<string, HostState>();
    const add = (module: Module, prefix: string) => {
      for (const [key, state] of Object.entries(module.hostState())) {
        const name = this.stateName(prefix + key);
        if (name === null) continue;
        if (tensors.has(name) || host.has(name))
          throw new ArgumentError(`${titleOf(module)}: two of its states are "${name}": rename the property`);
        host.set(name, state);
      }
    };
    this.visit({ module: (module, { prefix }) => add(module, prefix) });
    return { tensors, host };
  }
}

/** The device that a module's tensors live on; the current one where it has none. */
export function deviceOf(module: Module): Device {
  const [first] = module.namedTensors();
  return first ? first[1].device : device();
}
