/** Where a command prints: colours and progress on terminals alone. */
import type { WriteStream } from "node:tty";
import { line } from "./printable";

/** Ways to set off words. */
export interface Style {
  bold(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  dim(text: string): string;
}

type Stream = Pick<WriteStream, "write"> & { readonly isTTY?: boolean };

const CODES = { bold: 1, good: 32, bad: 31, warn: 33, dim: 2 } as const;

/** Whether a stream is a terminal, and nobody forbids colours (no-color.org). */
export function hasColours(stream: Stream): boolean {
  const none = process.env["NO_COLOR"];
  return stream.isTTY === true && (none === undefined || none === "") && process.env["TERM"] !== "dumb";
}

export function styleOf(stream: Stream): Style {
  const on = hasColours(stream);
  const paint = (code: number) => (text: string) => (on ? `\u001b[${code}m${text}\u001b[0m` : text);
  return {
    bold: paint(CODES.bold),
    good: paint(CODES.good),
    bad: paint(CODES.bad),
    warn: paint(CODES.warn),
    dim: paint(CODES.dim),
  };
}

/** What a command may say beside its outcome, on the error stream. */
export class Terminal {
  #shown = false;

  constructor(private readonly stream: Stream = process.stderr) {}

  /** What is being done now; the next word replaces it. Shown on terminals alone. */
  step(text: string): void {
    if (this.stream.isTTY !== true) return;
    this.clear();
    this.stream.write(`${styleOf(this.stream).dim(line(text))} …`);
    this.#shown = true;
  }

  /** Takes away what {@link step} showed. */
  clear(): void {
    if (this.#shown) this.stream.write("\r\u001b[2K");
    this.#shown = false;
  }

  /** Something that its reader has to know. */
  warn(text: string): void {
    this.clear();
    this.stream.write(`${styleOf(this.stream).warn("warning:")} ${line(text)}\n`);
  }

  /** What went wrong. @param more lines that follow it */
  error(text: string, more: readonly string[] = []): void {
    this.clear();
    this.stream.write(`${styleOf(this.stream).bad("error:")} ${[text, ...more].map(line).join("\n")}\n`);
  }
}
