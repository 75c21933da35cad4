import type { SecretPlan } from "../../passport/built-in";
import { branchesOf } from "../../passport/schemes";

/** Names of two branches' layers: ours below the layer → the authors'. */
const TWO: Readonly<Record<string, string>> = {
  "conv.weight": "weight",
  "linear.weight": "weight",
  "bn.weight": "scale",
  "bn.bias": "bias",
  "bn.passport.key": "key_private",
  "bn.passport.skey": "skey_private",
};

/** Beginnings of names, tried in order; `bn` last. */
const beginnings = (norm: string): readonly (readonly [ours: string, theirs: string])[] => [
  ["bn.passport.norm.", "bn1."],
  ["bn.passport.", ""],
  ["bn.", `${norm}.`],
];

/** Of a norm without a passport that each branch has for itself. */
const APART: readonly (readonly [ours: string, theirs: string])[] = [
  ["bn.passport.norm.", "bn1."],
  ["bn.passport.", "bn1."],
  ["bn.", "bn0."],
];

const renamed = (rest: string, pairs: readonly (readonly [string, string])[]): string => {
  const pair = pairs.find(([ours]) => rest.startsWith(ours));
  return pair ? pair[1] + rest.slice(pair[0].length) : rest;
};

/**
 * What the authors' code calls a tensor of a protected network: in a passport layer of two branches
 * `weight`, `scale`, `bias`, `b`, `key_private`, `skey_private`, `bn0`, `bn1`, `fc.0.weight`, in
 * one of a single branch `key`, `skey`, `b`, `bn`, in a norm that each branch has for itself `bn0`
 * and `bn1`.
 * @param shared the name of batch norm whose statistics both branches share
 */
export function authorsName(path: string, plan: SecretPlan, shared: string): string {
  const below = (norm: string): [layer: string, rest: string] | null => {
    const layer = norm.replace(/\.bn$/, "");
    return path.startsWith(`${layer}.`) ? [layer, path.slice(layer.length + 1)] : null;
  };
  const two = branchesOf(plan.scheme).length > 1;
  for (const { norm } of plan.places) {
    const found = below(norm);
    if (!found) continue;
    const [layer, rest] = found;
    if (!two) return `${layer}.${renamed(rest, [["bn.passport.", ""]])}`;
    const own = plan.statistics === "shared" ? shared : "bn0";
    return `${layer}.${TWO[rest] ?? renamed(rest, beginnings(own))}`;
  }
  for (const norm of plan.separate) {
    const found = below(norm);
    if (found) return `${found[0]}.${renamed(found[1], APART)}`;
  }
  return path;
}
