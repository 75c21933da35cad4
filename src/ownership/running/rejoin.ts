import { ArgumentError, FormatError, StateDictError } from "../../errors";
import type { StateDict } from "../../io/host-tensor";
import type { SafetensorsFile } from "../../io/safetensors";
import { listed } from "../../io/shown";
import { networkOf } from "../../models/build";
import { type CredentialInfo, readCredential } from "../../models/credential";
import type { Module } from "../../nn/module";
import { torchShape } from "../../nn/state";
import type { SecretPlan } from "../../passport/built-in";
import { checkFile } from "../../passport/files";
import { secretName } from "../../passport/place";
import { Protected } from "../../passport/protected";
import { protectAs } from "../../passport/restore";
import { expectNetwork, type Network } from "../../passport/trace";
import { findTensors, type Wanted } from "../suspect/names";
import { foreign, type SuspectWeights, suspectWeights } from "../suspect/suspect-weights";

/** A suspect's weights under a credential, in a network that runs. */
export interface Rejoined extends SuspectWeights {
  /**
   * The owner's network with the suspect's weights, in evaluation mode. Where norms are folded its
   * private branch does not run as it should: `model.network` is the suspect as it is.
   */
  model: Protected;
}

/**
 * A suspect's weights in a network with the credential's passports.
 * @param network an ordinary network of the claim's structure, which takes the suspect's weights;
 * of a network of this package it is built
 * @throws FormatError for a network of somebody's own that is not given; StateDictError when the
 * parts do not fit; what was built is gone then.
 */
export function joined(
  read: SuspectWeights,
  suspect: SafetensorsFile,
  claim: CredentialInfo,
  network?: Network,
): Rejoined {
  if (network !== undefined) checkNetwork("rejoin", "network", network);
  const plan = planOf(claim, read);
  const built: Module[] = [];
  try {
    const plain = network ?? packaged(read, claim);
    if (network) loadSuspect(network, suspect.tensors);
    else built.push(plain);
    const model = protectAs(plain, plan);
    built.push(...model.sites.map((s) => s.secret));
    model.loadSecrets(secretsOf(claim, plan));
    return { ...read, model: model.eval() };
  } catch (cause) {
    for (const module of built) module.dispose();
    throw cause instanceof StateDictError ? foreign(cause) : cause;
  }
}

/**
 * A network that takes a suspect's weights.
 * @throws ArgumentError for what is none, or a protected one.
 */
export function checkNetwork(what: string, name: string, network: unknown): asserts network is Network {
  expectNetwork(what, name, network);
  if (network instanceof Protected)
    throw new ArgumentError(`${what}: ${name} has passports itself: give the network without them, its \`network\``);
}

/** A network of this package with the suspect's weights. */
function packaged({ otherClasses, tensors }: SuspectWeights, { config }: CredentialInfo): Network {
  if (!config)
    throw new FormatError(
      "the credential's network is none of this package's: give the network, `model`, for what needs to run it",
    );
  // What cannot run as a classifier is left out, so that the rest can be read.
  return networkOf({ ...config, classes: otherClasses ?? config.classes }, tensors, { strict: otherClasses !== null });
}

/** Puts the suspect's weights into a network of the caller's, by the ends of their names. */
function loadSuspect(network: Network, state: StateDict): void {
  const wanted = new Map<string, Wanted>();
  for (const [name, t, { layout }] of network.namedTensors()) {
    wanted.set(name, { shape: torchShape(t.shape, layout), need: "needed", anchor: true });
  }
  const { tensors, missing } = findTensors(state, wanted);
  if (missing.length) throw new StateDictError(`missing ${listed(missing)}`);
  network.loadStateDict(tensors, { strict: false });
}

/** The plan of a claim for the passports that can be read. */
function planOf(claim: CredentialInfo, { places }: SuspectWeights): SecretPlan {
  const { scheme, fc, statistics, separate } = claim;
  const texts = places.length === claim.places.length ? claim.texts : [];
  return { scheme, fc, statistics, separate, places, texts };
}

/** The credential's tensors of the passports that can be read. */
function secretsOf({ tensors, places }: CredentialInfo, plan: SecretPlan): StateDict {
  const left = places.filter((p) => !plan.places.includes(p)).map((p) => `${secretName({ name: p.norm })}.`);
  return new Map([...tensors].filter(([name]) => !left.some((start) => name.startsWith(start))));
}

/**
 * The suspect's weights under the credential's private parts, as far as they go.
 * @throws FormatError when the second file is no credential, or one of a network of the caller's
 * own; StateDictError, naming tensors, when they do not fit together.
 */
export function rejoinSuspect(suspect: SafetensorsFile, owner: SafetensorsFile, network?: Network): Rejoined {
  checkFile(suspect, "the suspect");
  const claim = readCredential(owner);
  return joined(suspectWeights(suspect, claim), suspect, claim, network);
}

/**
 * The suspect's weights under the credential's private parts, all branches able to run.
 * @throws FormatError, StateDictError as `rejoinSuspect` does, and for a suspect that lacks a
 * classifier or what its norms need, has folded norms, or numbers that are not finite.
 */
export function rejoin(suspect: SafetensorsFile, owner: SafetensorsFile, network?: Network): Protected {
  const { model, isFolded, otherClasses, idle } = rejoinSuspect(suspect, owner, network);
  if (!isFolded && otherClasses !== null && idle === undefined) return model;
  model.dispose();
  const why = isFolded
    ? "has its norms folded into its convolutions"
    : otherClasses === null
      ? "has no classifier of two classes or more"
      : `cannot run (${idle})`;
  throw new StateDictError(`the suspect ${why}: its private branch cannot run. \`verify\` still reads its signature`);
}
