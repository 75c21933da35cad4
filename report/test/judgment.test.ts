import { ArgumentError, encodeSafetensors, type SafetensorsFile } from "@pan/core";
import { forgeBoundClaim } from "@pan/core/attacks";
import { commit, judge } from "@pan/core/ownership";
import { encodeBundle } from "@pan/core/signing";
import { parseHTML } from "linkedom";
import { beforeAll, describe, expect, it } from "vitest";
import { gpu } from "../../test/support/gpu";
import { acme, authority, dated, MARKED, type Owned, publicKeyFor, signerFor, train } from "../../test/support/owner";
import { type JudgmentRecord, judgedFile, renderJudgment } from "../src/index";
import { questions } from "../src/judgment-rules";
import { madeUpJudgment } from "./judgment-fixture";

const textOf = (page: string) => parseHTML(page).document.body.textContent!.replace(/[\s\u00a0\u202f\u2060]+/g, " ");
const bytesOf = ({ tensors, metadata }: SafetensorsFile) => encodeSafetensors(tensors, metadata);

describe("the page of a judgment on a forged rival", () => {
  let owned: Owned;
  let forged: Owned;
  let stamps: Awaited<ReturnType<typeof authority>>;

  beforeAll(async () => {
    await gpu();
    owned = await acme();
    stamps = await authority();
    const { network, credential } = await forgeBoundClaim(owned.released, MARKED, {
      means: "all",
      seed: 1,
      publicKey: await publicKeyFor("mallory"),
    });
    forged = { ...owned, who: "mallory", released: network, credential };
  });

  /** What is handed in, judged, and drawn. */
  async function judged(...parties: [Owned, string | null][]): Promise<JudgmentRecord> {
    const rivals = await Promise.all(
      parties.map(async ([of, iso]) => {
        const bundle = iso
          ? await dated(of, stamps, iso)
          : await commit(of.credential, of.released, await signerFor(of.who));
        return {
          credential: bytesOf(of.credential),
          released: bytesOf(of.released),
          commitment: encodeBundle(bundle),
        };
      }),
    );
    const [a, b] = rivals as [(typeof rivals)[0], (typeof rivals)[0]];
    const judgment = await judge(a, b, { roots: [stamps.root] });
    const named = async (who: string, of: typeof a) => ({
      name: who,
      credential: await judgedFile(`${who}/owner.credential.safetensors`, of.credential),
      released: await judgedFile(`${who}/network.safetensors`, of.released),
      commitment: await judgedFile(`${who}/commitment.json`, of.commitment),
    });
    return {
      judgment,
      parties: [await named(parties[0]![0].who, a), await named(parties[1]![0].who, b)],
      suspect: null,
      base: null,
      roots: [await judgedFile("root.der", stamps.root)],
      falsePositiveRate: 1e-6,
      judgedAt: "2026-07-01T12:00:00.000Z",
    };
  }

  /** Rows of the evidence: found, and what follows. */
  const found = (document: Document): Record<string, (string | null)[]> =>
    Object.fromEntries(
      [...document.querySelectorAll('section[aria-labelledby="evidence"] tbody tr')].map((tr) => {
        const [what, hits, , , so] = [...tr.children].map((cell) => cell.textContent);
        return [what!, [hits!, so!]];
      }),
    );

  it("shows the owner’s mark in the file of a thief who trained on, whatever the dates say", async () => {
    const thief = await train("mallory", { start: owned.released, epochs: 6 });
    const record = await judged([owned, "2026-06-01T00:00:00Z"], [thief, "2026-01-01T00:00:00Z"]);
    expect(record.judgment).toMatchObject({ ruling: "A", rule: "one mark crosses" });
    const page = renderJudgment(record);
    const { document } = parseHTML(page);
    const text = textOf(page);
    expect(document.querySelector("h1")!.textContent).toBe("B (mallory) has a network that is made from A (acme)’s");
    const { aInB } = record.judgment.marks;
    expect(found(document)).toMatchObject({
      "A’s mark in A’s file, bits": ["224 of 224", "there"],
      "A’s mark in B’s file, bits": [`${aInB!.bits!.hits} of 224`, "there"],
      "B’s mark in B’s file, bits": [expect.anything(), "there"],
      "B’s mark in A’s file, bits": [expect.anything(), "not there"],
    });
    const times = [...document.querySelectorAll(".timeline time")].map((t) => t.getAttribute("datetime"));
    expect(times).toEqual(["2026-01-01T00:00:00.000Z", "2026-06-01T00:00:00.000Z"]);
    expect(text).toContain("does not go by these dates");
    expect(document.querySelector(".questions .decided")!.textContent).toContain("A’s mark is in B’s file");
    for (const { credential, released, commitment } of record.parties)
      for (const file of [credential, released, commitment]) expect(text).toContain(file.sha256);
    expect(text).toContain("The claim says: Trained by acme");
    expect(page).not.toContain(owned.binding.secret);
    expect(renderJudgment(JSON.parse(JSON.stringify(record)) as JudgmentRecord)).toBe(page);
  }, 120_000);

  it("goes by the dates where the forger’s rearrangement turned the owner’s mark out", async () => {
    const record = await judged([owned, "2026-01-01T00:00:00Z"], [forged, "2026-06-01T00:00:00Z"]);
    expect(record.judgment).toMatchObject({ ruling: "A", rule: "dates" });
    const page = renderJudgment(record);
    const { document } = parseHTML(page);
    expect(document.querySelector("h1")!.textContent).toBe("A (acme) was there first");
    const rows = found(document);
    expect(rows["A’s mark in B’s file, bits"]![1]).toBe("not there");
    expect(rows["B’s mark in B’s file, bits"]![1]).toBe("there");
    expect(rows["Channels that the files share, as A’s claim knows them"]![1]).toBe("related");
    expect(textOf(page)).toContain("The ruling goes by these dates.");
    expect(document.querySelector(".questions .decided")!.textContent).toContain("A’s is the earlier one, by 151 days");
  });

  it("says that a claim falls where the file is not the one that was committed to", async () => {
    const record = await judged([owned, null], [{ ...forged, released: owned.released }, null]);
    expect(record.judgment).toMatchObject({ ruling: "A", rule: "own mark" });
    const { document } = parseHTML(renderJudgment(record));
    expect(document.querySelector("h1")!.textContent).toBe("A (acme) prevails: the other claim falls");
    expect([...document.querySelectorAll(".questions li")].map((li) => li.className)).toEqual([
      "decided",
      "unasked",
      "unasked",
      "unasked",
      "unasked",
    ]);
    expect([...document.querySelectorAll(".timeline li")].map((li) => li.className)).toEqual(["undated", "undated"]);
  }, 120_000);

  it("has another owner’s network be one of its own", async () => {
    const other = await train("mallory", { seed: 8 });
    const record = await judged([owned, "2026-01-01T00:00:00Z"], [other, null]);
    expect(record.judgment).toMatchObject({ ruling: "independent", rule: "unrelated" });
    const text = textOf(renderJudgment(record));
    expect(text).toContain("two networks of two owners");
    expect(text).toContain("No date");
    expect(text).toMatch(/distilled/);
  }, 120_000);
});

describe("the page of a judgment", () => {
  it.each([
    ["A", "own mark", "good", /prevails: the other claim falls/],
    ["B", "one mark crosses", "good", /A \(ACME\) has a network that is made from B’s/],
    ["A", "dates", "good", /A \(ACME\) was there first/],
    ["same owner", "parent", "good", /Both claims are of one owner/],
    ["independent", "unrelated", "good", /two networks of two owners/],
    ["disputed", "dates", "warn", /Nothing that was handed in decides/],
    ["neither", "own mark", "bad", /Neither claim holds together/],
  ] as const)("%s by %s has its tone, its heading, one decisive question and what it leaves open", (...row) => {
    const [ruling, rule, tone, heading] = row;
    const record = madeUpJudgment(ruling, rule);
    const { document } = parseHTML(renderJudgment(record));
    expect([...document.querySelector(".badge")!.classList]).toContain(tone);
    expect(document.querySelector("h1")!.textContent).toMatch(heading);
    expect(document.querySelectorAll(".questions .decided").length).toBe(1);
    expect(questions(record.judgment).filter(({ state }) => state === "decided").length).toBe(1);
    expect(document.querySelectorAll('section[aria-labelledby="bounds"] li').length).toBeGreaterThan(1);
    expect(document.body.textContent).not.toMatch(/undefined|NaN|Infinity|\[object/);
  });

  it("loads nothing and escapes what parties say", () => {
    const evil = `"><script>alert(1)</script><img src=x onerror='a'>\u202e`;
    const r = madeUpJudgment("A", "own mark");
    for (const party of r.parties) {
      party.name = evil;
      for (const key of ["credential", "released", "commitment"] as const) party[key].name = evil;
    }
    Object.assign(r.judgment, { statements: [evil, evil], reasons: [evil], sentence: evil });
    Object.assign(r.judgment.facts, { broken: [null, evil] });
    const page = renderJudgment(r);
    const { document } = parseHTML(page);
    expect(document.querySelectorAll("script, img, link, [onerror], [src], [href]").length).toBe(0);
    expect(page).not.toContain("<script");
    expect(page).not.toContain("\u202e");
    expect(page).toContain("default-src 'none'");
  });

  it.each<[string, RegExp, (r: JudgmentRecord) => void]>([
    [
      "another ruling",
      /judgment\.ruling: expected one of A, B/,
      (r) => void Object.assign(r.judgment, { ruling: "C" }),
    ],
    ["no rule", /judgment\.rule/, (r) => void Object.assign(r.judgment, { rule: undefined })],
    ["one party", /parties: expected A and B/, (r) => void r.parties.pop()],
    [
      "a digest that is none",
      /released\.sha256: expected 64/,
      (r) => void Object.assign(r.parties[1].released, { sha256: "?" }),
    ],
    [
      "more hits than bits",
      /marks\.aInA\.bits\.hits/,
      (r) => void Object.assign(r.judgment.marks.aInA!.bits!, { hits: 1000 }),
    ],
    [
      "a date that is none",
      /facts\.dated\[0\]\.time/,
      (r) => void Object.assign(r.judgment.facts.dated[0]!, { time: "?" }),
    ],
    ["a rate above 1", /falsePositiveRate/, (r) => void Object.assign(r, { falsePositiveRate: 2 })],
  ])("is refused with %s", (_, message, change) => {
    const r = madeUpJudgment("A", "one mark crosses");
    change(r);
    expect(() => renderJudgment(r)).toThrow(ArgumentError);
    expect(() => renderJudgment(r)).toThrow(message);
  });
});
