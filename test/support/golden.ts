import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { toFloat32 } from "../../src/io/host-tensor";
import { decodeSafetensors, type SafetensorsFile } from "../../src/io/safetensors";

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
