/**
 * Passes that run twice: what does not keep the values that its backward pass needs computes them
 * again. The second run draws the same random numbers, and counts nothing a second time.
 */
import { ArgumentError } from "../errors";

/** Which of its draws a stream made. */
export interface Draw<S = unknown> {
  readonly stream: S;
  readonly draw: number;
}

let noted: Draw[] | null = null;
let repeated: Iterator<Draw> | null = null;

/** Whether what runs now ran before: running statistics have moved for it already. */
export const isRerun = (): boolean => repeated !== null;

/** Runs `body` and tells which draws it made. */
export function notingDraws<S, T>(body: () => T): [result: T, draws: readonly Draw<S>[]] {
  const before = noted;
  const own: Draw[] = [];
  noted = own;
  try {
    return [body(), own as Draw<S>[]];
  } finally {
    noted = before;
    before?.push(...own);
  }
}

/** Runs `body` once more, with the draws of its first run. */
export function rerun<T>(draws: readonly Draw[], body: () => T): T {
  const before = repeated;
  repeated = draws[Symbol.iterator]();
  try {
    return body();
  } finally {
    repeated = before;
  }
}

/**
 * The number of a stream's draw: the next one, or that of the first run.
 * @throws ArgumentError where the second run draws what the first did not.
 */
export function drawOf(stream: object, next: () => number): number {
  let draw: number;
  if (repeated) {
    const { value } = repeated.next() as IteratorResult<Draw, undefined>;
    if (value?.stream !== stream)
      throw new ArgumentError(
        "recompute: the module draws other random numbers when it runs again: expected a forward that does the same each time",
      );
    draw = value.draw;
  } else draw = next();
  noted?.push({ stream, draw });
  return draw;
}
