import { COUNT_ENTRY, RULES, type RuleName, tickKernel, updateKernel, updateSlots } from "../../shaders/optim.wgsl";
import { instance, objectOf, within } from "../demand";
import { disposal } from "../disposal";
import { ArgumentError, StateDictError } from "../errors";
import type { Device } from "../gpu/device";
import type { PooledBuffer } from "../gpu/pool";
import { isPlain, listed, shown } from "../io/shown";
import { keep } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { ExponentialMovingAverage } from "./average";
import { batched, type Member } from "./batches";
import { GrowthWatch } from "./growth";
import { checkParameter, checkParameters, groupsOf, isDue, type Params } from "./params";

/**
 * An optimiser's state in host memory: `NAME.INDEX` a state and parameter, and `step`, one count a
 * parameter.
 */
export type OptimizerState = Record<string, Float32Array>;

/**
 * How an optimiser instantiates a rule of the shader: the values of its hyper-parameters for a
 * learning rate and a weight decay.
 */
export type OptimizerRule = {
  [R in RuleName]: {
    /** Of the optimiser. */
    readonly name: string;
    readonly rule: R;
    readonly lr: number;
    readonly weightDecay: number;
    readonly hyper: (lr: number, weightDecay: number) => Readonly<Record<(typeof RULES)[R]["hyper"][number], number>>;
  };
}[RuleName];

interface Group {
  readonly lrScale: number;
  readonly weightDecay: number;
  /** Indices of its parameters: `from` to below `to`. */
  readonly from: number;
  readonly to: number;
}

/**
 * Parameters of one group that one dispatch updates, with their state side by side in one buffer:
 * `vectors` of the first state, as many of the next.
 */
interface Batch {
  readonly group: number;
  readonly members: readonly Member[];
  readonly vectors: number;
  readonly state: Tensor | null;
}

/**
 * Base of the optimisers: changes parameters in place from their `grad`, with PyTorch's meaning,
 * several parameters per dispatch.
 *
 * Everything that varies from step to step is data on the GPU: learning rates are written when they
 * change, step counts are kept and advanced there. A step allocates nothing, reads nothing back and
 * submits nothing.
 *
 * @example
 * const optimizer = new SGD(model, { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 });
 * scope(() => loss(batch).backward());
 * optimizer.step();
 * optimizer.zeroGrad();
 */
export abstract class Optimizer {
  /** What it is called, in messages and checkpoints: its class in a bundle has another name. */
  readonly name: string;
  /**
   * The parameters, of all groups in a row; places here are the indices of {@link OptimizerState}.
   */
  readonly params: readonly Tensor[];
  private readonly rule: RuleName;
  private readonly groups: readonly Group[];
  private readonly batches: readonly Batch[];
  private readonly device: Device;
  private readonly hyperOf: (lr: number, weightDecay: number) => Readonly<Record<string, number>>;
  /** Hyper-parameters per group, then a count entry per parameter. */
  private readonly hyper: Tensor;
  private readonly countsAt: number;
  private rate: number;
  private scale = 1;
  private stale = true;
  private average: ExponentialMovingAverage | null = null;
  private readonly growth = new GrowthWatch();

  /**
   * @throws ArgumentError without parameters, with one given twice or on another device, or with an
   * option out of its range.
   * @throws ShapeError for a parameter that is not f32.
   */
  protected constructor(params: Params, rule: OptimizerRule) {
    objectOf("an optimiser", "its rule", rule);
    this.name = rule.name;
    this.rule = rule.rule;
    this.rate = within("an optimiser", "lr", rule.lr, 0);
    this.hyperOf = rule.hyper;
    const list: Tensor[] = [];
    this.groups = groupsOf(params).map(({ params: own, lrScale = 1, weightDecay = rule.weightDecay }) => {
      const from = list.length;
      list.push(...own);
      return {
        lrScale: within("an optimiser", "lrScale", lrScale, 0),
        weightDecay: within("an optimiser", "weightDecay", weightDecay, 0),
        from,
        to: list.length,
      };
    });
    this.params = list;
    this.device = checkParameters(list);
    const { counted, hyper } = RULES[this.rule];
    this.countsAt = this.groups.length * hyper.length;
    const numbers = this.countsAt + (counted ? COUNT_ENTRY * list.length : 0);
    this.hyper = keep(Tensor.from(new Float32Array(numbers), [numbers], this.device));
    this.batches = this.groups.flatMap((group, g) => this.batchesOf(group, g));
  }

  /**
   * The base learning rate; a new one holds from the next {@link step} on. A trainer's schedule
   * does not change it, see {@link factor}.
   */
  get lr(): number {
    return this.rate;
  }

  set lr(lr: number) {
    const before = this.rate;
    this.rate = within("an optimiser", "lr", lr, 0);
    if (lr !== before) this.stale = true;
  }

  /**
   * What the learning rate is multiplied with (default 1): a schedule's value, while a trainer
   * runs. A new one holds from the next {@link step} on.
   */
  get factor(): number {
    return this.scale;
  }

  set factor(factor: number) {
    const before = this.scale;
    this.scale = within("an optimiser", "factor", factor, 0);
    if (factor !== before) this.stale = true;
  }

  /**
   * Uploads the hyper-parameters if they changed; {@link step} does so itself. Call it before
   * recording when several steps go into one submit: an upload that earlier recorded steps would
   * see forces a submit of these first.
   */
  prepare(): void {
    this.average?.prepare();
    if (!this.stale) return;
    const names = RULES[this.rule].hyper;
    const values = this.groups.flatMap(({ lrScale, weightDecay }) => {
      const of = this.hyperOf(this.rate * this.scale * lrScale, weightDecay);
      return names.map((name) => of[name]!);
    });
    // Only the front of the buffer: the step counts behind it are the GPU's.
    this.device.write(this.hyper.buffer, Float32Array.from(values));
    this.stale = false;
  }

  /**
   * Updates every parameter that has a gradient and `requiresGrad`; the others, and their state,
   * stay as they are.
   * @throws ShapeError when a gradient does not have its parameter's shape; LifetimeError when
   * parameters were disposed.
   */
  step(): void {
    // Before anything is recorded: a step that throws must not have been half taken.
    this.average?.demandApart("step");
    for (const [i, p] of this.params.entries()) checkParameter(p, i);
    this.prepare();
    // A replay gives the update again, by the numbers of its day.
    this.device.underRecording?.follow({ replay: () => this.prepare() });
    if (RULES[this.rule].counted) for (const group of this.groups.keys()) this.tick(group);
    for (const batch of this.batches) this.update(batch);
    this.average?.update();
    this.growth.step(this.device);
  }

  /**
   * Updates a moving average behind each {@link step} from here on, a trainer's too. Its state is
   * then part of this optimiser's, and so of checkpoints.
   *
   * @example
   * const ema = new ExponentialMovingAverage(model, { decay: 0.99 });
   * const trainer = new Trainer(model, new SGD(model, { lr: 0.1 }).withAverage(ema));
   * @throws ArgumentError for what is none, and for the average of a network of which this
   * optimiser trains nothing.
   */
  withAverage(average: ExponentialMovingAverage): this {
    const given = instance("withAverage", "its argument", average, ExponentialMovingAverage);
    if (!this.params.some((p) => given.averages(p)))
      throw new ArgumentError(
        "withAverage: an average of the network whose parameters this optimiser holds expected, found another network's",
      );
    this.average = given;
    return this;
  }

  /** What runs must have in common to go on to the same bits: hyper-parameters, but for `lr`. */
  get settings(): readonly Readonly<Record<string, number>>[] {
    return this.groups.map(({ lrScale, weightDecay, from, to }) => ({
      ...this.hyperOf(1, weightDecay),
      weightDecay,
      lrScale,
      parameters: to - from,
    }));
  }

  /** What is averaged beside, as the trainer compares runs by it; null without. @internal */
  get averaging(): Readonly<Record<string, number>> | null {
    return this.average && { decay: this.average.decay, tensors: this.average.optimizerSizes().length - 1 };
  }

  /** Frees every parameter's gradient. */
  zeroGrad(): void {
    for (const p of this.params) p.zeroGrad();
  }

  /**
   * The state to continue from, bit for bit, by parameter index: momentum buffers or moments, and
   * step counts; the average, where there is one. Options and the learning rate are not in it:
   * whoever resumes constructs the optimiser with them.
   */
  async stateDict(): Promise<OptimizerState> {
    const { states, counted } = RULES[this.rule];
    // All copies are recorded before anything is awaited, so that steps recorded meanwhile cannot
    // come between them.
    const read = (tensors: readonly Tensor[]) => Promise.all(tensors.map((t) => t.data({ withStep: true })));
    const pending = Promise.all([read(counted ? [this.hyper] : []), read(this.kept)]);
    const average = this.average?.optimizerState();
    this.device.flush();
    const [[numbers], data] = await pending;
    const out: OptimizerState = {};
    for (const i of this.params.keys()) for (const name of states) out[`${name}.${i}`] = new Float32Array(0);
    for (const [b, all] of data.entries()) {
      const { members, vectors } = this.batches[b]!;
      for (const { index, at } of members) {
        for (const [k, name] of states.entries()) {
          const from = 4 * (k * vectors + at);
          out[`${name}.${index}`] = all.slice(from, from + this.params[index]!.size);
        }
      }
    }
    if (numbers) out["step"] = Float32Array.from(this.params, (_, i) => numbers[this.countsAt + COUNT_ENTRY * i]!);
    Object.assign(out, await average);
    return out;
  }

  /**
   * Puts a {@link stateDict} back.
   * @throws StateDictError when it is another optimiser's, or its parameters have other sizes;
   * nothing is changed then.
   */
  loadStateDict(state: OptimizerState): void {
    this.average?.demandApart("loadStateDict");
    this.checkState(state);
    const { states, counted } = RULES[this.rule];
    for (const { members, vectors, state: tensor } of this.batches) {
      if (!tensor) continue;
      const data = new Float32Array(tensor.size);
      for (const [k, name] of states.entries())
        for (const { index, at } of members) data.set(state[`${name}.${index}`]!, 4 * (k * vectors + at));
      tensor.write(data);
    }
    this.average?.loadOptimizerState(state);
    if (!counted) return;
    const numbers = new Float32Array(this.hyper.size);
    // What follows from the counts is computed before it is used, by the next step's tick.
    for (const [i, t] of state["step"]!.entries()) numbers[this.countsAt + COUNT_ENTRY * i] = t;
    this.hyper.write(numbers);
    this.stale = true;
  }

  /** Frees the state at the end of a block: `using optimizer = new SGD(…)`. */
  [disposal](): void {
    this.dispose();
  }

  /** Frees the state. The parameters stay, they are their module's. */
  dispose(): void {
    this.hyper.dispose();
    for (const s of this.kept) s.dispose();
  }

  /**
   * Advances the counts of the group's parameters that are due: one dispatch for each run of
   * neighbours, so usually one.
   */
  private tick(g: number): void {
    const { from, to } = this.groups[g]!;
    for (let i = from; i < to; i++) {
      if (!isDue(this.params[i]!)) continue;
      const first = i;
      while (i + 1 < to && isDue(this.params[i + 1]!)) i++;
      this.device.run(
        tickKernel,
        { rule: this.rule },
        { hyper: this.hyper.buffer },
        { base: this.baseOf(g), first: this.countAt(first), parameters: i + 1 - first },
      );
    }
  }

  private update({ group, members, vectors, state }: Batch): void {
    const buffers: Record<string, PooledBuffer> = { hyper: this.hyper.buffer };
    if (state) buffers["s"] = state.buffer;
    const sizes: Record<string, number> = { base: this.baseOf(group), plane: vectors };
    let slots = 0;
    let end = 0;
    for (const { index, at } of members) {
      const p = this.params[index]!;
      if (!isDue(p)) continue;
      end += p.vectors;
      buffers[`w${slots}`] = p.buffer;
      buffers[`g${slots}`] = p.grad!.buffer;
      sizes[`end${slots}`] = end;
      sizes[`state${slots}`] = at;
      sizes[`count${slots}`] = this.countAt(index);
      slots++;
    }
    if (slots > 0) this.device.run(updateKernel, { rule: this.rule, slots }, buffers, sizes);
  }

  /** The states of all batches; of a rule that keeps none, none. */
  private get kept(): Tensor[] {
    return this.batches.flatMap(({ state }) => state ?? []);
  }

  private baseOf(group: number): number {
    return group * RULES[this.rule].hyper.length;
  }

  private countAt(parameter: number): number {
    return this.countsAt + COUNT_ENTRY * parameter;
  }

  /** The batches of a group, with their state, all zeros. */
  private batchesOf({ from, to }: Group, group: number): Batch[] {
    const own = new Map(this.params.slice(from, to).map((p, k) => [from + k, p]));
    const slots = updateSlots(this.rule, this.device.caps.maxStorageBuffers);
    const { length } = RULES[this.rule].states;
    return batched(this.device, own, slots, length).map(({ members, vectors }) => {
      // From the host, as the counts are: a step that is lost with an error leaves fresh state as
      // it was made.
      const size = 4 * length * vectors;
      const state = length ? keep(Tensor.from(new Float32Array(size), [size], this.device)) : null;
      return { group, members, vectors, state };
    });
  }

  /** @throws StateDictError for what {@link loadStateDict} would refuse. @internal */
  checkState(state: OptimizerState): void {
    const { states, counted } = RULES[this.rule];
    if (!isPlain(state))
      throw new StateDictError(`an optimiser's state is what its stateDict() gave, found ${shown(state)}`);
    const wanted = new Map<string, number>(
      this.params.flatMap((p, i) => states.map((name) => [`${name}.${i}`, p.size] as const)),
    );
    if (counted) wanted.set("step", this.params.length);
    for (const [name, size] of this.average?.optimizerSizes() ?? []) wanted.set(name, size);
    const { name } = this;
    const missing = [...wanted.keys()].filter((key) => !(key in state));
    const foreign = Object.keys(state).filter((key) => !wanted.has(key));
    if (missing.length || foreign.length) {
      throw new StateDictError(
        `this ${name} of ${this.params.length} parameters keeps ${wanted.size} arrays; in the state given ${listed(missing)} are missing and ${listed(foreign)} unknown: construct the optimiser with the options and parameters that the state was saved with`,
      );
    }
    for (const [key, size] of wanted) {
      const found = state[key]!;
      if (found instanceof Float32Array && found.length === size) continue;
      throw new StateDictError(
        `${name} state ${key}: expected a Float32Array of ${size} elements, found ${shown(found)}: it belongs to parameters of other sizes`,
      );
    }
    const odd = counted ? state["step"]!.find((t) => !Number.isInteger(t) || t < 0) : undefined;
    if (odd !== undefined)
      throw new StateDictError(`${name} state step: whole numbers from 0 expected, found ${odd}: the state is damaged`);
  }
}
