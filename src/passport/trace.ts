/** What one pass through a network shows of it, without computing anything. */
import { instance, refuse } from "../demand";
import { ArgumentError } from "../errors";
import { isPlain } from "../io/shown";
import { withMode } from "../nn/mode";
import { deviceOf, Module } from "../nn/module";
import { Norm } from "../nn/norm";
import { duringPass } from "../nn/pass";
import type { Layout } from "../nn/state";
import { asShape, type Shape } from "../tensor/shape";
import { scope } from "../tensor/storage";
import { noGrad, Tensor } from "../tensor/tensor";
import { type TracedOp, traceOps } from "../tensor/trace";
import { isLinearMap, type LinearMap } from "./linear-map";

/** What a network is given: a tensor, or several in a list or by name. */
export type Inputs = Tensor | readonly Tensor[] | { readonly [name: string]: Tensor };

/** A module that computes. */
export type Network = Module & { forward(x: Inputs): unknown };

/** @throws ArgumentError for what is no module with a `forward`. */
export function expectNetwork(what: string, name: string, value: unknown): Network {
  const network = instance(what, name, value, Module);
  if (typeof (network as Network).forward === "function") return network as Network;
  return refuse(what, name, "a module with a method forward(x)", value);
}

/** What `forward` of a network takes. */
export type InputsOf<N> = N extends { forward(x: infer I): unknown } ? I : never;

/**
 * One input of a network: its shape, batch included, or a tensor; or several such, put together as
 * `forward` takes them.
 */
export type NetworkSample = Shape | Tensor | readonly (Shape | Tensor)[] | { readonly [name: string]: Shape | Tensor };

/** Where a map stood in a traced pass. */
export interface TracedMap {
  readonly map: LinearMap;
  readonly name: string;
  /** State-dict names of its weight, and of its bias where it has one. */
  readonly weight: string;
  readonly bias: string | undefined;
  readonly x: Tensor;
  readonly y: Tensor;
}

/** Where a norm stood in a traced pass. */
export interface TracedNorm {
  readonly norm: Norm;
  readonly name: string;
  readonly x: Tensor;
}

/** A tensor of a network: several names where it is tied. */
export interface NamedTensor {
  readonly names: readonly string[];
  readonly layout: Layout;
}

/** A traced pass. */
export interface NetworkTrace {
  readonly ops: readonly TracedOp<Tensor>[];
  /** The operation that gave each tensor. */
  readonly makers: ReadonlyMap<Tensor, TracedOp<Tensor>>;
  /** In the order they ran; one that ran twice is there twice. */
  readonly maps: readonly TracedMap[];
  readonly norms: readonly TracedNorm[];
  /** The network's own tensors, with their names in its state dict. */
  readonly tensors: ReadonlyMap<Tensor, NamedTensor>;
  /** Null where there are several inputs. */
  readonly inputShape: Shape | null;
  readonly output: unknown;
}

/** Modules by the first of their names: one that is held in several places has several. */
export function firstNames(network: Module): Map<Module, string> {
  const names = new Map<Module, string>();
  for (const [name, module] of network.namedModules()) if (!names.has(module)) names.set(module, name);
  return names;
}

/**
 * Runs a network once on a sample, its kernels left out, and notes what its layers and operations
 * were given. All of its modules are in evaluation mode meanwhile, those that were set apart too:
 * a norm that counts batches would count one that nobody computed.
 * @throws ArgumentError for a sample that is none, or a network that is not a module with a
 * `forward`; whatever the network's own code throws.
 */
export function traceNetwork(network: Network, sample: NetworkSample): NetworkTrace {
  const names = firstNames(network);
  const tensors = new Map<Tensor, { names: string[]; layout: Layout }>();
  for (const [name, t, { layout }] of network.namedTensors()) {
    const known = tensors.get(t);
    if (known) known.names.push(name);
    else tensors.set(t, { names: [name], layout });
  }
  const device = deviceOf(network);
  const maps: TracedMap[] = [];
  const norms: TracedNorm[] = [];
  let [inputShape, output]: [Shape | null, unknown] = [null, undefined];
  const ops = traceOps<Tensor>(() =>
    device.dryly(() =>
      scope(() =>
        noGrad(() =>
          withMode(names.keys(), false, () => {
            const x = inputsOf(sample, device);
            inputShape = x instanceof Tensor ? x.shape : null;
            const pass = {
              normalise(module: Module, h: Tensor) {
                if (module instanceof Norm) norms.push({ norm: module, name: names.get(module) ?? "", x: h });
                return undefined;
              },
              mapped(map: Module, h: Tensor, y: Tensor) {
                if (!isLinearMap(map)) return;
                const weight = tensors.get(map.weight)?.names[0];
                // What the network does not name cannot be saved, nor named in a file.
                if (weight === undefined) return;
                const bias = map.bias ? tensors.get(map.bias)?.names[0] : undefined;
                maps.push({ map, name: names.get(map) ?? "", weight, bias, x: h, y });
              },
            };
            output = duringPass(pass, () => network.forward(x));
          }),
        ),
      ),
    ),
  );
  const makers = new Map(ops.map((op) => [op.out, op]));
  return { ops, makers, maps, norms, tensors, inputShape, output };
}

function inputsOf(sample: NetworkSample, device: ReturnType<typeof deviceOf>): Inputs {
  if (isPlain(sample))
    return Object.fromEntries(Object.entries(sample).map(([name, one]) => [name, inputOf(one as Shape, device)]));
  const several = Array.isArray(sample) && sample.length > 0 && sample.every((one) => typeof one === "object");
  return several
    ? (sample as readonly (Shape | Tensor)[]).map((one) => inputOf(one, device))
    : inputOf(sample as Shape, device);
}

function inputOf(sample: Shape | Tensor, device: ReturnType<typeof deviceOf>): Tensor {
  if (!(sample instanceof Tensor || Array.isArray(sample)))
    refuse(
      "protect",
      "sample",
      "the shape of one input, batch included, or a tensor of such; or several, in a list or by name",
      sample,
    );
  const shape = sample instanceof Tensor ? sample.shape : asShape(sample as Shape);
  if (!shape.length || shape.includes(0))
    throw new ArgumentError(`protect: sample: the shape of one input, batch included, found [${shape.join(", ")}]`);
  if (sample instanceof Tensor) return sample;
  return Tensor.empty(shape, "f32", device);
}

/** Operations that hand on each channel of what a map gave, and nothing else. */
const HANDS_ON: ReadonlySet<string> = new Set(["reshape", "dropout"]);

/**
 * The map whose output a norm normalises, alone or behind a reshape or a dropout; undefined where
 * something else lies between.
 */
export function mapInFront({ makers, maps }: NetworkTrace, { x }: TracedNorm): TracedMap | undefined {
  for (let at: Tensor | undefined = x; at; ) {
    const here: Tensor = at;
    const found = maps.find(({ y }) => y === here);
    if (found) return found;
    const op = makers.get(here);
    if (!op || !HANDS_ON.has(op.name) || op.inputs.length !== 1) return undefined;
    const [from] = op.inputs as [Tensor];
    if (from.shape.at(-1) !== here.shape.at(-1)) return undefined;
    at = from;
  }
  return undefined;
}
