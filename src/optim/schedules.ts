/**
 * Learning-rate schedules: pure functions from the epoch to a multiplier of the base learning rate.
 *
 *     lr(epoch) = base · schedule(epoch)
 *
 * They hold no state, so a resumed run needs only the epoch, and accept fractions (epoch + step /
 * stepsAnEpoch) for schedules that move within an epoch. At whole epochs the values are those of
 * PyTorch's closed forms.
 */
import { callable, optionsOf, refuse } from "../demand";
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";

/** Multiplier of the base learning rate at `epoch` (from 0, fractions allowed). */
export type Schedule = (epoch: number) => number;

/** Always 1. */
export function constantLR(): Schedule {
  return () => 1;
}

/**
 * gamma^⌊epoch / stepSize⌋, PyTorch's `StepLR`.
 *
 * @example stepLR({ stepSize: 20, gamma: 0.7 }) // ×0.7 every 20 epochs
 * @throws ArgumentError if `stepSize` or `gamma` is not a positive number
 */
export function stepLR(options: { stepSize: number; gamma?: number }): Schedule {
  const { stepSize, gamma = 0.1 } = optionsOf("stepLR", options, ["stepSize", "gamma"]);
  demand("stepLR", "stepSize", stepSize, (n) => n > 0, "a positive number of epochs");
  demand("stepLR", "gamma", gamma, (n) => n > 0, "a positive number");
  return (epoch) => gamma ** Math.floor(checked("stepLR", epoch) / stepSize);
}

/**
 * gamma^(number of milestones ≤ epoch), PyTorch's `MultiStepLR`. A milestone given twice counts
 * twice; the order is free.
 *
 * @example multiStepLR({ milestones: [100, 150] }) // ×0.1 from epoch 100, ×0.01 from epoch 150
 * @throws ArgumentError if a milestone is negative or not a number, or `gamma` not positive
 */
export function multiStepLR(options: { milestones: readonly number[]; gamma?: number }): Schedule {
  const { milestones, gamma = 0.1 } = optionsOf("multiStepLR", options, ["milestones", "gamma"]);
  if (!Array.isArray(milestones)) refuse("multiStepLR", "milestones", "an array of epochs", milestones);
  for (const at of milestones) demand("multiStepLR", "milestones", at, (n) => n >= 0, "epochs from 0");
  demand("multiStepLR", "gamma", gamma, (n) => n > 0, "a positive number");
  const passed = [...milestones];
  return (epoch) => {
    const now = checked("multiStepLR", epoch);
    return gamma ** passed.reduce((count, at) => count + (at <= now ? 1 : 0), 0);
  };
}

/** Options of {@link cosineLR}. */
export interface CosineOptions {
  /** Epochs until the lowest value, warm-up included. */
  epochs: number;
  /** The lowest multiplier: PyTorch's `eta_min` divided by the base learning rate. Default 0. */
  etaMin?: number;
  /** Epochs of linear warm-up before the cosine begins, see {@link warmupLR}. Default 0. */
  warmup?: number;
  /** Multiplier at epoch 0 of a warm-up. Default 1/3, as PyTorch's `LinearLR`. */
  startFactor?: number;
}

/**
 * Half a cosine from 1 to etaMin over T = epochs − warmup:
 *
 *     etaMin + (1 − etaMin)·(1 + cos(π·t / T)) / 2,  t = min(epoch − warmup, T)
 *
 * PyTorch's `CosineAnnealingLR` with T_max = T, and with a warm-up its `SequentialLR` of `LinearLR`
 * and that. Beyond the last epoch it stays at etaMin, where PyTorch's would climb again.
 *
 * Source: Loshchilov, Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017.
 *
 * @throws ArgumentError if `epochs` is not positive, `etaMin` or `startFactor` not in [0, 1], or
 * `warmup` not below `epochs`
 */
export function cosineLR(options: CosineOptions): Schedule {
  const given = optionsOf("cosineLR", options, ["epochs", "etaMin", "warmup", "startFactor"]);
  const { epochs, etaMin = 0, warmup = 0, startFactor = 1 / 3 } = given;
  demand("cosineLR", "epochs", epochs, (n) => n > 0, "a positive number");
  demand("cosineLR", "etaMin", etaMin, (n) => n >= 0 && n <= 1, "a fraction of the base learning rate, 0 to 1");
  demand("cosineLR", "warmup", warmup, (n) => n >= 0 && n < epochs, `from 0 and below epochs (${epochs})`);
  demand("cosineLR", "startFactor", startFactor, (n) => n >= 0 && n <= 1, "a number from 0 to 1");
  const length = epochs - warmup;
  const cosine: Schedule = (epoch) => {
    const turned = Math.min(checked("cosineLR", epoch) / length, 1);
    return etaMin + ((1 - etaMin) * (1 + Math.cos(Math.PI * turned))) / 2;
  };
  return warmup > 0 ? warmupLR(cosine, { epochs: warmup, startFactor }) : cosine;
}

/** Options of {@link oneCycleLR}. */
export interface OneCycleOptions {
  /** Epochs of the whole cycle. */
  epochs: number;
  /** Share of them in which the rate climbs. Default 0.3. */
  pctStart?: number;
  /** The base learning rate, which is the highest, over the first one. Default 25. */
  divFactor?: number;
  /** The first learning rate over the last one. Default 10,000. */
  finalDivFactor?: number;
}

/**
 * One cycle of two half cosines: from 1/divFactor up to 1 over the first pctStart · epochs, and
 * from there down to 1/(divFactor · finalDivFactor). The base learning rate is the highest.
 *
 * PyTorch's `OneCycleLR(max_lr, total_steps)` counts steps from 0: over T of them its cycle is
 * `epochs` T − 1 long and its peak at pct_start · T − 1. Momentum is left alone, as by its
 * `cycle_momentum=False`. Beyond the last epoch the rate stays at its lowest.
 *
 * Source: Smith, Topin, "Super-convergence: very fast training of neural networks using large
 * learning rates", 2017.
 *
 * @example oneCycleLR({ epochs: 10 }) // ×0.04 at first, ×1 after 3 epochs, ×0.000004 at the end
 * @throws ArgumentError if `epochs` is not positive, `pctStart` not in (0, 1), or a factor below 1
 */
export function oneCycleLR(options: OneCycleOptions): Schedule {
  const given = optionsOf("oneCycleLR", options, ["epochs", "pctStart", "divFactor", "finalDivFactor"]);
  const { epochs, pctStart = 0.3, divFactor = 25, finalDivFactor = 1e4 } = given;
  demand("oneCycleLR", "epochs", epochs, (n) => n > 0, "a positive number");
  demand("oneCycleLR", "pctStart", pctStart, (n) => n > 0 && n < 1, "a share of the epochs between 0 and 1");
  demand("oneCycleLR", "divFactor", divFactor, (n) => n >= 1, "a number from 1");
  demand("oneCycleLR", "finalDivFactor", finalDivFactor, (n) => n >= 1, "a number from 1");
  const [first, last] = [1 / divFactor, 1 / divFactor / finalDivFactor];
  const peak = pctStart * epochs;
  const between = (from: number, to: number, share: number) => to + ((from - to) * (1 + Math.cos(Math.PI * share))) / 2;
  return (epoch) => {
    const now = Math.min(checked("oneCycleLR", epoch), epochs);
    return now < peak ? between(first, 1, now / peak) : between(1, last, (now - peak) / (epochs - peak));
  };
}

/**
 * Climbs in a straight line from startFactor to 1 in the given epochs, then runs `schedule` from
 * its epoch 0: PyTorch's `SequentialLR([LinearLR(startFactor, total_iters=epochs), schedule],
 * milestones=[epochs])`.
 *
 * @throws ArgumentError if `epochs` is not positive or `startFactor` not in [0, 1]
 */
export function warmupLR(schedule: Schedule, options: { epochs: number; startFactor?: number }): Schedule {
  callable("warmupLR", "its schedule", schedule);
  const { epochs, startFactor = 1 / 3 } = optionsOf("warmupLR", options, ["epochs", "startFactor"]);
  demand("warmupLR", "epochs", epochs, (n) => n > 0, "a positive number");
  demand("warmupLR", "startFactor", startFactor, (n) => n >= 0 && n <= 1, "a number from 0 to 1");
  return (epoch) => {
    const now = checked("warmupLR", epoch);
    return now < epochs ? startFactor + ((1 - startFactor) * now) / epochs : schedule(now - epochs);
  };
}

function checked(name: string, epoch: number): number {
  if (!(Number.isFinite(epoch) && epoch >= 0)) {
    throw new ArgumentError(`${name}: expected a finite epoch from 0, got ${shown(epoch)}`);
  }
  return epoch;
}

function demand(name: string, option: string, value: number, holds: (n: number) => boolean, expected: string): void {
  if (!Number.isFinite(value) || !holds(value)) {
    throw new ArgumentError(`${name}: expected ${option} to be ${expected}, got ${shown(value)}`);
  }
}
