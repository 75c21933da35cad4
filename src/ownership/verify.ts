import type { SampleSet } from "../data/sample-set";
import type { SampleTransform } from "../data/samples";
import { type Check, checkOptions, refuse, text } from "../demand";
import { FormatError, StateDictError } from "../errors";
import { sameBytes } from "../io/bytes";
import { sha256Hex } from "../io/digest";
import { isObject } from "../io/shown";
import { type CredentialInfo, readCredential } from "../models/credential";
import type { Network } from "../passport/trace";
import { fromBase64 } from "../signing/base64";
import type { Bundle } from "../signing/bundle";
import { isDataset, isRate, isRoots, isShare, isTransforms } from "./check";
import type { DerivedClaim } from "./claim/derive";
import { claimOf, hasClaim } from "./claim/own";
import { bundleOf, dateOf, type OpenCommitment, openCommitment } from "./commitment";
import { compared } from "./compared";
import { type Examination, examine, isModel } from "./examine";
import { bindingOf } from "./first/binding";
import { cleanAnswers, type Mark, markIn, readBits, readMark } from "./mark";
import { type NetworkFile, type OpenFile, openFile } from "./network-file";
import { type Possession, possessed } from "./possession";
import type { RelationEvidence } from "./relation";
import { type Dated, type Judgement, judged, type VerdictFacts } from "./verdict";

/** What {@link verify} may use beside the suspect and the credential. */
export interface VerifyOptions {
  /** What the owner published before the release: a bundle, or the text of its file. */
  commitment?: Bundle | string;
  /** The file that was committed to and released, as it was. */
  released?: NetworkFile;
  /** Certificates of time-stamping authorities that the verifier trusts, PEM or DER. */
  roots?: readonly (string | Uint8Array)[];
  /** When the suspect was there at the latest, as the verifier knows it. */
  published?: Date | string;
  /**
   * The answer of the claim's key to a nonce of the verifier's own: whoever has seen an opened
   * credential has not the key.
   */
  possession?: Possession;
  /** What `sha256sum` prints of the suspect that is meant. */
  suspectSha256?: string;
  /** Networks that were looked at before this one was accused (default 1). */
  suspects?: number;
  /** False-positive rate of the verdict (default 1e-6), of one claim of all that 2⁸⁰ tries give. */
  falsePositiveRate?: number;
  /**
   * The claimed network without its passports, or a function that makes one, for what has to run
   * it: accuracies and triggers. The networks of this package are built from the credential.
   */
  model?: Network | (() => Network);
  /** Images, or clouds, for the accuracies of the branches. */
  test?: SampleSet;
  /** What is done to test samples. Triggers are given as the claim says, and not by this. */
  transform?: readonly SampleTransform[];
  /** Most that an accuracy may differ from the claimed one (default 0.03). */
  tolerance?: number;
}

const OPTIONS: Readonly<Record<keyof VerifyOptions, Check>> = {
  commitment: (what, name, v) =>
    typeof v === "string" || isObject(v) || refuse(what, name, "a bundle, or the text of its file", v),
  released: () => true,
  roots: isRoots,
  published: (what, name, v) =>
    !Number.isNaN(v instanceof Date ? v.getTime() : Date.parse(text(what, name, v))) || refuse(what, name, "a date", v),
  possession: (what, name, v) =>
    (isObject(v) && v["signature"] instanceof Uint8Array) || refuse(what, name, "{ nonce, signature }", v),
  suspectSha256: (what, name, v) =>
    /^[0-9a-f]{64}$/.test(text(what, name, v)) || refuse(what, name, "64 hexadecimal digits", v),
  suspects: (what, name, v) =>
    (Number.isSafeInteger(v) && (v as number) >= 1) || refuse(what, name, "a whole number from 1", v),
  falsePositiveRate: isRate,
  model: isModel,
  test: isDataset,
  transform: isTransforms,
  tolerance: isShare,
};

/** What {@link verify} found: the verdict, and what it goes by. JSON-able. */
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
  /**
   * How the suspect and the released file are made from one another; null where it was not asked.
   */
  readonly relation: RelationEvidence | null;
  /** Bits and accuracies as the papers have them: information, and no part of the verdict. */
  readonly examination: Examination | null;
  /** SHA-256 of the suspect: what `sha256sum` prints. */
  readonly suspectSha256: string;
  /** One sentence per finding. */
  readonly reasons: readonly string[];
}

/**
 * Verifies a claim of ownership on a suspect, and says what it is worth:
 *
 * 1. Everything that follows from the claim is worked out anew and held against the credential.
 * 2. The commitment is signed by the claim's key and opens with this very credential; the key
 *    answers the verifier's nonce.
 * 3. Its time stamps are verified against roots that the verifier pins.
 * 4. The claim is anchored: the released file is the committed one, and bears the mark.
 * 5. The suspect's bits and triggers are read directly, nothing put back.
 * 6. The suspect and the released file are tested for being made from one another.
 *
 * What each verdict needs is in `VerdictName`. A claim of the first version is read and explained,
 * and is worth no more than `mark present`: such claims can be forged.
 * @throws FormatError for a credential that is none, and files that are none; StateDictError when
 * suspect and credential are of different structures; ArgumentError for options that are none.
 */
export async function verify(
  suspect: NetworkFile,
  credential: NetworkFile,
  options: VerifyOptions = {},
): Promise<Verification> {
  checkOptions("verify", options, OPTIONS);
  const { falsePositiveRate = 1e-6, suspects = 1, model, test, transform } = options;
  const accused = openFile("verify", "the suspect", suspect);
  const own = openFile("verify", "the credential", credential);
  const info = readCredential(own.file);
  const reasons: string[] = [];
  const examination = await examined(accused, own, options, reasons);
  const suspectSha256 = await sha256Hex(accused.bytes);
  const common = { examination, suspectSha256 };
  const nothing = { mark: null, released: null, dated: null, relation: null, ...common };
  const how = { model, falsePositiveRate, suspects };

  const claim = await claimed(own, info);
  const published = options.published === undefined ? null : new Date(options.published).toISOString();
  const facts = { version: claim.version, published, falsePositiveRate, dated: null, same: false, related: null };
  const noMark: Mark = { bits: null, triggers: null, found: false, turned: false, notes: [] };
  const broken = (why: string, released: Mark | null = null): Verification => ({
    ...judged({ ...facts, broken: why, unanchored: null, mark: noMark }),
    statement: claim.statement,
    version: claim.version,
    ...nothing,
    released,
    reasons: [...reasons, why, ...(released ? told(released) : [])],
  });
  if (claim.broken !== null) return broken(claim.broken);
  if (options.suspectSha256 !== undefined && options.suspectSha256 !== suspectSha256)
    return broken("the suspect is another file than the one that is meant (SHA-256)");

  const { derived } = claim;
  if (!derived) {
    // Read as they always were, and as many needed as of the second version.
    const mark = readBits(accused.file, { info, derived: claim }, how);
    const judgement = judged({ ...facts, broken: null, unanchored: "it is of the first version", mark });
    return { ...judgement, statement: claim.statement, version: 1, ...nothing, mark, reasons };
  }

  let opened: OpenCommitment | null = null;
  let dated: Dated | null = null;
  let released: OpenFile | null = null;
  let releasedMark: Mark | null = null;
  let unanchored: string | null = null;
  try {
    if (options.possession && !(await hasKey(derived, options.possession, accused)))
      return broken("the key that the claim names did not sign the verifier's nonce");
    released = options.released === undefined ? null : openFile("verify", "released", options.released);
    if (options.commitment === undefined) unanchored = "no commitment was given";
    else if (!released) unanchored = "the committed file was not given (`released`)";
    else {
      const bundle = bundleOf(options.commitment);
      opened = await openCommitment(bundle, derived, own, released);
      const when = await dateOf(bundle, options.roots ?? []);
      dated = when.dated;
      reasons.push(...when.reasons);
    }
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    return broken(cause.message);
  }
  if (opened && released) {
    if (opened.otherFile !== null) return broken(`the released file does not anchor the claim: ${opened.otherFile}`);
    releasedMark = await markIn(released, { info, derived }, how);
    if (!releasedMark?.found)
      return broken("the file that was committed to does not bear the claim's mark, read as it stands", releasedMark);
  }
  const same = released !== null && sameBytes(released.bytes, accused.bytes);
  const clean =
    released && !same && test && derived.spec.triggers
      ? await cleanAnswers(released, { info, derived }, model, test, transform ?? [])
      : undefined;
  const mark = same && releasedMark ? releasedMark : await readMark(accused.file, { info, derived }, { ...how, clean });
  reasons.push(...mark.notes, ...told(mark));
  const related =
    released && opened && !same ? compared(accused, released, info, falsePositiveRate / suspects, reasons) : null;
  if (related)
    reasons.push(
      `${related.agreements} of ${related.channels} hidden channels agree with the committed file, from both sides; ${related.needed} are needed at a false-positive rate of ${(falsePositiveRate / suspects).toExponential()}`,
      ...related.notes,
    );
  const judgement = judged({ ...facts, broken: null, unanchored, dated, same, mark, related } satisfies VerdictFacts);
  return {
    ...judgement,
    statement: claim.statement,
    version: 2,
    mark,
    released: releasedMark,
    dated,
    relation: related,
    ...common,
    reasons,
  };
}

/**
 * What the papers check. A suspect of another structure is examined no further where a network was
 * given that takes its weights: its triggers are asked.
 */
async function examined(
  suspect: OpenFile,
  owner: OpenFile,
  { model, test, transform, tolerance, falsePositiveRate }: VerifyOptions,
  reasons: string[],
): Promise<Examination | null> {
  const given = Object.entries({ model, test, transform, tolerance, falsePositiveRate });
  try {
    const found = await examine(suspect.file, owner.file, Object.fromEntries(given.filter(([, v]) => v !== undefined)));
    reasons.push(...found.reasons);
    return found;
  } catch (cause) {
    if (!(cause instanceof StateDictError && model !== undefined && hasClaim(owner.file))) throw cause;
    reasons.push(`the suspect is of another structure: ${cause.message}`);
    return null;
  }
}

/** What a credential claims. */
type Claimed = { statement: string; version: 1 | 2; broken: string | null } & (
  | { derived: DerivedClaim; bits?: undefined }
  | { derived: null; bits: DerivedClaim["bits"] }
);

async function claimed(own: OpenFile, info: CredentialInfo): Promise<Claimed> {
  const none = { statement: "", derived: null, bits: new Map() } as const;
  const version = hasClaim(own.file) ? 2 : 1;
  try {
    if (version === 2) {
      const derived = await claimOf(own.file, info);
      return { statement: derived.spec.statement, version, broken: null, derived };
    }
    const binding = await bindingOf(own.file, info);
    if (binding) return { statement: binding.statement, version, broken: null, derived: null, bits: binding.bits };
    const broken =
      "the credential is not bound to a secret: passports solved for these very weights would match as well, so it shows nothing";
    return { ...none, version, broken };
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    return { ...none, version, broken: cause.message };
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
