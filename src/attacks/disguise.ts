import { ArgumentError } from "../errors";
import type { SafetensorsFile } from "../io/safetensors";
import { deployedConfig, networkLayers } from "../models/build";
import { negateFilters, permuteChannels, scaleChannels, scaleFilters } from "../models/channels";
import { normOf } from "../models/config";
import { hiddenChannels } from "../models/edges";
import { groupsOf } from "../models/norms";
import { realign } from "../ownership/realign";

import { Generator } from "../tensor/random";
import type { AttackOptions, AttackRecord, AttackStep, Target } from "./record";
import { checkShares, turnShare } from "./shares";
import { ownersView } from "./training";

/** What {@link disguise} changes. */
export interface DisguiseOptions {
  /** Shuffle the hidden channels (default true). */
  permute?: boolean;
  /** Most that a channel is scaled by, up or down; 1 leaves them (default 1). */
  scale?: number;
  /** As `scale`, for the filters in front of batch norms. */
  filterScale?: number;
  /**
   * Share of each layer's filters to negate, whole groups where the norm is group norm, whole
   * layers where it is layer norm (default 0).
   */
  negate?: number;
  seed?: number;
}

/**
 * Function-preserving transforms of a deployed network: hidden channels in another order; scaled by
 * positive factors that the next layer, or the batch norm, takes back; and filters negated together
 * with γ, which turns a bit each, since between a convolution and its norm there is no ReLU. The
 * network classifies as before and its weights look like another's: signs of γ read channel by
 * channel say nothing any more. The owner's answer is `realign`.
 *
 * Knowledge: the deployed network. Budget: none.
 * @throws ArgumentError for a scale below 1, a share outside 0 to 1, filters scaled in front of
 * another norm than batch norm, or negated ones where norms are folded.
 */
export function disguise(deployed: SafetensorsFile, options: DisguiseOptions = {}): SafetensorsFile {
  const { permute = true, scale = 1, filterScale = 1, negate = 0, seed = 0 } = options;
  for (const [name, s] of Object.entries({ scale, filterScale }))
    if (!(s >= 1)) throw new ArgumentError(`disguise: ${name} of 1 or more expected, found ${s}`);
  checkShares("disguise", [negate]);
  const config = deployedConfig(deployed);
  if (negate > 0 && config.norm === "folded")
    throw new ArgumentError("disguise: filters can be negated in front of a norm alone, and these norms are folded");
  if (filterScale > 1 && (config.norm ?? "bn") !== "bn")
    throw new ArgumentError(
      `disguise: filters can be scaled in front of batch norm alone, this network has ${config.norm}`,
    );
  const tensors = new Map(deployed.tensors);
  const network = normOf(config);
  if (negate > 0 && network !== "folded")
    for (const { name, channels, norm = network } of networkLayers(config)) {
      const units = groupsOf(norm, channels);
      const signs = turnShare(new Float32Array(units).fill(1), negate, new Generator(seed).fork(`${name} signs`));
      const each = channels / units;
      negateFilters(
        tensors,
        name,
        Float32Array.from({ length: channels }, (_, i) => signs[Math.floor(i / each)]!),
      );
    }
  for (const hidden of hiddenChannels(config)) {
    const random = new Generator(seed).fork(hidden.from);
    const factors = (most: number, part: string) => {
      const source = random.fork(part);
      return Float64Array.from({ length: hidden.channels }, () => most ** source.uniform(-1, 1));
    };
    if (scale > 1) scaleChannels(tensors, hidden, factors(scale, "channels"));
    if (filterScale > 1) scaleFilters(tensors, hidden, factors(filterScale, "filters"));
    if (permute) {
      const groups = network === "gn" ? groupsOf(network, hidden.channels) : 1;
      permuteChannels(tensors, hidden, shuffled(hidden.channels, groups, random.fork("order")));
    }
  }
  return { ...deployed, tensors };
}

/**
 * A random order that keeps the channels of a group together, as group norm demands: groups change
 * places, and channels within them.
 */
function shuffled(channels: number, groups: number, random: Generator): number[] {
  const size = channels / groups;
  const within = (group: number) => [...random.permutation(size)].map((i) => group * size + i);
  return [...random.permutation(groups)].flatMap(within);
}

/** Disguises that {@link disguises} tries: one of each kind, and all together. */
const TRIED = (batchNorm: boolean): Record<string, DisguiseOptions> => ({
  "channels shuffled": { permute: true },
  "channels scaled": { permute: false, scale: 8 },
  "half of the filters negated": { permute: false, negate: 0.5 },
  "all of it": { permute: true, scale: 8, negate: 0.5, ...(batchNorm && { filterScale: 8 }) },
});

/**
 * Every kind of {@link disguise}, and the owner's answer to it: bits that the owner reads from the
 * network as it stands, and after `realign` put its channels back.
 * @throws ArgumentError for a network whose norms are folded.
 */
export async function disguises(target: Target, { seed = 0, onStep }: AttackOptions = {}): Promise<AttackRecord> {
  const before = await ownersView(target.deployed, target);
  const tried = Object.entries(TRIED((deployedConfig(target.deployed).norm ?? "bn") === "bn"));
  const steps: AttackStep[] = [];
  for (const [name, options] of tried) {
    const hidden = disguise(target.deployed, { ...options, seed });
    const answers = { "as it stands": hidden, realigned: realign(hidden, target.deployed).aligned };
    for (const [answer, file] of Object.entries(answers)) {
      const step = { setting: { disguise: name, answer }, after: await ownersView(file, target) };
      steps.push(step);
      onStep?.(step, steps.length, 2 * tried.length);
    }
  }
  const knowledge = ["the deployed network"];
  return { attack: "function-preserving disguise", knowledge, budget: { data: "none" }, seed, before, steps };
}
