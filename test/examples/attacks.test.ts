/** What the options of the attack runner come to. */
import { describe, expect, it } from "vitest";
import { BUDGETS } from "../../examples/attacks/budget";
import { ATTACKS } from "../../examples/attacks/list";
import { HELP, readSettings } from "../../examples/attacks/settings";
import { ArgumentError } from "../../src/errors";

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
    [["--checkpoint", "x", "--budget", "huge"], /--budget: one of small, papers expected, found "huge"/],
    [["--checkpoint", "x", "--seed", "-1"], /seed/],
    [["--checkpoint", "x", "--colour", "red"], /colour/],
  ])("refuses %j", (args, message) => {
    expect(() => readSettings(args)).toThrow(ArgumentError);
    expect(() => readSettings(args)).toThrow(message);
  });
});
