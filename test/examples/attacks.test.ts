/** What the options of the attack runner come to. */

import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { BUDGETS } from "../../examples/attacks/budget";
import { loadPlain } from "../../examples/attacks/describe";
import { plant } from "../../examples/attacks/forge";
import { ATTACKS } from "../../examples/attacks/list";
import { HELP, readSettings } from "../../examples/attacks/settings";
import { measurementText } from "../../examples/attacks/show";
import { architectureOf, boundGroup, loadTrained } from "../../examples/attacks/target";
import { PRETRAINED } from "../../examples/pretrained/load";
import { ArgumentError } from "../../src/errors";
import { alexNetConfig, buildNetwork, pointNetConfig, readCredential, resNetConfig } from "../../src/models";
import { bind, boundCredential } from "../../src/ownership";
import { gpu } from "../support/gpu";
import { acme, bindingFor, MARKED, MARKED_TRIGGERS } from "../support/owner";
import { tinySet } from "../support/tiny";

describe("readSettings", () => {
  it("runs every attack on a small budget by default", () => {
    const s = readSettings(["--checkpoint", "out/x"]);
    expect(s).toMatchObject({ checkpoints: ["out/x"], budget: "small", seed: 0, again: false, report: undefined });
    expect(s !== "help" && s.attacks).toEqual(Object.keys(ATTACKS));
  });

  it("takes several networks, a choice, the papers' budget, a seed", () => {
    const s = readSettings(["--checkpoint", "x, y/best.checkpoint", "--attack", "prune, quantise", "--seed", "7"]);
    expect(s).toMatchObject({ checkpoints: ["x", "y/best.checkpoint"], attacks: ["prune", "quantise"], seed: 7 });
    expect(readSettings(["--checkpoint", "x", "--budget", "papers"])).toMatchObject({ budget: "papers" });
    expect(BUDGETS.papers).toMatchObject({ epochs: 100, draws: 50 });
    expect(readSettings(["--help"])).toBe("help");
    for (const name of Object.keys(ATTACKS)) expect(HELP).toContain(name);
  });

  it.each([
    [[], /--checkpoint: the folder of a trained network expected/],
    [["--checkpoint", "x", "--attack", "magic"], /--attack: of random-passports, .* expected, found "magic"/],
    [["--checkpoint", "x", "--budget", "huge"], /--budget: one of small, medium, papers expected, found "huge"/],
    [["--checkpoint", "x", "--seed", "-1"], /seed/],
    [["--checkpoint", "x", "--colour", "red"], /colour/],
  ])("refuses %j", (args, message) => {
    expect(() => readSettings(args)).toThrow(ArgumentError);
    expect(() => readSettings(args)).toThrow(message);
  });
});

describe("a measurement in a line", () => {
  const accuracy = { public: 0.806, private: 0.796 };
  const read = { accuracy, bits: 302, matched: 301, pValue: 1e-80, triggers: 63 / 64 };
  const bits = { count: 302, hits: 301, chance: 0.5, pValue: 1e-80, needed: 248 };
  const triggers = { count: 64, hits: 63, chance: 0.1, pValue: 1e-50, needed: 46 };

  it("has what the claim needs beside what was found", () => {
    expect(measurementText({ ...read, mark: { bits, triggers } })).toBe(
      "public 80.6 %  private 79.6 %  triggers 98.4 %, 63 of 64 (46 needed)  301 of 302 bits (248 needed)",
    );
    const own = { ...bits, count: 270, hits: 269, needed: 225 };
    expect(measurementText({ ...read, mark: { bits: own, triggers: null } })).toMatch(
      /triggers 98\.4 % {2}301 of 302 bits \(269 of 270 of the claim, 225 needed\)$/,
    );
  });

  it("says nothing of it where no claim was looked for, as in older records, or nothing can be read", () => {
    expect(measurementText(read)).toBe("public 80.6 %  private 79.6 %  triggers 98.4 %  301 of 302 bits");
    const none = { accuracy, bits: 0, matched: 0, pValue: 1, mark: { bits: null, triggers: null } };
    expect(measurementText(none)).toBe("public 80.6 %  private 79.6 %  0 of 0 bits");
  });
});

it("looks for the plain network by the name that its training gave the folder", async () => {
  const { credential, folder } = await loadTrained(join(PRETRAINED, "resnet9-pan"));
  const name = architectureOf(readCredential(credential).config);
  expect(name).toBe("resnet9");
  expect(await loadPlain(join(folder, "..", `${name}-plain`))).not.toBeNull();
  expect(architectureOf(resNetConfig([2, 2, 2, 2]))).toBe("resnet18");
  expect(architectureOf(alexNetConfig())).toBe("alexnet");
  expect(architectureOf(pointNetConfig({ classes: 40 }))).toBe("pointnet");
});

it("holds what it found for the data it was found with", async () => {
  const { deployed } = await loadTrained(join(PRETRAINED, "resnet9-pan"));
  const set = tinySet(6, 1);
  const others = (names: string[]) => async () => names.map((name) => ({ name, train: set, test: set }));
  const setup = (strangers: unknown[], names: string[]) => ({ strangers, task: { others: others(names) } }) as never;
  const of = async (name: "nulls" | "fine-tune", ...read: [unknown[], string[]]) =>
    JSON.stringify(await ATTACKS[name].reads(setup(...read)));
  expect(await of("nulls", [], [])).not.toBe(await of("nulls", [deployed], []));
  expect(await of("nulls", [deployed], ["a"])).toBe(await of("nulls", [deployed], []));
  expect(await of("fine-tune", [], ["a"])).not.toBe(await of("fine-tune", [], ["a", "CIFAR-100"]));
});

describe("bound claims", () => {
  beforeAll(async () => void (await gpu()));

  it("are planted by every means: a mark in the forger's copy, and nothing in the release", async () => {
    const seen: number[] = [];
    const onStep = (_: unknown, done: number) => void seen.push(done);
    const { released: deployed, credential } = await acme();
    const target = { deployed, credential, test: tinySet(30, 2) };
    const { records, forgeries } = await plant(target, { seed: 1, onStep });
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(records.map(({ attack, steps }) => [attack, steps.length])).toEqual([["forged bound claims", 5]]);
    expect(forgeries.map(({ method, asInPapers, verdict: v }) => [method, asInPapers.passes, v.verdict])).toEqual([
      ["bound claim, on the forger’s copy", true, "mark present"],
      ["bound claim, on the released network", true, "refused"],
    ]);
    for (const { budget } of forgeries) expect(budget).toEqual({ data: "none", milliseconds: expect.any(Number) });
  });
});

it("triggers that follow from a claim are counted after each attack: those of its first group", async () => {
  await gpu();
  const binding = await bindingFor("acme", { triggers: MARKED_TRIGGERS });
  const model = buildNetwork(MARKED, { seed: 3 });
  const { groups } = await bind(model, binding);
  const set = await boundGroup(await boundCredential(await model.credential({}), binding));
  model.dispose();
  expect(set).toMatchObject({ length: 60, classes: ["red", "green", "blue"] });
  expect([...set!.labels]).toEqual([...groups[0]!.labels]);
  // A claim without triggers, and a credential without a claim.
  const { credential } = await acme();
  expect(await boundGroup(credential)).toBeNull();
  const { claim: _, ...metadata } = credential.metadata;
  expect(await boundGroup({ ...credential, metadata })).toBeNull();
});
