/** What a credential says, in whichever format it is. */
import { FormatError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { listed } from "../io/shown";
import type { BranchAccuracy } from "../passport/branches";
import type { SecretPlan } from "../passport/built-in";
import { checkChannels } from "../passport/channels/check";
import type { Channels } from "../passport/channels/types";
import { CREDENTIAL, checkClaims, checkFile, FIRST_CREDENTIAL, parseEntry } from "../passport/files";
import { fcHidden, passportShape, secretName, weightShape } from "../passport/place";
import { checkPlan, LONGEST_PLAN } from "../passport/plan";
import { branchesOf, hasFc } from "../passport/schemes";
import { sameShape, showShape } from "../tensor/shape";
import { authorsName } from "./compat/authors-names";
import { passportPlan, plainNorm, signatureTexts } from "./config";
import {
  asFormat,
  checkFormat,
  type NetworkConfig,
  networkLayers,
  readConfig,
  restShapes,
  statisticsOf,
} from "./described/network";
import { placeOf } from "./layers";
import { plainOf } from "./plain";
import { plainLayerShapes } from "./shapes";

/** What a credential says of its network. */
export interface CredentialInfo extends SecretPlan {
  readonly format: 1 | 2;
  readonly claimed: BranchAccuracy;
  /** The plain network, where it is one of this package. */
  readonly config?: NetworkConfig;
  /** Which channels of the network hang together, where the file says it. */
  readonly channels?: Channels;
  /** By the names of format 2: `NORM.passport.skey` and so on. */
  readonly tensors: StateDict;
  /** A name of these tensors as the file has it. */
  named(name: string): string;
}

/**
 * What a credential says, in any of its formats: where its passports sit, what is claimed of the
 * branches, which texts it spells.
 * @throws FormatError when the file is no credential, or describes more than it holds.
 */
export function readCredential(file: SafetensorsFile): CredentialInfo {
  checkFile(file, `a ${CREDENTIAL} file`);
  checkFormat(file, CREDENTIAL, [CREDENTIAL, FIRST_CREDENTIAL]);
  const info = file.metadata["format"] === CREDENTIAL ? second(file) : first(file);
  checkTensors(info);
  return info;
}

function second(file: SafetensorsFile): CredentialInfo {
  const plan = parseEntry(file, "passports", LONGEST_PLAN);
  asFormat('the file\'s entry "passports" says nothing of passports', () => checkPlan(plan));
  const config = file.metadata["model"] === undefined ? undefined : readConfig(file);
  if (config && config.scheme !== "plain")
    throw new FormatError(`the credential's entry "model" is of scheme "${config.scheme}": a plain one expected`);
  if (config) checkModel(config, plan as SecretPlan);
  return {
    ...(plan as SecretPlan),
    format: 2,
    claimed: readClaims(file),
    ...(config && { config }),
    ...(file.metadata["channels"] !== undefined && { channels: readChannels(file) }),
    tensors: file.tensors,
    named: (name) => name,
  };
}

/**
 * The entry "model" says which tensors a suspect has, and no claim is bound to it: it may not say
 * anything else of a passport's weights than their places, which are.
 */
function checkModel(config: NetworkConfig, { places }: SecretPlan): void {
  const shapes = new Map([
    ...networkLayers(config).flatMap((layer) => [...plainLayerShapes(layer, plainNorm(config))]),
    ...restShapes(config),
  ]);
  const check = (name: string, expected: readonly number[]) => {
    const found = shapes.get(name);
    if (!found || !sameShape(found, expected))
      throw new FormatError(
        `the credential's entries "model" and "passports" contradict each other: ${name} is ${found ? showShape(found) : "no tensor"} by the one, ${showShape(expected)} by the other`,
      );
  };
  for (const place of places) {
    check(place.weight, weightShape(place));
    if (place.bias !== undefined) check(place.bias, [place.channels]);
  }
}

/** What a configuration says of passports. */
export function planOf(config: NetworkConfig): SecretPlan {
  const layers = networkLayers(config);
  const plan = passportPlan(config, layers);
  const two = branchesOf(config.scheme).length > 1;
  return {
    scheme: config.scheme,
    fc: hasFc(config),
    statistics: two ? statisticsOf(config) : "separate",
    places: layers.filter((l) => plan.has(l.name)).map((l) => placeOf(l, plan.get(l.name)!.length)),
    separate: two ? layers.filter((l) => l.branchNorms && !plan.has(l.name)).map((l) => `${l.name}.bn`) : [],
    texts: signatureTexts(config, layers).map(({ text, layers: at }) => ({ text, layers: at.map((l) => `${l}.bn`) })),
  };
}

/** A credential whose passports follow from the configuration of a network of this package. */
function first(file: SafetensorsFile): CredentialInfo {
  const config = readConfig(file);
  if (config.scheme === "plain")
    throw new FormatError("the credential describes a network without passports: there is nothing it could prove");
  const plan = planOf(config);
  if (plan.places.length > file.tensors.size)
    throw new FormatError(
      `the file's entry "model" describes a network of ${plan.places.length} such layers; the file has ${file.tensors.size} tensors: it is damaged or made up`,
    );
  const shared = config.arch === "pointnet" ? "bn0" : "bn";
  const named = (name: string) => authorsName(name, plan, shared);
  const ours = new Map(privateNames(plan).map((name) => [named(name), name]));
  const tensors: StateDict = new Map([...file.tensors].map(([name, t]) => [ours.get(name) ?? name, t]));
  return { ...plan, format: 1, claimed: readClaims(file), config: plainOf(config), tensors, named };
}

/** Running statistics of a norm. */
const STATISTICS = ["running_mean", "running_var", "num_batches_tracked"].map((part) => `norm.${part}`);

/** Tensors of what a credential says, by name, and their shapes where those are known. */
interface SecretTensors {
  readonly needed: ReadonlyMap<string, readonly number[]>;
  /** Groups that are there as a whole or not at all. */
  readonly optional: readonly ReadonlyMap<string, readonly number[] | null>[];
}

function secretTensors({ fc, scheme, statistics, places, separate }: SecretPlan): SecretTensors {
  const needed = new Map<string, readonly number[]>();
  const optional: Map<string, readonly number[] | null>[] = [];
  const own = branchesOf(scheme).length > 1 && statistics === "separate";
  for (const place of places) {
    const { channels } = place;
    const at = (part: string) => `${secretName({ name: place.norm })}.${part}`;
    for (const part of ["skey", "key"]) needed.set(at(part), passportShape(place).torch);
    needed.set(at("b"), [channels]);
    if (fc) {
      const hidden = fcHidden(channels);
      needed.set(at("fc.0.weight"), [hidden, channels]).set(at("fc.2.weight"), [channels, hidden]);
    }
    if (own) optional.push(new Map(STATISTICS.map((part, i) => [at(part), i < 2 ? [channels] : []])));
  }
  for (const name of separate) {
    const at = (part: string) => `${secretName({ name })}.${part}`;
    // Norms about 0 have no bias.
    for (const part of ["weight", "bias"]) optional.push(new Map([[at(part), null]]));
    optional.push(new Map(STATISTICS.map((part) => [at(part), null])));
  }
  return { needed, optional };
}

/** Names that the tensors of a secret may have. */
function privateNames(plan: SecretPlan): string[] {
  const { needed, optional } = secretTensors(plan);
  return [...needed.keys(), ...optional.flatMap((group) => [...group.keys()])];
}

function readChannels(file: SafetensorsFile): Channels {
  const channels = parseEntry(file, "channels", LONGEST_PLAN);
  asFormat('the file\'s entry "channels" says nothing of channels', () => checkChannels(channels));
  return channels as Channels;
}

function readClaims(file: SafetensorsFile): BranchAccuracy {
  const claimed = parseEntry(file, "claimed");
  asFormat('the file\'s entry "claimed" holds no accuracies', () => checkClaims(claimed));
  return claimed as BranchAccuracy;
}

/**
 * The tensors of a credential are those of the passports that it speaks of, no more and no fewer,
 * so that nothing larger is derived from it, and nothing is passed over.
 * @throws FormatError naming what is not so.
 */
function checkTensors(info: CredentialInfo): void {
  const { tensors, named } = info;
  const { needed, optional } = secretTensors(info);
  const there = optional.filter((group) => [...group.keys()].some((name) => tensors.has(name)));
  const expected = new Map([...needed, ...there.flatMap((group) => [...group])]);
  for (const [name, shape] of expected) {
    const found = tensors.get(name);
    if (!found) throw new FormatError(`the credential has no ${named(name)}, which its passports are said to have`);
    // A count has one element, in whatever shape.
    const fits = shape === null || (shape.length ? sameShape(found.shape, shape) : found.data.length === 1);
    if (!fits)
      throw new FormatError(
        `${named(name)}: shape ${showShape(found.shape)} in the file, ${showShape(shape)} in the network it describes`,
      );
  }
  const unexpected = [...tensors.keys()].filter((name) => !expected.has(name));
  if (unexpected.length)
    throw new FormatError(
      `the credential has tensors that belong to none of its passports: unexpected ${listed(unexpected.map(named))}`,
    );
}
