/** What becomes of a released file in other programs and other hands: names, orders, layouts. */
import { type HostArray, type HostTensor, type StateDict, toFloat32 } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { Generator } from "../../src/tensor/random";
import type { Edit } from "./edits";

/** Dimensions in another order: `order[d]` is where the d-th of the result was. */
export function permuted({ dtype, shape, data }: HostTensor, order: readonly number[]): HostTensor {
  const strides = shape.map((_, d) => shape.slice(d + 1).reduce((a, b) => a * b, 1));
  const to = order.map((d) => shape[d]!);
  const out = data.slice() as HostArray;
  for (let i = 0; i < data.length; i++) {
    let [rest, from] = [i, 0];
    for (let d = to.length - 1; d >= 0; d--) {
      from += (rest % to[d]!) * strides[order[d]!]!;
      rest = Math.floor(rest / to[d]!);
    }
    out[i] = data[from]!;
  }
  return { dtype, shape: to, data: out };
}

const edited =
  (f: (tensors: StateDict) => Iterable<[string, HostTensor]>): Edit =>
  (file) => ({
    metadata: {},
    tensors: new Map(f(file.tensors)),
  });

/** Names that say nothing, in an order that says nothing. */
export const anonymous: Edit = edited((tensors) => {
  const all = [...tensors.values()];
  return [...new Generator(9).permutation(all.length)].map((i, n): [string, HostTensor] => [
    `onnx::${n + 100}`,
    all[i]!,
  ]);
});

const laidOut = (orders: Readonly<Record<number, readonly number[]>>): Edit =>
  edited((tensors) =>
    [...tensors].map(([name, t]): [string, HostTensor] => {
      const order = orders[t.shape.length];
      return [name, order ? permuted(t, order) : t];
    }),
  );

/** Convolutions as [kH, kW, I, O], matrices as [in, out]. */
export const hwio = laidOut({ 2: [1, 0], 4: [2, 3, 1, 0] });
/** Convolutions as [O, kH, kW, I]. */
export const ohwi = laidOut({ 4: [0, 2, 3, 1] });
/** Convolutions as [I, O, kH, kW], matrices as [in, out]. */
export const iohw = laidOut({ 2: [1, 0], 4: [1, 0, 2, 3] });

/** A file as TensorFlow.js saves it: the text of model.json, and its shard. */
export function asTfjs(file: SafetensorsFile): { json: Uint8Array; shard: Uint8Array } {
  const kinds: Record<string, string> = {
    weight: "kernel",
    bias: "bias",
    running_mean: "moving_mean",
    running_var: "moving_variance",
  };
  const kept = [...hwio(file).tensors].filter(([name]) => !name.endsWith("num_batches_tracked"));
  const weights = kept.map(([name, { shape }], i) => {
    const end = name.split(".").at(-1)!;
    return { name: `layer_${i}/${kinds[end] ?? end}`, shape, dtype: "float32" };
  });
  const data = kept.map(([, t]) => Buffer.from(toFloat32(t).buffer));
  const document = { format: "layers-model", modelTopology: {}, weightsManifest: [{ paths: ["a.bin"], weights }] };
  return { json: new TextEncoder().encode(JSON.stringify(document)), shard: new Uint8Array(Buffer.concat(data)) };
}

/** One tensor in several, rows behind rows, beside others' rows. */
export const concatenated = (name: string, parts: number, at: number): Edit =>
  edited((tensors) => {
    const own = tensors.get(name)!;
    const random = new Generator(3);
    const data = new Float32Array(parts * own.data.length);
    random.fill(data, "uniform", -0.1, 0.1);
    data.set(toFloat32(own), at * own.data.length);
    const whole: HostTensor = { dtype: "F32", shape: [parts * own.shape[0]!, ...own.shape.slice(1)], data };
    return [...tensors].map(([n, t]): [string, HostTensor] => (n === name ? ["qkv", whole] : [n, t]));
  });

/** Every float with a little noise. */
export const noisy = (share: number): Edit =>
  edited((tensors) => {
    const random = new Generator(4);
    return [...tensors].map(([name, t]): [string, HostTensor] => {
      if (t.dtype !== "F32") return [name, t];
      const values = toFloat32(t);
      const size = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
      return [
        name,
        { ...t, data: values.map((v) => v + share * size * random.uniform(-1, 1)) as HostTensor["data"] } as HostTensor,
      ];
    });
  });
