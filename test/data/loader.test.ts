import { describe, expect, it } from "vitest";
import {
  type Batch,
  DataLoader,
  type ImageSet,
  type ImageTransform,
  imageSet,
  type PixelTransform,
  randomCrop,
  randomHorizontalFlip,
} from "../../src/data";
import { ArgumentError, FormatError } from "../../src/errors";

/** n images of 1 × 2 × 2 whose pixels and label tell which one it is. */
function numbered(n: number): ImageSet {
  return imageSet({
    images: Uint8Array.from({ length: n * 4 }, (_, i) => i),
    labels: Int32Array.from({ length: n }, (_, i) => i),
    channels: 1,
    height: 2,
    width: 2,
    classes: Array.from({ length: n }, (_, i) => `c${i}`),
  });
}

type Copy = { images: number[]; labels: number[]; size: number; shape: readonly number[]; index: number };
const copy = ({ images, labels, size, shape, index }: Batch): Copy => ({
  images: [...images],
  labels: [...labels],
  size,
  shape,
  index,
});

async function collect(batches: AsyncIterable<Batch>): Promise<Copy[]> {
  const out: Copy[] = [];
  for await (const batch of batches) out.push(copy(batch));
  return out;
}
const labels = (batches: Copy[]) => batches.flatMap((batch) => batch.labels);
const augment: ImageTransform[] = [randomCrop({ padding: 2 }), randomHorizontalFlip()];
const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 5));

describe("DataLoader", () => {
  it("goes through the set in order, the last batch smaller", async () => {
    const loader = new DataLoader(numbered(10), { batchSize: 4 });
    const batches = await collect(loader);
    expect(loader.length).toBe(3);
    expect(loader.samples).toBe(10);
    expect(labels(batches)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(batches.map((b) => b.index)).toEqual([0, 1, 2]);
    expect(batches.map((b) => b.size)).toEqual([4, 4, 2]);
    expect(batches[2]!.shape).toEqual([2, 2, 2, 1]);
    expect(batches[2]!.images).toEqual([32, 33, 34, 35, 36, 37, 38, 39].map((v) => Math.fround(v / 255)));
  });

  it("dropLast leaves the rest out", async () => {
    const loader = new DataLoader(numbered(10), { batchSize: 4, dropLast: true });
    expect(loader.length).toBe(2);
    expect(loader.samples).toBe(8);
    expect(labels(await collect(loader))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(new DataLoader(numbered(8), { batchSize: 4, dropLast: true }).length).toBe(2);
  });

  it("shuffles anew every epoch, each image once, with its own label", async () => {
    const loader = new DataLoader(numbered(40), { batchSize: 7, shuffle: true, seed: 3 });
    const first = await collect(loader.epoch(0));
    const second = await collect(loader.epoch(1));
    for (const epoch of [first, second]) {
      expect(labels(epoch).sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
      for (const batch of epoch) {
        expect(batch.labels.map((label) => Math.fround((label * 4) / 255))).toEqual(
          batch.images.filter((_, i) => i % 4 === 0),
        );
      }
    }
    expect(labels(first)).not.toEqual(labels(second));
    expect(labels(first)).not.toEqual(
      labels(await collect(new DataLoader(numbered(40), { batchSize: 7, shuffle: true, seed: 4 }))),
    );
  });

  it("an epoch depends on seed and number only: not on history, prefetch or where it starts", async () => {
    const options = { batchSize: 6, shuffle: true, seed: 8, transform: augment };
    const whole = await collect(new DataLoader(numbered(40), { ...options, prefetch: 0 }).epoch(5));
    for (const prefetch of [0, 1, 3, 20]) {
      const loader = new DataLoader(numbered(40), { ...options, prefetch });
      await collect(loader.epoch(2));
      expect(await collect(loader.epoch(5))).toEqual(whole);
      expect(await collect(loader.epoch(5, 4))).toEqual(whole.slice(4));
      expect(await collect(loader.epoch(5, loader.length))).toEqual([]);
    }
  });

  it("augments images and epochs differently", async () => {
    const same = imageSet({
      ...numbered(1),
      images: Uint8Array.from({ length: 16 * 30 }, (_, i) => 1 + (i % 16)),
      labels: new Uint8Array(30),
      height: 4,
      width: 4,
    });
    const loader = new DataLoader(same, { batchSize: 30, transform: augment });
    const [a] = await collect(loader.epoch(0));
    const [b] = await collect(loader.epoch(1));
    const pictures = (batch: Copy) =>
      new Set(Array.from({ length: 30 }, (_, i) => batch.images.slice(i * 16, i * 16 + 16).join()));
    expect(pictures(a!).size).toBeGreaterThan(15); // of 25 places × 2 sides
    expect(a!.images).not.toEqual(b!.images);
  });

  it("plain iteration runs one epoch after the other, from the one asked for", async () => {
    const options = { batchSize: 5, shuffle: true, seed: 1 };
    const reference = new DataLoader(numbered(20), options);
    const loader = new DataLoader(numbered(20), { ...options, epoch: 7 });
    expect(await collect(loader)).toEqual(await collect(reference.epoch(7)));
    expect(await collect(loader)).toEqual(await collect(reference.epoch(8)));
  });

  it.each([
    0, 1, 2,
  ])("with prefetch %i a batch stays as it is until prefetch + 1 further ones are taken", async (prefetch) => {
    const loader = new DataLoader(numbered(60), { batchSize: 3, prefetch, shuffle: true, transform: augment });
    const window: { batch: Batch; was: Copy }[] = [];
    const buffers = new Set<ArrayBufferLike>();
    for (let epoch = 0; epoch < 3; epoch++) {
      for await (const batch of loader.epoch(epoch)) {
        // Leave time for everything that may be prepared ahead.
        await turn();
        window.push({ batch, was: copy(batch) });
        if (window.length > prefetch + 1) window.shift();
        for (const { batch: held, was } of window) expect(copy(held)).toEqual(was);
        buffers.add(batch.images.buffer);
        // Leaving early must not break the rule for what was taken.
        if (epoch === 0 && batch.index === 4) break;
      }
    }
    expect(buffers.size).toBe(2 * prefetch + 1);
  });

  it("a prefetch of more than an epoch is one of an epoch, for what stays as it is too", async () => {
    const loader = new DataLoader(numbered(6), { batchSize: 3, prefetch: 50, shuffle: true });
    const [window, buffers] = [[] as { batch: Batch; was: Copy }[], new Set<ArrayBufferLike>()];
    for (let epoch = 0; epoch < 5; epoch++) {
      for await (const batch of loader.epoch(epoch)) {
        await turn();
        window.push({ batch, was: copy(batch) });
        if (window.length > loader.length + 1) window.shift();
        for (const { batch: held, was } of window) expect(copy(held)).toEqual(was);
        buffers.add(batch.images.buffer);
      }
    }
    expect(buffers.size).toBe(2 * loader.length + 1);
  });

  it("prepares ahead while the caller waits, and no more than asked for", async () => {
    let written = 0;
    const count: PixelTransform = { kind: "pixels", apply: () => void written++ };
    const loader = new DataLoader(numbered(20), { batchSize: 2, prefetch: 3, transform: [count] });
    const batches = loader.epoch(0);
    await batches.next();
    await turn();
    expect(written).toBe(2 * 4);
    await batches.next();
    await turn();
    expect(written).toBe(2 * 5);
    // One place is free again, but nobody is left to fill it for.
    await batches.next();
    await batches.return();
    await turn();
    expect(written).toBe(2 * 5);
  });

  it("lets the event loop run even if the caller awaits nothing else", async () => {
    for (const prefetch of [0, 2]) {
      let turns = 0;
      let counting = true;
      const tick = () => {
        turns++;
        if (counting) setImmediate(tick);
      };
      setImmediate(tick);
      for await (const _ of new DataLoader(numbered(60), { batchSize: 1, prefetch })) void _;
      counting = false;
      expect(turns).toBeGreaterThan(60 / (prefetch + 1) - 2);
    }
  });

  it("iterations side by side do not disturb one another", async () => {
    const loader = new DataLoader(numbered(12), { batchSize: 2, shuffle: true, transform: augment });
    const expected = [await collect(loader.epoch(0)), await collect(loader.epoch(1))];
    expect(await Promise.all([collect(loader.epoch(0)), collect(loader.epoch(1))])).toEqual(expected);
  });

  it("hands an error of a transform to whoever asks for that batch", async () => {
    let calls = 0;
    const fail: PixelTransform = {
      kind: "pixels",
      apply() {
        if (++calls > 4) throw new Error("the fifth image");
      },
    };
    const batches = new DataLoader(numbered(8), { batchSize: 2, prefetch: 3, transform: [fail] }).epoch(0);
    await batches.next();
    await turn();
    expect((await batches.next()).value?.index).toBe(1);
    await expect(batches.next()).rejects.toThrow("the fifth image");
    expect((await batches.next()).done).toBe(true);
  });

  it("refuses what cannot work", () => {
    const set = numbered(5);
    for (const batchSize of [0, -1, 1.5, Number.NaN])
      expect(() => new DataLoader(set, { batchSize })).toThrow(ArgumentError);
    expect(() => new DataLoader(set, { batchSize: 6, dropLast: true })).toThrow(/leaves no batch of the 5 images/);
    expect(() => new DataLoader(numbered(0), { batchSize: 1 })).toThrow(/empty set/);
    expect(() => new DataLoader(set, { batchSize: 1, prefetch: -1 })).toThrow(/prefetch/);
    expect(() => new DataLoader(set, { batchSize: 1, seed: -1 })).toThrow(ArgumentError);
    expect(() => new DataLoader({ ...set, classes: ["a"] }, { batchSize: 1 })).toThrow(FormatError);
    const loader = new DataLoader(set, { batchSize: 2 });
    expect(() => loader.epoch(-1)).toThrow(ArgumentError);
    expect(() => loader.epoch(0, 4)).toThrow(/at most 3/);
  });
});
