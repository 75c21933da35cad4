import { checkOptions } from "../../demand";
import type { SafetensorsFile } from "../../io/safetensors";
import { type ChannelSource, channelsOfFile } from "../../models/channels";
import { checkFile } from "../../passport/files";
import { isRate } from "../check";
import { type RelationEvidence, relationBetween } from "./relation";

/** Options of {@link relation}. */
export interface RelationOptions {
  /** Which channels hang together, where the released file does not describe its network. */
  channels?: ChannelSource;
  /** (default 1e-6) */
  falsePositiveRate?: number;
}

/**
 * Whether one network is made from the other: of any two files, from their weights alone, without
 * data and without running anything.
 *
 * The channels of each hidden layer are matched twice, by |cosine| and optimal assignment: by the
 * weights in front of them, and by those behind. In a copy both find the same channels, whatever
 * became of it: fine-tuned, pruned, quantised, disguised, under noise as large as its weights, with
 * another head, with norms folded, with dummy neurons. In networks that have nothing to do with
 * each other one matching says nothing of the other, and they agree as often as a random
 * permutation has fixed points, about Poisson(1) a layer:
 *
 *     p = P(F₁ + … + F_L ≥ agreements),   F_l the fixed points of a random permutation of layer l.
 *
 * **What is assumed.** Let one network be given, however it was made, and let the other be such
 * that, in each layer, the weights behind its channels could as well stand behind any other of
 * them, whatever all weights before them are. This is so in independently initialised networks, and
 * then the bound is exact, over layers too: each tensor is read for one second matching at most,
 * before any first matching that sees it. Where weights behind lie in channels of an unknown order,
 * that order is found from some of the layer's channels (the *keys*), and the others alone are
 * counted. Training ties what is behind a channel to what is in front of it; how much is measured
 * by `npm run bench -- strangers`. To be on the safe side of it, channels count only where both
 * matchings are beyond doubt (no row, and no column, has another score as high), and a pattern that
 * a channel has in all columns behind it alike is taken out, since it is seen without any order.
 *
 * What is no channel can be said to be one, and tables of positions, masks and filters are the same
 * in every network of a structure. So tensors with the same numbers are read once, whatever they
 * are called, and the channels that agree have to lie in a third of the tensors and half of the
 * numbers that both files have (`covered`).
 *
 * It is symmetric: who made the first of both follows from dates alone. Networks trained from the
 * same initial weights, or from one that was published, are related to each other and to it. It
 * says nothing of distilled networks, of those trained anew from the start, and of such as somebody
 * made to look related to one that was known before.
 *
 * Cosines are taken once rows and columns have one length, so that positive factors of channels,
 * the layer's or its neighbours', do not count; signs are followed. Channels that are zero and rows
 * of fewer than 16 numbers are left out; grouped maps, and what cannot be compared, are named in
 * `notes`.
 *
 * Source of the idea: Zhu et al., "Independence Tests for Language Models", arXiv 2502.12292.
 * @param suspect a network of the same structure; tensors are found by the ends of their names, and
 * may have more or fewer channels
 * @param released the network that it may be made from, or that may be made from it
 * @throws FormatError when the released file does not describe its network and no channels are
 * given; StateDictError when the suspect has none of its weights; ArgumentError unless the rate is
 * between 0 and 1.
 */
export function relation(
  suspect: SafetensorsFile,
  released: SafetensorsFile,
  options: RelationOptions = {},
): RelationEvidence {
  checkOptions("relation", options, { channels: () => undefined, falsePositiveRate: isRate });
  checkFile(suspect, "relation: the suspect");
  checkFile(released, "relation: the released network");
  const { channels: source, falsePositiveRate = 1e-6 } = options;
  const { channels } = channelsOfFile("relation", released, source);
  return relationBetween(suspect, released, channels, falsePositiveRate);
}
