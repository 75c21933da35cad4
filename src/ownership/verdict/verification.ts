/** A verdict's facts, gathered from files; what has to run is handed in. */
import { FormatError, StateDictError } from "../../errors";
import { sameBytes } from "../../io/bytes";
import { sha256Hex } from "../../io/digest";
import { type CredentialInfo, readCredential } from "../../models/credential";
import { fromBase64 } from "../../signing/base64";
import { bundleOf, dateOf, type OpenCommitment, openCommitment } from "../claim/commitment";
import type { DerivedClaim } from "../claim/derive";
import { hasClaim } from "../claim/own";
import { type Possession, possessed } from "../claim/possession";
import type { Dated } from "../dates";
import { type NetworkFile, type OpenFile, openFile } from "../network-file";
import { type Comparing, compared } from "../relation/compared";
import type { RelationEvidence } from "../relation/relation";
import { type Examination, examinationOf, signatureOf } from "../running/examination";
import type { Runner } from "../running/runner";
import type { Counterpart } from "../suspect/counterparts";
import { networksIn, type Recognised, recognised } from "../suspect/recognised";
import { suspectWeights } from "../suspect/suspect-weights";
import { claimed } from "./claimed";
import type { Evidence } from "./evidence";
import { type Mark, readBits, readMark } from "./mark";
import { type Judgement, judged, VERDICTS, type VerdictFacts } from "./verdict";

/** What `verify` found: the verdict, and what it goes by. JSON-able. */
export interface Verification extends Judgement {
  /** The claim's statement; empty where the credential has no claim. */
  readonly statement: string;
  readonly version: 1 | 2;
  /**
   * The claim's mark in the suspect, read directly; null where the claim does not hold together.
   */
  readonly mark: Mark | null;
  /** The claim's mark in the committed file. */
  readonly released: Mark | null;
  readonly dated: Dated | null;
  /** When the suspect was there at the latest, as the verifier said; ISO 8601. */
  readonly published: string | null;
  /**
   * How the suspect and the released file are made from one another; null where it was not asked.
   */
  readonly relation: RelationEvidence | null;
  /** Bits and accuracies as the papers have them: information, and no part of the verdict. */
  readonly examination: Examination | null;
  /**
   * Which of the suspect's tensors were taken for which of the released file's, by shape and
   * similarity; null where they have their own names.
   */
  readonly counterparts: readonly Counterpart[] | null;
  /** SHA-256 of the suspect: what `sha256sum` prints. */
  readonly suspectSha256: string;
  /** One sentence per finding. */
  readonly reasons: readonly string[];
}

/** A claim, and what was given beside it. */
interface Case {
  readonly own: OpenFile;
  readonly info: CredentialInfo;
  readonly released: OpenFile | null;
  readonly base: OpenFile | null;
  readonly options: Evidence;
  readonly runner: Runner | null;
}

/**
 * Verifies a claim: see `verify`. Of a suspect that holds several networks each is looked at, as
 * that many suspects, and the strongest verdict counts.
 * @param options checked before
 * @param runner what runs networks; null where nothing does, and the verdict goes by bytes alone
 */
export async function verificationOf(
  suspect: NetworkFile,
  credential: NetworkFile,
  options: Evidence,
  runner: Runner | null,
): Promise<Verification> {
  const given = openFile("verify", "the suspect", suspect);
  const own = openFile("verify", "the credential", credential);
  const optional = (name: "released" | "base") =>
    options[name] === undefined ? null : openFile("verify", name, options[name]);
  const [released, base] = [optional("released"), optional("base")];
  const info = readCredential(own.file);
  const networks = networksIn(given, info);
  const suspects = (options.suspects ?? 1) * networks.length;
  let strongest: Verification | null = null;
  for (const network of networks) {
    const found = await verified(network, { own, info, released, base, options: { ...options, suspects }, runner });
    if (!strongest || VERDICTS.indexOf(found.verdict) < VERDICTS.indexOf(strongest.verdict)) strongest = found;
  }
  return strongest!;
}

/** {@link verificationOf} of one network. */
async function verified(given: OpenFile, { own, info, released, base, options, runner }: Case): Promise<Verification> {
  const { falsePositiveRate = 1e-6, suspects = 1 } = options;
  // Where there is no commitment to hold it against, a suspect is recognised by no released file.
  const isHeld = options.commitment !== undefined && released !== null;
  const accused = recognised(given, info, isHeld ? released : null);
  const { ways, counterparts } = accused;
  // What runs any network asks its triggers all the same.
  const unlike = accused.unlike && !runner?.takesAny;
  const reasons: string[] = [...accused.notes];
  if (options.published !== undefined && new Date(options.published).getTime() > Date.now())
    reasons.push("the suspect is said to have been published in the future");
  // What was committed to can be compared with a suspect of which no claim can be read.
  const canBeOther = hasClaim(own.file) && (isHeld || runner?.takesAny === true);
  const examination = unlike
    ? null
    : await examined(accused, own, { info, falsePositiveRate, runner, reasons, canBeOther });
  const suspectSha256 = await sha256Hex(accused.bytes);
  const published = options.published === undefined ? null : new Date(options.published).toISOString();
  const common = { examination, suspectSha256, counterparts, published };
  const nothing = { mark: null, released: null, dated: null, relation: null, ...common };
  const how = { runner, falsePositiveRate, suspects };

  const claim = await claimed(own.file, info);
  const facts = {
    ...{ version: claim.version, published, falsePositiveRate, dated: null, same: false, related: null },
    base: false,
  };
  const noMark: Mark = { bits: null, triggers: null, found: false, turned: false, notes: [] };
  const broken = (why: string, released: Mark | null = null): Verification => ({
    ...judged({ ...facts, broken: why, unanchored: null, unasked: false, mark: noMark }),
    statement: claim.statement,
    version: claim.version,
    ...nothing,
    released,
    reasons: [...reasons, why, ...(released ? [...released.notes, ...told(released)] : [])],
  });
  if (claim.broken !== null) return broken(claim.broken);
  if (options.suspectSha256 !== undefined && options.suspectSha256 !== suspectSha256)
    return broken("the suspect is another file than the one that is meant (SHA-256)");

  const { derived } = claim;
  if (unlike) {
    const judgement = judged({
      ...facts,
      broken: null,
      unanchored: null,
      unasked: isUnasked(derived, noMark),
      mark: noMark,
    });
    return { ...judgement, statement: claim.statement, version: claim.version, ...nothing, reasons };
  }
  if (!derived) {
    // Read as they always were, and as many needed as of the second version.
    const mark = readBits(accused.file, { info, derived: claim }, { ...how, ways });
    const judgement = judged({
      ...facts,
      broken: null,
      unanchored: "it is of the first version",
      unasked: false,
      mark,
    });
    return { ...judgement, statement: claim.statement, version: 1, ...nothing, mark, reasons };
  }

  const anchor = await anchorOf(derived, accused, { own, info, released, options, how, reasons });
  if (anchor.broken !== null) return broken(anchor.broken, anchor.mark);
  const same = released !== null && sameBytes(released.bytes, accused.bytes);
  const mark =
    same && anchor.mark
      ? anchor.mark
      : await readMark(accused.file, { info, derived }, { ...how, ways, released: same ? null : released });
  reasons.push(...mark.notes, ...told(mark));
  const isComparable = released !== null && anchor.unanchored === null && !same;
  const relation = isComparable
    ? relationOf(accused, released, base, { info, falsePositiveRate, suspects, reasons })
    : null;
  const judgement = judged({
    ...facts,
    broken: null,
    unanchored: anchor.unanchored,
    dated: anchor.dated,
    same,
    unasked: isUnasked(derived, mark),
    mark,
    related: relation?.counted ?? null,
    base: base !== null,
  } satisfies VerdictFacts);
  return {
    ...judgement,
    statement: claim.statement,
    version: 2,
    mark,
    released: anchor.mark,
    dated: anchor.dated,
    relation: relation?.found ?? null,
    ...common,
    reasons,
  };
}

/** What ties a claim to its owner's key and the file that was released. */
interface Anchor {
  readonly dated: Dated | null;
  /** The claim's mark in that file; null where nothing says that it was committed to. */
  readonly mark: Mark | null;
  /** Why nothing ties them; null where something does. */
  readonly unanchored: string | null;
  /** Why the claim falls with what was given; null where it does not. */
  readonly broken: string | null;
}

/** How marks are read, and where findings are told. */
interface Anchoring extends Pick<Case, "own" | "info" | "released" | "options"> {
  readonly how: { runner: Runner | null; falsePositiveRate: number; suspects: number };
  readonly reasons: string[];
}

/**
 * Asks for the claim's key, opens the commitment, dates it, and reads the mark in the file that it
 * names.
 */
async function anchorOf(
  derived: DerivedClaim,
  accused: OpenFile,
  { own, info, released, options, how, reasons }: Anchoring,
): Promise<Anchor> {
  const none = { dated: null, mark: null, unanchored: null, broken: null };
  let opened: OpenCommitment;
  let dated: Dated | null;
  try {
    if (options.possession) {
      if (!(await hasKey(derived, options.possession, accused)))
        return { ...none, broken: "the key that the claim names did not sign the verifier's nonce" };
      reasons.push("the key that the claim names signed the verifier's nonce, about this very suspect");
    }
    if (options.commitment === undefined) return { ...none, unanchored: "no commitment was given" };
    if (!released) return { ...none, unanchored: "the committed file was not given (`released`)" };
    const bundle = bundleOf(options.commitment);
    opened = await openCommitment(bundle, derived, own, released);
    const when = await dateOf(bundle, options.roots ?? []);
    dated = when.dated;
    reasons.push(...when.reasons);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    return { ...none, broken: cause.message };
  }
  if (opened.otherFile !== null)
    return { ...none, broken: `the released file does not anchor the claim: ${opened.otherFile}` };
  const mark = await readMark(released.file, { info, derived }, how);
  if (mark.found) return { ...none, dated, mark };
  const unasked = isUnasked(derived, mark) ? "; its triggers were not asked" : "";
  const broken = `the file that was committed to does not bear the claim's mark, read as it stands${unasked}`;
  return { ...none, mark, broken };
}

/** Whether a claim has triggers that nobody asked. */
const isUnasked = (derived: DerivedClaim | null, mark: Mark): boolean =>
  derived !== null && derived.spec.triggers !== null && !mark.triggers;

/**
 * How the suspect and the committed file are made from one another; what of it counts is null where
 * both are made from the base.
 */
function relationOf(
  accused: Recognised,
  released: OpenFile,
  base: OpenFile | null,
  { info, falsePositiveRate, suspects, reasons }: Comparing & { suspects: number },
): { found: RelationEvidence | null; counted: RelationEvidence | null } {
  const rate = falsePositiveRate / suspects;
  const found = compared(accused, released, { info, falsePositiveRate: rate, reasons });
  if (found)
    reasons.push(
      `${found.agreements} of ${found.channels} hidden channels agree with the committed file, from both sides; ${found.needed} are needed at a false-positive rate of ${rate.toExponential()}`,
      ...found.notes,
    );
  // Two that are made from a third are related, and neither is made from the other by that.
  const isOfBase = (file: OpenFile, by: OpenFile) =>
    compared(recognised(file, info, by), by, { info, falsePositiveRate, reasons })?.related === true;
  const isCommon = found?.related === true && base && isOfBase(base, released) && isOfBase(accused, base);
  if (isCommon) reasons.push("both files are made from the base that was given: that they are related shows nothing");
  return { found, counted: isCommon ? null : found };
}

/**
 * What the papers check; null for a suspect of another structure where something else can be asked:
 * its triggers by a runner that takes its weights all the same, its relation to the committed file.
 */
async function examined(
  suspect: OpenFile,
  owner: OpenFile,
  { info, falsePositiveRate, runner, reasons, canBeOther }: Comparing & { runner: Runner | null; canBeOther: boolean },
): Promise<Examination | null> {
  try {
    const found = runner?.examine
      ? await runner.examine(suspect.file, owner.file)
      : examinationOf(signatureOf(suspectWeights(suspect.file, info), info), { options: { falsePositiveRate } });
    reasons.push(...found.reasons);
    return found;
  } catch (cause) {
    if (!(cause instanceof StateDictError && canBeOther)) throw cause;
    reasons.push(`the suspect is of another structure: ${cause.message}`);
    return null;
  }
}

/** Whether the claim's key answered. */
async function hasKey({ spec }: DerivedClaim, possession: Possession, { bytes }: OpenFile): Promise<boolean> {
  if (spec.publicKey === null) return false;
  return possessed(fromBase64(spec.publicKey, "the claim's public key"), possession, bytes);
}

/** A mark in sentences. */
function told({ bits, triggers }: Mark): string[] {
  const line = (what: string, of: Mark["bits"]) =>
    of ? [`${of.hits} of ${of.count} bound ${what} fit; ${of.needed} are needed`] : [];
  return [...line("bits", bits), ...line("triggers", triggers)];
}
