import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import { passportPlan } from "../../src/models/config";
import { type ConvNetConfig, convNetLayers, layerSizes } from "../../src/models/described/convnet";
import { checkConfig } from "../../src/models/described/network";
import type { BatchNorm } from "../../src/nn/batch-norm";
import { decodeSignature } from "../../src/passport/signature";
import { add } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { Generator } from "../../src/tensor/random";
import { memory, scope } from "../../src/tensor/storage";
import { Tensor } from "../../src/tensor/tensor";
import { expectClose, gpu, randomTensor } from "../support/gpu";
import { stateBytes, TINY, TINY_PLAIN } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const live = () => {
  const { tensors, storages, bytes } = memory();
  return { tensors, storages, bytes };
};

describe("configurations", () => {
  it("gives the sizes of every layer", () => {
    expect(layerSizes(TINY)).toEqual([
      [8, 8, 3],
      [8, 8, 8],
      [4, 4, 8],
      [4, 4, 16],
      [2, 2, 32],
    ]);
    const odd: ConvNetConfig = {
      ...TINY_PLAIN,
      input: [7, 9, 1],
      layers: ["pool", { channels: 5, kernel: 2, stride: 2, padding: 1 }],
    };
    expect(layerSizes(odd)).toEqual([
      [7, 9, 1],
      [3, 4, 1],
      [2, 3, 5],
    ]);
  });

  it("lists passport layers in order, those switched off left out", () => {
    const config: ConvNetConfig = { ...TINY, passports: { 3: "x", 0: true, 2: false } };
    const plan = passportPlan(config, convNetLayers(config));
    expect([...plan].map(([name, bytes]) => [name, [...bytes]])).toEqual([
      ["features.0", []],
      ["features.3", [0x78]],
    ]);
  });

  it.each<[string, object, RegExp]>([
    [
      "a passport at a layer that is not there",
      { passports: { 9: true } },
      /layer 9, which is not a convolution of this network: they are 0, 2, 3/,
    ],
    ["a passport at no number", { passports: { conv: true } }, /layer conv, which is not a convolution/],
    ["a passport at a pooling", { passports: { 1: true } }, /layer 1, which is not a convolution/],
    ["a text too long", { passports: { 2: "ABC" } }, /"ABC" of layer 2 takes 3 bytes; its 16 channels hold 2/],
    ["a text too long in UTF-8", { passports: { 2: "€" } }, /takes 3 bytes/],
    ["a passport that is a number", { passports: { 2: 1 } }, /at layer 2/],
    ["passports in a plain network", { scheme: "plain" }, /takes no passports/],
    [
      "no passports in a passport network",
      { passports: {} },
      /needs passports at one convolution or more, for example \{ 3: true \}/,
    ],
    ["all passports switched off", { passports: { 2: false } }, /needs passports/],
    ["an unknown scheme", { scheme: "v4" }, /one of plain, v1, v2, v3, pan expected, found "v4"/],
    [
      "an image that shrinks to nothing by pooling",
      { layers: ["pool", "pool", "pool", "pool", { channels: 8, kernel: 1 }], passports: { 4: true } },
      /layer 3 leaves nothing of a 1×1 image/,
    ],
    [
      "a kernel larger than the image",
      { layers: [{ channels: 8, kernel: 9 }], passports: { 0: true } },
      /layer 0 leaves nothing of a 8×8 image/,
    ],
    ["one class", { classes: 1 }, /at least 2/],
    ["half a class", { classes: 2.5 }, /at least 2/],
    ["an input without channels", { input: [8, 8] }, /\[height, width, channels\]/],
    ["an input of size 0", { input: [8, 0, 3] }, /whole numbers from 1/],
    ["a layer of another kind", { layers: ["conv"], passports: { 0: true } }, /layer 0/],
    ["channels that are no number", { layers: [{ channels: "8", kernel: 3 }], passports: { 0: true } }, /layer 0/],
    ["a stride of 0", { layers: [{ channels: 8, kernel: 3, stride: 0 }], passports: { 0: true } }, /stride from 1/],
    [
      "a negative padding",
      { layers: [{ channels: 8, kernel: 3, padding: -1 }], passports: { 0: true } },
      /padding from 0/,
    ],
    ["no list of layers", { layers: null }, /layers: a list/],
  ])("refuse %s before anything is made", (_, change, message) => {
    const config = { ...TINY, ...change } as ConvNetConfig;
    const before = live();
    expect(() => buildNetwork(config)).toThrow(ArgumentError);
    expect(() => checkConfig(config)).toThrow(message);
    expect(live()).toEqual(before);
  });

  it.each([null, 5, [], "pan"])("refuse %j", (config) => {
    expect(() => checkConfig(config as never)).toThrow(ArgumentError);
  });
});

describe("ConvNet", () => {
  it("has exactly the authors' names", async () => {
    const passport = ["weight", "scale", "bias", "b", "key_private", "skey_private", "fc.0.weight", "fc.2.weight"];
    const statistics = ["running_mean", "running_var", "num_batches_tracked"];
    const names = [
      ...["conv.weight", "bn.weight", "bn.bias", ...statistics.map((s) => `bn.${s}`)].map((n) => `features.0.${n}`),
      ...[2, 3].flatMap((i) =>
        [...passport, ...["bn0", "bn1"].flatMap((bn) => statistics.map((s) => `${bn}.${s}`))].map(
          (n) => `features.${i}.${n}`,
        ),
      ),
      "classifier.weight",
      "classifier.bias",
    ];
    const model = buildNetwork(TINY);
    const state = await model.stateDict();
    expect([...state.keys()].sort()).toEqual(names.sort());
    expect(state.get("features.2.key_private")!.shape).toEqual([1, 8, 4, 4]);
    expect(state.get("features.3.weight")!.shape).toEqual([32, 16, 3, 3]);
    expect(state.get("features.3.fc.0.weight")!.shape).toEqual([8, 32]);
    expect(state.get("classifier.weight")!.shape).toEqual([3, 128]);
    model.dispose();
  });

  it("is the same for the same seed, another for another", async () => {
    const [a, again, b] = [
      buildNetwork(TINY, { seed: 3 }),
      buildNetwork(TINY, { seed: 3 }),
      buildNetwork(TINY, { seed: 4 }),
    ];
    expect(await stateBytes(again)).toEqual(await stateBytes(a));
    const [one, other] = [await a.stateDict(), await b.stateDict()];
    for (const name of [
      "features.0.conv.weight",
      "features.2.weight",
      "features.2.b",
      "features.3.key_private",
      "features.2.fc.0.weight",
      "classifier.bias",
    ]) {
      expect(one.get(name)!.data, name).not.toEqual(other.get(name)!.data);
    }
    for (const m of [a, again, b]) m.dispose();
  });

  it("draws different passports for γ and β and for every layer", async () => {
    const model = buildNetwork({
      ...TINY,
      layers: TINY.layers.map((l) => (l === "pool" ? l : { channels: 8, kernel: 3, padding: 1 })),
      passports: { 2: true, 3: true },
    });
    const keys = await Promise.all(
      model.passportSites().flatMap(({ secret }) => {
        const { gamma, beta } = secret.passport.passports;
        return [beta.data(), gamma.data()];
      }),
    );
    expect(new Set(keys.map((k) => k.slice(0, 8).join())).size).toBe(4);
    for (const k of keys)
      expect(k.every((v) => v >= -1 && v < 1) && k.some((v) => v < -0.5) && k.some((v) => v > 0.5)).toBe(true);
    model.dispose();
  });

  it("spells the configured text in its bits, and counts matches by sign", async () => {
    const model = buildNetwork(TINY, { seed: 1 });
    const [first, second] = await model.readSigns();
    expect([first!.name, second!.name]).toEqual(["features.2.bn", "features.3.bn"]);
    expect([first!.bits.length, second!.bits.length]).toEqual([16, 32]);
    expect(decodeSignature(second!.bits, 4)).toBe("PAN!");
    for (const { gamma, bits, matched } of [first!, second!]) {
      expect(matched).toBe([...gamma].filter((g, i) => Math.sign(g) === bits[i]).length);
    }
    const before = live();
    await model.readSigns();
    expect(live()).toEqual(before);
    model.dispose();
  });

  it("gets other γ from other passports, the same from the same seed", async () => {
    const model = buildNetwork(TINY, { seed: 1 });
    const gammas = async () => (await model.readSigns()).map((s) => [...s.gamma]);
    const before = await gammas();
    model.randomPassports(new Generator(7));
    const forged = await gammas();
    forged.forEach((layer, i) => {
      expect(layer.filter((g, o) => g === before[i]![o])).toEqual([]);
    });
    model.randomPassports(new Generator(7));
    expect(await gammas()).toEqual(forged);
    model.dispose();
  });

  it("frees everything on dispose", () => {
    const before = live();
    const model = buildNetwork(TINY);
    scope(() => void model.trainingPass(randomTensor([2, 8, 8, 3], 1)));
    model.dispose();
    expect(live()).toEqual(before);
  });

  it("refuses a private branch of a plain network", async () => {
    const model = buildNetwork(TINY_PLAIN);
    const x = randomTensor([2, 8, 8, 3], 1);
    expect(() => model.forward(x, "private")).toThrow(ArgumentError);
    expect(() => model.trainingPass(x, { branches: ["private"] })).toThrow(ArgumentError);
    expect(() => model.forward(x, "passport")).toThrow(/has the branch "public", found "passport"/);
    await expect(model.credential()).rejects.toThrow(ArgumentError);
    expect(await model.readSigns()).toEqual([]);
    expect(scope(() => model.forward(x).shape)).toEqual([2, 3]);
    model.dispose();
    x.dispose();
  });
});

describe("a training pass", () => {
  // A plain convolution after the first passport layer too: both branches run through it.
  const config: ConvNetConfig = {
    ...TINY,
    layers: [
      { channels: 6, kernel: 3 },
      "pool",
      { channels: 8, kernel: 3, padding: 1 },
      { channels: 7, kernel: 1 },
      { channels: 12, kernel: 3, padding: 1, stride: 2 },
    ],
    passports: { 2: true, 4: "x" },
  };

  it.each<[string, ConvNetConfig]>([
    ["a passport layer after a trunk", config],
    ["passports from the first layer on", { ...config, passports: { 0: true, 2: true, 3: true, 4: true } }],
    ["a passport in the last layer alone", { ...config, passports: { 4: true } }],
  ])("equals two separate passes, with %s", async (_, setup) => {
    const [both, apart] = [buildNetwork(setup, { seed: 5 }), buildNetwork(setup, { seed: 5 })];
    const x = randomTensor([5, 8, 8, 3], 9);
    const y = Tensor.from(Int32Array.of(0, 1, 2, 1, 0), [5]);
    const a = scope(() => {
      const out = both.trainingPass(x);
      const [open, secret, signLoss] = [out.outputs.public!, out.outputs.private!, out.signLoss!];
      add(add(crossEntropy(open, y), crossEntropy(secret, y)), signLoss).backward();
      return { public: open, private: secret, signLoss };
    });
    const b = scope(() => {
      const [open, secret] = [apart.forward(x, "public"), apart.forward(x, "private")];
      const signs = apart
        .passportSites()
        .map(({ secret: { passport } }) => passport.signLoss(passport.gammaBeta().raw));
      const signLoss = signs.reduce((s, t) => add(s, t));
      add(add(crossEntropy(open, y), crossEntropy(secret, y)), signLoss).backward();
      return { public: open, private: secret, signLoss };
    });
    for (const what of ["public", "private", "signLoss"] as const)
      expectClose(await a[what].data(), await b[what].data(), { what });
    const [mine, theirs] = [[...both.namedTensors()], [...apart.namedTensors()]];
    for (const [i, [name, t, { kind }]] of mine.entries()) {
      if (kind === "parameter")
        expectClose(await t.grad!.data(), await theirs[i]![1].grad!.data(), { what: `gradient of ${name}` });
      else if (/features\.\d\.bn[01]\./.test(name))
        expectClose(await t.data(), await theirs[i]![1].data(), { what: name });
    }
    for (const { norm, secret } of both.passportSites())
      expect([norm, secret.norm].map((n) => (n as BatchNorm).batchesTracked)).toEqual([1, 1]);
    for (const m of [both, apart]) m.dispose();
    for (const t of [x, y, ...Object.values(a), ...Object.values(b)]) t.dispose();
  });

  it("computes the trunk once", async () => {
    const model = buildNetwork(TINY, { seed: 5 });
    scope(() => void model.trainingPass(randomTensor([2, 8, 8, 3], 1)));
    const state = await model.stateDict();
    expect(state.get("features.0.bn.num_batches_tracked")!.data[0]).toBe(1n);
    model.dispose();
  });
});
