/**
 * Form of values that may have come out of a file, or from a caller without types: exact types,
 * known names, sizes within bounds. Nothing is converted.
 */
import { knownKeys, unexpected } from "../demand";
import { isObject, shown } from "../io/shown";
import { SCHEMES, type Scheme } from "../passport/schemes";
import type { NetworkSettings } from "./config";

/** Largest size of anything in a configuration: channels, kernels, sides of an image, classes. */
const LARGEST = 2 ** 24;

/** Whether that is a whole number from `least` to {@link LARGEST}. */
export const isWhole = (n: unknown, least: number): boolean =>
  Number.isSafeInteger(n) && (n as number) >= least && (n as number) <= LARGEST;

/** What {@link isWhole} accepts, in words. */
export const wholeFrom = (least: number): string => `whole numbers from ${least} to ${LARGEST}`;

const SETTINGS: readonly (keyof NetworkSettings)[] = [
  "classes",
  "input",
  "scheme",
  "norm",
  "fc",
  "passports",
  "signature",
];

/** What {@link checkForm} and {@link checkNames} are told of an architecture. */
interface Form {
  arch: string;
  /** Names of the numbers in `input`. */
  sizes?: readonly string[];
  /** Settings that this architecture adds. */
  own: readonly string[];
}

/**
 * Checks types and names alone, so that what follows may rely on them.
 * @throws ArgumentError
 */
export function checkForm(
  config: unknown,
  { arch: own, sizes = ["height", "width", "channels"] }: Pick<Form, "arch" | "sizes">,
): asserts config is NetworkSettings & Record<string, unknown> {
  if (!isObject(config)) unexpected("a network configuration", config);
  const { arch, classes, input, scheme, fc, passports = {}, signature } = config;
  if (arch !== own && !(own === "convnet" && arch === undefined)) unexpected(`arch: "${own}"`, arch);
  if (!isWhole(classes, 2)) unexpected("classes: a whole number from 2 (at least 2 classes)", classes);
  if (!Array.isArray(input) || input.length !== sizes.length || !input.every((n) => isWhole(n, 1)))
    unexpected(`input: [${sizes.join(", ")}], ${wholeFrom(1)},`, input);
  if (!SCHEMES.includes(scheme as Scheme)) unexpected(`scheme: one of ${SCHEMES.join(", ")}`, scheme);
  if (fc !== undefined && typeof fc !== "boolean") unexpected("fc: true or false", fc);
  if (signature !== undefined && typeof signature !== "string") unexpected("signature: a text", signature);
  checkPassports(passports, "", 0);
}

/**
 * The last check of a configuration, so that a wrong value is named before a name that is not
 * known.
 * @throws ArgumentError
 */
export const checkNames = (config: object, { arch, own }: Pick<Form, "arch" | "own">): void =>
  knownKeys(`settings of a ${arch}`, config, ["arch", ...SETTINGS, ...own]);

/** Layers lie in layers, `layer4`, `0`, `convbn_2`; nothing is nested deeper than this. */
const DEPTH = 32;

function checkPassports(passports: unknown, path: string, depth: number): void {
  if (!isObject(passports) || depth > DEPTH) return unexpected("passports: { layer: true or a text }", passports);
  for (const [key, value] of Object.entries(passports)) {
    if (isObject(value)) checkPassports(value, `${path}${key}.`, depth + 1);
    else if (typeof value !== "boolean" && typeof value !== "string")
      unexpected(`passports: true, false or a text at layer ${shown(path + key).slice(1, -1)}`, value);
  }
}
