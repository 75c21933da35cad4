/** The comparison as text. */
import { LIBRARIES, type LibraryName } from "./protocol";
import type { LibraryRecord, PeersRecord, RowRecord } from "./record";

const LABELS: Readonly<Record<LibraryName, string>> = { ours: "ours", tfjs: "TensorFlow.js", jax: "jax-js" };
const NONE = "–";

const digits = (value: number): string => value.toFixed(value < 1 ? 3 : value < 100 ? 1 : 0);

/** Columns padded to their widest cell: the first to the left, the others to the right. */
export function alignTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
}

/**
 * Time of a library on a row; how many rounds it took where the others had more; or why there is
 * none.
 */
export function timeCell(record: LibraryRecord | undefined, rounds: number, notes: string[]): string {
  if (!record) return NONE;
  if (record.status === "wrong") return `wrong (err ${record.error!.toExponential(1)})`;
  if (record.status === "cannot") {
    notes.push(record.reason!);
    return `cannot [${notes.length}]`;
  }
  const taken = record.rounds.filter((ms) => ms !== null).length;
  return record.ms === null ? NONE : `${digits(record.ms)}${taken < rounds ? ` (${taken} rounds)` : ""}`;
}

const rate = ({ flop }: RowRecord, record: LibraryRecord | undefined): string =>
  record?.status === "right" && record.ms !== null ? digits(flop / record.ms / 1e6) : NONE;

const countsCell = (record: LibraryRecord | undefined): string =>
  record?.counts ? `${record.counts.dispatches} / ${record.counts.submits} / ${record.counts.buffers}` : NONE;

const firstCell = (record: LibraryRecord | undefined): string => (record?.firstMs ? digits(record.firstMs) : NONE);

/**
 * Both tables: times, rates and ratios; what one run asks of WebGPU, with the time of the first
 * run. Reasons of what cannot are below the first.
 */
export function formatPeers({ adapter, rows }: Pick<PeersRecord, "adapter" | "rows">, rounds: number): string {
  const notes: string[] = [];
  const peers = LIBRARIES.filter((name) => name !== "ours");
  const times = [
    [
      "milliseconds a run",
      ...LIBRARIES.map((n) => LABELS[n]),
      ...LIBRARIES.map((n) => `GFLOP/s ${n}`),
      "ours of ceiling",
      "best peer / ours",
    ],
    ...rows.map((row) => [
      row.name,
      ...LIBRARIES.map((n) => timeCell(row.libraries[n], rounds, notes)),
      ...LIBRARIES.map((n) => rate(row, row.libraries[n])),
      row.share === null ? NONE : `${Math.round(100 * row.share)} %`,
      row.best ? `${row.best.ratio.toFixed(2)} ${row.best.peer}` : NONE,
    ]),
  ];
  const asked = [
    [
      "one run: dispatches / submits / buffers created",
      ...LIBRARIES.map((n) => LABELS[n]),
      ...LIBRARIES.map((n) => `first ms ${n}`),
    ],
    ...rows.map((row) => [
      row.name,
      ...LIBRARIES.map((n) => countsCell(row.libraries[n])),
      ...LIBRARIES.map((n) => firstCell(row.libraries[n])),
    ]),
  ];
  return [
    `${adapter}: ours beside ${peers.map((n) => LABELS[n]).join(" and ")}, medians of ${rounds} interleaved rounds`,
    alignTable(times),
    ...notes.map((reason, i) => `[${i + 1}] ${reason}`),
    "",
    alignTable(asked),
  ].join("\n");
}
