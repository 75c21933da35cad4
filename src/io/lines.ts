/**
 * Lines of a text one at a time: a mesh or a cloud can have millions, and an array of them all
 * would take several times the text.
 */
import { ArgumentError, FormatError } from "../errors";
import { clip, shown } from "./shown";

/**
 * Reads a text line by line and knows where it is. A byte order mark at the start is passed over.
 */
export class LineReader {
  readonly #text: string;
  readonly #source: string;
  #at: number;
  /** Number of the line read last, from 1. */
  number = 0;

  /**
   * @param source what to call the text in error messages, such as the file's name
   * @throws ArgumentError if either is no text
   */
  constructor(text: string, source: string) {
    if (typeof source !== "string") throw new ArgumentError(`expected source to be a text, got ${shown(source)}`);
    if (typeof text !== "string") {
      throw new ArgumentError(
        `${clip(source, 300)}: expected a text, got ${shown(text)}; decode bytes with a TextDecoder`,
      );
    }
    this.#text = text;
    this.#source = clip(source, 300);
    this.#at = text.startsWith("\ufeff") ? 1 : 0;
  }

  /** The next line without its end, or undefined after the last. */
  next(): string | undefined {
    if (this.#at >= this.#text.length) return undefined;
    const found = this.#text.indexOf("\n", this.#at);
    const end = found < 0 ? this.#text.length : found;
    const line = this.#text.slice(this.#at, this.#text[end - 1] === "\r" ? end - 1 : end);
    this.#at = end + 1;
    this.number++;
    return line;
  }

  /**
   * The next line that says something, without comment (from `#` on) and surrounding space;
   * undefined after the last.
   */
  nextSaid(): string | undefined {
    for (let line = this.next(); line !== undefined; line = this.next()) {
      const comment = line.indexOf("#");
      const said = (comment < 0 ? line : line.slice(0, comment)).trim();
      if (said !== "") return said;
    }
    return undefined;
  }

  /** An error about the line read last. */
  error(problem: string, line?: string): FormatError {
    const found = line === undefined ? "" : `, got ${JSON.stringify(line.slice(0, 80))}`;
    return new FormatError(`${this.#source}, line ${this.number}: ${problem}${found}`);
  }

  /** An error about the line that is not there. */
  missing(expected: string): FormatError {
    return new FormatError(
      `${this.#source}, line ${this.number + 1}: expected ${expected}, but the file ends; it is truncated`,
    );
  }
}

/** The words of a line one at a time: a line can be as long as its file. */
export class Words {
  readonly #line: string;
  #at = 0;

  constructor(line: string) {
    this.#line = line;
  }

  /** The next word, or undefined after the last. */
  next(): string | undefined {
    const line = this.#line;
    let start = this.#at;
    while (start < line.length && isSpace(line.charCodeAt(start))) start++;
    let end = start;
    while (end < line.length && !isSpace(line.charCodeAt(end))) end++;
    this.#at = end;
    return end > start ? line.slice(start, end) : undefined;
  }

  /**
   * The next words as numbers; undefined if there are fewer than `count`, or one is none that
   * float32 can hold.
   */
  numbers(count: number): number[] | undefined {
    const numbers: number[] = [];
    for (let i = 0; i < count; i++) {
      const number = parseNumber(this.next() ?? "");
      if (number === undefined) return undefined;
      numbers.push(number);
    }
    return numbers;
  }

  /** How many words are left, which are passed over; at most `most` + 1 are looked at. */
  skip(most: number): number {
    let count = 0;
    while (count <= most && this.next() !== undefined) count++;
    return count;
  }
}

const isSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13);

/** A decimal number that float32 can hold; undefined for anything else. */
export function parseNumber(word: string): number | undefined {
  // JavaScript reads 0x10 as 16 too, and nothing as 0.
  if (word === "" || /^0[xob]/i.test(word)) return undefined;
  const number = Number(word);
  return Number.isFinite(Math.fround(number)) ? number : undefined;
}

/**
 * The numbers in a line of so many; undefined if there are more or fewer, or one is none that
 * float32 can hold.
 */
export function parseNumbers(line: string, separator: string, count: number): number[] | undefined {
  const parts = line.split(separator, count + 1);
  if (parts.length !== count) return undefined;
  const numbers = parts.map((part) => parseNumber(part.trim()));
  return numbers.every((n) => n !== undefined) ? numbers : undefined;
}
