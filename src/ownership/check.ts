/** Arguments of the functions that decide about ownership: exact types, known names. A value that nobody can mean is refused, never read as absent. */
import { checkedSet, type Dataset } from "../data/dataset";
import type { SampleTransform } from "../data/samples";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";
import { checkKeys, isObject } from "../models/form";

/** Checks one option; undefined never gets here. @throws PanError */
export type Check = (value: unknown, name: string) => void;

/**
 * Options by name, each with its check.
 * @throws ArgumentError for what is no object, or has a name that is not known; else as the checks.
 */
export function checkOptions(of: string, options: unknown, checks: Readonly<Record<string, Check>>): void {
  if (!isObject(options)) throw new ArgumentError(`${of}: options expected, found ${shown(options)}`);
  checkKeys(`options of ${of}`, options, Object.keys(checks));
  for (const [name, check] of Object.entries(checks))
    if (options[name] !== undefined) check(options[name], `${of}: ${name}`);
}

const expect = (holds: boolean, name: string, what: string, found: unknown): void => {
  if (!holds) throw new ArgumentError(`${name}: ${what} expected, found ${shown(found)}`);
};

export const isYesNo: Check = (v, name) => expect(typeof v === "boolean", name, "true or false", v);
export const isFunction: Check = (v, name) => expect(typeof v === "function", name, "a function", v);
export const isText: Check = (v, name) => expect(typeof v === "string", name, "a text", v);
/** A share from 0 to 1. */
export const isShare: Check = (v, name) =>
  expect(typeof v === "number" && v >= 0 && v <= 1, name, "a number from 0 to 1", v);
/** A probability that is neither 0 nor 1. */
export const isRate: Check = (v, name) =>
  expect(typeof v === "number" && v > 0 && v < 1, name, "a number between 0 and 1", v);
export const isSeed: Check = (v, name) =>
  expect(Number.isSafeInteger(v) && (v as number) >= 0, name, "a whole number from 0", v);
export const isOneOf =
  (...values: readonly unknown[]): Check =>
  (v, name) =>
    expect(values.includes(v), name, values.map((w) => shown(w)).join(" or "), v);
/** Numbers in a list or a typed array. */
export const isNumbers: Check = (v, name) => {
  const list = Array.isArray(v) || (ArrayBuffer.isView(v) && !(v instanceof DataView));
  expect(
    list && Array.prototype.every.call(v, (n) => typeof n === "number" && !Number.isNaN(n)),
    name,
    "a list of numbers",
    v,
  );
};

/** Images or clouds, one or more, whose parts agree. @throws ArgumentError, ShapeError, FormatError */
export const isDataset: Check = (v, name) => {
  const parts = isObject(v) ? v : {};
  const { labels, classes, images, points, length } = parts;
  const samples = images instanceof Uint8Array || points instanceof Float32Array;
  const known = (labels instanceof Uint8Array || labels instanceof Int32Array) && Array.isArray(classes) && samples;
  expect(known, name, "a set of images or of point clouds", v);
  expect(length === (labels as Uint8Array).length && (length as number) > 0, name, "a set of one sample or more", v);
  checkedSet(v as unknown as Dataset);
};

const KINDS: readonly SampleTransform["kind"][] = ["geometry", "value", "pixels", "points"];

/** Transforms of samples. */
export const isTransforms: Check = (v, name) =>
  expect(
    Array.isArray(v) && v.every((t) => isObject(t) && KINDS.includes(t["kind"] as SampleTransform["kind"])),
    name,
    "a list of transforms",
    v,
  );
