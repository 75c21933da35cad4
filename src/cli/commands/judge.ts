import type { Judgment, RivalFiles } from "../../ownership/verdict/judgment";
import type { Command, Given, Outcome } from "../command";
import { openDevice } from "../device";
import { readBytes, readCertificate, readText } from "../files";
import { line } from "../printable";
import type { Style, Terminal } from "../terminal";
import { readNetwork } from "../weights";
import { datedText, list, markText, pairs } from "../words";

const PARTS = ["CREDENTIAL", "RELEASED", "COMMITMENT"] as const;

export const judge: Command = {
  name: "judge",
  summary: "Decides between two claims on one network",
  operands: ["A", "B"].flatMap((who) => [
    { name: `${who}_${PARTS[0]}`, about: `${who}'s credential, opened for this` },
    { name: `${who}_${PARTS[1]}`, about: `the file that ${who} committed to` },
    { name: `${who}_${PARTS[2]}`, about: `${who}'s commitment, with its time stamps` },
  ]),
  options: {
    suspect: { value: "FILE", about: "a network that both claim" },
    base: { value: "FILE", about: "a network that was public before both and that both may be made from" },
    root: { value: "FILE", many: true, about: "certificate of a time-stamping authority that you trust, PEM or DER" },
    fpr: { value: "X", about: "false-positive rate of each test (1e-6)" },
    run: { about: "run the networks: ask the claims' triggers, of networks of this package; needs `webgpu`" },
  },
  notes: [
    "Exit code 0: the ruling is A, B, same owner or independent; 1: disputed, or neither claim stands.",
    "Let both parties exchange digests of all files (`pan hash`) before secrets are opened, so that neither chooses after having seen.",
  ],
  run,
};

async function run(given: Given, terminal: Terminal): Promise<Outcome> {
  terminal.step("reading files");
  const rival = async (who: string): Promise<RivalFiles> => ({
    credential: await readBytes(given.operand(`${who}_CREDENTIAL`)),
    released: await readNetwork(given.operand(`${who}_RELEASED`)),
    commitment: await readText(given.operand(`${who}_COMMITMENT`)),
  });
  const [a, b] = [await rival("A"), await rival("B")];
  const [suspect, base, rate] = [given.text("suspect"), given.text("base"), given.number("fpr")];
  const roots = await Promise.all(given.texts("root").map(readCertificate));
  const options = {
    roots,
    ...(suspect !== undefined && { suspect: await readNetwork(suspect) }),
    ...(base !== undefined && { base: await readNetwork(base) }),
    ...(rate !== undefined && { falsePositiveRate: rate }),
  };
  const judged = given.flag("run")
    ? await running(terminal)
    : (await import("../../ownership/verdict/judge-files")).judgeFiles;
  terminal.step("reading marks in each other's files");
  const found = await judged(a, b, options);
  const decided = found.ruling !== "disputed" && found.ruling !== "neither";
  return { code: decided ? 0 : 1, json: found, text: (style) => described(found, decided, style) };
}

/** `judge` with a device to run networks on. */
async function running(terminal: Terminal) {
  await openDevice(terminal);
  return (await import("../../ownership/verdict/judge")).judge;
}

function described(found: Judgment, decided: boolean, style: Style): string {
  const { ruling, sentence, statements, marks, facts, suspect } = found;
  const colour = decided ? style.good : style.warn;
  const dates = facts.dated.map((dated) => (dated ? datedText(dated) : "no date that counts"));
  const ruled = ruling === "A" || ruling === "B" ? `${ruling} prevails` : ruling;
  return [
    `${colour(style.bold(ruled))}\n${line(sentence)}`,
    `${style.bold("claims")}\n${pairs([
      ["A", `${JSON.stringify(statements[0])}, committed ${dates[0]}`],
      ["B", `${JSON.stringify(statements[1])}, committed ${dates[1]}`],
    ])}`,
    `${style.bold("marks")}\n${pairs([
      ["A's in A's file", markText(marks.aInA)],
      ["A's in B's file", markText(marks.aInB)],
      ["B's in A's file", markText(marks.bInA)],
      ["B's in B's file", markText(marks.bInB)],
    ])}`,
    `The files are ${facts.related ? "" : "not "}made from one another.`,
    ...(suspect === null
      ? []
      : [
          `The suspect is made from ${suspect === "A" || suspect === "B" ? `${suspect}'s file` : suspect === "both" ? "both files" : "neither file"}.`,
        ]),
    ...list("reasons", found.reasons, style),
  ].join("\n\n");
}
