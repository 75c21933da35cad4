/**
 * Characters that a terminal takes for orders, or that turn the order of a line: in a name or a
 * statement of a stranger's file they could write over a verdict.
 */
const ORDERS = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** What this program itself colours with. */
const ESCAPE = "\u001b";
const OWN = new RegExp(`(${ESCAPE}\\[(?:0|1|2|31|32|33)m)`);

const code = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
const escaped = (text: string): string => text.replace(ORDERS, (c) => (c === "\n" || c === "\t" ? c : code(c)));

/**
 * A text that stays on its line, with such characters as JSON writes them, lines' ends and colours
 * too: whatever is printed of a file goes through here before this program colours it.
 */
export const line = (text: string): string => text.replace(ORDERS, code);

/**
 * A text with such characters as JSON writes them; lines and tabs stay.
 * @param coloured whether this program's colours stay too
 */
export const printable = (text: string, coloured = false): string =>
  coloured
    ? text
        .split(OWN)
        .map((part, i) => (i % 2 ? part : escaped(part)))
        .join("")
    : escaped(text);
