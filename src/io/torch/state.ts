/** Which of a PyTorch file's values are the weights. */
import { FormatError } from "../../errors";
import { listed, quote } from "../shown";
import { StoredTensor } from "./globals";
import type { PickleValue } from "./pickle";

/** Names under which training scripts put the weights, the usual ones first. */
const USUAL = ["state_dict", "model_state_dict", "model", "net", "network", "params", "weights", "module"];
/** What checkpoints hold beside weights, and has tensors too. */
const BESIDE = /optim|sched|scaler|rng|(^|[._])ema($|[._])|loss|metric|average/i;
const DEPTH = 3;

interface Dict {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** The tensors that are the weights, and what was left aside, in sentences. */
export function weightsAmong(value: PickleValue): { tensors: Map<string, StoredTensor>; notes: string[] } {
  if (value instanceof StoredTensor) return { tensors: new Map([["tensor", value]]), notes: [] };
  const all = dictsOf(value);
  const [root] = all;
  if (root?.path === "") return { tensors: new Map(root.tensors), notes: [] };
  const main = all.filter(({ path }) => !BESIDE.test(path));
  const usual = USUAL.map((name) => main.find(({ path }) => path.split(".").at(-1) === name)).find((of) => of);
  const chosen = usual ? [usual] : main.length ? main : all;
  if (!chosen.length)
    throw new FormatError(
      "The PyTorch file has no dictionary of tensors (a state dict): save `model.state_dict()` by `torch.save`.",
    );
  const rest = all.filter((of) => !chosen.includes(of)).map(({ path }) => path);
  const notes = [`the weights are those under ${listed(chosen.map(({ path }) => quote(path)))}`];
  if (rest.length) notes.push(`tensors under ${listed(rest.map((path) => quote(path)))} were left aside`);
  const named = chosen.length > 1;
  const tensors = chosen.flatMap(({ path, tensors }) =>
    [...tensors].map(([name, t]): [string, StoredTensor] => [named ? `${path}.${name}` : name, t]),
  );
  return { tensors: new Map(tensors), notes };
}

/** Dictionaries that hold tensors, those nearer to the root first; none is looked at twice. */
function dictsOf(value: PickleValue): Dict[] {
  const found: Dict[] = [];
  const seen = new Set<PickleValue>();
  let level: [path: string, value: PickleValue][] = [["", value]];
  for (let depth = 0; depth <= DEPTH && level.length; depth++) {
    const next: typeof level = [];
    for (const [path, dict] of level) {
      if (!(dict instanceof Map) || seen.has(dict)) continue;
      seen.add(dict);
      const tensors = new Map<string, StoredTensor>();
      for (const [key, entry] of dict) {
        if (typeof key !== "string") continue;
        if (entry instanceof StoredTensor) tensors.set(key, entry);
        else if (entry instanceof Map) next.push([path === "" ? key : `${path}.${key}`, entry]);
      }
      if (tensors.size) found.push({ path, tensors });
    }
    level = next;
  }
  return found;
}
