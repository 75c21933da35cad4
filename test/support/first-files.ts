/**
 * Files of the first format, as the first versions wrote them: a credential holds the private names
 * of the authors' layers, and a configuration from which the passports' places follow.
 */
import type { SafetensorsFile } from "../../src/io/safetensors";
import type { NetworkConfig } from "../../src/models";
import type { BranchAccuracy } from "../../src/passport";
import type { Network } from "./networks";

/** What the first format calls the norms. */
const NORMS: Readonly<Record<string, string>> = { gn1: "ln", ln: "layer" };

/** Names of what the owner keeps. */
const PRIVATE = /\.(b|s?key(_private)?|fc\.\d\.weight|bn1\.\w+)$/;

const written = (config: object): string => {
  const { norm } = config as { norm?: string };
  return JSON.stringify(norm === undefined ? config : { ...config, norm: NORMS[norm] ?? norm });
};

/** The two halves of a network that was built from a configuration. */
export async function firstFiles(
  model: Network,
  config: NetworkConfig,
  claimed: BranchAccuracy = {},
): Promise<{ deployed: SafetensorsFile; credential: SafetensorsFile }> {
  const { tensors } = await model.deployed();
  const kept = [...(await model.stateDict())].filter(([name]) => PRIVATE.test(name));
  return {
    deployed: { tensors, metadata: { format: "pan-deployed-1", model: written(model.network.config) } },
    credential: {
      tensors: new Map(kept),
      metadata: { format: "pan-credential-1", model: written(config), claimed: JSON.stringify(claimed) },
    },
  };
}
