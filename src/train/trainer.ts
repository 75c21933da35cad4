import type { ImageSet } from "../data/dataset";
import { type Batch, DataLoader } from "../data/loader";
import type { ImageTransform } from "../data/transforms";
import { ArgumentError, CheckpointFormatError, NanLossError } from "../errors";
import type { ConvNet } from "../models/convnet";
import type { Optimizer } from "../optim/optimizer";
import { constantLR, type Schedule } from "../optim/schedules";
import { add } from "../tensor/ops/elementwise";
import { crossEntropy } from "../tensor/ops/loss";
import { accumulateAt } from "../tensor/ops/metrics";
import { keep, scope } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { type CheckpointStore, decodeCheckpoint, encodeCheckpoint } from "./checkpoint";
import { checkImages, evaluate } from "./evaluate";
import type { EpochRecord, History, StepRecord } from "./history";

/** Options of a {@link Trainer}. */
export interface TrainerOptions {
  /** Multiplies the optimiser's learning rate; asked before each step with the fractional epoch. */
  schedule?: Schedule;
  batchSize?: number;
  /** Decides the order of the images and their augmentation. */
  seed?: number;
  transform?: readonly ImageTransform[];
  /** For test images; usually the normalisation alone. */
  testTransform?: readonly ImageTransform[];
  /** Where to keep a checkpoint, written after every epoch and when stopped. */
  checkpoints?: CheckpointStore;
  /** Steps between two readings of the losses (default 10). */
  readEvery?: number;
  /** Called after each reading. */
  onProgress?: (progress: Progress) => void;
}

/** Where a run stands, at each reading of the losses. */
export interface Progress {
  /** Steps done and to do, over all epochs. */
  step: number;
  steps: number;
  /** From 1. */
  epoch: number;
  record: StepRecord;
}

const LOSSES = ["publicLoss", "privateLoss", "signLoss"] as const;

/**
 * Trains a network: on every batch both branches forward, L = CE_public + CE_private + Σ sign loss, one backward pass, one optimiser step (METHODS: joint
 * training), all of it one submit. Losses are summed on the GPU and read every `readEvery` steps without holding the next ones up.
 *
 * @example
 * const trainer = new Trainer(model, new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 }), { batchSize: 50, seed: 1 });
 * for await (const epoch of trainer.fit(train, { epochs: 10, test })) console.log(epoch);
 */
export class Trainer {
  readonly history: History = { steps: [], epochs: [] };
  readonly #options: Required<Omit<TrainerOptions, "checkpoints" | "onProgress">> &
    Pick<TrainerOptions, "checkpoints" | "onProgress">;
  readonly #baseLr: number;
  #stopping = false;
  /** Where the next step is. */
  #at = { epoch: 0, batch: 0 };

  constructor(
    readonly model: ConvNet,
    readonly optimizer: Optimizer,
    options: TrainerOptions = {},
  ) {
    const defaults = {
      schedule: constantLR(),
      batchSize: 64,
      seed: 0,
      transform: [],
      testTransform: [],
      readEvery: 10,
    };
    this.#options = { ...defaults, ...options };
    if (!Number.isInteger(this.#options.readEvery) || this.#options.readEvery < 1) {
      throw new ArgumentError(`readEvery: a whole number from 1 expected, found ${this.#options.readEvery}`);
    }
    this.#baseLr = optimizer.lr;
  }

  /** Asks the run to end after the step at hand, with a checkpoint. `fit` then returns; `interrupted` tells. */
  stop(): void {
    this.#stopping = true;
  }

  get interrupted(): boolean {
    return this.#stopping;
  }

  /**
   * Trains for `epochs` in all, giving a record after each. With checkpoints, `resume` goes on where the last one ends, to the same bits as a run that was never stopped.
   * @throws NanLossError when a loss is not a number; the checkpoint of the last epoch is untouched.
   * @throws CheckpointFormatError when the checkpoint is damaged or of another run.
   */
  async *fit(
    train: ImageSet,
    { epochs, test, resume = false }: { epochs: number; test?: ImageSet; resume?: boolean },
  ): AsyncGenerator<EpochRecord, void, void> {
    if (!Number.isInteger(epochs) || epochs < 1)
      throw new ArgumentError(`epochs: a whole number from 1 expected, found ${epochs}`);
    const { batchSize, seed, transform, testTransform } = this.#options;
    const loader = new DataLoader(train, { batchSize, seed, transform, shuffle: true, dropLast: true });
    checkImages(this.model, train, loader.imageShape);
    if (test)
      checkImages(this.model, test, new DataLoader(test, { batchSize: 1, transform: testTransform }).imageShape);
    if (resume && !this.#options.checkpoints) {
      throw new ArgumentError(
        "resume: there is nowhere to resume from; give the trainer `checkpoints`, for example fileCheckpoints(path)",
      );
    }
    this.#stopping = false;
    const fingerprint = this.#fingerprint(train);
    if (resume) await this.#restore(fingerprint);
    this.model.train();
    while (this.#at.epoch < epochs && !this.#stopping) {
      const started = performance.now();
      await this.#epoch(loader, epochs);
      if (this.#stopping) break;
      const record = await this.#finishEpoch(test, loader.length, started);
      await this.#save(fingerprint);
      yield record;
    }
    if (this.#stopping) await this.#save(fingerprint);
  }

  /** Steps from where the run stands to the end of the epoch, or to a stop. */
  async #epoch(loader: DataLoader, epochs: number): Promise<void> {
    const { readEvery } = this.#options;
    const totals = keep(Tensor.full([LOSSES.length], 0));
    let reading: Promise<void> = Promise.resolve();
    let stretch = 0;
    try {
      for await (const batch of loader.epoch(this.#at.epoch, this.#at.batch)) {
        this.#step(batch, totals, loader.length);
        this.#at.batch++;
        const last = this.#at.batch === loader.length;
        if (++stretch === readEvery || last || this.#stopping) {
          // The copy of the sums goes with this step's submit; waiting for the one before keeps few steps in flight.
          const sums = totals.data({ withStep: true });
          totals.fill(0);
          const where = { ...this.#at };
          const steps = stretch;
          const before = reading;
          reading = before.then(() => sums).then((values) => this.#log(values, steps, where, loader.length, epochs));
          // A failure is thrown by the awaits below, never reported as unhandled meanwhile.
          for (const p of [sums, reading]) p.catch(() => {});
          totals.device.flush();
          await before;
          stretch = 0;
        } else totals.device.flush();
        if (this.#stopping) break;
      }
      await reading;
    } finally {
      totals.dispose();
    }
  }

  /** Records one training step; the caller submits it. */
  #step(batch: Batch, totals: Tensor, batches: number): void {
    const { model, optimizer } = this;
    optimizer.lr = this.#baseLr * this.#options.schedule(this.#at.epoch + this.#at.batch / batches);
    scope(() => {
      const [x, y] = [Tensor.from(batch.images, batch.shape), Tensor.from(batch.labels, [batch.size])];
      optimizer.prepare();
      optimizer.zeroGrad();
      const losses = model.config.scheme === "plain" ? [crossEntropy(model.forward(x), y)] : this.#jointLosses(x, y);
      losses.reduce((a, b) => add(a, b)).backward();
      optimizer.step();
      losses.forEach((loss, i) => {
        accumulateAt(totals, i, loss);
      });
    });
  }

  #jointLosses(x: Tensor, y: Tensor): Tensor[] {
    const both = this.model.forwardBoth(x);
    return [crossEntropy(both.public, y), crossEntropy(both.private, y), both.signLoss];
  }

  #log(sums: Float32Array, steps: number, at: { epoch: number; batch: number }, batches: number, epochs: number): void {
    const [publicLoss, privateLoss, signLoss] = [...sums].map((s) => s / steps) as [number, number, number];
    const record: StepRecord = {
      step: at.epoch * batches + at.batch,
      loss: publicLoss + privateLoss + signLoss,
      publicLoss,
      privateLoss,
      signLoss,
    };
    if (!Number.isFinite(record.loss)) {
      throw new NanLossError(
        `the loss is not a number at step ${record.step} (public ${publicLoss}, private ${privateLoss}, sign ${signLoss}): lower the learning rate or clip gradients; the last checkpoint is as it was`,
      );
    }
    this.history.steps.push(record);
    this.#options.onProgress?.({ step: record.step, steps: epochs * batches, epoch: at.epoch + 1, record });
  }

  async #finishEpoch(test: ImageSet | undefined, batches: number, started: number): Promise<EpochRecord> {
    const epoch = ++this.#at.epoch;
    this.#at.batch = 0;
    const accuracy = test ? await evaluate(this.model, test, { transform: this.#options.testTransform }) : {};
    const signs = await this.model.readSigns();
    const first = (epoch - 1) * batches;
    const recent = this.history.steps.filter((s) => s.step > first);
    // Stretches differ in length: the last of an epoch is what is left, and a stop cuts one short.
    const total = recent.reduce((sum, s, i) => sum + s.loss * (s.step - (recent[i - 1]?.step ?? first)), 0);
    const record: EpochRecord = {
      epoch,
      loss: total / batches,
      ...accuracy,
      bitsMatched: signs.reduce((n, s) => n + s.matched, 0),
      bits: signs.reduce((n, s) => n + s.bits.length, 0),
      seconds: (performance.now() - started) / 1000,
    };
    this.history.epochs.push(record);
    return record;
  }

  /** What must be equal for a checkpoint to belong to this run. */
  #fingerprint(train: ImageSet): string {
    const { batchSize, seed } = this.#options;
    return JSON.stringify({
      config: this.model.config,
      batchSize,
      seed,
      images: train.length,
      optimizer: this.optimizer.constructor.name,
      lr: this.#baseLr,
    });
  }

  async #save(fingerprint: string): Promise<void> {
    const { checkpoints } = this.#options;
    if (!checkpoints) return;
    const [model, optimizer] = await Promise.all([this.model.stateDict(), this.optimizer.stateDict()]);
    // The last update can overflow after a loss that was still a number: such weights must not replace good ones.
    for (const [name, { data }] of model) {
      if (!(data instanceof Float32Array) || data.every(Number.isFinite)) continue;
      throw new NanLossError(
        `${name} is no longer made of numbers after epoch ${this.#at.epoch}, batch ${this.#at.batch}: lower the learning rate or clip gradients; the last checkpoint is as it was`,
      );
    }
    await checkpoints.save(encodeCheckpoint({ fingerprint, ...this.#at, history: this.history, model, optimizer }));
  }

  async #restore(fingerprint: string): Promise<void> {
    const bytes = await this.#options.checkpoints?.load();
    if (!bytes) return;
    const saved = decodeCheckpoint(bytes);
    if (saved.fingerprint !== fingerprint) {
      throw new CheckpointFormatError(
        `the checkpoint belongs to another run: it has ${saved.fingerprint}, this is ${fingerprint}. Start anew, or use the settings it was made with`,
      );
    }
    this.model.loadStateDict(saved.model);
    this.optimizer.loadStateDict(saved.optimizer);
    this.#at = { epoch: saved.epoch, batch: saved.batch };
    this.history.steps.splice(0, Infinity, ...saved.history.steps);
    this.history.epochs.splice(0, Infinity, ...saved.history.epochs);
  }
}
