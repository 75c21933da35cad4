/** Whether two tensors hold the same channels, whatever they are called: tied ones, and copies. */
import type { Rows } from "./likeness";

/**
 * What channels are like in no order, of their own or of their columns: of each ‖x‖₁ and |Σ x| by
 * ‖x‖₂, sorted; behind, of how many numbers they are.
 */
export function printOf({ data, channels, columns, inner }: Rows): Float64Array {
  const m = columns * inner;
  const [ones, sums] = [new Float64Array(channels), new Float64Array(channels)];
  for (let c = 0; c < channels; c++) {
    let [one, sum, square] = [0, 0, 0];
    for (let k = c * m; k < (c + 1) * m; k++) {
      one += Math.abs(data[k]!);
      sum += data[k]!;
      square += data[k]! ** 2;
    }
    const length = Math.sqrt(square) || 1;
    ones[c] = one / length;
    sums[c] = Math.abs(sum) / length;
  }
  const print = new Float64Array(2 * channels + 1);
  print.set(ones.sort());
  print.set(sums.sort(), channels);
  print[2 * channels] = m;
  return print;
}

/** Whether two prints are of the same numbers, but for what f16 rounds. */
export const isSamePrint = (a: Float64Array, b: Float64Array): boolean =>
  a.length === b.length && a.at(-1) === b.at(-1) && a.every((v, i) => Math.abs(v - b[i]!) <= 1e-3 * (1 + Math.abs(v)));
