import { NanLossError } from "../errors";
import type { Device } from "../gpu/device";
import { accumulateAt } from "../tensor/ops/metrics";
import { keep } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import type { StepRecord } from "./history";

/** The losses of a step that are recorded, each on its own. */
export const LOSSES = ["publicLoss", "privateLoss", "passportLoss", "signLoss", "regularizerLoss"] as const;
export type Loss = (typeof LOSSES)[number];

/** Mean of each loss that there was. */
export type MeanLosses = Partial<Record<Loss, number>>;

/**
 * Mean losses of a stretch as a record of the step that it ends at.
 * @throws NanLossError where their sum is not a number.
 */
export function stepRecord(means: MeanLosses, step: number, regularized: boolean): StepRecord {
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
  #weights = new Map<Loss, number>();

  /** @param d The device that the losses are computed on. */
  constructor(d: Device) {
    this.#sums = keep(Tensor.full([LOSSES.length], 0, "f32", d));
  }

  add(name: Loss, value: Tensor, weight: number): void {
    accumulateAt(this.#sums, LOSSES.indexOf(name), value, weight);
    // A replayed step adds to the sums again, and so to their weights.
    value.device.effect(() => this.#weights.set(name, (this.#weights.get(name) ?? 0) + weight));
  }

  /**
   * Σ weight · value / Σ weight of what was added since the last call. The copy goes with the next
   * submit.
   */
  async take(): Promise<MeanLosses> {
    const weights = this.#weights;
    this.#weights = new Map();
    const reading = this.#sums.data({ withStep: true });
    this.#sums.fill(0);
    const sums = await reading;
    return Object.fromEntries([...weights].map(([name, weight]) => [name, sums[LOSSES.indexOf(name)]! / weight]));
  }

  flush(): void {
    this.#sums.device.flush();
  }

  dispose(): void {
    this.#sums.dispose();
  }
}
