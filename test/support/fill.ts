import type { StateDict } from "../../src/io/host-tensor";
import { sizeOf } from "../../src/tensor/shape";

/** FNV-1a, 32 bit, of a name's UTF-8. */
function seedOf(name: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) h = Math.imul(h ^ byte, 0x01000193) >>> 0;
  return h;
}

/**
 * n numbers in [−1, 1) that belong to a name: s ← 1664525·s + 1013904223 mod 2³², v = s/2³¹ − 1.
 */
export function named(name: string, n: number): Float64Array {
  let s = seedOf(name);
  return Float64Array.from({ length: n }, () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return (s / 2 ** 32) * 2 - 1;
  });
}

/**
 * The value of a tensor of a network whose reference numbers are stored without its weights, in
 * PyTorch's order.
 */
export function filled(name: string, shape: readonly number[]): Float32Array<ArrayBuffer> {
  const n = sizeOf(shape);
  const last = name.split(".").pop()!;
  if (last === "running_mean" || last === "num_batches_tracked") return new Float32Array(n);
  if (last === "running_var") return new Float32Array(n).fill(1);
  const v = named(name, n);
  const by = (f: (v: number) => number) => Float32Array.from(v, f);
  if (last === "b") return by((x) => (x >= 0 ? 1 : -1));
  if (last.includes("key")) return by((x) => x);
  if (shape.length >= 2) return by((x) => x * Math.sqrt(6 / sizeOf(shape.slice(1))));
  return by(last === "weight" || last === "scale" ? (x) => 1 + 0.1 * x : (x) => 0.1 * x);
}

/**
 * A whole state dict by that rule, with second names of a tensor as the authors' code has them: the
 * same values.
 */
export function filledState(shapes: Readonly<Record<string, readonly number[]>>): StateDict {
  const first = (name: string) => {
    const weight = name.replace(/\.(conv|linear)\.weight$/, ".weight");
    return (weight in shapes ? weight : name).replace(/\.sign_loss(_private)?\.b$/, ".b");
  };
  return new Map(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      { dtype: "F32" as const, shape, data: filled(first(name), shape) },
    ]),
  );
}
