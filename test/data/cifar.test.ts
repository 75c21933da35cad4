import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  CIFAR10_CLASSES,
  CIFAR100_CLASSES,
  CIFAR100_COARSE_CLASSES,
  concatImages,
  imageSet,
  parseCifar10,
  parseCifar100,
  subset,
} from "../../src/data";
import { ArgumentError, FormatError, ShapeError } from "../../src/errors";
import { loadCifar10 } from "../../src/node/cifar";

/** n records whose pixels tell the record, the plane and the place. */
function records(labels: readonly (readonly number[])[]): Uint8Array {
  return Uint8Array.from(
    labels.flatMap((head, i) => [...head, ...Array.from({ length: 3072 }, (_, p) => (i * 31 + p) % 251)]),
  );
}

describe("parseCifar10", () => {
  it("separates labels from planes", () => {
    const set = parseCifar10(records([[3], [9], [0]]));
    expect([set.length, set.channels, set.height, set.width]).toEqual([3, 3, 32, 32]);
    expect([...set.labels]).toEqual([3, 9, 0]);
    expect(set.classes[set.labels[1]!]).toBe("truck");
    expect(set.images[2 * 3072]).toBe(62);
    expect(set.images[1 * 3072 + 1024 + 5]).toBe((31 + 1024 + 5) % 251);
  });

  it("copies: the source may be reused", () => {
    const bytes = records([[1]]);
    const set = parseCifar10(bytes);
    bytes.fill(0);
    expect(set.images[7]).toBe(7);
    expect(set.labels[0]).toBe(1);
  });

  it("names the record that is wrong", () => {
    expect(() => parseCifar10(records([[1], [2]]).subarray(0, 6000))).toThrow(/record 1 has 2927/);
    expect(() => parseCifar10(records([[1], [2], [10]]))).toThrow(/record 2 has label 10, expected 0 to 9/);
    expect(() => parseCifar10(new Uint8Array(0))).toThrow(FormatError);
    expect(() => parseCifar10(records([[10]]), { source: "x.bin" })).toThrow(/^x\.bin: record 0/);
  });

  it("takes other class names", () => {
    expect(() => parseCifar10(records([[2]]), { classes: ["yes", "no"] })).toThrow(/expected 0 to 1/);
    expect(parseCifar10(records([[1]]), { classes: ["yes", "no"] }).classes).toEqual(["yes", "no"]);
  });

  it("reads the samples in the repository", async () => {
    for (const [name, n] of [
      ["train", 3000],
      ["test", 1000],
    ] as const) {
      const set = parseCifar10(await readFile(`examples/data/${name}_sample.bin`));
      expect(set.length).toBe(n);
      expect(new Set(set.labels).size).toBe(10);
    }
  });
});

describe("parseCifar100", () => {
  it("keeps the fine or the coarse label", () => {
    const bytes = records([
      [19, 99],
      [0, 4],
    ]);
    expect([...parseCifar100(bytes).labels]).toEqual([99, 4]);
    const coarse = parseCifar100(bytes, { labels: "coarse" });
    expect([...coarse.labels]).toEqual([19, 0]);
    expect(coarse.images[3072]).toBe(31);
    expect(coarse.classes).toBe(CIFAR100_COARSE_CLASSES);
  });

  it("checks both labels whichever is kept", () => {
    expect(() => parseCifar100(records([[20, 1]]))).toThrow(/record 0 has label 20, expected 0 to 19/);
    expect(() => parseCifar100(records([[1, 100]]), { labels: "coarse" })).toThrow(/label 100, expected 0 to 99/);
    expect(() => parseCifar100(records([[1]]))).toThrow(FormatError);
    expect(() => parseCifar100(records([[1, 1]]), { labels: "both" as never })).toThrow(ArgumentError);
  });

  it("has the right numbers of names, the fine ones in alphabetical order", () => {
    expect(CIFAR10_CLASSES).toHaveLength(10);
    expect(new Set(CIFAR100_CLASSES).size).toBe(100);
    expect([...CIFAR100_CLASSES].sort()).toEqual(CIFAR100_CLASSES);
    expect(new Set(CIFAR100_COARSE_CLASSES).size).toBe(20);
  });
});

describe("image sets", () => {
  const set = parseCifar10(records([[3], [9], [0]]));

  it("subset is a view", () => {
    const part = subset(set, 1, 3);
    expect(part.length).toBe(2);
    expect([...part.labels]).toEqual([9, 0]);
    expect(part.images[0]).toBe(31);
    expect(part.images.buffer).toBe(set.images.buffer);
    expect(subset(set, 3, 3).length).toBe(0);
    for (const [a, b] of [
      [-1, 2],
      [2, 1],
      [0, 4],
      [0.5, 2],
    ] as const) {
      expect(() => subset(set, a, b)).toThrow(ArgumentError);
    }
  });

  it("concat puts sets of one kind together", () => {
    const joined = concatImages([subset(set, 2, 3), set]);
    expect([...joined.labels]).toEqual([0, 3, 9, 0]);
    expect([...joined.images.subarray(0, 3072)]).toEqual([...set.images.subarray(2 * 3072)]);
    expect([...joined.images.subarray(3072)]).toEqual([...set.images]);
    expect(() => concatImages([])).toThrow(ArgumentError);
    expect(() => concatImages([set, { ...set, classes: ["other"] }])).toThrow(ShapeError);
    expect(() => concatImages([set, { ...set, height: 16, width: 64 }])).toThrow(/3x16x64/);
  });

  it("imageSet refuses parts that do not fit", () => {
    expect(() => imageSet({ ...set, height: 31 })).toThrow(ShapeError);
    expect(() => imageSet({ ...set, channels: 0 })).toThrow(ArgumentError);
    expect(() => imageSet({ ...set, classes: ["a", "b", "c", "d"] })).toThrow(/image 1 has label 9/);
    expect(() => imageSet({ ...set, labels: Int32Array.from([0, -1, 0]) })).toThrow(FormatError);
  });
});

describe("loadCifar10", () => {
  const names = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`);

  async function inFolder(run: (folder: string) => Promise<void>) {
    const folder = await mkdtemp(join(tmpdir(), "cifar-"));
    try {
      await run(folder);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  it.each(["", "cifar-10-batches-bin"])("reads the six files in order from directory/%s", (inner) =>
    inFolder(async (folder) => {
      await mkdir(join(folder, inner), { recursive: true });
      for (const [i, name] of names.entries()) await writeFile(join(folder, inner, name), records([[i], [i]]));
      await writeFile(join(folder, inner, "test_batch.bin"), records([[8]]));
      const { train, test } = await loadCifar10(folder);
      expect([...train.labels]).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
      expect([...test.labels]).toEqual([8]);
      expect(train.images).toHaveLength(10 * 3072);
    }));

  it("names what is missing and where to get it", () =>
    inFolder(async (folder) => {
      await expect(loadCifar10(folder)).rejects.toThrow(FormatError);
      for (const name of names) await writeFile(join(folder, name), records([[0]]));
      await expect(loadCifar10(folder)).rejects.toThrow(
        /: test_batch\.bin\. Download https:\/\/www\.cs\.toronto\.edu\/~kriz\/cifar-10-binary\.tar\.gz/,
      );
    }));

  it("names the file that is damaged or unreadable", () =>
    inFolder(async (folder) => {
      for (const name of names) await writeFile(join(folder, name), records([[0]]));
      await writeFile(join(folder, "test_batch.bin"), new Uint8Array(3000));
      await expect(loadCifar10(folder)).rejects.toThrow(/test_batch\.bin: expected records of 3073 bytes/);
      await rm(join(folder, "test_batch.bin"));
      await mkdir(join(folder, "test_batch.bin"));
      await expect(loadCifar10(folder)).rejects.toThrow(/cannot read .*test_batch\.bin/);
    }));
});
