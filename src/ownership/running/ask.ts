/** Triggers asked of networks that run elsewhere. */
import { type AskTriggers, checkAnswers, rightOf } from "../claim/answers";
import type { Runner } from "./runner";

/** Asks by a function of the caller's. */
export const askingRunner = (what: string, ask: AskTriggers): Runner => ({
  takesAny: true,
  async answers(file, { claim: { derived } }) {
    const { kind, shape, classes, count, normalize } = derived.spec.triggers!;
    let right = 0;
    for (const { inputs, labels } of derived.groups) {
      const answers = await ask(file, { kind, shape, classes, count, normalize, inputs });
      checkAnswers(`${what}: ask`, answers, count);
      right += rightOf(answers, labels);
    }
    return { right, ways: 0 };
  },
});
