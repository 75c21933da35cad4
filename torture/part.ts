/**
 * What a part of `npm run torture` is, and how its cases are run: each from its own random numbers,
 * so that one can be run again alone.
 */
import { Generator, PanError } from "@pan/core";

/** `commit`: for every change, all parts in a few minutes; `full`: until it is believed. */
export type Size = "commit" | "full";

/** How a part is asked to run. */
export interface Task {
  size: Size;
  seed: number;
  /** Run this case alone. */
  only: number | null;
}

/** A promise that did not hold. */
export interface Broken {
  case: number;
  what: string;
}

/** What a part found. */
export interface Outcome {
  /** One line: what was tried, and what came of it. */
  figure: string;
  cases: number;
  broken: readonly Broken[];
  /** Numbers behind the figure, for the record. JSON-able. */
  facts: Record<string, unknown>;
}

/** What a part's process says: each broken promise when it is found, and at the end the rest. */
export type Message = { broken: Broken } | { outcome: Omit<Outcome, "broken"> };

/** One part. */
export interface Part {
  /** What must hold, in a sentence. */
  promise: string;
  /** Seconds that one case may take before it counts as hanging. */
  patience: number;
  run(task: Task, cases: Cases): Promise<Omit<Outcome, "cases" | "broken">>;
}

/** The longest message of an error that a person can still read. */
export const LONGEST_MESSAGE = 2000;
/** Of what is shown of an error that is not one of the package's. */
const SHOWN = 300;

/** A promise is broken: thrown within a case, which then counts as such. */
export class Breach extends Error {}

/** @throws Breach unless it holds. */
export function demand(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Breach(what);
}

/**
 * Why an error breaks the promise of typed errors with readable messages; null where it keeps it.
 */
export function untyped(error: unknown): string | null {
  if (!(error instanceof PanError)) {
    const found = error instanceof Error ? error : new Error(String(error));
    const lines = (found.stack ?? "").split("\n");
    const at = lines.find((line) => line.trim().startsWith("at "))?.trim() ?? "";
    return `${found.name} instead of a PanError: ${found.message.slice(0, SHOWN)} ${at}`;
  }
  if (error.message.length > LONGEST_MESSAGE)
    return `a message of ${error.message.length} characters: ${error.message.slice(0, SHOWN)} …`;
  return null;
}

/**
 * Runs what may be refused: its result, or the package's error.
 * @throws Breach for any other error.
 */
export async function refusable<T>(body: () => T | Promise<T>): Promise<{ result: T } | { refusal: PanError }> {
  try {
    return { result: await body() };
  } catch (error) {
    if (error instanceof Breach) throw error;
    const fault = untyped(error);
    if (fault !== null) throw new Breach(fault);
    return { refusal: error as PanError };
  }
}

/** Runs the cases of a part and keeps the broken ones. */
export class Cases {
  readonly broken: Broken[] = [];
  count = 0;

  /**
   * @param begin is told each case's number before it starts: of a process that hangs or dies, it
   * is the last word.
   * @param tell is told of each broken promise.
   */
  constructor(
    readonly task: Task,
    private readonly begin: (number: number) => void = () => {},
    private readonly tell: (broken: Broken) => void = () => {},
  ) {}

  /**
   * Cases 0 … n − 1, in order, or the one that the task asks for.
   * @param seconds Start no further case after so many.
   * @param beside How many run at the same time.
   */
  async each(
    n: number,
    body: (random: Generator, number: number) => void | Promise<void>,
    { seconds = Number.POSITIVE_INFINITY, beside = 1 } = {},
  ): Promise<void> {
    const { only, seed } = this.task;
    const started = performance.now();
    const all = new Generator(seed);
    const end = only === null ? n : only + 1;
    let next = only ?? 0;
    const worker = async () => {
      while (next < end && performance.now() - started < 1000 * seconds) {
        const number = next++;
        await this.one(number, () => body(all.fork(number), number));
      }
    };
    await Promise.all(Array.from({ length: beside }, worker));
  }

  /** One case, by its number. */
  async one(number: number, body: () => void | Promise<void>): Promise<void> {
    this.begin(number);
    this.count++;
    try {
      await body();
    } catch (error) {
      const what = error instanceof Breach ? error.message : `unexpected: ${untyped(error) ?? String(error)}`;
      this.broken.push({ case: number, what });
      this.tell({ case: number, what });
    }
  }

  /** How many of the cases kept the promise. */
  get kept(): number {
    return this.count - new Set(this.broken.map((b) => b.case)).size;
  }
}
