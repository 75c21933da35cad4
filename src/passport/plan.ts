import { isWellFormed, knownKeys, oneOf, unexpected } from "../demand";
import { ArgumentError } from "../errors";
import { isObject } from "../io/shown";
import { windowCount } from "../tensor/ops/windows";
import { showShape, sizeOf } from "../tensor/shape";
import type { SecretPlan } from "./built-in";
import { type PassportPlace, weightShape } from "./place";
import { hasFc, PASSPORT_SCHEMES } from "./schemes";
import { capacity } from "./signature";

/** Longest entries `passports` and `channels`: what thousands of passports take. */
export const LONGEST_PLAN = 2 ** 20;

/**
 * Most passports of a network, longest name, most numbers of one tensor and most windows and taps
 * along an axis that a plan may name.
 */
const MOST = { places: 2048, name: 512, numbers: 2 ** 31, taps: 2 ** 12, steps: 2 ** 26 };

const isWhole = (n: unknown, least: number): n is number =>
  Number.isSafeInteger(n) && (n as number) >= least && (n as number) <= MOST.numbers;

const isName = (n: unknown): boolean =>
  typeof n === "string" && n.length > 0 && n.length <= MOST.name && isWellFormed(n);

const isWholes = (list: unknown, length: number, least: number): list is number[] =>
  Array.isArray(list) && list.length === length && list.every((n) => isWhole(n, least));

/**
 * Checks what a file says of passports, before anything is made of it.
 * @throws ArgumentError naming what is something else.
 */
export function checkPlan(plan: unknown): asserts plan is SecretPlan {
  if (!isObject(plan)) unexpected("an object that says where passports sit", plan);
  const given = plan as Record<string, unknown>;
  knownKeys("passports", given, ["scheme", "fc", "statistics", "places", "separate", "texts"]);
  const scheme = oneOf("passports", "scheme", given["scheme"], PASSPORT_SCHEMES);
  if (typeof given["fc"] !== "boolean" || (given["fc"] && !hasFc({ scheme })))
    unexpected(`fc: true or false, true of scheme "pan" alone`, given["fc"]);
  oneOf("passports", "statistics", given["statistics"], ["separate", "shared"]);
  const { places, separate, texts } = given;
  checkPlaces(places);
  const names = places.map((p) => p.norm);
  const known: ReadonlySet<unknown> = new Set(names);
  if (!Array.isArray(separate) || separate.length > MOST.places || !separate.every(isName))
    unexpected("separate: a list of names", separate);
  if (separate.some((name) => known.has(name))) unexpected("separate: norms without a passport", separate);
  const isText = (t: unknown) =>
    isObject(t) &&
    typeof t["text"] === "string" &&
    Array.isArray(t["layers"]) &&
    t["layers"].every((l) => known.has(l));
  if (!Array.isArray(texts) || texts.length > MOST.places || !texts.every(isText))
    unexpected("texts: a list of texts, each with the norms that spell it", texts);
  if (JSON.stringify(plan).length > LONGEST_PLAN)
    unexpected(`passports: places, names and texts of at most ${LONGEST_PLAN} characters`, places.length);
}

/**
 * Checks a list of passports' places.
 * @throws ArgumentError naming what is something else.
 */
export function checkPlaces(places: unknown): asserts places is readonly PassportPlace[] {
  if (!Array.isArray(places) || !places.length || places.length > MOST.places)
    return unexpected(`places: a list of 1 to ${MOST.places} passports`, places);
  places.forEach((place, i) => checkPlace(place, `place ${i}`));
  const names = places.map((p) => (p as PassportPlace).norm);
  if (new Set(names).size !== names.length) unexpected("places: each norm once", names);
  checkTensors(places as readonly PassportPlace[]);
}

/**
 * A name is one tensor, whichever place says it: with two shapes to look for, whoever writes the
 * file could choose which of a network's tensors is read.
 */
function checkTensors(places: readonly PassportPlace[]): void {
  const known = new Map<string, string>();
  const take = (name: string, as: string) => {
    const before = known.get(name) ?? as;
    if (before !== as) unexpected(`places: one tensor called ${name}`, `${before} and ${as}`);
    known.set(name, as);
  };
  for (const place of places) {
    take(place.weight, `a weight ${showShape(weightShape(place))}`);
    if (place.bias !== undefined) take(place.bias, `${place.channels} biases beside ${place.weight}`);
  }
}

/** What a check has against a value, in words; null for nothing. */
export function faultOf(check: () => void): string | null {
  try {
    check();
    return null;
  } catch (cause) {
    if (cause instanceof ArgumentError) return cause.message;
    throw cause;
  }
}

/** @throws ArgumentError for what is no place of a passport. */
export function checkPlace(place: unknown, what: string): void {
  if (!isObject(place)) return unexpected(`${what}: an object`, place);
  const fields = ["norm", "weight", "bias", "text", "kind", "inChannels", "channels", "kernel", "stride"];
  knownKeys(what, place, [...fields, "padding", "dilation", "groups", "inputSize"]);
  const { norm, weight, bias, text, kind, inChannels, channels, groups, inputSize } = place;
  if (![norm, weight].every(isName) || !(bias === undefined || isName(bias)))
    unexpected(`${what}: names of a norm, a weight and a bias`, { norm, weight, bias });
  const axes = { conv2d: 2, conv1d: 1, linear: 0 }[oneOf(what, "kind", kind, ["conv2d", "conv1d", "linear"])];
  if (!isWhole(inChannels, 1) || !isWhole(channels, 1) || !isWhole(groups, 1))
    return unexpected(`${what}: inChannels, channels and groups, whole numbers from 1`, {
      inChannels,
      channels,
      groups,
    });
  if (inChannels % groups !== 0 || channels % groups !== 0)
    unexpected(`${what}: groups that divide ${inChannels} and ${channels} channels`, groups);
  if (!isWhole(text, 0) || text > capacity(channels))
    unexpected(`${what}: bytes of text that ${channels} channels hold`, text);
  const rank = Array.isArray(inputSize) ? inputSize.length : -1;
  if (rank > 6 || !isWholes(inputSize, axes || rank, 1))
    return unexpected(`${what}: inputSize, a whole number from 1 per axis, of 6 at most`, inputSize);
  const { kernel, stride, padding, dilation } = place;
  const sides = Array.isArray(padding) && padding.length === axes && padding.every((p) => isWholes(p, 2, 0));
  if (!isWholes(kernel, axes, 1) || !isWholes(stride, axes, 1) || !isWholes(dilation, axes, 1) || !sides)
    return unexpected(`${what}: kernel, stride, padding and dilation of each axis`, {
      kernel,
      stride,
      padding,
      dilation,
    });
  kernel.forEach((k, d) => {
    const [before, after] = (padding as [number, number][])[d]!;
    const reach = dilation[d]! * (k - 1) + 1;
    if (before >= reach || after >= reach || reach > inputSize[d]! + before + after)
      unexpected(`${what}: a kernel that fits its padded input`, { kernel: k, padding: [before, after] });
    const windows = windowCount(inputSize[d]! + before + after, k, stride[d]!, 0, dilation[d]!);
    if (k * windows > MOST.steps)
      unexpected(`${what}: at most ${MOST.steps} windows times taps along an axis`, { windows, kernel: k });
  });
  const taps = sizeOf(kernel);
  if (
    taps > MOST.taps ||
    inChannels * sizeOf(inputSize) > MOST.numbers ||
    channels * (inChannels / groups) * taps > MOST.numbers
  )
    unexpected(`${what}: at most ${MOST.taps} taps and ${MOST.numbers} numbers in a tensor`, place);
}
