/** Finding a network's tensors in a file that names, shapes or stores them otherwise than we do. */
import { StateDictError } from "../../errors";
import type { HostTensor, StateDict } from "../../io/host-tensor";
import { listed, shownName } from "../../io/shown";
import { sameShape, showShape, sizeOf } from "../../tensor/shape";
import { withoutOnes } from "./layouts";

/** A tensor to look for. */
export interface Wanted {
  /** In PyTorch's order; a first size of −1 is any. */
  shape: readonly number[];
  /** It is one of those that decide under which prefix the network lies. */
  anchor?: boolean;
  /** The tensor under whose prefix it lies; without one, under that of the network. */
  beside?: string;
  /**
   * `needed`: nothing is readable without it; `whole`: it may be missing, but not have another
   * shape; `optional`: one of another shape is left aside; `near`: so too, and it is what it seems
   * under the prefix of the one beside it alone.
   */
  need: "needed" | "whole" | "optional" | "near";
}

/** What {@link findTensors} found. */
export interface Found {
  /** By the names and of the shapes that were looked for. */
  tensors: StateDict;
  /** What each is called in the file. */
  sources: ReadonlyMap<string, string>;
  /** Needed ones that are not there. */
  missing: string[];
  /** Tensors of the file that nothing was looked for under. */
  ignored: string[];
  /** What had to be assumed, in sentences. */
  notes: string[];
}

/** Components of names that wrappers put anywhere: data parallelism, compilation. */
export const WRAPPERS: ReadonlySet<string> = new Set(["module", "_orig_mod"]);

interface Candidate {
  name: string;
  /** What its name has beside the one looked for. */
  prefix: string;
  tensor: HostTensor;
}

/**
 * Every tensor whose name ends in one that is looked for, at a dot; wrappers' components do not
 * count.
 */
function candidatesFor(state: StateDict, wanted: ReadonlyMap<string, Wanted>): Map<string, Candidate[]> {
  let deepest = 0;
  for (const name of wanted.keys()) deepest = Math.max(deepest, name.split(".").length);
  const found = new Map<string, Candidate[]>();
  for (const [name, tensor] of state) {
    const parts = name.split(".");
    const own: string[] = [];
    const skipped: string[] = [];
    for (let i = parts.length - 1; i >= 0 && own.length < deepest; i--) {
      const part = parts[i]!;
      if (WRAPPERS.has(part)) {
        skipped.unshift(part);
        continue;
      }
      own.unshift(part);
      const end = own.join(".");
      if (!wanted.has(end)) continue;
      const prefix = [...parts.slice(0, i), ...skipped].map((p) => `${p}.`).join("");
      const list = found.get(end);
      const candidate = { name, prefix, tensor };
      if (list) list.push(candidate);
      else found.set(end, [candidate]);
    }
  }
  return found;
}

/**
 * The shape a tensor should have, an unknown first size filled in; null where its numbers are not
 * as many.
 */
function filledShape({ data }: HostTensor, shape: readonly number[]): readonly number[] | null {
  if (shape[0] !== -1) return sizeOf(shape) === data.length ? shape : null;
  const rows = data.length / sizeOf(shape.slice(1));
  return Number.isInteger(rows) ? [rows, ...shape.slice(1)] : null;
}

/** Whether shapes agree but for dimensions of 1, which move no number. */
function fits(tensor: HostTensor, shape: readonly number[]): boolean {
  const filled = filledShape(tensor, shape);
  return filled !== null && sameShape(withoutOnes(tensor.shape), withoutOnes(filled));
}

/** Those of the right shape. */
const fittingIn = (all: ReadonlyMap<string, readonly Candidate[]>, wanted: ReadonlyMap<string, Wanted>) =>
  new Map([...wanted].map(([name, { shape }]) => [name, (all.get(name) ?? []).filter((c) => fits(c.tensor, shape))]));

const sameNumbers = (a: HostTensor, b: HostTensor): boolean =>
  a.dtype === b.dtype &&
  a.data.length === b.data.length &&
  a.data.every((v: number | bigint, i: number) => Object.is(v, b.data[i]));

/**
 * Finds tensors by the ends of their names and by their shapes: under a common prefix, under
 * several, with dimensions of 1 more or fewer, in any order and of any number type.
 * @param wanted what to look for, by name
 * @throws StateDictError when a needed tensor has another shape, or several different ones could be
 * it.
 */
export function findTensors(state: StateDict, wanted: ReadonlyMap<string, Wanted>): Found {
  const all = candidatesFor(state, wanted);
  const fitting = fittingIn(all, wanted);
  const main = commonPrefix(fitting, wanted);
  const claimed = new Set<string>();
  const sources = new Map<string, string>();
  const prefixOf = new Map<string, string>();
  const found: StateDict = new Map();
  const missing = new Set<string>();
  let reshaped = 0;
  const take = (name: string, { shape, beside, need }: Wanted): void => {
    const home = (beside !== undefined && prefixOf.get(beside)) || main;
    const free = fitting.get(name)!.filter((c) => !claimed.has(c.name));
    const near = free.filter((c) => c.prefix === home);
    const chosen = only(near.length || need === "near" ? near : free, name, need);
    if (!chosen) {
      if (need === "optional" || need === "near") return;
      const other = (all.get(name) ?? []).find((c) => c.prefix === home && !claimed.has(c.name));
      if (!other) {
        if (need === "needed") missing.add(name);
        return;
      }
      const expected = shape[0] === -1 ? [other.tensor.shape[0] ?? 1, ...shape.slice(1)] : shape;
      throw new StateDictError(
        `${shownName(other.name)}: shape ${showShape(other.tensor.shape)} in the suspect, ${showShape(expected)} expected`,
      );
    }
    claimed.add(chosen.name);
    sources.set(name, chosen.name);
    prefixOf.set(name, chosen.prefix);
    const whole = filledShape(chosen.tensor, shape)!;
    if (!sameShape(whole, chosen.tensor.shape)) reshaped++;
    found.set(name, { ...chosen.tensor, shape: whole });
  };
  // Those that decide come first, long names before short ones: the end of a long name may be a
  // short one.
  const length = (name: string) => name.split(".").length;
  const order = [...wanted].sort(
    ([a, x], [b, y]) => Number(y.anchor ?? false) - Number(x.anchor ?? false) || length(b) - length(a),
  );
  for (const [name, want] of order) take(name, want);
  // As they were asked for, whatever the order in the file.
  const tensors: StateDict = new Map();
  for (const name of wanted.keys()) if (found.has(name)) tensors.set(name, found.get(name)!);
  return {
    tensors,
    sources,
    missing: [...wanted.keys()].filter((name) => missing.has(name)),
    ignored: [...state.keys()].filter((name) => !claimed.has(name)),
    notes: notesOf(tensors, new Set(prefixOf.values()), reshaped),
  };
}

/**
 * The prefix under which all deciding tensors lie; where there is none, the one under which the
 * most do.
 * @throws StateDictError when whole networks lie under several and differ.
 */
function commonPrefix(fitting: ReadonlyMap<string, readonly Candidate[]>, wanted: ReadonlyMap<string, Wanted>): string {
  const { ranked, networks } = prefixesOf(fitting, wanted);
  if (networks.length > 1)
    throw new StateDictError(
      `the file holds ${networks.length} different networks of that structure, under the prefixes ${listed(networks.map((p) => `"${p}"`))}: give the tensors of one`,
    );
  return ranked[0] ?? "";
}

/**
 * Prefixes of deciding tensors, those under which the most lie first, and those of whole networks
 * that differ from each other.
 */
function prefixesOf(fitting: ReadonlyMap<string, readonly Candidate[]>, wanted: ReadonlyMap<string, Wanted>) {
  const anchors = [...wanted].filter(([, { anchor }]) => anchor).map(([name]) => name);
  const covered = new Map<string, number>();
  for (const name of anchors)
    for (const prefix of new Set(fitting.get(name)!.map((c) => c.prefix)))
      covered.set(prefix, (covered.get(prefix) ?? 0) + 1);
  const ranked = [...covered].sort(([a, n], [b, m]) => m - n || a.length - b.length).map(([prefix]) => prefix);
  const whole = ranked.filter((prefix) => covered.get(prefix) === anchors.length);
  const under = (prefix: string, name: string) => fitting.get(name)!.find((c) => c.prefix === prefix)?.tensor;
  const differ = (one: string, other: string): boolean =>
    [...wanted.keys()].some((name) => {
      const [a, b] = [under(one, name), under(other, name)];
      return a !== undefined && b !== undefined && !sameNumbers(a, b);
    });
  return { ranked, networks: whole.filter((p, i) => whole.slice(0, i).every((other) => differ(other, p))) };
}

/** Most networks of a file that are looked at one by one. */
const MOST_NETWORKS = 64;

/**
 * A file that holds several different networks of a structure (a copy, an average over training,
 * states of an optimiser), each under a prefix of its own: once with each alone. A file of one
 * network, or of too many, as it is.
 */
export function networksApart(state: StateDict, wanted: ReadonlyMap<string, Wanted>): StateDict[] {
  const fitting = fittingIn(candidatesFor(state, wanted), wanted);
  const { networks } = prefixesOf(fitting, wanted);
  if (networks.length < 2 || networks.length > MOST_NETWORKS) return [state];
  const all = [...fitting.values()].flat();
  return networks.map((prefix) => {
    const others = new Set(all.filter((c) => c.prefix !== prefix && networks.includes(c.prefix)).map((c) => c.name));
    return new Map([...state].filter(([name]) => !others.has(name)));
  });
}

/**
 * The only candidate; of several with the same numbers the first.
 * @throws StateDictError for different ones, where one is needed.
 */
function only(candidates: readonly Candidate[], name: string, need: Wanted["need"]): Candidate | undefined {
  const [first] = candidates;
  if (!first || candidates.every((c) => sameNumbers(c.tensor, first.tensor))) return first;
  if (need === "optional" || need === "near") return undefined;
  throw new StateDictError(
    `${shownName(name)} may be any of ${listed(candidates.map((c) => c.name))}, which hold different numbers: give the tensors of one network`,
  );
}

function notesOf(tensors: StateDict, prefixes: ReadonlySet<string>, reshaped: number): string[] {
  const notes: string[] = [];
  const named = [...prefixes].filter((p) => p !== "").map((p) => `"${p}"`);
  if (named.length) notes.push(`the suspect's names are read without what stands beside them: ${listed(named)}`);
  if (reshaped) notes.push(`${reshaped} of the suspect's tensors are read without, or with, dimensions of 1`);
  const types = new Map<string, number>();
  for (const [name, { dtype }] of tensors)
    if (dtype !== "F32" && !name.endsWith(".num_batches_tracked")) types.set(dtype, (types.get(dtype) ?? 0) + 1);
  for (const [dtype, count] of types)
    notes.push(`${count} of the suspect's tensors are of type ${dtype} and are read as the numbers they hold`);
  return notes;
}
