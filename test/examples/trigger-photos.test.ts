/** Photographs of the owner's own as bound triggers: which are taken, and what is refused. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSettings as cifar10 } from "../../examples/cifar10/settings";
import { bindNetwork } from "../../examples/claim";
import { readSettings as photos } from "../../examples/photos/settings";
import { readSettings as quickstart } from "../../examples/quickstart/settings";
import { photosOf, triggersFrom } from "../../examples/trigger-photos";
import { ArgumentError } from "../../src/errors";
import { buildNetwork } from "../../src/models";
import { boundCredential, openedTriggers, openGroup, triggersLike } from "../../src/ownership";
import { gpu } from "../support/gpu";
import { MARKED } from "../support/owner";
import { pictures } from "../support/picture-folder";
import { tinySet } from "../support/tiny";

const normalize = { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] };
const like = triggersLike(tinySet(6, 1), { count: 5, groups: 2, normalize });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pan-trigger-photos-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Red and green of the middle of each picture: class and number, as the folder was made. */
const colours = (inputs: string): string[] => {
  const bytes = Buffer.from(inputs, "base64");
  const plane = like.shape[0]! * like.shape[1]!;
  return Array.from({ length: bytes.length / (3 * plane) }, (_, i) => {
    const at = (channel: number) => bytes[(3 * i + channel) * plane + plane / 2];
    return `${at(0)} ${at(1)}`;
  });
};

describe("triggers of photographs", () => {
  it("are pictures of the folder, each once, chosen anew by every run", async () => {
    await pictures(folder, ["a", "b"], 20);
    const { triggers, inputs } = await triggersFrom(folder, like);
    expect(triggers).toMatchObject({ kind: "images", supplied: true, count: 5, groups: 2, grid: 0, normalize });
    expect(triggers.shape).toEqual(like.shape);
    expect(triggers.classes).toEqual(like.classes);
    const chosen = colours(inputs!);
    expect(new Set(chosen).size).toBe(10);
    for (const colour of chosen) expect(colour).toMatch(/^(0|80) \d*0$/);
    // One in some 10¹⁵ orders comes twice.
    expect(colours((await triggersFrom(folder, like)).inputs!)).not.toEqual(chosen);
  });

  it("are bound, opened and resumed as drawn ones are, also where the folder is gone", async () => {
    await gpu();
    await pictures(folder, ["a", "b"], 6);
    const out = await mkdtemp(join(tmpdir(), "pan-trigger-run-"));
    const model = buildNetwork(MARKED, { seed: 3 });
    const run = { statement: "Trained by ACME", out, triggers: () => triggersFrom(folder, like) };
    const { binding } = await bindNetwork(model, { ...run, resume: false });
    const gone = { ...run, triggers: () => triggersFrom(join(folder, "gone"), like) };
    expect((await bindNetwork(model, { ...gone, resume: true })).binding).toEqual(binding);
    const opening = await openGroup(await boundCredential(await model.credential(), binding), 1);
    const { set } = await openedTriggers(opening);
    model.dispose();
    expect(set.length).toBe(5);
    const secret = JSON.parse(await readFile(join(out, "binding.secret.json"), "utf8")) as { inputs: string };
    expect(secret.inputs).toBe(binding.inputs);
    await rm(out, { recursive: true });
  });

  it("are refused where there are too few, or nothing that could be given them", async () => {
    await pictures(folder, ["a"], 9);
    await expect(triggersFrom(folder, like)).rejects.toThrow(
      /--trigger-photos .*: at least 10 pictures expected, 2 × 5 triggers, found 9/,
    );
    await writeFile(join(folder, "a", "0.png"), "no picture");
    await expect(triggersFrom(folder, { ...like, count: 4 })).resolves.toBeDefined();
    const grey = { ...like, shape: [8, 8, 1] };
    await expect(triggersFrom(folder, grey)).rejects.toThrow(/coloured pictures expected, found inputs of 8 × 8 × 1/);
    await expect(triggersFrom(join(folder, "gone"), like)).rejects.toThrow(/cannot read .*gone/);
  });

  it("are an option of every example that takes pictures, where there are triggers to bind", () => {
    const where = ["--trigger-photos", "mine"];
    const said = ["--statement", "ACME"];
    expect(cifar10([...where, ...said])).toMatchObject({ triggerPhotos: "mine" });
    expect(photos(["--data", "x", ...where, ...said])).toMatchObject({ triggerPhotos: "mine" });
    expect(quickstart(where)).toMatchObject({ triggerPhotos: "mine" });
    for (const run of [
      () => cifar10(where),
      () => cifar10([...where, ...said, "--bound-triggers", "0"]),
      () => photos(["--data", "x", ...where]),
      () => quickstart([...where, "--triggers", "0"]),
    ])
      expect(run).toThrow(ArgumentError);
    expect(photosOf({ "trigger-photos": "" }, false)).toBeUndefined();
  });
});
