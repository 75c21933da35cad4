import { callable, instance, refuse } from "../demand";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";
import type { RandomStream } from "../tensor/ops/random";
import { passing } from "../tensor/recorded-gradients";
import { notingDraws, rerun } from "../tensor/rerun";
import { showShape } from "../tensor/shape";
import { scope } from "../tensor/storage";
import { isRecording, record, type Seen, Tensor, withGrad, withoutGraph } from "../tensor/tensor";
import { withMode } from "./mode";
import { Module } from "./module";
import { currentPass, duringPass, type Pass } from "./pass";

/** A module whose pass gives one tensor. */
export type Computed = Module & { forward(...given: never[]): Tensor };

/**
 * y = module(x, …), of which the graph keeps the inputs alone: what the backward pass needs besides
 * is computed again when it comes there, by a second forward pass through the module. Memory of a
 * step falls by the activations within, and the module's forward pass is paid for twice. Values and
 * gradients are the same.
 *
 * The second pass is what the first was: training or evaluation mode, random masks (dropout,
 * `RandomStream`), several branches at once. Running statistics move once. What the module draws
 * itself in JavaScript must come out the same both times. Under `noGrad` it is a plain call.
 *
 * Source: Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost", 2016.
 *
 * @param module whose `forward` gives one tensor
 * @param given what its `forward` takes; tensors among them have gradients
 * @throws ArgumentError for another module or result; for passports or a `penalise` inside, whose
 * losses leave the module beside its result; for a tensor with a graph that the module does not get
 * as an input.
 *
 * @example
 * forward(x: Tensor): Tensor {
 *   for (const block of this.blocks) x = recompute(block, x);
 *   return this.head(x);
 * }
 */
export function recompute<M extends Computed>(module: M, ...given: Parameters<M["forward"]>): Tensor {
  instance("recompute", "module", module, Module as never);
  callable("recompute", "module.forward", (module as Computed).forward);
  return recomputed(module, module.forward.bind(module) as Forward, given);
}

/**
 * Runs `body`, in which passes through these modules are {@link recompute}d.
 * @throws as recompute; ArgumentError for a module whose forward `body` does not run.
 */
export function recomputing<T>(modules: readonly Module[], body: () => T): T {
  const held = modules.map((module) => [module, Object.getOwnPropertyDescriptor(module, "forward")] as const);
  const idle = new Set(modules);
  for (const [module] of held) {
    callable("recompute", "module.forward", (module as Computed).forward);
    const forward = (module as Computed).forward.bind(module) as Forward;
    Object.defineProperty(module, "forward", {
      configurable: true,
      value: (...given: unknown[]) => {
        idle.delete(module);
        return recomputed(module, forward, given);
      },
    });
  }
  try {
    const result = body();
    for (const module of idle)
      throw new ArgumentError(
        `recompute: modules that the pass runs by their forward expected, and ${shown(module)} was not run, or by another method: name what is around it, or leave it out`,
      );
    return result;
  } finally {
    for (const [module, own] of held) {
      if (own) Object.defineProperty(module, "forward", own);
      else Reflect.deleteProperty(module, "forward");
    }
  }
}

type Forward = (...given: readonly unknown[]) => Tensor;

function recomputed(module: Module, forward: Forward, given: readonly unknown[]): Tensor {
  if (!isRecording()) return forward(...given);
  const inputs = given.filter((x) => x instanceof Tensor);
  const leaves = new Set<Tensor>();
  const used = new Set<Tensor>(module.namedTensors().map(([, t]) => t));
  const exact = new Set<Tensor>();
  const before = new Map([...used].map((t) => [t, t.version]));
  const see: Seen = (seen, kept) => {
    for (const t of kept) exact.add(t);
    for (const t of seen) {
      used.add(t);
      if (!t.requiresGrad || inputs.includes(t)) continue;
      if (t.node)
        throw new ArgumentError(
          `recompute: a tensor of shape ${showShape(t.shape)} with a graph reaches the module beside its inputs, and its gradient would be lost: give it to forward`,
        );
      leaves.add(t);
    }
  };
  const pass = passWithin();
  const [result, draws] = notingDraws<RandomStream, Tensor>(() =>
    duringPass(pass, () => withoutGraph(see, () => scope(() => forward(...given)))),
  );
  if (!(result instanceof Tensor)) refuse("recompute", "module", "one whose forward gives one tensor", result);
  // What a module gives back of its inputs or parameters stays theirs.
  const y = result.requiresGrad || inputs.includes(result) ? result.view(result.shape) : result;
  const modes = module.namedModules().map(([, m]) => [m, m.training] as const);
  const inModes = <T>(body: () => T): T =>
    [true, false].reduce<() => T>((inner, on) => {
      const those = modes.flatMap(([m, training]) => (training === on ? [m] : []));
      return () => withMode(those, on, inner);
    }, body)();
  const again = (own: readonly Tensor[]): Tensor => {
    let next = 0;
    const fresh = given.map((x) => (x instanceof Tensor ? own[next++] : x));
    return rerun(draws, () => duringPass(pass, () => inModes(() => withGrad(() => scope(() => forward(...fresh))))));
  };
  // Of whatever else the second pass takes as it is then the versions are watched: parameters,
  // frozen ones too, constants, streams; not what the first pass itself moves, running statistics.
  const isKept = (t: Tensor) => !t.isDisposed && t !== result && !inputs.includes(t);
  const isStill = (t: Tensor) => (before.get(t) ?? t.version) === t.version;
  const others = [...used].filter((t) => isKept(t) && isStill(t));
  const watched = new Set([...leaves, ...others, ...draws.map(({ stream }) => stream.buffer)]);
  const backward =
    (...saved: Tensor[]) =>
    (g: Tensor) => {
      const own = inputs.map(({ requiresGrad, parts }, i) =>
        passing(Object.assign(saved[i]!.detach(), { requiresGrad, parts })),
      );
      const output = again(own);
      if (output.requiresGrad) output.backward(g);
      const gradients = own.map((x) => {
        const { grad } = x;
        x.grad = null;
        return grad;
      });
      // Those of parameters have arrived.
      return [...gradients, ...Array<null>(leaves.size).fill(null)];
    };
  // What operations within divide by or compare is kept here in their place.
  const kept = inputs.filter((x) => exact.has(x));
  return record("recompute", y, [...inputs, ...leaves], [...inputs, ...watched], backward, undefined, { exact: kept });
}

/** What goes on around the module, in both of its passes: nothing that collects. */
function passWithin(): Pass {
  const pass = currentPass();
  return {
    ...(pass?.normalise && { normalise: (norm, x, by) => pass.normalise!(norm, x, by) }),
    penalise() {
      throw new ArgumentError(
        "recompute: the module penalises something, and that loss would have no gradient: leave the module out of what is recomputed",
      );
    },
  };
}
