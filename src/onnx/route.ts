/** What of a traced pass leads from its inputs to its outputs. */
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";
import type { NetworkTrace } from "../passport/trace";
import { Tensor } from "../tensor/tensor";
import type { TracedOp } from "../tensor/trace";
import { operandsOf, type Route } from "./sizes";

type Op = TracedOp<Tensor>;

/**
 * A tensor that a network returns, and where in what it returns: `0`, `boxes.1`; "" for all of it.
 */
export interface Output {
  readonly path: string;
  readonly tensor: Tensor;
}

/**
 * Tensors in what a network returned.
 * @throws ArgumentError where something else is among them, or there are none.
 */
export function outputsOf(output: unknown): readonly Output[] {
  const found = [...tensorsIn(output, "", new Set())];
  if (found.length === 0)
    throw new ArgumentError(
      `exportOnnx: a network that returns a tensor, or a list or an object of such, expected, found ${shown(output)}`,
    );
  return found;
}

function* tensorsIn(value: unknown, path: string, seen: Set<unknown>): Iterable<Output> {
  if (value instanceof Tensor) yield { path, tensor: value };
  else if (typeof value === "object" && value !== null && !seen.has(value)) {
    seen.add(value);
    const entries = value instanceof Map ? [...value] : Object.entries(value);
    for (const [key, part] of entries) yield* tensorsIn(part, path ? `${path}.${String(key)}` : String(key), seen);
  } else if (value !== undefined && value !== null)
    throw new ArgumentError(
      `exportOnnx: the network returns ${shown(value)}${path && ` as ${path}`}: a model returns tensors alone`,
    );
}

/**
 * The operations that the outputs follow from, in order.
 * @throws ArgumentError where a tensor is written to that the pass has read before: which of its
 * values was meant is not told by the trace.
 */
export function routeOf(trace: NetworkTrace, batch: number, inputs: readonly Tensor[]): Route {
  const outputs = outputsOf(trace.output).map(({ tensor }) => tensor);
  const wanted = new Set(outputs);
  const taken: Op[] = [];
  for (const op of [...trace.ops].reverse()) {
    if (!wanted.has(op.out) || trace.makers.get(op.out) !== op || inputs.includes(op.out)) continue;
    taken.push(op);
    for (const t of operandsOf(op)) wanted.add(t);
  }
  checkWrites(trace, wanted, inputs);
  return { batch, inputs, ops: taken.reverse(), outputs };
}

/** Operations that change a tensor that was there before. */
const WRITES: ReadonlySet<string> = new Set(["constant", "full", "accumulateAt"]);

function checkWrites(trace: NetworkTrace, wanted: ReadonlySet<Tensor>, inputs: readonly Tensor[]): void {
  const read = new Set<Tensor>([...trace.tensors.keys(), ...inputs]);
  for (const op of trace.ops) {
    if (WRITES.has(op.name) && wanted.has(op.out) && read.has(op.out))
      throw new ArgumentError(
        `exportOnnx: forward() writes to a tensor [${op.out.shape}] that is the network's own or has been read before: a model's tensors do not change while it runs`,
      );
    for (const t of operandsOf(op)) read.add(t);
  }
}
