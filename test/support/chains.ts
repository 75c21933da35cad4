/** Plain chains of maps as files, and what of their channels hangs together. No GPU. */
import type { SafetensorsFile } from "../../src/io/safetensors";
import type { Channels } from "../../src/passport/channels";
import type { Generator } from "../../src/tensor/random";

/** Numbers of a tensor, by output, input and place in the kernel. */
export type Fill = (o: number, i: number, k: number) => number;

/** A chain of maps from widths[0] channels to the last of widths, each of kernel × kernel. */
export function chain(widths: readonly number[], kernel: number, fill: (layer: number) => Fill): SafetensorsFile {
  const tensors: SafetensorsFile["tensors"] = new Map();
  for (let layer = 0; layer + 1 < widths.length; layer++) {
    const [inputs, outputs] = [widths[layer]!, widths[layer + 1]!];
    const [area, of] = [kernel * kernel, fill(layer)];
    const data = new Float32Array(outputs * inputs * area);
    for (let o = 0, at = 0; o < outputs; o++)
      for (let i = 0; i < inputs; i++) for (let k = 0; k < area; k++) data[at++] = of(o, i, k);
    const shape = kernel === 1 ? [outputs, inputs] : [outputs, inputs, kernel, kernel];
    tensors.set(`layers.${layer}.weight`, { dtype: "F32", shape, data });
  }
  return { tensors, metadata: {} };
}

/** Channels of such a chain. */
export function chainChannels(widths: readonly number[]): Channels {
  const run = { start: 0, unit: 1, channel: 0, times: 1, stride: 1 };
  const groups = widths.slice(1, -1).map((units, i) => ({
    units,
    parts: [
      {
        each: 1,
        members: [
          { tensor: `layers.${i}.weight`, axis: 0, role: "out" as const, ...run },
          { tensor: `layers.${i + 1}.weight`, axis: 1, role: "in" as const, ...run },
        ],
      },
    ],
  }));
  return { groups, factors: [] };
}

/** Independent normal numbers. */
export const noise =
  (random: Generator): Fill =>
  () =>
    random.normal(0, 1);
