import { beforeAll, describe, expect, it, vi } from "vitest";
import { DataLoader } from "../../src/data/loader";
import { normalize } from "../../src/data/transforms";
import { ArgumentError } from "../../src/errors";
import type { HostTensor, StateDict } from "../../src/io/host-tensor";
import { buildNetwork } from "../../src/models/build";
import type { NetworkConfig } from "../../src/models/described/network";
import type { BatchNorm } from "../../src/nn/batch-norm";
import { SGD } from "../../src/optim/sgd";
import type { Branch } from "../../src/passport/branches";
import { add } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import type { EpochRecord } from "../../src/train/history";
import type { TrainerOptions, TrainingMode } from "../../src/train/options";
import { Trainer } from "../../src/train/trainer";
import { expectClose, gpu } from "../support/gpu";
import { blockAt } from "../support/networks";
import { stateBytes, TINY, TINY_PLAIN, tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const images = tinySet(60, 1);
const testSet = tinySet(30, 2);
const scale = [normalize([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])];
const ORDER = { batchSize: 12, seed: 5, transform: scale };

const RESNET: NetworkConfig = {
  arch: "resnet",
  classes: 3,
  input: [8, 8, 3],
  blocks: [1, 1],
  width: 8,
  scheme: "v2",
  passports: { layer2: true },
};

/** Network and optimiser, the same for the same configuration. */
function parts(config: NetworkConfig = TINY, lr = 0.02) {
  const model = buildNetwork(config, { seed: 4 });
  const optimizer = new SGD(model.parameters(), { lr, momentum: 0.9, weightDecay: 5e-4 });
  const dispose = () => {
    optimizer.dispose();
    model.dispose();
  };
  return { model, optimizer, dispose };
}

function run(options: TrainerOptions = {}, config?: NetworkConfig, lr?: number) {
  const { model, optimizer, dispose } = parts(config, lr);
  const trainer = new Trainer(model, optimizer, { ...ORDER, testTransform: scale, readEvery: 1, ...options });
  return { model, optimizer, trainer, dispose };
}

async function all(epochs: AsyncIterable<EpochRecord>): Promise<EpochRecord[]> {
  const out: EpochRecord[] = [];
  for await (const e of epochs) out.push(e);
  return out;
}

const live = () => {
  const { tensors, storages, bytes } = memory();
  return { tensors, storages, bytes };
};

describe("every scheme", () => {
  const triggers = { set: tinySet(4, 3) };
  it.each<[string, NetworkConfig, readonly Branch[], number, TrainerOptions?, number?]>([
    ["plain", TINY_PLAIN, ["public"], 0],
    ["v1", { ...TINY, scheme: "v1" }, ["passport"], 48],
    ["v2", { ...TINY, scheme: "v2" }, ["public", "private"], 48],
    ["v3", { ...TINY, scheme: "v3" }, ["public", "private"], 48, { triggers }],
    ["pan", TINY, ["public", "private"], 48],
    ["v2 in a ResNet", RESNET, ["public", "private"], 48, {}, 0.06],
  ])("%s: lowers the loss, learns the classes in each branch, embeds every bit", async (_, config, branches, bits, extras, lr) => {
    const before = live();
    // Few steps: γ of a few weights, as of the residual network's shortcut, needs a stronger pull
    // than by default.
    const { trainer, dispose } = run({ ...extras, signLoss: { alpha: 0.5 }, readEvery: 5 }, config, lr);
    const epochs = await all(trainer.fit(images, { epochs: 6, test: testSet }));
    const [first, last] = [epochs[0]!, epochs[5]!];
    expect(last.loss).toBeLessThan(0.5 * first.loss);
    for (const branch of ["public", "private", "passport"] as const) {
      if (branches.includes(branch)) expect(last[branch], branch).toBeGreaterThan(0.9);
      else expect(last).not.toHaveProperty(branch);
    }
    expect(last).toMatchObject({ bitsMatched: bits, bits });
    if (bits) expect(first.bitsMatched).toBeLessThan(bits);
    for (const s of trainer.history.steps) {
      expect(s.loss).toBeCloseTo(s.publicLoss + s.privateLoss + s.passportLoss + s.signLoss, 6);
      const losses = { public: s.publicLoss, private: s.privateLoss, passport: s.passportLoss };
      for (const [branch, loss] of Object.entries(losses)) {
        if (branches.includes(branch as Branch)) expect(loss, branch).toBeGreaterThan(0);
        else expect(loss, branch).toBe(0);
      }
    }
    expect(trainer.history.steps[0]!.signLoss > 0).toBe(bits > 0);
    dispose();
    expect(live()).toEqual(before);
  });

  it("v3 is refused without triggers", () => {
    const { model, optimizer, dispose } = parts({ ...TINY, scheme: "v3" });
    expect(() => new Trainer(model, optimizer)).toThrow(ArgumentError);
    expect(() => new Trainer(model, optimizer)).toThrow(/"v3" trains on a trigger set too: give the trainer `triggers/);
    dispose();
  });
});

describe("alternating mode", () => {
  /** Which branches each step of two epochs ran. */
  async function branchesOf(mode: TrainingMode): Promise<string> {
    const { model, trainer, dispose } = run({ mode, replay: false });
    const pass = vi.spyOn(model, "trainingPass");
    await all(trainer.fit(images, { epochs: 2 }));
    dispose();
    return pass.mock.calls.map(([, o]) => o!.branches!.map((b) => (b === "private" ? "S" : "o")).join("")).join(" ");
  }

  it.each<[TrainingMode, string]>([
    ["joint", "oS oS oS oS oS oS oS oS oS oS"],
    [{ alternating: 0.5 }, "o S o S o S o S o S"],
    [{ alternating: 0.25 }, "o o o S o o o S o o"],
    [{ alternating: 0.75 }, "o S S S o S S S o S"],
  ])("%j: whose each step is, through the epochs", async (mode, wanted) => {
    expect(await branchesOf(mode)).toBe(wanted);
  });

  /** The same training written out. @returns the losses of each step. */
  async function byHand({ model, optimizer }: ReturnType<typeof parts>, epochs: number) {
    const loader = new DataLoader(images, { ...ORDER, shuffle: true, dropLast: true });
    const losses: { publicLoss?: number; privateLoss?: number; signLoss?: number }[] = [];
    model.train();
    for (let epoch = 0; epoch < epochs; epoch++) {
      for await (const batch of loader.epoch(epoch)) {
        const found = scope(() => {
          const [x, y] = [Tensor.from(batch.images, batch.shape), Tensor.from(batch.labels, [12])];
          optimizer.zeroGrad();
          if (losses.length % 2 === 0) {
            const publicLoss = crossEntropy(model.forward(x, "public"), y);
            publicLoss.backward();
            optimizer.step();
            return { publicLoss };
          }
          const { outputs, signLoss } = model.trainingPass(x, { branches: ["private"] });
          const privateLoss = crossEntropy(outputs.private!, y);
          add(privateLoss, signLoss!).backward();
          optimizer.step();
          return { privateLoss, signLoss: signLoss! };
        });
        const values: Record<string, number> = {};
        for (const [name, t] of Object.entries(found)) {
          values[name] = await t.item();
          t.dispose();
        }
        losses.push(values);
      }
    }
    return losses;
  }

  it.each([
    "pan",
    "v2",
  ] as const)("of %s is a loop over both branches in turn, bit for bit; means count a branch's own steps", async (scheme) => {
    const config: NetworkConfig = { ...TINY, scheme };
    const hand = parts(config);
    const losses = await byHand(hand, 2);
    const { model, trainer, dispose } = run({ mode: { alternating: 0.5 }, readEvery: 5 }, config);
    await all(trainer.fit(images, { epochs: 2 }));
    expect(await stateBytes(model)).toEqual(await stateBytes(hand.model));
    // Three public steps and two private ones in the first epoch, the other way round in the
    // second.
    expect(trainer.history.steps.map((s) => s.step)).toEqual([5, 10]);
    trainer.history.steps.forEach((record, epoch) => {
      const own = losses.slice(5 * epoch, 5 * epoch + 5);
      for (const name of ["publicLoss", "privateLoss", "signLoss"] as const) {
        const values = own.flatMap((l) => l[name] ?? []);
        expect(values).toHaveLength((name === "publicLoss") === (epoch === 0) ? 3 : 2);
        expect(record[name], `${name} of epoch ${epoch}`).toBeCloseTo(
          values.reduce((a, b) => a + b) / values.length,
          5,
        );
      }
    });
    hand.dispose();
    dispose();
  });

  it("says 0 for the branch that did not run in a stretch", async () => {
    const { trainer, dispose } = run({ mode: { alternating: 0.5 } });
    await all(trainer.fit(images, { epochs: 1 }));
    const ran = trainer.history.steps.map((s) => [s.publicLoss > 0, s.privateLoss > 0, s.signLoss > 0]);
    const [open, secret] = [
      [true, false, false],
      [false, true, true],
    ];
    expect(ran).toEqual([open, secret, open, secret, open]);
    dispose();
  });

  it.each<[string, NetworkConfig]>([
    ["plain", TINY_PLAIN],
    ["v1", { ...TINY, scheme: "v1" }],
  ])("is refused for a network of one branch: %s", (scheme, config) => {
    const { model, optimizer, dispose } = parts(config);
    const make = () => new Trainer(model, optimizer, { mode: { alternating: 0.5 } });
    expect(make).toThrow(ArgumentError);
    expect(make).toThrow(new RegExp(`needs two branches; scheme "${scheme}" has one`));
    dispose();
  });

  it.each([0, 1, -0.5, 2, Number.NaN])("refuses a share of %d", (alternating) => {
    const { model, optimizer, dispose } = parts();
    expect(() => new Trainer(model, optimizer, { mode: { alternating } })).toThrow(ArgumentError);
    dispose();
  });
});

describe("trunkUpdates: 2", () => {
  const statistics = (layer: string) =>
    ["num_batches_tracked", "running_mean", "running_var"].map((s) => `${layer}.${s}`);

  /** State after one step. */
  async function stateWith(trunkUpdates: 1 | 2, options: TrainerOptions, config: NetworkConfig): Promise<StateDict> {
    const { model, trainer, dispose } = run({ trunkUpdates, ...options }, config);
    await all(trainer.fit(tinySet(12, 1), { epochs: 1 }));
    const state = await model.stateDict();
    dispose();
    return state;
  }

  const bits = ({ data }: HostTensor) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

  /** Names of the state that two updates make other than one. */
  async function changed(config: NetworkConfig, options: TrainerOptions = {}): Promise<string[]> {
    const [once, twice] = [await stateWith(1, options, config), await stateWith(2, options, config)];
    return [...once.keys()].filter((name) => bits(once.get(name)!).join() !== bits(twice.get(name)!).join());
  }

  it("moves the statistics of the trunk twice by the same batch", async () => {
    const { model, trainer, dispose } = run({ trunkUpdates: 2 });
    const { map, norm } = blockAt(model, 0);
    const bn = norm as BatchNorm;
    const mean = Float32Array.from({ length: 8 }, (_, i) => 0.3 * i - 1);
    const variance = Float32Array.from({ length: 8 }, (_, i) => 0.5 + 0.2 * i);
    bn.runningMean.write(mean);
    bn.runningVar.write(variance);
    bn.batchesTracked = 7;
    const loader = new DataLoader(tinySet(12, 1), { ...ORDER, shuffle: true, dropLast: true });
    const { value } = await loader.epoch(0).next();
    const h = scope(() => noGrad(() => map.forward(Tensor.from(value!.images, value!.shape))));
    const data = await h.data();
    h.dispose();
    await all(trainer.fit(tinySet(12, 1), { epochs: 1 }));

    const twice = (r: number, b: number) => 0.9 * (0.9 * r + 0.1 * b) + 0.1 * b;
    const wanted = Array.from({ length: 8 }, (_, c) => {
      const values = [...data.filter((_, i) => i % 8 === c)];
      const m = values.reduce((a, b) => a + b) / values.length;
      const v = values.reduce((s, x) => s + (x - m) ** 2, 0) / (values.length - 1);
      return { mean: twice(mean[c]!, m), variance: twice(variance[c]!, v) };
    });
    const [foundMean, foundVariance] = [await bn.runningMean.data(), await bn.runningVar.data()];
    expectClose(
      foundMean,
      wanted.map((w) => w.mean),
    );
    expectClose(
      foundVariance,
      wanted.map((w) => w.variance),
    );
    expect(bn.batchesTracked).toBe(9);
    dispose();
  });

  it("leaves everything behind the fork as it is with one, bit for bit", async () => {
    expect((await changed(TINY)).sort()).toEqual(statistics("features.0.bn"));
  });

  it("counts a residual network's blocks up to the fork to the trunk, beside it too", async () => {
    const config: NetworkConfig = { ...RESNET, scheme: "pan", passports: { layer2: { 0: { convbn_2: true } } } };
    const trunk = ["convbnrelu_1", "layer1.0.convbn_2", "layer1.0.convbnrelu_1"];
    const beside = ["layer2.0.convbnrelu_1", "layer2.0.shortcut"];
    expect((await changed(config)).sort()).toEqual([...trunk, ...beside].flatMap((name) => statistics(`${name}.bn`)));
  });

  it("changes nothing where one branch runs: alternating, or a network that has no other", async () => {
    expect(await changed(TINY, { mode: { alternating: 0.5 } })).toEqual([]);
    expect(await changed(TINY_PLAIN)).toEqual([]);
  });

  it.each([0, 3, 1.5])("refuses %d", (trunkUpdates) => {
    const { model, optimizer, dispose } = parts();
    const options = { trunkUpdates } as unknown as TrainerOptions;
    expect(() => new Trainer(model, optimizer, options)).toThrow(/trunkUpdates: 1 or 2 expected, found/);
    dispose();
  });
});
