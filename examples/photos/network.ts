import type { HostTensor, StateDict } from "@pan/core";
import { ArgumentError } from "@pan/core";
import { buildNetwork, resNetConfig } from "@pan/core/models";
import { loadSafetensors } from "@pan/core/node";
import type { Protected } from "@pan/core/passport";
import { blocksOf, type Settings } from "./settings";

/** The network of the settings, passports in its last stage. */
export function makeNetwork(s: Settings, classes: number): Protected {
  const config = resNetConfig(blocksOf(s), {
    classes,
    input: [s.size, s.size, 3],
    width: Math.max(1, Math.round(64 * s.width)),
    scheme: s.scheme,
    ...(s.scheme !== "plain" && { passports: { layer4: true }, ...(s.signature && { signature: s.signature }) }),
  });
  return buildNetwork(config, { seed: s.seed });
}

/**
 * Begins with the weights of another network: those of its tensors that have the name and shape of
 * one of this network's.
 * @returns how many were taken, of how many there are
 * @throws ArgumentError when none fits.
 */
export async function beginWith(model: Protected, path: string): Promise<{ taken: number; of: number }> {
  const { tensors } = await loadSafetensors(path);
  const own: StateDict = await model.network.stateDict();
  const fits = ([name, { shape }]: [string, HostTensor]) => tensors.get(name)?.shape.join() === shape.join();
  const taken = [...own].filter(fits).map(([name]) => name);
  // Counts of batches have one shape in all networks.
  if (!taken.some((name) => own.get(name)!.shape.length > 1))
    throw new ArgumentError(
      `--from ${path}: a network of the same --arch and --width expected, found none of its weights there`,
    );
  model.network.loadStateDict(
    new Map([...own].map(([name, t]) => [name, taken.includes(name) ? tensors.get(name)! : t])),
  );
  return { taken: taken.length, of: own.size };
}
