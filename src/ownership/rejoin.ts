import { StateDictError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import {
  type AnyNetwork,
  buildNetwork,
  headName,
  type NetworkConfig,
  networkLayers,
  readCredential,
} from "../models/build";
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
}

/**
 * The suspect's weights under the credential's private parts. A suspect with another classifier, or none, and one whose batch norms are folded are taken too; the result
 * says so.
 * @throws FormatError when the second file is no credential; StateDictError, naming tensors, when they do not fit together.
 */
export function rejoinSuspect(suspect: SafetensorsFile, owner: SafetensorsFile): Rejoined {
  const { config } = readCredential(owner);
  const found: Omit<Rejoined, "model"> = {};
  const classes = classesOf(suspect.tensors, config);
  if (classes !== config.classes) found.otherClasses = classes;
  const own: NetworkConfig = { ...config, classes: classes ?? config.classes };
  const layers = networkLayers(own);
  const folded = layers.every(({ name }) => suspect.tensors.has(`${name}.conv.bias`));
  const made: AnyNetwork[] = [];
  const build = (c: NetworkConfig) => {
    const model = buildNetwork(c);
    made.push(model);
    return model;
  };
  try {
    const model = build(own);
    const head = headName(config);
    // What cannot run as a classifier is left out, so that the rest can be read.
    const body = classes === null ? without(suspect.tensors, (name) => name.startsWith(`${head}.`)) : suspect.tensors;
    const deployed = folded ? without(body, (name) => name.endsWith(".conv.bias")) : body;
    const whole = joinState({ deployed, credential: owner.tensors }, { config: own, layers });
    const report = model.loadStateDict(whole, { strict: false });
    const excused = (name: string) =>
      (classes === null && name.startsWith(`${head}.`)) || (folded && /\.(scale|bias|bn0?\.[a-z_]+)$/.test(name));
    const missing = report.missing.filter((name) => !excused(name));
    if (missing.length || report.unexpected.length)
      throw new StateDictError(`missing ${listNames(missing)}; unexpected ${listNames(report.unexpected)}`);
    if (folded) {
      const open = build({ ...model.plainConfig(), norm: "folded" } as NetworkConfig);
      open.loadStateDict(body, { strict: classes !== null });
      found.folded = { open: open.eval() };
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

/** Rows of the suspect's classifier; null when there is none, or too few to tell classes apart. */
function classesOf(state: StateDict, config: NetworkConfig): number | null {
  const rows = state.get(`${headName(config)}.weight`)?.shape[0] ?? 0;
  return rows < 2 ? null : rows;
}

const without = (state: StateDict, drop: (name: string) => boolean): StateDict =>
  new Map([...state].filter(([name]) => !drop(name)));
