import { readCredential } from "../models/credential";
import { protectAs } from "../passport/restore";
import { withoutTriggers } from "../passport/schemes";
import { signatureBits } from "../passport/signature";
import type { Network } from "../passport/trace";
import { Generator } from "../tensor/random";
import { checkTarget, trainingOptions } from "./checked";
import { withClaim } from "./owners-claim";
import type { AttackRecord, Target } from "./record";
import { attackByTraining, ownersView, type TrainingBudget } from "./training";
import { victim } from "./victim";

/**
 * Overwriting: the attacker knows the method and the passport layers, and embeds passports and a
 * signature of its own into the deployed network by the same training. Is the owner's signature
 * still there? Source: Fan et al., "DeepIPR", TPAMI 2021, section 4.1.3.
 * @throws ArgumentError for a target or options that are none.
 */
export async function overwrite(target: Target, options: TrainingBudget): Promise<AttackRecord> {
  checkTarget("overwrite", target);
  const given = trainingOptions("overwrite", options);
  const { seed = 0 } = given;
  const claim = readCredential(target.credential);
  const network = victim(target).train() as Network;
  // The attacker has no trigger set to train on.
  const model = protectAs(network, { ...claim, scheme: withoutTriggers(claim.scheme), texts: [] });
  try {
    // Secrets of its own.
    const random = new Generator(seed + 1);
    model.randomPassports(random.fork("passports"));
    for (const { name, secret } of model.passportSites()) {
      const { passport } = secret;
      passport.b.write(signatureBits("", passport.channels, random.fork(`${name} signature`)));
    }
    const owned = await withClaim(target);
    const before = await ownersView(target.deployed, owned);
    const knowledge = ["the deployed network", "the scheme and its passport layers", "labelled images"];
    return await attackByTraining(owned, { attack: "overwriting", knowledge, model, before }, given);
  } finally {
    model.dispose();
  }
}
