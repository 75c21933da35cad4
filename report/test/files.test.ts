import { ArgumentError } from "@pan/core";
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { checkIt, verifyCommand } from "../src/files";
import { prose } from "../src/format";
import { renderAttacks, renderQuickstart, renderTraining } from "../src/index";
import { lockedNote } from "../src/run-parts";
import { madeUpNetwork } from "./attacks-fixture";
import { madeUpFiles } from "./files-fixture";
import { madeUpReport } from "./fixture";
import { madeUpTraining } from "./training-fixture";

const plain = (text: string) => text.replace(/[\s\u00a0\u202f\u2060]+/g, " ");
const sectionOf = (page: string, id: string) => {
  const { document } = parseHTML(page);
  return document.querySelector(`section[aria-labelledby="${id}"]`)!;
};

describe("the files on a page", () => {
  it("are all there: what to publish with its digest, and where the secrets lie", () => {
    const r = madeUpReport();
    const files = sectionOf(renderQuickstart(r), "files");
    const rows = [...files.querySelectorAll("tbody tr")];
    expect(rows.map((tr) => tr.querySelector("code")!.textContent)).toEqual(r.files.map(({ path }) => path));
    rows.forEach((tr, i) => {
      const { secret, sha256 } = r.files[i]!;
      expect(/Keep secret/.test(tr.textContent!)).toBe(secret === true);
      if (sha256) expect(tr.textContent).toContain(sha256);
    });
  });

  it("are refused where they are none", () => {
    const broken = (change: object) => () => {
      const r = madeUpReport();
      Object.assign(r.files[0]!, change);
      return renderQuickstart(r);
    };
    expect(broken({})).not.toThrow();
    for (const [change, message] of [
      [{ path: "" }, /files\[0\]\.path: expected text/],
      [{ bytes: -1 }, /files\[0\]\.bytes/],
      [{ secret: "yes" }, /files\[0\]\.secret: expected true or false/],
      [{ part: "key" }, /files\[0\]\.part: expected one of deployed, credential, commitment/],
    ] as const) {
      expect(broken(change)).toThrow(ArgumentError);
      expect(broken(change)).toThrow(message);
    }
  });
});

describe("how a third party checks a claim", () => {
  it("is a command over the files that it left, not another training", () => {
    expect(verifyCommand(madeUpFiles("out/q"), "2026-04-02T00:00:00.000Z")).toBe(
      [
        "npx @pan/core verify out/q/deployed.safetensors out/q/owner.credential.safetensors",
        "--commitment out/q/commitment.sigstore.json",
        "--released out/q/deployed.safetensors",
        "--root root.pem --published 2026-04-02",
      ].join(" \\\n  "),
    );
    const reproduce = sectionOf(renderQuickstart(madeUpReport()), "reproduce");
    expect(reproduce.querySelector("code")!.textContent).toMatch(/^npx @pan\/core verify out\/quickstart/);
    expect(plain(reproduce.textContent!)).toContain("a fresh one in every run");
  });

  it("has nothing to give where there is no claim, and no dates without a commitment", () => {
    const [deployed, credential] = madeUpFiles("out");
    expect(verifyCommand([deployed!], null)).toBeUndefined();
    expect(checkIt([deployed!], null)).toBeUndefined();
    expect(verifyCommand([deployed!, credential!], null)).toBe(
      "npx @pan/core verify out/deployed.safetensors out/owner.credential.safetensors",
    );
  });

  it("quotes paths, so that no shell takes a part of one for a command", () => {
    const files = madeUpFiles("it's; rm -rf x");
    expect(verifyCommand(files, null)).toContain(`'it'\\''s; rm -rf x/deployed.safetensors'`);
  });
});

describe("a passport that opens nothing", () => {
  it.each([
    [0.11, [0.1, 0.11], 0.1, /with forged ones/],
    [0.11, [], 0.1, /by guessing/],
    [0.02, [0.011], 0.01, /forged/],
    [0.698, [0.1, 0.12], 0.1, undefined],
    [0.6, [0.51], 0.5, undefined],
    [undefined, [0.1], 0.1, undefined],
  ])("is told of: %s beside %s", (real, forged, chance, said) => {
    const note = lockedNote(real, forged, chance)?.text;
    if (said) expect(note).toMatch(said);
    else expect(note).toBeUndefined();
  });

  it("is told of on the pages, whatever the verdict", () => {
    const caution = (page: string) => parseHTML(page).document.querySelector(".caution")?.textContent;
    const quick = madeUpReport();
    expect(caution(renderQuickstart(quick))).toBeUndefined();
    quick.accuracy.private = 0.11;
    expect(caution(renderQuickstart(quick))).toMatch(/opens nothing/);
    for (const [scheme, branch] of [
      ["pan", "private"],
      ["v1", "passport"],
    ] as const) {
      const run = madeUpTraining(scheme, 3);
      expect(caution(renderTraining(run))).toBeUndefined();
      run.epochs.at(-1)![branch] = 0.12;
      run.best = null;
      expect(caution(renderTraining(run))).toMatch(/opens nothing/);
    }
  });
});

describe("the core's sentences on a page", () => {
  it("have numbers that no line parts", () => {
    expect(prose("a rate of 1e-6, or 2.5e-12; 3 in 1e3")).toBe("a rate of 10⁻⁶, or 2.5\u202f×\u202f10⁻¹²; 3 in 10³");
    const at = prose("there on 2026-01-01T00:00:00.000Z, not on 2026-06-01 12:30 UTC");
    expect(plain(at)).toBe(
      "there on 2026-\u206001-\u206001 00:00:00 UTC, not on 2026-\u206006-\u206001 12:30 UTC".replaceAll("\u2060", " "),
    );
    expect(prose("layer1e-6x, 0x1e-6")).toBe("layer1e-6x, 0x1e-6");
  });

  it("are written so wherever they stand", () => {
    const said = ["82 are needed at a false-positive rate of 1e-6"];
    const quick = madeUpReport();
    const told = { reasons: said, open: said, sentence: said[0]! };
    Object.assign(quick.verdict, told);
    const run = madeUpTraining("pan", 3);
    Object.assign(run.verdict!, told);
    const attacked = madeUpNetwork("pan");
    Object.assign(attacked.verdict, told);
    for (const f of attacked.forgeries) {
      Object.assign(f.verdict, told);
      Object.assign(f.asInPapers, { reasons: said });
    }
    for (const page of [renderQuickstart(quick), renderTraining(run), renderAttacks({ networks: [attacked] }).html]) {
      const { document } = parseHTML(page);
      for (const code of document.querySelectorAll("code, style, td.long")) code.remove();
      expect(document.body.textContent).toContain("10⁻⁶");
      expect(document.body.textContent).not.toMatch(/\de-\d/);
    }
  });

  it("say nothing of the same bits where the secret is a fresh one", () => {
    const texts = (page: string) => plain(parseHTML(page).document.body.textContent!);
    expect(texts(renderQuickstart(madeUpReport()))).not.toMatch(/same bits|random bits/);
    expect(texts(renderTraining(madeUpTraining("pan", 3)))).not.toMatch(/same bits|random bits/);
    expect(texts(renderTraining(madeUpTraining("plain", 3)))).toMatch(/same bits/);
  });
});
