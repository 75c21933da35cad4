/**
 * Which tensors the two halves of a network have, from its configuration alone: files are compared
 * with it before anything is built.
 */
import { FormatError, StateDictError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import { listed } from "../io/shown";
import { weightShape } from "../passport/place";
import { sameShape, showShape, sizeOf } from "../tensor/shape";
import { type NetworkNorm, type NetworkSettings, plainNorm } from "./config";
import { type MapLayer, mapName, placeOf } from "./layers";

/** Shapes by state-dict name, in PyTorch's order. */
export type Shapes = Map<string, readonly number[]>;

function addStatistics(shapes: Shapes, name: string, channels: number): void {
  for (const part of ["running_mean", "running_var"]) shapes.set(`${name}.${part}`, [channels]);
  shapes.set(`${name}.num_batches_tracked`, []);
}

function addNorm(shapes: Shapes, name: string, norm: NetworkNorm, channels: number): void {
  for (const part of ["weight", "bias"]) shapes.set(`${name}.${part}`, [channels]);
  if (norm === "bn") addStatistics(shapes, name, channels);
}

/** Tensors of one layer of the plain network. */
export function plainLayerShapes(layer: MapLayer, network: NetworkNorm): Shapes {
  const { name, channels } = layer;
  const at = `${name}.${mapName(layer)}`;
  const shapes: Shapes = new Map([[`${at}.weight`, weightShape(placeOf(layer, 0))]]);
  if (layer.bias || network === "folded") shapes.set(`${at}.bias`, [channels]);
  if (network !== "folded") addNorm(shapes, `${name}.bn`, layer.norm ?? network, channels);
  return shapes;
}

/**
 * Tensors of the deployed half: those of the plain network.
 * @param rest what its layers do not have, such as a classifier
 */
export function deployedShapes(config: NetworkSettings, layers: readonly MapLayer[], rest: Shapes): Shapes {
  return new Map([...layers.flatMap((l) => [...plainLayerShapes(l, plainNorm(config))]), ...rest]);
}

/**
 * A description may not be larger than the file it stands in.
 * @throws FormatError when it names more tensors than there are, or a larger one than all of them
 * together.
 */
export function checkBounds(shapes: Shapes, tensors: StateDict, most: number): void {
  const elements = [...tensors.values()].reduce((n, t) => n + t.data.length, 0);
  const refuse = (what: string): never => {
    throw new FormatError(
      `the file's entry "model" describes ${what}; the file has ${tensors.size} tensors of ${elements} numbers in all: it is damaged or made up`,
    );
  };
  if (most > tensors.size) refuse(`a network of ${most} such layers`);
  for (const [name, shape] of shapes)
    if (sizeOf(shape) > Math.max(1, elements)) refuse(`a tensor ${name} of shape ${showShape(shape)}`);
}

/**
 * @throws StateDictError unless a state dict has exactly these tensors, naming the first of another
 * shape, or all that are missing and all beside.
 */
export function checkState(state: StateDict, shapes: Shapes): void {
  for (const [name, shape] of shapes) {
    const found = state.get(name)?.shape;
    if (found && !sameShape(found, shape) && shape.length)
      throw new StateDictError(
        `${name}: shape ${showShape(found)} in the file, ${showShape(shape)} in the network it describes`,
      );
  }
  const missing = [...shapes.keys()].filter((name) => !state.has(name));
  const unexpected = [...state.keys()].filter((name) => !shapes.has(name));
  if (missing.length || unexpected.length)
    throw new StateDictError(
      `the file's tensors are not those of the network it describes: missing ${listed(missing)}; unexpected ${listed(unexpected)}`,
    );
}
