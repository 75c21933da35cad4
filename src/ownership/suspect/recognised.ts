/**
 * A suspect whose tensors have other names, or lie otherwise: those of the released file are found
 * in it, and it is read as if they had their names.
 */
import { PanError, StateDictError } from "../../errors";
import type { StateDict } from "../../io/host-tensor";
import type { SafetensorsFile } from "../../io/safetensors";
import type { CredentialInfo } from "../../models/credential";
import { networkLayers } from "../../models/described/network";
import { foldBatchNorm } from "../../models/fold";
import type { OpenFile } from "../network-file";
import { type Counterpart, type Counterparts, counterparts, isAlike } from "./counterparts";
import { hasRows } from "./layouts";
import { findNetwork } from "./suspect";
import { networksOf, type SuspectWeights, sourcesOf, suspectWeights } from "./suspect-weights";

/**
 * In how many ways tensors could have been found by shape alone, as logarithms to base 2: what
 * whoever made the released file could choose among. All 0 for a suspect that is read by its names.
 */
export interface Ways {
  /** Tensors that passports go through. */
  readonly bits: number;
  /** All tensors of two dimensions and more. */
  readonly weights: number;
  readonly all: number;
}

/** A suspect, read by its own names or by those of the released file. */
export interface Recognised extends OpenFile {
  /** How tensors were found; null where they have their own names. */
  readonly counterparts: readonly Counterpart[] | null;
  readonly ways: Ways;
  /** It has other names, shapes that fit, and nothing that is like the released file. */
  readonly unlike: boolean;
}

const ONE_WAY: Ways = { bits: 0, weights: 0, all: 0 };

/**
 * Recognises a suspect by the file that was committed to. One that has the owner's names, or cannot
 * be told apart, stays as it is; and so does every suspect where no file was committed to, since
 * whoever may choose that file afterwards chooses what is taken for what.
 */
export function recognised(suspect: OpenFile, info: CredentialInfo, released: OpenFile | null): Recognised {
  const as = (file: SafetensorsFile, more: Partial<Recognised> = {}): Recognised => ({
    ...{ file, notes: suspect.notes, counterparts: null, ways: ONE_WAY, unlike: false, ...more },
    get bytes() {
      return suspect.bytes;
    },
  });
  const asIs = as(suspect.file);
  const own = released && readable(released.file, info);
  if (!own) return asIs;
  const named = readable(suspect.file, info);
  if (named && isOwn(named, own)) return asIs;
  const all = references(released.file.tensors, info).map((reference) => ({
    names: sourcesOf(reference, info),
    ...counterparts(suspect.file.tensors, reference),
  }));
  // By the reference of which more is found.
  const [found] = [...all].sort((a, b) => b.table.length - a.table.length) as [(typeof all)[number]];
  const file = { tensors: found.tensors, metadata: suspect.file.metadata };
  const weights = found.table.filter(({ released }) => hasRows(found.tensors.get(released)!.shape));
  if (!readable(file, info)) {
    const { names, ways } = found;
    const fits = info.places.every(({ weight }) => (ways.get(names.get(weight) ?? "") ?? 0) > 0);
    return named || weights.length || found.isPartial || !fits
      ? asIs
      : as(suspect.file, { unlike: true, notes: [...suspect.notes, found.unclear.length ? UNCLEAR : UNLIKE] });
  }
  return as(file, {
    counterparts: found.table,
    ways: waysOf({ ...found, names: sourcesOf(found.tensors, info) }, all, info),
    notes: [...suspect.notes, told(found, suspect.file.tensors.size)],
  });
}

const UNLIKE =
  "the suspect's tensors have other names, and none is like one of the committed file's: nothing of the claim can be read in it";
const UNCLEAR =
  "the suspect's tensors have other names, and several are alike that could be one of the committed file's: nothing of the claim can be read in it";

/** What passports go through; null for a file in which it is not found. */
function readable(file: SafetensorsFile, info: CredentialInfo): SuspectWeights | null {
  try {
    return suspectWeights(file, info);
  } catch (cause) {
    if (!(cause instanceof StateDictError)) throw cause;
    return null;
  }
}

/** Whether the weights that have the names of the owner's are what became of those. */
const isOwn = (named: SuspectWeights, own: SuspectWeights): boolean =>
  named.places.every(({ weight }) => {
    const [theirs, ours] = [named.tensors.get(weight), own.tensors.get(weight)];
    return theirs !== undefined && ours !== undefined && isAlike(ours, theirs);
  });

/**
 * The networks of the claimed structure that a file holds, each as a file of its own that has the
 * whole one's bytes.
 */
export function networksIn(given: OpenFile, info: CredentialInfo): OpenFile[] {
  const all = networksOf(given.file.tensors, info);
  if (all.length === 1) return [given];
  const how = `the file holds ${all.length} different networks of the claimed structure, each of which is looked at`;
  return all.map((tensors) => ({
    file: { tensors, metadata: given.file.metadata },
    notes: [...given.notes, how],
    get bytes() {
      return given.bytes;
    },
  }));
}

/** The released file, and what it is with its norms folded. */
function references(released: StateDict, { config }: CredentialInfo): StateDict[] {
  if (!config) return [released];
  try {
    return [released, foldBatchNorm(findNetwork(released, config).tensors, networkLayers(config))];
  } catch (cause) {
    if (!(cause instanceof PanError)) throw cause;
    return [released];
  }
}

/** Counterparts by one form of the released file. */
interface ByReference extends Counterparts {
  /** What that form calls the tensors that the claim speaks of: those that are read. */
  readonly names: ReadonlyMap<string, string>;
}

/**
 * Ways of what is read, all forms of the released file together. A bias may also not be there; a
 * tensor of which nothing is known could have been anything.
 */
function waysOf(read: ByReference, all: readonly ByReference[], { places }: CredentialInfo): Ways {
  const others = all.filter(({ ways }) => ways !== read.ways);
  const waysIn = ({ ways, names }: ByReference, tensor: string): number | undefined =>
    ways.get(names.get(tensor) ?? "");
  const of = (tensor: string, own = waysIn(read, tensor) ?? Infinity): number =>
    others.reduce((sum, other) => sum + (waysIn(other, tensor) ?? 0), own);
  const bits = places.flatMap(({ weight, bias }) => [
    of(weight),
    ...(bias === undefined ? [] : [1 + of(bias, waysIn(read, bias) ?? 0)]),
  ]);
  const isWeight = (name: string) => hasRows(read.tensors.get(name)?.shape ?? []);
  const together = new Map<string, number>();
  for (const { ways } of [read, ...others])
    for (const [name, n] of ways) together.set(name, (together.get(name) ?? 0) + n);
  const sum = (list: readonly number[]) => list.reduce((bits, n) => bits + Math.log2(Math.max(1, n)), 0);
  const each = [...together];
  return {
    bits: sum(bits),
    weights: sum(each.filter(([name]) => isWeight(name)).map(([, n]) => n)),
    all: sum(each.map(([, n]) => n)),
  };
}

/** How tensors were found, in one sentence. */
function told({ table }: Counterparts, of: number): string {
  const counts = new Map<string, number>();
  for (const { how } of table) counts.set(how, (counts.get(how) ?? 0) + 1);
  const ways = [...counts].map(([how, n]) => `${n} ${how}`).join(", ");
  const least = Math.min(...table.map(({ similarity }) => similarity));
  return `the suspect's tensors have other names: ${table.length} of its ${of} were found to be the committed file's by shape and similarity, ${least.toFixed(3)} or more (${ways})`;
}
