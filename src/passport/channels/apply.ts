/** Rearranging state dicts by the channels of their network, on the host. */
import { StateDictError } from "../../errors";
import { type HostTensor, type StateDict, toFloat32 } from "../../io/host-tensor";
import { shown } from "../../io/shown";
import { sizeOf } from "../../tensor/shape";
import type { ChannelGroup, ChannelMember, ChannelRun, FactorGroup } from "./types";

/** Which channels take which places. */
export interface ChannelOrder {
  /** Unit u becomes what unit units[u] was. */
  readonly units: ArrayLike<number>;
  /**
   * By part and unit: channel e of unit u becomes what channel within[part][u][e] of its old unit
   * was.
   */
  readonly within: readonly (readonly ArrayLike<number>[])[];
}

/** A tensor along an axis: [outer, entries, inner]; of a grouped map's inputs by blocks of rows. */
interface Walk {
  readonly data: Float32Array<ArrayBuffer>;
  readonly entries: number;
  /** Numbers of each stretch of an entry, and where those begin. */
  readonly inner: number;
  starts(entry: number): number[];
}

/**
 * Numbers of a tensor along the axis of a run.
 * @throws StateDictError where there is no such tensor, or no such axis.
 */
function walkOf(tensor: HostTensor | undefined, { tensor: name, axis, groups = 1 }: ChannelRun): Walk {
  if (!tensor) throw new StateDictError(`${name} is missing: not a network of the structure that its channels are of`);
  const { shape } = tensor;
  const size = shape[axis];
  const rows = shape[0] ?? 0;
  if (size === undefined || rows % groups !== 0 || (groups > 1 && axis === 0))
    throw new StateDictError(
      `${name}: shape [${shape.join(", ")}] has no axis ${axis} of ${groups} groups of channels`,
    );
  const [outer, inner] = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + 1))];
  const perGroup = outer / groups;
  return {
    data: toFloat32(tensor) as Float32Array<ArrayBuffer>,
    entries: size * groups,
    inner,
    starts(entry) {
      const [group, i] = [Math.floor(entry / size), entry % size];
      return Array.from({ length: perGroup }, (_, o) => ((group * perGroup + o) * size + i) * inner);
    },
  };
}

/** The entries of channel e of unit u. */
export function entriesOf({ start, unit, channel, times, stride }: ChannelRun, u: number, e: number): number[] {
  return Array.from({ length: times }, (_, i) => start + u * unit + e * channel + i * stride);
}

/** @throws StateDictError unless all entries of a run lie within the axis. */
function checkRun(run: ChannelRun, entries: number, units: number, each: number): void {
  const ends = [0, units - 1].flatMap((u) =>
    [0, each - 1].flatMap((e) => [0, run.times - 1].map((i) => [u, e, i] as const)),
  );
  const at = ends.map(([u, e, i]) => run.start + u * run.unit + e * run.channel + i * run.stride);
  if (units * each * run.times <= entries && at.every((n) => n >= 0 && n < entries)) return;
  throw new StateDictError(
    `${run.tensor}: its axis ${run.axis} has ${entries} entries, not those that its channels are said to have: ${shown(run)}`,
  );
}

/**
 * Puts channels into another order, everywhere: the network computes the same, up to the order of
 * sums. Tensors that are not there are passed over.
 * @throws StateDictError for tensors that do not have these channels.
 */
export function permuteChannels(state: StateDict, { units, parts }: ChannelGroup, order: ChannelOrder): void {
  const maps = new Map<string, { run: ChannelMember; from: Int32Array; walk: Walk }>();
  parts.forEach(({ each, members }, p) => {
    for (const run of members) {
      const tensor = state.get(run.tensor);
      if (!tensor) continue;
      const key = JSON.stringify([run.tensor, run.axis, run.groups]);
      const known = maps.get(key);
      const walk = known?.walk ?? walkOf(tensor, run);
      checkRun(run, walk.entries, units, each);
      const from = known?.from ?? Int32Array.from({ length: walk.entries }, (_, i) => i);
      for (let u = 0; u < units; u++)
        for (let e = 0; e < each; e++) {
          const [to, was] = [entriesOf(run, u, e), entriesOf(run, order.units[u]!, order.within[p]![u]![e]!)];
          to.forEach((at, i) => {
            from[at] = was[i]!;
          });
        }
      maps.set(key, { run, from, walk });
    }
  });
  // Columns within blocks of rows first, before those blocks move.
  const sorted = [...maps.values()].sort((a, b) => (b.run.groups ?? 1) - (a.run.groups ?? 1));
  for (const { run, from } of sorted) {
    const tensor = state.get(run.tensor)!;
    const { data, inner, starts } = walkOf(tensor, run);
    const out = data.slice();
    const size = tensor.shape[run.axis]!;
    from.forEach((was, to) => {
      // Of a grouped map the block of rows stays: its rows move by themselves.
      const at = Math.floor(was / size) * size + (to % size);
      if (was === at) return;
      const into = starts(at);
      starts(was).forEach((start, k) => {
        out.set(data.subarray(start, start + inner), into[k]!);
      });
    });
    state.set(run.tensor, { ...tensor, dtype: "F32", data: out });
  }
}

/**
 * Multiplies channels by factors where they are made, and divides where they are read: the network
 * computes the same, up to rounding, and by factors of ±1 to the bit.
 * @param factors one per unit @throws StateDictError as {@link permuteChannels}.
 */
export function scaleChannels(state: StateDict, { units, members }: FactorGroup, factors: ArrayLike<number>): void {
  for (const run of members) {
    const tensor = state.get(run.tensor);
    if (!tensor) continue;
    const { data, entries, inner, starts } = walkOf(tensor, run);
    checkRun(run, entries, units, 1);
    const { plus = 0 } = run;
    for (let u = 0; u < units; u++) {
      const f = factors[u]!;
      const power = run.power === "sign" ? Math.sign(f) : f ** run.power;
      for (const start of entriesOf(run, u, 0).flatMap(starts))
        for (let at = start; at < start + inner; at++)
          // No variance is below 0; a factor that would make it so is not met to the full.
          data[at] = plus > 0 ? Math.max(0, (data[at]! + plus) * power - plus) : data[at]! * power;
    }
    state.set(run.tensor, { ...tensor, dtype: "F32", data });
  }
}

/**
 * All numbers of each channel in a member, one after the other: [units · each, m].
 * @throws StateDictError as {@link permuteChannels}.
 */
export function rowsOf(tensor: HostTensor | undefined, run: ChannelRun, units: number, each = 1): Float32Array {
  const { data, entries, inner, starts } = walkOf(tensor, run);
  checkRun(run, entries, units, each);
  const rows = new Float32Array(units * each * (data.length / entries) * run.times);
  let to = 0;
  for (let u = 0; u < units; u++)
    for (let e = 0; e < each; e++)
      for (const start of entriesOf(run, u, e).flatMap(starts)) {
        rows.set(data.subarray(start, start + inner), to);
        to += inner;
      }
  return rows;
}
