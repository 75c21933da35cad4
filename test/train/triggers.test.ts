import { beforeAll, describe, expect, it, vi } from "vitest";
import { DataLoader } from "../../src/data/loader";
import { type ImageSet, imageSet, subset } from "../../src/data/sample-set";
import { type ImageTransform, normalize, randomCrop, randomHorizontalFlip } from "../../src/data/transforms";
import { ArgumentError, CheckpointFormatError, FormatError, ShapeError } from "../../src/errors";
import type { Device } from "../../src/gpu/device";
import { buildNetwork } from "../../src/models";
import type { ConvNetConfig } from "../../src/models/described/convnet";
import { BatchNorm, Linear } from "../../src/nn";
import { Module } from "../../src/nn/module";
import { stepLR } from "../../src/optim/schedules";
import { SGD } from "../../src/optim/sgd";
import type { Protected } from "../../src/passport/protected";
import { add } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { stopAtMargin } from "../../src/tensor/ops/margin";
import { mean } from "../../src/tensor/ops/reduce";
import { memory, scope } from "../../src/tensor/storage";
import "../../src/tensor/methods";
import { Tensor } from "../../src/tensor/tensor";
import { decodeCheckpoint } from "../../src/train/checkpoint";
import { evaluate } from "../../src/train/evaluate";
import type { EpochRecord } from "../../src/train/history";
import type { TrainerOptions, TriggerOptions } from "../../src/train/options";
import { Trainer } from "../../src/train/trainer";
import { expectClose, gpu } from "../support/gpu";
import { memoryStore, stateBytes, TINY, tinySet } from "../support/tiny";

let gpuDevice: Device;
beforeAll(async () => {
  gpuDevice = await gpu();
});

const V3: ConvNetConfig = { ...TINY, scheme: "v3" };
const images = tinySet(60, 1);
const scale = [normalize([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])];
/** n images that look like those of a class and have the label of another. */
const wrong = (n: number): ImageSet => {
  const set = tinySet(n, 3);
  return { ...set, labels: set.labels.map((l) => (l + 1) % 3) };
};
const FLOATS = 8 * 8 * 3;

function run(
  options: TrainerOptions,
  { seed = 4, lr = 0.02, config = V3 }: { seed?: number; lr?: number; config?: ConvNetConfig } = {},
) {
  const model = buildNetwork(config, { seed });
  const optimizer = new SGD(model.parameters(), { lr, momentum: 0.9, weightDecay: 5e-4 });
  const fixed = { batchSize: 12, seed: 5, transform: scale, testTransform: scale, readEvery: 1 };
  const trainer = new Trainer(model, optimizer, { ...fixed, ...options });
  /** Images of each step, read back before it. */
  const inputs: Promise<Float32Array>[] = [];
  const pass = model.trainingPass.bind(model);
  // Passes that are replayed are not seen: who watches trains without.
  const watch = (each?: (step: number) => void) =>
    vi.spyOn(model, "trainingPass").mockImplementation((x, o) => {
      inputs.push(x.data({ withStep: true }));
      each?.(inputs.length);
      return pass(x, o);
    });
  const dispose = () => {
    vi.restoreAllMocks();
    optimizer.dispose();
    model.dispose();
  };
  return { model, optimizer, trainer, inputs, watch, dispose };
}

async function all(epochs: AsyncIterable<EpochRecord>): Promise<EpochRecord[]> {
  const out: EpochRecord[] = [];
  for await (const e of epochs) out.push(e);
  return out;
}

const timeless = (epochs: readonly EpochRecord[]) => epochs.map(({ seconds: _, ...rest }) => rest);

/** The images of a set as a network gets them, in the set's order. */
async function rowsOf(set: ImageSet, transform: readonly ImageTransform[] = scale): Promise<Float32Array[]> {
  const { value } = await new DataLoader(set, { batchSize: set.length, transform }).epoch(0).next();
  return Array.from({ length: set.length }, (_, i) => value!.images.slice(i * FLOATS, (i + 1) * FLOATS));
}

/** Which image of a list each row of a batch is; −1 for none of them. */
function indicesIn(rows: readonly Float32Array[], batch: Float32Array): number[] {
  const known = new Map(rows.map((row, i) => [row.join(), i]));
  return Array.from(
    { length: batch.length / FLOATS },
    (_, i) => known.get(batch.subarray(i * FLOATS, (i + 1) * FLOATS).join()) ?? -1,
  );
}

/** Which triggers, of `rows`, stand behind the twelve images of each step. */
const triggersOf = async (inputs: readonly Promise<Float32Array>[], rows: readonly Float32Array[]) =>
  (await Promise.all(inputs)).map((x) => indicesIn(rows, x).slice(12));

describe("triggers", () => {
  it("join every batch: the step is that of one batch made of both, bit for bit", async () => {
    const set = wrong(5);
    const { model, trainer, inputs, watch, dispose } = run({ triggers: { set }, replay: false });
    watch();
    await all(trainer.fit(images, { epochs: 2 }));
    const [known, secret] = [await rowsOf(images), await rowsOf(set)];
    const steps = (await Promise.all(inputs)).map((x) => ({
      own: indicesIn(known, x.subarray(0, 12 * FLOATS)),
      added: indicesIn(secret, x.subarray(12 * FLOATS)),
    }));
    expect(steps).toHaveLength(10);

    const hand = run({ triggers: { set } });
    hand.model.train();
    for (const { own, added } of steps) {
      expect([own.length, added.length]).toEqual([12, 2]);
      expect([...own, ...added], "every row is an image of its set").not.toContain(-1);
      const x = Float32Array.from(
        [...own.map((i) => known[i]!), ...added.map((i) => secret[i]!)].flatMap((r) => [...r]),
      );
      const labels = Int32Array.from([...own.map((i) => images.labels[i]!), ...added.map((i) => set.labels[i]!)]);
      scope(() => {
        const y = Tensor.from(labels, [14]);
        hand.optimizer.zeroGrad();
        const { outputs, signLoss } = hand.model.trainingPass(Tensor.from(x, [14, 8, 8, 3]));
        add(add(crossEntropy(outputs.public!, y), crossEntropy(outputs.private!, y)), signLoss!).backward();
        hand.optimizer.step();
      });
    }
    expect(await stateBytes(model)).toEqual(await stateBytes(hand.model));
    // Each image once an epoch.
    for (const epoch of [steps.slice(0, 5), steps.slice(5)]) expect(new Set(epoch.flatMap((s) => s.own)).size).toBe(60);
    hand.dispose();
    dispose();
  });

  it("come round and round, none twice in a round, in a new order each", async () => {
    const set = wrong(6);
    const { trainer, inputs, watch, dispose } = run({ triggers: { set }, replay: false });
    watch();
    await all(trainer.fit(images, { epochs: 3 }));
    const added = (await triggersOf(inputs, await rowsOf(set))).flat();
    const rounds = Array.from({ length: 5 }, (_, i) => added.slice(6 * i, 6 * i + 6));
    for (const round of rounds) expect([...round].sort()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(new Set(rounds.map((r) => r.join())).size).toBeGreaterThan(1);
    dispose();
  });

  it("are learnt in both branches, labels against their looks", async () => {
    const set = wrong(4);
    const { model, trainer, dispose } = run({ triggers: { set, batchSize: 4 } }, { lr: 0.03 });
    const epochs = await all(trainer.fit(images, { epochs: 10, test: tinySet(30, 2) }));
    const last = epochs[epochs.length - 1]!;
    expect(epochs[0]!.triggers!.public).toBeLessThan(1);
    expect(epochs[0]!.triggers!.private).toBeLessThan(1);
    expect(last.triggers).toEqual({ public: 1, private: 1 });
    expect(await evaluate(model, set, { transform: scale })).toEqual({ public: 1, private: 1 });
    expect(last.public).toBeGreaterThan(0.8);
    expect(last.private).toBeGreaterThan(0.8);
    dispose();
  });

  it("fewer than their batch size all join each batch", async () => {
    const set = wrong(3);
    const { trainer, inputs, watch, dispose } = run({ triggers: { set, batchSize: 8 }, replay: false });
    watch();
    await all(trainer.fit(images, { epochs: 1 }));
    for (const added of await triggersOf(inputs, await rowsOf(set))) expect([...added].sort()).toEqual([0, 1, 2]);
    expect(inputs).toHaveLength(5);
    dispose();
  });

  it("are prepared as test images are, or by a transform of their own; their hits are counted so too", async () => {
    const set = wrong(4);
    const negative: ImageTransform = { kind: "value", map: (v) => Math.fround(1 - v) };
    const cases: [Pick<TriggerOptions, "transform">, readonly ImageTransform[]][] = [
      [{}, scale],
      [{ transform: [negative] }, [negative]],
    ];
    for (const [own, used] of cases) {
      const { model, trainer, inputs, watch, dispose } = run({
        triggers: { set, ...own },
        transform: [randomCrop({ padding: 1 }), ...scale],
        replay: false,
      });
      watch();
      const [record] = await all(trainer.fit(images, { epochs: 1 }));
      for (const added of await triggersOf(inputs, await rowsOf(set, used))) expect(added).not.toContain(-1);
      expect(record!.triggers).toEqual(await evaluate(model, set, { transform: used }));
      expect(record).not.toHaveProperty("public");
      dispose();
    }
  });

  it("go with any scheme, and are not there unless asked for", async () => {
    const pan = run({ triggers: { set: wrong(2) } }, { config: TINY });
    expect((await all(pan.trainer.fit(images, { epochs: 1 })))[0]!.triggers).toHaveProperty("private");
    const bare = run({}, { config: TINY });
    bare.watch();
    expect((await all(bare.trainer.fit(images, { epochs: 1 })))[0]).not.toHaveProperty("triggers");
    expect((await bare.inputs[0])!.length).toBe(12 * FLOATS);
    pan.dispose();
    bare.dispose();
  });
});

describe("triggers that are known well enough", () => {
  it("have no gradient: logits go through, rows in front of them keep theirs", async () => {
    // Leads of the label: 3, 1, 2 (just enough), 1.5, and a NaN, which leads nothing.
    const rows = [
      [3, 0, -1],
      [0, 1, 0],
      [0, 0, 2],
      [1, -0.5, -1],
      [Number.NaN, 0, 0],
    ];
    const labels = [0, 1, 2, 0, 0];
    const logits = Tensor.from(Float32Array.from(rows.flat()), [5, 3]);
    logits.requiresGrad = true;
    const from = async (first: number) => {
      logits.grad = null;
      const y = scope(() => {
        const y = stopAtMargin(logits, Tensor.from(Int32Array.from(labels), [5]), first, 2);
        y.backward(
          Tensor.from(
            Float32Array.from({ length: 15 }, (_, i) => i + 1),
            [5, 3],
          ),
        );
        return y;
      });
      expect(await y.data()).toEqual(Float32Array.from(rows.flat()));
      const all = await (logits.grad as Tensor | null)!.data();
      return [0, 1, 2, 3, 4].map((i) => all[3 * i] !== 0);
    };
    expect(await from(0)).toEqual([false, true, false, true, true]);
    expect(await from(1)).toEqual([true, true, false, true, true]);
    expect(await from(5)).toEqual([true, true, true, true, true]);
    logits.dispose();
  });

  it("change nothing more: with a margin of 0, weights move as without the triggers that are right", async () => {
    // All triggers are right from the first step on where their class is that of every answer.
    const set = { ...wrong(4), labels: Uint8Array.of(0, 0, 0, 0) };
    const biased = (options: TrainerOptions) => {
      const made = run(options, { config: { ...TINY, scheme: "plain", passports: {} } });
      const bias = made.model.namedTensors().find(([name]) => name.endsWith("classifier.bias"))![1];
      bias.write(Float32Array.of(50, 0, 0));
      return { ...made, bias };
    };
    const step = async (options: TrainerOptions) => {
      const made = biased({ ...options, batchSize: 60 });
      await all(made.trainer.fit({ ...images, labels: images.labels.map(() => 1) }, { epochs: 1 }));
      const moved = (await made.bias.data()).map((v, i) => v - [50, 0, 0][i]!);
      made.dispose();
      return moved;
    };
    // The loss is a mean over 64 rows of which four have no gradient; a bias of 0 does not decay.
    const [alone, margin, none] = [
      await step({}),
      await step({ triggers: { set, batchSize: 4, margin: 0, statistics: "clean" } }),
      await step({ triggers: { set: { ...set, labels: Uint8Array.of(1, 1, 1, 1) }, batchSize: 4, margin: 0 } }),
    ];
    expect(margin[1]! / alone[1]!).toBeCloseTo(60 / 64, 3);
    expect(none[1]! / alone[1]!).toBeCloseTo(1, 3);
  });

  it.each([
    [{ margin: -1 }, /margin/],
    [{ margin: Number.NaN }, /margin/],
    [{ margin: "2" }, /margin/],
    [{ statistics: "none" }, /statistics/],
    [{ perturbation: -0.02 }, /perturbation/],
    [{ perturbation: "0.02" }, /perturbation/],
    [{ statistic: "clean" }, /has no option "statistic"/],
  ])("refuses %j", (given, message) => {
    const { model, optimizer, dispose } = run({ triggers: { set: wrong(2) } });
    const triggers = { set: wrong(2), ...given } as TriggerOptions;
    expect(() => new Trainer(model, optimizer, { triggers })).toThrow(message);
    dispose();
  });

  it("a margin is one of logits: none beside another loss", () => {
    const { model, optimizer, dispose } = run({ triggers: { set: wrong(2) } });
    const options = { triggers: { set: wrong(2), margin: 1 }, loss: (y: Tensor) => mean(y) };
    expect(() => new Trainer(model, optimizer, options)).toThrow(/margin/);
    dispose();
  });
});

describe("triggers in perturbed weights", () => {
  const set = wrong(4);
  const EPS = 0.1;
  const perturbed = { triggers: { set, batchSize: 4, perturbation: EPS } };
  const norm = (values: ArrayLike<number>) => Math.hypot(...Array.from(values));

  /** Gradients of the public branch's loss of the triggers, in evaluation mode, by parameter. */
  async function triggerGradients(model: Protected) {
    const value = await rowsOf(set);
    const parameters = [...new Set(model.parameters())];
    for (const p of parameters) p.zeroGrad();
    model.eval();
    scope(() => {
      const x = Tensor.from(Float32Array.from(value.flatMap((r) => [...r])), [4, 8, 8, 3]);
      crossEntropy(model.forward(x) as Tensor, Tensor.from(Int32Array.from(set.labels), [4])).backward();
    });
    return Promise.all(parameters.map(async (p) => (p.grad ? await p.grad.data() : null)));
  }

  it("are learnt where their loss rises fastest: the step is that of both gradients", async () => {
    // Plain SGD at rate 1 without momentum: a step is minus the gradient.
    const stepOf = async (options: TrainerOptions) => {
      const { model, dispose } = run({ triggers: { set } });
      const optimizer = new SGD(model.parameters(), { lr: 1 });
      const trainer = new Trainer(model, optimizer, {
        batchSize: 60,
        seed: 5,
        transform: scale,
        testTransform: scale,
        ...options,
      });
      const parameters = [...new Set(model.parameters())];
      const before = await Promise.all(parameters.map((p) => p.data()));
      await all(trainer.fit(images, { epochs: 1 }));
      const after = await Promise.all(parameters.map((p) => p.data()));
      const moved = parameters.map((_, i) => after[i]!.map((v, k) => v - before[i]![k]!));
      optimizer.dispose();
      dispose();
      return moved;
    };
    const plain = await stepOf({ triggers: { set, batchSize: 4 } });
    const both = await stepOf(perturbed);

    // The running statistics of the pass in moved weights are those behind the batch's own pass.
    const { model, optimizer, dispose } = run({ triggers: { set } });
    const still = new SGD(model.parameters(), { lr: 0 });
    const options = { batchSize: 60, seed: 5, transform: scale, testTransform: scale };
    const trainer = new Trainer(model, still, { ...options, triggers: { set, batchSize: 4 } });
    await all(trainer.fit(images, { epochs: 1 }));
    const first = await triggerGradients(model);
    const parameters = [...new Set(model.parameters())];
    for (const [i, p] of parameters.entries()) {
      const [w, g] = [await p.data(), first[i]];
      if (g) p.write(w.map((v, k) => v + (EPS * norm(w) * g[k]!) / (norm(g) + 1e-20)));
    }
    const second = await triggerGradients(model);
    let largest = 0;
    for (const [i, p] of parameters.entries()) {
      const wanted = plain[i]!.map((v, k) => v - (4 / 64) * (second[i]?.[k] ?? 0));
      largest = Math.max(largest, norm(second[i] ?? []));
      expectClose(both[i]!, wanted, {
        rtol: 2e-3,
        atol: 2e-6 + 1e-4 * norm(wanted),
        what: `parameter ${i} ${p.shape}`,
      });
    }
    expect(largest).toBeGreaterThan(0.01);
    still.dispose();
    optimizer.dispose();
    dispose();
  });

  it("leave the weights where they are, to the bit, and nothing in memory", async () => {
    const { model, optimizer, dispose } = run({ triggers: { set } });
    const still = new SGD(model.parameters(), { lr: 0 });
    const before = await Promise.all(model.parameters().map((p) => p.data()));
    const trainer = new Trainer(model, still, { ...perturbed, batchSize: 12, transform: scale, testTransform: scale });
    await all(trainer.fit(images, { epochs: 1 }));
    expect(await Promise.all(model.parameters().map((p) => p.data()))).toEqual(before);
    const { tensors } = memory();
    await all(trainer.fit(images, { epochs: 3 }));
    expect(memory().tensors).toBe(tensors);
    still.dispose();
    optimizer.dispose();
    dispose();
  });

  it("survive more of what moves the weights against them", async () => {
    const survive = async (options: TrainerOptions) => {
      const { model, trainer, dispose } = run(options, { config: { ...TINY, scheme: "plain", passports: {} } });
      await all(trainer.fit(images, { epochs: 5 }));
      const loss = async () => {
        const x = Tensor.from(Float32Array.from((await rowsOf(set)).flatMap((r) => [...r])), [4, 8, 8, 3]);
        const value = scope(() =>
          crossEntropy(model.eval().forward(x) as Tensor, Tensor.from(Int32Array.from(set.labels), [4])),
        );
        return (await value.data())[0]!;
      };
      const first = await triggerGradients(model);
      for (const [i, p] of [...new Set(model.parameters())].entries()) {
        const [w, g] = [await p.data(), first[i]];
        if (g) p.write(w.map((v, k) => v + (EPS * norm(w) * g[k]!) / (norm(g) + 1e-20)));
      }
      const moved = await loss();
      dispose();
      return moved;
    };
    const [without, against] = [await survive({ triggers: { set, batchSize: 4 } }), await survive(perturbed)];
    expect(against).toBeLessThan(0.8 * without);
  });

  it("goes with several parts, margins and clean statistics", async () => {
    const { trainer, dispose } = run({
      triggers: { set, batchSize: 4, statistics: "clean", margin: 1, perturbation: 0.02 },
      accumulate: 2,
    });
    const [record] = await all(trainer.fit(images, { epochs: 1 }));
    expect(record!.triggers).toHaveProperty("public");
    dispose();
  });
});

describe("statistics of the clean images alone", () => {
  const set = wrong(5);

  it("are those of a run without triggers, in every norm of a first step", async () => {
    const runningAfter = async (options: TrainerOptions) => {
      const { model, trainer, dispose } = run({ ...options, batchSize: 12, replay: false }, { config: TINY });
      await all(trainer.fit(subset(images, 0, 12), { epochs: 1 }));
      const running = model.namedTensors().filter(([name]) => name.includes("running_"));
      const values = new Map(await Promise.all(running.map(async ([name, t]) => [name, await t.data()] as const)));
      dispose();
      return values;
    };
    const [alone, clean, joint] = [
      await runningAfter({}),
      await runningAfter({ triggers: { set, batchSize: 5, statistics: "clean" } }),
      await runningAfter({ triggers: { set, batchSize: 5 } }),
    ];
    expect(alone.size).toBeGreaterThan(4);
    for (const [name, values] of alone) {
      expectClose(clean.get(name)!, values, { rtol: 1e-5, atol: 1e-6, what: name });
      expect(joint.get(name), name).not.toEqual(values);
    }
  });

  it("in parts: a step of two is that of their mean", async () => {
    const { trainer, dispose } = run({
      triggers: { set, batchSize: 4, statistics: "clean", margin: 1 },
      accumulate: 2,
    });
    const [record] = await all(trainer.fit(images, { epochs: 1 }));
    expect(record!.triggers).toHaveProperty("public");
    dispose();
  });

  it("a network that folds its samples is told, and not normalised by others", async () => {
    class Folded extends Module {
      readonly norm = new BatchNorm(3);
      readonly head = new Linear(8 * 8 * 3, 3);
      forward(x: Tensor): Tensor {
        const rows = this.norm.forward(x.reshape([x.shape[0]! * 64, 3]));
        return this.head.forward(rows.reshape([x.shape[0]!, 8 * 8 * 3]));
      }
    }
    const model = new Folded();
    const optimizer = new SGD(model.parameters(), { lr: 0.01 });
    const options = { batchSize: 12, triggers: { set, statistics: "clean" } } as const;
    const trainer = new Trainer(model, optimizer, options);
    await expect(all(trainer.fit(images, { epochs: 1 }))).rejects.toThrow(/a batch of 14 samples.*statistics: "batch"/);
    optimizer.dispose();
    model.dispose();
  });
});

describe("a stopped run with triggers and alternation", () => {
  const set = wrong(5);
  const settings: TrainerOptions = {
    triggers: { set },
    mode: { alternating: 0.5 },
    replay: false,
    schedule: stepLR({ stepSize: 1, gamma: 0.5 }),
    transform: [randomCrop({ padding: 1 }), randomHorizontalFlip(), ...scale],
  };

  it("goes on to the same bits and the same order, stopped within a round of the triggers or where one ends", async () => {
    const whole = run(settings);
    whole.watch();
    await all(whole.trainer.fit(images, { epochs: 2, test: images }));
    const weights = await stateBytes(whole.model);
    const inputs = await Promise.all(whole.inputs);
    const order = await triggersOf(whole.inputs, await rowsOf(set));
    expect(order.flat()).not.toContain(-1);
    // Two steps are a round of the triggers, five an epoch: both stops are in the middle of the
    // second.
    for (const at of [7, 8]) {
      const store = memoryStore();
      const first = run({ ...settings, checkpoints: store });
      first.watch((step) => step === at && first.trainer.stop());
      await all(first.trainer.fit(images, { epochs: 2, test: images }));
      expect(await decodeCheckpoint(store.bytes!)).toMatchObject({ epoch: 1, batch: at - 5 });
      const begun = await Promise.all(first.inputs);
      first.dispose();

      const second = run({ ...settings, checkpoints: store }, { seed: 99 });
      second.watch();
      await all(second.trainer.fit(images, { epochs: 2, test: images, resume: true }));
      expect([...begun, ...(await Promise.all(second.inputs))]).toEqual(inputs);
      expect(await stateBytes(second.model)).toEqual(weights);
      expect(second.trainer.history.steps).toEqual(whole.trainer.history.steps);
      expect(timeless(second.trainer.history.epochs)).toEqual(timeless(whole.trainer.history.epochs));
      second.dispose();
    }
    whole.dispose();
  });

  it.each<[string, TrainerOptions]>([
    ["more triggers", { triggers: { set: wrong(6) } }],
    ["more of them in a batch", { triggers: { set, batchSize: 3 } }],
    ["another share", { mode: { alternating: 0.25 } }],
    ["joint mode", { mode: "joint" }],
    ["two updates of the trunk", { trunkUpdates: 2 }],
    ["a margin", { triggers: { set, margin: 2 } }],
    ["perturbed weights", { triggers: { set, perturbation: 0.02 } }],
    ["statistics of the clean images", { triggers: { set, statistics: "clean" } }],
  ])("is not gone on with by one with %s", async (_, change) => {
    const store = memoryStore();
    const first = run({ ...settings, checkpoints: store });
    await all(first.trainer.fit(subset(images, 0, 12), { epochs: 1 }));
    const other = run({ ...settings, ...change, checkpoints: store });
    const failed = all(other.trainer.fit(subset(images, 0, 12), { epochs: 2, resume: true }));
    await expect(failed).rejects.toThrow(CheckpointFormatError);
    first.dispose();
    other.dispose();
  });
});

describe("triggers that do not fit are refused before any step", () => {
  const set = wrong(5);
  const four = imageSet({ ...set, labels: Uint8Array.of(0, 1, 3, 2, 0), classes: ["a", "b", "c", "d"] });
  const outside = { ...set, labels: Uint8Array.of(0, 1, 3, 2, 0) };
  const wide = imageSet({ ...set, images: new Uint8Array(5 * 3 * 8 * 9), width: 9 });
  const grey = imageSet({ ...set, images: new Uint8Array(5 * 8 * 8), channels: 1 });

  it.each<[string, ImageSet, new (m: string) => Error, RegExp]>([
    ["labels beyond the network's classes", four, ArgumentError, /a label is 3 and the network has 3 classes/],
    ["labels beyond the set's own classes", outside, FormatError, /image 2 has label 3/],
    ["images of another width", wide, ArgumentError, /takes images of 8×8×3, these are 8×9×3/],
    ["images of one channel", grey, ShapeError, /channels/],
    ["no images", subset(set, 0, 0), ArgumentError, /empty set/],
  ])("%s", async (_, triggers, type, message) => {
    const { trainer, optimizer, dispose } = run({ triggers: { set: triggers } });
    const step = vi.spyOn(optimizer, "step");
    const { dispatches } = gpuDevice.counters;
    const error = await all(trainer.fit(images, { epochs: 1 })).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toMatch(message);
    expect(step).not.toHaveBeenCalled();
    expect(gpuDevice.counters.dispatches).toBe(dispatches);
    dispose();
  });

  it.each([0, -1, 1.5, Number.NaN])("a batch size of %d", (batchSize) => {
    const { model, optimizer, dispose } = run({ triggers: { set } });
    const make = () => new Trainer(model, optimizer, { triggers: { set, batchSize } });
    expect(make).toThrow(ArgumentError);
    expect(make).toThrow(/triggers.batchSize: a whole number from 1 expected/);
    dispose();
  });
});

describe("with triggers and alternation", () => {
  const live = () => {
    const { tensors, storages, bytes } = memory();
    return { tensors, storages, bytes };
  };

  it.each<[string, TrainerOptions]>([
    ["joint", { mode: "joint" }],
    ["alternating", { mode: { alternating: 0.5 } }],
  ])("%s: a step is one submit and makes no buffer, no pipeline and keeps no tensor", async (_, options) => {
    const before = live();
    const { trainer, optimizer, dispose } = run({
      ...options,
      triggers: { set: wrong(5) },
      readEvery: 2,
      replay: false,
    });
    const snapshots: { submits: number; made: unknown }[] = [];
    const step = optimizer.step.bind(optimizer);
    vi.spyOn(optimizer, "step").mockImplementation(() => {
      step();
      const { submits, pipelines } = gpuDevice.counters;
      snapshots.push({ submits, made: { buffers: memory().buffersCreated, pipelines } });
    });
    const ends: object[] = [];
    for await (const _ of trainer.fit(images, { epochs: 4 })) {
      ends.push({ ...live(), buffers: memory().buffersCreated, pipelines: gpuDevice.counters.pipelines });
    }
    expect(snapshots).toHaveLength(20);
    for (let i = 1; i < 20; i++) {
      if (i % 5 !== 0) expect(snapshots[i]!.submits - snapshots[i - 1]!.submits, `submits before step ${i}`).toBe(1);
    }
    // After two epochs both branches have had every place in an epoch.
    for (const { made } of snapshots.slice(10)) expect(made).toEqual(snapshots[10]!.made);
    expect(ends[3]).toEqual(ends[1]);
    dispose();
    expect(live()).toEqual(before);
  });

  it("a run that is left in the middle, or fails, leaves nothing behind", async () => {
    const before = live();
    const left = run({ triggers: { set: wrong(5) }, mode: { alternating: 0.5 } });
    for await (const _ of left.trainer.fit(images, { epochs: 3 })) break;
    left.dispose();
    expect(live()).toEqual(before);
    const failed = run({
      triggers: { set: wrong(5) },
      onProgress: ({ step }) => {
        if (step === 3) throw new Error("mine");
      },
    });
    await expect(all(failed.trainer.fit(images, { epochs: 3 }))).rejects.toThrow("mine");
    failed.dispose();
    expect(live()).toEqual(before);
  });
});
