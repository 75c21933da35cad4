import { StateDictError } from "../errors";
import { type HostTensor, type StateDict, toFloat32 } from "../io/host-tensor";
import type { HiddenChannels } from "./edges";

/** Tensors of a plain layer's map; a layer has those of one kind. */
const MAP = ["conv.weight", "conv.bias", "linear.weight", "linear.bias"];
/** Tensors of a plain layer that have a row, or an entry, a channel. */
const ROWS = [...MAP, "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"];

const read = (state: StateDict, name: string): HostTensor => {
  const value = state.get(name);
  if (!value) throw new StateDictError(`${name} is missing: the weights are not a network of that structure`);
  return value;
};

/** Rows of [n, m] taken in an order: row i of the result is row order[i]. */
function takeRows(data: Float32Array, order: ArrayLike<number>): Float32Array<ArrayBuffer> {
  const m = data.length / order.length;
  const out = new Float32Array(data.length);
  for (let i = 0; i < order.length; i++) out.set(data.subarray(order[i]! * m, (order[i]! + 1) * m), i * m);
  return out;
}

/**
 * Puts hidden channels of a plain network into another order, here and where they go in: the
 * function stays the same to the bit of each sum's order. Row i becomes what row order[i] was.
 */
export function permuteChannels(state: StateDict, hidden: HiddenChannels, order: ArrayLike<number>): void {
  const { from, into, columns, channels } = hidden;
  for (const part of ROWS) {
    const value = state.get(`${from}.${part}`);
    if (value) state.set(`${from}.${part}`, { ...value, dtype: "F32", data: takeRows(toFloat32(value), order) });
  }
  const weight = read(state, into);
  const data = toFloat32(weight);
  const row = channels * columns;
  const out = new Float32Array(data.length);
  for (let at = 0; at < data.length; at += row) out.set(takeRows(data.subarray(at, at + row), order), at);
  state.set(into, { ...weight, dtype: "F32", data: out });
}

/**
 * Multiplies hidden channels behind their norm by positive factors and divides where they go in:
 * relu(s·x) = s·relu(x), and a maximum likewise, so the function stays the same up to rounding.
 */
export function scaleChannels(state: StateDict, hidden: HiddenChannels, factors: ArrayLike<number>): void {
  const { from, into, columns, channels } = hidden;
  for (const part of ["bn.weight", "bn.bias"]) {
    const value = read(state, `${from}.${part}`);
    const data = Float32Array.from(toFloat32(value), (v, i) => v * factors[i]!);
    state.set(`${from}.${part}`, { ...value, dtype: "F32", data });
  }
  const weight = read(state, into);
  const data = Float32Array.from(toFloat32(weight), (v, at) => v / factors[Math.floor(at / columns) % channels]!);
  state.set(into, { ...weight, dtype: "F32", data });
}

/**
 * Negates filters, and with them what their norm knows of them: running mean, bias and γ.
 * norm(−x) = −norm(x), so every output stays as it is to the bit, behind whatever comes next. Batch
 * and instance norm take any channels, group norm whole groups, layer norm the whole layer.
 * @param signs −1 for the channels to negate, 1 for the others
 */
export function negateFilters(state: StateDict, name: string, signs: ArrayLike<number>): void {
  read(state, `${name}.bn.weight`);
  for (const part of [...MAP, "bn.weight", "bn.running_mean"]) {
    const value = state.get(`${name}.${part}`);
    if (!value) continue;
    const values = toFloat32(value);
    const each = values.length / signs.length;
    const data = Float32Array.from(values, (v, at) => v * signs[Math.floor(at / each)]!);
    state.set(`${name}.${part}`, { ...value, dtype: "F32", data });
  }
}

/**
 * Multiplies the filters before a batch norm by positive factors, and its statistics with them: the
 * norm takes them out again, up to its ε.
 */
export function scaleFilters(
  state: StateDict,
  { from, channels }: Pick<HiddenChannels, "from" | "channels">,
  factors: ArrayLike<number>,
): void {
  const scale = (part: string, by: (i: number) => number) => {
    const value = read(state, `${from}.${part}`);
    const values = toFloat32(value);
    const each = values.length / channels;
    const data = Float32Array.from(values, (v, at) => v * by(Math.floor(at / each)));
    state.set(`${from}.${part}`, { ...value, dtype: "F32", data });
  };
  for (const part of MAP) if (state.has(`${from}.${part}`)) scale(part, (i) => factors[i]!);
  scale("bn.running_mean", (i) => factors[i]!);
  scale("bn.running_var", (i) => factors[i]! ** 2);
}
