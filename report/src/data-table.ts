/**
 * Tables as data: the same rows are shown on a page and written out as CSV or JSON, so that the two
 * cannot differ.
 */

import { formatCount, formatDuration, formatNumber, formatPercent, formatPValue } from "./format";
import { type Html, html } from "./html";
import { fold, panel, table } from "./page";

/**
 * What a column holds. `share`: a fraction from 0 to 1, shown as percent; `points`: a difference of
 * shares, shown in percent points; `ratio`: a multiple; `seconds`; `quote`: text that somebody else
 * may have written; `network`: the network's title, not shown where there is only one.
 */
export type Kind =
  | "text"
  | "quote"
  | "network"
  | "count"
  | "number"
  | "share"
  | "points"
  | "pValue"
  | "seconds"
  | "ratio";

/** A cell; `null` where there is nothing to say. */
export type Cell = string | number | null;

/** A column: its head and what it holds. */
export type DataColumn = readonly [head: string, kind: Kind];

/** A table of a report before it is drawn. */
export interface DataTable {
  /** Name of its file, without an ending. */
  name: string;
  title: string;
  columns: readonly DataColumn[];
  rows: Cell[][];
}

/**
 * A table as it is handed out. Shares, accuracies and differences of them are fractions, times are
 * seconds.
 */
export interface PlainTable {
  name: string;
  title: string;
  columns: string[];
  rows: Cell[][];
}

/** A part of a page, and the tables behind it. No part where the record has nothing for it. */
export interface Part {
  body?: Html;
  tables: DataTable[];
}

const MINUS = "\u2212";

/** `+0.9`, `−1.7`: percent points of a difference of fractions. */
export function formatPoints(difference: number): string {
  const points = (100 * difference).toFixed(1);
  return points.startsWith("-") ? MINUS + points.slice(1) : `+${points}`;
}

const FORMATS: Record<Exclude<Kind, "text" | "quote" | "network">, (value: number) => string> = {
  count: formatCount,
  number: (value) => formatNumber(value).replace("-", MINUS),
  share: (value) => formatPercent(value),
  points: formatPoints,
  pValue: formatPValue,
  seconds: (value) => (value < 60 ? `${formatNumber(value)}\u202fs` : formatDuration(value)),
  ratio: (value) => `${value.toFixed(2)}\u202f×`,
};

const isText = (kind: Kind): kind is "text" | "quote" | "network" =>
  kind === "text" || kind === "quote" || kind === "network";

function shown(value: Cell, kind: Kind): string | Html {
  if (value === null) return "–";
  if (kind === "quote") return html`<bdi class="quoted">${String(value)}</bdi>`;
  if (isText(kind) || typeof value === "string") return String(value);
  return FORMATS[kind](value);
}

/** Up to this many rows per table lies open. */
const OPEN_ROWS = 20;

/**
 * The table on a page; titles of networks are left out where `single` says that there is one. Long
 * tables are folded away.
 */
export function showTable({ title, columns, rows }: DataTable, single: boolean): Html {
  const kept = columns.flatMap(([, kind], i) => (single && kind === "network" ? [] : [i]));
  const drawn = table(
    title,
    kept.map((i) => ({ head: columns[i]![0], ...(!isText(columns[i]![1]) && { kind: "number" as const }) })),
    rows.map((row) => kept.map((i) => shown(row[i] ?? null, columns[i]![1]))),
  );
  // The title stands above what scrolls, so that a phone shows all of it; the caption is for those
  // who hear the table.
  if (rows.length > OPEN_ROWS) return fold(`${title}: ${rows.length} rows`, html`<div class="data">${drawn}</div>`);
  return html`<div class="data"><h3>${title}</h3>${drawn}</div>`;
}

/** A panel over the whole row of a grid: the table, and below it what it is and how to read it. */
export const tablePanel = (table: DataTable, single: boolean, note: string | Html): Html =>
  panel(html`${showTable(table, single)}<p class="note">${note}</p>`, true);

/** The table without its formats. */
export const plainTable = ({ name, title, columns, rows }: DataTable): PlainTable => ({
  name,
  title,
  columns: columns.map(([head]) => head),
  rows,
});

/**
 * A table as CSV (RFC 4180): a line of heads, lines ended by CR LF, fields quoted where they hold
 * commas, quotes or line ends, empty ones for `null`.
 */
export function tablesCsv({ columns, rows }: Pick<PlainTable, "columns" | "rows">): string {
  const field = (value: Cell) => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return [columns, ...rows].map((row) => `${row.map(field).join(",")}\r\n`).join("");
}
