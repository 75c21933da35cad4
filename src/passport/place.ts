/**
 * Where a passport sits in a network, in words that need no network: what a credential says of
 * itself, and all that is needed to compute γ from tensors on the host.
 */
import type { Layout } from "../nn/state";
import { windowCount } from "../tensor/ops/windows";
import { sizeOf } from "../tensor/shape";

/** A linear map as numbers; JSON-able. */
export interface MapGeometry {
  readonly kind: "conv2d" | "conv1d" | "linear";
  readonly inChannels: number;
  readonly channels: number;
  /** Per axis: taps, steps, zeros before and behind, distances of taps. None of a linear map. */
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly (readonly [before: number, after: number])[];
  readonly dilation: readonly number[];
  readonly groups: number;
  /** [H, W] of a Conv2d, [L] of a Conv1d, the dimensions between batch and channels of a Linear. */
  readonly inputSize: readonly number[];
}

/** One passport layer of a network; JSON-able. */
export interface PassportPlace extends MapGeometry {
  /** The norm's name in the plain network: `features.4.bn`. */
  readonly norm: string;
  /** State-dict name of the map's weight. */
  readonly weight: string;
  /** State-dict name of the map's bias; left out where it has none. */
  readonly bias?: string;
  /** Bytes of text that the first signature bits spell; the others follow no text. */
  readonly text: number;
}

/**
 * Places in the order of their names: in which order a file has them is hashed nowhere, so nothing
 * may depend on it.
 */
export const inOrder = (places: readonly PassportPlace[]): PassportPlace[] =>
  [...places].sort((a, b) => (a.norm < b.norm ? -1 : 1));

const LAYOUTS = { conv2d: "image", conv1d: "sequence", linear: "same" } as const;

/** Shape of a passport in state dicts, and how ours, [1, …, I], is ordered against it. */
export function passportShape({ kind, inChannels, inputSize }: MapGeometry): {
  readonly torch: readonly number[];
  readonly own: readonly number[];
  readonly layout: Layout;
} {
  const own = [1, ...inputSize, inChannels];
  return { own, layout: LAYOUTS[kind], torch: kind === "linear" ? own : [1, inChannels, ...inputSize] };
}

/** Shape of the map's weight in state dicts. */
export const weightShape = ({ channels, inChannels, groups, kernel }: MapGeometry): readonly number[] => [
  channels,
  inChannels / groups,
  ...kernel,
];

/** Where the secret of a norm lies in the state dict of its network. */
export const secretName = ({ name }: { readonly name: string }): string => `${name}.passport`;

/** Hidden units of the FC of a norm with so many channels. */
export const fcHidden = (channels: number): number => Math.max(1, Math.floor(channels / 4));

/** Numbers of one filter that meet one input channel. */
export const tapsOf = ({ kernel }: MapGeometry): number => sizeOf(kernel);

/** Positions of one input channel. */
export const positionsOf = ({ inputSize }: MapGeometry): number => sizeOf(inputSize);

/**
 * One axis of a map over an input: taps, steps, distances, zeros in front, and how many windows.
 */
interface Axis {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly size: number;
  readonly windows: number;
}

const axesOf = ({ inputSize, ...map }: MapGeometry): Axis[] =>
  inputSize.map((size, d) => {
    const [kernel, stride, dilation] = [map.kernel[d]!, map.stride[d]!, map.dilation[d]!];
    const [before, after] = map.padding[d]!;
    const windows = windowCount(size + before + after, kernel, stride, 0, dilation);
    return { kernel, stride, dilation, before, size, windows };
  });

/**
 * Calls `f` with each tap and each position that it meets in a window, of which there is one at
 * most: windows that lie in the padding alone, however many, take no time.
 */
function meetings({ kernel, stride, dilation, before, size, windows }: Axis, f: (t: number, at: number) => void): void {
  for (let t = 0; t < kernel; t++)
    for (let at = 0; at < size; at++) {
      const from = at + before - t * dilation;
      if (from >= 0 && from % stride === 0 && from / stride < windows) f(t, at);
    }
}

/**
 * A[t, p]: the share of position p of the (unpadded) input in the window mean of tap t, so that
 * S(P)[i, t] = Σ_p A[t, p] · P[i, p]. Of a linear map all positions are averaged. [taps, positions]
 */
export function tapMeans(map: MapGeometry): Float64Array {
  const positions = positionsOf(map);
  if (map.kind === "linear") return new Float64Array(positions).fill(1 / positions);
  // Axis by axis the shares multiply: a window's position is one per axis.
  const axes = axesOf(map).map((axis) => {
    const { kernel, size, windows } = axis;
    const shares = new Float64Array(kernel * size);
    meetings(axis, (t, at) => {
      shares[t * size + at]! += 1 / windows;
    });
    return { kernel, size, shares };
  });
  return axes.reduce<{ taps: number; size: number; rows: Float64Array }>(
    (whole, { kernel, size, shares }) => {
      const rows = new Float64Array(whole.taps * kernel * whole.size * size);
      for (let a = 0; a < whole.taps; a++)
        for (let t = 0; t < kernel; t++)
          for (let p = 0; p < whole.size; p++)
            for (let q = 0; q < size; q++)
              rows[((a * kernel + t) * whole.size + p) * size + q] =
                whole.rows[a * whole.size + p]! * shares[t * size + q]!;
      return { taps: whole.taps * kernel, size: whole.size * size, rows };
    },
    { taps: 1, size: 1, rows: Float64Array.of(1) },
  ).rows;
}

/**
 * Σ_p A[t, p] · x[p] for one input channel, axis by axis, so that A itself, far larger than either,
 * is never written down. [taps]
 */
function windowMeansOf(map: MapGeometry, x: Float64Array): Float64Array {
  if (map.kind === "linear") return Float64Array.of(x.reduce((a, b) => a + b, 0) / x.length);
  let [values, outer] = [x, 1];
  for (const axis of axesOf(map)) {
    const { kernel, size, windows } = axis;
    const inner = values.length / (outer * size);
    const means = new Float64Array(outer * kernel * inner);
    for (let o = 0; o < outer; o++)
      meetings(axis, (t, at) => {
        const [from, to] = [(o * size + at) * inner, (o * kernel + t) * inner];
        for (let i = 0; i < inner; i++) means[to + i]! += values[from + i]! / windows;
      });
    [values, outer] = [means, outer * kernel];
  }
  return values;
}

/**
 * S(P)[i, t]: the mean of a passport over the windows of each tap, channel by channel. [I · taps]
 * @param passport [1, I, …] ([1, …, I] of a linear map), as in state dicts
 */
export function windowMeans(place: MapGeometry, passport: ArrayLike<number>): Float64Array<ArrayBuffer> {
  const { inChannels, kind } = place;
  const [taps, area] = [tapsOf(place), positionsOf(place)];
  const at = (i: number, p: number) => (kind === "linear" ? p * inChannels + i : i * area + p);
  const means = new Float64Array(inChannels * taps);
  for (let i = 0; i < inChannels; i++)
    means.set(
      windowMeansOf(
        place,
        Float64Array.from({ length: area }, (_, p) => passport[at(i, p)]!),
      ),
      i * taps,
    );
  return means;
}

/**
 * S(P) · W [+ bias] of one filter, at the place of one output channel: which of the inputs a filter
 * meets is up to the group that its output stands in.
 */
export function averageAt(
  place: MapGeometry,
  { weight, bias, means }: { weight: ArrayLike<number>; bias: ArrayLike<number> | null; means: Float64Array },
  filter: number,
  output = filter,
): number {
  const { channels, inChannels, groups } = place;
  const size = (inChannels / groups) * tapsOf(place);
  const from = Math.floor(output / (channels / groups)) * size;
  let sum = bias?.[filter] ?? 0;
  for (let k = 0; k < size; k++) sum += weight[filter * size + k]! * means[from + k]!;
  return sum;
}

/**
 * γ_raw (or β_raw) = avg(W * P) [+ bias] on the host, in double precision: S(P) · W, a dot product
 * per channel.
 * @param weight [O, I/groups, …] and passport as for {@link windowMeans}, as in state dicts
 */
export function averageUnder(
  place: MapGeometry,
  weight: ArrayLike<number>,
  bias: ArrayLike<number> | null,
  passport: ArrayLike<number>,
): Float32Array<ArrayBuffer> {
  const known = { weight, bias, means: windowMeans(place, passport) };
  return Float32Array.from({ length: place.channels }, (_, o) => averageAt(place, known, o));
}
