import { callable, checkOptions } from "../../demand";
import type { AskTriggers } from "../claim/answers";
import { askingRunner } from "../running/ask";
import { JUDGE_OPTIONS, type JudgeOptions, type Judgment, judgmentOf, type RivalFiles } from "./judgment";

/** What `judge` of `@pan/core/verify` may use beside the claims. */
export interface JudgeFilesOptions extends JudgeOptions {
  /** Runs networks on triggers, as for `verify`; without it none is asked. */
  ask?: AskTriggers;
}

/**
 * Decides between two claims from files alone, on any JavaScript: `judge` of `@pan/core/ownership`
 * in all but triggers, which are asked by `ask` alone.
 * @throws FormatError for credentials and files that are none; ArgumentError for options that are
 * none.
 */
export async function judgeFiles(a: RivalFiles, b: RivalFiles, options: JudgeFilesOptions = {}): Promise<Judgment> {
  checkOptions("judge", options, { ...JUDGE_OPTIONS, ask: callable });
  const runner = options.ask ? askingRunner("judge", options.ask) : null;
  return judgmentOf([a, b], options, [runner, runner]);
}
