/** Batch norm folded into the convolutions of the network that is given away. */
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, StateDictError } from "../../src/errors";
import { buildNetwork, loadDeployed } from "../../src/models/build";
import type { ConvNetConfig } from "../../src/models/described/convnet";
import { deployedConfig, type NetworkConfig } from "../../src/models/described/network";
import { foldBatchNorm } from "../../src/models/fold";
import { memory, scope } from "../../src/tensor/storage";
import { noGrad } from "../../src/tensor/tensor";
import { fileBytes, found, headerText, scattered, stored } from "../support/bytes";
import { expectClose, gpu, randomTensor } from "../support/gpu";
import { TINY, TINY_PLAIN } from "../support/tiny";

beforeAll(async () => void (await gpu()));

const RESNET = { arch: "resnet", classes: 3, input: [8, 8, 3], blocks: [1, 1], width: 8 } as const;

/** A network whose statistics and affine maps are none that a fresh one has, some γ negative. */
async function worn(config: NetworkConfig) {
  const model = buildNetwork(config, { seed: 6 });
  const norms = /\.(bn[01]?\.[a-z_]+|scale|bias)$/;
  model.loadStateDict(scattered(await model.stateDict(), (name) => norms.test(name)));
  return model.eval();
}

describe("deployed({ foldNorm: true })", () => {
  it.each<[string, NetworkConfig]>([
    ["a plain network", TINY_PLAIN],
    [
      "strides and odd kernels",
      {
        ...TINY_PLAIN,
        layers: [
          { channels: 5, kernel: 3, stride: 2 },
          { channels: 7, kernel: 1 },
        ],
      },
    ],
    ["pan", TINY],
    ["pan, one statistic", { ...TINY, norm: "sbn" }],
    ["v2 with batch norm", { ...TINY, scheme: "v2", norm: "bn" }],
    ["a plain ResNet", { ...RESNET, scheme: "plain" }],
    ["a ResNet, passports in a shortcut", { ...RESNET, scheme: "pan", passports: { "layer2.0.shortcut": true } }],
  ])("gives the same function for %s", async (_, config) => {
    const model = await worn(config);
    const file = stored(await model.deployed({ foldNorm: true }));
    expect(deployedConfig(file)).toEqual({ ...model.network.config, norm: "folded" });
    expect([...file.tensors.keys()].filter((name) => name.includes(".bn"))).toEqual([]);
    const folded = loadDeployed(file);
    const x = randomTensor([4, 8, 8, 3], 3);
    const [a, b] = scope(() => noGrad(() => [folded.forward(x), model.forward(x, "public")]));
    const logits = await b!.data();
    expectClose(await a!.data(), logits, { rtol: 1e-4, atol: 1e-4, what: "logits" });
    expect(Math.max(...logits) - Math.min(...logits)).toBeGreaterThan(0.05);
    for (const t of [x, a!, b!]) t.dispose();
    for (const m of [model, folded]) m.dispose();
  });

  it("has nothing private in it, leaves the network as it is, and the credential too", async () => {
    const model = await worn(TINY);
    const [whole, credential] = [await model.stateDict(), await model.credential()];
    const file = fileBytes(await model.deployed({ foldNorm: true }));
    expect(found(credential.tensors, file)).toEqual([]);
    expect(["passport", "key", "sign", "private", "bn", "PAN!"].filter((w) => headerText(file).includes(w))).toEqual(
      [],
    );
    expect(await model.stateDict()).toEqual(whole);
    expect((await model.credential()).tensors).toEqual(credential.tensors);
    model.dispose();
  });

  it.each<[string, ConvNetConfig, RegExp]>([
    [
      "group norm",
      { ...TINY, scheme: "v2" },
      /batch norm alone .* features\.0 has no running statistics: leave foldNorm/,
    ],
    ["no norm", { ...TINY, norm: "none" }, /leave foldNorm out/],
    [
      "V1, whose signature it would take",
      { ...TINY, scheme: "v1" },
      /v1 cannot fold its norms: γ .* nobody could verify/,
    ],
    ["what is folded already", { ...TINY_PLAIN, norm: "folded" }, /leave foldNorm out/],
  ])("refuses %s, with advice", async (_, config, message) => {
    const model = buildNetwork(config);
    const whole = await model.deployed();
    const before = memory();
    const error = await model.deployed({ foldNorm: true }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toMatch(message);
    expect(memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
    expect(await model.deployed()).toEqual(whole);
    model.dispose();
  });
});

describe("foldBatchNorm", () => {
  const layer = {
    name: "c",
    key: "c",
    kind: "conv2d" as const,
    inChannels: 1,
    channels: 2,
    kernel: 1,
    stride: 1,
    padding: 0,
  };
  const layers = [{ ...layer, inputSize: [1, 1] as const }];
  const tensor = (shape: readonly number[], ...data: number[]) => ({
    dtype: "F32" as const,
    shape,
    data: Float32Array.from(data),
  });
  const state = () =>
    new Map([
      ["c.conv.weight", tensor([2, 1, 1, 1], 3, 5)],
      ["c.bn.weight", tensor([2], 2, -1)],
      ["c.bn.bias", tensor([2], 10, 20)],
      ["c.bn.running_mean", tensor([2], 1, 2)],
      ["c.bn.running_var", tensor([2], 4, 0.25)],
      ["classifier.bias", tensor([1], 7)],
    ]);

  it("is W·s and β − μ·s with s = γ / √(σ² + ε), by hand", () => {
    const before = state();
    const folded = foldBatchNorm(before, layers);
    expect([...folded.keys()].sort()).toEqual(["c.conv.bias", "c.conv.weight", "classifier.bias"]);
    // s = 2/2 and −1/0.5, but for ε, which changes the second by 2 · 10⁻⁵.
    const [s, t] = [2 / Math.sqrt(4 + 1e-5), -1 / Math.sqrt(0.25 + 1e-5)];
    expectClose(folded.get("c.conv.weight")!.data as Float32Array, [3 * s, 5 * t], { rtol: 2e-7, atol: 0 });
    expectClose(folded.get("c.conv.bias")!.data as Float32Array, [10 - s, 20 - 2 * t], { rtol: 2e-7, atol: 0 });
    expect(folded.get("c.conv.weight")!.shape).toEqual([2, 1, 1, 1]);
    expect(folded.get("classifier.bias")).toBe(before.get("classifier.bias"));
    expect(before).toEqual(state());
  });

  it("says what is missing", () => {
    const lacking = (name: string) => new Map([...state()].filter(([n]) => n !== name));
    expect(() => foldBatchNorm(lacking("c.bn.weight"), layers)).toThrow(StateDictError);
    expect(() => foldBatchNorm(lacking("c.conv.weight"), layers)).toThrow(/c\.conv\.weight is missing/);
    expect(() => foldBatchNorm(lacking("c.bn.running_var"), layers)).toThrow(ArgumentError);
  });
});
