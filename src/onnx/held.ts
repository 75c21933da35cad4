/** What a network computes with that its pass did not compute: weights, buffers, constants. */
import { ArgumentError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import type { Layout } from "../nn/state";
import { toTorch } from "../nn/state";
import type { NetworkTrace } from "../passport/trace";
import type { DType, Tensor } from "../tensor/tensor";
import type { Held } from "./graph";
import { operandsOf, type Route } from "./sizes";

/**
 * Tensors of a route that no operation gave, with their values: those of the state dict by name,
 * others as they are now.
 * @throws ArgumentError for one that was made in the pass by something that traces do not show.
 */
export async function heldBy(
  { tensors, makers }: NetworkTrace,
  { ops, inputs, outputs }: Route,
  state: StateDict,
): Promise<ReadonlyMap<Tensor, Held>> {
  const operands = [...ops.flatMap(operandsOf), ...outputs];
  const given = [...new Set(operands)].filter((t) => !makers.has(t) && !inputs.includes(t));
  const held = new Map<Tensor, Held>();
  const others: Tensor[] = [];
  for (const t of given) {
    const own = tensors.get(t);
    const name = own?.names.find((n) => state.has(n));
    if (own && name !== undefined) held.set(t, { name, layout: own.layout, value: state.get(name)! });
    else if (t.isDisposed)
      throw new ArgumentError(
        `exportOnnx: the network computes with a tensor [${t.shape}] that none of the operations gave which can be followed: build it of others, or before the pass`,
      );
    else others.push(t);
  }
  const layout: Layout = "same";
  const read = await Promise.all(others.map((t) => t.data<DType>()));
  others.forEach((t, i) => {
    held.set(t, { name: `constants.${i}`, layout, value: toTorch(read[i]!, t.shape, layout) });
  });
  return held;
}
