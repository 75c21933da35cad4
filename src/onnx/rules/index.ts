/** Which operations can be written, and which not. */
import { elementwise } from "./elementwise";
import { movement } from "./movement";
import { norms } from "./norms";
import { products } from "./products";
import { reductions } from "./reductions";
import type { Rules } from "./rule";
import { windows } from "./windows";

/** Rules by the names that operations have in traces and graphs. */
export const RULES: Rules = { ...elementwise, ...movement, ...reductions, ...products, ...norms, ...windows };

/** Operations that are not exported, by their names in traces, and why. */
export const NOT_EXPORTED: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["crossEntropy", "nllLoss", "mseLoss", "binaryCrossEntropyWithLogits"].map((name) => [
      name,
      "is a loss, and a model is exported without the one that it was trained with",
    ]),
  ),
  accumulateAt: "writes to a tensor in place",
  random: "draws random numbers",
  diagonal: "takes a diagonal (a letter twice in one operand of einsum)",
};
