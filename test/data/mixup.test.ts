import { describe, expect, it } from "vitest";
import { arrays, type BatchTransform, DataLoader, type HostBatch, imageSet, mixup } from "../../src/data";
import { ArgumentError, PanError, ShapeError } from "../../src/errors";
import { Generator } from "../../src/tensor/random";

const CLASSES = 4;
const set = () =>
  imageSet({
    images: Uint8Array.from({ length: 9 * 6 }, (_, i) => (i * 29) % 256),
    labels: Uint8Array.from({ length: 9 }, (_, i) => (i * i) % CLASSES),
    channels: 1,
    height: 2,
    width: 3,
    classes: ["a", "b", "c", "d"],
  });
const single = (data: Float32Array<ArrayBuffer>, targets: HostBatch["targets"]): HostBatch => ({
  inputs: { data, shape: [data.length] },
  targets,
  size: data.length,
  index: 0,
});
/** λ of a batch, read off a pair of samples 1 and 0: the first becomes λ. */
const shareOf = (mix: BatchTransform, random: Generator) =>
  (mix(single(Float32Array.of(1, 0), {}), random).inputs as { data: Float32Array }).data[0]!;

describe("mixup", () => {
  it("mixes each sample and its target with the one before, in one share per batch", async () => {
    const options = { batchSize: 4, shuffle: true, seed: 3 };
    const plain = new DataLoader(set(), options).epoch(2);
    const shares: number[] = [];
    for await (const batch of new DataLoader(set(), {
      ...options,
      batchTransform: mixup({ alpha: 0.7, classes: CLASSES }),
    }).epoch(2)) {
      const { images, labels, size } = (await plain.next()).value!;
      expect(batch.labels).toEqual(labels);
      expect(batch.images).toBe(batch.inputs.data);
      expect(batch.targets.shape).toEqual([size, CLASSES]);
      // The share, from any two neighbours that differ.
      const previous = (i: number) => (i + size - 1) % size;
      const share =
        size > 1 ? (batch.images[0]! - images[previous(0) * 6]!) / (images[0]! - images[previous(0) * 6]!) : 1;
      shares.push(share);
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < 6; j++) {
          const expected = share * images[i * 6 + j]! + (1 - share) * images[previous(i) * 6 + j]!;
          expect(Math.abs(batch.images[i * 6 + j]! - expected)).toBeLessThan(1e-5);
        }
        const wanted = new Float32Array(CLASSES);
        wanted[labels[i]!]! += share;
        wanted[labels[previous(i)]!]! += 1 - share;
        for (let c = 0; c < CLASSES; c++) {
          expect(Math.abs(batch.targets.data[i * CLASSES + c]! - wanted[c]!)).toBeLessThan(1e-5);
        }
      }
    }
    expect(shares.length).toBe(3);
    expect(Math.abs(shares[0]! - shares[1]!)).toBeGreaterThan(1e-3);
  });

  it("is the same for the same seed, epoch and batch, wherever the epoch begins", async () => {
    const make = (seed: number) =>
      new DataLoader(set(), { batchSize: 2, shuffle: true, seed, batchTransform: mixup({ classes: CLASSES }) });
    const collect = async (batches: AsyncIterable<HostBatch>) => {
      const all = [];
      for await (const { inputs, targets } of batches as AsyncIterable<never> as AsyncIterable<{
        inputs: { data: Float32Array };
        targets: { data: Float32Array };
      }>) {
        all.push([[...inputs.data], [...targets.data]]);
      }
      return all;
    };
    const whole = await collect(make(1).epoch(1));
    const loader = make(1);
    await collect(loader.epoch(0));
    expect(await collect(loader.epoch(1, 2))).toEqual(whole.slice(2));
    expect(await collect(make(2).epoch(1))).not.toEqual(whole);
    expect(await collect(loader.epoch(2))).not.toEqual(whole);
  });

  it("mixes targets of floats as they are, and all inputs of several", async () => {
    const data = arrays({
      inputs: { a: { data: Float32Array.of(0, 1, 2, 3), shape: [2, 2] }, b: { data: Float32Array.of(5, 7) } },
      targets: [{ data: Float32Array.of(10, 20) }],
    });
    const { value } = await new DataLoader(data, { batchSize: 2, batchTransform: mixup() }).epoch(0).next();
    const share = 1 - value!.inputs.a.data[0]! / 2;
    const mixed = (own: number, other: number) => share * own + (1 - share) * other;
    for (const [found, expected] of [
      [value!.inputs.a.data, [mixed(0, 2), mixed(1, 3), mixed(2, 0), mixed(3, 1)]],
      [value!.inputs.b.data, [mixed(5, 7), mixed(7, 5)]],
      [value!.targets[0]!.data, [mixed(10, 20), mixed(20, 10)]],
    ] as const) {
      for (const [i, v] of expected.entries()) expect(Math.abs(found[i]! - v)).toBeLessThan(1e-5);
    }
  });

  it.each([0.05, 0.4, 1, 3, 50])("draws its share from Beta(%d, same)", (alpha) => {
    const mix = mixup({ alpha });
    const random = new Generator(8);
    const shares = Array.from({ length: 20_000 }, (_, i) => shareOf(mix, random.fork(i)));
    expect(shares.every((share) => share >= 0 && share <= 1)).toBe(true);
    const mean = shares.reduce((a, b) => a + b) / shares.length;
    const variance = shares.reduce((a, b) => a + (b - mean) ** 2, 0) / shares.length;
    // Of Beta(α, α): mean ½, variance 1 / (4 (2α + 1)); five standard errors of each.
    const expected = 1 / (4 * (2 * alpha + 1));
    expect(Math.abs(mean - 0.5)).toBeLessThan(5 * Math.sqrt(expected / shares.length));
    expect(Math.abs(variance / expected - 1)).toBeLessThan(0.05);
    if (alpha !== 1) return;
    // Beta(1, 1) is uniform: tenths are hit as often as each other.
    const tenths = new Array<number>(10).fill(0);
    for (const share of shares) tenths[Math.min(9, Math.floor(share * 10))]!++;
    for (const hits of tenths) expect(Math.abs(hits - 2000)).toBeLessThan(5 * Math.sqrt(1800));
  });

  it.each([
    { alpha: 0 },
    { alpha: -1 },
    { alpha: Number.NaN },
    { classes: 0 },
    { lambda: 1 },
  ])("refuses %j", (options) => {
    expect(() => mixup(options as never)).toThrow(ArgumentError);
  });

  it.each<[string, HostBatch["targets"], object, new (m: string) => PanError, RegExp]>([
    ["labels without classes", { data: Int32Array.of(0, 1), shape: [2] }, {}, ArgumentError, /classes: 10/],
    ["a label too large", { data: Int32Array.of(0, 3), shape: [2] }, { classes: 3 }, ArgumentError, /below 3, got 3/],
    [
      "several labels",
      { data: Int32Array.of(0, 1), shape: [2, 1] },
      { classes: 3 },
      ShapeError,
      /one label per sample/,
    ],
  ])("refuses %s", (_, targets, options, kind, message) => {
    const run = () => mixup(options)(single(Float32Array.of(1, 2), targets), new Generator(1));
    expect(run).toThrow(kind);
    expect(run).toThrow(message);
  });

  it("refuses inputs of whole numbers", () => {
    const data = arrays({ inputs: { data: Int32Array.of(1, 2) } });
    const loader = new DataLoader(data, { batchSize: 2, batchTransform: mixup() });
    return expect(loader.epoch(0).next()).rejects.toThrow(ShapeError);
  });
});

describe("batchTransform", () => {
  it("is given general sets too, and must give inputs and targets", async () => {
    const data = arrays({ inputs: { data: Float32Array.of(1, 2) }, targets: { data: Float32Array.of(3, 4) } });
    const swap: BatchTransform = ({ inputs, targets }) => ({ inputs: targets, targets: inputs });
    const { value } = await new DataLoader(data, { batchSize: 2, batchTransform: swap }).epoch(0).next();
    expect([[...value!.inputs.data], [...value!.targets.data]]).toEqual([
      [3, 4],
      [1, 2],
    ]);
    for (const wrong of [() => undefined, () => ({}), () => 3, () => ({ inputs: {} })]) {
      const loader = new DataLoader(data, { batchSize: 2, batchTransform: wrong as never });
      await expect(loader.epoch(0).next()).rejects.toThrow(/batchTransform gives \{ inputs, targets \}/);
    }
    expect(() => new DataLoader(data, { batchSize: 2, batchTransform: 3 as never })).toThrow(PanError);
  });
});
