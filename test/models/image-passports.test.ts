/**
 * Passports made of images: the feature maps of a plain network, whole or with their channels
 * mixed.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DataLoader } from "../../src/data/loader";
import { ArgumentError } from "../../src/errors";
import { buildNetwork, setImagePassports } from "../../src/models";
import { convNetLayers } from "../../src/models/described/convnet";
import type { Module } from "../../src/nn/module";
import { duringPass } from "../../src/nn/pass";
import { Generator } from "../../src/tensor/random";
import { keep, memory, scope } from "../../src/tensor/storage";
import { noGrad, Tensor } from "../../src/tensor/tensor";
import { gpu } from "../support/gpu";
import { mapInputs } from "../support/inputs";
import type { Network } from "../support/networks";
import { TINY, TINY_PLAIN, tinySet } from "../support/tiny";

const images = tinySet(30, 6);
let plain: Network;
let model: Network;

beforeAll(async () => {
  await gpu();
  plain = buildNetwork(TINY_PLAIN, { seed: 8 });
  model = buildNetwork({ ...TINY, scheme: "v2" }, { seed: 9 });
});
afterAll(() => {
  plain.dispose();
  model.dispose();
});

/** What the layer at `name` is given for every image, by a pass over all of them. */
async function inputsOf(name: string): Promise<{ each: number; maps: Float32Array[] }> {
  plain.eval();
  for await (const batch of new DataLoader(images, { batchSize: images.length }).epoch(0)) {
    const x = Tensor.from(batch.images, batch.shape);
    const inputs = mapInputs(plain, x);
    const all = await inputs.get(`${name}.conv`)!.data();
    for (const t of [x, ...inputs.values()]) t.dispose();
    const each = all.length / images.length;
    return { each, maps: Array.from({ length: images.length }, (_, i) => all.slice(i * each, (i + 1) * each)) };
  }
  throw new Error("no images");
}

const passportsOf = async (index: number): Promise<Float32Array[]> => {
  const { passports } = model.passportSites().find(({ name }) => name === `features.${index}.bn`)!.secret.passport;
  return Promise.all([passports.gamma.data(), passports.beta.data()]);
};

const channel = (map: Float32Array, c: number, channels: number): string =>
  map.filter((_, i) => i % channels === c).join();

describe("a pass", () => {
  it("shows the input of every map: the images to the first, maps of the right size to the others", async () => {
    for await (const batch of new DataLoader(images, { batchSize: 4 }).epoch(0)) {
      const x = Tensor.from(batch.images, batch.shape);
      const names = new Map(plain.network.namedModules().map(([name, m]) => [m, name]));
      const shown = new Map<string, [input: Tensor, output: Tensor]>();
      const mapped = (map: Module, h: Tensor, y: Tensor) =>
        void shown.set(names.get(map)!, [keep(h.detach()), keep(y.detach())]);
      scope(() => noGrad(() => void duringPass({ mapped }, () => plain.eval().network.forward(x))));
      expect([...shown].map(([name, [h, y]]) => [name, h.shape, y.shape.at(-1)])).toEqual([
        ...convNetLayers(TINY_PLAIN).map((l) => [
          `${l.name}.conv`,
          [batch.size, ...l.inputSize, l.inChannels],
          l.channels,
        ]),
        ["classifier", [batch.size, 128], 3],
      ]);
      expect([...(await shown.get("features.0.conv")![0].data())]).toEqual([...batch.images]);
      const inputs = mapInputs(plain, x);
      expect([...inputs.keys()]).toEqual([...shown.keys()]);
      for (const [name, t] of inputs) expect(await shown.get(name)![0].data(), name).toEqual(await t.data());
      for (const t of [x, ...inputs.values(), ...[...shown.values()].flat()]) t.dispose();
      break;
    }
  });
});

describe("setImagePassports", () => {
  it("takes whole feature maps of two different images", async () => {
    await setImagePassports(model, plain, images, { kind: "image", random: new Generator(1) });
    const used: number[][] = [];
    for (const index of [2, 3]) {
      const { maps } = await inputsOf(`features.${index}`);
      const found = (await passportsOf(index)).map((p) => maps.findIndex((m) => m.join() === p.join()));
      expect(found).not.toContain(-1);
      expect(found[0]).not.toBe(found[1]);
      used.push(found);
    }
    // The same two images make the passports of all layers.
    expect(used[0]).toEqual(used[1]);
  });

  it("mixes channels of 20 images: each an image's own, none taken twice", async () => {
    await setImagePassports(model, plain, images, { random: new Generator(1) });
    const { maps } = await inputsOf("features.3");
    const channels = 16;
    const where = new Map(
      maps.flatMap((m, i) => Array.from({ length: channels }, (_, c) => [channel(m, c, channels), [i, c]] as const)),
    );
    for (const passport of await passportsOf(3)) {
      const mixed = Array.from({ length: channels }, (_, c) => channel(passport, c, channels));
      expect(mixed.filter((m) => !where.has(m))).toEqual([]);
      // 16 channels of 20 candidates: every channel comes from another image. Those that are 0
      // everywhere look alike in all images.
      const alive = mixed.filter((m) => /[1-9]/.test(m));
      expect(alive.length).toBeGreaterThan(channels / 2);
      expect(new Set(alive.map((m) => where.get(m)![0])).size).toBe(alive.length);
    }
  });

  it("is the same for the same seed, another for another", async () => {
    const made = async (seed: number) => {
      await setImagePassports(model, plain, images, { random: new Generator(seed) });
      return (await passportsOf(2)).map((p) => p.join());
    };
    const first = await made(1);
    expect(await made(1)).toEqual(first);
    expect(await made(2)).not.toEqual(first);
  });

  it("changes γ, keeps the model's and the source's mode, and leaves nothing behind", async () => {
    plain.train();
    const before = { tensors: memory().tensors, gamma: (await model.readSigns())[0]!.gamma };
    await setImagePassports(model, plain, images, { random: new Generator(5) });
    expect((await model.readSigns())[0]!.gamma).not.toEqual(before.gamma);
    expect(plain.training).toBe(true);
    expect(memory().tensors).toBe(before.tensors);
  });

  it("refuses a network with passports, another architecture, too few images: nothing changes", async () => {
    const before = (await passportsOf(2)).map((p) => p.join());
    const random = new Generator(1);
    await expect(setImagePassports(model, model, images, { random })).rejects.toThrow(/made with a plain network/);
    const other = buildNetwork({
      ...TINY_PLAIN,
      layers: [{ channels: 9, kernel: 3, padding: 1 }, ...TINY.layers.slice(1)],
    });
    await expect(setImagePassports(model, other, images, { random })).rejects.toThrow(ArgumentError);
    await expect(setImagePassports(model, other, images, { random })).rejects.toThrow(
      /input of features\.2\.conv is \[4, 4, 8\] here and \[4, 4, 9\] in the other/,
    );
    await expect(setImagePassports(model, plain, tinySet(19, 1), { random })).rejects.toThrow(
      /take 20 images, found 19/,
    );
    expect((await passportsOf(2)).map((p) => p.join())).toEqual(before);
    other.dispose();
  });
});
