/** What the options of the CIFAR-10 example come to. */

import { describe, expect, it } from "vitest";
import { makeNetwork } from "../../examples/cifar10/network";
import { readSettings, type Settings } from "../../examples/cifar10/settings";
import { ArgumentError } from "../../src/errors";
import { Conv2d } from "../../src/nn";
import { gpu } from "../support/gpu";

const settings = (...args: string[]): Settings => {
  const s = readSettings(args);
  if (s === "help") throw new Error("help");
  return s;
};

describe("readSettings", () => {
  it("has the papers' settings by default", () => {
    expect(settings()).toMatchObject({
      arch: "alexnet",
      scheme: "pan",
      epochs: 200,
      batchSize: 64,
      accumulate: 1,
      lr: 0.01,
      momentum: 0.9,
      weightDecay: 5e-4,
      schedule: "steps",
      passports: "random",
      layers: { 0: true, 2: true, 4: true, 5: true, 6: true },
      triggers: false,
      images: 50_000,
      testImages: 10_000,
      width: 1,
      mode: "joint",
    });
  });

  it.each(["v1", "v2", "v3"])("takes DeepIPR's layers and shuffled passports for %s", (scheme) => {
    expect(settings("--scheme", scheme)).toMatchObject({
      passports: "shuffle",
      layers: { 4: true, 5: true, 6: true },
      triggers: scheme === "v3",
    });
    expect(settings("--scheme", scheme, "--arch", "resnet18").layers).toEqual({ layer4: true });
  });

  it("has no passports in a plain network, and leaves it where the others look for it", () => {
    const plain = settings("--scheme", "plain");
    expect(plain.layers).toBeUndefined();
    expect(settings("--scheme", "v1").source.startsWith(plain.out)).toBe(true);
    expect(settings("--scheme", "v1", "--preset", "cpu").source.startsWith(plain.out)).toBe(false);
  });

  it("lets options count more than the preset", () => {
    expect(settings("--preset", "cpu")).toMatchObject({ width: 0.25, epochs: 6, images: 5000, schedule: "cosine" });
    expect(settings("--preset", "cpu", "--epochs", "2", "--width", "0.5")).toMatchObject({
      width: 0.5,
      epochs: 2,
      images: 5000,
    });
  });

  it("takes batches in parts", () => {
    expect(settings("--batch", "128", "--accumulate", "4")).toMatchObject({ batchSize: 128, accumulate: 4 });
    expect(() => settings("--accumulate", "0")).toThrow(/--accumulate: a whole number from 1/);
  });

  it("chooses layers, the data folder and modes", () => {
    expect(settings("--passport-layers", "4, 6").layers).toEqual({ 4: true, 6: true });
    expect(settings("--data", "/a").data).toBe("/a");
    expect(settings("--mode", "alternating").mode).toEqual({ alternating: 0.5 });
    expect(readSettings(["--help"])).toBe("help");
  });

  it("binds to a statement, which leaves no choice of passports and takes the place of the text", () => {
    expect(settings()).toMatchObject({ signature: "(c) ACME 2026", statement: undefined });
    expect(settings("--statement", "mine", "--scheme", "v1")).toMatchObject({
      signature: "",
      statement: "mine",
      passports: "bound",
    });
    expect(() => readSettings(["--statement", "mine", "--passports", "random"])).toThrow(/leave --passports out/);
    expect(() => readSettings(["--passports", "bound"])).toThrow(/a --statement expected/);
    expect(() => readSettings(["--statement", "mine", "--scheme", "plain"])).toThrow(/a scheme with passports/);
  });

  it("marks plain networks in the older ways, each in a folder of its own", () => {
    const feature = settings("--scheme", "plain", "--preset", "cpu", "--feature-watermark", "64");
    expect(feature).toMatchObject({ featureWatermark: 64, out: "out/cifar10/cpu/alexnet-plain-feature" });
    const adi = settings("--scheme", "plain", "--preset", "cpu", "--triggers");
    expect(adi).toMatchObject({ triggers: true, out: "out/cifar10/cpu/alexnet-plain-triggers" });
    expect(settings("--scheme", "plain", "--preset", "cpu").out).toBe("out/cifar10/cpu/alexnet-plain");
    expect(() => readSettings(["--feature-watermark", "64"])).toThrow(/--scheme plain expected, found pan/);
  });

  it.each([
    [["--arch", "vgg"], /--arch: one of alexnet, resnet18, resnet9 expected, found "vgg"/],
    [["--epochs", "0"], /--epochs: a whole number from 1/],
    [["--epochs", "1.5"], /--epochs: a whole number/],
    [["--lr", "much"], /--lr: a number from 0 to 100 expected, found "much"/],
    [["--preset", "gpu"], /--preset: cpu expected/],
    [["--colour", "red"], /colour/],
    [["--epochs"], /epochs/],
  ])("refuses %j", (args, message) => {
    expect(() => readSettings(args)).toThrow(ArgumentError);
    expect(() => readSettings(args)).toThrow(message);
  });
});

describe("makeNetwork", () => {
  it.each([
    ["alexnet", "pan"],
    ["resnet9", "v1"],
    ["resnet18", "plain"],
  ])("builds %s, %s, of the width asked for", async (arch, scheme) => {
    await gpu();
    const model = makeNetwork(settings("--arch", arch, "--scheme", scheme, "--width", "0.125"));
    expect(model.scheme).toBe(scheme);
    expect(model.network.find(Conv2d)[0]![1].outChannels).toBe(8);
    expect(model.passportSites().length).toBe({ pan: 5, v1: 3, plain: 0 }[scheme]);
    model.dispose();
  });

  it("refuses layers that are not there, by name", async () => {
    await gpu();
    expect(() => makeNetwork(settings("--passport-layers", "3"))).toThrow(/layer 3, which is not a convolution/);
  });
});
