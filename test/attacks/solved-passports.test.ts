/** Passports solved in closed form: they pass the papers' checks, and no verdict. */
import { beforeAll, describe, expect, it } from "vitest";
import { PassportEquations, solvePassports } from "../../src/attacks";
import { ArgumentError, FormatError, StateDictError } from "../../src/errors";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, type NetworkConfig } from "../../src/models";
import { type MapLayer, placeOf } from "../../src/models/layers";
import { SGD } from "../../src/optim";
import { boundCredential, examine, newSecret, verify } from "../../src/ownership";
import type { Scheme } from "../../src/passport";
import { Generator } from "../../src/tensor/random";
import { evaluate, Trainer } from "../../src/train";
import { gpu } from "../support/gpu";
import { MARKED } from "../support/owner";
import { TINY_PLAIN, tinySet } from "../support/tiny";

beforeAll(async () => void (await gpu()));

/** avg(W * P) by plain loops over the padded input. */
function average(
  { channels, inChannels, kernel, stride, padding, inputSize }: MapLayer,
  weight: Float32Array,
  p: Float32Array,
): number[] {
  const [h, w] = inputSize as [number, number];
  const out = (n: number) => Math.floor((n + 2 * padding - kernel) / stride) + 1;
  return Array.from({ length: channels }, (_, o) => {
    let sum = 0;
    for (let y = 0; y < out(h); y++)
      for (let x = 0; x < out(w); x++)
        for (let i = 0; i < inChannels; i++)
          for (let u = 0; u < kernel; u++)
            for (let v = 0; v < kernel; v++) {
              const [row, column] = [y * stride + u - padding, x * stride + v - padding];
              if (row < 0 || row >= h || column < 0 || column >= w) continue;
              sum += weight[((o * inChannels + i) * kernel + u) * kernel + v]! * p[(i * h + row) * w + column]!;
            }
    return sum / (out(h) * out(w));
  });
}

const layer = (part: Partial<MapLayer>): MapLayer => ({
  name: "features.0",
  key: "0",
  kind: "conv2d",
  inChannels: 4,
  channels: 12,
  kernel: 3,
  stride: 1,
  padding: 1,
  inputSize: [6, 7],
  ...part,
});

describe("PassportEquations", () => {
  it.each<[string, Partial<MapLayer>]>([
    ["3×3, padded", {}],
    ["stride 2", { stride: 2 }],
    ["5×5 without padding", { kernel: 5, padding: 0 }],
    ["1×1", { kernel: 1, padding: 0, inChannels: 20 }],
    ["as many filters as taps", { channels: 36 }],
  ])("finds a passport that gives any wanted γ: %s", (_, part) => {
    const l = layer(part);
    const random = new Generator(7);
    const weight = random.fill(new Float32Array(l.channels * l.inChannels * l.kernel ** 2), "normal", 0, 0.3);
    const target = random.fill(new Float32Array(l.channels), "uniform", -2, 2);
    const found = average(l, weight, new PassportEquations(placeOf(l, 0), weight).solve(target));
    for (const [o, g] of found.entries()) expect(Math.abs(g - target[o]!)).toBeLessThan(1e-3);
  });

  it("says where there are more filters than taps", () => {
    const l = layer({ kernel: 1, padding: 0, inChannels: 4, channels: 5 });
    expect(() => new PassportEquations(placeOf(l, 0), new Float32Array(20))).toThrow(/more equations than unknowns/);
  });
});

const images = tinySet(60, 1);
const config = (scheme: Scheme): NetworkConfig => ({
  ...TINY_PLAIN,
  scheme,
  norm: scheme === "v2" ? "gn" : "bn",
  passports: { 2: true, 3: scheme === "pan" ? "EVIL" : true },
});

/** A network that somebody trained without any passport. */
async function victim(norm: "bn" | "gn"): Promise<{ file: SafetensorsFile; accuracy: number }> {
  const model = buildNetwork({ ...TINY_PLAIN, norm }, { seed: 2 });
  const optimizer = new SGD(model.parameters(), { lr: 0.02, momentum: 0.9 });
  const trainer = new Trainer(model, optimizer, { batchSize: 12 });
  for await (const _ of trainer.fit(images, { epochs: 4 }));
  const [file, accuracy] = [await model.deployed(), (await evaluate(model, images)).public!];
  optimizer.dispose();
  model.dispose();
  return { file, accuracy };
}

describe("a credential solved for a stranger's network", () => {
  it.each<Scheme>(["pan", "v1", "v2"])("passes every check of the papers, scheme %s", async (scheme) => {
    const { file, accuracy } = await victim(scheme === "v2" ? "gn" : "bn");
    expect(accuracy).toBeGreaterThan(0.5);
    const claimed = scheme === "v1" ? { passport: accuracy } : { public: accuracy, private: accuracy };
    const forged = solvePassports(file, config(scheme), { claimed });
    const found = await examine(file, forged, { test: images });
    expect(found).toMatchObject({ passes: true, bits: 48, matched: 48, decodedText: scheme === "pan" ? "EVIL" : "" });
    expect(found.accuracy[scheme === "v1" ? "passport" : "private"]).toBeCloseTo(accuracy, 5);
  });

  it("gets no verdict, and cannot be bound afterwards", async () => {
    // Wide enough that nothing but the passports keeps from binding.
    const model = buildNetwork(MARKED, { seed: 2 });
    const [file, { plan }] = [await model.deployed(), model];
    model.dispose();
    const forged = solvePassports(file, plan, { claimed: {} });
    const found = await verify(file, forged);
    expect(found).toMatchObject({ verdict: "refused", mark: null, bound: null, examination: { passes: true } });
    expect(found.sentence).toMatch(/passports solved for these very weights would match as well/);
    const binding = { statement: "mine", secret: newSecret() };
    await expect(boundCredential(forged, binding)).rejects.toThrow(FormatError);
    await expect(boundCredential(forged, binding)).rejects.toThrow(/does not come from its secret/);
  });

  it("is refused for plain claims, texts that the signs cannot spell, and other networks' weights", async () => {
    const { file } = await victim("bn");
    expect(() => solvePassports(file, { ...TINY_PLAIN })).toThrow(ArgumentError);
    expect(() => solvePassports(file, { ...TINY_PLAIN, scheme: "v1", passports: { 3: "EVIL" } })).toThrow(
      /spell no text/,
    );
    const other = new Map([...file.tensors].filter(([name]) => !name.startsWith("features.3.bn")));
    expect(() => solvePassports({ ...file, tensors: other }, config("pan"))).toThrow(StateDictError);
  });
});
