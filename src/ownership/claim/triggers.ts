/** Triggers of a claim: inputs from its secret, labels from its hash. */

import { ArgumentError } from "../../errors";
import { digest } from "../../io/digest";
import type { NonSharedFloat32Array, NonSharedInt32Array, NonSharedUint8Array } from "../../io/typed-arrays";
import { fromBase64, toBase64 } from "../../signing/base64";
import { type Draw, drawn, keystream, sha512, subSecret } from "../digest";
import { PER_POINT, type TriggerSpec } from "./spec";
import { ellipsoids } from "./trigger-clouds";
import { enlarge } from "./trigger-images";

const utf8 = new TextEncoder();

/** The secret that the triggers of one group are drawn from: opening it opens that group alone. */
export const groupSecret = (secret: NonSharedUint8Array, group: number): Promise<NonSharedUint8Array> =>
  subSecret(secret, `triggers/${group}`);

/** Inputs of a group as they are hashed: bytes of images, coordinates of clouds. */
export type TriggerInputs = NonSharedUint8Array | NonSharedFloat32Array;

/** Numbers of one group. */
const groupSize = ({ shape, count }: TriggerSpec): number => shape.reduce((a, b) => a * b, count);

/** Inputs as they are kept: bytes, or floats in little-endian order; base64. */
export const encodeInputs = (inputs: TriggerInputs): string =>
  toBase64(new Uint8Array(inputs.buffer, inputs.byteOffset, inputs.byteLength));

/**
 * Supplied inputs from what {@link encodeInputs} made of them.
 * @param groups how many, one after the other
 * @throws ArgumentError for another number of them, and coordinates that are none.
 */
export function decodeInputs(text: unknown, spec: TriggerSpec, groups: number): TriggerInputs[] {
  const what = "triggers that are supplied";
  let bytes: NonSharedUint8Array;
  try {
    bytes = fromBase64(text, what);
  } catch (cause) {
    throw new ArgumentError(`${(cause as Error).message}: give the binding the \`inputs\` of suppliedTriggers()`, {
      cause,
    });
  }
  const size = groupSize(spec);
  const width = spec.kind === "clouds" ? 4 : 1;
  if (bytes.length !== size * groups * width)
    throw new ArgumentError(
      `${what}: ${size * groups * width} bytes, ${groups} groups of ${spec.count}, expected, found ${bytes.length}`,
    );
  return Array.from({ length: groups }, (_, g) => {
    const own = bytes.slice(g * size * width, (g + 1) * size * width);
    if (spec.kind === "images") return own;
    const points = new Float32Array(own.buffer);
    if (points.every(Number.isFinite)) return points;
    throw new ArgumentError(`${what}: finite coordinates expected, found others in group ${g}`);
  });
}

/** The inputs of the group with this secret, in order. */
export async function triggerInputs(
  secret: NonSharedUint8Array,
  { kind, shape, count, grid }: TriggerSpec,
): Promise<TriggerInputs> {
  if (kind === "clouds") {
    const points = shape[0]!;
    const all = new Float32Array(count * points * 3);
    const make = (draw: Draw) => {
      for (let n = 0; n < count; n++) all.set(ellipsoids(points, draw), n * points * 3);
      return all;
    };
    return drawn(secret, PER_POINT * count * points, make);
  }
  const [height, width, channels] = shape as [number, number, number];
  const cells = channels * grid * grid;
  const size = channels * height * width;
  const stream = await keystream(secret, count * cells);
  const all = new Uint8Array(count * size);
  for (let n = 0; n < count; n++)
    all.set(enlarge(stream.subarray(n * cells, (n + 1) * cells), [channels, grid], [height, width]), n * size);
  return all;
}

/** SHA-512 of all inputs of a group in order, raw, before any transform. */
export const inputsDigest = (inputs: TriggerInputs): Promise<NonSharedUint8Array> =>
  digest("SHA-512", new Uint8Array(inputs.buffer, inputs.byteOffset, inputs.byteLength));

/** Labels of a group: uniform over the classes, from the hash of everything. */
export async function triggerLabels(
  hash: NonSharedUint8Array,
  group: number,
  { count, classes }: TriggerSpec,
): Promise<NonSharedInt32Array> {
  const seed = await sha512([hash, utf8.encode("labels"), utf8.encode(String(group))]);
  return drawn(seed, 4 * count, (draw) => Int32Array.from({ length: count }, () => draw(classes.length)));
}
