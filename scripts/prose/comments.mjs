/**
 * Comments of TypeScript and JavaScript files, wrapped where they are too wide. Code is never
 * touched.
 */
import ts from "typescript";
import { atTags, columns, reflow, WIDTH } from "./wrap.mjs";

/** Words to tools, and licences: they stay on their line. */
const DIRECTIVE =
  /^(?:\/\/\/|\/\/[#!]|\/\/\s*(?:@ts-|biome-|eslint-|prettier-|v8 |c8 |#)|\/\*[!#@]|\/\*\s*(?:@|v8 |c8 |biome-|eslint))/;

/** What a node is made of; none for a token. */
const childrenOf = (node, source) => node.getChildren(source).filter((child) => !ts.isJSDoc(child));

/** All comments in their order: where each begins and ends. */
function commentsOf(source) {
  const { text } = source;
  const found = [];
  const scanner = ts.createScanner(ts.ScriptTarget.Latest, false);
  let end = 0;
  const gap = (until) => {
    scanner.setText(text, end, until - end);
    for (let kind = scanner.scan(); kind !== ts.SyntaxKind.EndOfFileToken; kind = scanner.scan()) {
      const isLine = kind === ts.SyntaxKind.SingleLineCommentTrivia;
      if (isLine || kind === ts.SyntaxKind.MultiLineCommentTrivia)
        found.push({ start: scanner.getTokenStart(), end: scanner.getTokenEnd(), isLine });
    }
  };
  const visit = (node) => {
    const children = childrenOf(node, source);
    if (children.length > 0) return children.forEach(visit);
    const start = node.getStart(source);
    // A missing or empty node has no text, and no gap of its own.
    if (start === node.end && node.kind !== ts.SyntaxKind.EndOfFileToken) return;
    gap(start);
    end = node.end;
  };
  visit(source);
  return found;
}

/** Where the text of the line begins and ends in which a position is. */
function lineAround(text, at) {
  const start = text.lastIndexOf("\n", at - 1) + 1;
  const end = text.indexOf("\n", at);
  return { start, end: end < 0 ? text.length : end };
}

/**
 * Comments with their place; `//` lines below each other, all alone on their lines, are one
 * comment.
 */
function blocksOf(source) {
  const { text } = source;
  const blocks = [];
  for (const { start, end, isLine } of commentsOf(source)) {
    const [first, last] = [lineAround(text, start), lineAround(text, end)];
    const before = text.slice(first.start, start);
    const alone = before.trim() === "";
    if (text.slice(end, last.end).trim() !== "" || DIRECTIVE.test(text.slice(start, end))) continue;
    const block = { isLine, alone, before, start: first.start, end: last.end, comment: text.slice(start, end) };
    const previous = blocks.at(-1);
    if (
      isLine &&
      alone &&
      previous?.isLine &&
      previous.alone &&
      previous.end + 1 === first.start &&
      previous.before === before
    ) {
      previous.end = last.end;
      previous.comment += `\n${block.comment}`;
    } else blocks.push(block);
  }
  return blocks;
}

const lineNumber = (text, at) => text.slice(0, at).split("\n").length;

/** `//` comments as lines of text. */
const ofLines = (comment) => comment.split("\n").map((line) => line.trim().replace(/^\/\/ ?/, ""));
const toLines = (lines, indent) => lines.map((line) => `${indent}//${line && ` ${line}`}`.trimEnd()).join("\n");

/** The text of a block comment. @returns null where its lines do not begin with stars. */
function ofBlock(comment) {
  const lines = comment.slice(comment.startsWith("/**") ? 3 : 2, -2).split("\n");
  if (lines.slice(1, -1).some((line) => !/^\s*\*/.test(line))) return null;
  return lines.map((line, i) => (i === 0 ? line.trim() : line.replace(/^\s*\*? ?/, "").trimEnd()));
}

function wrapBlock({ comment, before: indent }) {
  const [open] = /^\/\*\*?/.exec(comment);
  const given = ofBlock(comment);
  const wide = comment.split("\n").map((line, i) => columns(i === 0 ? indent + line : line) > WIDTH);
  if (given === null || !wide.includes(true)) return null;
  const single = given.length === 1;
  const { lines, long } = reflow(single ? atTags(given[0]) : given, { width: WIDTH - columns(indent) - 3 });
  // The first and the last line may be too wide because of the signs that they share with the text.
  if (wide[0]) long.push(0);
  if (wide.at(-1) && given.at(-1) !== "") long.push(given.length - 1);
  if (long.length === 0) return null;
  while (lines[0] === "") lines.shift();
  while (lines.at(-1) === "") lines.pop();
  const body = lines.map((line) => `${indent} *${line && ` ${line}`}`);
  return { text: [indent + open, ...body, `${indent} */`].join("\n"), long: [...new Set(long)].sort((a, b) => a - b) };
}

function wrapLines({ comment, before: indent }) {
  const { lines, long } = reflow(ofLines(comment), { width: WIDTH - columns(indent) - 3 });
  return long.length === 0 ? null : { text: toLines(lines, indent), long };
}

/**
 * A comment behind code that begins within the width and ends beyond it goes to a line above, or
 * into the block that the line opens.
 */
function moveUp({ comment, before, start }, source) {
  const code = before.trimEnd();
  const indent = /^\s*/.exec(code)[0];
  if (columns(before) >= WIDTH || columns(before + comment) <= WIDTH || !comment.startsWith("//")) return null;
  if (insideToken(source, start + indent.length)) return null;
  const closes = /^[})\]]/.test(code.trim());
  if (closes && !code.endsWith("{")) return null;
  const own = closes ? `${indent}  ` : indent;
  const { lines } = reflow(ofLines(comment), { width: WIDTH - columns(own) - 3 });
  const text = toLines(lines, own);
  return { text: closes ? `${code}\n${text}` : `${text}\n${code}`, long: [0] };
}

/** Whether a position lies within a template or string that began before it. */
function insideToken(source, at) {
  const within = (node) => {
    if (node.getStart(source) >= at || node.end <= at) return false;
    const children = childrenOf(node, source);
    return children.length === 0 || children.some(within);
  };
  return within(source);
}

/**
 * Wraps the comments of a file.
 * @returns `text`, wrapped, and `long`, the numbers of the lines that were too long, from 1.
 */
export function wrapComments(text, name = "file.ts") {
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);
  const pieces = [];
  const long = [];
  let at = 0;
  for (const block of blocksOf(source)) {
    const wrap = block.alone ? (block.isLine ? wrapLines : wrapBlock) : moveUp;
    const wrapped = wrap(block, source);
    if (wrapped === null) continue;
    const first = lineNumber(text, block.start);
    long.push(...wrapped.long.map((i) => first + i));
    pieces.push(text.slice(at, block.start), wrapped.text);
    at = block.end;
  }
  return { text: pieces.join("") + text.slice(at), long };
}
