import { averageKernel, averageSlots } from "../../shaders/weight-average.wgsl";
import { callable, flag, instance, optionsOf, refuse } from "../demand";
import { disposal } from "../disposal";
import { ArgumentError, StateDictError } from "../errors";
import type { Device } from "../gpu/device";
import type { PooledBuffer } from "../gpu/pool";
import type { HostTensor, StateDict } from "../io/host-tensor";
import { isPromise, listed } from "../io/shown";
import { deviceOf, Module } from "../nn/module";
import type { Registration } from "../nn/registration";
import { checkStateDict, dataFor, toTorch, wholeNumbers } from "../nn/state";
import { keep } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { batched, type Members } from "./batches";

/** Options of {@link ExponentialMovingAverage}. */
export interface ExponentialMovingAverageOptions {
  /** What an update leaves of the average, from 0 to 1 (default 0.999). */
  decay?: number;
  /**
   * Average running statistics and other f32 buffers too (default false: the averaged network has
   * the trained one's, as they are).
   */
  useBuffers?: boolean;
}

/** In state dicts: how many updates there were, and what names of averages begin with. */
const COUNT = "n_averaged";
const PREFIX = "module.";
/** The same in states of optimisers. */
const OWN_COUNT = "average.updates";
const ownName = (index: number) => `average.${index}`;

/**
 * Exponential moving average of a module's weights: after each step of the optimiser
 *
 *     a ← decay · a + (1 − decay) · w          the first time a ← w
 *
 * An update is commands on the device: it allocates nothing, reads nothing back, and is replayed
 * with a recorded step. {@link averaged} computes with the averages in the network's place.
 *
 * @example
 * const ema = new ExponentialMovingAverage(net, { decay: 0.99 });
 * // in each step, after optimizer.step() (which does it with optimizer.withAverage(ema)):
 * ema.update();
 * // and now and then:
 * const accuracy = await ema.averaged(() => evaluate(net, test));
 *
 * Source: `torch.optim.swa_utils.AveragedModel` (PyTorch 1.13) with an exponential `avg_fn`; Polyak,
 * Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
 */
export class ExponentialMovingAverage {
  readonly decay: number;
  readonly #module: Module;
  readonly #device: Device;
  /** What is averaged, each once. */
  readonly #tensors: readonly Tensor[];
  readonly #batches: readonly (Members & { readonly averages: Tensor })[];
  /** What is kept of an average and what is added of the weight, once they are written. */
  readonly #factors: Tensor;
  #written: number | null = null;
  #updates = 0;
  #isSwapped = false;

  /**
   * @throws ArgumentError for what is no module, or one without parameters, and for a decay that is
   * no number from 0 to 1.
   */
  constructor(module: Module, options?: ExponentialMovingAverageOptions) {
    const what = "ExponentialMovingAverage";
    this.#module = instance(what, "its first argument", module, Module);
    const { decay = 0.999, useBuffers = false } = optionsOf(what, options, ["decay", "useBuffers"]);
    if (!(typeof decay === "number" && decay >= 0 && decay <= 1)) refuse(what, "decay", "a number from 0 to 1", decay);
    this.decay = decay;
    flag(what, "useBuffers", useBuffers);
    const isAveraged = (t: Tensor, { kind }: Registration) => kind === "parameter" || (useBuffers && t.dtype === "f32");
    const found = module.namedTensors().filter(([, t, registration]) => isAveraged(t, registration));
    if (!found.length) throw new ArgumentError(`${what}: the module has no parameters to average`);
    this.#tensors = [...new Set(found.map(([, t]) => t))];
    this.#device = deviceOf(module);
    this.#factors = keep(Tensor.from(new Float32Array(2), [2], this.#device));
    const slots = averageSlots(this.#device.caps.maxStorageBuffers);
    this.#batches = batched(this.#device, new Map(this.#tensors.entries()), slots).map((batch) => {
      const size = 4 * batch.vectors;
      return { ...batch, averages: keep(Tensor.from(new Float32Array(size), [size], this.#device)) };
    });
    // Until the first update the average is the network as it is now.
    this.prepare();
    this.#run("update");
  }

  /** How many updates there were. */
  get updates(): number {
    return this.#updates;
  }

  /**
   * Uploads the factors of the next update if they changed; {@link update} does so itself. Call it
   * before a step is recorded: twice in all something is uploaded.
   */
  prepare(): void {
    const kept = this.#updates === 0 ? 0 : this.decay;
    if (kept === this.#written) return;
    this.#factors.write([kept, 1 - kept]);
    this.#written = kept;
  }

  /**
   * Takes the weights as they are into the average; call it after the optimiser's step.
   * @throws ArgumentError inside {@link averaged}.
   */
  update(): void {
    this.demandApart("update");
    this.prepare();
    // A replay gives the update again, by the factors of its day.
    this.#device.underRecording?.follow({
      replay: () => this.prepare(),
      stale: () =>
        this.#isSwapped ? "averages are the network's weights at present: wait until averaged() ends" : null,
    });
    this.#run("update");
    this.#device.effect(() => {
      this.#updates++;
    });
  }

  /** Whether the average of a tensor is kept. @internal */
  averages(t: Tensor): boolean {
    return this.#tensors.includes(t);
  }

  /**
   * Runs `body`, which may be asynchronous, with the averages as the network's weights; then the
   * trained ones are put back, bit for bit. Nobody may train the network meanwhile.
   * @returns what `body` returns
   * @throws ArgumentError inside another call.
   */
  averaged<T>(body: () => T): T {
    callable("averaged", "its argument", body);
    this.demandApart("averaged");
    this.#swap();
    let isPending = false;
    try {
      const result = body();
      if (!isPromise(result)) return result;
      isPending = true;
      return Promise.resolve(result).finally(() => this.#swap()) as T;
    } finally {
      if (!isPending) this.#swap();
    }
  }

  /**
   * The averages in PyTorch's order, and how many updates they are of, under the names that
   * PyTorch's `AveragedModel` gives them: `n_averaged`, `module.NAME`. The averaged network's own
   * state dict is `await ema.averaged(() => net.stateDict())`.
   * @throws ArgumentError inside {@link averaged}.
   */
  async stateDict(): Promise<StateDict> {
    this.demandApart("stateDict");
    const count: HostTensor = { dtype: "I64", shape: [], data: BigInt64Array.of(BigInt(this.#updates)) };
    const read = await this.#read();
    const values = new Map(this.#tensors.map((t, i) => [t, read[i]!]));
    const named = this.#named().map(
      ([name, t, { layout }]) => [name, toTorch(values.get(t)!, t.shape, layout)] as const,
    );
    return new Map<string, HostTensor>([[COUNT, count], ...named]);
  }

  /**
   * Puts a {@link stateDict} back, or one of PyTorch's `AveragedModel` of this network, whose
   * further buffers are passed over.
   * @throws StateDictError naming what is missing or unexpected, and for a tensor of another shape;
   * nothing is changed then.
   */
  loadStateDict(dict: StateDict): void {
    checkStateDict(dict);
    this.demandApart("loadStateDict");
    const named = this.#named();
    const wanted = [COUNT, ...named.map(([name]) => name)];
    const known = new Set([COUNT, ...this.#module.namedTensors().map(([name]) => PREFIX + name)]);
    const missing = wanted.filter((name) => !dict.has(name));
    const isCount = (name: string) => name.endsWith(".num_batches_tracked");
    const unexpected = [...dict.keys()].filter((name) => !known.has(name) && !isCount(name));
    if (missing.length || unexpected.length)
      throw new StateDictError(
        `the state is no average of this network: missing ${listed(missing)}; unexpected ${listed(unexpected)}`,
      );
    const [updates] = wholeNumbers(COUNT, dict.get(COUNT)!, 0, Number.MAX_SAFE_INTEGER);
    if (updates === undefined) throw new StateDictError(`${COUNT}: one number expected, found none`);
    const values = new Map(named.map(([name, t, { layout }]) => [t, dataFor(t, dict.get(name)!, layout, name)]));
    this.#write(this.#tensors.map((t) => values.get(t)!));
    this.#updates = updates;
  }

  /**
   * What an optimiser adds to its state, by the tensors' numbers.
   * @throws ArgumentError inside {@link averaged}.
   */
  async optimizerState(): Promise<Record<string, Float32Array>> {
    this.demandApart("stateDict");
    const count = [OWN_COUNT, Float32Array.of(this.#updates)] as const;
    return Object.fromEntries([count, ...(await this.#read()).map((data, i) => [ownName(i), data] as const)]);
  }

  /** Names of that, and how many numbers each has. */
  optimizerSizes(): [name: string, size: number][] {
    return [[OWN_COUNT, 1], ...this.#tensors.map((t, i): [string, number] => [ownName(i), t.size])];
  }

  /** Takes it from an optimiser's state, whose names and sizes have been checked. */
  loadOptimizerState(state: Readonly<Record<string, Float32Array>>): void {
    this.#write(this.#tensors.map((_, i) => state[ownName(i)]!));
    this.#updates = state[OWN_COUNT]![0]!;
  }

  /** @throws ArgumentError while the averages are the network's weights. */
  demandApart(what: string): void {
    if (this.#isSwapped)
      throw new ArgumentError(`${what}: the averages are the network's weights at present: wait until averaged() ends`);
  }

  /** Frees the averages at the end of a block (`using`). */
  [disposal](): void {
    this.dispose();
  }

  /** Frees the averages. The weights stay, they are their module's. */
  dispose(): void {
    this.#factors.dispose();
    for (const { averages } of this.#batches) averages.dispose();
  }

  /** The averages of all tensors, as they are now. */
  async #read(): Promise<Float32Array<ArrayBuffer>[]> {
    const pending = Promise.all(this.#batches.map(({ averages }) => averages.data({ withStep: true })));
    this.#device.flush();
    const data = await pending;
    const values = this.#tensors.map(() => new Float32Array(0));
    for (const [b, { members }] of this.#batches.entries())
      for (const { index, at } of members)
        values[index] = data[b]!.slice(4 * at, 4 * at + this.#tensors[index]!.size) as Float32Array<ArrayBuffer>;
    return values;
  }

  #write(values: readonly ArrayLike<number>[]): void {
    for (const { members, averages } of this.#batches) {
      const data = new Float32Array(averages.size);
      for (const { index, at } of members) data.set(values[index]!, 4 * at);
      averages.write(data);
    }
  }

  /** What is averaged, by the names of state dicts. */
  #named(): [name: string, tensor: Tensor, registration: Registration][] {
    const own = new Set(this.#tensors);
    return this.#module
      .namedTensors()
      .flatMap(([name, t, registration]) => (own.has(t) ? [[PREFIX + name, t, registration]] : []));
  }

  #swap(): void {
    this.#run("swap");
    this.#isSwapped = !this.#isSwapped;
  }

  #run(does: "update" | "swap"): void {
    for (const { members, averages } of this.#batches) {
      const buffers: Record<string, PooledBuffer> = { averages: averages.buffer };
      if (does === "update") buffers["factors"] = this.#factors.buffer;
      const sizes: Record<string, number> = {};
      for (const [k, { index, at }] of members.entries()) {
        const t = this.#tensors[index]!;
        buffers[`w${k}`] = t.buffer;
        sizes[`end${k}`] = at + t.vectors;
      }
      this.#device.run(averageKernel, { does, slots: members.length }, buffers, sizes);
    }
  }
}
