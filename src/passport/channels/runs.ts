/** Entries of channels along axes of named tensors, as regular runs. */
import { TO_TORCH } from "../../nn/state";
import type { NetworkTrace } from "../trace";
import type { Port } from "./ledger";
import type { ChannelRun } from "./types";

/** A text by which entries are sorted. */
export const place = (port: number, at: number): string => `${port}`.padStart(6, "0") + `${at}`.padStart(10, "0");

/** The names of a port's tensor, and its axis in PyTorch's order. */
export function named({ tensor, axis, groups }: Port, { tensors }: NetworkTrace) {
  const { names, layout } = tensors.get(tensor)!;
  const torch = layout === "same" ? axis : TO_TORCH[layout].indexOf(axis);
  return names.map((name) => ({ tensor: name, axis: torch, ...(groups > 1 && { groups }) }));
}

/** Entries of channels, by unit, as regular runs; null where they lie otherwise. */
export function runsOf(
  lists: readonly (readonly (readonly number[])[])[],
): Omit<ChannelRun, "tensor" | "axis">[] | null {
  const [head, next] = lists;
  const count = head![0]!.length;
  const lines = Array.from({ length: count }, (_, k) => {
    const start = head![0]![k]!;
    const [unit, channel] = [next ? next[0]![k]! - start : 0, head![1] ? head![1][k]! - start : 0];
    return { start, unit, channel };
  });
  const regular = lists.every((unit, u) =>
    unit.every(
      (list, e) =>
        list.length === count &&
        list.every((at, k) => at === lines[k]!.start + u * lines[k]!.unit + e * lines[k]!.channel),
    ),
  );
  if (!regular) return null;
  const runs: { start: number; unit: number; channel: number; times: number; stride: number }[] = [];
  for (const line of lines) {
    const run = runs.at(-1);
    const alike = run && run.unit === line.unit && run.channel === line.channel;
    const stride = run ? line.start - run.start - (run.times - 1) * run.stride : 0;
    if (alike && (run.times === 1 || stride === run.stride)) {
      run.stride = stride;
      run.times++;
    } else runs.push({ ...line, times: 1, stride: 1 });
  }
  return runs;
}
