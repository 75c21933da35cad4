/** Searching saved files for what must not be in them. */
import type { HostTensor, StateDict } from "../../src/io/host-tensor";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { Generator } from "../../src/tensor/random";

/**
 * Every float of the state random, as after training: no two tensors then share a pattern by being
 * all 0 or all 1. Signature bits stay.
 * @param chosen which tensors; all by default
 */
export function scattered(state: StateDict, chosen: (name: string) => boolean = () => true): StateDict {
  const random = new Generator(11);
  return new Map(
    [...state].map(([name, t]): [string, HostTensor] => {
      if (name.endsWith(".b") || !chosen(name)) return [name, t];
      if (t.dtype === "I64") return [name, { ...t, data: BigInt64Array.of(BigInt(random.integer(2 ** 31))) }];
      const [low, high] = name.endsWith("running_var") ? [0.5, 2] : [-1, 1];
      return [name, { ...t, data: random.fill(new Float32Array(t.data.length), "uniform", low, high) }];
    }),
  );
}

/** The bytes of a file as it is stored. */
export const fileBytes = (f: SafetensorsFile): Uint8Array => encodeSafetensors(f.tensors, f.metadata);

/** As it would be after a save and a load. */
export const stored = (f: SafetensorsFile): SafetensorsFile => decodeSafetensors(fileBytes(f));

/** Bytes as text, one character a byte. */
export const latin1 = (b: Uint8Array): string => Buffer.from(b).toString("latin1");

/** All of a stored file that is words: metadata, tensor names and shapes. */
export function headerText(file: Uint8Array): string {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  return Buffer.from(file.subarray(8, 8 + length)).toString("utf8");
}

const WINDOW = 16;
const bytesOf = (t: HostTensor) => new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength);
const latin = (b: Uint8Array, from: number, length: number) => String.fromCharCode(...b.subarray(from, from + length));

/** All windows of `length` bytes in a file, at every offset. */
function windows(file: Uint8Array, length: number): Set<string> {
  const out = new Set<string>();
  for (let i = 0; i + length <= file.length; i++) out.add(latin(file, i, length));
  return out;
}

/**
 * Private tensors of which some window of 16 bytes (the whole tensor, where it is shorter) stands
 * in the file.
 */
export function found(secret: StateDict, file: Uint8Array): string[] {
  const known = new Map<number, Set<string>>();
  return [...secret].flatMap(([name, t]) => {
    const b = bytesOf(t);
    const length = Math.min(WINDOW, b.length);
    const there = known.get(length) ?? windows(file, length);
    known.set(length, there);
    for (let i = 0; i + length <= b.length; i += 4) if (there.has(latin(b, i, length))) return [name];
    return [];
  });
}
