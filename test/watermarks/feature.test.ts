/**
 * The feature watermark: its loss and gradient against plain computations, embedding, reading,
 * files.
 */

import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, FormatError, StateDictError } from "../../src/errors";
import { toFloat32 } from "../../src/io/host-tensor";
import { decodeSafetensors, encodeSafetensors } from "../../src/io/safetensors";
import { buildNetwork } from "../../src/models";
import type { ConvNetConfig } from "../../src/models/described/convnet";
import { SGD } from "../../src/optim/sgd";
import { memory, scope } from "../../src/tensor/storage";
import { Trainer } from "../../src/train";
import { FeatureWatermark, type FeatureWatermarkOptions } from "../../src/watermarks";
import { expectClose, gpu } from "../support/gpu";
import { TINY, TINY_PLAIN, tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

/** The second convolution: 8 to 16 channels by 3×3, so 72 features. */
const LAYER = "features.2";
const [O, I, K] = [16, 8, 3];
const M = I * K * K;

async function marked(bits: number | number[], options: Partial<FeatureWatermarkOptions> = {}, config = TINY_PLAIN) {
  const model = buildNetwork(config, { seed: 4 });
  const mark = await FeatureWatermark.create({ model, layer: LAYER, bits, seed: 7, ...options });
  return { model, mark };
}

/** σ(X·w̄) of a weight in PyTorch's order [O, I, kH, kW], and w̄'s features. */
function plainOutputs(x: Float32Array, weight: Float32Array): { z: number[]; y: number[] } {
  const mean = Array.from({ length: M }, (_, m) => {
    let sum = 0;
    for (let o = 0; o < O; o++) sum += weight[o * M + m]!;
    return sum / O;
  });
  const z = Array.from({ length: x.length / M }, (_, j) => mean.reduce((s, w, m) => s + w * x[j * M + m]!, 0));
  return { z, y: z.map((v) => 1 / (1 + Math.exp(-v))) };
}

describe("the loss", () => {
  it.each<[string, ConvNetConfig, string]>([
    ["a plain layer", TINY_PLAIN, `${LAYER}.conv.weight`],
    ["one with a passport", TINY, `${LAYER}.weight`],
  ])("%s: −λ·Σ [b log y + (1 − b) log(1 − y)], y = σ(X·w̄), and its gradient towards W", async (_, config, name) => {
    const { model, mark } = await marked(11, { lambda: 0.3 }, config);
    const { x, bits } = mark;
    expect(x.length).toBe(11 * M);
    const weight = toFloat32((await model.stateDict()).get(name)!);
    const { y } = plainOutputs(x, weight);
    const expected = y.reduce((s, v, j) => s - 0.3 * (bits[j] ? Math.log(v) : Math.log(1 - v)), 0);
    const loss = scope(() => {
      const l = mark.loss(model);
      l.backward();
      return l;
    });
    expect(loss.shape).toEqual([]);
    expectClose([await loss.item()], [expected], { what: "loss" });
    const tensor = [...model.namedTensors()].find(([n]) => n === name)![1];
    // The network's own order is [kH, kW, I, O].
    const gradient = Array.from({ length: O * M }, (_, at) => {
      const i = Math.floor(at / O) % I;
      const place = Math.floor(at / (O * I));
      const column = i * K * K + place;
      return y.reduce((s, v, j) => s + (0.3 * (v - bits[j]!) * x[j * M + column]!) / O, 0);
    });
    expectClose(await tensor.grad!.data(), gradient, { what: "gradient" });
    for (const t of [loss, mark, model]) t.dispose();
  });

  it("keeps X on the device until it is disposed, and only once", async () => {
    const { model, mark } = await marked(8);
    const before = memory().tensors;
    const twice = () => scope(() => [mark.loss(model), mark.loss(model)].forEach((l) => void l.dispose()));
    twice();
    expect(memory().tensors).toBe(before + 2);
    mark.dispose();
    mark.dispose();
    twice();
    expect(memory().tensors).toBe(before + 2);
    mark.dispose();
    expect(memory().tensors).toBe(before);
    model.dispose();
  });
});

describe("embedding", () => {
  it("in training reaches every bit; an unmarked network, and another secret, match about half", async () => {
    const { model, mark } = await marked(32, { lambda: 0.05 });
    const others = await Promise.all(
      Array.from({ length: 12 }, (_, seed) => FeatureWatermark.create({ model, layer: LAYER, bits: 32, seed })),
    );
    const share = async () => {
      const read = await Promise.all(others.map((o) => o.read(model)));
      return read.reduce((s, r) => s + r.matched, 0) / (32 * others.length);
    };
    const chance = await share();
    const start = await mark.read(model);
    expect(start.matched).toBeLessThan(28);
    const optimizer = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
    const trainer = new Trainer(model, optimizer, { batchSize: 12, seed: 5, regularizer: (m) => mark.loss(m) });
    for await (const _ of trainer.fit(tinySet(120, 1), { epochs: 6 }));
    const { steps } = trainer.history;
    expect(steps[steps.length - 1]!.regularizerLoss).toBeLessThan(0.5 * steps[0]!.regularizerLoss!);
    const found = await mark.read(model);
    expect(found).toMatchObject({ bits: 32, matched: 32 });
    expect(found.pValue).toBeCloseTo(2 ** -32, 15);
    // Four standard deviations of 384 fair coins.
    for (const half of [chance, await share()]) expect(Math.abs(half - 0.5)).toBeLessThan(0.1);

    const { tensors } = await model.deployed();
    const read = await mark.read(tensors);
    expectClose([...read.features], plainOutputs(mark.x, toFloat32(tensors.get(`${LAYER}.conv.weight`)!)).z);
    expect(read).toEqual(found);
    for (const t of [optimizer, mark, model]) t.dispose();
  });

  it("a feature of 0 matches neither bit", async () => {
    const { model, mark } = await marked([0, 1, 1, 0]);
    const tensors = (await model.deployed()).tensors;
    const weight = tensors.get(`${LAYER}.conv.weight`)!;
    tensors.set(`${LAYER}.conv.weight`, { ...weight, data: new Float32Array(weight.data.length) });
    expect(await mark.read(tensors)).toMatchObject({ bits: 4, matched: 0, pValue: 1 });
    model.dispose();
  });
});

describe("the secret", () => {
  it("is the same from the same seed, another from another, and has the bits that were given", async () => {
    const { model, mark } = await marked([1, 0, 0, 1, 1]);
    const again = await FeatureWatermark.create({
      model: (await model.deployed()).tensors,
      layer: LAYER,
      bits: 5,
      seed: 7,
    });
    const other = await FeatureWatermark.create({ model, layer: LAYER, bits: 5, seed: 8 });
    expect([...mark.bits]).toEqual([1, 0, 0, 1, 1]);
    expect(again.x).toEqual(mark.x);
    expect(other.x).not.toEqual(mark.x);
    const variance = mark.x.reduce((s, v) => s + v * v, 0) / mark.x.length;
    expect(Math.abs(variance - 1)).toBeLessThan(0.25);
    model.dispose();
  });

  it("survives a file, and reads the same", async () => {
    const { model, mark } = await marked(9, { lambda: 0.25 });
    const { tensors, metadata } = mark.toFile();
    const loaded = FeatureWatermark.from(decodeSafetensors(encodeSafetensors(tensors, metadata)));
    expect(loaded.x).toEqual(mark.x);
    expect(loaded.bits).toEqual(mark.bits);
    expect([loaded.layer, loaded.lambda]).toEqual([LAYER, 0.25]);
    expect(await loaded.read(model)).toEqual(await mark.read(model));
    model.dispose();
  });

  it("is refused from a file that is something else", async () => {
    const { model, mark } = await marked(4);
    const file = mark.toFile();
    const x = file.tensors.get("x")!;
    const broken = [
      await model.deployed(),
      { ...file, tensors: new Map([["x", x]]) },
      { ...file, tensors: new Map(file.tensors).set("bits", { dtype: "U8", shape: [3], data: new Uint8Array(3) }) },
      {
        ...file,
        tensors: new Map(file.tensors).set("bits", { dtype: "U8", shape: [4], data: Uint8Array.of(0, 1, 2, 0) }),
      },
      { ...file, tensors: new Map(file.tensors).set("x", { ...x, shape: [4, M] }) },
      { ...file, metadata: { ...file.metadata, lambda: "many" } },
      { ...file, metadata: { ...file.metadata, layer: "" } },
    ] as Parameters<typeof FeatureWatermark.from>[0][];
    for (const b of broken) expect(() => FeatureWatermark.from(b)).toThrow(FormatError);
    model.dispose();
  });

  it.each<[string, Partial<FeatureWatermarkOptions>, RegExp]>([
    [
      "a layer that is none",
      { layer: "features.1" },
      /features\.0\.conv, features\.2\.conv, features\.3\.conv\), found "features\.1"/,
    ],
    ["the classifier", { layer: "classifier" }, /found "classifier"/],
    ["no bits", { bits: 0 }, /found 0/],
    ["an empty list", { bits: [] }, /found none/],
    ["bits of two signs", { bits: [1, -1] }, /found -1/],
    ["half a bit", { bits: 1.5 }, /found 1.5/],
    ["a λ of 0", { lambda: 0 }, /lambda: .* found 0/],
    ["a seed below 0", { seed: -1 }, /seed/],
  ])("is refused for %s", async (_, options, message) => {
    const model = buildNetwork(TINY_PLAIN);
    const error = await FeatureWatermark.create({ model, layer: LAYER, bits: 4, seed: 1, ...options }).catch((e) => e);
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error.message).toMatch(message);
    model.dispose();
  });

  it("is refused by a network of other shapes or names", async () => {
    const { model, mark } = await marked(4);
    const other = buildNetwork({
      ...TINY_PLAIN,
      layers: [{ channels: 4, kernel: 3 }, "pool", { channels: 16, kernel: 3 }],
    });
    expect(() => scope(() => mark.loss(other))).toThrow(/\[8, 3, 3\]; those of layer "features.2" are \[4, 3, 3\]/);
    await expect(mark.read(other)).rejects.toThrow(StateDictError);
    await expect(mark.read(new Map())).rejects.toThrow(/layer "features.2" expected .* here are none/);
    expect(() => mark.withX(new Float32Array(3))).toThrow(/288 entries expected, found 3/);
    for (const m of [model, other]) m.dispose();
  });
});
