import { checkOptions } from "../../demand";
import { isObject } from "../../io/shown";
import type { Network } from "../../passport/trace";
import { isModel } from "../running/check-runs";
import { deviceRunner } from "../running/device-runner";
import { JUDGE_OPTIONS, type JudgeOptions, type Judgment, judgmentOf, type RivalFiles } from "./judgment";

/** One of two rival claims, with the file that it was committed for. */
export interface Rival extends RivalFiles {
  /**
   * The network without its passports, or what makes one, for triggers of networks of one's own.
   */
  readonly model?: Network | (() => Network);
}

/**
 * Decides between two claims, by their marks in each other's committed files, by whether those are
 * made from one another, and by their dates: see `ruled`. Let both parties exchange digests of all
 * files before secrets are opened, so that neither can choose after it has seen.
 * @throws FormatError for credentials and files that are none; ArgumentError for options that are
 * none.
 */
export async function judge(a: Rival, b: Rival, options: JudgeOptions = {}): Promise<Judgment> {
  checkOptions("judge", options, JUDGE_OPTIONS);
  return judgmentOf([a, b], options, [runnerOf("A", a), runnerOf("B", b)]);
}

function runnerOf(name: string, rival: Rival) {
  const model = isObject(rival) ? rival.model : undefined;
  if (model !== undefined) isModel("judge", `model of ${name}`, model);
  return deviceRunner({ model });
}
