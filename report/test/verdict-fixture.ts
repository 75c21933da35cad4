import { binomialPValue, matchThreshold, type VerdictName } from "@pan/core/ownership";
import type { ClaimVerdict } from "../src/index";

const AUTHOR = "Who made the network first: a date shows that the file was there, and the key who signed it.";

const SENTENCES: Readonly<Record<VerdictName, string>> = {
  "holds as released": "The suspect is, byte for byte, the file that was committed to, and it bears the claim's mark.",
  holds:
    "The suspect bears the mark of the claim that was committed to on 2026-03-15, before the suspect was published.",
  "copy of the committed network": "The suspect and the file that was committed to are made from one another.",
  "mark present": "The suspect bears the claim's mark, but that shows no ownership: nothing dates the claim.",
  refused: "The claim's mark is not in the suspect.",
};

/** What `verify` says of some bound bits, of which all that are not turned match. */
export function madeUpVerdict(verdict: VerdictName, { bits = 224, turned = 0 } = {}): ClaimVerdict {
  const of = (hits: number) => {
    const needed = matchThreshold(bits, 1e-6 * 2 ** -80);
    const counted = { count: bits, hits, chance: 0.5, pValue: binomialPValue(hits, bits), needed };
    return { bits: counted, triggers: null, found: hits >= needed, turned: false, notes: [] };
  };
  const dated = verdict !== "mark present" && verdict !== "refused";
  const copied = verdict === "holds" || verdict === "copy of the committed network";
  return {
    verdict,
    sentence: SENTENCES[verdict],
    bound: verdict === "refused" ? null : 1e-6,
    open: [AUTHOR],
    statement: "Trained by ACME",
    mark: of(bits - turned),
    released: of(bits),
    dated: dated ? { time: "2026-03-15T08:00:00.000Z", accuracy: 1, authorities: ["Stamps of Anytown"] } : null,
    published: dated ? "2026-04-02T00:00:00.000Z" : null,
    relation: copied ? { agreements: 180, channels: 208, needed: 20, pValue: 1e-240, related: true } : null,
    reasons: [`${bits - turned} of ${bits} bound bits fit; 194 are needed`],
  };
}
