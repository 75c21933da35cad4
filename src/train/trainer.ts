import type { HostBatch } from "../data/batch";
import { DataLoader } from "../data/loader";
import type { AnySet, SampleTransform } from "../data/samples";
import { flag, instance, optionsOf } from "../demand";
import { ArgumentError, NanLossError, OverflowError } from "../errors";
import { listed, shown } from "../io/shown";
import { deviceOf, type Module } from "../nn/module";
import { Optimizer } from "../optim/optimizer";
import type { Branch } from "../passport/branches";
import { countSigns } from "../passport/matches";
import { asProtected, type Protected } from "../passport/protected";
import type { Network } from "../passport/trace";
import type { Tensor } from "../tensor/tensor";
import { TriggerBatches, Uploader } from "./batches";
import { decodeCheckpoint } from "./checkpoint";
import { checkSamples, checkSet, checkTargets, type Measured, measure } from "./evaluate";
import { Fit } from "./fit";
import { bestEpoch, type EpochRecord, type History, meanAccuracy, meanLoss } from "./history";
import { checkLeaves } from "./leaves";
import { type Loss, LossSums, type Stretch, stepRecord } from "./losses";
import { type FullOptions, fullOptions, recomputedModules, type TrainerOptions, triggersPerBatch } from "./options";
import { StepReplay } from "./replay";
import { type Position, type Run, restoreRun, saveRun } from "./run";
import { trainStep } from "./step";
import { tensorsIn } from "./task";

/** What {@link Trainer.fit} is asked for. */
export interface FitOptions {
  /** In all, those of an earlier part of the run included. */
  epochs: number;
  /** Measured after each epoch; without it, records have losses and bits alone. */
  test?: AnySet;
  /** Go on where the last checkpoint ends (default false); begin anew where there is none. */
  resume?: boolean;
}

/**
 * Networks that are being trained. Two runs at once would take turns at one set of weights, each
 * with schedules and positions of its own.
 */
const training = new WeakSet<Module>();

/**
 * Trains a network of any scheme, for any task: to classify samples, or by a loss of one's own, on
 * images, clouds or whatever a `Dataset` holds; `forward` is given the batch's inputs as the data
 * set puts them together. Joint mode: on every batch all branches forward, L = Σ (loss
 * [+ the network's own penalty]) + Σ sign loss [+ regularizer], one backward pass, one optimiser
 * step, all of it one submit. Alternating mode: a step is one branch's; the sign loss goes with the
 * private one. Trigger images join every batch. With `accumulate`, a step takes its batch in parts.
 * Losses are summed on the GPU and read every `readEvery` steps without holding the next ones up.
 *
 * @example
 * const trainer = new Trainer(model, new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 }), { batchSize: 50, seed: 1 });
 * for await (const epoch of trainer.fit(train, { epochs: 10, test })) console.log(epoch);
 *
 * @example
 * const trainer = new Trainer(model, new Adam(model), {
 *   loss: (y, { targets }) => mseLoss(y, targets),
 *   metrics: { closeness: (y, { targets }) => neg(mseLoss(y, targets)) },
 * });
 */
export class Trainer<O = Tensor, I = Tensor, T = Tensor> {
  /** The network, with its passports or with none. */
  readonly model: Protected;
  /**
   * What was read of the steps and measured after the epochs so far, of a resumed run from its
   * beginning; it grows while the trainer trains.
   */
  readonly history: History = { steps: [], epochs: [] };
  readonly #options: FullOptions;
  readonly #uploader: Uploader;
  #replay: StepReplay | null = null;
  #triggers: TriggerBatches | null = null;
  /** Branches of the steps whose losses were looked through for tensors that are nobody's. */
  readonly #checked = new Set<string>();
  #stopping = false;
  #fit: Fit | null = null;
  /** Whether a run of this trainer has the network to itself. */
  #holds = false;
  /** Batches of an epoch, once one was begun. */
  #batches: number | null = null;
  #at: Position = { epoch: 0, batch: 0 };

  /**
   * @throws ArgumentError for options that are unknown, out of range or do not go with the network,
   * and an optimiser that holds none of its parameters.
   */
  constructor(
    model: Network,
    readonly optimizer: Optimizer,
    options?: TrainerOptions<O, I, T>,
  ) {
    this.model = asProtected("Trainer", "its first argument", model);
    instance("Trainer", "its second argument", optimizer, Optimizer);
    this.#options = fullOptions(this.model, options);
    this.#uploader = new Uploader(deviceOf(model));
    if (!this.#held().length)
      throw new ArgumentError(
        "Trainer: the optimiser holds no parameter of this network, so that nothing would be trained: make it of model.parameters(), or of some of them",
      );
  }

  /** Tensors of the network that the optimiser holds. */
  #held(): Tensor[] {
    const held = new Set(this.optimizer.params);
    return this.model.namedTensors().flatMap(([, t]) => (held.has(t) ? [t] : []));
  }

  /**
   * Asks the run to end after the step at hand, with a checkpoint. `fit` then returns;
   * `interrupted` tells. A run that waits to be asked for its next epoch ends at once.
   */
  stop(): void {
    this.#stopping = true;
    if (!this.#fit?.isWaiting) return;
    void this.#fit.return();
    // At once: whoever trains the network next need not wait for that.
    this.#leave();
  }

  /** Gives the network free, where a run of this trainer has it. */
  #leave(): void {
    if (this.#holds) training.delete(this.model.network);
    this.#holds = false;
  }

  /** Whether the last run was asked to end by {@link stop}. */
  get interrupted(): boolean {
    return this.#stopping;
  }

  /** Whether the last epochs brought nothing better, by `earlyStop`. */
  get stalled(): boolean {
    const { earlyStop } = this.#options;
    if (!earlyStop) return false;
    const { patience, minDelta = 0 } = earlyStop;
    let [best, waited] = [-Infinity, 0];
    for (const epoch of this.history.epochs) {
      const mean = meanAccuracy(epoch) ?? -Infinity;
      if (mean - minDelta > best) [best, waited] = [mean, 0];
      else waited++;
    }
    return waited >= patience;
  }

  /**
   * Trains for `epochs` in all: `for await` gives a record after each, `await` the history at the
   * end; nothing runs before either. Batches are whole: of a set that `batchSize` does not divide,
   * each epoch leaves out some samples, others each time. With checkpoints, `resume` goes on where
   * the last one ends, to the same bits as a run that was never stopped, where modules draw random
   * numbers from `RandomStream`s that they hold. Steps run in training mode whatever the network's
   * own, parts of it excepted whose mode was set apart; every flag stays as it is, and gradients of
   * the last step stay until the next. A run of this trainer that waits between two epochs ends
   * with the next call, which goes on behind it.
   * @throws ArgumentError when images, labels or options do not fit, the epochs of the run so far
   * had other numbers of batches, passports have trainable parameters that the optimiser does not
   * hold, or the network is being trained already, before any step; or in the first when its loss
   * depends on trained tensors that the network does not name; ShapeError when the regularizer, the
   * loss or a metric gives anything but one number, in the first.
   * @throws NanLossError when a loss is not a number, OverflowError when an activation does not fit
   * the type that it waits in; the checkpoint of the last epoch is untouched. The next call begins
   * the epoch anew: put weights back first, or `resume`.
   * @throws CheckpointFormatError when the checkpoint is damaged or of another run.
   */
  fit(train: AnySet, options: FitOptions): Fit {
    const before = this.#fit?.isWaiting ? this.#fit : null;
    const ended = () => {
      if (this.#fit === fit) this.#fit = null;
    };
    const fit: Fit = new Fit(this.#epochs(train, options, { before, ended }), this.history);
    // Beside one that runs it will be refused.
    if (this.#fit && !before) return fit;
    this.#stopping = false;
    this.#fit = fit;
    return fit;
  }

  /** {@link fit}, behind a run that ends for it; says when it has ended itself. */
  async *#epochs(
    train: AnySet,
    options: FitOptions,
    { before, ended }: { readonly before: Fit | null; readonly ended: () => void },
  ): AsyncGenerator<EpochRecord, void, void> {
    // Nothing is awaited else: whoever asks for the first epoch and then for a stop gets a step.
    if (before) await before.return();
    checkSet("fit", "its first argument", train);
    const { epochs, test, resume = false } = optionsOf("fit", options, ["epochs", "test", "resume"]);
    if (test !== undefined) checkSet("fit", "test", test);
    flag("fit", "resume", resume);
    if (!Number.isInteger(epochs) || epochs < 1)
      throw new ArgumentError(`epochs: a whole number from 1 expected, found ${shown(epochs)}`);
    if (training.has(this.model.network))
      throw new ArgumentError(
        "fit: this network is being trained already: let the other run end, or leave it with stop(), break or return()",
      );
    if (resume && !this.#options.checkpoints) {
      throw new ArgumentError(
        "resume: there is nowhere to resume from; give the trainer `checkpoints`, for example fileCheckpoints(path)",
      );
    }
    this.#checkHeld();
    training.add(this.model.network);
    this.#holds = true;
    try {
      const loader = this.#check(train, test);
      this.#checked.clear();
      const { best, checkpoints } = this.#options;
      const run = this.#run(train);
      if (resume) this.#at = (await restoreRun(checkpoints, run)) ?? this.#at;
      while (this.#at.epoch < epochs && !this.#stopping && !this.stalled) {
        const started = performance.now();
        this.#batches = loader.length;
        const record = await this.#rewinding(loader.length, async () => {
          if (this.#at.batch < loader.length) await this.#epoch(loader, epochs);
          if (this.#stopping) return null;
          const finished = await this.#finishEpoch(test, loader.length, started);
          await this.#options.onEpoch?.(finished);
          if (best && bestEpoch(this.history) === finished) await saveRun(best, run, this.#at);
          await saveRun(checkpoints, run, this.#at);
          return finished;
        });
        if (!record) break;
        yield record;
      }
      if (this.#stopping) await this.#rewinding(loader.length, () => saveRun(checkpoints, run, this.#at));
    } finally {
      this.#leave();
      ended();
      this.optimizer.factor = 1;
      this.#replay = null;
      this.#uploader.dispose();
      const triggers = this.#triggers;
      this.#triggers = null;
      await triggers?.close();
    }
  }

  /**
   * Puts the weights of the best epoch back into the model.
   * @returns that epoch's record, or null when there is none to restore.
   * @throws CheckpointFormatError when the checkpoint is damaged.
   */
  async restoreBest(): Promise<EpochRecord | null> {
    const bytes = await this.#options.best?.load();
    if (!bytes) return null;
    const saved = await decodeCheckpoint(bytes);
    this.model.loadStateDict(saved.model);
    return saved.history.epochs[saved.history.epochs.length - 1] ?? null;
  }

  /** What checkpoints are made of. */
  #run(train: AnySet): Run {
    const { model, optimizer, history } = this;
    return { model, optimizer, history, options: this.#options, samples: train.length, triggers: this.#triggers };
  }

  /** @throws ArgumentError where the optimiser would train nothing, or not what passports need. */
  #checkHeld(): void {
    const held = this.#held();
    if (held.every((t) => !t.requiresGrad))
      throw new ArgumentError(
        "fit: every parameter of the network that the optimiser holds is frozen, so that nothing would be trained: unfreeze() some",
      );
    const known = new Set([...held, ...this.model.network.parameters()]);
    const left = this.model.namedParameters().filter(([, t]) => t.requiresGrad && !known.has(t));
    if (left.length)
      throw new ArgumentError(
        `fit: the optimiser does not hold what passports have to learn (${listed(left.map(([name]) => name))}): make it of the protected network, after protect(), or freeze() them`,
      );
  }

  /** Everything that can be known before the first step. */
  #check(train: AnySet, test: AnySet | undefined): DataLoader<AnySet> {
    const { batchSize, seed, transform, testTransform, batchTransform, triggers, best, earlyStop, task } =
      this.#options;
    const order = { batchSize, seed, shuffle: true, dropLast: true };
    if (train.length < batchSize)
      throw new ArgumentError(
        `fit: at least batchSize (${batchSize}) samples expected, found ${train.length}: batches are whole; give the trainer a smaller \`batchSize\``,
      );
    const loader = new DataLoader(train, { ...order, transform, ...(batchTransform && { batchTransform }) });
    if (this.#batches !== null && loader.length !== this.#batches)
      throw new ArgumentError(
        `fit: ${this.#batches} batches an epoch expected, as the run so far had, found ${loader.length}: steps are counted by them; go on with as many samples, or make another Trainer for another set`,
      );
    if (task.classLoss && !batchTransform) checkTargets("fit", train, "loss");
    checkSamples(this.model, train, loader.imageShape, task.classLoss);
    if (test) {
      const { imageShape } = new DataLoader(test, { batchSize: 1, transform: testTransform });
      if (task.classMeasure) checkTargets("fit", test, "metrics");
      checkSamples(this.model, test, imageShape, task.classMeasure);
    } else if (best || earlyStop)
      throw new ArgumentError(
        "`best` and `earlyStop` go by the test accuracy, or the first metric: give `fit` a test set",
      );
    if (triggers) {
      this.#triggers = new TriggerBatches(triggers, this.#options);
      if (task.classMeasure) checkTargets("fit: triggers", triggers.set, "metrics");
      checkSamples(this.model, triggers.set, this.#triggers.imageShape, task.classLoss);
    }
    return loader;
  }

  /** Steps from where the run stands to the end of the epoch, or to a stop. */
  async #epoch(loader: DataLoader<AnySet>, epochs: number): Promise<void> {
    const { readEvery, activations } = this.#options;
    const sums = new LossSums(deviceOf(this.model), activations === "f16");
    let reading: Promise<void> = Promise.resolve();
    let stretch = 0;
    try {
      for await (const batch of loader.epoch(this.#at.epoch, this.#at.batch)) {
        const triggers = (await this.#triggers?.at(this.#at.epoch * loader.length + this.#at.batch)) ?? null;
        this.#step(batch as HostBatch, triggers, sums, loader.length);
        this.#at.batch++;
        const last = this.#at.batch === loader.length;
        if (++stretch === readEvery || last || this.#stopping) {
          // The copy of the sums goes with this step's submit; waiting for the one before keeps few
          // steps in flight.
          const [taken, at, before] = [sums.take(), { ...this.#at }, reading];
          reading = before.then(async () => this.#log(await taken, at, loader.length, epochs));
          // A failure is thrown by the awaits below, never reported as unhandled meanwhile.
          for (const p of [taken, reading]) p.catch(() => {});
          sums.flush();
          await before;
          stretch = 0;
        } else sums.flush();
        if (this.#stopping) break;
      }
      await reading;
    } catch (error) {
      // Steps behind the failed one are still under way: whoever ends the process for it would take
      // the driver's memory from under them.
      await deviceOf(this.model)
        .sync()
        .catch(() => {});
      throw error;
    } finally {
      sums.dispose();
      // Evaluation, and whoever looks at the epoch, may use the memory.
      this.#replay?.release();
    }
  }

  /**
   * Runs a part of an epoch; where numbers got lost in it, the run is back at the epoch's begin:
   * nobody knows which of its steps spoilt the weights.
   */
  async #rewinding<T>(batches: number, part: () => Promise<T>): Promise<T> {
    const { epoch } = this.#at;
    try {
      return await part();
    } catch (error) {
      if (error instanceof NanLossError || error instanceof OverflowError) {
        this.#at = { epoch, batch: 0 };
        const { steps, epochs } = this.history;
        const good = steps.findIndex((s) => s.step > epoch * batches);
        if (good >= 0) steps.splice(good);
        epochs.splice(epoch);
      }
      throw error;
    }
  }

  /** One training step, up to its submit. */
  #step(batch: HostBatch, triggers: HostBatch | null, sums: LossSums, batches: number): void {
    const { model, optimizer } = this;
    const { schedule, signLoss, trunkUpdates, seed, regularizer, accumulate, replay, task } = this.#options;
    const { recompute, clipNorm } = this.#options;
    const joining = this.#options.triggers;
    const step = this.#at.epoch * batches + this.#at.batch;
    const branches = this.#branches(step);
    const fresh = !this.#checked.has(branches.join());
    this.#checked.add(branches.join());
    const common = {
      branches,
      signLoss,
      trunkUpdates,
      task,
      beyond: sums.beyond,
      ...(clipNorm !== undefined && { clipNorm }),
      triggers: joining && { ...joining, count: triggersPerBatch(joining) / accumulate },
      onTotal: fresh
        ? (total: Tensor) => checkLeaves(total, model, optimizer, regularizer !== undefined || !task.classLoss)
        : undefined,
      onLoss: (name: Loss, value: Tensor, weight: number) => sums.add(name, value, weight),
    };
    // Looked up where a step is run, and not for each that is replayed.
    const recomputed = () => recompute && { recompute: recomputedModules(model, recompute) };
    optimizer.factor = schedule(this.#at.epoch + this.#at.batch / batches);
    if (!replay || regularizer || joining?.perturbation || accumulate > 1) {
      const own = { ...common, ...recomputed(), draws: { seed, step }, ...(regularizer && { regularizer }) };
      trainStep(model, optimizer, this.#uploader.parts(batch, triggers, accumulate), own);
      return;
    }
    // What differs from step to step is put where the step reads it; the step itself is then the
    // same.
    const samples = this.#uploader.refill(batch, triggers);
    optimizer.prepare();
    model.beginStep(seed, step);
    const tensors = [...tensorsIn(samples.x), ...tensorsIn(samples.y)];
    const kind = `${branches.join()} ${tensors.map((t) => t.buffer.id).join()}`;
    this.#replay ??= new StepReplay(deviceOf(model), model);
    this.#replay.run(kind, () => trainStep(model, optimizer, [() => samples], { ...common, ...recomputed() }));
  }

  /** The branches of step `step`, from 0. */
  #branches(step: number): readonly Branch[] {
    const { mode } = this.#options;
    if (mode === "joint") return this.model.branches;
    const secret = Math.floor((step + 1) * mode.alternating) > Math.floor(step * mode.alternating);
    return [secret ? "private" : "public"];
  }

  /** Records the mean losses of a stretch that ends at `at`, and tells of them. */
  async #log(stretch: Stretch, at: Position, batches: number, epochs: number): Promise<void> {
    const record = stepRecord(stretch, at.epoch * batches + at.batch, this.#options.regularizer !== undefined);
    this.history.steps.push(record);
    await this.#options.onProgress?.({ step: record.step, steps: epochs * batches, epoch: at.epoch + 1, record });
  }

  /** What the task measures of a set. @throws NanLossError where that is no number. */
  async #measure(set: AnySet, transform: readonly SampleTransform[], what: string): Promise<Measured> {
    const measured = await measure(this.model, set, this.#options.task, { transform });
    for (const [name, values] of Object.entries(measured))
      for (const [branch, value] of Object.entries(values))
        if (!Number.isFinite(value))
          throw new NanLossError(
            `${name} of the ${branch} branch is ${value} on the ${what} set after epoch ${this.#at.epoch + 1}: let it give a number for every batch, or lower the learning rate; the last checkpoint is as it was`,
          );
    return measured;
  }

  async #finishEpoch(test: AnySet | undefined, batches: number, started: number): Promise<EpochRecord> {
    const epoch = this.#at.epoch + 1;
    const { testTransform: transform, triggers } = this.#options;
    const measured = test ? await this.#measure(test, transform, "test") : {};
    const hits = triggers && (await this.#measure(triggers.set, triggers.transform ?? transform, "trigger"));
    const { task } = this.#options;
    const first = task.measures[0]!.name;
    // A loss of one's own, without metrics, is no measure to go by.
    const accuracy = task.byLoss ? undefined : measured[first];
    const { bits, matched } = countSigns(await this.model.readSigns());
    const before = (epoch - 1) * batches;
    const record: EpochRecord = {
      epoch,
      loss: meanLoss(this.history, before, batches),
      ...accuracy,
      ...(!task.classMeasure && { metrics: measured }),
      ...(hits && { triggers: hits[first]! }),
      bitsMatched: matched,
      bits,
      seconds: (performance.now() - started) / 1000,
    };
    this.history.epochs.push(record);
    this.#at = { epoch, batch: 0 };
    return record;
  }
}
