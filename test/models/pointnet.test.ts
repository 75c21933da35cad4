/** PointNet in every scheme: structure, branches, what is given away, dropout and penalty. */

import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import {
  buildNetwork,
  checkConfig,
  deployedConfig,
  loadDeployed,
  type NetworkConfig,
  type NetworkNorm,
  type PointNet,
  type PointNetConfig,
  readCredential,
  setImagePassports,
  transformPenalty,
} from "../../src/models";
import { NormedMap } from "../../src/models/block";
import { pointNetLayers } from "../../src/models/described/pointnet";
import { Linear, type Module } from "../../src/nn";
import { Adam } from "../../src/optim";
import type { Branch, Scheme } from "../../src/passport";
import { outputsOf } from "../../src/passport/linear-map";
import { asProtected } from "../../src/passport/protected";
import { add } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { Generator } from "../../src/tensor/random";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { Trainer } from "../../src/train";
import { fileBytes, found, latin1, scattered, stored } from "../support/bytes";
import { PLACES, POINTS, TINY_CLOUD, tinyClouds } from "../support/clouds";
import { expectClose, gpu, randomTensor } from "../support/gpu";
import { mapInputs } from "../support/inputs";
import { type Network, pointNet } from "../support/networks";
import { memoryStore, stateBytes, tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const ALL = Object.fromEntries(PLACES.map((name) => [name, true]));
const PLAIN: PointNetConfig = {
  arch: "pointnet",
  classes: 3,
  input: [POINTS, 3],
  width: 0.125,
  scheme: "plain",
};
const make = (change: Partial<PointNetConfig> = {}) =>
  buildNetwork({ ...TINY_CLOUD, passports: ALL, ...change } as NetworkConfig, { seed: 3 });

/** Every float of the network random, as after training. */
async function scatter(model: Network): Promise<Network> {
  model.loadStateDict(scattered(await model.stateDict()));
  return model.eval();
}

async function logitsOf(model: Module, x: Tensor, branch?: Branch): Promise<number[]> {
  const t = scope(() => noGrad(() => asProtected("a test", "its network", model).forward(x, branch))) as Tensor;
  const data = [...(await t.data())];
  t.dispose();
  return data;
}

describe("structure", () => {
  it("has the paper's sizes, and all of them scaled", () => {
    const sizes = (width?: number) => {
      const model = pointNet({ points: POINTS, ...(width && { width }) });
      const network = model.network as PointNet;
      const all = pointNetLayers(network.config).map((l) => [l.name, l.inChannels, l.channels]);
      for (const [name, inChannels, channels] of all) {
        const map = network.find(NormedMap).find(([at]) => at === name)![1].map;
        const inputs = map instanceof Linear ? map.inFeatures : map.inChannels;
        expect([inputs, outputsOf(map)], String(name)).toEqual([inChannels, channels]);
      }
      const matrix = [network.stn.fc3.outFeatures, network.fstn.fc3.outFeatures];
      model.dispose();
      return { all, matrix };
    };
    const full = sizes();
    const tNet = (name: string, k: number) => [
      [`${name}.conv1`, k, 64],
      [`${name}.conv2`, 64, 128],
      [`${name}.conv3`, 128, 1024],
      [`${name}.fc1`, 1024, 512],
      [`${name}.fc2`, 512, 256],
    ];
    expect(full.all).toEqual([
      ...tNet("stn", 3),
      ["convp1", 3, 64],
      ...tNet("fstn", 64),
      ["convp2", 64, 128],
      ["convp3", 128, 1024],
      ["p1", 1024, 512],
      ["p2", 512, 256],
      ["p3", 256, 40],
    ]);
    expect(full.matrix).toEqual([9, 4096]);
    const small = sizes(0.05);
    expect(small.all.map(([, , out]) => out)).toEqual([8, 8, 48, 24, 16, 8, 8, 8, 48, 24, 16, 8, 48, 24, 16, 40]);
    expect(small.matrix).toEqual([9, 64]);
  });

  it("starts as PyTorch's layers do: weights and biases uniform up to 1/√fan-in", async () => {
    const model = make();
    const state = await model.stateDict();
    for (const [name, fanIn] of [
      ["stn.conv3.conv.weight", 16],
      ["stn.fc1.linear.bias", 128],
      ["convp3.weight", 16],
      ["p1.weight", 128],
      ["p2.linear.bias", 64],
    ] as const) {
      const values = state.get(name)!.data as Float32Array;
      const most = values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      expect(most, name).toBeLessThanOrEqual(1 / Math.sqrt(fanIn));
      expect(most, name).toBeGreaterThan(0.8 / Math.sqrt(fanIn));
    }
    model.dispose();
  });

  it("makes the same network again from a seed, another from another, and frees all of it", async () => {
    const before = memory();
    const made = [3, 3, 4].map((seed) => buildNetwork(TINY_CLOUD, { seed }));
    const [a, again, b] = await Promise.all(made.map(stateBytes));
    expect(again).toEqual(a);
    expect(b).not.toEqual(a);
    for (const m of made) m.dispose();
    expect(memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  });

  it.each<[string, object, RegExp]>([
    ["coordinates that are not 3", { input: [16, 2] }, /\[points, 3\] expected, found \[16,2\]/],
    ["an image's shape", { input: [8, 8, 3] }, /\[points, coordinates\]/],
    ["a width of 0", { width: 0 }, /width: a finite number above 0/],
    ["a width that is a text", { width: "1" }, /width: a finite number above 0/],
    ["dropout of everything", { dropout: 1 }, /dropout: a probability/],
    ["other statistics", { branchStatistics: "both" }, /branchStatistics: "shared" or "separate"/],
    ["one class", { classes: 1 }, /classes: a whole number from 2/],
    ["norm in, which rows have not", { norm: "in" }, /rows of a linear map have none/],
    [
      "a passport in a T-Net",
      { passports: { "stn.conv1": true } },
      /stn\.conv1, which is not a layer .* convp1, convp2/,
    ],
    ["a text too long for p3", { passports: { p3: "a" } }, /"a" of layer p3 takes 1 bytes; its 3 channels hold 0/],
    ["no passports", { passports: {} }, /needs passports at one layer or more, for example { p3: true }/],
    ["passports of a plain network", { scheme: "plain" }, /takes no passports/],
  ])("refuses %s before anything is made", (_, change, message) => {
    const before = memory();
    const config = JSON.parse(JSON.stringify({ ...TINY_CLOUD, ...change })) as NetworkConfig;
    expect(() => buildNetwork(config)).toThrow(ArgumentError);
    expect(() => checkConfig(config)).toThrow(message);
    expect(memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  });
});

describe.each<[Scheme, NetworkNorm, Partial<PointNetConfig>]>([
  ["pan", "bn", {}],
  ["pan", "bn", { branchStatistics: "separate" }],
  ["pan", "sbn", {}],
  ["pan", "gn", { fc: false }],
  ["v1", "bn", {}],
  ["v2", "gn", {}],
  ["v2", "ln", { passports: { p1: true } }],
  ["v3", "none", { passports: { convp3: true, p3: true } }],
])("scheme %s with %s %j", (scheme, norm, change) => {
  it("gives away a plain network that does what the first branch does, to the bit, and nothing private", async () => {
    const model = await scatter(make({ scheme, norm, ...change }));
    const [file, credential] = [stored(await model.deployed()), stored(await model.credential())];
    const plain = loadDeployed(file);
    expect(plain.config).toMatchObject({ arch: "pointnet", scheme: "plain" });
    expect(deployedConfig(file)).toEqual(model.network.config);
    const { config, places } = readCredential(credential);
    expect(config).toEqual(model.network.config);
    expect(places).toEqual(model.plan.places);
    const x = randomTensor([3, POINTS, 3], 4);
    const logits = await logitsOf(plain, x);
    // V1's γ and β travel as constants, which are computed anew in the network itself.
    expectClose(logits, await logitsOf(model, x), scheme === "v1" ? { rtol: 1e-5, atol: 1e-5 } : { rtol: 0, atol: 0 });
    expect(new Set(logits).size).toBe(9);
    if (scheme !== "v1") expect(found(credential.tensors, fileBytes(file))).toEqual([]);
    const text = latin1(fileBytes(file)).toLowerCase();
    for (const word of ["passport", "key", "sign", "private", "bn0", "bn1", '"pan"', "branch"])
      expect(text, word).not.toContain(word);
    for (const m of [model, plain]) m.dispose();
    x.dispose();
  });

  it("trains every parameter, both branches and the penalty", async () => {
    const model = make({ scheme, norm, dropout: 0, ...change });
    const x = randomTensor([4, POINTS, 3], 5);
    const y = Tensor.from(Int32Array.of(0, 1, 2, 0), [4]);
    scope(() => {
      const { outputs, signLoss, penalties } = model.trainingPass(x);
      expect(Object.keys(penalties)).toEqual([...model.branches]);
      const parts = model.branches.map((b) => add(crossEntropy(outputs[b]!, y), penalties[b]!));
      add(
        parts.reduce((a, b) => add(a, b)),
        signLoss!,
      ).backward();
    });
    const untrained = [...model.namedTensors()].filter(([, t, { kind }]) => kind === "parameter" && !t.grad);
    expect(untrained.map(([name]) => name)).toEqual([]);
    for (const t of [x, y]) t.dispose();
    model.dispose();
  });
});

describe("branches of scheme pan", () => {
  it("part at the first layer: the private one has norms of its own in the T-Nets", async () => {
    const model = await scatter(make());
    const x = randomTensor([3, POINTS, 3], 4);
    const [open, secret] = [await logitsOf(model, x, "public"), await logitsOf(model, x, "private")];
    const state = await model.stateDict();
    const other = new Map(state);
    const bias = state.get("stn.conv1.bn1.bias")!;
    other.set("stn.conv1.bn1.bias", { ...bias, data: (bias.data as Float32Array).map((v) => v + 0.5) });
    model.loadStateDict(other);
    expect(await logitsOf(model, x, "public")).toEqual(open);
    expect(await logitsOf(model, x, "private")).not.toEqual(secret);
    const names = [...(await model.credential()).tensors.keys()];
    const ofTNet = names.filter((n) => n.startsWith("stn.conv1."));
    const norm = ["weight", "bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"];
    expect(ofTNet.sort()).toEqual(norm.map((n) => `stn.conv1.bn.passport.${n}`).sort());
    x.dispose();
    model.dispose();
  });

  it.each([
    ["shared", { convp1: 2n, p2: 2n, stn: 1n }, false],
    ["separate", { convp1: 1n, p2: 1n, stn: 1n }, true],
  ] as const)("have statistics of passport layers that are %s", async (branchStatistics, counts, own) => {
    const model = make({ branchStatistics });
    scope(() => void model.trainingPass(randomTensor([4, POINTS, 3], 1)));
    const state = await model.stateDict();
    const tracked = (name: string) => state.get(`${name}.num_batches_tracked`)!.data[0];
    expect({ convp1: tracked("convp1.bn0"), p2: tracked("p2.bn0"), stn: tracked("stn.fc1.bn0") }).toEqual(counts);
    expect(state.has("convp1.bn1.running_mean")).toBe(own);
    expect(tracked("stn.fc1.bn1")).toBe(1n);
    model.dispose();
  });

  it("have γ_raw and β_raw with the linear layer's bias inside", async () => {
    const model = make();
    const read = async () => (await model.readSigns()).find(({ name }) => name === "p2.bn")!.gamma;
    const before = await read();
    const state = await model.stateDict();
    const bias = state.get("p2.linear.bias")!;
    state.set("p2.linear.bias", { ...bias, data: (bias.data as Float32Array).map((v, i) => v + i) });
    model.loadStateDict(state);
    expectClose(
      await read(),
      before.map((g, i) => g + i),
      { atol: 1e-4 },
    );
    model.dispose();
  });
});

describe("dropout", () => {
  const passOf = async (model: Network, x: Tensor) => {
    const out = scope(() => noGrad(() => model.trainingPass(x).outputs));
    const data = [await out.public!.data(), await out.private!.data()].map((d) => d.join());
    for (const t of Object.values(out)) t.dispose();
    return data;
  };

  it("is drawn for each branch, from the run's seed and the step alone", async () => {
    const models = [make(), make()];
    const x = randomTensor([4, POINTS, 3], 4);
    const at = async (model: Network, seed: number, step: number) => {
      model.beginStep(seed, step);
      return passOf(model, x);
    };
    const [a, b] = models as [Network, Network];
    const first = await at(a, 1, 7);
    // Another network of the same weights, after other steps, draws the same.
    await at(b, 1, 8);
    expect(await at(b, 1, 7)).toEqual(first);
    expect(await at(a, 1, 8)).not.toEqual(first);
    expect(await at(a, 2, 7)).not.toEqual(first);
    x.dispose();
    for (const m of models) m.dispose();
  });

  it("is none at 0, and none in evaluation", async () => {
    const [dropping, whole] = [make({ dropout: 0.9 }), make({ dropout: 0 })];
    const x = randomTensor([4, POINTS, 3], 4);
    const trained = await passOf(dropping, x);
    expect(trained).not.toEqual(await passOf(whole, x));
    whole.loadStateDict(await dropping.stateDict());
    for (const m of [dropping, whole]) m.eval();
    expect(await passOf(dropping, x)).toEqual(await passOf(whole, x));
    x.dispose();
    for (const m of [dropping, whole]) m.dispose();
  });

  it("draws the same in a resumed run: the same bits in the end", async () => {
    const train = tinyClouds(36, 1);
    const run = (checkpoints = memoryStore(), seed = 3) => {
      const model = buildNetwork(TINY_CLOUD, { seed });
      const optimizer = new Adam(model.parameters(), { lr: 3e-3 });
      const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, checkpoints });
      return { model, trainer, checkpoints, dispose: () => [optimizer, model].forEach((d) => void d.dispose()) };
    };
    const whole = run();
    for await (const _ of whole.trainer.fit(train, { epochs: 2 }));
    const first = run();
    for await (const _ of first.trainer.fit(train, { epochs: 1 }));
    const second = run(first.checkpoints, 99);
    for await (const _ of second.trainer.fit(train, { epochs: 2, resume: true }));
    expect(await stateBytes(second.model)).toEqual(await stateBytes(whole.model));
    for (const r of [whole, first, second]) r.dispose();
  });
});

describe("the penalty of the feature transform", () => {
  it("is ‖A(Aᵀ − I)‖_F, the mean over the batch, and 0 with a gradient of 0 at the identity", async () => {
    const a = randomTensor([3, 4, 4], 6);
    const data = await a.data();
    let expected = 0;
    for (let n = 0; n < 3; n++) {
      let square = 0;
      for (let i = 0; i < 4; i++)
        for (let j = 0; j < 4; j++) {
          // (A·Aᵀ − A)[i, j]
          let sum = -data[16 * n + 4 * i + j]!;
          for (let k = 0; k < 4; k++) sum += data[16 * n + 4 * i + k]! * data[16 * n + 4 * j + k]!;
          square += sum ** 2;
        }
      expected += Math.sqrt(square) / 3;
    }
    const t = scope(() => transformPenalty(a));
    expectClose([await t.item()], [expected], {});
    const eye = Tensor.from(
      Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0)),
      [1, 4, 4],
    );
    eye.requiresGrad = true;
    const none = scope(() => {
      const y = transformPenalty(eye);
      y.backward();
      return y;
    });
    expect(await none.item()).toBeLessThan(2e-6);
    expect([...(await eye.grad!.data())].every((g) => g === 0)).toBe(true);
    for (const x of [a, t, none, eye]) x.dispose();
  });

  it("goes into the trainer's loss of each branch", async () => {
    const train = tinyClouds(12, 1);
    /** One step that changes nothing, with what the network adds to the losses, and without. */
    const losses = async (penalised: boolean) => {
      const model = buildNetwork(TINY_CLOUD, { seed: 3 });
      const own = model.trainingPass.bind(model);
      if (!penalised) model.trainingPass = (x, options) => ({ ...own(x, options), penalties: {} });
      const optimizer = new Adam(model.parameters(), { lr: 0 });
      const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5 });
      for await (const _ of trainer.fit(train, { epochs: 1 }));
      const x = Tensor.from(train.points, [12, POINTS, 3]);
      const { penalties } = scope(() => noGrad(() => own(x)));
      const [open, secret] = [await penalties.public!.item(), await penalties.private!.item()];
      for (const t of [x, ...Object.values(penalties), optimizer, model]) t.dispose();
      return { ...trainer.history.steps[0]!, open, secret };
    };
    const [whole, bare] = [await losses(true), await losses(false)];
    expect(whole.open).toBeGreaterThan(1e-4);
    expect(whole.publicLoss - bare.publicLoss).toBeCloseTo(whole.open, 5);
    expect(whole.privateLoss - bare.privateLoss).toBeCloseTo(whole.secret, 5);
    expect(whole.signLoss).toBe(bare.signLoss);
  });
});

describe("with norms folded", () => {
  it("does the same", async () => {
    const model = await scatter(make());
    const file = stored(await model.deployed({ foldNorm: true }));
    expect([...file.tensors.keys()].filter((n) => n.includes("bn"))).toEqual([]);
    const plain = loadDeployed(file);
    const x = randomTensor([3, POINTS, 3], 4);
    const want = await logitsOf(model, x, "public");
    const size = Math.max(...want.map(Math.abs));
    expectClose(await logitsOf(plain, x), want, { rtol: 1e-3, atol: 1e-4 * size });
    for (const m of [model, plain]) m.dispose();
    x.dispose();
  });
});

describe("passports of clouds", () => {
  it.each(["image", "shuffle"] as const)("are what the layers of a plain network are given: %s", async (kind) => {
    const [plain, model] = [buildNetwork(PLAIN, { seed: 1 }), make()];
    const clouds = tinyClouds(24, 3);
    const before = (await model.readSigns()).map(({ gamma }) => gamma.join());
    await setImagePassports(model, plain, clouds, { kind, random: new Generator(2) });
    const after = (await model.readSigns()).map(({ gamma }) => gamma.join());
    for (const [i, gamma] of after.entries()) expect(gamma).not.toBe(before[i]);
    // The first passport layer is given clouds as the first T-Net turned them.
    const x = Tensor.from(clouds.points, [24, POINTS, 3]);
    const inputs = mapInputs(plain, x);
    const given = await inputs.get("p1.linear")!.data();
    const state = await model.stateDict();
    const own = state.get("p1.skey_private")!.data as Float32Array;
    const maps = Array.from({ length: 24 }, (_, i) => given.subarray(128 * i, 128 * (i + 1)));
    if (kind === "image") expect(maps.some((m) => m.join() === own.join())).toBe(true);
    else for (const v of own) expect(given.includes(v)).toBe(true);
    for (const t of [x, ...inputs.values()]) t.dispose();
    for (const m of [plain, model]) m.dispose();
  });
});

describe("data of the other kind", () => {
  it("is refused by name, before any step", async () => {
    const model = make();
    const optimizer = new Adam(model.parameters());
    const trainer = new Trainer(model, optimizer, { batchSize: 12 });
    const train = async (set: Parameters<Trainer["fit"]>[0]) => {
      for await (const _ of trainer.fit(set, { epochs: 1 }));
    };
    await expect(train(tinySet(12, 1))).rejects.toThrow(/takes point clouds of 16×3, these are images of 8×8×3/);
    const more = { ...tinyClouds(24, 1), pointsPerCloud: 8, labels: new Uint8Array(48), length: 48 };
    await expect(train(more)).rejects.toThrow(/takes point clouds of 16×3, these are 8×3/);
    for (const d of [optimizer, model]) d.dispose();
  });
});
