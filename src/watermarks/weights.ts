import { ArgumentError, StateDictError } from "../errors";
import { type StateDict, toFloat32 } from "../io/host-tensor";
import { listed } from "../io/shown";
import { Conv2d } from "../nn/conv";
import { Module } from "../nn/module";
import { toTorch } from "../nn/state";
import { Protected } from "../passport/protected";
import type { Tensor } from "../tensor/tensor";

/** Where a layer's weights are read: a network, or the tensors of a file. */
export type WeightSource = Module | StateDict;

/** The weight of one convolution in PyTorch's order: [O, I, kH, kW]. */
export interface LayerWeight {
  shape: readonly [outputs: number, inputs: number, height: number, width: number];
  data: Float32Array;
}

/**
 * A convolution's weight has this name in state dicts, in a layer without a passport or with one
 * branch; in one with two branches it is the layer's own.
 */
const namesOf = (layer: string): readonly string[] => [`${layer}.conv.weight`, `${layer}.weight`];

/**
 * The weight of a layer as the network has it, [kH, kW, I, O].
 * @throws ArgumentError when there is no such convolution.
 */
export function layerTensor(model: Module, layer: string): Tensor {
  const network: Module = model instanceof Protected ? model.network : model;
  const convolutions = network.find(Conv2d);
  const names = [layer, ...namesOf(layer).map((name) => name.replace(/\.weight$/, ""))];
  const found = convolutions.find(([name]) => names.includes(name));
  if (found) return found[1].weight;
  const there = listed(convolutions.map(([name]) => name));
  throw new ArgumentError(`layer: the name of a convolution expected (${there}), found "${layer}"`);
}

/**
 * The weight of a layer on the host.
 * @throws ArgumentError when a network has no such convolution; StateDictError when a state dict
 * has none.
 */
export async function layerWeight(source: WeightSource, layer: string): Promise<LayerWeight> {
  if (source instanceof Module) {
    const tensor = layerTensor(source, layer);
    const { shape, data } = toTorch(await tensor.data(), tensor.shape, "conv2d");
    return { shape: shape as LayerWeight["shape"], data: data as Float32Array };
  }
  for (const name of namesOf(layer)) {
    const found = source.get(name);
    if (found?.shape.length === 4) return { shape: found.shape as LayerWeight["shape"], data: toFloat32(found) };
  }
  const convolutions = [...source].filter(([, t]) => t.shape.length === 4).map(([name]) => name);
  throw new StateDictError(
    `the weight of layer "${layer}" expected as ${namesOf(layer).join(" or ")}, of four dimensions; the convolutions here are ${listed(convolutions)}`,
  );
}

/** w̄: the mean of a layer's filters, [I·kH·kW], channels outermost. */
export function meanFilter({ shape: [outputs], data }: LayerWeight): Float64Array {
  const mean = new Float64Array(data.length / outputs);
  for (let o = 0, at = 0; o < outputs; o++) for (let i = 0; i < mean.length; i++) mean[i]! += data[at++]! / outputs;
  return mean;
}
