import type { Graph, Op } from "../graph";

/** Writes the nodes of an operation, and says where its result is. */
export type Rule = (graph: Graph, op: Op) => void;

/** Rules by the names of operations in traces. */
export type Rules = Readonly<Record<string, Rule>>;
