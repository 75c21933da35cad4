import { StateDictError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { listed } from "../io/shown";
import {
  type AnyNetwork,
  credentialShapes,
  headName,
  type NetworkConfig,
  networkLayers,
  networkOf,
  readCredential,
} from "../models/build";
import { passportPlan, withPassportsAt } from "../models/config";
import { checkFile } from "../models/files";
import { compareShapes } from "../models/shapes";
import { joinState } from "../models/split";
import { readSuspect, type Suspect } from "./suspect";

/** A suspect's weights under a credential, and what the suspect lacked for it. */
export interface Rejoined {
  /** The owner's network with the suspect's weights, in evaluation mode. */
  model: AnyNetwork;
  /**
   * Classes of the suspect's classifier where they are not those of the claim; null for no
   * classifier of two classes or more.
   */
  otherClasses?: number | null;
  /**
   * The suspect's norms are folded into its convolutions: γ can be read, the private branch cannot
   * run. `open` is the suspect as it is.
   */
  folded?: { open: AnyNetwork };
  /**
   * The passport layer that is the classifier itself, where the suspect has another one: its bits
   * went with it, and it is a plain layer of `model`.
   */
  unread?: string;
  /**
   * Why no branch runs as in the suspect, where none does: what a norm needs is missing, or a
   * number is not finite. γ can be read.
   */
  idle?: string;
  /** What was assumed of the suspect's tensors or left aside, in sentences. */
  notes?: readonly string[];
}

/**
 * The suspect's weights under the credential's private parts. They are found by the ends of their
 * names and by their shapes: prefixes, number types, dimensions of 1, further tensors and missing
 * statistics keep nothing from being read. A suspect with another classifier, or none, and one
 * whose batch norms are folded are taken too; the result says so. Folding mixes the bias of a fully
 * connected layer with its norm: γ is then read without it, which it hardly differs by.
 * @throws FormatError when the second file is no credential; StateDictError, naming tensors, when
 * they do not fit together. Nothing is built then.
 */
export function rejoinSuspect(suspect: SafetensorsFile, owner: SafetensorsFile): Rejoined {
  checkFile(suspect, "the suspect");
  const { config } = readCredential(owner);
  try {
    return joined(readSuspect(suspect.tensors, config), owner, config);
  } catch (cause) {
    if (!(cause instanceof StateDictError)) throw cause;
    throw new StateDictError(`this credential does not belong to a network of that structure: ${cause.message}`, {
      cause,
    });
  }
}

function joined(suspect: Suspect, owner: SafetensorsFile, config: NetworkConfig): Rejoined {
  const { classes, folded, idle, notes } = suspect;
  const head = headName(config);
  const found: Omit<Rejoined, "model"> = { notes, ...(idle !== undefined && { idle }) };
  if (classes !== config.classes) found.otherClasses = classes;
  const plan = passportPlan(config, networkLayers(config));
  if (classes !== config.classes && plan.has(head)) found.unread = head;
  const own = ownersNetwork(config, classes, found.unread);
  const ofHead = (name: string) => name.startsWith(`${head}.`);
  const credential = found.unread === undefined ? owner.tensors : without(owner.tensors, ofHead);
  const { missing, unexpected } = compareShapes(credential, credentialShapes(own));
  const lacking = [...suspect.missing, ...missing];
  if (lacking.length || unexpected.length)
    throw new StateDictError(`missing ${listed(lacking)}; unexpected ${listed([...unexpected, ...suspect.ignored])}`);
  const whole = joinState({ deployed: suspect.tensors, credential }, { config: own, layers: networkLayers(own) });
  // What cannot run as a classifier is left out, so that the rest can be read.
  const strict = classes !== null;
  const model = networkOf(own, whole, { strict });
  try {
    if (folded)
      found.folded = { open: networkOf(model.plainConfig() as NetworkConfig, suspect.tensors, { strict }).eval() };
    return { ...found, model: model.eval() };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/**
 * The suspect's weights under the credential's private parts, all branches able to run.
 * @throws FormatError, StateDictError as {@link rejoinSuspect}, and for a suspect that lacks a
 * classifier or what its norms need, has folded norms, or numbers that are not finite.
 */
export function rejoin(suspect: SafetensorsFile, owner: SafetensorsFile): AnyNetwork {
  const { model, folded, otherClasses, idle } = rejoinSuspect(suspect, owner);
  if (!folded && otherClasses !== null && idle === undefined) return model;
  model.dispose();
  folded?.open.dispose();
  const why = folded
    ? "has its norms folded into its convolutions"
    : otherClasses === null
      ? "has no classifier of two classes or more"
      : `cannot run (${idle})`;
  throw new StateDictError(`the suspect ${why}: its private branch cannot run. \`verify\` still reads its signature`);
}

/**
 * The owner's network with the suspect's classes; where the classifier is lost with its passport,
 * as a plain layer in its place.
 * @throws StateDictError when no other layer has one.
 */
function ownersNetwork(config: NetworkConfig, classes: number | null, unread: string | undefined): NetworkConfig {
  const own = { ...config, classes: classes ?? config.classes };
  if (unread === undefined) return own;
  const layers = networkLayers(config);
  const names = new Set(passportPlan(config, layers).keys());
  names.delete(unread);
  if (!names.size)
    throw new StateDictError(
      `this credential's only passport layer is the classifier ${unread}, and the suspect has another: there is nothing to read`,
    );
  return withPassportsAt(own, layers, names);
}

const without = (state: StateDict, drop: (name: string) => boolean): StateDict =>
  new Map([...state].filter(([name]) => !drop(name)));
