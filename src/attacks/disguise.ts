import { flag, optionsOf, whole, within } from "../demand";
import { ArgumentError } from "../errors";
import type { SafetensorsFile } from "../io/safetensors";
import { type ChannelSource, channelsOfFile } from "../models/channels";
import { realignTo } from "../ownership/suspect/realign";
import {
  type ChannelGroup,
  type ChannelOrder,
  type FactorGroup,
  permuteChannels,
  scaleChannels,
} from "../passport/channels";
import { checkFile } from "../passport/files";
import { Generator } from "../tensor/random";
import { attackOptions, checkTarget } from "./checked";
import { withClaim } from "./owners-claim";
import type { AttackOptions, AttackRecord, AttackStep, Target } from "./record";
import { checkShares, turnShare } from "./shares";
import { ownersView } from "./training";

/** What {@link disguise} changes. */
export interface DisguiseOptions {
  /** Shuffle the hidden channels (default true). */
  permute?: boolean;
  /** Most that a channel is scaled by, up or down; 1 leaves them (default 1). */
  scale?: number;
  /** As `scale`, for the filters in front of batch norms (default 1). */
  filterScale?: number;
  /**
   * Share of each layer's filters to negate, whole groups where the norm is group norm, whole
   * layers where it is layer norm (default 0); of the channels of streams too that allow it.
   */
  negate?: number;
  /** Decides the order, the factors and the signs, a whole number from 0 (default 0). */
  seed?: number;
}

/**
 * Function-preserving transforms of a deployed network: channels in another order, wherever those
 * that hang together go, streams between residual blocks, groups and heads too; scaled by positive
 * factors that the next layer, or the batch norm, takes back; and filters negated together with γ,
 * which turns a bit each, since between a convolution and its norm there is no ReLU. The network
 * classifies as before and its weights look like another's: signs of γ read channel by channel say
 * nothing any more. The owner's answer is `realign`.
 *
 * Knowledge: the deployed network. Budget: none.
 * @param source which channels hang together, where the file does not describe a network of this
 * package
 * @throws ArgumentError for files or options that are none, a scale below 1, a share outside 0 to
 * 1, filters scaled in front of another norm than batch norm, or negated ones where there is no
 * norm; FormatError for a file that does not describe its network, without a source.
 */
export function disguise(
  deployed: SafetensorsFile,
  options?: DisguiseOptions,
  source?: ChannelSource,
): SafetensorsFile {
  checkFile(deployed, "disguise: the deployed network");
  const given = optionsOf("disguise", options, ["permute", "scale", "filterScale", "negate", "seed"]);
  const { permute = true, scale = 1, filterScale = 1, negate = 0, seed = 0 } = given;
  flag("disguise", "permute", permute);
  for (const [name, s] of Object.entries({ scale, filterScale })) within("disguise", name, s, 1);
  checkShares("disguise", [negate]);
  whole("disguise", "seed", seed, 0);
  const { groups, factors } = channelsOfFile("disguise", deployed, source).channels;
  if (negate > 0 && !factors.some(isTurned))
    throw new ArgumentError(
      "disguise: filters can be negated where something behind them takes the sign back, and nothing does: are the norms folded?",
    );
  if (filterScale > 1 && !factors.some(isNormalised))
    throw new ArgumentError("disguise: filters can be scaled in front of batch norm alone, this network has none");
  const tensors = new Map(deployed.tensors);
  for (const [i, group] of factors.entries()) {
    const random = new Generator(seed).fork(`factors ${i}`);
    const most = isNormalised(group) ? filterScale : scale;
    const source = random.fork("sizes");
    const drawn = Float32Array.from({ length: group.units }, () =>
      group.scale && most > 1 ? most ** source.uniform(-1, 1) : 1,
    );
    const signed = group.sign && isTurned(group) ? turnShare(drawn, negate, random.fork("signs")) : drawn;
    if (signed.some((f) => f !== 1)) scaleChannels(tensors, group, signed);
  }
  if (permute)
    for (const [i, group] of groups.entries())
      permuteChannels(tensors, group, shuffled(group, new Generator(seed).fork(`order ${i}`)));
  return { ...deployed, tensors };
}

/** Whether something takes the sign of these channels back: γ of a norm, or the next map. */
export const isTurned = ({ sign, members }: FactorGroup): boolean => sign && members.some((m) => m.power !== 1);

/** Whether the factors end at running statistics. */
const isNormalised = ({ members }: FactorGroup): boolean => members.some((m) => m.power === 2);

/** A random order: units change places, and channels within them. */
function shuffled({ units, parts }: ChannelGroup, random: Generator): ChannelOrder {
  const order = random.permutation(units);
  return { units: order, within: parts.map(({ each }) => Array.from(order, () => random.permutation(each))) };
}

/** Disguises that {@link disguises} tries: one of each kind, and all together. */
const TRIED = (norms: boolean, batchNorms: boolean): Record<string, DisguiseOptions> => ({
  "channels shuffled": { permute: true },
  "channels scaled": { permute: false, scale: 8 },
  ...(norms && { "half of the filters negated": { permute: false, negate: 0.5 } }),
  "all of it": { permute: true, scale: 8, ...(norms && { negate: 0.5 }), ...(batchNorms && { filterScale: 8 }) },
});

/** Options of {@link disguises}. */
export interface DisguisesOptions extends AttackOptions {
  /** Which channels hang together, where the file does not describe a network of this package. */
  channels?: ChannelSource;
}

/**
 * Every kind of {@link disguise}, and the owner's answer to it: bits that the owner reads from the
 * network as it stands, and after `realign` put its channels back. What is read then is for
 * information, `mark` too: no verdict counts it.
 * @throws FormatError for a file that does not describe its network, where no channels are given.
 */
export async function disguises(target: Target, options?: DisguisesOptions): Promise<AttackRecord> {
  checkTarget("disguises", target);
  const { seed = 0, onStep, channels: source } = attackOptions("disguises", options, ["channels"]);
  const owned = await withClaim(target);
  const before = await ownersView(target.deployed, owned);
  const { channels, config } = channelsOfFile("disguises", target.deployed, source);
  const { factors } = channels;
  const tried = Object.entries(TRIED(factors.some(isTurned), factors.some(isNormalised)));
  const steps: AttackStep[] = [];
  for (const [name, changes] of tried) {
    const hidden = disguise(target.deployed, { ...changes, seed }, { channels });
    const { aligned } = realignTo(hidden, target.deployed, { channels, config });
    const answers = { "as it stands": hidden, realigned: aligned };
    for (const [answer, file] of Object.entries(answers)) {
      const step = { setting: { disguise: name, answer }, after: await ownersView(file, owned) };
      steps.push(step);
      await onStep?.(step, steps.length, 2 * tried.length);
    }
  }
  const knowledge = ["the deployed network"];
  return { attack: "function-preserving disguise", knowledge, budget: { data: "none" }, seed, before, steps };
}
