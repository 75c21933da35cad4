/** Lines of a text one at a time: a mesh or a cloud can have millions, and an array of them all would take several times the text. */
import { FormatError } from "../errors";

/** Reads a text line by line and knows where it is. */
export class LineReader {
  readonly #text: string;
  readonly #source: string;
  #at = 0;
  /** Number of the line read last, from 1. */
  number = 0;

  /** @param source what to call the text in error messages, such as the file's name */
  constructor(text: string, source: string) {
    this.#text = text;
    this.#source = source;
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

  /** An error about the line read last. */
  error(problem: string, line?: string): FormatError {
    const shown = line === undefined ? "" : `, got ${JSON.stringify(line.slice(0, 80))}`;
    return new FormatError(`${this.#source}, line ${this.number}: ${problem}${shown}`);
  }

  /** An error about the line that is not there. */
  missing(expected: string): FormatError {
    return new FormatError(
      `${this.#source}, line ${this.number + 1}: expected ${expected}, but the file ends; it is truncated`,
    );
  }
}

/** The numbers in a line; undefined if there are not `count` of them, or one is none that float32 can hold. */
export function parseNumbers(line: string, separator: string | RegExp, count: number): number[] | undefined {
  const parts = line.trim().split(separator);
  if (parts.length !== count) return undefined;
  const numbers = parts.map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  return numbers.every((n) => Number.isFinite(Math.fround(n))) ? numbers : undefined;
}
