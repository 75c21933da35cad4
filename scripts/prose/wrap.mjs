/**
 * Prose wrapped at a width: what is one paragraph, where it may be broken, how its lines are
 * filled.
 */

/** Columns of a line of prose. */
export const WIDTH = 100;

/** Columns of a text, one a code point. */
export const columns = (text) => [...text].length;

/**
 * Code spans, `{@link …}` and shapes such as [N, H, W, C]; longer ones may be broken like other
 * text.
 */
const ATOM = /`[^`]+`|\{@\w+ [^}]*\}|\[[^[\]`]+\]/g;
const LONGEST_ATOM = 60;

/**
 * What would begin a list, a heading, a quotation, a table or a tag if it stood first in a line,
 * and dashes and signs.
 */
const NEVER_FIRST = /^(?:[-–—+*•=<>≤≥≈~×·→/|:&−]+|\d+[.)]|#{1,6}|[>|#@].*|```.*)$/u;

/**
 * The pieces that a line can be made of: words, with code spans and `{@link …}` in one piece, never
 * beginning a line as markup.
 */
export function words(text) {
  const whole = [...text.matchAll(ATOM)].filter((m) => columns(m[0]) <= LONGEST_ATOM);
  const inside = (at) => whole.some((m) => m.index < at && at < m.index + m[0].length);
  const pieces = [];
  let from = 0;
  for (const { 0: space, index } of text.matchAll(/\s+/g)) {
    if (inside(index)) continue;
    if (index > from) pieces.push(text.slice(from, index));
    from = index + space.length;
  }
  if (from < text.length) pieces.push(text.slice(from));
  const glued = [];
  for (const piece of pieces) {
    if (glued.length > 0 && NEVER_FIRST.test(piece)) glued.push(`${glued.pop()} ${piece}`);
    else glued.push(piece);
  }
  return glued;
}

/** Lines as full as the width allows; the first begins with `first`, the others with `rest`. */
export function fill(text, first, rest, width) {
  const lines = [];
  let line = first;
  let empty = true;
  for (const word of words(text)) {
    if (!empty && columns(line) + 1 + columns(word) > width) {
      lines.push(line);
      line = rest;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}

const LIST = /^(\s*)(?:[-*+•]|\d+[.)])\s+(?=\S)/;
const TAG = /^@[a-z]\w*/i;
const FENCE = /^\s*(?:```|~~~)/;
const MARKDOWN = /^\s*(?:#{1,6}\s|\||<|>|\[[^\]]+\]:\s|(?:[-*_]\s*){3,}$)/;
/** Columns set by hand. */
const ALIGNED = /\S {3,}\S/;
/** `Shape: …`, `Source: …` */
const LABEL = /^[A-Z]\w*: /;
const SENTENCE_END = /[.:!?][)”"'*`_]*$/;

const indentOf = (line) => line.length - line.trimStart().length;

/** `"Sum. @returns it"` → the sum and the tag, each for a line of its own. */
export const atTags = (text) => text.split(/\s+(?=@(?:param|throws|returns|example|deprecated)\b)/);

/**
 * Divides lines into paragraphs, list items and tags (`lines`, with what stands before the first
 * and the other lines), and single lines that stay as they are (`lines` without `first`).
 */
function units(lines, width, markdown) {
  const found = [];
  let open = null;
  let fenced = false;
  let example = false;
  /** Where the text of the list's items begins; 0 outside of lists. */
  let depth = 0;
  const keep = (line) => {
    found.push({ lines: [line] });
    open = null;
  };
  const start = (line, first, rest, kind) => {
    open = { lines: [line], first, rest, kind };
    found.push(open);
  };
  for (const line of lines) {
    const indent = indentOf(line);
    const text = line.trim();
    if (FENCE.test(line)) fenced = !fenced;
    if (!markdown && !fenced && TAG.test(text) && indent < 4) {
      example = text.startsWith("@example");
      depth = 0;
      if (example) keep(line);
      else start(line, "", "", "tag");
      continue;
    }
    if (fenced || example || FENCE.test(line) || text === "") {
      keep(line);
      continue;
    }
    const item = LIST.exec(line);
    if (indent === 0 && !item && open === null) depth = 0;
    const code = indent >= depth + 4 && !(markdown && open);
    if (code || (markdown ? MARKDOWN.test(line) : ALIGNED.test(item ? line.slice(item[0].length) : text))) {
      keep(line);
      continue;
    }
    if (item) {
      depth = item[0].length;
      start(line, item[0], " ".repeat(depth), "item");
      continue;
    }
    // Behind a list, at the margin: more of the item only where the item broke off within a
    // sentence.
    if (!markdown && open?.kind === "item" && indent === 0 && SENTENCE_END.test(open.lines.at(-1))) {
      depth = 0;
      open = null;
    }
    if (open && !(markdown ? hardBreak(open.lines.at(-1)) : breaksOff(open.lines.at(-1), text, width))) {
      if (open.kind === "paragraph" && open.lines.length === 1) open.rest = " ".repeat(indent);
      open.lines.push(line);
    } else {
      const rest = open ? open.rest : " ".repeat(indent);
      start(line, rest, rest, open ? "continuation" : "paragraph");
    }
  }
  return found;
}

/** A line break that Markdown shows. */
const hardBreak = (line) => /(?: {2}|\\)$/.test(line);

/**
 * Whether somebody broke the line on purpose: a sentence ends, and then comes a label or a word
 * that would have had room.
 */
const breaksOff = (line, next, width) =>
  SENTENCE_END.test(line) && (LABEL.test(next) || columns(line) + 1 + columns(words(next)[0]) <= width);

/**
 * Wraps the paragraphs that have a line beyond the width; all others stay as they are.
 *
 * @param lines lines without comment signs.
 * @param options.markdown a Markdown file; otherwise a comment, whose tags begin lines of their
 * own.
 * @returns `lines`, wrapped, and `long`, the indices of the lines that were too long.
 */
export function reflow(lines, { width = WIDTH, markdown = false } = {}) {
  const wrapped = [];
  const long = [];
  let at = 0;
  for (const unit of units(lines, width, markdown)) {
    const beyond = unit.lines.flatMap((line, i) => (columns(line.trimEnd()) > width ? [at + i] : []));
    at += unit.lines.length;
    const filled = unit.first === undefined || beyond.length === 0 ? unit.lines : refill(unit, width, markdown);
    if (filled.join("\n") !== unit.lines.join("\n")) long.push(...beyond);
    wrapped.push(...filled);
  }
  return { lines: wrapped, long };
}

function refill({ lines, first, rest }, width, markdown) {
  const [head, ...others] = lines;
  const text = [head.slice(first.length), ...others].map((line) => line.trim()).join(" ");
  const [body, ...tags] = markdown ? [text] : atTags(text);
  const filled = [...fill(body, first, rest, width), ...tags.flatMap((tag) => fill(tag, "", "", width))];
  if (markdown && lines.at(-1).endsWith("  ")) filled[filled.length - 1] += "  ";
  return filled;
}
