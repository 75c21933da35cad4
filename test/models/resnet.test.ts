import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import { buildNetwork, type ConvNet } from "../../src/models";
import { trunkUpdates } from "../../src/models/compat/trunk-updates";
import type { Passports } from "../../src/models/config";
import { type ResNetConfig, resNetLayers } from "../../src/models/described/resnet";
import type { ResNet } from "../../src/models/resnet";
import { imagePassports } from "../../src/passport/generators";
import { add } from "../../src/tensor/ops/elementwise";
import { crossEntropy } from "../../src/tensor/ops/loss";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { scattered } from "../support/bytes";
import { expectClose, gpu, randomTensor } from "../support/gpu";
import { mapInputs } from "../support/inputs";
import type { Network } from "../support/networks";
import { resNet9, resNet18 } from "../support/networks";
import { stateBytes, TINY } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const PLAIN: ResNetConfig = {
  arch: "resnet",
  classes: 3,
  input: [8, 8, 3],
  blocks: [1, 1],
  width: 8,
  scheme: "plain",
};

const NORM = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"].map((n) => `bn.${n}`);
const ONLY = ["key", "skey", "b", "conv.weight", ...NORM.slice(2)];

describe("names in state dicts", () => {
  /**
   * The authors' names: a stem, four stages of one block, a shortcut in all but the first stage.
   */
  const convolutions = [
    "convbnrelu_1",
    ...[1, 2, 3, 4].flatMap((stage) =>
      ["convbnrelu_1", "convbn_2", ...(stage > 1 ? ["shortcut"] : [])].map((n) => `layer${stage}.0.${n}`),
    ),
  ];
  const head = ["linear.weight", "linear.bias"];

  it.each<[string, () => Network, (convolution: string) => string[]]>([
    ["plain", () => resNet9({ width: 4 }), () => ["conv.weight", ...NORM]],
    [
      "V1 in the last stage",
      () => resNet9({ width: 4, scheme: "v1", passports: { layer4: true } }),
      (c) => (c.startsWith("layer4") ? ONLY : ["conv.weight", ...NORM]),
    ],
  ])("are the authors' for ResNet9, %s", async (_, make, parts) => {
    const model = make();
    expect(resNetLayers(model.network.config as ResNetConfig).map((l) => l.name)).toEqual(convolutions);
    const expected = convolutions.flatMap((c) => parts(c).map((part) => `${c}.${part}`)).concat(head);
    const state = await model.stateDict();
    expect([...state.keys()].sort()).toEqual(expected.sort());
    expect(state.get("linear.weight")!.shape).toEqual([10, 32]);
    const weight = state.get("layer3.0.shortcut.conv.weight")!;
    expect(weight.shape).toEqual([16, 8, 1, 1]);
    if (model.scheme === "v1") expect(state.get("layer4.0.convbn_2.key")!.shape).toEqual([1, 32, 4, 4]);
    model.dispose();
  });

  it("has a shortcut only where shapes change", () => {
    const shortcuts = (change: Partial<ResNetConfig>) =>
      resNetLayers({ ...PLAIN, ...change })
        .filter((l) => l.name.endsWith("shortcut"))
        .map(({ name, inChannels, channels, kernel, stride, padding }) => [
          name,
          [inChannels, channels, kernel, stride, padding],
        ]);
    expect(shortcuts({ blocks: [3, 2, 2] })).toEqual([
      ["layer2.0.shortcut", [8, 16, 1, 2, 0]],
      ["layer3.0.shortcut", [16, 32, 1, 2, 0]],
    ]);
    // The stem brings images to the first stage's channels, whatever they had.
    expect(shortcuts({ blocks: [2], input: [8, 8, 1] })).toEqual([]);
  });

  it("gives sizes of odd images", () => {
    const at = new Map(resNetLayers({ ...PLAIN, input: [7, 10, 3] }).map((l) => [l.name, l.inputSize]));
    expect(at.get("layer2.0.convbnrelu_1")).toEqual([7, 10]);
    expect(at.get("layer2.0.convbn_2")).toEqual([4, 5]);
    const model = buildNetwork({ ...PLAIN, input: [7, 10, 3], scheme: "pan", passports: { layer2: true } });
    const x = randomTensor([2, 7, 10, 3], 1);
    expect(scope(() => noGrad(() => model.forward(x, "private").shape))).toEqual([2, 3]);
    x.dispose();
    model.dispose();
  });

  it("has as many parameters as ResNet-18 for 10 classes", () => {
    const before = memory().bytes;
    const model = resNet18();
    expect(model.parameters().reduce((n, p) => n + p.size, 0)).toBe(11_173_962);
    expect(model.network.namedModules().filter(([name]) => name.endsWith("shortcut"))).toHaveLength(3);
    model.dispose();
    expect(memory().bytes).toBe(before);
  });
});

describe("seeds", () => {
  const config: ResNetConfig = { ...PLAIN, scheme: "pan", passports: { layer2: true } };

  it("make the same network again, another for another seed", async () => {
    const made = [3, 3, 4].map((seed) => buildNetwork(config, { seed }));
    const [a, again, b] = await Promise.all(made.map(stateBytes));
    expect(again).toEqual(a);
    expect(b).not.toEqual(a);
    const [one, other] = [await made[0]!.stateDict(), await made[2]!.stateDict()];
    for (const name of [
      "convbnrelu_1.conv.weight",
      "layer2.0.shortcut.key_private",
      "layer2.0.convbn_2.b",
      "linear.bias",
    ])
      expect(one.get(name)!.data, name).not.toEqual(other.get(name)!.data);
    for (const m of made) m.dispose();
  });

  it("give no two convolutions of one shape the same weights", async () => {
    const model = buildNetwork({ ...PLAIN, blocks: [3] });
    const state = await model.stateDict();
    const weights = [...state].filter(([n]) => n.startsWith("layer1.") && n.endsWith("conv.weight"));
    expect(weights).toHaveLength(6);
    expect(new Set(weights.map(([, t]) => t.data.slice(0, 4).join())).size).toBe(6);
    model.dispose();
  });

  it("are what the ready-made networks hand on", async () => {
    const options = { width: 4, classes: 3, input: [8, 8, 3] } as const;
    const [a, b, c] = [resNet9({ ...options, seed: 1 }), resNet9({ ...options, seed: 1 }), resNet9(options)];
    expect(await stateBytes(a)).toEqual(await stateBytes(b));
    expect(await stateBytes(a)).not.toEqual(await stateBytes(c));
    expect(a.network.config).not.toHaveProperty("seed");
    for (const m of [a, b, c]) m.dispose();
  });
});

describe("a training pass", () => {
  it.each<[string, Passports]>([
    ["passports in the second stage alone", { layer2: true }],
    ["a passport in a shortcut alone", { layer2: { 0: { shortcut: true } } }],
    ["a passport beside a shortcut", { layer2: { 0: { convbn_2: true } } }],
    ["passports from the stem on", { convbnrelu_1: true, layer1: true }],
  ])("equals two separate passes, with %s", async (_, passports) => {
    const config: ResNetConfig = { ...PLAIN, scheme: "v2", passports };
    const [both, apart] = [buildNetwork(config, { seed: 5 }), buildNetwork(config, { seed: 5 })];
    const x = randomTensor([3, 8, 8, 3], 9);
    const y = Tensor.from(Int32Array.of(0, 1, 2), [3]);
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
    expect(await a.public.data()).not.toEqual(await a.private.data());
    const theirs = new Map([...apart.namedTensors()].map(([name, t]) => [name, t]));
    for (const [name, t, { kind }] of both.namedTensors())
      if (kind === "parameter")
        expectClose(await t.grad!.data(), await theirs.get(name)!.grad!.data(), { what: `gradient of ${name}` });
    for (const m of [both, apart]) m.dispose();
    for (const t of [x, y, ...Object.values(a), ...Object.values(b)]) t.dispose();
  });

  it.each([
    [1, { layer2: true }, { stem: 1n, first: 1n, second: 0n, shortcut: 0n }],
    [2, { layer2: true }, { stem: 2n, first: 2n, second: 0n, shortcut: 0n }],
    // What both branches run through for themselves is counted once for each.
    [2, { layer1: true }, { stem: 2n, first: 0n, second: 2n, shortcut: 2n }],
    // What lies beside a passport layer runs once, and counts as what is shared.
    [2, { layer2: { 0: { shortcut: true } } }, { stem: 2n, first: 2n, second: 2n, shortcut: 0n }],
  ] as const)("computes the trunk once and counts it %i times, with %j", async (updates, passports, counts) => {
    const model = buildNetwork({ ...PLAIN, scheme: "pan", passports }, { seed: 5 });
    scope(() => void model.trainingPass(randomTensor([2, 8, 8, 3], 1), { aroundTrunk: trunkUpdates(updates) }));
    const state = await model.stateDict();
    const tracked = (name: string) => state.get(`${name}.bn.num_batches_tracked`)?.data[0] ?? 0n;
    expect({
      stem: tracked("convbnrelu_1"),
      first: tracked("layer1.0.convbn_2"),
      second: tracked("layer2.0.convbn_2"),
      shortcut: tracked("layer2.0.shortcut"),
    }).toEqual(counts);
    model.dispose();
  });

  it("runs the branches asked for alone", async () => {
    const model = buildNetwork({ ...PLAIN, scheme: "pan", passports: { layer2: true } }, { seed: 5 });
    const x = randomTensor([2, 8, 8, 3], 1);
    const open = scope(() => model.trainingPass(x, { branches: ["public"] }));
    expect(Object.keys(open.outputs)).toEqual(["public"]);
    expect(open.signLoss).toBeNull();
    const secret = scope(() => model.trainingPass(x, { branches: ["private"] }));
    expect(Object.keys(secret.outputs)).toEqual(["private"]);
    let [hinge, squares] = [0, 0];
    for (const { gamma, bits } of await model.readSigns())
      for (const [i, g] of gamma.entries()) {
        hinge += Math.max(0.1 - g * bits[i]!, 0);
        squares += g * g;
      }
    expectClose([await secret.signLoss!.item()], [0.1 * hinge + 1e-5 * squares], { what: "sign loss" });
    expect(() => model.trainingPass(x, { branches: [] })).toThrow(/found "none"/);
    expect(() => model.trainingPass(x, { branches: ["passport"] })).toThrow(ArgumentError);
    for (const t of [x, open.outputs.public!, secret.outputs.private!, secret.signLoss!]) t.dispose();
    model.dispose();
  });
});

describe("what the maps are given", () => {
  const inputsOf = async (model: Network, x: Tensor, branch?: "public" | "private") => {
    const inputs = mapInputs(model, x, branch);
    const read = new Map<string, { shape: readonly number[]; data: Float32Array<ArrayBuffer> }>();
    for (const [name, t] of inputs) read.set(name, { shape: t.shape, data: await t.data() });
    for (const t of inputs.values()) t.dispose();
    return read;
  };

  it("is what running the first layers of a ResNet by hand gives", async () => {
    const model = buildNetwork({ ...PLAIN, scheme: "pan", passports: { layer2: true } }, { seed: 2 }).eval();
    model.loadStateDict(scattered(await model.stateDict(), (name) => name.includes("running")));
    const x = randomTensor([3, 8, 8, 3], 7);
    const before = memory();
    const open = await inputsOf(model, x);
    expect(memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
    const order = (names: Iterable<string>) => [...names].sort();
    const layers = resNetLayers(PLAIN);
    expect(order(open.keys())).toEqual(order(["linear", ...layers.map((l) => `${l.name}.conv`)]));
    for (const { name, inputSize, inChannels } of layers)
      expect(open.get(`${name}.conv`)!.shape, name).toEqual([3, ...inputSize, inChannels]);
    const [stem, inner, block] = scope(() =>
      noGrad(() => {
        const network = model.network as ResNet;
        const stem = network.stem.forward(x);
        const { first, second } = network.stages[0]![0]!;
        const inner = first.forward(stem);
        return [stem, inner, add(second.forward(inner), stem)];
      }),
    );
    expect([...open.get("convbnrelu_1.conv")!.data]).toEqual([...(await x.data())]);
    expect([...open.get("layer1.0.convbnrelu_1.conv")!.data]).toEqual([...(await stem!.data())]);
    expect([...open.get("layer1.0.convbn_2.conv")!.data]).toEqual([...(await inner!.data())]);
    expect([...open.get("layer2.0.convbnrelu_1.conv")!.data]).toEqual([...(await block!.data())]);
    expect(open.get("layer2.0.shortcut.conv")).toEqual(open.get("layer2.0.convbnrelu_1.conv"));
    const secret = await inputsOf(model, x, "private");
    expect(secret.get("layer2.0.convbnrelu_1.conv")).toEqual(open.get("layer2.0.convbnrelu_1.conv"));
    expect(secret.get("layer2.0.convbn_2.conv")!.data).not.toEqual(open.get("layer2.0.convbn_2.conv")!.data);
    for (const t of [x, stem!, inner!, block!]) t.dispose();
    model.dispose();
  });

  it("is a passport of a chain's layers", async () => {
    const model = buildNetwork(TINY, { seed: 2 }).eval();
    const x = randomTensor([2, 8, 8, 3], 7);
    const inputs = await inputsOf(model, x);
    expect([...inputs.keys()]).toEqual(["features.0.conv", "features.2.conv", "features.3.conv", "classifier"]);
    const third = scope(() =>
      noGrad(() => (model.network as ConvNet).features.slice(0, 3).reduce<Tensor>((h, f) => f.forward(h), x)),
    );
    expect([...inputs.get("features.3.conv")!.data]).toEqual([...(await third.data())]);
    const before = (await model.readSigns())[1]!.gamma;
    const { shape, data } = inputs.get("features.3.conv")!;
    const [gamma, beta] = imagePassports(data, shape);
    model.passportSites()[1]!.secret.passport.setPassports({ gamma: gamma!, beta: beta! });
    expect((await model.readSigns())[1]!.gamma).not.toEqual(before);
    for (const t of [x, third]) t.dispose();
    model.dispose();
  });

  it("refuses a branch that is not there", () => {
    const model = buildNetwork(PLAIN);
    const x = randomTensor([1, 8, 8, 3], 7);
    const before = memory().tensors;
    expect(() => model.forward(x, "private")).toThrow(ArgumentError);
    expect(memory().tensors).toBe(before);
    x.dispose();
    model.dispose();
  });
});
