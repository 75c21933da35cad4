/** Image files on disk in CIFAR's layouts. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCifar10, loadCifar100, loadImageRecords } from "@pan/core/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ArgumentError, FormatError } from "../../src/errors";

const PIXELS = 3072;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pan-images-"));
});
afterEach(() => rm(folder, { recursive: true }));

const record = (labels: number[], grey: number) => [...labels, ...new Array<number>(PIXELS).fill(grey)];
const save = (name: string, ...records: number[][]) => writeFile(join(folder, name), Uint8Array.from(records.flat()));

describe("loadImageRecords", () => {
  it("reads images, labels and the names of the classes", async () => {
    await save("train.bin", record([1], 7), record([0], 9));
    await save("test.bin", record([2], 1));
    await writeFile(join(folder, "class_names.txt"), "airplane\r\nant\nwild cat\n\n");
    const { train, test } = await loadImageRecords(folder);
    expect([...train.labels]).toEqual([1, 0]);
    expect(train.images[0]).toBe(7);
    expect(train.images[PIXELS]).toBe(9);
    expect(test.length).toBe(1);
    expect(train.classes).toEqual(["airplane", "ant", "wild cat"]);
  });

  it("names the file that is missing, cut short, or of other classes", async () => {
    await expect(loadImageRecords(folder)).rejects.toThrow(/class_names\.txt/);
    await writeFile(join(folder, "class_names.txt"), "a\nb\n");
    await expect(loadImageRecords(folder)).rejects.toThrow(FormatError);
    await expect(loadImageRecords(folder)).rejects.toThrow(/train\.bin/);
    await save("train.bin", record([2], 0));
    await expect(loadImageRecords(folder)).rejects.toThrow(/train\.bin: record 0 has label 2, expected 0 to 1/);
    await save("train.bin", record([1], 0).slice(0, 100));
    await expect(loadImageRecords(folder)).rejects.toThrow(/expected records of 3073 bytes/);
  });
});

describe("class_names.txt", () => {
  it.each([
    ["a\n\nb\n", /class_names\.txt, line 3: expected a class on each line before this one/],
    ["a\nb\na\n", /class_names\.txt, line 3: expected each name once/],
    ["\n\n", /class_names\.txt, line 3: expected at least one name/],
  ])("%j is refused: labels count the lines", async (names, message) => {
    await writeFile(join(folder, "class_names.txt"), names);
    await expect(loadImageRecords(folder)).rejects.toThrow(message);
  });
});

describe("the loaders", () => {
  it("refuse what is no path, and options that are none", async () => {
    for (const path of [undefined, null, 5, ""]) {
      for (const load of [loadCifar10, loadCifar100, loadImageRecords]) {
        await expect(load(path as never)).rejects.toThrow(ArgumentError);
      }
    }
    for (const options of [{ labels: "both" }, { labels: 1n }, { label: "fine" }, null]) {
      await expect(loadCifar100(folder, options as never)).rejects.toThrow(ArgumentError);
    }
  });
});

describe("loadCifar100", () => {
  it("finds the unpacked folder and reads either kind of label", async () => {
    await mkdir(join(folder, "cifar-100-binary"));
    await save("cifar-100-binary/train.bin", record([3, 99], 5));
    await save("cifar-100-binary/test.bin", record([0, 1], 5));
    expect([...(await loadCifar100(folder)).train.labels]).toEqual([99]);
    const coarse = await loadCifar100(join(folder, "cifar-100-binary"), { labels: "coarse" });
    expect([...coarse.train.labels]).toEqual([3]);
    await expect(loadCifar100(tmpdir())).rejects.toThrow(FormatError);
  });
});
