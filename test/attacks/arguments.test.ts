/**
 * What every attack is given, tried with what is none: each says so with its name before it
 * computes anything, and takes no option that it does not have.
 */
import * as entry from "@pan/core/attacks";
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, PanError } from "../../src/errors";
import type { SafetensorsFile } from "../../src/io/safetensors";
import { shown } from "../../src/io/shown";
import { buildNetwork } from "../../src/models";
import { memory } from "../../src/tensor/storage";
import { gpu } from "../support/gpu";
import { TINY, tinySet } from "../support/tiny";

type Call = (target: never, options: never) => unknown;
type Parts = Record<string, unknown>;

/** Attacks on a target, with what they cannot do without. */
const ATTACKS: Readonly<Record<string, () => Parts>> = {
  distil: () => budget,
  fineTune: () => budget,
  overwrite: () => budget,
  unlearnTriggers: () => budget,
  replaceScales: () => budget,
  trainScales: () => budget,
  trainPassports: () => ({ ...budget, variant: "near" }),
  prune: () => ({}),
  quantise: () => ({}),
  flipSigns: () => ({}),
  randomPassports: () => ({}),
  disguises: () => ({}),
  forgeBoundClaims: () => ({}),
};

/** Options with values that none of the attacks that have them takes. */
const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  seed: [-1, 0.5, "1", null],
  onStep: [1, "x", {}],
  shares: [0.5, "x", {}, [2], ["1"], [null], null],
  bits: [4, "x", [1], ["8"], [17]],
  draws: [0, "1", null],
  layers: ["x", [1], 3],
  epochs: [0, 0.5, "1", undefined],
  train: [undefined, null, {}, "x", []],
  test: [null, {}, "x"],
  lr: ["1", -1, Number.NaN],
  batchSize: [0, "1", 7],
  transform: ["x", {}, 1],
  onAttacked: [1],
  onForged: [1],
  mode: ["all", null, 1],
  kind: ["both", null],
  hidden: [0, "1"],
  temperature: ["1", 0],
  decoys: [null, {}, "x"],
  decoyBatch: [0, "1", 1001],
  variant: [undefined, "far", 1, {}],
};
const OWN: Readonly<Record<string, readonly string[]>> = {
  distil: ["temperature"],
  fineTune: ["mode"],
  overwrite: [],
  unlearnTriggers: ["decoys", "decoyBatch"],
  replaceScales: ["kind", "hidden"],
  trainScales: ["shares"],
  trainPassports: ["variant", "shares", "onForged"],
  prune: ["shares"],
  quantise: ["bits"],
  flipSigns: ["shares", "layers"],
  randomPassports: ["draws"],
  disguises: [],
  forgeBoundClaims: ["onForged"],
};
const TRAINING = ["epochs", "train", "test", "lr", "batchSize", "transform", "onAttacked"];
/** Those that leave the network as it is: there is no other task, and no copy to give away. */
const FORGING = ["replaceScales", "trainScales", "trainPassports"];

let target: { deployed: SafetensorsFile; credential: SafetensorsFile; test: unknown };
let budget: Parts;

beforeAll(async () => {
  await gpu();
  const model = buildNetwork(TINY, { seed: 1 });
  target = { deployed: await model.deployed(), credential: await model.credential(), test: tinySet(6, 2) };
  budget = { train: tinySet(6, 1), epochs: 1, batchSize: 3 };
  model.dispose();
});

const errorOf = async (call: () => unknown): Promise<unknown> => {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
};
const call = (name: string) => (entry as unknown as Record<string, Call>)[name]!;

describe.each(Object.keys(ATTACKS))("%s", (name) => {
  it("refuses targets that are none, and says which part is wrong", async () => {
    const whole = [undefined, null, 1, "x", [], {}];
    const parts = ["deployed", "credential", "test"].flatMap((part) =>
      [null, 3, "x", {}].map((value) => ({ ...target, [part]: value })),
    );
    const optional = [
      { ...target, transform: "x" },
      { ...target, model: 3 },
      { ...target, triggers: {} },
    ];
    for (const value of [...whole, ...parts, ...optional]) {
      const error = await errorOf(() => call(name)(value as never, ATTACKS[name]!() as never));
      expect(error, `${name}: ${shown(value)}`).toBeInstanceOf(PanError);
      expect((error as Error).message).toMatch(new RegExp(`^${name}: `));
    }
  });

  it("refuses options that it does not have, or whose values mean nothing", async () => {
    const names = ["seed", "onStep", ...OWN[name]!, ...("epochs" in ATTACKS[name]!() ? TRAINING : [])];
    const wrong = [
      ...names.flatMap((option) => WRONG[option]!.map((value) => ({ [option]: value }))),
      ...[{ share: [0.5] }, { learningRate: 3 }, { misspelt: 1 }],
    ];
    for (const changed of wrong) {
      const error = await errorOf(() => call(name)(target as never, { ...ATTACKS[name]!(), ...changed } as never));
      expect(error, `${name}: ${shown(changed)}`).toBeInstanceOf(PanError);
      expect((error as Error).message).toMatch(new RegExp(`^${name}: `));
    }
    if (FORGING.includes(name))
      for (const meant of [{ test: tinySet(6, 3) }, { task: "another" }, { onAttacked: () => {} }])
        expect(
          await errorOf(() => call(name)(target as never, { ...ATTACKS[name]!(), ...meant } as never)),
        ).toBeInstanceOf(ArgumentError);
    for (const none of [null, 1, "x", [1]])
      expect(await errorOf(() => call(name)(target as never, none as never))).toBeInstanceOf(ArgumentError);
  });

  it("trains on as few images as there are, and leaves nothing behind", async () => {
    if (!("epochs" in ATTACKS[name]!())) return;
    const { batchSize: _, ...options } = ATTACKS[name]!();
    const held = memory().tensors;
    const given = { ...options, shares: [0] };
    const { budget } = (await call(name)(
      target as never,
      (OWN[name]!.includes("shares") ? given : options) as never,
    )) as {
      budget: unknown;
    };
    expect(budget).toMatchObject({ images: 6, batchSize: 6 });
    expect(memory().tensors).toBe(held);
  });
});
