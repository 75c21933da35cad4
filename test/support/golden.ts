import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { toFloat32 } from "../../src/io/host-tensor";
import { decodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";
import { expectClose } from "./gpu";

/**
 * Checks single elements of a tensor, in PyTorch's order, against those that `sampled` of
 * test/golden/common.py kept: eight of them, and behind them the largest magnitude, to `share` of
 * which all must agree. A norm alone would not see what changed places or sign.
 */
export function expectElements(found: ArrayLike<number>, sampled: Float32Array, share: number, what: string): void {
  const n = found.length;
  const elements = Array.from({ length: 8 }, (_, j) => found[Math.floor(((2 * j + 1) * n) / 16)]!);
  const largest = Array.from(found).reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  expectClose([...elements, largest], sampled, { rtol: 0, atol: share * sampled[8]!, what: `elements of ${what}` });
}

/** A committed file of reference numbers under test/golden. */
export class Golden {
  readonly file: SafetensorsFile;

  constructor(name: string) {
    this.file = decodeSafetensors(
      readFileSync(fileURLToPath(new URL(`../golden/${name}.safetensors`, import.meta.url))),
    );
  }

  has(name: string): boolean {
    return this.file.tensors.has(name);
  }

  shape(name: string): number[] {
    return [...this.get(name).shape];
  }

  data(name: string): Float32Array {
    return toFloat32(this.get(name));
  }

  /** A metadata entry, parsed from JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: the shape of each script's metadata is its own
  meta(name: string): any {
    return JSON.parse(this.file.metadata[name]!);
  }

  private get(name: string) {
    const t = this.file.tensors.get(name);
    if (!t) throw new Error(`no tensor ${name} among ${[...this.file.tensors.keys()].join(", ")}`);
    return t;
  }
}
