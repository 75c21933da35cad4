/**
 * The page shell and its building blocks: one self-contained HTML file that loads nothing.
 */

import { type Html, html, raw } from "./html";
import { css } from "./theme";

/** Colour role of a tile's upper edge. */
export type Tone = "owner" | "open" | "forged" | "good" | "warn" | "bad";

/** One key figure: what it is, its value, and what to compare it with. */
export interface Tile {
  label: string;
  value: string;
  about?: string;
  tone?: Tone;
}

/** Key figures in a row; they wrap on narrow screens. */
export function tiles(items: readonly Tile[]): Html {
  const tile = ({ label, value, about, tone }: Tile) => html`
    <div class="tile"${tone && raw(` style="--tone: var(--${tone})"`)}>
      <dt>${label}</dt><dd class="value">${value}</dd>${about && html`<dd class="about">${about}</dd>`}
    </div>`;
  return html`<dl class="tiles">${items.map(tile)}</dl>`;
}

/**
 * A column of a {@link table}; numbers are set to the right, and what may be long without a space
 * (paths, JSON) is broken anywhere, where no other cell is made narrow for it.
 */
export interface Column {
  head: string;
  kind?: "number" | "long";
}

/**
 * A table whose first cell of each row is the row's heading. It scrolls inside itself where it does
 * not fit.
 */
export function table(
  caption: string,
  columns: readonly Column[],
  rows: readonly (readonly (string | Html)[])[],
): Html {
  const classes = { number: raw(' class="n"'), long: raw(' class="long"') };
  const side = (i: number) => columns[i]?.kind && classes[columns[i].kind];
  const cell = (value: string | Html, i: number) =>
    i === 0 ? html`<th scope="row"${side(i)}>${value}</th>` : html`<td${side(i)}>${value}</td>`;
  return html`<div class="scroll"><table><caption>${caption}</caption>
    <thead><tr>${columns.map(({ head }, i) => html`<th scope="col"${side(i)}>${head}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${row.map(cell)}</tr>`)}</tbody></table></div>`;
}

/** A part of the page under its own heading, with an introduction of a sentence or two. */
export function section(id: string, title: string, lead: string, ...body: Html[]): Html {
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>
    <p class="section-lead">${lead}</p>${body}</section>`;
}

/** A card; `wide` cards take the whole row of a {@link grid}. */
export function panel(body: Html, wide = false): Html {
  return html`<div class="panel${wide && " wide"}">${body}</div>`;
}

/** Cards and figures side by side, one below the other on narrow screens. */
export function grid(...items: Html[]): Html {
  return html`<div class="grid">${items}</div>`;
}

/** A path or a name of a file; a line may end behind each of its folders. */
export function fileName(path: string): Html {
  return html`<code>${path.split(/(?<=\/)/).map((part, i) => [i > 0 && raw("<wbr>"), part])}</code>`;
}

/**
 * A command or a program as it is typed, line by line: a line's end is no text, and is written
 * here.
 */
export function program(text: string): Html {
  return html`<pre><code>${text.split("\n").map((line, i) => [i > 0 && raw("\n"), line])}</code></pre>`;
}

/** Text folded away behind its title. */
export function fold(title: string, body: Html): Html {
  return html`<details><summary>${title}</summary>${body}</details>`;
}

/** Terms and what they mean, as text in two columns. */
export function glossary(entries: readonly (readonly [term: string, meaning: string])[]): Html {
  return html`<dl class="glossary">${entries.map(([term, text]) => html`<div><dt>${term}</dt><dd>${text}</dd></div>`)}</dl>`;
}

/** What {@link page} assembles. */
export interface PageParts {
  title: string;
  header: Html;
  main: readonly Html[];
  footer: Html;
}

/**
 * The whole document as a string. Its content security policy forbids every load, so that the page
 * cannot reach the network even if a later part of it tried to.
 */
export function page({ title, header, main, footer }: PageParts): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${raw(css)}</style>
</head>
<body>
<header class="top">${header}</header>
<main>${main}</main>
<footer>${footer}</footer>
</body>
</html>
`.text;
}
