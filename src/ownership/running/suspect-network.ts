/** A suspect in a network that runs. */
import { StateDictError } from "../../errors";
import type { SafetensorsFile } from "../../io/safetensors";
import type { CredentialInfo } from "../../models/credential";
import type { Network } from "../../passport/trace";
import type { SuspectWeights } from "../suspect/suspect-weights";
import { checkNetwork, joined as join, type Rejoined } from "./rejoin";

/**
 * The suspect in a network that runs, where one can be; and what to do in the end.
 * @param model null where nothing is to be run; of a network of this package it is built
 */
export async function running(
  what: string,
  read: SuspectWeights,
  suspect: SafetensorsFile,
  claim: CredentialInfo,
  model: Network | (() => Network) | undefined | null,
): Promise<{ joined: Rejoined | null; reasons: string[]; end: () => void }> {
  const nothing = { joined: null, end: () => {} };
  if (model === null) return { ...nothing, reasons: [] };
  if (!claim.config && !model)
    return {
      ...nothing,
      reasons: ["the claimed network is none of this package's and was not given (`model`): no branch can run"],
    };
  const given = typeof model === "function" ? model() : model;
  if (model !== undefined) checkNetwork(what, "model", given);
  const kept = given && model === given ? await given.stateDict() : null;
  // Norms that were set apart keep their own mode.
  const modes = (given?.namedModules() ?? []).map(([, module]) => [module, module.training] as const);
  const back = () => {
    if (!given || !kept) return given?.dispose();
    for (const [module, training] of modes) module.training = training;
    given.loadStateDict(kept);
  };
  try {
    const joined = join(read, suspect, claim, given);
    const end = () => {
      if (!given) return joined.model.dispose();
      for (const { secret } of joined.model.sites) secret.dispose();
      back();
    };
    return { joined, reasons: [], end };
  } catch (cause) {
    back();
    if (!(given && cause instanceof StateDictError)) throw cause;
    return { ...nothing, reasons: [`no branch can run as in the suspect: ${cause.message}`] };
  }
}
