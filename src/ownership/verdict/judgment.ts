/** The facts of two rival claims, gathered from files; what has to run is handed in. */
import { type Check, unexpected } from "../../demand";
import { FormatError } from "../../errors";
import { isObject } from "../../io/shown";
import { type CredentialInfo, readCredential } from "../../models/credential";
import type { Bundle } from "../../signing/bundle";
import { isRate, isRoots } from "../check";
import { bundleOf, dateOf, openCommitment } from "../claim/commitment";
import type { DerivedClaim } from "../claim/derive";
import { claimDigest, claimOf, hasClaim } from "../claim/own";
import type { Dated } from "../dates";
import { type NetworkFile, type OpenFile, openFile } from "../network-file";
import { compared } from "../relation/compared";
import type { RelationEvidence } from "../relation/relation";
import type { Runner } from "../running/runner";
import { counterparts } from "../suspect/counterparts";
import { hasRows } from "../suspect/layouts";
import { networksIn, type Recognised, recognised } from "../suspect/recognised";
import { type Mark, readMark } from "./mark";
import { type RivalFacts, type Ruling, ruled } from "./ruling";

/** One of two rival claims, with the file that it was committed for. */
export interface RivalFiles {
  readonly credential: NetworkFile;
  readonly released: NetworkFile;
  /** A bundle, or the text of its file. */
  readonly commitment: Bundle | string;
}

/** What a judge may use beside the claims. */
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

/** {@link JudgeOptions}, each with its check. */
export const JUDGE_OPTIONS: Readonly<Record<keyof JudgeOptions, Check>> = {
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
   * Marks: A's in A's file, A's in B's, B's in A's, B's in B's; null of a claim that does not open.
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
  readonly runner: Runner | null;
  readonly derived: DerivedClaim | null;
  readonly dated: Dated | null;
  readonly broken: string | null;
  readonly reasons: readonly string[];
}

/**
 * Decides between two claims: see `judge`.
 * @param options checked before
 * @param runners of A's and B's networks; null where nothing runs them
 */
export async function judgmentOf(
  [a, b]: readonly [RivalFiles, RivalFiles],
  options: JudgeOptions,
  runners: readonly [a: Runner | null, b: Runner | null],
): Promise<Judgment> {
  const { roots = [], falsePositiveRate = 1e-6 } = options;
  const [one, two] = [
    await open("A", a, { roots, runner: runners[0] }),
    await open("B", b, { roots, runner: runners[1] }),
  ];
  // The networks of a file as the other claim's names find them, for marks and likeness alike.
  const seen = (file: OpenFile, { info, released }: Opened) =>
    networksIn(file, info).map((network) => recognised(network, info, released));
  const [bByA, aByB] = [seen(two.released, one), seen(one.released, two)];
  const mark = async ({ info, derived, runner }: Opened, networks: readonly Recognised[]) => {
    if (!derived) return null;
    const how = { falsePositiveRate, runner, suspects: networks.length };
    const all: Mark[] = [];
    for (const { file, ways } of networks) all.push(await readMark(file, { info, derived }, { ...how, ways }));
    return all.find(({ found }) => found) ?? all[0]!;
  };
  const marks = {
    aInA: await mark(one, seen(one.released, one)),
    aInB: await mark(one, bByA),
    bInA: await mark(two, aByB),
    bInB: await mark(two, seen(two.released, two)),
  };
  const broken = [one.broken ?? unmarked(one, marks.aInA), two.broken ?? unmarked(two, marks.bInB)] as const;
  const reasons = [...said("A", one, [marks.aInA, marks.aInB]), ...said("B", two, [marks.bInB, marks.bInA])];
  const base = options.base === undefined ? null : openFile("judge", "base", options.base);
  const likeness = (networks: readonly Recognised[], { info, released }: Opened) => {
    const rate = falsePositiveRate / networks.length;
    const all = networks.map((n) => compared(n, released, { info, falsePositiveRate: rate, reasons }));
    return all.find((r) => r?.related) ?? all.find((r) => r !== null) ?? null;
  };
  const relations = { byA: likeness(bByA, one), byB: likeness(aByB, two) };
  const alike = relations.byA?.related === true || relations.byB?.related === true;
  const madeFrom = (file: OpenFile, of: Opened) => likeness(seen(file, of), of)?.related === true;
  const common = base !== null && madeFrom(base, one) && madeFrom(base, two);
  if (alike && common)
    reasons.push("both files are made from the base that was given: that they are related shows nothing more");
  const related = alike && !common;
  const facts: RivalFacts = {
    broken,
    crossed: [marks.aInB?.found === true, marks.bInA?.found === true],
    related,
    compared: isCompared(relations.byA) || isCompared(relations.byB) || areUnlike(one.released, two.released),
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

/** Least share of either file's numbers that a comparison has to be of, or it clears nobody. */
const WHOLE = 1 / 2;

/** A tensor of noise under one of the other file's names is not what networks are compared by. */
const isCompared = (found: RelationEvidence | null): boolean =>
  found !== null && found.channels > 0 && found.common >= WHOLE;

/** Whether no tensor of either file is like one of the other: networks of different structures. */
function areUnlike(one: OpenFile, two: OpenFile): boolean {
  const mayBeAlike = (a: OpenFile, b: OpenFile) => {
    const { table, isPartial } = counterparts(a.file.tensors, b.file.tensors);
    return isPartial || table.some(({ released }) => hasRows(b.file.tensors.get(released)!.shape));
  };
  return !mayBeAlike(one, two) && !mayBeAlike(two, one);
}

/** Opens a claim with everything that it was committed to. */
async function open(
  name: string,
  rival: RivalFiles,
  { roots, runner }: { roots: readonly (string | Uint8Array)[]; runner: Runner | null },
): Promise<Opened> {
  if (!isObject(rival)) unexpected(`judge: claim ${name}, { credential, released, commitment },`, rival);
  const credential = openFile("judge", `credential of ${name}`, rival.credential);
  const released = openFile("judge", `released of ${name}`, rival.released);
  const info = readCredential(credential.file);
  const fallen = (broken: string): Opened => ({
    ...{ info, released, runner, derived: null, dated: null, broken, reasons: [] },
  });
  if (!hasClaim(credential.file)) return fallen("it is of the first version, or bound to nothing");
  try {
    const derived = await claimOf(credential.file, info);
    const bundle = bundleOf(rival.commitment);
    const { otherFile } = await openCommitment(bundle, derived, credential, released);
    const { dated, reasons } = await dateOf(bundle, roots);
    return { info, released, runner, derived, dated, broken: otherFile, reasons };
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    return fallen(cause.message);
  }
}

/** Why a claim falls whose own file bears no mark; null where it does. */
function unmarked({ derived }: Opened, own: Mark | null): string | null {
  if (own?.found) return null;
  const rest = derived?.spec.triggers && !own?.triggers ? "; its triggers were not asked" : "";
  return `its mark is not in the file that it was committed for${rest}`;
}

/** What kept from reading a claim's marks, each once, behind what was said of its dates. */
const said = (name: string, { reasons }: Opened, marks: readonly (Mark | null)[]): string[] =>
  [...reasons, ...new Set(marks.flatMap((mark) => mark?.notes ?? []))].map((r) => `${name}: ${r}`);

/** Whether a claim names another as that of an earlier release, and one key signed both. */
async function isParent({ derived: earlier }: Opened, { derived: later }: Opened): Promise<boolean> {
  if (!earlier || !later || later.spec.parent === null || later.spec.publicKey === null) return false;
  return later.spec.publicKey === earlier.spec.publicKey && later.spec.parent === (await claimDigest(earlier));
}
