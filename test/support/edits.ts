/**
 * Changes of a deployed file that change no weight: whoever has the file can make them, and no
 * verdict may depend on them.
 */
import { type HostTensor, type StateDict, toFloat32 } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { Generator } from "../../src/tensor/random";

export type Edit = (file: SafetensorsFile) => SafetensorsFile;

const withTensors = (f: (tensors: StateDict) => Iterable<[string, HostTensor]>): Edit => {
  return (file) => ({ ...file, tensors: new Map(f(file.tensors)) });
};
const renamed = (f: (name: string) => string): Edit => withTensors((t) => [...t].map(([n, v]) => [f(n), v]));
const each = (f: (t: HostTensor, name: string) => HostTensor): Edit =>
  withTensors((t) => [...t].map(([n, v]) => [n, f(v, n)]));
const dropped = (drop: (name: string) => boolean): Edit => withTensors((t) => [...t].filter(([n]) => !drop(n)));
const added = (name: string, value: HostTensor): Edit => withTensors((t) => [...t, [name, value]]);

export const floats = (shape: readonly number[], f: (i: number) => number = () => 0.5): HostTensor => {
  const length = shape.reduce((a, b) => a * b, 1);
  return { dtype: "F32", shape, data: Float32Array.from({ length }, (_, i) => f(i)) };
};

/** Bits of the nearest binary16, for numbers in its normal range; smaller ones become 0. */
function half(value: number): number {
  const size = Math.abs(value);
  if (size < 2 ** -14) return 0;
  const exponent = Math.floor(Math.log2(size));
  const fraction = Math.round((size / 2 ** exponent - 1) * 1024);
  return (value < 0 ? 0x8000 : 0) | ((exponent + 15) * 1024 + fraction);
}

const bfloat = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16;

const stored = (dtype: "F16" | "BF16", bits: (v: number) => number): Edit =>
  each((t) => (t.dtype === "F32" ? { ...t, dtype, data: Uint16Array.from(toFloat32(t), bits) } : t));

const isConvolution = (name: string) => name.endsWith(".conv.weight");

/** Biases of zero in front of every norm. */
const zeroBiases: Edit = withTensors((t) => [
  ...t,
  ...[...t].flatMap(([n, v]): [string, HostTensor][] =>
    isConvolution(n) ? [[n.replace("weight", "bias"), floats([v.shape[0]!], () => 0)]] : [],
  ),
]);

/** Exact edits keep every bit of γ; rounding ones may turn a few. */
export const EDITS: Readonly<Record<string, { edit: Edit; exact?: false; blind?: true }>> = {
  "a tensor too many": { edit: added("note", floats([3])) },
  "a tensor too many in a layer": { edit: added("features.2.extra", floats([3])) },
  "tensors with private names": {
    edit: (file) => {
      const bits = floats([16], () => 1);
      return added("features.2.bn.passport.b", bits)(added("features.2.b", bits)(file));
    },
  },
  "an optimiser's state": {
    edit: withTensors((t) => [...t, ...[...t].map(([n, v]): [string, HostTensor] => [`${n}.momentum_buffer`, v])]),
  },
  "biases of zero in front of norms": { edit: zeroBiases },
  "no count of batches": { edit: dropped((n) => n.endsWith("num_batches_tracked")) },
  "a count of batches as a float in a list": {
    edit: each((t, n) => (n.endsWith("num_batches_tracked") ? floats([1], () => 7) : t)),
  },
  "the prefix module.": { edit: renamed((n) => `module.${n}`) },
  "the prefix model.": { edit: renamed((n) => `model.${n}`) },
  "the prefix backbone.": { edit: renamed((n) => `backbone.${n}`) },
  "the prefix net.0.": { edit: renamed((n) => `net.0.${n}`) },
  "the prefix module._orig_mod.model.": { edit: renamed((n) => `module._orig_mod.model.${n}`) },
  "a wrapper inside of names": { edit: renamed((n) => n.replace(".", ".module.")) },
  "a prefix for all but the classifier": {
    edit: renamed((n) => (/^(classifier|linear)\./.test(n) ? n : `backbone.${n}`)),
  },
  "a prefix for the classifier alone": {
    edit: renamed((n) => (/^(classifier|linear)\./.test(n) ? `head.${n}` : n)),
  },
  "two prefixes": { edit: renamed((n) => (n.length % 2 ? `a.${n}` : `b.${n}`)) },
  "a copy of itself under a prefix": {
    edit: withTensors((t) => [...t, ...[...t].map(([n, v]): [string, HostTensor] => [`ema.${n}`, v])]),
  },
  "other metadata": { edit: (f) => ({ ...f, metadata: { format: "pt", model: "{", x: "y" } }) },
  "no metadata": { edit: (f) => ({ ...f, metadata: {} }) },
  "numbers of 64 bits": {
    edit: each((t) => (t.dtype === "F32" ? { ...t, dtype: "F64", data: Float64Array.from(toFloat32(t)) } : t)),
  },
  "numbers of 16 bits": { edit: stored("F16", half), exact: false },
  bfloat16: { edit: stored("BF16", bfloat), exact: false },
  "a dimension of 1 in front": { edit: each((t) => ({ ...t, shape: [1, ...t.shape] })) },
  "dimensions of 1 behind": { edit: each((t) => ({ ...t, shape: [...t.shape, 1, 1] })) },
  "another order of tensors": { edit: withTensors((t) => [...t].reverse()) },
  "a random order of tensors": {
    edit: withTensors((t) => {
      const all = [...t];
      return [...new Generator(5).permutation(all.length)].map((i) => all[i]!);
    }),
  },
  "no running statistics": { edit: dropped((n) => n.includes(".running_")), blind: true },
  "statistics of another shape": {
    edit: each((t, n) => (n.endsWith("running_var") ? floats([2]) : t)),
    blind: true,
  },
  "all of it": {
    edit: (f) => {
      const more = dropped((n) => n.endsWith("num_batches_tracked"))(zeroBiases(f));
      const named = renamed((n) => `module.net.0.${n}`)(added("y", floats([2]))(more));
      return { metadata: {}, tensors: each((t) => ({ ...t, shape: [1, ...t.shape] }))(named).tensors };
    },
  },
};
