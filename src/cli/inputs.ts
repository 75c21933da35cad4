/** A group's triggers as files: what they are called, and which there are. */
import type { TriggerSpec } from "../ownership/claim/spec";
import { isPicture } from "./png";

/** Names of the inputs of a group, in order: numbers of as many digits as the last one has. */
export function inputNames({ kind, shape, count }: TriggerSpec): string[] {
  const digits = String(count - 1).length;
  const end = kind === "images" && isPicture(shape[2]!) ? "png" : "npy";
  return Array.from({ length: count }, (_, i) => `${String(i).padStart(digits, "0")}.${end}`);
}
