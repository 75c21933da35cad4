import { type HostTensor, type StateDict, toFloat32 } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, type NetworkConfig } from "../../src/models";
import type { Binding } from "../../src/ownership";
import { scattered } from "./bytes";
import type { Network } from "./networks";

/** A network that was given away, and what its owner has. */
export interface Claim {
  deployed: SafetensorsFile;
  credential: SafetensorsFile;
}

/**
 * An untrained network in evaluation mode whose every bit matches: statistics and affine maps are
 * as after training, filters of channels with a wrong sign of γ turned round.
 */
export async function signedNetwork(config: NetworkConfig): Promise<Network> {
  const model = buildNetwork(config, { seed: 4 });
  await signedState(model, config);
  return model.eval();
}

/** Gives a network the state of a {@link signedNetwork}, under the passports that it has. */
export async function signedState(model: Network, config: NetworkConfig): Promise<void> {
  const state = scattered(await model.stateDict(), (name) => name.includes("running"));
  model.loadStateDict(state);
  const turned: StateDict = new Map(state);
  for (const { name, gamma, bits } of await model.readSigns()) {
    const layer = name.replace(/\.bn$/, "");
    // The bias of a fully connected layer is a part of γ.
    const own = config.scheme === "v1" ? ["conv.weight", "linear.weight"] : ["weight"];
    for (const part of [...own, "linear.bias"]) {
      const t = state.get(`${layer}.${part}`);
      if (!t) continue;
      const filter = t.data.length / gamma.length;
      const data = Float32Array.from(toFloat32(t), (v, i) => {
        const channel = Math.floor(i / filter);
        return gamma[channel]! * bits[channel]! < 0 ? -v : v;
      });
      turned.set(`${layer}.${part}`, { ...t, dtype: "F32", data } as HostTensor);
    }
  }
  model.loadStateDict(turned);
}

/** The claim of a {@link signedNetwork}. */
export async function signedClaim(config: NetworkConfig): Promise<Claim> {
  const model = await signedNetwork(config);
  const claim = { deployed: await model.deployed(), credential: await model.credential() };
  model.dispose();
  return claim;
}

export const BINDING: Binding = { statement: "Trained by ACME, 2026", secret: "0123456789abcdef".repeat(4) };
