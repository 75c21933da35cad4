/**
 * A suspect whose tensors have other names, or lie otherwise: those of the released file are found
 * in it, and it is read as if they had their names.
 */
import { PanError, StateDictError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import type { CredentialInfo } from "../models/credential";
import { networkLayers } from "../models/described/network";
import { foldBatchNorm } from "../models/fold";
import { type Counterpart, type Counterparts, counterparts, isAlike } from "./counterparts";
import { withoutOnes } from "./layouts";
import { endsWithin } from "./names";
import type { OpenFile } from "./network-file";
import { findNetwork } from "./suspect";
import { type SuspectWeights, suspectWeights } from "./suspect-weights";

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
  if (named ? isOwn(named, own) : hasNames(suspect.file.tensors, released.file.tensors)) return asIs;
  const found = best(suspect.file.tensors, references(released.file.tensors, info));
  const file = { tensors: found.tensors, metadata: suspect.file.metadata };
  const isWeight = (name: string) => withoutOnes(found.tensors.get(name)!.shape).length > 1;
  const weights = found.table.filter(({ released }) => isWeight(released));
  if (!readable(file, info)) {
    const fits = [...found.ways].filter(([name]) => isPlace(name, info)).every(([, ways]) => ways > 0);
    return named || weights.length || !fits
      ? asIs
      : as(suspect.file, { unlike: true, notes: [...suspect.notes, UNLIKE] });
  }
  return as(file, {
    counterparts: found.table,
    ways: waysOf(found, info),
    notes: [...suspect.notes, told(found, suspect.file.tensors.size)],
  });
}

const UNLIKE =
  "the suspect's tensors have other names, and none is like one of the committed file's: nothing of the claim can be read in it";

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

/** Whether all of the owner's weights have their names in a file. */
const hasNames = (suspect: StateDict, released: StateDict): boolean =>
  [...released]
    .filter(([, { shape }]) => withoutOnes(shape).length > 1)
    .every(([name, { shape }]) => endsWithin(suspect, name, shape));

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

/** By the reference of which more is found; the ways of both count. */
function best(suspect: StateDict, references: readonly StateDict[]): Counterparts {
  const all = references.map((reference) => counterparts(suspect, reference));
  const [most] = [...all].sort((a, b) => b.table.length - a.table.length);
  const ways = new Map<string, number>();
  for (const each of all) for (const [name, n] of each.ways) ways.set(name, (ways.get(name) ?? 0) + n);
  return { ...most!, ways };
}

/** Whether a tensor of the released file is one that a passport goes through, or its bias. */
const isPlace = (name: string, { places }: CredentialInfo): boolean =>
  places.some(({ weight, bias }) =>
    [weight, bias].some((own) => own !== undefined && (name === own || name.endsWith(`.${own}`))),
  );

function waysOf({ ways, tensors }: Counterparts, info: CredentialInfo): Ways {
  const sum = (chosen: (name: string) => boolean) =>
    [...ways].reduce((bits, [name, n]) => bits + (chosen(name) ? Math.log2(Math.max(1, n)) : 0), 0);
  const isWeight = (name: string) => withoutOnes(tensors.get(name)?.shape ?? []).length > 1;
  return { bits: sum((name) => isPlace(name, info)), weights: sum(isWeight), all: sum(() => true) };
}

/** How tensors were found, in one sentence. */
function told({ table }: Counterparts, of: number): string {
  const counts = new Map<string, number>();
  for (const { how } of table) counts.set(how, (counts.get(how) ?? 0) + 1);
  const ways = [...counts].map(([how, n]) => `${n} ${how}`).join(", ");
  const least = Math.min(...table.map(({ similarity }) => similarity));
  return `the suspect's tensors have other names: ${table.length} of its ${of} were found to be the committed file's by shape and similarity, ${least.toFixed(3)} or more (${ways})`;
}
