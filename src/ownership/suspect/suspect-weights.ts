/** The weights of a suspect that a credential speaks of: nothing of it has to run. */
import { StateDictError } from "../../errors";
import type { StateDict } from "../../io/host-tensor";
import type { SafetensorsFile } from "../../io/safetensors";
import { listed } from "../../io/shown";
import type { CredentialInfo } from "../../models/credential";
import { headName, type NetworkConfig } from "../../models/described/network";
import { inOrder, type PassportPlace, weightShape } from "../../passport/place";
import { branchesOf } from "../../passport/schemes";
import { type Found, findTensors, networksApart, type Wanted } from "./names";
import { findNetwork, readSuspect, type Suspect, wantedOf } from "./suspect";

/** What of a suspect a claim can be compared with, on the host. */
export interface SuspectWeights {
  /** By the names of the plain network. */
  tensors: StateDict;
  /** Passports whose weights are there. */
  places: readonly PassportPlace[];
  /**
   * The passport that sat at the classifier itself, where the suspect has another one: its bits
   * went with it.
   */
  unread?: string;
  /**
   * Classes of the suspect's classifier where they are not those of the claim; null for no
   * classifier of two classes or more.
   */
  otherClasses?: number | null;
  /** The suspect's norms are folded into its maps. */
  isFolded: boolean;
  /**
   * Why no branch runs as in the suspect, where none does: what a norm needs is missing, or a
   * number is not finite. γ can be read.
   */
  idle?: string;
  /** What was assumed of the suspect's tensors or left aside, in sentences. */
  notes: readonly string[];
}

/**
 * The suspect's weights that a credential speaks of. They are found by the ends of their names and
 * by their shapes: prefixes, number types, dimensions of 1, further tensors and missing statistics
 * keep nothing from being read. Of a network of this package a suspect with another classifier, or
 * none, and one whose batch norms are folded are taken too; the result says so. Folding mixes the
 * bias of a fully connected layer with its norm: γ is then read without it, which it hardly differs
 * by.
 * @throws StateDictError, naming tensors, when they do not fit together.
 */
export function suspectWeights(suspect: SafetensorsFile, claim: CredentialInfo): SuspectWeights {
  try {
    return claim.config ? ofPackage(suspect, claim, claim.config) : ofAny(suspect, claim);
  } catch (cause) {
    throw cause instanceof StateDictError ? foreign(cause) : cause;
  }
}

/**
 * What a file calls the tensors that a claim speaks of, by the claim's names.
 * @throws StateDictError as {@link suspectWeights}.
 */
export const sourcesOf = (state: StateDict, { config, places }: CredentialInfo): ReadonlyMap<string, string> =>
  (config ? findNetwork(state, config) : findPlaces(state, places)).sources;

/** A file of several networks of the claimed structure, as one file of each. */
export const networksOf = (state: StateDict, { config, places }: CredentialInfo): StateDict[] =>
  networksApart(state, config ? wantedOf(config) : wantedPlaces(places));

const findPlaces = (state: StateDict, places: readonly PassportPlace[]): Found =>
  findTensors(state, wantedPlaces(places));

function wantedPlaces(places: readonly PassportPlace[]): ReadonlyMap<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  for (const place of inOrder(places)) {
    wanted.set(place.weight, { shape: weightShape(place), need: "needed", anchor: true });
    if (place.bias !== undefined)
      wanted.set(place.bias, { shape: [place.channels], need: "optional", beside: place.weight });
  }
  return wanted;
}

/** Of a network that nothing is known of but where its passports are. */
function ofAny(suspect: SafetensorsFile, { places }: CredentialInfo): SuspectWeights {
  const { tensors, missing, notes } = findPlaces(suspect.tensors, places);
  if (missing.length) throw new StateDictError(`missing ${listed(missing)}`);
  return { tensors, places, isFolded: false, notes };
}

function ofPackage(suspect: SafetensorsFile, claim: CredentialInfo, config: NetworkConfig): SuspectWeights {
  const single = branchesOf(claim.scheme).length === 1;
  const replaced = new Set(single ? claim.places.map((p) => p.norm) : []);
  const found: Suspect = readSuspect(suspect.tensors, config, replaced);
  if (found.missing.length)
    throw new StateDictError(`missing ${listed(found.missing)}; unexpected ${listed(found.ignored)}`);
  const { classes, idle, notes, tensors } = found;
  const read: SuspectWeights = { tensors, places: claim.places, isFolded: found.folded, notes };
  if (idle !== undefined) read.idle = idle;
  if (classes === config.classes) return read;
  read.otherClasses = classes;
  const head = `${headName(config)}.bn`;
  if (!claim.places.some((p) => p.norm === head)) return read;
  const places = claim.places.filter((p) => p.norm !== head);
  if (!places.length)
    throw new StateDictError(
      `this credential's only passport layer is the classifier ${headName(config)}, and the suspect has another: there is nothing to read`,
    );
  return { ...read, places, unread: head };
}

/** What does not fit was taken from another network. */
export const foreign = (cause: StateDictError): StateDictError =>
  new StateDictError(`this credential does not belong to a network of that structure: ${cause.message}`, { cause });

/** The weights that passports speak of; null where they are not there. */
export function weightsOf(file: SafetensorsFile, info: CredentialInfo, notes: string[]): SuspectWeights | null {
  try {
    return suspectWeights(file, info);
  } catch (cause) {
    if (!(cause instanceof StateDictError)) throw cause;
    notes.push(`no bits could be read: ${cause.message}`);
    return null;
  }
}
