import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Protected } from "@pan/core/passport";
import type { EpochRecord } from "@pan/core/train";
import type { Convergence } from "../report/src/index";
import { accuracies } from "./claim";
import { json, savePrivate } from "./files";

/** Channels that are followed, as in the papers' figure. */
const CHANNELS = 10;

/**
 * Follows γ and β of the last passport layer, and how far its weights move, epoch by epoch, in
 * convergence.json.
 */
export class ScaleLog {
  readonly #path: string;
  #log: Convergence | null = null;
  #weight: Float32Array | null = null;
  /** The epoch after which the weights were these; 0 before the first. */
  #after = 0;

  constructor(
    private readonly model: Protected,
    out: string,
  ) {
    this.#path = join(out, "convergence.json");
  }

  /**
   * Before the first step: what the first epoch's movement is measured from. A run that goes on
   * takes its weights from a checkpoint, which may lie within an epoch: the movement of that one is
   * not measured.
   */
  async start({ resume }: { resume: boolean }): Promise<void> {
    const last = this.model.passportSites().at(-1);
    if (!last) return;
    const known = resume ? await readFile(this.#path, "utf8").catch(() => null) : null;
    this.#weight = await last.secret.passport.map.weight.data();
    this.#log = known ? (JSON.parse(known) as Convergence) : { layer: last.name, epochs: [] };
  }

  async epoch(record: EpochRecord): Promise<void> {
    const last = this.model.passportSites().at(-1);
    if (!last || !this.#log) return;
    const [weight, scales] = await Promise.all([last.secret.passport.map.weight.data(), this.model.readGammaBeta()]);
    const { gamma, beta } = scales.get(last.name)!;
    const before = this.#weight!;
    const known = this.#after === record.epoch - 1;
    const update = Math.sqrt(weight.reduce((sum, w, i) => sum + (w - before[i]!) ** 2, 0));
    this.#weight = weight;
    this.#after = record.epoch;
    this.#log.epochs = this.#log.epochs.filter((e) => e.epoch < record.epoch);
    this.#log.epochs.push({
      epoch: record.epoch,
      gamma: [...gamma.subarray(0, CHANNELS)],
      beta: [...beta.subarray(0, CHANNELS)],
      ...(known && { update }),
      accuracy: accuracies(record),
    });
    await savePrivate(this.#path, json(this.#log));
  }
}
