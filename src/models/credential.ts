/** What a credential says, in whichever format it is. */
import { FormatError } from "../errors";
import type { StateDict } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import type { BranchAccuracy } from "../passport/branches";
import type { SecretPlan } from "../passport/built-in";
import { type Channels, checkChannels } from "../passport/channels";
import { CREDENTIAL, checkClaims, checkFile, FIRST_CREDENTIAL, parseEntry } from "../passport/files";
import { type PassportPlace, passportShape } from "../passport/place";
import { checkPlan } from "../passport/plan";
import { branchesOf, hasFc } from "../passport/schemes";
import { secretName } from "../passport/site";
import { sameShape, showShape } from "../tensor/shape";
import { asFormat, checkFormat, type NetworkConfig, networkLayers, readConfig, statisticsOf } from "./build";
import { authorsName } from "./compat/authors-names";
import { passportPlan, signatureTexts } from "./config";
import { placeOf } from "./layers";
import { plainOf } from "./plain";

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

/** Longest entries `passports` and `channels`. */
const LONGEST_PLAN = 2 ** 22;

/** @throws FormatError when the file is no credential, or describes more than it holds. */
export function readCredential(file: SafetensorsFile): CredentialInfo {
  checkFile(file, `a ${CREDENTIAL} file`);
  checkFormat(file, CREDENTIAL, [CREDENTIAL, FIRST_CREDENTIAL]);
  const info = file.metadata["format"] === CREDENTIAL ? second(file) : first(file);
  for (const place of info.places) checkPlace(place, info);
  return info;
}

function second(file: SafetensorsFile): CredentialInfo {
  const plan = parseEntry(file, "passports", LONGEST_PLAN);
  asFormat('the file\'s entry "passports" says nothing of passports', () => checkPlan(plan));
  const config = file.metadata["model"] === undefined ? undefined : readConfig(file);
  if (config && config.scheme !== "plain")
    throw new FormatError(`the credential's entry "model" is of scheme "${config.scheme}": a plain one expected`);
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

/** Names that the tensors of a secret may have. */
function privateNames({ places, separate }: SecretPlan): string[] {
  const norm = ["running_mean", "running_var", "num_batches_tracked"].map((s) => `norm.${s}`);
  const passport = ["b", "key", "skey", "fc.0.weight", "fc.2.weight", ...norm];
  const own = ["weight", "bias", ...norm];
  return [
    ...places.flatMap((p) => passport.map((part) => `${secretName({ name: p.norm })}.${part}`)),
    ...separate.flatMap((name) => own.map((part) => `${secretName({ name })}.${part}`)),
  ];
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
 * What a place says is as large as what is there, so that nothing larger is derived from it.
 * @throws FormatError
 */
function checkPlace(place: PassportPlace, { tensors, named }: CredentialInfo): void {
  const secret = secretName({ name: place.norm });
  const shapes = { skey: passportShape(place).torch, key: passportShape(place).torch, b: [place.channels] };
  for (const [part, shape] of Object.entries(shapes)) {
    const name = `${secret}.${part}`;
    const found = tensors.get(name);
    if (!found) throw new FormatError(`the credential has no ${named(name)}, which its passports are said to have`);
    if (!sameShape(found.shape, shape))
      throw new FormatError(
        `${named(name)}: shape ${showShape(found.shape)} in the file, ${showShape(shape)} in the network it describes`,
      );
  }
}
