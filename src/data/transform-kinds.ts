/** The kinds of transforms, and what each must be able to do. */
import type { Check } from "../demand";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";

/**
 * The method that a transform of each kind has; images know all but the last, in this order, clouds
 * the last.
 */
const METHODS = {
  resample: "window",
  geometry: "place",
  color: "apply",
  value: "map",
  pixels: "apply",
  points: "apply",
} as const;

/** Kinds of transforms for images, in the order that a list has them. */
export const IMAGE_KINDS = ["resample", "geometry", "color", "value", "pixels"] as const;

/**
 * @param at who takes them, and by which name, for the message
 * @throws ArgumentError if `transforms` is not an array, or one of them is no transform of any kind
 */
export function checkTransforms(transforms: unknown, at = "transforms"): void {
  if (!Array.isArray(transforms)) {
    throw new ArgumentError(
      `${at}: expected an array of transforms, got ${shown(transforms)}; put a single one in brackets`,
    );
  }
  for (let i = 0; i < transforms.length; i++) {
    const transform: unknown = transforms[i];
    const { kind } = Object(transform) as { kind?: unknown };
    const method = Object.entries(METHODS).find(([known]) => known === kind)?.[1];
    if (method === undefined) {
      const found = kind === undefined ? shown(transform) : `kind ${shown(kind)}`;
      throw new ArgumentError(
        `${at}: expected transforms of kind ${Object.keys(METHODS).join(", ")}, but number ${i} is ${found}`,
      );
    }
    const own = (transform as Record<string, unknown>)[method];
    if (typeof own !== "function") {
      throw new ArgumentError(
        `${at}: expected number ${i}, of kind "${kind}", to have a function ${method}, got ${shown(own)}`,
      );
    }
  }
}

/** {@link checkTransforms} of an option. */
export const isTransforms: Check = (what, name, transforms) => checkTransforms(transforms, `${what}: ${name}`);
