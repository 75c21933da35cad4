/**
 * Readers that put what they read on a device: states of networks and optimisers, checkpoints by
 * way of the trainer.
 */

import { type Generator, type HostTensor, init, type StateDict, toFloat32 } from "@pan/core";
import { loadDeployed } from "@pan/core/models";
import { dawn } from "@pan/core/node";
import { type OptimizerState, SGD } from "@pan/core/optim";
import { type Checkpoint, decodeCheckpoint, Trainer } from "@pan/core/train";
import { buildNetwork } from "../src/models";
import { changed, json, pick } from "./mutate";
import { type Reader, written } from "./readers";
import { images, memoryStore, SMALLEST } from "./tiny";

/** Ways to change a tensor so that it is still one, and ways to make it none. */
const CHANGES: readonly ((random: Generator, t: HostTensor) => HostTensor)[] = [
  (_, t) => ({ ...t, shape: [...t.shape, 1] }),
  (_, t) => ({ ...t, shape: [...t.shape].reverse() }),
  (_, t) => ({ ...t, shape: [t.data.length] }),
  (_, t) => ({ ...t, data: t.data.slice(1) }),
  (_, t) => ({ ...t, shape: [0], data: t.data.slice(0, 0) }),
  (random, t) => ({ ...t, dtype: pick(random, ["F16", "BF16", "F64", "I64", "I32", "U8", "BOOL"] as const) }),
  (_, t) => ({ ...t, dtype: "F64", data: Float64Array.from(t.data as ArrayLike<number | bigint>, Number) }),
  (_, t) => ({ ...t, dtype: "I32", data: Int32Array.from(t.data as ArrayLike<number | bigint>, Number) }),
  (random, t) => ({
    ...t,
    data: t.data.map(
      () => (typeof t.data[0] === "bigint" ? -1n : pick(random, [Number.NaN, 1e38, -0])) as never,
    ) as never,
  }),
];

/** A state with tensors changed, renamed, doubled or gone. */
export function changedState(random: Generator, state: StateDict): StateDict {
  const out: StateDict = new Map(state);
  do {
    const name = pick(random, [...state.keys()]);
    const tensor = state.get(name)!;
    const way = random.integer(CHANGES.length + 3);
    if (way < CHANGES.length) out.set(name, CHANGES[way]!(random, tensor));
    else if (way === CHANGES.length) out.delete(name);
    else
      out.set(
        `${name}${pick(random, ["", ".", "2", "\u0000", ".weight"])}`,
        state.get(pick(random, [...state.keys()]))!,
      );
  } while (random.integer(3) === 0);
  return out;
}

/** An optimiser's state with arrays of other lengths, names or types. */
function changedArrays(random: Generator, state: OptimizerState): OptimizerState {
  const name = pick(random, Object.keys(state));
  const out: Record<string, unknown> = { ...state };
  const odd = [
    new Float32Array(1),
    new Float64Array(3),
    [1, 2],
    null,
    undefined,
    "",
    7,
    new Float32Array(5000).fill(Number.NaN),
  ];
  const way = random.integer(4);
  if (way === 0) delete out[name];
  else if (way === 1) out[`${name}.`] = state[name];
  else out[name] = pick(random, odd);
  return out as OptimizerState;
}

/** A checkpoint with valid sums and one of its parts changed. */
export function changedCheckpoint(random: Generator, c: Checkpoint): Checkpoint {
  const { history, epoch, batch, fingerprint } = c;
  if (random.integer(2)) return { ...c, ...(changed(random, { history, epoch, batch, fingerprint }) as Checkpoint) };
  return random.integer(2)
    ? { ...c, model: changedState(random, c.model) }
    : { ...c, optimizer: changedArrays(random, c.optimizer) };
}

const ARRAYS: Readonly<Record<string, string>> = {
  F32: "Float32Array",
  F64: "Float64Array",
  I64: "BigInt64Array",
  I32: "Int32Array",
};

/**
 * What a network holds that took a state which is not whole, or other numbers than it was given.
 */
function wrongState(given: StateDict, held: StateDict): string | null {
  for (const [name, { dtype, shape, data }] of held) {
    const from = given.get(name);
    if (!from) return `${name} was taken out of nothing`;
    // One number is one, as [] or as [1]: counts are written both ways.
    const isOne = shape.length === 0 && from.data.length === 1;
    if (!isOne && from.shape.join() !== shape.join())
      return `${name} of shape [${from.shape}] was taken for [${shape}]`;
    if (from.dtype in ARRAYS && from.data.constructor.name !== ARRAYS[from.dtype])
      return `${name} in a ${from.data.constructor.name} was taken for ${from.dtype}`;
    const numbers = dtype === "F32" ? toFloat32(from) : from.data;
    if (numbers.length !== data.length || data.some((v, i) => !Object.is(Number(v), Number(numbers[i]))))
      return `${name} holds other numbers than it was given as ${from.dtype}`;
  }
  return given.size === held.size ? null : "names that it does not have were passed over";
}

/** The readers, on a device of their own, around one small network. */
export async function deviceReaders(): Promise<Reader[]> {
  await init({ gpu: await dawn() });
  const model = buildNetwork(SMALLEST, { seed: 1 });
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const set = images(12, 1);
  const store = memoryStore();
  const options = { batchSize: 12, seed: 1, checkpoints: store, best: store };
  const trainer = new Trainer(model, optimizer, options);
  for await (const _ of trainer.fit(set, { epochs: 1, test: set }));
  const whole = await decodeCheckpoint(store.bytes!);
  const [deployed, state, moments] = [await model.deployed(), await model.stateDict(), await optimizer.stateDict()];
  const weight = 0.2;
  const resumed = async (random: Generator) => memoryStore(await written(changedCheckpoint(random, whole)));
  return [
    {
      name: "network's state",
      covers: [],
      weight,
      input: (random) => {
        const odd = changedState(random, state);
        return {
          read: () => void model.loadStateDict(odd),
          wrong: async () => {
            const found = wrongState(odd, await model.stateDict());
            model.loadStateDict(state);
            return found;
          },
        };
      },
    },
    {
      name: "optimiser's state",
      covers: [],
      weight,
      input: (random) => {
        const odd = changedArrays(random, moments);
        return { read: () => optimizer.loadStateDict(odd) };
      },
    },
    {
      name: "deployed network",
      covers: ["loadDeployed"],
      weight,
      input: (random) => {
        const config = JSON.parse(deployed.metadata["model"]!);
        const odd = random.integer(2)
          ? { ...deployed, tensors: changedState(random, deployed.tensors) }
          : { ...deployed, metadata: { ...deployed.metadata, model: json(changed(random, config)) } };
        return { read: () => loadDeployed(odd).dispose() };
      },
    },
    {
      name: "resumed run",
      covers: [],
      weight,
      input: async (random) => {
        const trainer = new Trainer(model, optimizer, { ...options, checkpoints: await resumed(random) });
        return {
          // The saved epoch is the last: nothing is trained.
          read: async () => {
            for await (const _ of trainer.fit(set, { epochs: 1, test: set, resume: true }));
          },
        };
      },
    },
    {
      name: "best epoch",
      covers: [],
      weight,
      input: async (random) => {
        const trainer = new Trainer(model, optimizer, { ...options, best: await resumed(random) });
        return { read: () => trainer.restoreBest() };
      },
    },
  ];
}
