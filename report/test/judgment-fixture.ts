import { binomialPValue, type Judgment, matchThreshold } from "@pan/core/ownership";
import type { JudgmentRecord } from "../src/index";

const file = (name: string, digit: string) => ({ name, bytes: 204_440, sha256: digit.repeat(64) });
const party = (name: string, digits: string) => ({
  name,
  credential: file(`${name || "b"}/owner.credential.safetensors`, digits[0]!),
  released: file(`${name || "b"}/network.safetensors`, digits[1]!),
  commitment: file(`${name || "b"}/commitment.sigstore.json`, digits[2]!),
});

function mark(hits: number, count = 224): NonNullable<Judgment["marks"]["aInA"]> {
  const needed = matchThreshold(count, 1e-6 * 2 ** -80);
  const bits = { count, hits, chance: 0.5, pValue: binomialPValue(hits, count), needed };
  return { bits, triggers: null, found: hits >= needed, turned: false, notes: [] };
}

/** A judgment of a kind, and facts that it would follow from. */
export function madeUpJudgment(ruling: Judgment["ruling"], rule: Judgment["rule"]): JudgmentRecord {
  const crossed = rule === "one mark crosses" ? [ruling === "A", ruling === "B"] : [false, false];
  const fallen = "its mark is not in the file that it was committed for";
  const falls = (i: number) => (rule === "own mark" && ruling !== (["A", "B"] as const)[i] ? fallen : null);
  const related = !["independent", "neither"].includes(ruling);
  const relation = {
    agreements: related ? 201 : 2,
    channels: 240,
    needed: 21,
    pValue: related ? 1e-260 : 0.6,
    common: 1,
    covered: { tensors: related ? 1 : 0, numbers: related ? 1 : 0 },
    related,
    layers: [],
    notes: [],
  };
  const stamp = (time: string) => ({ time, accuracy: 1, authorities: ["Stamps of Anytown"] });
  return {
    judgment: {
      ruling,
      rule,
      sentence: `Made up for ${rule}, at a rate of 1e-6.`,
      facts: {
        broken: [falls(0), falls(1)],
        crossed: crossed as [boolean, boolean],
        related,
        compared: true,
        dated: [stamp("2026-01-01T00:00:00.000Z"), ruling === "disputed" ? null : stamp("2026-06-01T00:00:00.000Z")],
        parent: [false, rule === "parent"],
      },
      statements: ["Trained by ACME, 2026", "My own work"],
      marks: {
        aInA: mark(falls(0) ? 118 : 224),
        aInB: mark(crossed[0] ? 219 : 109),
        bInA: mark(crossed[1] ? 219 : 115),
        bInB: falls(1) ? null : mark(224),
      },
      relations: { byA: relation, byB: null },
      suspect: ruling === "independent" ? "A" : null,
      reasons: ["B: the commitment has no time stamp"],
    },
    parties: [party("ACME", "abc"), party("", "def")],
    suspect: ruling === "independent" ? file("suspect.safetensors", "0") : null,
    base: null,
    roots: [file("freetsa-root.pem", "1")],
    falsePositiveRate: 1e-6,
    judgedAt: "2026-07-01T12:00:00.000Z",
  };
}
