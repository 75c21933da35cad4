import { join } from "node:path";
import { ArgumentError } from "../../errors";
import { encodeNpy } from "../../io/npy";
import { decodeSafetensors } from "../../io/safetensors";
import { openedInputs, openGroup } from "../../ownership/claim/opening";
import type { TriggerSpec } from "../../ownership/claim/spec";
import type { Command, Given, Outcome } from "../command";
import { expectFree, jsonText, makeFolder, readBytes, write } from "../files";
import { inputNames } from "../inputs";
import { encodePng } from "../png";
import { word } from "../shell";
import type { Terminal } from "../terminal";
import { pairs } from "../words";

export const challenge: Command = {
  name: "challenge",
  summary: "Opens a group of bound triggers, to ask a network that only answers",
  operands: [
    { name: "CREDENTIAL", about: "the owner's credential, whose claim has triggers" },
    { name: "GROUP", about: "which group, from 0: whoever sees it can unlearn it" },
    { name: "OUTDIR", about: "folder for inputs, answers.json and opening.json" },
  ],
  options: { force: { about: "write over files that are there" } },
  notes: [
    "inputs/ has one PNG an image, or NPY an array, in order; answers.json is a form: the class of each, by its name or its number from 0. opening.json is for whoever checks the answers, `pan answers`: it has what the labels follow from, and nothing of passports or of other groups.",
  ],
  run,
};

async function run(given: Given, terminal: Terminal): Promise<Outcome> {
  const [path, folder] = [given.operand("CREDENTIAL"), given.operand("OUTDIR")];
  const group = Number(given.operand("GROUP"));
  if (!Number.isSafeInteger(group) || group < 0)
    throw new ArgumentError(`GROUP: expected a whole number from 0, got "${given.operand("GROUP")}"`);
  const [openingPath, answersPath] = [join(folder, "opening.json"), join(folder, "answers.json")];
  const free = async (files: readonly string[]) => {
    for (const file of files) await expectFree(file, given.flag("force"));
  };
  await free([openingPath, answersPath]);
  terminal.step("working out what follows from the claim");
  const opening = await openGroup(decodeSafetensors(await readBytes(path)), group);
  const { inputs } = await openedInputs(opening);
  const triggers = opening.spec.triggers!;
  const files = filesOf(triggers, inputs);
  await free(files.map(({ name }) => join(folder, "inputs", name)));
  await makeFolder(join(folder, "inputs"));
  for (const [i, { name, bytes }] of files.entries()) {
    if (i % 50 === 0) terminal.step(`writing ${i} of ${files.length} inputs`);
    await write(join(folder, "inputs", name), bytes);
  }
  const { classes, normalize } = triggers;
  const form = {
    format: "pan-answers-1",
    classes,
    // What the network's owner does to pictures before the network sees them.
    normalize,
    answers: Object.fromEntries(files.map(({ name }) => [name, null])),
  };
  await write(answersPath, jsonText(form));
  await write(openingPath, jsonText(opening), { secret: true });
  return {
    code: 0,
    json: { opening: openingPath, answers: answersPath, inputs: files.map(({ name }) => join(folder, "inputs", name)) },
    text: (style) =>
      [
        `${style.good("opened")} group ${group} of ${triggers.groups}\n${pairs([
          ["inputs", `${join(folder, "inputs")}, ${files.length} files, to hand to whoever asks the suspect`],
          ["answers", `${answersPath}, the form that they fill in`],
          ["opening", `${openingPath}, for whoever checks: hand it over after the answers`],
        ])}`,
        `Then: pan answers ${word(openingPath)} ${word(answersPath)}`,
      ].join("\n\n"),
  };
}

/** The inputs of a group as files, in order. */
function filesOf(triggers: TriggerSpec, inputs: Uint8Array | Float32Array) {
  const { kind, shape, count } = triggers;
  const size = inputs.length / count;
  const [height, width, channels] = shape as [number, number, number];
  return inputNames(triggers).map((name, i) => {
    const one = inputs.slice(i * size, (i + 1) * size);
    if (name.endsWith(".png")) return { name, bytes: encodePng(one as Uint8Array, [channels, height, width]) };
    const dims = kind === "images" ? [channels, height, width] : [...shape];
    const dtype = kind === "images" ? ("U8" as const) : ("F32" as const);
    return { name, bytes: encodeNpy({ dtype, shape: dims, data: one } as never) };
  });
}
