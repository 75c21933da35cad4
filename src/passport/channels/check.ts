import { knownKeys, oneOf, unexpected } from "../../demand";
import { isObject } from "../../io/shown";
import type { Channels } from "./types";

/**
 * Most groups, parts of a group, members of a part, and entries of an axis that a file may name.
 */
const MOST = { groups: 2 ** 14, parts: 64, members: 2 ** 12, entries: 2 ** 26, name: 512 };

const isWhole = (n: unknown, least: number): n is number =>
  Number.isSafeInteger(n) && (n as number) >= least && (n as number) <= MOST.entries;

function list(value: unknown, most: number, what: string): readonly Record<string, unknown>[] {
  if (Array.isArray(value) && value.length <= most && value.every(isObject)) return value as never;
  return unexpected(`${what}: a list of at most ${most} objects`, value);
}

/**
 * Checks what a file says of channels, before anything is rearranged by it; whether a tensor has
 * them is seen when it is.
 * @throws ArgumentError naming what is something else.
 */
export function checkChannels(value: unknown): asserts value is Channels {
  if (!isObject(value)) return unexpected("channels: an object { groups, factors }", value);
  knownKeys("channels", value, ["groups", "factors"]);
  for (const group of list(value["groups"], MOST.groups, "groups")) {
    knownKeys("a group of channels", group, ["units", "parts"]);
    if (!isWhole(group["units"], 1)) unexpected("units: a whole number from 1", group["units"]);
    for (const part of list(group["parts"], MOST.parts, "parts")) {
      knownKeys("channels of a unit", part, ["each", "members"]);
      if (!isWhole(part["each"], 1)) unexpected("each: a whole number from 1", part["each"]);
      for (const run of list(part["members"], MOST.members, "members")) {
        checkRun(run, "role");
        oneOf("channels", "role", run["role"], ["out", "in", "norm", "value"]);
      }
    }
  }
  for (const group of list(value["factors"], MOST.groups, "factors")) {
    knownKeys("factors of channels", group, ["units", "scale", "sign", "members"]);
    const { units, scale, sign, members } = group;
    if (!isWhole(units, 1) || typeof scale !== "boolean" || typeof sign !== "boolean")
      unexpected("factors: units, a whole number, and scale and sign, true or false", { units, scale, sign });
    for (const run of list(members, MOST.members, "members")) {
      checkRun(run, "power", "plus");
      const { plus = 0 } = run;
      if (!(typeof plus === "number" && plus >= 0 && plus <= Number.MAX_VALUE))
        unexpected("plus: a finite number from 0", plus);
      if (![1, -1, 2, "sign"].includes(run["power"] as never)) unexpected('power: 1, −1, 2 or "sign"', run["power"]);
    }
  }
}

function checkRun(run: Record<string, unknown>, ...more: readonly string[]): void {
  knownKeys("channels in a tensor", run, [
    "tensor",
    "axis",
    "groups",
    "start",
    "unit",
    "channel",
    "times",
    "stride",
    ...more,
  ]);
  const { tensor, axis, groups = 1, start, unit, channel, times, stride } = run;
  const steps = [unit, channel, stride].every((n) => typeof n === "number" && isWhole(Math.abs(n), 0));
  if (typeof tensor !== "string" || tensor.length > MOST.name) unexpected("tensor: a name", tensor);
  if (!isWhole(axis, 0) || !isWhole(groups, 1) || !isWhole(start, 0) || !isWhole(times, 1) || !steps)
    unexpected("axis, groups, start, times and steps of channels: whole numbers", { axis, groups, start, times, unit });
}
