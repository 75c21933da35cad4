/** Following channels from operation to operation. */
import { Tensor } from "../../tensor/tensor";
import type { NetworkTrace } from "../trace";
import { BINARY, binary, UNARY, unary } from "./elementwise";
import { noLabels } from "./labels";
import { Ledger, ONE, type Op } from "./ledger";
import { linearMap } from "./maps";
import { MOVED, move, viewAxes } from "./moves";
import { norm } from "./norms";
import { attention, product } from "./products";
import { IMAGES, REDUCED, reduced, resized, softmax } from "./reductions";

/** Goes through a trace, and writes down what hangs together. */
export function follow(trace: NetworkTrace): Ledger {
  const ledger = new Ledger(trace);
  for (const op of trace.ops) if (!viewed(ledger, op) && !known(ledger, op)) stays(ledger, op);
  for (const t of tensorsIn(trace.output)) {
    const { place, factor } = ledger.of(t);
    ledger.fix(place);
    ledger.limit(factor, ONE);
  }
  return ledger;
}

/** Hands on channels as an operation does; false where it is not known how. */
function known(ledger: Ledger, op: Op): boolean {
  const { name, inputs, how } = op;
  if (name === "linear" || name.startsWith("conv")) return linearMap(ledger, op);
  if (how.norm) return norm(ledger, op);
  if (inputs.length === 2 && (name in BINARY || ["mul", "div", "compare"].includes(name))) return binary(ledger, op);
  if (inputs.length === 1 && name in UNARY) return unary(ledger, op);
  if (name in REDUCED) return reduced(ledger, op);
  if (name in IMAGES) return resized(ledger, op);
  if (name === "softmax" || name === "logSoftmax") return softmax(ledger, op);
  if (name === "matmul") return product(ledger, op);
  if (name === "scaledDotProductAttention") return attention(ledger, op);
  return name in MOVED && move(ledger, op);
}

/** Nothing is known of what this does: its channels stay where they are. */
function stays(ledger: Ledger, { inputs, out }: Op): void {
  for (const t of inputs) {
    const view = ledger.view(t);
    if (view) ledger.frozen.add(view.tensor);
    if (view && !ledger.has(t)) continue;
    const { place, factor } = ledger.of(t);
    ledger.fix(place);
    ledger.limit(factor, ONE);
  }
  ledger.set(out, noLabels(out.rank), noLabels(out.rank));
}

/** Parts of the network's own tensors that are moved before they are used stay such parts. */
function viewed(ledger: Ledger, { name, inputs: [x], out, how }: Op): boolean {
  const view = x && !ledger.has(x) ? ledger.view(x) : undefined;
  const axes = view && viewAxes(name, view, out.shape, how);
  // Which entries numbers choose is not known: all stay where they are.
  if (name === "indexSelect" || name === "embedding")
    if (view)
      ledger.usedAlong(
        view,
        view.axes.flatMap((_, d) => (d === how.axes![0] ? [] : [d])),
      );
  if (axes) ledger.setView(out, { tensor: view.tensor, axes, shape: out.shape });
  return axes != null;
}

/** Tensors in what a network returns. */
function* tensorsIn(output: unknown, seen = new Set<unknown>()): Iterable<Tensor> {
  if (output instanceof Tensor) yield output;
  else if (typeof output === "object" && output !== null && !seen.has(output)) {
    seen.add(output);
    for (const value of output instanceof Map ? output.values() : Object.values(output)) yield* tensorsIn(value, seen);
  }
}
