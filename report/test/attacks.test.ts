import { binomialPValue, matchThreshold, twoSidedPValue } from "@pan/core/ownership";
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { FAMILIES } from "../src/attacks/families";
import { type AttackedNetwork, type AttackReport, type AttackRuns, renderAttacks, tablesCsv } from "../src/index";
import { madeUpNetwork, madeUpRuns } from "./attacks-fixture";

const parse = (page: string) => parseHTML(page).document;
/**
 * The page's text with all kinds of space made plain, so that the tests do not depend on
 * typography.
 */
const textOf = (page: string) => parse(page).body.textContent!.replace(/[\s\u00a0\u202f\u2060]+/g, " ");
const sections = (page: string) => [...parse(page).querySelectorAll("section h2")].map((h) => h.id);
const only = (network: AttackedNetwork): AttackRuns => ({ networks: [network] });

/** The rows of a table as objects, by heads. */
function rowsOf({ tables }: AttackReport, name: string): Record<string, string | number | null>[] {
  const table = tables.find((t) => t.name === name);
  return (table?.rows ?? []).map((row) => Object.fromEntries(table!.columns.map((head, i) => [head, row[i] ?? null])));
}

const attackOf = (n: AttackedNetwork, name: string) => n.attacks.find(({ attack }) => attack.startsWith(name))!;

const runs = madeUpRuns();
const made = renderAttacks(runs);
const document = parse(made.html);
const text = textOf(made.html);
const [v1, v2, v3, pan] = runs.networks as [AttackedNetwork, AttackedNetwork, AttackedNetwork, AttackedNetwork];

describe("the page on attacks", () => {
  it("has every section in order, and a summary first", () => {
    expect(sections(made.html)).toEqual([
      "claims",
      "removal",
      "ambiguity",
      "forged",
      "other",
      "statistics",
      "watermarks",
      "training",
      "reproduce",
      "glossary",
    ]);
    expect([...document.querySelectorAll(".onepage .block h2")].map((h) => h.textContent)).toEqual([
      "What was claimed",
      "How sure it is",
      "What was tried",
      "What an opponent can still say",
      "What the evidence does not show",
    ]);
    expect(document.querySelector("header")!.firstElementChild!.className).toBe("onepage");
    expect(made.html).toMatch(/@media print \{[^@]*@page[^@]*\.onepage \{ break-after: page; \}/);
  });

  it("names every figure and table of the paper that it corresponds to", () => {
    for (const n of [2, 6, 7, 8, 9, 10, 11, 12]) expect(text).toMatch(new RegExp(`DeepIPR’s Table ${n}\\b`));
    for (const n of [
      "3",
      "5",
      "6b and 13",
      "12",
      "14 and 15",
      "16",
      "17",
      "18a",
      "18b",
      "18c",
      "18d",
      "19a",
      "19b",
      "19c",
    ])
      expect(text).toContain(`DeepIPR’s Fig. ${n}`);
    for (const caption of document.querySelectorAll("figcaption")) expect(caption.textContent).toContain("DeepIPR");
  });

  it("loads nothing, runs nothing, and describes its figures in words", () => {
    expect(document.querySelectorAll("script, link, iframe, img, object, embed, base").length).toBe(0);
    expect(document.querySelectorAll("[src], [href], [srcset], [action]").length).toBe(0);
    expect(made.html.replaceAll(/xmlns(:\w+)?="http:\/\/www\.w3\.org[^"]*"/g, "")).not.toMatch(
      /https?:\/\/|@import|url\(/,
    );
    expect(text).not.toMatch(/undefined|NaN|Infinity|\bnull\b|\[object/);
    const drawings = [...document.querySelectorAll(".canvas svg")];
    expect(drawings.length).toBeGreaterThan(60);
    for (const svg of drawings) expect(svg.getAttribute("aria-label")!.length).toBeGreaterThan(40);
    for (const node of document.querySelectorAll(".canvas *"))
      for (const { name, value } of node.attributes) expect(`${name} ${value}`).not.toMatch(/NaN|Infinity|undefined/);
  });

  it("is the same from records read back from JSON, and small", () => {
    expect(renderAttacks(JSON.parse(JSON.stringify(runs)) as AttackRuns)).toEqual(made);
    expect(JSON.parse(JSON.stringify(made.tables))).toEqual(made.tables);
    const large = renderAttacks(madeUpRuns({ values: 3000, epochs: 200, draws: 1000 }));
    expect(large.html.length).toBeLessThan(1.5e6);
  });

  it("escapes hostile text", () => {
    const evil = `"><script>alert(1)</script>\u202e`;
    const n = madeUpNetwork("pan");
    Object.assign(n, { title: evil, command: evil, adapter: { kind: evil, name: evil } });
    Object.assign(n.claim, { decodedText: evil, reasons: [evil] });
    Object.assign(n.verdict, { sentence: evil, reasons: [evil], open: [evil], statement: evil });
    n.attacks.push({
      ...attackOf(n, "an attack of tomorrow"),
      attack: evil,
      knowledge: [evil],
      budget: { [evil]: evil },
    });
    n.attacks[0]!.steps[0]!.text = evil;
    const page = renderAttacks(only(n)).html;
    expect(parse(page).querySelectorAll("script").length).toBe(0);
    expect(page).not.toMatch(/<script|\u202e/);
  });
});

describe("tables of the report on attacks", () => {
  it("hold the record's numbers at every setting, with p-values as computed", () => {
    const rows = rowsOf(made, "measurements").filter((row) => row["Setting"] !== "before");
    const steps = runs.networks.flatMap((n) =>
      n.attacks.filter((a) => a.attack !== "random passports").flatMap((a) => a.steps.map((step) => ({ n, a, step }))),
    );
    expect(rows.length).toBe(steps.length);
    for (const [i, { n, a, step }] of steps.entries()) {
      const { after } = step;
      expect(rows[i]).toMatchObject({
        Network: n.title,
        Attack: a.attack,
        "No passport": after.deployed ?? after.accuracy.public,
        "Passport branch": after.accuracy.private ?? after.accuracy.passport,
        "Bits right": after.matched,
        Of: after.bits,
        Needed: matchThreshold(112),
        "p, one-sided": binomialPValue(after.matched, 112),
        "p, two-sided": twoSidedPValue(after.matched, 112),
      });
    }
    expect(rowsOf(made, "random-passports").filter((row) => row["Network"] === v1.title).length).toBe(21);
  });

  it("have what the verdict on the claim needs, of bits and of triggers, and its own bits beside it", () => {
    const n = madeUpNetwork("v3");
    // As pruning does, every step leaves fewer filters that can be read.
    const mark = (i: number): NonNullable<AttackedNetwork["attacks"][number]["before"]["mark"]> => ({
      bits: { count: 100 - i, hits: 99 - i, chance: 0.5, pValue: 1e-20, needed: 95 - i },
      triggers: { count: 64, hits: 63, chance: 0.1, pValue: 1e-50, needed: 46 },
    });
    for (const name of ["class-blind pruning", "fine-tuning"]) {
      const { before, steps } = attackOf(n, name);
      before.mark = mark(0);
      for (const [i, { after }] of steps.entries()) after.mark = mark(i);
    }
    const report = renderAttacks(only(n));
    const pruned = rowsOf(report, "pruning");
    expect(pruned.map((row) => [row["Bits right"], row["Of"], row["Needed"]])).toEqual(
      [0, ...attackOf(n, "class-blind pruning").steps.keys()].map((i) => [99 - i, 100 - i, 95 - i]),
    );
    expect(pruned[2]!["p, one-sided"]).toBe(binomialPValue(98, 99));
    // The network as it is, and after each fine-tuning.
    const tuned = rowsOf(report, "fine-tuning");
    expect(tuned[0]).toMatchObject({ "Bits right": 99, Of: 100, Needed: 95, Detected: 0.99 });
    expect(tuned[1]).toMatchObject({ "Bits right": 98, Of: 99, Needed: 94, "Fewest on the way": 98 });
    const triggers = rowsOf(report, "triggers");
    const known = triggers.filter((row) => row["Needed"] === 46);
    expect(known.length).toBeGreaterThan(attackOf(n, "class-blind pruning").steps.length);
    for (const row of known.slice(1)) expect(row).toMatchObject({ Hits: 63, Of: 64 });
    // Attacks without it are held to what the papers check, as are records from before.
    expect(triggers.filter((row) => row["Attack"] === "weight quantisation")[0]).toMatchObject({ Of: 100, Needed: 29 });
    const rounded = rowsOf(report, "quantisation")[1]!;
    expect(rounded).toMatchObject({ Of: 112, Needed: matchThreshold(112) });
    // The number needed is a line where it is not the same for all.
    expect(textOf(report.html)).toContain("bits needed");
    expect(text).not.toContain("bits needed");
    expect(rowsOf(report, "claims")[0]).toMatchObject({
      Needed: 82,
      "Needed by the verdict": n.verdict.mark!.bits!.needed,
    });
  });

  it("compare fine-tuning with the plain network, task by task", () => {
    const rows = rowsOf(made, "fine-tuning").filter((row) => row["Network"] === v2.title);
    expect(rows.map((row) => row["Task"])).toEqual(["its own", "CIFAR-100", "Caltech-101"]);
    const last = attackOf(v2, "fine-tuning").steps[1]!.after;
    expect(rows[0]!["κ, points"]).toBeCloseTo(0.9 - 0.912, 12);
    expect(rows[1]).toMatchObject({
      Accuracy: last.accuracy.public,
      "Plain network": 0.62,
      "Bits right": 111,
      Mode: "RTAL",
    });
    expect(rows[1]!["κ, points"]).toBeCloseTo(last.accuracy.public! - 0.62, 12);
    expect(rows[1]!["Detected"]).toBeCloseTo(111 / 112, 12);
    expect(text).toMatch(/−6\.0/);
  });

  it("tell attacks of one name apart by what was spent", () => {
    const n = madeUpNetwork("v3");
    const { steps, before } = attackOf(n, "fine-tuning");
    n.attacks = [0.001, 0.01, 0.05].map((lr) => ({
      ...{ attack: "fine-tuning, RTAL", knowledge: [], seed: 1, before, steps },
      budget: { task: "CIFAR-100", images: 5000, epochs: 2, lr, batchSize: 50 },
    }));
    const report = renderAttacks(only(n));
    const tuned = rowsOf(report, "fine-tuning");
    expect(tuned.map((row) => row["Rate"])).toEqual([null, 0.001, 0.01, 0.05]);
    // The plain network was fine-tuned at the first rate alone.
    expect(tuned.map((row) => row["Plain network"])).toEqual([0.912, 0.62, null, null]);
    for (const name of ["fine-tuning", "triggers", "measurements"]) {
      const rows = rowsOf(report, name)
        .filter((row) => row["Setting"] !== "before")
        .map((row) => JSON.stringify([row["Setting"], row["Rate"]]));
      expect(new Set(rows).size, name).toBe(rows.length);
    }
    expect(textOf(report.html)).toContain("on CIFAR-100, learning rate 0.05, epoch 2");
  });

  it("count triggers before and after, with what chance finds", () => {
    const rows = rowsOf(made, "triggers");
    expect(new Set(rows.map((row) => row["Network"]))).toEqual(new Set([v3.title]));
    expect(rows[0]).toMatchObject({ Hits: 100, Of: 100, p: binomialPValue(100, 100, 0.1) });
    expect(rows[1]).toMatchObject({
      Setting: "on CIFAR-100, epoch 2",
      Detected: 0.25,
      Hits: 25,
      p: binomialPValue(25, 100, 0.1),
    });
  });

  it("sum rival claims up in counts that the record gives", () => {
    const row = (n: AttackedNetwork, method: string) =>
      rowsOf(made, "ambiguity").find((r) => r["Network"] === n.title && String(r["Method"]).includes(method))!;
    expect(row(v2, "trained without passports")).toMatchObject({
      Settings: 11,
      "Fidelity kept": 1,
      "Kept without signature": 0,
    });
    const { steps } = attackOf(v2, "trained scales");
    const found = steps.filter(({ after }) => after.matched >= 82).length;
    const best = Math.max(
      ...steps.filter(({ after }) => after.matched < 82).map(({ after }) => after.accuracy.private!),
    );
    expect(row(v2, "trained without passports")).toMatchObject({ "Signature found": found, "Best without it": best });
    const blocks = rowsOf(made, "residual-blocks").find((r) => r["After"] === "epoch 1")!;
    expect(blocks["BDR"]).toBeCloseTo(1 - 37 / 112, 12);
    const planted = rowsOf(made, "planted-claims").filter((r) => r["Network"] === pan.title);
    expect(planted.map((r) => r["By"])).toEqual(["before", "negation, own bits 112", "permutation, own bits 106"]);
    expect(planted[2]).toMatchObject({ "Bits right": 56, BDR: 0.5 });
  });

  it("show letters, texts, forged claims, times, null samples, balance and the older methods", () => {
    const letters = rowsOf(made, "signature-letters").filter((row) => row["Network"] === pan.title);
    expect(letters.slice(0, 8).map((row) => row["Bit"])).toEqual([0, 1, 0, 0, 0, 0, 0, 1]);
    expect(letters[1]!["γ"]).toBe(pan.claim.layers[2]!.gamma[1]);
    const texts = rowsOf(made, "signature-texts").filter((row) => row["Network"] === pan.title);
    expect(texts[0]).toMatchObject({ Signature: "none: plain network", Accuracy: 0.912 });
    expect(new Set(texts.map((row) => row["Signature"]))).toEqual(
      new Set(["none: plain network", "as trained", "correct", "partly correct", "wrong"]),
    );
    expect(rowsOf(made, "forged-claims")[0]).toMatchObject({
      "As in the papers": "passes",
      Verdict: "refused",
    });
    expect(rowsOf(made, "times")[0]!["Ratio"]).toBeCloseTo(19.01 / 8.445, 12);
    const sample = pan.nulls[0]!;
    expect(rowsOf(made, "null-samples").find((row) => row["Network"] === pan.title)).toMatchObject({
      Mean: sample.mean,
      Deviation: sample.deviation,
      "Deviation of coins": Math.sqrt(112) / 2,
      Most: Math.max(...sample.matched),
      "p of the owner’s, from the sample": 1 / (1 + sample.matched.length),
    });
    const plus = pan.claim.layers[0]!.signs.filter((s) => s > 0).length;
    expect(rowsOf(made, "balance").find((row) => row["Network"] === pan.title)).toMatchObject({
      "Of them +1": plus,
      "p, two-sided": twoSidedPValue(plus, 48),
    });
    const marks = rowsOf(made, "watermarks");
    expect(marks[1]).toMatchObject({ "Real detected": 1, "p, forged": binomialPValue(64, 64), Needed: 51 });
    expect(marks[4]).toMatchObject({ "Real detected": 0.25, "p, real": null });
  });

  it("survive CSV with commas, quotes and line ends (RFC 4180)", () => {
    const table = {
      columns: ["a, b", 'say "x"'],
      rows: [
        ["one\r\ntwo", 0.125],
        [null, -1e-34],
        ['"', ","],
      ],
    };
    const csv = tablesCsv(table);
    expect(csv).toBe('"a, b","say ""x"""\r\n"one\r\ntwo",0.125\r\n,-1e-34\r\n"""",","\r\n');
    for (const t of made.tables) {
      const fields = [...tablesCsv(t).matchAll(/("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n)/g)];
      const values = fields.map(([, field]) =>
        field!.startsWith('"') ? field!.slice(1, -1).replaceAll('""', '"') : field,
      );
      expect(values).toEqual([t.columns, ...t.rows].flat().map((cell) => (cell === null ? "" : String(cell))));
    }
  });
});

describe("what is missing from the record", () => {
  it("is left out", () => {
    const {
      convergence: _,
      distributions: __,
      plain: ___,
      plainAttacks: ____,
      seconds: _____,
      ...rest
    } = madeUpNetwork("pan");
    const bare: AttackedNetwork = { ...rest, attacks: [], forgeries: [], nulls: [] };
    bare.claim = { ...bare.claim, layers: [], claimedText: "", decodedText: "" };
    const { html, tables } = renderAttacks(only(bare));
    expect(sections(html)).toEqual(["claims", "training", "reproduce", "glossary"]);
    expect(tables.map(({ name }) => name)).toEqual(["claims", "complexity"]);
    expect(textOf(html)).toContain("Attacks that were not tried: fine tuning, pruning");
    expect(textOf(html)).not.toMatch(/undefined|NaN|Infinity/);
  });

  it.each(
    Object.values(FAMILIES).map((family) => [family.id, family] as const),
  )("leaves %s alone standing", (id, family) => {
    const n = madeUpNetwork("v2");
    n.attacks = n.attacks.filter(({ attack }) => family.records.test(attack));
    const { html, tables } = renderAttacks(only({ ...n, claim: { ...n.claim, layers: [] } }));
    expect(tables.map(({ name }) => name)).toContain(id);
    expect(sections(html)).toContain(family.side);
    expect(sections(html)).not.toContain(family.side === "removal" ? "ambiguity" : "removal");
    expect(textOf(html)).not.toMatch(/undefined|NaN|Infinity/);
  });

  it("does not keep attacks without steps, or of one step, from being drawn", () => {
    const n = madeUpNetwork("v1");
    for (const [i, a] of n.attacks.entries()) a.steps = a.steps.slice(0, i % 2);
    expect(textOf(renderAttacks(only(n)).html)).not.toMatch(/undefined|NaN|Infinity/);
  });
});
