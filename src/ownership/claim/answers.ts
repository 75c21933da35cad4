/** What a network is asked for a claim's triggers, and what it may answer. */
import { numbers, refuse, unexpected } from "../../demand";
import type { SafetensorsFile } from "../../io/safetensors";
import type { TriggerSpec } from "./spec";
import type { TriggerInputs } from "./triggers";

/** One group of a claim's triggers, as a network is asked for them. */
export interface TriggerQuestions extends Pick<TriggerSpec, "kind" | "shape" | "classes" | "count" | "normalize"> {
  /**
   * Of `images` bytes [count, channels, height, width], of `clouds` coordinates [count, points, 3].
   * An image goes to the network as bytes / 255, then (x − mean) / std where `normalize` says so.
   */
  readonly inputs: TriggerInputs;
}

/**
 * Runs a network on triggers: any runtime's way to a class for each input.
 * @param network the file whose weights shall answer
 * @returns the class of each input, in their order, by its number
 */
export type AskTriggers = (
  network: SafetensorsFile,
  questions: TriggerQuestions,
) => ArrayLike<number> | Promise<ArrayLike<number>>;

/**
 * Answers to `count` questions, each the number of a class.
 * @param classes how many there are; a network that runs may have more outputs than those
 * @throws ArgumentError for anything else.
 */
export function checkAnswers(
  what: string,
  answers: unknown,
  count: number,
  classes = Number.POSITIVE_INFINITY,
): asserts answers is ArrayLike<number> {
  const given = numbers(what, "answers", answers);
  if (given.length !== count) unexpected(`${what}: ${count} answers, one per input,`, `${given.length}`);
  for (let i = 0; i < count; i++)
    if (!Number.isInteger(given[i]) || given[i]! < 0 || given[i]! >= classes)
      refuse(
        what,
        `answers[${i}]`,
        `the number of a class, from 0${classes < Infinity ? ` to ${classes - 1}` : ""}`,
        given[i],
      );
}

/** How many answers are as labels have it. */
export const rightOf = (answers: ArrayLike<number>, labels: ArrayLike<number>): number =>
  Array.from(labels).filter((label, i) => answers[i] === label).length;
