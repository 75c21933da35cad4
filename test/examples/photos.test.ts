/** What the options of the example on photographs come to, and where its weights come from. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadPhotos, transformOf } from "../../examples/photos/data";
import { beginWith, makeNetwork } from "../../examples/photos/network";
import { readSettings, type Settings } from "../../examples/photos/settings";
import { DataLoader } from "../../src/data/loader";
import { ArgumentError } from "../../src/errors";
import { saveSafetensors } from "../../src/node/files";
import { gpu } from "../support/gpu";
import { pictures } from "../support/picture-folder";

const settings = (...args: string[]): Settings => {
  const s = readSettings(args);
  if (s === "help") throw new Error("help");
  return s;
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pan-photos-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("readSettings", () => {
  it("has the papers' settings for ImageNet by default", () => {
    expect(settings("--data", "photos")).toMatchObject({
      ...{ arch: "resnet18", scheme: "pan", width: 1, size: 224, loaded: 256 },
      ...{ epochs: 100, batchSize: 256, lr: 0.1, weightDecay: 1e-4, milestones: [30, 60, 90] },
      out: join("out", "photos", "photos", "resnet18-pan"),
    });
  });

  it("has a preset for machines without a GPU, and options count more", () => {
    expect(settings("--data", "x", "--preset", "cpu", "--epochs", "3", "--statement", "mine")).toMatchObject({
      ...{ width: 0.125, size: 96, loaded: 110, epochs: 3, milestones: [] },
      ...{ boundTriggers: { count: 64, groups: 1 }, signature: "" },
    });
  });

  it.each([
    [[], /--data/],
    [["--data", "x", "--scheme", "v3"], /one of plain, v1, v2, pan/],
    [["--data", "x", "--size", "96", "--load", "64"], /--load: a whole number from 96/],
    [["--data", "x", "--scheme", "plain", "--statement", "mine"], /--statement/],
    [["--data", "x", "--milestones", "30,x"], /--milestones/],
  ])("%j is refused", (args, message) => {
    expect(() => settings(...args)).toThrow(ArgumentError);
    expect(() => settings(...args)).toThrow(message);
  });
});

describe("loadPhotos", () => {
  it("splits a folder of classes, a share of each for testing", async () => {
    await pictures(folder, ["a", "b"], 10);
    const { train, test } = await loadPhotos(settings("--data", folder, "--size", "16", "--tests", "0.3"));
    expect([train.length, test.length]).toEqual([14, 6]);
    expect([...test.labels].filter((l) => l === 0)).toHaveLength(3);
  });

  it("takes the folder's own parts, the training half's classes for both, from a file where there is one", async () => {
    await pictures(join(folder, "train"), ["a", "b"], 3);
    await pictures(join(folder, "val"), ["b"], 2);
    const options = ["--data", folder, "--size", "16", "--cache", join(folder, "cache")];
    const { train, test } = await loadPhotos(settings(...options));
    expect([train.length, test.length, [...test.labels]]).toEqual([6, 2, [1, 1]]);
    expect("read" in train).toBe(true);
  });

  it.each(["valid", "validation", "test"])("takes %s for the part that is not trained on", async (name) => {
    await pictures(join(folder, "train"), ["a", "b"], 3);
    await pictures(join(folder, name), ["a", "b"], 1);
    const { train, test } = await loadPhotos(settings("--data", folder, "--size", "16"));
    expect([train.length, test.length, train.classes]).toEqual([6, 2, ["a", "b"]]);
  });

  it("splits the only part that is there, and takes a class of such a name for one", async () => {
    await pictures(join(folder, "parts", "train"), ["a", "b"], 5);
    const parts = await loadPhotos(settings("--data", join(folder, "parts"), "--size", "16"));
    expect([parts.train.length, parts.test.length, parts.train.classes]).toEqual([8, 2, ["a", "b"]]);
    await pictures(join(folder, "vehicles"), ["bus", "train"], 5);
    const vehicles = await loadPhotos(settings("--data", join(folder, "vehicles"), "--size", "16"));
    expect(vehicles.train.classes).toEqual(["bus", "train"]);
  });

  it("the network is given windows of its own size", async () => {
    await pictures(folder, ["a", "b"], 4);
    const s = settings("--data", folder, "--size", "16");
    const { train } = await loadPhotos(s);
    for (const use of ["train", "test"] as const)
      expect(new DataLoader(train, { batchSize: 2, transform: transformOf(s)(use) }).imageShape).toEqual([16, 16, 3]);
  });
});

describe("weights to begin with", () => {
  it("are those whose names and shapes fit; the last layer of other classes begins anew", async () => {
    await gpu();
    const s = settings("--data", folder, "--arch", "resnet9", "--width", "0.05", "--size", "16", "--signature", "me");
    const [source, model] = [makeNetwork({ ...s, seed: 7 }, 10), makeNetwork(s, 4)];
    const path = join(folder, "deployed.safetensors");
    const { tensors, metadata } = await source.deployed();
    await saveSafetensors(path, tensors, metadata);
    const before = await model.network.stateDict();
    const { taken, of } = await beginWith(model, path);
    expect(of - taken).toBe(2);
    const after = await model.network.stateDict();
    for (const [name, { data }] of after)
      expect(data, name).toEqual((name.startsWith("linear.") ? before : tensors).get(name)!.data);
    const other = makeNetwork({ ...s, width: 0.2 }, 3);
    await expect(beginWith(other, path)).rejects.toThrow(/--arch and --width/);
    for (const network of [source, model, other]) network.dispose();
  });
});
