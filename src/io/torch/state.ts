/** Which of a PyTorch file's values are the weights. */
import { FormatError } from "../../errors";
import { MAX_NAMES, SPLIT_IT } from "../header";
import { listed, quote } from "../shown";
import { StoredTensor } from "./globals";
import type { PickleValue } from "./pickle";

/** Names under which training scripts put the weights, the usual ones first. */
const USUAL = ["state_dict", "model_state_dict", "model", "net", "network", "params", "weights", "module"];
/** What checkpoints hold beside weights, and has tensors too; optimisers number their states. */
const BESIDE = /optim|sched|scaler|rng|(^|[._])ema($|[._])|loss|metric|average|(^|\.)state\.\d+$/i;
const DEPTH = 3;
/** Longest path, in characters: every dictionary has its own. */
const LONGEST_PATH = 500;

interface Dict {
  /** Of its keys, joined by dots; "" for the file's own dictionary. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** The tensors that are the weights, and what was left aside, in sentences. */
export function weightsAmong(value: PickleValue): { tensors: Map<string, StoredTensor>; notes: string[] } {
  if (value instanceof StoredTensor) return { tensors: new Map([["tensor", value]]), notes: [] };
  const { dicts, nameless, deeper } = dictsOf(value);
  const root = dicts.find(({ path }) => path === "");
  const below = dicts.filter((of) => of !== root);
  const main = below.filter(({ path }) => !BESIDE.test(path));
  const usual = USUAL.map((name) => main.find(({ path }) => `.${path}`.endsWith(`.${name}`))).find((of) => of);
  const named = usual ? [usual] : main;
  // A best accuracy or a fixed noise lies beside the weights; a state dict has most of all tensors.
  const chosen = root && (!named.length || outweighs(root, named)) ? [root] : named.length ? named : below;
  if (!chosen.length)
    throw new FormatError(
      "The PyTorch file has no dictionary of tensors (a state dict): save `model.state_dict()` by `torch.save`.",
    );
  const aside = asideOf(dicts, chosen);
  const notes: string[] = [];
  if (chosen[0] !== root) notes.push(`the weights are those under ${listed(chosen.map(({ path }) => quote(path)))}`);
  else if (aside.length) notes.push("the weights are those of the file's own dictionary");
  if (aside.length) notes.push(`tensors under ${listed(aside.map((path) => quote(path)))} were left aside`);
  if (nameless)
    notes.push(`${nameless} of the tensors were left aside: they lie in lists, or under keys that are no names`);
  if (deeper) notes.push(`dictionaries of tensors that lie more than ${DEPTH} deep were left aside`);
  const several = chosen.length > 1;
  const tensors = new Map<string, StoredTensor>();
  for (const of of chosen)
    for (const [name, tensor] of of.tensors) {
      const own = several ? `${of.path}.${name}` : name;
      if (tensors.has(own)) throw new FormatError(`The PyTorch file has two tensors called ${quote(own)}.`);
      tensors.set(own, tensor);
    }
  return { tensors, notes };
}

/** Whether a dictionary holds more tensors than others together, and more numbers. */
function outweighs(one: Dict, others: readonly Dict[]): boolean {
  const tensorsOf = (dicts: readonly Dict[]) => dicts.flatMap(({ tensors }) => [...tensors.values()]);
  const numbersOf = (tensors: readonly StoredTensor[]) =>
    tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const [mine, theirs] = [tensorsOf([one]), tensorsOf(others)];
  return mine.length > theirs.length && numbersOf(mine) > numbersOf(theirs);
}

/**
 * Where tensors lie that were not chosen: an optimiser's under its own name, not under each
 * state's.
 */
function asideOf(dicts: readonly Dict[], chosen: readonly Dict[]): string[] {
  const taken = new Set(chosen);
  const tree: Tree = new Map();
  for (const { path } of chosen) {
    let at = tree;
    for (const key of path.split(".")) at = at.get(key) ?? at.set(key, new Map()).get(key)!;
  }
  const paths = dicts
    .filter((of) => !taken.has(of))
    .flatMap(({ path, tensors }) => (path === "" ? [...tensors.keys()] : [topOf(path, tree)]));
  return [...new Set(paths)];
}

/** Paths, key by key. */
type Tree = Map<string, Tree>;

/** The shortest beginning of a path that leads to none of a tree's. */
function topOf(path: string, tree: Tree): string {
  const keys = path.split(".");
  let at: Tree | undefined = tree;
  let n = 0;
  while (at && n < keys.length) at = at.get(keys[n++]!);
  return keys.slice(0, n).join(".");
}

/** What a key is called; null where it is neither a text nor a whole number. */
const nameOf = (key: PickleValue): string | null =>
  typeof key === "string" ? key : typeof key === "bigint" || Number.isInteger(key) ? String(key) : null;

/** @throws FormatError for a path that is too long. */
function below(path: string, key: string): string {
  const whole = path === "" ? key : `${path}.${key}`;
  if (whole.length <= LONGEST_PATH) return whole;
  throw new FormatError(
    `The PyTorch file has dictionaries under ${quote(whole)}: keys of up to ${LONGEST_PATH} characters together expected, found ${whole.length}.`,
  );
}

/**
 * Dictionaries that hold tensors, those nearer to the root first; none is looked at twice. Counts
 * tensors that have no name, and says whether there are some deeper.
 */
function dictsOf(value: PickleValue): { dicts: Dict[]; nameless: number; deeper: boolean } {
  const dicts: Dict[] = [];
  const seen = new Set<PickleValue>();
  const isTensor = (entry: PickleValue) => entry instanceof StoredTensor;
  let [nameless, named] = [0, 0];
  let level: [path: string, value: Map<PickleValue, PickleValue>][] = value instanceof Map ? [["", value]] : [];
  for (let depth = 0; depth <= DEPTH && level.length; depth++) {
    const next: typeof level = [];
    for (const [path, dict] of level) {
      if (seen.has(dict)) continue;
      seen.add(dict);
      const tensors = new Map<string, StoredTensor>();
      for (const [key, entry] of dict) {
        const name = nameOf(key);
        if (Array.isArray(entry)) {
          // One list may stand under many keys.
          if (!seen.has(entry)) nameless += entry.filter(isTensor).length;
          seen.add(entry);
        } else if (entry instanceof StoredTensor && name !== null && !tensors.has(name)) tensors.set(name, entry);
        else if (entry instanceof StoredTensor) nameless++;
        else if (entry instanceof Map) next.push([below(path, name ?? "?"), entry]);
      }
      named += tensors.size;
      if (named > MAX_NAMES) throw new FormatError(`The PyTorch file has more than ${MAX_NAMES} tensors: ${SPLIT_IT}.`);
      if (tensors.size) dicts.push({ path, tensors });
    }
    level = next;
  }
  const last = new Set(level.map(([, dict]) => dict));
  const deeper = [...last].some((dict) => !seen.has(dict) && [...dict.values()].some(isTensor));
  return { dicts, nameless, deeper };
}
