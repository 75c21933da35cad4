import { ArgumentError } from "@pan/core";
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { type AttackRuns, renderAttacks, renderTraining } from "../src/index";
import { commonNoun, nounOf } from "../src/samples";
import { madeUpNetwork, madeUpRuns } from "./attacks-fixture";
import { madeUpTraining } from "./training-fixture";

/**
 * What is read and heard of a page: its text, titles included, and its alternative texts, with all
 * kinds of space made plain.
 */
function said(page: string): string {
  const { document } = parseHTML(page.replaceAll("</", " </"));
  const heard = [...document.querySelectorAll("[aria-label]")].map((node) => node.getAttribute("aria-label"));
  return `${document.body.textContent} ${heard.join(" ")}`.replace(/[\s\u00a0\u202f\u2060]+/g, " ");
}

/** Shapes called pictures. */
const renamed = (text: string) =>
  text
    .replaceAll("shape", "picture")
    .replaceAll("Shape", "Picture")
    .replaceAll("Coordinates of", "Pixels of")
    .replaceAll("coordinate", "pixel value");

/** Sentences that are in one text only: pages are too long to be shown. */
function differences(a: string, b: string): string[] {
  const [left, right] = [a.split(". "), b.split(". ")];
  return [...left.filter((s) => !right.includes(s)), ...right.filter((s) => !left.includes(s))];
}

const missing = (text: string, parts: readonly string[]) => parts.filter((part) => !text.includes(part));
/** The words around what should not be there. */
const found = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].map((m) => text.slice(m.index - 40, m.index + 40));

const shapes = ["shapes", "shapes", "shapes", "shapes"] as const;

describe("the noun for samples", () => {
  it("is pictures where nothing is said, and neutral for networks of both kinds", () => {
    expect(nounOf({}).many).toBe("pictures");
    expect(nounOf({ samples: "shapes" }).one).toBe("shape");
    expect(commonNoun([{}, { samples: "pictures" }]).Many).toBe("Pictures");
    expect(commonNoun([{ samples: "shapes" }, { samples: "shapes" }]).Many).toBe("Shapes");
    expect(commonNoun([{}, { samples: "shapes" }]).Many).toBe("Samples");
  });

  it.each([
    "plain",
    "v1",
    "v2",
    "v3",
    "pan",
  ] as const)("is the only difference on a training page, scheme %s", (scheme) => {
    const ofShapes = said(renderTraining(madeUpTraining(scheme, 5, "shapes")));
    const ofPictures = said(renderTraining(madeUpTraining(scheme, 5)));
    expect(found(ofShapes, /picture|image/gi)).toEqual([]);
    expect(found(ofPictures, /shape/gi)).toEqual([]);
    expect(missing(ofShapes, ["test shapes correctly"])).toEqual([]);
    if (scheme === "v3") expect(missing(ofShapes, ["Of 100 trigger shapes, which"])).toEqual([]);
    expect(differences(renamed(ofShapes), ofPictures)).toEqual([]);
    expect(renderTraining(madeUpTraining(scheme, 5, "pictures"))).toBe(renderTraining(madeUpTraining(scheme, 5)));
  });

  it("is there in a run that measured nothing, and for a single trigger", () => {
    const r = madeUpTraining("v3", 5, "shapes");
    Object.assign(r.triggers!, { count: 1, hits: 1, threshold: 2 });
    expect(missing(said(renderTraining(r)), ["Of 1 trigger shape, which"])).toEqual([]);
    Object.assign(r, { epochs: [], best: null, triggers: null });
    const none = said(renderTraining(r));
    expect(missing(none, ["accuracy on test shapes was not measured"])).toEqual([]);
    expect(found(none, /picture/gi)).toEqual([]);
  });

  it("is the only difference on a page of attacks, and in its tables", () => {
    const [made, other] = [renderAttacks(madeUpRuns(undefined, shapes)), renderAttacks(madeUpRuns())];
    const text = said(made.html);
    expect(found(text, /picture|pixel/gi)).toEqual([]);
    expect(found(said(other.html), /shape|coordinate/gi)).toEqual([]);
    const parts = [
      "of test shapes as given away",
      "10,000 test shapes, up to",
      "100 of 100 trigger shapes are answered",
      "2 epochs with 1,000 shapes",
      "spends on CIFAR-100, 1,000 shapes",
      "Coordinates of the trigger shapes",
      "Of 100 shapes, 100.0 % of the owner’s are",
      "labels taught for chosen shapes",
    ];
    expect(missing(text, parts)).toEqual([]);
    expect(differences(renamed(text), said(other.html))).toEqual([]);
    const heads = ({ tables }: typeof made) => tables.map(({ title, columns }) => [title, ...columns]);
    expect(heads(made).flat().join()).not.toMatch(/picture/i);
    expect(JSON.parse(renamed(JSON.stringify(made.tables)))).toEqual(other.tables);
  });

  it("is each network's own where a page has both kinds, and neutral for all of them", () => {
    const text = said(renderAttacks(madeUpRuns(undefined, ["pictures", "pictures", "shapes", "pictures"])).html);
    const parts = [
      "of test samples as given away",
      "AlexNet, V3, CIFAR-10: 100 of 100 trigger shapes are answered",
      "a dot a try on 10,000 test shapes",
      "a dot a try on 10,000 test pictures",
      "spends on CIFAR-100, 1,000 shapes",
      "spends on CIFAR-100, 1,000 pictures",
      "2 epochs with 1,000 samples",
      "Training: trigger samples needed",
      "Values of the trigger samples",
    ];
    expect(missing(text, parts)).toEqual([]);
    expect(found(text, /test (pictures|shapes) as given|trigger pictures/g)).toEqual([]);
  });

  it("must be one that is known", () => {
    const r = madeUpTraining("v2", 5);
    Object.assign(r.data, { samples: "images" });
    expect(() => renderTraining(r)).toThrow(ArgumentError);
    expect(() => renderTraining(r)).toThrow('report.data.samples: expected one of pictures, shapes, got "images"');
    const runs = { networks: [{ ...madeUpNetwork("v2"), samples: 3 }] } as unknown as AttackRuns;
    expect(() => renderAttacks(runs)).toThrow(ArgumentError);
    expect(() => renderAttacks(runs)).toThrow("report.networks[0].samples: expected one of pictures, shapes, got 3");
  });
});
