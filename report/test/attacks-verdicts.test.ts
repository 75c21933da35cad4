import { ArgumentError } from "@pan/core";
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { FAMILIES } from "../src/attacks/families";
import { lettersOf } from "../src/attacks/signatures";
import { ambiguity, removal } from "../src/attacks/verdicts";
import { type AttackedNetwork, type AttackRuns, renderAttacks } from "../src/index";
import { madeUpNetwork, madeUpRuns } from "./attacks-fixture";
import { madeUpVerdict } from "./verdict-fixture";

/**
 * The page's text with all kinds of space made plain, so that the tests do not depend on
 * typography.
 */
const textOf = (page: string) => parseHTML(page).document.body.textContent!.replace(/[\s\u00a0\u202f\u2060]+/g, " ");
const only = (network: AttackedNetwork): AttackRuns => ({ networks: [network] });
const attackOf = (n: AttackedNetwork, name: string) => n.attacks.find(({ attack }) => attack.startsWith(name))!;

const v2 = madeUpNetwork("v2");
const text = textOf(renderAttacks(madeUpRuns()).html);

describe("verdicts", () => {
  const changed = (
    name: string,
    change: (after: AttackedNetwork["attacks"][number]["steps"][number]["after"]) => void,
  ) => {
    const n = madeUpNetwork("v2");
    for (const { after } of attackOf(n, name).steps) change(after);
    return n;
  };

  it("say that the signature was removed only where the network is of use", () => {
    expect(removal([v2], FAMILIES.pruning)!.lost).toEqual([]);
    expect(removal([v2], FAMILIES.pruning)!.counted.length).toBe(7);
    const gone = changed("weight quantisation", (after) => void Object.assign(after, { matched: 60 }));
    expect(removal([gone], FAMILIES.quantisation)!.lost.length).toBe(2);
    const page = textOf(renderAttacks(only(gone)).html);
    expect(page).toContain("removed in 2 of the 2 that leave the network of use. 8 bits: 60 of 112 bits, 82 needed");
    expect(page).toContain("the signature could be removed");
    const useless = changed("weight quantisation", (after) => {
      Object.assign(after, { matched: 60, accuracy: { public: 0.5, private: 0.5 } });
    });
    expect(removal([useless], FAMILIES.quantisation)!.counted).toEqual([]);
    expect(textOf(renderAttacks(only(useless)).html)).toContain("shows nothing: no setting left the network of use");
  });

  it("take filters that are all zeros for what they are, whatever the attack", () => {
    const n = madeUpNetwork("v2");
    for (const { steps } of n.attacks) for (const { after } of steps) Object.assign(after, { bits: 0, matched: 0 });
    const { html, tables } = renderAttacks(only(n));
    expect(html).not.toMatch(/NaN|Infinity/);
    expect(JSON.stringify(tables)).toContain('"Bits right"');
    // No bit is there to be matched: the signature is gone, and a chance match is certain.
    expect(removal([n], FAMILIES.pruning)!.lost).toHaveLength(removal([n], FAMILIES.pruning)!.counted.length);
    // Fewer bits are held to fewer matches.
    const few = madeUpNetwork("v2");
    for (const { after } of attackOf(few, "class-blind pruning").steps) Object.assign(after, { bits: 60, matched: 60 });
    expect(removal([few], FAMILIES.pruning)!.lost).toEqual([]);
  });

  it("hold the owner's bits to what the verdict on the claim needs, where the record has it", () => {
    const marked = (needed: number) =>
      changed("weight quantisation", (after) => {
        const bits = { count: 100, hits: 95, chance: 0.5, pValue: 1e-20, needed };
        Object.assign(after, { matched: 107, mark: { bits, triggers: null } });
      });
    expect(removal([marked(95)], FAMILIES.quantisation)!.lost).toEqual([]);
    expect(removal([marked(96)], FAMILIES.quantisation)!.lost.length).toBe(2);
    expect(textOf(renderAttacks(only(marked(96))).html)).toContain("8 bits: 95 of 100 bits, 96 needed");
    expect(textOf(renderAttacks(only(marked(95))).html)).toContain("at least 95 of 100 bits stayed, 95 are needed");
    // Filters of zeros leave nothing to match.
    const nothing = changed("weight quantisation", (after) =>
      Object.assign(after, { bits: 0, matched: 0, mark: { bits: null, triggers: null } }),
    );
    expect(removal([nothing], FAMILIES.quantisation)!.lost.length).toBe(2);
  });

  it("count fine-tuned networks always, and disguised ones by the owner's best answer", () => {
    const lost = changed("fine-tuning", (after) => void Object.assign(after, { matched: 81 }));
    expect(removal([lost], FAMILIES.fineTuning)!.lost.length).toBe(2);
    const disguises = removal([v2], FAMILIES.disguise)!;
    expect([disguises.tried.length, disguises.lost.length]).toEqual([3, 0]);
  });

  it("count distillation: where the network lives on in a copy without the signature, it is removed", () => {
    expect(removal([v2], FAMILIES.distillation)!.lost.length).toBe(1);
    const page = textOf(renderAttacks(only(v2)).html);
    expect(page).toContain("the signature could be removed");
    expect(page).toContain("epoch 2: 55 of 112 bits, 82 needed");
    expect(page).toContain("“The signature can be removed.”");
    const without = { ...v2, attacks: v2.attacks.filter(({ attack }) => attack !== "distillation") };
    expect(textOf(renderAttacks(only(without)).html)).toMatch(/Attacks that were not tried: [^.]*distillation/);
  });

  it.each([
    ["distillation", "distillation" as const],
    ["overwriting", "overwriting" as const],
  ])("judge what %s leaves of V1 by the network that the attacker has", (attack, family) => {
    const counted = (deployed?: number) => {
      const n = madeUpNetwork("v1");
      for (const { after } of attackOf(n, attack).steps) {
        Object.assign(after, { matched: 55, accuracy: { passport: 0.1 } });
        if (deployed === undefined) delete after.deployed;
        else after.deployed = deployed;
      }
      return removal([n], FAMILIES[family])!.lost.length;
    };
    expect([counted(0.85), counted(0.2), counted()]).toEqual([2, 0, 2]);
  });

  it("say what became of a claim's triggers beside its bits", () => {
    const answered = (...hits: readonly number[]) => {
      const n = madeUpNetwork("v3");
      n.attacks = n.attacks.filter(({ attack }) => attack === "unlearning triggers");
      for (const [i, { after }] of n.attacks[0]!.steps.entries()) {
        const bits = { count: 100, hits: 100, chance: 0.5, pValue: 1e-30, needed: 82 };
        const triggers = { count: 64, hits: hits[i]!, chance: 0.1, pValue: 1e-9, needed: 46 };
        Object.assign(after, { triggers: hits[i]! / 64, mark: { bits, triggers } });
      }
      return n;
    };
    const gone = textOf(renderAttacks(only(answered(50, 4))).html);
    expect(gone).toContain("at least 100 of 100 bits stayed, 82 are needed.");
    expect(gone).toContain("Triggers were removed in 1 of 2, at worst epoch 2: 4 of 64, 46 needed.");
    expect(gone).toContain("the triggers could be removed, in some settings");
    expect(gone).toContain("“It does not answer as you say.”");
    const kept = textOf(renderAttacks(only(answered(64, 46))).html);
    expect(kept).toContain("Triggers stayed, at least 46 of 64, 46 needed.");
    expect(kept).not.toContain("could be removed");
    // Nobody is asked to unlearn what a network never learnt.
    const untried = (n: AttackedNetwork) => {
      const attacks = n.attacks.filter(({ attack }) => attack !== "unlearning triggers");
      return textOf(renderAttacks(only({ ...n, attacks })).html);
    };
    expect(untried(madeUpNetwork("v3"))).toMatch(/Attacks that were not tried: [^.]*unlearning/);
    expect(untried(madeUpNetwork("v2"))).not.toMatch(/Attacks that were not tried: [^.]*unlearning/);
  });

  it("say that nothing was undone only where all was judged, and something tried", () => {
    const n = { ...madeUpNetwork("pan"), forgeries: [], nulls: [] };
    const held = n.attacks.filter(({ attack }) => attack.startsWith("class-blind"));
    const headline = (attacks: AttackedNetwork["attacks"]) => {
      const page = renderAttacks(only({ ...n, attacks })).html;
      return parseHTML(page).document.querySelector("h1")!.textContent!;
    };
    expect(headline(held)).toContain("no attack that was tried undid a signature or matched it");
    expect(headline([...held, attackOf(n, "an attack of tomorrow")])).toContain(
      "not all attacks that were tried are judged here",
    );
    expect(headline([])).toContain("no attack was tried");
  });

  it("call a branch a rival only if it works and is not signed by the owner", () => {
    expect(ambiguity([v2], FAMILIES.passports)!.lost).toEqual([]);
    const rival = changed("expanded residual", (after) => void Object.assign(after.accuracy, { private: 0.88 }));
    expect(ambiguity([rival], FAMILIES.blocks)!.lost.length).toBe(2);
    const page = textOf(renderAttacks(only(rival)).html);
    expect(page).toContain("a rival branch could be made");
    expect(page).toContain("88.0 % against the owner’s 89.0 %, with 37 of 112 bits");
  });

  it("say of bound claims that were planted what tells them from the owner's", () => {
    expect(ambiguity([v2], FAMILIES.planted)!.lost.length).toBe(2);
    const n = madeUpNetwork("v2");
    const [claim] = n.forgeries;
    n.forgeries.push({
      ...claim!,
      method: "bound claim, on the forger’s copy",
      verdict: madeUpVerdict("mark present"),
    });
    const page = textOf(renderAttacks(only(n)).html);
    expect(page).toContain(
      "Bound claims planted into a copy (2 settings): a rival branch in 2 settings: negation, own bits 112",
    );
    expect(page).toContain(
      "all pass; as a claim of ownership none hold. Of 1 the mark is present, in copies that the forger rearranged",
    );
    expect(text).not.toContain("in copies that the forger rearranged");
  });

  it("give each verdict with its sentence, and say what was spent", () => {
    expect(text).toContain("On AlexNet, V1, CIFAR-10: The claim does not hold together: the credential is not bound");
    expect(text).toContain("1 of 4 claims holds");
    for (const words of ["refused", "mark present", "holds as released"]) expect(text).toContain(`Verdict: ${words}`);
    expect(text).toContain("those who train had 2 epochs, the papers’ 100");
    expect(text).toContain(
      "4 credentials were forged for these weights. Checked as in the papers, all pass; as a claim of ownership none hold.",
    );
  });

  it("find the letters of a text spread over layers, and of two texts", () => {
    const bits = (word: string) =>
      [...word].flatMap((c) => Array.from({ length: 8 }, (_, k) => ((c.charCodeAt(0) >> (7 - k)) & 1 ? 1 : -1)));
    const layer = (word: string, more = 0) => {
      const signs = [...bits(word), ...Array.from({ length: more }, () => 1)];
      return { name: word, bits: signs.length, matched: signs.length, signs, gamma: signs };
    };
    const letters = (claimedText: string, ...layers: ReturnType<typeof layer>[]) =>
      lettersOf({ ...v2.claim, claimedText, layers })
        .map(({ letter }) => letter)
        .join("");
    expect(letters("ACME Ltd", layer("ACM"), layer("E Ltd", 8))).toBe("ACMEspaceLtd");
    expect(letters("one two", layer("one", 9), layer("\u007f", 3), layer("two", 4))).toBe("onetwo");
    expect(letters("ACME", layer("AX", 8))).toBe("");
  });
});

describe("records that contradict themselves", () => {
  it.each<[string, RegExp, (runs: AttackRuns) => void]>([
    ["no network", /report\.networks: expected at least one/, (r) => void r.networks.splice(0)],
    ["a title twice", /networks\[1\]\.title/, (r) => void (r.networks[1]!.title = r.networks[0]!.title)],
    [
      "an unknown scheme",
      /networks\[0\]\.network\.scheme/,
      (r) => void Object.assign(r.networks[0]!.network, { scheme: "plain" }),
    ],
    ["chance 0", /networks\[0\]\.chance/, (r) => void (r.networks[0]!.chance = 0)],
    [
      "percent for fractions",
      /networks\[1\]\.attacks\[2\]\.steps\[3\]\.after\.accuracy\.public: .*got 90/,
      (r) => {
        r.networks[1]!.attacks[2]!.steps[3]!.after.accuracy.public = 90;
      },
    ],
    [
      "a branch the scheme lacks",
      /networks\[0\]\.attacks\[0\]\.before\.accuracy\.public: expected no entry/,
      (r) => {
        r.networks[0]!.attacks[0]!.before.accuracy.public = 0.5;
      },
    ],
    [
      "more matches than bits",
      /attacks\[1\]\.steps\[0\]\.after\.matched/,
      (r) => void (r.networks[0]!.attacks[1]!.steps[0]!.after.matched = 113),
    ],
    [
      "a claim of more bits than can be read",
      /attacks\[1\]\.steps\[0\]\.after\.mark\.bits\.count/,
      (r) => {
        const bits = { count: 113, hits: 113, chance: 0.5, pValue: 0, needed: 100 };
        r.networks[0]!.attacks[1]!.steps[0]!.after.mark = { bits, triggers: null };
      },
    ],
    [
      "more of a claim's triggers than were asked",
      /attacks\[1\]\.steps\[0\]\.after\.mark\.triggers\.hits/,
      (r) => {
        const triggers = { count: 64, hits: 65, chance: 0.1, pValue: 0, needed: 46 };
        r.networks[0]!.attacks[1]!.steps[0]!.after.mark = { bits: null, triggers };
      },
    ],
    [
      "no bits before the attack",
      /attacks\[1\]\.before\.bits/,
      (r) => void Object.assign(r.networks[0]!.attacks[1]!.before, { bits: 0, matched: 0 }),
    ],
    [
      "a setting that is no number",
      /steps\[0\]\.setting\.share/,
      (r) => void Object.assign(r.networks[0]!.attacks[2]!.steps[0]!, { setting: { share: Number.NaN } }),
    ],
    ["gammas that are missing", /claim\.layers\[0\]\.gamma/, (r) => void r.networks[0]!.claim.layers[0]!.gamma.pop()],
    ["layers that do not add up", /claim\.layers.*add up/, (r) => void (r.networks[0]!.claim.layers[0]!.matched = 47)],
    [
      "a forged claim without a verdict",
      /forgeries\[0\]\.verdict\.verdict/,
      (r) => void Object.assign(r.networks[0]!.forgeries[0]!.verdict, { verdict: "true" }),
    ],
    ["an unknown null sample", /nulls\[0\]\.kind/, (r) => void Object.assign(r.networks[0]!.nulls[0]!, { kind: "x" })],
    [
      "channels that come and go",
      /convergence\.epochs\[1\]\.gamma/,
      (r) => void r.networks[0]!.convergence!.epochs[1]!.gamma.pop(),
    ],
    [
      "a distribution that is not finite",
      /distributions\.own\.beta\[0\]/,
      (r) => void (r.networks[0]!.distributions!.own.beta[0] = Number.NaN),
    ],
    ["negative seconds", /networks\[0\]\.seconds\.epoch/, (r) => void (r.networks[0]!.seconds!.epoch = -1)],
    ["an unknown watermark", /watermarks\[0\]\.method/, (r) => void Object.assign(r.watermarks![0]!, { method: "x" })],
    [
      "a watermark found too often",
      /watermarks\[1\]\.fineTuned\[0\]\.real/,
      (r) => void (r.watermarks![1]!.fineTuned[0]!.real = 2),
    ],
  ])("refuses %s, naming the entry", (_, message, change) => {
    const wrong = madeUpRuns();
    change(wrong);
    expect(() => renderAttacks(wrong)).toThrow(ArgumentError);
    expect(() => renderAttacks(wrong)).toThrow(message);
  });
});
