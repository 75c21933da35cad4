import { describe, expect, it } from "vitest";
import { ArgumentError, NanLossError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import { ConvNet } from "../../src/models/convnet";
import { Linear, type Module, parameter } from "../../src/nn";
import { Adam } from "../../src/optim/adam";
import { SGD } from "../../src/optim/sgd";
import type { Network as AnyModule } from "../../src/passport/trace";
import { mul } from "../../src/tensor/ops/elementwise";
import { Generator } from "../../src/tensor/random";
import { Tensor } from "../../src/tensor/tensor";
import type { TrainerOptions } from "../../src/train/options";
import { Trainer } from "../../src/train/trainer";
import { gpu } from "../support/gpu";
import { blockAt, convNet, type Network } from "../support/networks";
import { memoryStore, stateBytes, TINY, TINY_PLAIN, tinySet } from "../support/tiny";

await gpu();

const set = tinySet(36, 1);
const { scheme: _, ...ORDINARY } = TINY_PLAIN;
const plain = () => buildNetwork(TINY_PLAIN, { seed: 4 });
const make = <M extends AnyModule = Network>(
  options: TrainerOptions = {},
  model = plain() as Module as M,
  lr = 0.05,
) => {
  const optimizer = new SGD(model, { lr });
  return { model, optimizer, trainer: new Trainer(model, optimizer, { batchSize: 6, readEvery: 1, ...options }) };
};
const all = async (run: AsyncIterable<unknown>) => {
  let n = 0;
  for await (const _ of run) n++;
  return n;
};

describe("one training at a time", () => {
  it("of a trainer, and of a network: the second is refused, the first goes on", async () => {
    const alone = make();
    expect(await all(alone.trainer.fit(set, { epochs: 3 }))).toBe(3);
    const { model, trainer, optimizer } = make();
    const other = new Trainer(model, optimizer, { batchSize: 6 });
    const first = all(trainer.fit(set, { epochs: 3 }));
    const refused = [trainer, other].map((t) => t.fit(set, { epochs: 3 }).next());
    for (const second of refused) await expect(second).rejects.toThrow(/being trained already/);
    expect(await first).toBe(3);
    expect(trainer.history.epochs.map((e) => e.epoch)).toEqual([1, 2, 3]);
    expect(other.history.steps).toEqual([]);
    expect(await stateBytes(model)).toEqual(await stateBytes(alone.model));
  });

  it.each<[string, TrainerOptions, (t: Trainer) => Promise<unknown>]>([
    [
      "is left with break",
      {},
      async (t) => {
        for await (const _ of t.fit(set, { epochs: 3 })) break;
      },
    ],
    [
      "is left with return()",
      {},
      async (t) => {
        const run = t.fit(set, { epochs: 3 });
        await run.next();
        await run.return();
      },
    ],
    [
      "is stopped",
      {},
      (t) => {
        const run = all(t.fit(set, { epochs: 3 }));
        setTimeout(() => t.stop());
        return run;
      },
    ],
    [
      "fails in a callback",
      {
        onEpoch: () => {
          throw new RangeError("mine");
        },
      },
      (t) => expect(all(t.fit(set, { epochs: 3 }))).rejects.toThrow("mine"),
    ],
    ["is refused", {}, (t) => expect(all(t.fit(set, { epochs: 3, resume: true }))).rejects.toThrow(ArgumentError)],
    [
      "fails before its first step",
      {},
      (t) => expect(all(t.fit(tinySet(3, 1), { epochs: 3 }))).rejects.toThrow(ArgumentError),
    ],
  ])("and the network is free again when it %s", async (_, options, first) => {
    const { model, trainer, optimizer } = make(options);
    await first(trainer);
    const other = new Trainer(model, optimizer, { batchSize: 6 });
    expect(await all(other.fit(set, { epochs: 1 }))).toBe(1);
    expect(optimizer.factor).toBe(1);
  });

  it("that met a loss which is not a number begins its epoch anew", async () => {
    const store = memoryStore();
    const { model, optimizer, trainer } = make({ checkpoints: store });
    await all(trainer.fit(set, { epochs: 1 }));
    optimizer.lr = 1e30;
    await expect(all(trainer.fit(set, { epochs: 2 }))).rejects.toThrow(NanLossError);
    optimizer.lr = 0.05;
    expect(await all(trainer.fit(set, { epochs: 2, resume: true }))).toBe(1);
    const whole = make();
    await all(whole.trainer.fit(set, { epochs: 2 }));
    expect(await stateBytes(model)).toEqual(await stateBytes(whole.model));
    expect(trainer.history.steps).toEqual(whole.trainer.history.steps);
  });
});

describe("the learning rate", () => {
  it.each([
    true,
    false,
  ])("that its user sets holds from the next step on, replayed or not: replay %s", async (replay) => {
    const low = make({ replay }, plain(), 0.01);
    await all(low.trainer.fit(set, { epochs: 2 }));
    const set_ = make({ replay }, plain(), 0.5);
    set_.optimizer.lr = 0.01;
    await all(set_.trainer.fit(set, { epochs: 1 }));
    await all(set_.trainer.fit(set, { epochs: 2 }));
    expect(await stateBytes(set_.model)).toEqual(await stateBytes(low.model));
    // In the midst of a run, and with a schedule: the base changes, the schedule goes on.
    const rates: number[] = [];
    const midst = make({
      replay,
      schedule: (e) => 0.5 ** Math.floor(e),
      onEpoch: () => void (midst.optimizer.lr = 0),
      onProgress: () => void rates.push(midst.optimizer.lr),
    });
    const states: Uint8Array[] = [];
    for await (const _ of midst.trainer.fit(set, { epochs: 2 }))
      states.push(new Uint8Array(await weightsOf(midst.model)));
    expect(states[1]).toEqual(states[0]);
    expect(midst.optimizer.lr).toBe(0);
    expect(rates[0]).toBe(0.05);
  });

  it("in a checkpoint is the one it was made with: resuming with another is refused", async () => {
    const store = memoryStore();
    const first = make({ checkpoints: store, onEpoch: () => void (first.optimizer.lr = 0.02) });
    await all(first.trainer.fit(set, { epochs: 1 }));
    await expect(all(make({ checkpoints: store }).trainer.fit(set, { epochs: 2, resume: true }))).rejects.toThrow(
      /another run/,
    );
    expect(await all(make({ checkpoints: store }, plain(), 0.02).trainer.fit(set, { epochs: 2, resume: true }))).toBe(
      1,
    );
  });
});

const weightsOf = async (m: Network) => (await convNet(m).classifier.weight.data()).buffer as ArrayBuffer;

describe("what would be trained by nobody is refused", () => {
  it("an optimiser of another network, or of none of the parameters", () => {
    const [a, b] = [plain(), plain()];
    expect(() => new Trainer(a, new SGD(b, { lr: 0.1 }))).toThrow(/holds no parameter/);
    expect(() => new Trainer(a, new SGD([convNet(a).classifier.bias!], { lr: 0.1 }))).not.toThrow();
  });

  class Hidden extends ConvNet {
    readonly #scale: Tensor = parameter(Tensor.full([3], 1));
    get scale(): Tensor {
      return this.#scale;
    }
    override forward(x: Tensor): Tensor {
      return mul(super.forward(x), this.#scale);
    }
  }
  class Loose extends ConvNet {
    readonly scale = Tensor.full([3], 1);
    override forward(x: Tensor): Tensor {
      this.scale.requiresGrad = true;
      return mul(super.forward(x), this.scale);
    }
  }
  class Listed extends ConvNet {
    readonly more = { heads: [new Linear(3, 3, { random: new Generator(1) })] };
    override forward(x: Tensor): Tensor {
      return this.more.heads[0]!.forward(super.forward(x));
    }
  }

  it.each([true, false])("parameters that the network does not name, replay %s", async (replay) => {
    for (const model of [new Hidden(ORDINARY), new Loose(ORDINARY)])
      await expect(all(make({ replay }, model).trainer.fit(set, { epochs: 1 }))).rejects.toThrow(/does not name/);
    const hidden = new Hidden(ORDINARY);
    const own = new SGD([...hidden.parameters(), hidden.scale], { lr: 0.1 });
    const trainer = new Trainer(hidden, own);
    await expect(all(trainer.fit(tinySet(64, 1), { epochs: 1 }))).rejects.toThrow(/nor saved/);
    expect(await all(make({ replay }, new Listed(ORDINARY)).trainer.fit(set, { epochs: 1 }))).toBe(1);
  });
});

describe("replayed steps see what changes in the model between two", () => {
  it.each<[string, (m: Network) => void]>([
    ["a norm set apart", (m) => void blockAt(m, 0).norm!.eval()],
    [
      "a frozen weight",
      (m) => {
        convNet(m).classifier.weight.requiresGrad = false;
      },
    ],
    ["other passports", (m) => m.randomPassports(new Generator(9))],
    [
      "another classifier",
      (m) => {
        const network = convNet(m) as { classifier: Linear };
        network.classifier = new Linear(network.classifier.inFeatures, 3, { random: new Generator(3) });
      },
    ],
    [
      "a loaded state",
      (m) => {
        m.loadStateDict(
          new Map([
            ["features.2.key_private", { dtype: "F32", shape: [1, 8, 4, 4], data: new Float32Array(128).fill(0.5) }],
          ]),
          { strict: false },
        );
      },
    ],
  ])("%s", async (_, change) => {
    const outcomes = [];
    for (const replay of [true, false]) {
      const model = buildNetwork(TINY, { seed: 4 });
      const trainer = new Trainer(model, new Adam(model), {
        batchSize: 6,
        readEvery: 1,
        replay,
        // Readings are some steps behind; after an epoch no step is under way.
        onEpoch: ({ epoch }) => void (epoch === 1 && change(model)),
      });
      await all(trainer.fit(set, { epochs: 2 }));
      // And in the midst of one, between two steps.
      let at = 0;
      const step = model.beginStep.bind(model);
      model.beginStep = (...args) => {
        if (++at === 5) change(model);
        step(...args);
      };
      await all(trainer.fit(set, { epochs: 3 }));
      outcomes.push({ bytes: await stateBytes(model), losses: trainer.history.steps.map((s) => s.loss) });
    }
    expect(outcomes[0]).toEqual(outcomes[1]);
  });

  it("a mean over all batches moves on in replayed steps, in parts and through checkpoints", async () => {
    const outcomes = [];
    for (const replay of [true, false]) {
      const model = plain();
      const norm = (m: Network) => blockAt(m, 0).norm!;
      Object.assign(norm(model), { momentum: null });
      const store = memoryStore();
      await all(make({ replay, checkpoints: store }, model).trainer.fit(set, { epochs: 1 }));
      const resumed = plain();
      Object.assign(norm(resumed), { momentum: null });
      await all(make({ replay, checkpoints: store }, resumed).trainer.fit(set, { epochs: 2, resume: true }));
      await all(make({ replay }, model).trainer.fit(set, { epochs: 1 }));
      outcomes.push([await stateBytes(model), await stateBytes(resumed)]);
    }
    expect(outcomes[0]).toEqual(outcomes[1]);
  });
});
