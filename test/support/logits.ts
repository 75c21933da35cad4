import type { SafetensorsFile } from "../../src/io/safetensors";
import { loadDeployed } from "../../src/models";
import type { Module } from "../../src/nn/module";
import { scope } from "../../src/tensor/storage";
import { noGrad, type Tensor } from "../../src/tensor/tensor";
import { randomTensor } from "./gpu";

type Runnable = Module & { forward(x: Tensor): Tensor };

/** What a network, in evaluation mode, makes of inputs that are always the same. */
export async function outputs(network: Runnable, shape: readonly number[]): Promise<Float32Array> {
  network.eval();
  const x = randomTensor([...shape], 4);
  const y = scope(() => noGrad(() => network.forward(x)));
  const out = await y.data();
  for (const t of [x, y]) t.dispose();
  return out;
}

/** {@link outputs} of a deployed network of this package, by default one for images of 8×8. */
export async function logits(file: SafetensorsFile, shape: readonly number[] = [3, 8, 8, 3]): Promise<Float32Array> {
  const model = loadDeployed(file);
  try {
    return await outputs(model, shape);
  } finally {
    model.dispose();
  }
}
