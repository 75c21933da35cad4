import { StateDictError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import {
  type AnyNetwork,
  buildNetwork,
  headName,
  headWeight,
  type NetworkConfig,
  networkLayers,
  readCredential,
} from "../models/build";
import { passportPlan, withPassportsAt } from "../models/config";
import { type MapLayer, mapName } from "../models/layers";
import { joinState } from "../models/split";
import { listNames } from "../nn/module";

/** A suspect's weights under a credential, and what the suspect lacked for it. */
export interface Rejoined {
  /** The owner's network with the suspect's weights, in evaluation mode. */
  model: AnyNetwork;
  /** Classes of the suspect's classifier where they are not those of the claim; null for no classifier of two classes or more. */
  otherClasses?: number | null;
  /** The suspect's norms are folded into its convolutions: γ can be read, the private branch cannot run. `open` is the suspect as it is. */
  folded?: { open: AnyNetwork };
  /** The passport layer that is the classifier itself, where the suspect has another one: its bits went with it, and it is a plain layer of `model`. */
  unread?: string;
}

/**
 * The suspect's weights under the credential's private parts. A suspect with another classifier, or none, and one whose batch norms are folded are taken too; the result
 * says so. Folding mixes the bias of a fully connected layer with its norm: γ is then read without it, which it hardly differs by.
 * @throws FormatError when the second file is no credential; StateDictError, naming tensors, when they do not fit together.
 */
export function rejoinSuspect(suspect: SafetensorsFile, owner: SafetensorsFile): Rejoined {
  const { config } = readCredential(owner);
  const found: Omit<Rejoined, "model"> = {};
  const classes = classesOf(suspect.tensors, config);
  if (classes !== config.classes) found.otherClasses = classes;
  const head = headName(config);
  const plan = passportPlan(config, networkLayers(config));
  if (classes !== config.classes && plan.has(head)) found.unread = head;
  const own = ownersNetwork(config, classes, found.unread);
  const layers = networkLayers(own);
  const folded = layers.filter((l) => !l.bias).every((l) => suspect.tensors.has(`${l.name}.${mapName(l)}.bias`));
  const made: AnyNetwork[] = [];
  const build = (c: NetworkConfig) => {
    const model = buildNetwork(c);
    made.push(model);
    return model;
  };
  try {
    const model = build(own);
    const ofHead = (name: string) => name.startsWith(`${head}.`);
    // What cannot run as a classifier is left out, so that the rest can be read.
    const open = classes === null ? without(suspect.tensors, ofHead) : suspect.tensors;
    const deployed = folded ? withoutFoldedBiases(open, layers) : open;
    const credential = found.unread === undefined ? owner.tensors : without(owner.tensors, ofHead);
    const whole = joinState({ deployed, credential }, { config: own, layers });
    const report = model.loadStateDict(whole, { strict: false });
    const excused = (name: string) =>
      (classes === null && ofHead(name)) || (folded && /\.(scale|bias|bn0?\.[a-z_]+)$/.test(name));
    const missing = report.missing.filter((name) => !excused(name));
    if (missing.length || report.unexpected.length)
      throw new StateDictError(`missing ${listNames(missing)}; unexpected ${listNames(report.unexpected)}`);
    if (folded) {
      const asItIs = build({ ...model.plainConfig(), norm: "folded" } as NetworkConfig);
      asItIs.loadStateDict(open, { strict: classes !== null });
      found.folded = { open: asItIs.eval() };
    }
    return { ...found, model: model.eval() };
  } catch (cause) {
    for (const model of made) model.dispose();
    if (!(cause instanceof StateDictError)) throw cause;
    throw new StateDictError(`this credential does not belong to a network of that structure: ${cause.message}`, {
      cause,
    });
  }
}

/**
 * The suspect's weights under the credential's private parts, all branches able to run.
 * @throws FormatError, StateDictError as {@link rejoinSuspect}, and for a suspect without a classifier or with folded norms.
 */
export function rejoin(suspect: SafetensorsFile, owner: SafetensorsFile): AnyNetwork {
  const { model, folded, otherClasses } = rejoinSuspect(suspect, owner);
  if (!folded && otherClasses !== null) return model;
  model.dispose();
  folded?.open.dispose();
  throw new StateDictError(
    `the suspect ${folded ? "has its norms folded into its convolutions" : "has no classifier of two classes or more"}: its private branch cannot run. \`verify\` still reads its signature`,
  );
}

/** The owner's network with the suspect's classes; where the classifier is lost with its passport, as a plain layer in its place. @throws StateDictError when no other layer has one. */
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

/** Without the biases that folding made; layers that have one of their own get 0, since theirs cannot be told from what was folded in. */
function withoutFoldedBiases(state: StateDict, layers: readonly MapLayer[]): StateDict {
  const out: StateDict = new Map(state);
  for (const layer of layers) {
    const name = `${layer.name}.${mapName(layer)}.bias`;
    if (!layer.bias) out.delete(name);
    else if (out.has(name))
      out.set(name, { dtype: "F32", shape: [layer.channels], data: new Float32Array(layer.channels) });
  }
  return out;
}

/** Rows of the suspect's classifier; null when there is none, or too few to tell classes apart. */
function classesOf(state: StateDict, config: NetworkConfig): number | null {
  const rows = state.get(headWeight(config))?.shape[0] ?? 0;
  return rows < 2 ? null : rows;
}

const without = (state: StateDict, drop: (name: string) => boolean): StateDict =>
  new Map([...state].filter(([name]) => !drop(name)));
