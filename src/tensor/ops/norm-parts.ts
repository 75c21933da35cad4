import { ArgumentError, ShapeError } from "../../errors";
import { shown } from "../../io/shown";
import { showShape, sizeOf } from "../shape";
import type { Tensor } from "../tensor";
import { expectShape, type Parted, type View } from "./norm-layout";
import { type NormSettings, normalise, OWN, type Running, type Source } from "./normalise";
import { expectFlag, expectNumber, expectTensors } from "./operands";

export type { AffineTensors, Parted } from "./norm-layout";
export type { NormSettings, Running } from "./normalise";

/** Options of {@link batchNormParts}. */
export interface BatchNormPartsOptions extends NormSettings {
  /** Running statistics of each part, one set for all (each part moves it in its turn), or none. */
  running: readonly Running[];
  /** Normalise each part by its own statistics; else by the running ones where given. */
  training: boolean;
  /** Weight of the new batch in the running statistics (default 0.1). */
  momentum?: number | undefined;
}

/**
 * Batch normalisation of each part of a batch by itself: y_k = act(γ_k ⊙ (x_k − μ_k) / √(σ_k² + eps) + β_k), as if every part were a batch of its own, in the same number of
 * launches as one. Parts that share x have its statistics in common, and dx is the sum of theirs.
 *
 * Shapes: x [N, …, C] where the parts share it, else [parts · N, …, C]; γ, β and running statistics [C] → [parts · N, …, C], with `pool` images as `batchNorm` leaves them.
 * @throws ShapeError, ArgumentError as `batchNorm`, and for parts that do not fit (see {@link groupNormParts}).
 */
export function batchNormParts(
  x: Tensor,
  parted: Parted,
  { running, training, momentum = 0.1, ...settings }: BatchNormPartsOptions,
): Tensor {
  const what = "batchNorm";
  const { batches: n, rows: positions, channels } = partView(what, x, parted, 2);
  expectNumber(what, "momentum", momentum, 0, 1);
  expectFlag(what, "training", training);
  if (running.length > 1 && running.length !== parted.parts)
    throw new ArgumentError(
      `${what}: running statistics for each of the ${parted.parts} parts, or one set for all, are expected, found ${running.length}`,
    );
  for (const { mean, variance } of running) {
    expectShape(what, "runningMean", mean, [channels]);
    expectShape(what, "runningVar", variance, [channels]);
  }
  const rows = n * positions;
  const source: Source =
    training || !running.length
      ? { kind: "own", track: training ? running : [], momentum }
      : { kind: "fixed", running };
  if (source.kind === "own" && rows < 2) {
    throw new ShapeError(
      `${what}: expected more than 1 value per channel when normalising by the batch, found input ${showShape(x.shape)}: use a larger batch, or running statistics`,
    );
  }
  return normalise(what, x, { batches: 1, rows, channels, groups: channels }, [channels], parted, settings, source);
}

/**
 * Group normalisation with γ and β for each part of a batch; shapes as {@link batchNormParts}.
 * @throws ShapeError, ArgumentError as `groupNorm`, and when x is not so many parts, or there are neither as many γ and β as parts nor one for all.
 */
export function groupNormParts(x: Tensor, groups: number, parted: Parted, settings: NormSettings = {}): Tensor {
  const view = partView("groupNorm", x, parted, 2);
  if (!Number.isInteger(groups) || groups < 1 || view.channels % groups !== 0) {
    throw new ShapeError(
      `groupNorm: a number of groups that divides the ${view.channels} channels of input ${showShape(x.shape)} is expected, found ${shown(groups)}`,
    );
  }
  return normalise("groupNorm", x, { ...view, groups }, [view.channels], parted, settings, OWN);
}

/** Instance normalisation with γ and β for each part of a batch; shapes as {@link batchNormParts}. @throws ShapeError, ArgumentError as `instanceNorm` and {@link groupNormParts}. */
export function instanceNormParts(x: Tensor, parted: Parted, settings: NormSettings = {}): Tensor {
  const view = partView("instanceNorm", x, parted, 3);
  if (view.rows < 2) {
    throw new ShapeError(
      `instanceNorm: expected more than 1 position per channel, found input ${showShape(x.shape)}: use a larger input, or another normalisation`,
    );
  }
  return normalise("instanceNorm", x, { ...view, groups: view.channels }, [view.channels], parted, settings, OWN);
}

/**
 * y_k = act(γ_k ⊙ x_k + β_k): what is left of a normalisation without its statistics, for each part of a batch; shapes as {@link batchNormParts}.
 * @throws ShapeError for γ or β that are not [C], and as {@link groupNormParts}.
 */
export function scaleParts(x: Tensor, parted: Parted, { relu, pool }: Omit<NormSettings, "eps"> = {}): Tensor {
  const { batches, rows, channels } = partView("scale", x, parted, 2);
  const view = { batches: 1, rows: batches * rows, channels, groups: channels };
  return normalise("scale", x, view, [channels], parted, { relu, pool }, { kind: "none" });
}

/** One part of [N, …, C] as N batch items of positions. */
function partView(what: string, x: Tensor, parted: Parted, least: number): Omit<View, "groups"> {
  expectTensors(what, { x });
  const { parts, shared, affine } = parted;
  if (x.rank < least) {
    throw new ShapeError(
      `${what}: an input [N, ${least > 2 ? "L, " : "…, "}C] of at least ${least} dimensions is expected, found shape ${showShape(x.shape)}`,
    );
  }
  const batches = x.shape[0]! / (shared ? 1 : parts);
  if (!Number.isInteger(batches) || (affine.length !== 1 && affine.length !== parts))
    throw new ShapeError(
      `${what}: ${parts} parts of equal size, with γ and β for each or for all, are expected, found input ${showShape(x.shape)} and ${affine.length} of γ and β`,
    );
  return { batches, rows: sizeOf(x.shape.slice(1, -1)), channels: x.shape[x.rank - 1]! };
}
