import { type Check, checkOptions, unexpected } from "../demand";
import { FormatError } from "../errors";
import { isObject } from "../io/shown";
import { type CredentialInfo, readCredential } from "../models/credential";
import type { Network } from "../passport/trace";
import type { Bundle } from "../signing/bundle";
import { isRate, isRoots } from "./check";
import type { DerivedClaim } from "./claim/derive";
import { claimDigest, claimOf, hasClaim } from "./claim/own";
import { bundleOf, dateOf, openCommitment } from "./commitment";
import { compared } from "./compared";
import { isModel } from "./examine";
import { type Mark, markIn } from "./mark";
import { type NetworkFile, type OpenFile, openFile } from "./network-file";
import type { RelationEvidence } from "./relation";
import { type RivalFacts, type Ruling, ruled } from "./ruling";
import type { Dated } from "./verdict";

/** One of two rival claims, with the file that it was committed for. */
export interface Rival {
  readonly credential: NetworkFile;
  readonly released: NetworkFile;
  /** A bundle, or the text of its file. */
  readonly commitment: Bundle | string;
  /**
   * The network without its passports, or what makes one, for triggers of networks of one's own.
   */
  readonly model?: Network | (() => Network);
}

/** What a {@link judge} may use beside the claims. */
export interface JudgeOptions {
  /** Certificates of time-stamping authorities that the judge trusts, PEM or DER. */
  roots?: readonly (string | Uint8Array)[];
  /** A network that both claim. */
  suspect?: NetworkFile;
  /**
   * A network that was public before both: two that are made from it are related, and neither is
   * made from the other by that.
   */
  base?: NetworkFile;
  /** False-positive rate of each test (default 1e-6). */
  falsePositiveRate?: number;
}

const OPTIONS: Readonly<Record<keyof JudgeOptions, Check>> = {
  roots: isRoots,
  suspect: () => true,
  base: () => true,
  falsePositiveRate: isRate,
};

/** How two claims stand to one another. JSON-able. */
export interface Judgment extends Ruling {
  /** What the ruling goes by. */
  readonly facts: RivalFacts;
  readonly statements: readonly [a: string, b: string];
  /**
   * Marks: A's in A's file, A's in B's, B's in A's, B's in B's; null where it could not be read.
   */
  readonly marks: Readonly<Record<"aInA" | "aInB" | "bInA" | "bInB", Mark | null>>;
  /**
   * How alike the two files are, by the channels that A's credential knows of and by those of B's;
   * null where it could not be tested.
   */
  readonly relations: Readonly<Record<"byA" | "byB", RelationEvidence | null>>;
  /** Whose file the suspect is made from, where one was given and the networks are independent. */
  readonly suspect: "A" | "B" | "both" | "neither" | null;
  readonly reasons: readonly string[];
}

/** A claim that was opened, or why it falls. */
interface Opened {
  readonly info: CredentialInfo;
  readonly released: OpenFile;
  readonly derived: DerivedClaim | null;
  readonly dated: Dated | null;
  readonly broken: string | null;
  readonly reasons: readonly string[];
}

/**
 * Decides between two claims, by their marks in each other's committed files, by whether those are
 * made from one another, and by their dates: see `ruled`. Let both parties exchange digests of all
 * files before secrets are opened, so that neither can choose after it has seen.
 * @throws FormatError for credentials and files that are none; ArgumentError for options that are
 * none.
 */
export async function judge(a: Rival, b: Rival, options: JudgeOptions = {}): Promise<Judgment> {
  checkOptions("judge", options, OPTIONS);
  const { roots = [], falsePositiveRate = 1e-6 } = options;
  const [one, two] = [await open("A", a, roots), await open("B", b, roots)];
  const how = { falsePositiveRate };
  const mark = async (of: Opened, model: Rival["model"], file: OpenFile) =>
    of.derived && markIn(file, { info: of.info, derived: of.derived }, { ...how, model });
  const marks = {
    aInA: await mark(one, a.model, one.released),
    aInB: await mark(one, a.model, two.released),
    bInA: await mark(two, b.model, one.released),
    bInB: await mark(two, b.model, two.released),
  };
  const unmarked = "its mark is not in the file that it was committed for";
  const broken = [
    one.broken ?? (marks.aInA?.found ? null : unmarked),
    two.broken ?? (marks.bInB?.found ? null : unmarked),
  ] as const;
  const reasons = [...one.reasons.map((r) => `A: ${r}`), ...two.reasons.map((r) => `B: ${r}`)];
  const madeFrom = (file: OpenFile, { info, released }: Opened) =>
    compared(file, released, info, falsePositiveRate, reasons)?.related === true;
  const base = options.base === undefined ? null : openFile("judge", "base", options.base);
  const relations = {
    byA: compared(two.released, one.released, one.info, falsePositiveRate, reasons),
    byB: compared(one.released, two.released, two.info, falsePositiveRate, reasons),
  };
  const alike = relations.byA?.related === true || relations.byB?.related === true;
  const common = base !== null && madeFrom(base, one) && madeFrom(base, two);
  if (alike && common)
    reasons.push("both files are made from the base that was given: that they are related shows nothing more");
  const related = alike && !common;
  const facts: RivalFacts = {
    broken,
    crossed: [marks.aInB?.found === true, marks.bInA?.found === true],
    related,
    dated: [one.dated, two.dated],
    parent: [await isParent(one, two), await isParent(two, one)],
  };
  const ruling = ruled(facts);
  const accused = options.suspect === undefined ? null : openFile("judge", "suspect", options.suspect);
  const to = (of: Opened) => accused !== null && madeFrom(accused, of);
  const [ofA, ofB] = ruling.ruling === "independent" ? [to(one), to(two)] : [false, false];
  const suspect = ofA && ofB ? "both" : ofA ? "A" : ofB ? "B" : "neither";
  return {
    ...ruling,
    facts,
    statements: [one.derived?.spec.statement ?? "", two.derived?.spec.statement ?? ""],
    marks,
    relations,
    suspect: accused && ruling.ruling === "independent" ? suspect : null,
    reasons,
  };
}

/** Opens a claim with everything that it was committed to. */
async function open(name: string, rival: Rival, roots: readonly (string | Uint8Array)[]): Promise<Opened> {
  if (!isObject(rival)) unexpected(`judge: claim ${name}, { credential, released, commitment },`, rival);
  if (rival.model !== undefined) isModel("judge", `model of ${name}`, rival.model);
  const credential = openFile("judge", `credential of ${name}`, rival.credential);
  const released = openFile("judge", `released of ${name}`, rival.released);
  const info = readCredential(credential.file);
  const fallen = (broken: string): Opened => ({ info, released, derived: null, dated: null, broken, reasons: [] });
  if (!hasClaim(credential.file)) return fallen("it is of the first version, or bound to nothing");
  try {
    const derived = await claimOf(credential.file, info);
    const bundle = bundleOf(rival.commitment);
    const { otherFile } = await openCommitment(bundle, derived, credential, released);
    const { dated, reasons } = await dateOf(bundle, roots);
    return { info, released, derived, dated, broken: otherFile, reasons };
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    return fallen(cause.message);
  }
}

/** Whether a claim names another as that of an earlier release, and one key signed both. */
async function isParent({ derived: earlier }: Opened, { derived: later }: Opened): Promise<boolean> {
  if (!earlier || !later || later.spec.parent === null || later.spec.publicKey === null) return false;
  return later.spec.publicKey === earlier.spec.publicKey && later.spec.parent === (await claimDigest(earlier));
}
