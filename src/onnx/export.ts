/** Networks as ONNX models. */

import { instance, oneOf, optionsOf, refuse, text, texts } from "../demand";
import { ArgumentError, PanError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import { isPlain } from "../io/shown";
import type { NonSharedUint8Array } from "../io/typed-arrays";
import { deviceOf, Module } from "../nn/module";
import { Passport } from "../passport/passport";
import { Protected } from "../passport/protected";
import { expectNetwork, type Network, type NetworkSample, type NetworkTrace, traceNetwork } from "../passport/trace";
import { asShape, type Shape } from "../tensor/shape";
import { type DType, Tensor } from "../tensor/tensor";
import { channelsFirst, Graph, natural, type Op, type Order } from "./graph";
import { heldBy } from "./held";
import { type Constant, encodeModel, type Node, type Port } from "./model";
import { outputsOf, routeOf } from "./route";
import { NOT_EXPORTED, RULES } from "./rules";
import { type Size, Sizes } from "./sizes";

/** Options of {@link exportOnnx}. */
export interface OnnxOptions {
  /**
   * Shape of one input, batch included, as `forward` takes it ([1, 32, 32, 3]); a tensor where it
   * is no f32; or several of either, in a list or by name, as `forward` takes them. Values do not
   * matter.
   */
  readonly sample: Shape | Tensor | readonly (Shape | Tensor)[] | { readonly [name: string]: Shape | Tensor };
  /**
   * How the model has tensors of four dimensions that go in and come out: `"NCHW"` (default), as
   * PyTorch has images, or `"NHWC"`, as `forward` has them. Others stay as they are.
   */
  readonly layout?: "NCHW" | "NHWC" | undefined;
  /** Whether the batch may have any size (default), or that of the sample. */
  readonly batch?: "dynamic" | "fixed" | undefined;
  /** Names of the inputs (default: those of the sample; `input`, or `input.0` and on). */
  readonly inputNames?: readonly string[] | undefined;
  /** Names of the outputs (default: those of what is returned; `output`, or `output.0` and on). */
  readonly outputNames?: readonly string[] | undefined;
  /** Name of the graph (default `network`). */
  readonly name?: string | undefined;
}

const WHAT = "exportOnnx";
const OPTIONS = ["sample", "layout", "batch", "inputNames", "outputNames", "name"] as const;
/** What the size of the batch is called in the model. */
const BATCH = "batch";

/**
 * A network as an ONNX model (operator set 17): what it computes in evaluation mode, those of its
 * modules too that were left in training: batch norms by their running statistics, no dropout. Of a
 * protected network it is the half that is given away,
 * {@link Protected.deployed}: nothing of a credential is in the file.
 *
 * The network runs twice, without its kernels, on batches of two sizes, and what its operations are
 * told is translated. Weights keep the names and the order of the state dict, PyTorch's. Integers
 * are of 64 bits in the model, inputs too. Outputs are those of `forward` to about 1e-5 of the
 * largest; indices out of range, which give NaN here, are an error there.
 *
 * @example
 * await writeFileAtomic("net.onnx", await exportOnnx(net, { sample: [1, 32, 32, 3] }));
 * @returns the bytes of the file
 * @throws ArgumentError for what is no network or no sample; for an operation that cannot be
 * exported, by its name, with those that can; for a network that does something else with another
 * size of the batch, or writes to its own tensors.
 * @throws LimitError for a model of 2 GiB or more. Whatever the network's own `forward` throws.
 */
export async function exportOnnx(network: Module, options: OnnxOptions): Promise<NonSharedUint8Array> {
  instance(WHAT, "network", network, Module);
  const { sample, layout = "NCHW", batch = "dynamic", ...names } = optionsOf(WHAT, options, OPTIONS);
  oneOf(WHAT, "layout", layout, ["NCHW", "NHWC"]);
  oneOf(WHAT, "batch", batch, ["dynamic", "fixed"]);
  // Readers of ONNX want a graph to have a name.
  if (names.name === "") refuse(WHAT, "name", "a text that is not empty", names.name);
  if (names.name !== undefined) text(WHAT, "name", names.name);
  refuseSecrets(network);
  const plain = expectNetwork(WHAT, "network", network instanceof Protected ? network.network : network);
  const places = placesOf(sample);
  const trace = traced(plain, places, batch);
  const state = network instanceof Protected ? (await network.deployed()).tensors : await network.stateDict();
  return written(trace, state, places, {
    images: layout === "NCHW" ? channelsFirst(4) : natural(4),
    graph: names.name ?? "network",
    inputNames: namesOf("inputNames", names.inputNames, places.paths, "input"),
    outputNames: namesOf("outputNames", names.outputNames, trace.outputs, "output"),
  });
}

/**
 * A module around a protected network could run any branch of it, and a model of a private one
 * holds what only its owner has.
 */
function refuseSecrets(network: Module): void {
  if (network instanceof Protected) return;
  const [inside] = [...network.find(Protected), ...network.find(Passport)];
  if (inside)
    throw new ArgumentError(
      `${WHAT}: ${inside[0] || "the network"} holds passports, which belong into no model: export the protected network itself, or a module around what loadDeployed() gives or owned.network`,
    );
}

/** The inputs of a network, one by one, and put together as its `forward` takes them. */
interface Places {
  readonly paths: readonly string[];
  readonly shapes: readonly Shape[];
  readonly dtypes: readonly DType[];
  readonly whole: (tensors: readonly Tensor[]) => NetworkSample;
}

function placesOf(sample: OnnxOptions["sample"]): Places {
  const isOne = sample instanceof Tensor || (Array.isArray(sample) && sample.every((n) => typeof n === "number"));
  const isList = Array.isArray(sample) && sample.length > 0;
  const entries: [string, Shape | Tensor][] =
    isOne || !(isList || isPlain(sample)) ? [["", sample as Shape]] : Object.entries(sample as object);
  const given = entries.map(([, one]) => one);
  const shapes = given.map((one) => {
    const shape = one instanceof Tensor ? one.shape : Array.isArray(one) ? asShape(one as Shape) : null;
    if (shape && !shape.includes(0)) return shape;
    return refuse(WHAT, "sample", "the shape of one input, batch included, or a tensor; or several of such", one);
  });
  const paths = entries.map(([path]) => path);
  return {
    paths,
    shapes,
    dtypes: given.map((one) => (one instanceof Tensor ? one.dtype : "f32")),
    whole: (tensors) => {
      if (isOne) return tensors[0]!;
      return Array.isArray(sample) ? tensors : Object.fromEntries(paths.map((path, i) => [path, tensors[i]!]));
    },
  };
}

/** What is known of a network's passes. */
interface Passes {
  readonly trace: NetworkTrace;
  readonly route: ReturnType<typeof routeOf>;
  readonly sizes: Sizes;
  /** Paths of the outputs. */
  readonly outputs: readonly string[];
  readonly isDynamic: boolean;
}

function traced(network: Network, places: Places, batch: "dynamic" | "fixed"): Passes {
  const isDynamic = batch === "dynamic";
  const { shapes } = places;
  const [size] = shapes[0] ?? [];
  if (isDynamic && (size === undefined || shapes.some(([n]) => n !== size)))
    throw new ArgumentError(
      `${WHAT}: sample: inputs with one size of the batch as their first dimension expected, found ${shapes.map((s) => `[${s}]`).join(" and ")}: give such, or { batch: "fixed" }`,
    );
  // A batch of 1 is one that would broadcast.
  const least = isDynamic ? Math.max(2, size!) : (size ?? 1);
  const one = passOf(network, places, isDynamic ? least : null);
  const sizes = new Sizes(one.route, isDynamic ? passOf(network, places, least + 1).route : null);
  const outputs = outputsOf(one.trace.output).map(({ path }) => path);
  return { ...one, sizes, outputs, isDynamic };
}

/** One pass, of a batch of another size where one is given. */
function passOf(network: Network, places: Places, batch: number | null): Pick<Passes, "trace" | "route"> {
  const { shapes, dtypes, whole } = places;
  const device = deviceOf(network);
  const inputs = shapes.map((shape, i) =>
    Tensor.empty(batch === null ? shape : [batch, ...shape.slice(1)], dtypes[i], device),
  );
  try {
    const trace = traceNetwork(network, whole(inputs));
    return { trace, route: routeOf(trace, batch ?? 1, inputs) };
  } catch (cause) {
    // Nobody has asked for a batch of this size.
    if (!(cause instanceof PanError) || batch === null || batch === shapes[0]![0]) throw cause;
    // What fails with the sample's own batch too is said of that.
    passOf(network, places, null);
    throw new ArgumentError(
      `${WHAT}: with a batch of ${batch}: ${cause.message}. A network of one size of the batch is exported with { batch: "fixed" }`,
      { cause },
    );
  } finally {
    for (const t of inputs) t.dispose();
  }
}

function namesOf(
  what: string,
  given: readonly string[] | undefined,
  paths: readonly string[],
  usual: string,
): readonly string[] {
  if (given !== undefined && texts(WHAT, what, given).length !== paths.length)
    refuse(WHAT, what, `a list of ${paths.length} names`, given);
  return given ?? paths.map((path) => (/^(\d|$)/.test(path) ? [usual, path].filter(Boolean).join(".") : path));
}

interface Form {
  /** The order that images have in the model. */
  readonly images: Order;
  readonly graph: string;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
}

async function written(
  { trace, route, sizes, isDynamic }: Passes,
  state: StateDict,
  { dtypes }: Places,
  { images, graph: name, inputNames, outputNames }: Form,
): Promise<NonSharedUint8Array> {
  const held = await heldBy(trace, route, state);
  const own = [...held.values()].map((h) => h.name);
  const taken = [...inputNames, ...outputNames, ...own];
  const twice = taken.find((n, i) => taken.indexOf(n) !== i);
  if (twice !== undefined)
    throw new ArgumentError(
      `${WHAT}: "${twice}" would be the name of two tensors of the model: give other inputNames, or outputNames`,
    );
  const batchOf = isDynamic ? { name: inputNames[0]!, dim: 0 } : null;
  const graph = new Graph(sizes, held, trace.makers, taken, batchOf);
  const orderOf = (t: Tensor): Order => (t.rank === 4 && t.dtype === "f32" ? images : natural(t.rank));
  const portOf = (t: Tensor, i: number, names: readonly string[], dtype: DType): Port => ({
    name: names[i]!,
    type: dtype === "f32" ? "float" : "int64",
    shape: orderOf(t).map((d) => shownSize(sizes.sizes(t)[d]!)),
  });
  const inputs = route.inputs.map((t, i) => portOf(t, i, inputNames, dtypes[i]!));
  route.inputs.forEach((t, i) => graph.set(t, inputNames[i]!, orderOf(t)));
  const labels = labelsOf(trace);
  for (const op of route.ops) {
    graph.label = labels(op);
    ruleOf(op, graph)(graph, op);
  }
  graph.label = "";
  const results = route.outputs.map((t) => graph.get(t, orderOf(t)));
  const outputs = route.outputs.map((t, i) => portOf(t, i, outputNames, t.dtype));
  const nodes = named(graph, results, outputNames);
  return encodeModel({ name, ...needed(nodes, graph.constants, outputNames), inputs, outputs });
}

const shownSize = (size: Size): number | string =>
  typeof size === "number" ? size : size.perItem === 1 ? BATCH : `${size.perItem}*${BATCH}`;

function ruleOf(op: Op, graph: Graph) {
  if (Object.hasOwn(RULES, op.name)) return RULES[op.name]!;
  const why = Object.hasOwn(NOT_EXPORTED, op.name) ? `it ${NOT_EXPORTED[op.name]}` : "it is not known";
  return graph.refuse(op, `cannot be exported: ${why}; what can be: ${Object.keys(RULES).sort().join(", ")}`);
}

/** The names of the layers that operations belong to, where they are maps or norms. */
function labelsOf({ maps, norms }: NetworkTrace): (op: Op) => string {
  const byOutput = new Map(maps.map(({ y, name }) => [y, name]));
  const byInput = new Map(norms.map(({ x, name }) => [x, name]));
  return ({ out, inputs: [x], how }) => byOutput.get(out) ?? (how.norm && x ? byInput.get(x) : undefined) ?? "";
}

/** The nodes, with the values that come out under the outputs' names. */
function named(graph: Graph, results: readonly string[], names: readonly string[]): Node[] {
  const computed = new Set(graph.nodes.flatMap((node) => node.outputs));
  const renamed = new Map<string, string>();
  results.forEach((result, i) => {
    // What is an input, a constant or another output is handed on.
    if (computed.has(result) && !renamed.has(result)) renamed.set(result, names[i]!);
    else graph.nodes.push({ ...HAND_ON, name: `${names[i]}/Identity`, inputs: [result], outputs: [names[i]!] });
  });
  const now = (name: string) => renamed.get(name) ?? name;
  return graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(now), outputs: node.outputs.map(now) }));
}

/** Nodes and constants that outputs follow from. */
function needed(nodes: readonly Node[], constants: ReadonlyMap<string, Constant>, outputs: readonly string[]) {
  const wanted = new Set(outputs);
  const kept: Node[] = [];
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((name) => wanted.has(name))) continue;
    kept.push(node);
    for (const name of node.inputs) wanted.add(name);
  }
  return { nodes: kept.reverse(), constants: new Map([...constants].filter(([name]) => wanted.has(name))) };
}

const HAND_ON = { type: "Identity", attributes: {} } as const;
