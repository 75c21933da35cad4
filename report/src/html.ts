/**
 * HTML that cannot be injected into: a template tag that escapes whatever is put into it, unless it
 * was made by the tag itself.
 */

/**
 * A piece of markup that is already safe to write into a page. Make one with {@link html} or, for
 * trusted text only, {@link raw}.
 */
export class Html {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

/**
 * What {@link html} accepts between its braces; `undefined`, `null` and `false` write nothing,
 * arrays are written one after another.
 */
export type HtmlValue = Html | string | number | false | null | undefined | readonly HtmlValue[];

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/**
 * Control characters, lone surrogates and direction overrides: invisible, invalid in HTML, or able
 * to disguise the text around them.
 */
const HARMFUL = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff]/gu;

/**
 * Shows hidden characters as `�`. A signature decoded from a network that is not the owner's is
 * random bytes, so this is the usual case and not the rare one.
 */
export function visible(text: string): string {
  return text.replace(HARMFUL, "\ufffd");
}

/**
 * Escapes text for element content and for quoted attributes, see {@link visible} for what happens
 * to control characters.
 */
export function escapeHtml(text: string): string {
  return visible(text).replace(/[&<>"']/g, (c) => ENTITIES[c]!);
}

/** Marks text as markup. Only for text the program itself has written. */
export function raw(text: string): Html {
  return new Html(text);
}

function write(value: HtmlValue): string {
  if (value instanceof Html) return value.text;
  if (typeof value === "string") return escapeHtml(value);
  if (typeof value === "number") return String(value);
  if (Array.isArray(value)) return value.map(write).join("");
  return "";
}

/**
 * Template tag: `` html`<p>${untrusted}</p>` ``. Every interpolation is escaped, except
 * {@link Html}.
 */
export function html(parts: TemplateStringsArray, ...values: HtmlValue[]): Html {
  return new Html(parts.reduce((out, part, i) => out + write(values[i - 1]) + part));
}
