import { FormatError } from "../../errors";
import { isObject, listed, shown } from "../../io/shown";
import { CLAIM_PREDICATE, dateOf } from "../../ownership/claim/commitment";
import { type AnswersEvidence, type Opening, openedInputs, verifyAnswers } from "../../ownership/claim/opening";
import { claimDigest } from "../../ownership/claim/own";
import type { TriggerSpec } from "../../ownership/claim/spec";
import type { Dated } from "../../ownership/dates";
import { fromBase64 } from "../../signing/base64";
import { decodeBundle, verifyBundle } from "../../signing/bundle";
import { decodeStatement, IN_TOTO } from "../../signing/statement";
import type { Command, Given, Outcome } from "../command";
import { readCertificate, readJson, readText } from "../files";
import { inputNames } from "../inputs";
import type { Style, Terminal } from "../terminal";
import { datedText, list, pairs } from "../words";

export const answers: Command = {
  name: "answers",
  summary: "Holds a network's answers against an opened group of triggers",
  operands: [
    { name: "OPENING", about: "opening.json of `pan challenge`" },
    { name: "ANSWERS", about: "answers.json, filled in; or a list of classes in order" },
  ],
  options: {
    commitment: { value: "FILE", about: "what the owner published: the opening has to be of its claim" },
    root: { value: "FILE", many: true, about: "certificate of a time-stamping authority that you trust, for its date" },
    fpr: { value: "X", about: "false-positive rate (1e-6)" },
  },
  notes: [
    "Exit code 0: the answers bear the mark; 1: they do not. That they are the suspect's is between the parties.",
  ],
  run,
};

async function run(given: Given, terminal: Terminal): Promise<Outcome> {
  // Checked by what reads it.
  const opening = (await readJson(given.operand("OPENING"))) as Opening;
  terminal.step("drawing the opened inputs anew");
  const { hash } = await openedInputs(opening);
  const path = given.operand("ANSWERS");
  const classes = classesOf(await readJson(path), opening.spec.triggers!, path);
  const rate = given.number("fpr");
  const found = await verifyAnswers(classes, opening, rate === undefined ? {} : { falsePositiveRate: rate });
  const commitment = given.text("commitment");
  const roots = await Promise.all(given.texts("root").map(readCertificate));
  const committed = commitment === undefined ? null : await held(await readText(commitment), { opening, hash, roots });
  const json = { ...found, committed };
  return { code: found.marked ? 0 : 1, json, text: (style) => described(found, committed, style) };
}

/** What a commitment says of an opened claim. */
interface Committed {
  readonly dated: Dated | null;
  readonly reasons: readonly string[];
}

/**
 * That the claim of an opening is the one that was committed to.
 * @throws FormatError where it is another.
 */
async function held(
  text: string,
  {
    opening,
    hash,
    roots,
  }: { opening: Opening; hash: Uint8Array<ArrayBuffer>; roots: readonly (string | Uint8Array)[] },
): Promise<Committed> {
  const { publicKey } = opening.spec;
  if (publicKey === null) throw new FormatError("expected a claim that names a key, got one that nobody signs");
  const bundle = decodeBundle(text);
  const payload = await verifyBundle(bundle, fromBase64(publicKey, "the claim's public key"), IN_TOTO);
  const { predicate } = decodeStatement(payload, CLAIM_PREDICATE);
  if (!isObject(predicate) || predicate["claim"] !== (await claimDigest({ hash })))
    throw new FormatError("expected the commitment of the opened claim, got that of another");
  return dateOf(bundle, roots);
}

/**
 * Answers in the order of the inputs, from a form, by their names, or a list.
 * @throws FormatError naming an input without an answer, or one that was not asked.
 */
function answersOf(value: unknown, triggers: TriggerSpec, path: string): [name: string, answer: unknown][] {
  const given = isObject(value) ? value["answers"] : value;
  if (Array.isArray(given) && given.length === triggers.count) return given.map((v, i) => [`answer ${i}`, v]);
  if (!isObject(given))
    throw new FormatError(
      `${path}: expected answers of ${triggers.count} inputs, got ${Array.isArray(given) ? `${given.length} answers` : "another document"}`,
    );
  const names = inputNames(triggers);
  const known = new Set(names);
  const foreign = Object.keys(given).filter((name) => !known.has(name));
  const missing = names.filter((name) => !Object.hasOwn(given, name));
  if (foreign.length || missing.length)
    throw new FormatError(
      `${path}: expected answers of ${names[0]} to ${names.at(-1)} by these names, got others (${listed(foreign)}), and none of ${listed(missing)}`,
    );
  return names.map((name) => [name, given[name]]);
}

/** Classes by number. @throws FormatError naming an answer that is none. */
function classesOf(value: unknown, triggers: TriggerSpec, path: string): number[] {
  const names = triggers.classes;
  return answersOf(value, triggers, path).map(([name, answer]) => {
    const index = typeof answer === "string" ? names.indexOf(answer) : answer;
    if (Number.isSafeInteger(index) && (index as number) >= 0 && (index as number) < names.length)
      return index as number;
    throw new FormatError(
      `${path}: ${name}: expected a class (${names.slice(0, 6).join(", ")}${names.length > 6 ? ", …" : ""}) or its number, got ${shown(answer)}`,
    );
  });
}

function described(found: AnswersEvidence, committed: Committed | null, style: Style): string {
  const { marked, hits, count, needed, classes, pValue, statement } = found;
  const word = marked ? style.good(style.bold("marked")) : style.bad(style.bold("not marked"));
  return [
    `${word}\n${hits} of ${count} answers are the claim's labels; ${needed} are needed, and guessing among ${classes} classes gives about ${Math.round(count / classes)}.`,
    pairs([
      ["claim", JSON.stringify(statement)],
      ["chance of as many", pValue.toExponential(1)],
      [
        "commitment",
        committed
          ? committed.dated
            ? datedText(committed.dated)
            : "of this claim, without a date that counts"
          : "not given (--commitment): nothing dates the claim",
      ],
    ]),
    ...list("reasons", committed?.reasons ?? [], style),
  ].join("\n\n");
}
