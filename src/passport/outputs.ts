import { refuse } from "../demand";
import { isPlain } from "../io/shown";
import { partsOf } from "../tensor/ops/lift";
import { Tensor } from "../tensor/tensor";

/**
 * One branch of a network's output: a tensor, or a list or an object of such.
 * @param cut the parts of tensors that were cut for another branch
 * @throws ArgumentError for anything else.
 */
export function partOf(output: unknown, i: number, cut: Map<Tensor, Tensor[]>): unknown {
  if (output instanceof Tensor) {
    if (output.parts === 1) return output;
    return partsCut(output, cut)[i];
  }
  if (Array.isArray(output)) return output.map((o) => partOf(o, i, cut));
  if (isPlain(output)) return Object.fromEntries(Object.entries(output).map(([k, o]) => [k, partOf(o, i, cut)]));
  if (output === null || typeof output !== "object") return output;
  return refuse("protect", "what the network's forward returns", "a tensor, or an array or an object of such", output);
}

function partsCut(output: Tensor, cut: Map<Tensor, Tensor[]>): Tensor[] {
  const known = cut.get(output);
  if (known) return known;
  const parts = partsOf(output);
  cut.set(output, parts);
  return parts;
}
