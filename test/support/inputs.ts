/** What the linear maps of a network are given. */
import { inMode } from "../../src/nn/mode";
import type { Branch } from "../../src/passport";
import { isLinearMap, type LinearMap } from "../../src/passport/linear-map";
import { keep, scope } from "../../src/tensor/storage";
import { noGrad, type Tensor } from "../../src/tensor/tensor";
import type { Network } from "./networks";

/**
 * What each map of a network is given in one pass, by the maps' names, noted at the maps
 * themselves; in evaluation mode, whatever the network's own. The caller disposes them.
 */
export function mapInputs(model: Network, x: Tensor, branch?: Branch): Map<string, Tensor> {
  const inputs = new Map<string, Tensor>();
  const maps = model.network.namedModules().filter((m): m is [string, LinearMap] => isLinearMap(m[1]));
  for (const [name, map] of maps) {
    const forward = map.forward.bind(map);
    map.forward = (h: Tensor) => {
      inputs.set(name, keep(h.detach()));
      return forward(h);
    };
  }
  try {
    scope(() => noGrad(() => inMode(model, false, () => void model.forward(x, branch))));
  } finally {
    for (const [, map] of maps) delete (map as Partial<LinearMap>).forward;
  }
  return inputs;
}
