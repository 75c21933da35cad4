import { ArgumentError } from "../errors";
import type { Module } from "../nn/module";
import type { Optimizer } from "../optim/optimizer";
import type { GraphNode } from "../tensor/graph";
import { showShape } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";

/**
 * Checks that all trained tensors a loss depends on are the model's, so that none is left out of
 * training and of every file in silence.
 * @param others whether the loss has parts that are not the model's, with tensors of their own,
 * which the optimiser may hold
 * @throws ArgumentError for a tensor with `requiresGrad` that the model does not name.
 */
export function checkLeaves(loss: Tensor, model: Module, optimizer: Optimizer, others: boolean): void {
  const named = new Set(model.namedTensors().map(([, t]) => t));
  if (others) for (const p of optimizer.params) named.add(p);
  for (const leaf of leavesOf(loss)) {
    if (named.has(leaf)) continue;
    throw new ArgumentError(
      `the loss depends on a trained tensor ${showShape(leaf.shape)} that the network does not name: it would be neither trained nor saved. Make it a parameter() of a module, and hold that in a property, an array, an object or a map, not in a #private field; or compute it under noGrad`,
    );
  }
}

/** Trained tensors that a loss was computed from. */
function leavesOf({ node }: Tensor): Set<Tensor> {
  const [leaves, seen] = [new Set<Tensor>(), new Set<GraphNode<Tensor>>()];
  const waiting = node ? [node] : [];
  for (let at = waiting.pop(); at; at = waiting.pop()) {
    if (seen.has(at)) continue;
    seen.add(at);
    for (const { tensor, node: from, needsGrad } of at.inputs) {
      if (from) waiting.push(from);
      else if (needsGrad) leaves.add(tensor);
    }
  }
  return leaves;
}
