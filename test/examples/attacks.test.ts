/** What the options of the attack runner come to. */
import { describe, expect, it } from "vitest";
import { ATTACKS } from "../../examples/attacks/list";
import { readSettings } from "../../examples/attacks/settings";
import { ArgumentError } from "../../src/errors";

describe("readSettings", () => {
  it("runs every attack on a small budget by default, records beside the run", () => {
    const s = readSettings(["--run", "out/x"]);
    expect(s).toMatchObject({ run: "out/x", out: "out/x/attacks", seed: 0, again: false });
    expect(s !== "help" && s.attacks).toEqual(Object.keys(ATTACKS));
    expect(s !== "help" && s.budget.epochs).toBe(2);
  });

  it("takes a choice, the papers' budget, a seed", () => {
    const s = readSettings(["--run", "x", "--attack", "prune, quantise", "--budget", "papers", "--seed", "7"]);
    expect(s).toMatchObject({ attacks: ["prune", "quantise"], seed: 7, budget: { epochs: 100, draws: 50 } });
    expect(readSettings(["--help"])).toBe("help");
  });

  it.each([
    [[], /--run: the folder of a trained network expected/],
    [["--run", "x", "--attack", "magic"], /--attack: of random-passports, .* expected, found "magic"/],
    [["--run", "x", "--budget", "huge"], /--budget: small or papers/],
    [["--run", "x", "--seed", "-1"], /seed/],
    [["--run", "x", "--colour", "red"], /colour/],
  ])("refuses %j", (args, message) => {
    expect(() => readSettings(args)).toThrow(ArgumentError);
    expect(() => readSettings(args)).toThrow(message);
  });
});
