/** How findings are said in a terminal. */
import type { Dated } from "../ownership/dates";
import type { RelationEvidence } from "../ownership/relation/relation";
import type { Hits, Mark } from "../ownership/verdict/mark";
import { line } from "./printable";
import type { Style } from "./terminal";

/** Titles and what is behind them, in two columns, a line each whatever they hold. */
export function pairs(cells: readonly (readonly [title: string, text: string])[]): string {
  const rows = cells.map(([title, text]) => [line(title), line(text)] as const);
  const wide = Math.max(...rows.map(([title]) => title.length));
  return rows.map(([title, text]) => `  ${title.padEnd(wide)}  ${text}`).join("\n");
}

export const list = (title: string, lines: readonly string[], style: Style): string[] =>
  lines.length ? [`${style.bold(title)}\n${lines.map((text) => `  - ${line(text)}`).join("\n")}`] : [];

const hits = ({ hits, count, needed }: Hits): string => `${hits} of ${count} fit, ${needed} needed`;

/** A mark on one line. */
export function markText(mark: Mark | null): string {
  if (!mark) return "not read";
  const { bits, triggers, found } = mark;
  const parts = [
    ...(bits ? [`bits ${hits(bits)}`] : ["no bits read"]),
    ...(triggers ? [`triggers ${hits(triggers)}`] : []),
  ];
  return `${found ? "found" : "not found"}: ${parts.join("; ")}`;
}

export const relationText = ({ agreements, channels, needed, covered, related }: RelationEvidence): string => {
  const where = `, in ${(100 * covered.numbers).toFixed(0)} % of the numbers`;
  return `${related ? "related" : "not related"}: ${agreements} of ${channels} hidden channels agree, ${needed} needed${agreements >= needed ? where : ""}`;
};

export const datedText = ({ time, accuracy, authorities }: Dated): string =>
  `${time} (± ${accuracy} s), stamped by ${authorities.join(", ")}`;

export const size = (bytes: number): string =>
  bytes < 1000 ? `${bytes} bytes` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
