import { vi } from "vitest";
import type { Target } from "../../src/attacks";
import { type Forgery, forgePassports } from "../../src/attacks/passport-forgery";
import type { Checked, ForgingBudget } from "../../src/attacks/training";
import type { StateDict } from "../../src/io/host-tensor";
import { Protected } from "../../src/passport";

/**
 * Forged passports, and the numbers of the given-away network that they were trained in, as they
 * were in the end.
 */
export async function forgeWatched(
  target: Target,
  forgery: Forgery,
  share: number,
  budget: Checked<ForgingBudget>,
): Promise<{ deployed: StateDict; credential: StateDict }> {
  let deployed: StateDict = new Map();
  const { credential } = Protected.prototype;
  const watched = vi.spyOn(Protected.prototype, "credential").mockImplementation(async function (
    this: Protected,
    ...claimed
  ) {
    deployed = await this.network.stateDict();
    return credential.apply(this, claimed);
  });
  try {
    const forged = await forgePassports(target, forgery, share, budget);
    return { deployed, credential: forged.tensors };
  } finally {
    watched.mockRestore();
  }
}
