/** Disguised networks compute the same and hide their signature; realigned ones show it again. */
import { beforeAll, describe, expect, it } from "vitest";
import { disguise } from "../../src/attacks";
import { ArgumentError, FormatError, StateDictError } from "../../src/errors";
import { toFloat32 } from "../../src/io/host-tensor";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { buildNetwork, type NetworkConfig } from "../../src/models";
import type { Module } from "../../src/nn/module";
import { manualSeed } from "../../src/nn/random";
import { examine, realign } from "../../src/ownership";
import { type Protected, protect } from "../../src/passport";
import { Generator } from "../../src/tensor/random";
import type { Tensor } from "../../src/tensor/tensor";
import { scattered, stored } from "../support/bytes";
import { expectClose, gpu } from "../support/gpu";
import { logits, outputs } from "../support/logits";
import type { Network } from "../support/networks";
import { TINY } from "../support/tiny";
import { MobileNet, UNet, ViT } from "../support/varied";

beforeAll(async () => void (await gpu()));

const CHAIN: NetworkConfig = {
  ...TINY,
  layers: [{ channels: 16, kernel: 3, padding: 1 }, "pool", { channels: 32, kernel: 3 }, { channels: 64, kernel: 1 }],
  passports: { 2: true, 3: true },
};
const RESNET: NetworkConfig = {
  arch: "resnet",
  classes: 3,
  input: [8, 8, 3],
  blocks: [1, 1],
  width: 16,
  scheme: "pan",
  passports: { layer2: true },
};

/**
 * A network with scattered weights and statistics whose bits are the signs of its γ: all of
 * them match.
 */
async function claimed(
  config: NetworkConfig,
): Promise<{ deployed: SafetensorsFile; credential: SafetensorsFile; model: Network }> {
  const model = buildNetwork(config, { seed: 3 });
  model.loadStateDict(scattered(await model.stateDict()));
  model.eval();
  return { deployed: await model.deployed(), credential: await claim(model), model };
}

/** A credential whose bits are the signs of γ. */
async function claim(model: Protected): Promise<SafetensorsFile> {
  const credential = await model.credential();
  const tensors = new Map(credential.tensors);
  for (const { name, gamma } of await model.readSigns())
    tensors.set(`${name}.passport.b`, {
      dtype: "F32",
      shape: [gamma.length],
      data: gamma.map((g) => (g > 0 ? 1 : -1)),
    });
  return { ...credential, tensors };
}

const OPTIONS = {
  "another order": { permute: true },
  "scaled channels": { permute: false, scale: 4 },
  "scaled filters": { permute: false, filterScale: 4 },
  "negated filters": { permute: false, negate: 0.5 },
  "all of it": { permute: true, scale: 3, filterScale: 3, negate: 0.5 },
};

describe.each<[string, NetworkConfig]>([
  ["a chain", CHAIN],
  ["a ResNet", RESNET],
])("%s", (_, config) => {
  it.each(Object.entries(OPTIONS))("computes the same with %s, and shows its signature again", async (_, options) => {
    const { deployed, credential, model } = await claimed(config);
    const bits = (await examine(deployed, credential)).bits;
    expect((await examine(deployed, credential)).matched).toBe(bits);
    const hidden = disguise(deployed, { ...options, seed: 1 });
    expectClose(await logits(hidden), await logits(deployed), { rtol: 2e-3, atol: 2e-3 });
    const { aligned, layers } = realign(hidden, deployed);
    for (const l of layers) expect(l.similarity).toBeGreaterThan(0.9999);
    expect((await examine(aligned, credential)).matched).toBe(bits);
    expectClose(await logits(aligned), await logits(deployed), { rtol: 2e-3, atol: 2e-3 });
    model.dispose();
  });
});

it("negated filters turn bits, in whole groups of group norm and whole layers of layer norm, and compute the same to the bit", async () => {
  // Of 16, 32 and 64 channels; group norm has 1, 2 and 4 groups of them.
  const negated = { bn: 56, in: 56, gn: 64, gn1: 112, ln: 112 } as const;
  for (const norm of ["bn", "gn", "gn1", "ln", "in"] as const) {
    const { deployed, credential, model } = await claimed({ ...CHAIN, norm });
    const share = norm === "ln" || norm === "gn1" ? 1 : 0.5;
    const hidden = disguise(deployed, { permute: false, negate: share, seed: 2 });
    expect((await examine(hidden, credential)).matched).toBe(96 * (1 - share));
    expect(await logits(hidden)).toEqual(await logits(deployed));
    const found = await examine(hidden, credential, { reference: deployed });
    expect(found.matched).toBe(96);
    expect(found.reasons.join("\n")).toContain(` and ${negated[norm]} were negated`);
    model.dispose();
  }
});

it("shuffled channels hide a signature, and leave order within groups to group norm", async () => {
  for (const norm of ["bn", "gn"] as const) {
    const { deployed, credential, model } = await claimed({ ...CHAIN, norm });
    const hidden = disguise(deployed, { seed: 2 });
    const found = await examine(hidden, credential);
    expect(found.matched).toBeLessThan(75);
    expect(found.passes).toBe(false);
    expectClose(await logits(hidden), await logits(deployed), { rtol: 1e-3, atol: 1e-3 });
    expect((await examine(realign(hidden, deployed).aligned, credential)).matched).toBe(96);
    model.dispose();
  }
});

it("is undone on a changed copy too", async () => {
  const { deployed, credential, model } = await claimed(CHAIN);
  const random = new Generator(5);
  const noisy = new Map(
    [...deployed.tensors].map(([name, t]) =>
      name.endsWith("conv.weight")
        ? [
            name,
            { ...t, dtype: "F32" as const, data: Float32Array.from(toFloat32(t), (v) => v + random.normal(0, 0.02)) },
          ]
        : [name, t],
    ),
  );
  const hidden = disguise({ ...deployed, tensors: noisy }, { scale: 3, seed: 6 });
  const found = await examine(realign(hidden, deployed).aligned, credential);
  expect(found.matched).toBeGreaterThan(80);
  expect(found.passes).toBe(true);
  model.dispose();
});

it("makes no signature out of an unrelated network", async () => {
  const { deployed, credential, model } = await claimed(CHAIN);
  const other = buildNetwork({ ...CHAIN, scheme: "plain", passports: {} }, { seed: 77 });
  const { aligned, layers } = realign(await other.deployed(), deployed);
  for (const l of layers) expect(l.similarity).toBeLessThan(0.7);
  expect(layers.some((l) => l.copied)).toBe(false);
  // Nothing was put back, so nothing leans towards the owner's bits.
  expect(aligned.tensors).toEqual((await other.deployed()).tensors);
  const found = await examine(await other.deployed(), credential, { reference: deployed });
  expect(found.passes).toBe(false);
  expect(found.reasons.join("\n")).toMatch(/are not like the owner's/);
  for (const m of [model, other]) m.dispose();
});

it("scales up and down, from 1/s to s", async () => {
  const { deployed, model } = await claimed(CHAIN);
  model.dispose();
  for (const [options, name] of [
    [{ scale: 4 }, "features.2.bn.weight"],
    [{ filterScale: 4 }, "features.2.bn.running_mean"],
  ] as const) {
    const hidden = disguise(deployed, { ...options, permute: false, seed: 1 });
    const [was, is] = [deployed, hidden].map(({ tensors }) => [...(tensors.get(name)!.data as Float32Array)]);
    const steps = is!.map((v, i) => Math.log(v / was![i]!) / Math.log(4)).sort((a, b) => a - b);
    // Of 32 numbers uniform in [−1, 1) the ends are near those.
    expect(steps[0]).toBeGreaterThanOrEqual(-1 - 1e-6);
    expect(steps[0]).toBeLessThan(-0.7);
    expect(steps[31]).toBeGreaterThan(0.7);
    expect(steps[31]).toBeLessThanOrEqual(1 + 1e-6);
  }
});

it("refuses scales below 1, filters without batch norm, another structure", async () => {
  const { deployed, model } = await claimed({ ...CHAIN, norm: "gn" });
  expect(() => disguise(deployed, { scale: 0.5 })).toThrow(ArgumentError);
  expect(() => disguise(deployed, { negate: 1.5 })).toThrow(ArgumentError);
  expect(() => realign(deployed, deployed, { least: 2 })).toThrow(ArgumentError);
  expect(() => disguise(deployed, { filterScale: 2 })).toThrow(/batch norm alone/);
  const other = await claimed(RESNET);
  expect(() => realign(other.deployed, deployed)).toThrow(StateDictError);
  for (const m of [model, other.model]) m.dispose();
});

it("is undone for filters of more values than a call takes arguments", async () => {
  const layer = { channels: 2, kernel: 1 };
  const model = buildNetwork({ classes: 2, input: [1, 1, 200_000], layers: [layer, layer], scheme: "plain" });
  const deployed = await model.deployed();
  model.dispose();
  const { aligned, layers } = realign(deployed, deployed);
  expect(layers.map(({ copied, moved }) => [copied, moved])).toEqual(Array(layers.length).fill([true, 0]));
  expect(toFloat32(aligned.tensors.get("features.0.conv.weight")!)).toEqual(
    toFloat32(deployed.tensors.get("features.0.conv.weight")!),
  );
});

describe("networks of one's own", () => {
  const seeded = <T>(seed: number, make: () => T): T => {
    manualSeed(seed);
    return make();
  };
  const sample = [1, 8, 8, 3];

  const outputsOf = (network: Module & { forward(x: Tensor): Tensor }, file: SafetensorsFile) => {
    network.loadStateDict(file.tensors);
    return outputs(network, [2, 8, 8, 3]);
  };

  /** Every tensor of a file near that of another. */
  function expectAlike(actual: SafetensorsFile, expected: SafetensorsFile): void {
    for (const [name, t] of expected.tensors)
      if (t.dtype === "F32")
        expectClose(toFloat32(actual.tensors.get(name)!), toFloat32(t), { rtol: 1e-3, atol: 1e-5 });
  }

  it.each<[string, () => MobileNet | UNet]>([
    ["depthwise and grouped convolutions", () => new MobileNet()],
    ["skips, group and instance norms", () => new UNet()],
  ])("are disguised, and read again from the credential alone: %s", async (_, make) => {
    const network = seeded(1, make);
    const owned = protect(network, { scheme: "pan", at: true, sample });
    owned.loadStateDict(scattered(await owned.stateDict()));
    const [deployed, credential] = [await owned.deployed(), stored(await claim(owned))];
    const options = { scale: 2, filterScale: network instanceof MobileNet ? 2 : 1, negate: 0.5, seed: 1 };
    const hidden = disguise(deployed, options, { model: make, sample });
    expect(disguise(deployed, options, { channels: owned.channels! }).tensors).toEqual(hidden.tensors);
    const { bits, matched } = await examine(deployed, credential);
    expect(matched).toBe(bits);
    expect((await examine(hidden, credential)).matched).toBeLessThan(0.8 * bits);
    const found = await examine(hidden, credential, { reference: deployed });
    expect(found.matched).toBe(bits);
    const { aligned, layers } = realign(hidden, deployed, {}, { channels: owned.channels! });
    for (const l of layers) expect([l.name, l.copied, l.similarity > 0.999]).toEqual([l.name, true, true]);
    expectAlike(aligned, deployed);
    const plain = await outputsOf(network, deployed);
    const most = Math.max(...plain.map(Math.abs));
    expectClose(await outputsOf(network, hidden), plain, { rtol: 2e-3, atol: 1e-3 * most });
    owned.dispose();
  });

  it("are put back head by head", async () => {
    const network = seeded(1, () => new ViT());
    network.loadStateDict(scattered(await network.stateDict()));
    const deployed: SafetensorsFile = { tensors: await network.stateDict(), metadata: {} };
    const source = { model: network, sample };
    const hidden = disguise(deployed, { scale: 2, negate: 0.5, seed: 3 }, source);
    const before = await outputsOf(network, deployed);
    const most = Math.max(...before.map(Math.abs));
    expectClose(await outputsOf(network, hidden), before, { rtol: 1e-3, atol: 1e-3 * most });
    const { aligned, layers } = realign(hidden, deployed, {}, source);
    expect(layers.find((l) => l.name === "block.qkv")!.moved).toBeGreaterThan(12);
    expectAlike(aligned, deployed);
    network.dispose();
  });

  it("are left alone where they are strangers'", async () => {
    const owned = protect(
      seeded(1, () => new MobileNet()),
      { scheme: "pan", at: true, sample },
    );
    const [deployed, credential] = [await owned.deployed(), await claim(owned)];
    for (const seed of [2, 3, 4]) {
      const other = seeded(seed, () => new MobileNet());
      const theirs: SafetensorsFile = { tensors: await other.stateDict(), metadata: {} };
      const { aligned, layers } = realign(theirs, deployed, {}, { channels: owned.channels! });
      expect(layers.filter((l) => l.copied)).toEqual([]);
      expect(aligned.tensors).toEqual(theirs.tensors);
      expect((await examine(theirs, credential, { reference: deployed })).passes).toBe(false);
      other.dispose();
    }
    owned.dispose();
  });

  it("have to say which channels hang together", async () => {
    const owned = protect(
      seeded(1, () => new UNet()),
      { scheme: "pan", at: true, sample },
    );
    const deployed = await owned.deployed();
    const credential = await claim(owned);
    expect(() => disguise(deployed)).toThrow(FormatError);
    expect(() => realign(deployed, deployed)).toThrow(/say which channels hang together/);
    for (const source of [null, {}, { channels: 3 }, { model: 3, sample }, { model: () => 3, sample }])
      expect(() => disguise(deployed, {}, source as never)).toThrow(ArgumentError);
    const { channels, ...metadata } = credential.metadata;
    expect(JSON.parse(channels!)).toEqual(owned.channels);
    const silent = { ...credential, metadata };
    await expect(examine(deployed, silent, { reference: deployed })).rejects.toThrow(/does not say which channels/);
    const damaged = { ...credential, metadata: { ...metadata, channels: '{"groups":[{"units":-1}],"factors":[]}' } };
    await expect(examine(deployed, damaged)).rejects.toThrow(FormatError);
    owned.dispose();
  });
});
