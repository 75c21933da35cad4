import { ArgumentError } from "../errors";
import { listed, shown } from "../io/shown";
import { positionsOf, tapsOf } from "../passport/place";
import type { Scheme } from "../passport/schemes";
import { capacity, checkText, signatureBytes, spreadSignature } from "../passport/signature";
import type { SignatureText } from "../passport/texts";
import { type MapLayer, passportPlaces, placeOf } from "./layers";
import { BRANCH_NORM_NAMES, type BranchNormName, checkNorm, NORM_NAMES } from "./norm-names";

/**
 * Normalisation of a whole network: one of {@link BranchNormName} (`bn` in two-branch layers with
 * statistics of each branch), or `folded`: none, and the convolutions have a bias; what batch norm
 * folded into the convolutions leaves.
 */
export type NetworkNorm = BranchNormName | "folded";

/**
 * Layer → `true` (random signature bits), a text to embed there, or `false`; layers inside layers
 * as in `{ layer4: { 0: { convbn_2: "text" } } }`.
 */
export type Passports = { readonly [layer: string]: boolean | string | Passports };

/**
 * What the configurations of all networks have in common; JSON-able, it travels with saved files.
 */
export interface NetworkSettings {
  classes: number;
  /** Shape of one input: [height, width, channels] of an image, [points, 3] of a cloud. */
  input: readonly number[];
  scheme: Scheme;
  /**
   * Default `gn` for `v2` and `v3`, `bn` else; `sbn`: batch norm whose statistics both branches
   * share.
   */
  norm?: NetworkNorm;
  /** `pan`: send γ and β through the shared FC (default true). */
  fc?: boolean;
  /** Which layers have a passport, and what their signatures spell (default none). */
  passports?: Passports;
  /** A text spread over the passport layers that have none of their own, in order. */
  signature?: string;
}

/** Settings of a network that takes images. */
export interface ImageNetworkSettings extends NetworkSettings {
  /** Height, width and channels of an image. */
  input: readonly [number, number, number];
}

const NORMS: Readonly<Record<"plain" | "v1" | "two", readonly NetworkNorm[]>> = {
  plain: [...NORM_NAMES, "folded"],
  v1: NORM_NAMES,
  two: BRANCH_NORM_NAMES,
};

/** The normalisation of a network, defaults filled in. */
export const normOf = ({ norm, scheme }: NetworkSettings): NetworkNorm =>
  norm === undefined ? (scheme === "v2" || scheme === "v3" ? "gn" : "bn") : norm;

/** The norm of the plain network that computes what the given-away branch does. */
export const plainNorm = (settings: NetworkSettings): NetworkNorm => {
  const norm = normOf(settings);
  return norm === "sbn" ? "bn" : norm;
};

/**
 * The passport layers of a network in order, each with the bytes of text it carries (none for
 * random bits).
 * @throws ArgumentError naming a layer that is not there, a text that does not fit, or a scheme
 * that does not go with the passports.
 */
export function passportPlan(settings: NetworkSettings, layers: readonly MapLayer[]): Map<string, Uint8Array> {
  const chosen = flatten(settings.passports ?? {}, layers);
  const at = passportPlaces(layers).filter((l) => chosen.has(l.key));
  for (const layer of at) {
    const text = chosen.get(layer.key)!;
    if (signatureBytes(text) > capacity(layer.channels))
      throw new ArgumentError(
        `the signature ${shown(text)} of layer ${layer.key} takes ${signatureBytes(text)} bytes; its ${layer.channels} channels hold ${capacity(layer.channels)}: shorten it, put it into a wider layer, or spread it over layers with \`signature\``,
      );
  }
  const bytes = new Map<string, Uint8Array>(at.map((l) => [l.name, new TextEncoder().encode(chosen.get(l.key))]));
  if (settings.signature !== undefined && at.length) {
    const free = at.filter((l) => chosen.get(l.key) === "");
    const parts = spreadSignature(
      settings.signature,
      free.map((l) => l.channels),
    );
    free.forEach((l, i) => void bytes.set(l.name, parts[i]!));
  }
  return bytes;
}

/** All texts of a configuration: those of single layers in order, then the one that is spread. */
export function signatureTexts(settings: NetworkSettings, layers: readonly MapLayer[]): SignatureText[] {
  const chosen = flatten(settings.passports ?? {}, layers);
  const places = passportPlaces(layers);
  const own = places.filter((l) => chosen.get(l.key));
  const texts = own.map((l): SignatureText => ({ text: chosen.get(l.key)!, layers: [l.name] }));
  if (!settings.signature) return texts;
  const free = places.filter((l) => chosen.get(l.key) === "").map((l) => l.name);
  return [...texts, { text: settings.signature, layers: free }];
}

/**
 * Checks the settings all networks share, and how large the layers are that they make, before
 * anything is built; their form was checked by `checkForm`.
 * @throws ArgumentError
 */
export function checkSettings(settings: NetworkSettings, layers: readonly MapLayer[]): void {
  const { scheme, fc, signature } = settings;
  for (const layer of layers) checkSize(layer);
  const allowed = NORMS[scheme === "plain" || scheme === "v1" ? scheme : "two"];
  const norm = normOf(settings);
  if (!allowed.includes(norm))
    throw new ArgumentError(`norm of scheme "${scheme}": one of ${allowed.join(", ")} expected, found ${shown(norm)}`);
  for (const layer of layers)
    if (layer.norm !== "none" && norm !== "folded") checkNorm(norm, allowed, layer.channels, layer.kind !== "linear");
  if (fc !== undefined && scheme !== "pan")
    throw new ArgumentError(`fc belongs to scheme "pan", this is "${scheme}": leave it out`);
  if (signature !== undefined) checkText("a network", "signature", signature);
  for (const text of flatten(settings.passports ?? {}, layers).values())
    checkText("a network", "a passport's text", text);
  const plan = passportPlan(settings, layers);
  if (scheme === "plain" && (plan.size || signature !== undefined))
    throw new ArgumentError('scheme "plain" takes no passports and no signature: use "v1", "v2", "v3" or "pan"');
  if (scheme !== "plain" && !plan.size)
    throw new ArgumentError(
      `scheme "${scheme}" needs passports at one ${allPlanes(layers) ? "convolution" : "layer"} or more, for example { ${example(layers)}: true }`,
    );
}

/** Elements that no tensor of a layer can exceed: no buffer of WebGPU holds more. */
const MOST_ELEMENTS = 2 ** 31;

function checkSize(layer: MapLayer): void {
  const { name, inChannels, channels } = layer;
  const place = placeOf(layer, 0);
  const sizes = { weight: inChannels * channels * tapsOf(place), input: inChannels * positionsOf(place) };
  for (const [what, size] of Object.entries(sizes))
    if (!(size >= 1 && size <= MOST_ELEMENTS))
      throw new ArgumentError(
        `the ${what} of layer ${name}: 1 to 2^31 numbers expected, found ${size}: make it smaller`,
      );
}

const allPlanes = (layers: readonly MapLayer[]) => layers.every((l) => l.kind === "conv2d");

const example = (layers: readonly MapLayer[]) => {
  const key = passportPlaces(layers).at(-1)!.key;
  return key.includes(".") ? JSON.stringify(key) : key;
};

/** A dotted key, and every group that it lies in: `a`, `a.b` and `a.b.c` of `a.b.c`. */
const groupsOf = (key: string): string[] => {
  const parts = key.split(".");
  return parts.map((_, i) => parts.slice(0, i + 1).join("."));
};

/**
 * Key of each chosen layer → its text, "" for none. `true` at a group of layers means all of them;
 * what is said of a part of the group counts more.
 */
export function flatten(passports: Passports, all: readonly MapLayer[]): Map<string, string> {
  const layers = passportPlaces(all);
  const sayings: [at: string, value: boolean | string][] = [];
  const visit = (level: Passports, path: string): void => {
    for (const [key, value] of Object.entries(level)) {
      if (typeof value === "object") visit(value, `${path}${key}.`);
      else sayings.push([path + key, value]);
    }
  };
  visit(passports, "");
  const depth = (at: string) => at.split(".").length;
  const groups = new Map<string, (MapLayer & { key: string })[]>();
  for (const layer of layers)
    for (const at of groupsOf(layer.key)) {
      const group = groups.get(at);
      if (group) group.push(layer);
      else groups.set(at, [layer]);
    }
  sayings.sort(([a], [b]) => depth(a) - depth(b));
  const said = new Map<string, string | false>();
  for (const [at, value] of sayings) {
    const below = groups.get(at);
    if (!below)
      throw new ArgumentError(
        `passports name layer ${shown(at).slice(1, -1)}, which is not a ${allPlanes(all) ? "convolution of this network: they" : "layer of this network that takes one: those"} are ${listed(layers.map((l) => l.key))}`,
      );
    if (typeof value === "string" && below[0]!.key !== at)
      throw new ArgumentError(
        `passports: the text ${shown(value)} is given to the group ${at}: name one layer of ${listed(below.map((l) => l.key))}, or spread it over layers with \`signature\``,
      );
    for (const layer of below) said.set(layer.key, value === true ? "" : value);
  }
  const chosen = layers.flatMap((l) => {
    const text = said.get(l.key);
    return text === undefined || text === false ? [] : [[l.key, text] as const];
  });
  return new Map(chosen);
}
