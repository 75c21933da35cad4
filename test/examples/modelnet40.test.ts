/** What the options of the point cloud example come to, and the triggers that its report draws. */

import { ArgumentError } from "@pan/core";
import { pointSet, triggerClouds } from "@pan/core/data";
import { describe, expect, it } from "vitest";
import { drawnTriggers } from "../../examples/modelnet40/data";
import { HELP, LAYERS, readSettings, type Settings } from "../../examples/modelnet40/settings";

const settings = (...args: string[]): Settings => {
  const s = readSettings(args);
  if (s === "help") throw new Error("settings expected, found help");
  return s;
};

describe("readSettings", () => {
  it("is the authors' by default: PointNet on all classes, every layer with passports", () => {
    const s = settings();
    expect(s).toMatchObject({
      scheme: "pan",
      width: 1,
      points: 1024,
      batchSize: 16,
      accumulate: 1,
      epochs: 200,
      dropout: 0.4,
    });
    expect(s).toMatchObject({ lr: 0.001, weightDecay: 1e-4, stepSize: 20, gamma: 0.7, branchStatistics: "shared" });
    expect(s.layers).toEqual(Object.fromEntries(LAYERS.map((name) => [name, true])));
    expect(s).toMatchObject({ classes: undefined, triggers: 0, triggerBatch: 16, signature: "(c) ACME 2026" });
    expect(settings("--scheme", "plain").layers).toBeUndefined();
    expect(readSettings(["--help"])).toBe("help");
    for (const name of LAYERS) expect(HELP).toContain(name);
  });

  it("has a preset for two cores, whose options count less than those beside it", () => {
    const s = settings("--preset", "cpu", "--points", "128");
    expect(s).toMatchObject({ width: 0.125, points: 128, epochs: 12, branchStatistics: "separate", triggers: 100 });
    expect(s.classes).toHaveLength(10);
    expect(s.out).toBe("out/modelnet40/cpu/pointnet-pan");
    expect(settings("--preset", "cpu", "--scheme", "plain").triggers).toBe(0);
    expect(settings("--statement", "mine").signature).toBe("");
  });

  it.each([
    [["--scheme", "v9"], /--scheme: one of plain, v1, v2, v3, pan expected/],
    [["--passport-layers", "p9"], /--passport-layers: one of convp1, .* expected, found "p9"/],
    [["--triggers", "10"], /--classes modelnet10, or a list that leaves some over, expected, found all/],
    [["--scheme", "v3"], /--triggers are made of clouds/],
    [["--dropout", "1"], /--dropout: a number from 0 to 0\.99/],
    [["--preset", "gpu"], /--preset: cpu expected/],
    [["--colour", "red"], /colour/],
  ])("refuses %j", (args, message) => {
    expect(() => readSettings(args)).toThrow(ArgumentError);
    expect(() => readSettings(args)).toThrow(message);
  });
});

it("draws the first dozen triggers, with what they were taught as and what they are", () => {
  const clouds = 40;
  const points = Float32Array.from({ length: clouds * 300 * 3 }, (_, i) => Math.sin(i) / 2);
  const labels = Uint8Array.from({ length: clouds }, (_, i) => i % 4);
  const source = pointSet({ points, pointsPerCloud: 300, labels, classes: ["bed", "desk", "sofa", "vase"] });
  const triggers = triggerClouds(source, ["bed", "desk"], { count: 15, seed: 1 });
  const drawn = drawnTriggers(triggers);
  expect(drawn).toHaveLength(12);
  for (const [i, { points: shown, label, truth }] of drawn.entries()) {
    expect(shown).toHaveLength(256);
    expect(shown[0]).toEqual([...triggers.points.subarray(i * 900, i * 900 + 3)]);
    expect(label).toBe(triggers.classes[triggers.labels[i]!]);
    expect(["sofa", "vase"]).toContain(truth);
  }
});
