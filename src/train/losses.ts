import { NanLossError, OverflowError } from "../errors";
import type { Device } from "../gpu/device";
import { accumulateAt } from "../tensor/ops/metrics";
import { keep } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import type { StepRecord } from "./history";

/** The losses of a step that are recorded, each on its own. */
export const LOSSES = ["publicLoss", "privateLoss", "passportLoss", "signLoss", "regularizerLoss"] as const;
export type Loss = (typeof LOSSES)[number];

/** What a stretch of steps left behind. */
export interface Stretch {
  /** Of each loss that there was. */
  readonly means: Partial<Record<Loss, number>>;
  /** Activations beyond f16, where they wait in it, by vectors of four. */
  readonly beyond: number;
}

/**
 * Mean losses of a stretch as a record of the step that it ends at.
 * @throws OverflowError where activations did not fit f16; NanLossError where the sum of the losses
 * is not a number.
 */
export function stepRecord({ means, beyond }: Stretch, step: number, regularized: boolean): StepRecord {
  if (beyond)
    throw new OverflowError(
      `activations of more than ±65,504, f16's largest number, at step ${step} or just before: train with activations: "f32" (the last checkpoint is as it was, and resumes with it), or with normalised layers and a lower learning rate`,
    );
  const { regularizerLoss = 0, ...rest } = means;
  const parts = { publicLoss: 0, privateLoss: 0, passportLoss: 0, signLoss: 0, ...rest };
  const loss = Object.values(parts).reduce((sum, part) => sum + part) + regularizerLoss;
  if (Number.isFinite(loss)) return { step, loss, ...parts, ...(regularized && { regularizerLoss }) };
  const shown = LOSSES.flatMap((name) => (name in means ? `${name.replace("Loss", "")} ${means[name]}` : []));
  throw new NanLossError(
    `the loss is not a number at step ${step} (${shown.join(", ")}): lower the learning rate or clip gradients; the last checkpoint is as it was`,
  );
}

/**
 * Weighted sums of losses, kept on the GPU over a stretch of steps, so that a step needs no
 * readback.
 */
export class LossSums {
  readonly #sums: Tensor;
  /** u32 [1]: what `packingSaved` counts. */
  readonly beyond: Tensor | null;
  #weights = new Map<Loss, number>();

  /**
   * @param d The device that the losses are computed on.
   * @param packed whether activations wait in f16
   */
  constructor(d: Device, packed = false) {
    this.#sums = keep(Tensor.full([LOSSES.length], 0, "f32", d));
    this.beyond = packed ? keep(Tensor.full([1], 0, "u32", d)) : null;
  }

  add(name: Loss, value: Tensor, weight: number): void {
    accumulateAt(this.#sums, LOSSES.indexOf(name), value, weight);
    // A replayed step adds to the sums again, and so to their weights.
    value.device.effect(() => this.#weights.set(name, (this.#weights.get(name) ?? 0) + weight));
  }

  /**
   * Σ weight · value / Σ weight of what was added since the last call. The copies go with the next
   * submit.
   */
  async take(): Promise<Stretch> {
    const weights = this.#weights;
    this.#weights = new Map();
    const reading = Promise.all([
      this.#sums.data({ withStep: true }),
      this.beyond?.data<"u32">({ withStep: true }) ?? [0],
    ]);
    this.#sums.fill(0);
    const [sums, [beyond]] = await reading;
    const means = Object.fromEntries(
      [...weights].map(([name, weight]) => [name, sums[LOSSES.indexOf(name)]! / weight]),
    );
    return { means, beyond: beyond! };
  }

  flush(): void {
    this.#sums.device.flush();
  }

  dispose(): void {
    this.#sums.dispose();
    this.beyond?.dispose();
  }
}
