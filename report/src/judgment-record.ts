/** What a judge found of two rival claims, with the digests of all files: a page's record. */

import type { Judgment } from "@pan/core/ownership";
import { recordChecks } from "./checks";
import { checkHits } from "./verdict-record";

/** A file that a party handed in, or that is fought over. */
export interface JudgedFile {
  /** What the party calls it: a path or a name. */
  name: string;
  bytes: number;
  /** Hexadecimal, as `sha256sum` prints it. */
  sha256: string;
}

/** A party and its files. */
export interface Party {
  /** Who claims; may be empty. */
  name: string;
  credential: JudgedFile;
  released: JudgedFile;
  commitment: JudgedFile;
}

/** What a page on two claims is drawn from. Survives `JSON.stringify` unchanged. */
export interface JudgmentRecord {
  judgment: Judgment;
  parties: [a: Party, b: Party];
  /** The network that both claim, where there is one. */
  suspect: JudgedFile | null;
  /** A network that was public before both, where the judge was given one. */
  base: JudgedFile | null;
  /** Certificates of authorities that the judge trusts, by digest. */
  roots: JudgedFile[];
  /** Of each test, as the judge was told. */
  falsePositiveRate: number;
  /** ISO 8601. */
  judgedAt: string;
}

/** The digest of a file. */
export async function judgedFile(name: string, content: Uint8Array | string): Promise<JudgedFile> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { name, bytes: bytes.length, sha256 };
}

export const RULINGS = ["A", "B", "same owner", "independent", "disputed", "neither"] as const;
export const RULES = ["own mark", "parent", "one mark crosses", "unrelated", "dates"] as const;

const checks = recordChecks("Give what `judge` returns, and the files that it was given.");
const { choice, date, fail, list, number, object, text, whole } = checks;

function checkFile(where: string, file: JudgedFile): void {
  object(where, file);
  text(`${where}.name`, file.name);
  whole(`${where}.bytes`, file.bytes, 0);
  if (!/^[0-9a-f]{64}$/.test(file.sha256)) fail(`${where}.sha256`, "64 hexadecimal digits", file.sha256);
}

function checkFacts({ facts, marks, relations }: Judgment): void {
  object("judgment.facts", facts);
  for (const key of ["broken", "crossed", "dated", "parent"] as const) {
    list(`judgment.facts.${key}`, facts[key]);
    if (facts[key].length !== 2) fail(`judgment.facts.${key}`, "an entry for A and one for B", facts[key]);
  }
  for (const [i, dated] of facts.dated.entries()) {
    if (dated === null) continue;
    const at = `judgment.facts.dated[${i}]`;
    object(at, dated);
    date(`${at}.time`, dated.time);
    number(`${at}.accuracy`, dated.accuracy, 0);
    list(`${at}.authorities`, dated.authorities);
    for (const [j, name] of dated.authorities.entries()) text(`${at}.authorities[${j}]`, name);
  }
  for (const [i, why] of facts.broken.entries()) if (why !== null) text(`judgment.facts.broken[${i}]`, why);
  object("judgment.marks", marks);
  for (const key of ["aInA", "aInB", "bInA", "bInB"] as const) {
    if (marks[key] === null) continue;
    object(`judgment.marks.${key}`, marks[key]);
    for (const part of ["bits", "triggers"] as const)
      checkHits(checks, `judgment.marks.${key}.${part}`, marks[key][part]);
  }
  object("judgment.relations", relations);
  for (const key of ["byA", "byB"] as const) {
    const r = relations[key];
    if (r === null) continue;
    object(`judgment.relations.${key}`, r);
    whole(`judgment.relations.${key}.channels`, r.channels, 0);
    whole(`judgment.relations.${key}.agreements`, r.agreements, 0, r.channels);
    whole(`judgment.relations.${key}.needed`, r.needed, 0);
    number(`judgment.relations.${key}.pValue`, r.pValue, 0, 1);
  }
}

/** Checks a record before it is drawn. @throws ArgumentError naming the entry. */
export function checkJudgment(r: JudgmentRecord): void {
  const { judgment: j } = r;
  object("judgment", j);
  choice("judgment.ruling", j.ruling, RULINGS);
  choice("judgment.rule", j.rule, RULES);
  text("judgment.sentence", j.sentence);
  if (j.suspect !== null) choice("judgment.suspect", j.suspect, ["A", "B", "both", "neither"]);
  for (const key of ["statements", "reasons"] as const) {
    list(`judgment.${key}`, j[key]);
    for (const [i, line] of j[key].entries()) text(`judgment.${key}[${i}]`, line, "may be empty");
  }
  checkFacts(j);
  list("parties", r.parties);
  if (r.parties.length !== 2) fail("parties", "A and B", r.parties);
  for (const [i, party] of r.parties.entries()) {
    object(`parties[${i}]`, party);
    text(`parties[${i}].name`, party.name, "may be empty");
    for (const key of ["credential", "released", "commitment"] as const) checkFile(`parties[${i}].${key}`, party[key]);
  }
  for (const key of ["suspect", "base"] as const) if (r[key] !== null) checkFile(key, r[key]);
  list("roots", r.roots);
  for (const [i, root] of r.roots.entries()) checkFile(`roots[${i}]`, root);
  number("falsePositiveRate", r.falsePositiveRate, 0, 1);
  date("judgedAt", r.judgedAt);
}
