import { ArgumentError } from "@pan/core";
import type { VerdictName } from "@pan/core/ownership";
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { prose } from "../src/format";
import { type ClaimVerdict, renderQuickstart } from "../src/index";
import { madeUpReport } from "./fixture";
import { madeUpVerdict } from "./verdict-fixture";

const drawn = (verdict: ClaimVerdict) => {
  const { document } = parseHTML(renderQuickstart({ ...madeUpReport(), verdict }));
  const section = document.querySelector('section[aria-labelledby="verdict"]')!;
  return { document, section, text: section.textContent!.replace(/[\s\u00a0\u202f\u2060]+/g, " ") };
};
const events = ({ section }: ReturnType<typeof drawn>) =>
  [...section.querySelectorAll(".timeline li")].map((li) => [li.className, li.querySelector("time")?.textContent]);

describe("a verdict on a page", () => {
  it.each<[VerdictName, string]>([
    ["holds as released", "good"],
    ["holds", "good"],
    ["copy of the committed network", "good"],
    ["mark present", "warn"],
    ["refused", "bad"],
  ])("%s has its words, its tone, its sentence and what it leaves open", (name, tone) => {
    const v = madeUpVerdict(name);
    const { document, text } = drawn(v);
    const badge = document.querySelector(".badge")!;
    expect(badge.textContent).toBe(`Verdict: ${name}`);
    expect([...badge.classList]).toContain(tone);
    for (const line of [v.sentence, ...v.open, v.statement])
      expect(text).toContain(prose(line).replace(/[\s\u2060]+/g, " "));
    expect(text.includes("with a probability of 10⁻⁶") || text.includes("1.0 × 10⁻⁶")).toBe(name !== "refused");
  });

  it("gives the numbers of marks and relation, with what is needed of each", () => {
    const { section } = drawn(madeUpVerdict("holds", { turned: 20 }));
    const rows = [...section.querySelectorAll("tbody tr")].map((tr) =>
      [...tr.children].slice(0, 3).map((cell) => cell.textContent),
    );
    expect(rows).toEqual([
      ["Bits of the claim in this network", "204 of 224", "194"],
      ["Bits of the claim in the committed file", "224 of 224", "194"],
      ["Channels like the committed file’s", "180 of 208", "20"],
    ]);
    expect(
      drawn({ ...madeUpVerdict("refused"), mark: null, released: null }).section.querySelector("table"),
    ).toBeNull();
  });

  it("puts dates in their order, and says which was first, or that there are none", () => {
    const v = madeUpVerdict("holds");
    expect(events(drawn(v))).toEqual([
      ["dated", "2026-03-15 08:00:00 UTC"],
      ["dated", "2026-04-02 00:00:00 UTC"],
    ]);
    expect(drawn(v).text).toContain("as Stamps of Anytown stamped, to 1 second");
    expect(drawn(v).text).toContain("The commitment is older than the network that is accused, by 17 days.");
    const late = drawn({ ...v, published: "2026-03-14T08:00:00.000Z" });
    expect(events(late)[0]![1]).toBe("2026-03-14 08:00:00 UTC");
    expect(late.text).toContain("older than the commitment, by 24 h 0 min: the claim came after it");
    expect(drawn({ ...v, published: "2026-03-15T08:00:01.000Z" }).text).toContain("too close to tell");
    const none = drawn(madeUpVerdict("mark present"));
    expect(events(none)).toEqual([
      ["undated", undefined],
      ["undated", undefined],
    ]);
    expect(none.text).toContain("no time stamp that counts");
  });

  it.each<[string, RegExp, Partial<Record<keyof ClaimVerdict, unknown>>]>([
    ["another word", /verdict\.verdict: expected one of holds as released/, { verdict: "valid" }],
    ["no sentence", /verdict\.sentence: expected text/, { sentence: "" }],
    ["a bound above 1", /verdict\.bound/, { bound: 2 }],
    ["a date that is none", /verdict\.published/, { published: "soon" }],
    ["a stamp that is none", /verdict\.dated\.time/, { dated: { time: "?", accuracy: 1, authorities: [] } }],
    [
      "more hits than bits",
      /verdict\.mark\.bits\.hits/,
      { mark: { bits: { count: 10, hits: 11, needed: 9, pValue: 0, chance: 0.5 }, triggers: null } },
    ],
  ])("is refused with %s", (_, message, change) => {
    const r = { ...madeUpReport(), verdict: { ...madeUpVerdict("holds"), ...change } as ClaimVerdict };
    expect(() => renderQuickstart(r)).toThrow(ArgumentError);
    expect(() => renderQuickstart(r)).toThrow(message);
  });
});
