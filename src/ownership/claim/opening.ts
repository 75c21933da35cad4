/**
 * One group of triggers, opened to a court or to a stranger: enough to ask any network that answers
 * with classes, and nothing of the passports or of the other groups.
 */

import { checkOptions, knownKeys, refuse, whole } from "../../demand";
import { ArgumentError, FormatError } from "../../errors";
import { fromHex, toHex } from "../../io/digest";
import type { SafetensorsFile } from "../../io/safetensors";
import { isObject, shown } from "../../io/shown";
import type { NonSharedInt32Array, NonSharedUint8Array } from "../../io/typed-arrays";
import { readCredential } from "../../models/credential";
import { isRate } from "../check";
import { binomialPValue, matchThreshold } from "../statistics";
import { checkAnswers, rightOf } from "./answers";
import { claimHash } from "./derive";
import { type Binding, claimOf, entryOf, hasClaim } from "./own";
import { type ClaimSpec, checkClaimSpec, type TriggerSpec } from "./spec";
import { claimThreshold } from "./threshold";
import {
  decodeInputs,
  encodeInputs,
  groupSecret,
  inputsDigest,
  type TriggerInputs,
  triggerInputs,
  triggerLabels,
} from "./triggers";

/** An opened group of triggers. JSON-able. */
export interface Opening {
  readonly format: "pan-opening-2";
  readonly spec: ClaimSpec;
  /** SHA-512 of the passports, hexadecimal. */
  readonly passports: string;
  /** SHA-512 of the inputs of each group, hexadecimal. */
  readonly groups: readonly string[];
  /** Which group is opened, from 0. */
  readonly group: number;
  /** What its inputs are drawn from: 64 bytes, hexadecimal. Not there where they are supplied. */
  readonly secret?: string;
  /** They themselves, where they are supplied: base64. */
  readonly inputs?: string;
}

const FORMAT = "pan-opening-2";

/**
 * Opens one group of a credential's triggers. Whoever sees it can unlearn that group.
 * @throws ArgumentError for a credential without triggers, or without that group; FormatError for
 * one that contradicts itself.
 */
export async function openGroup(credential: SafetensorsFile, group: number): Promise<Opening> {
  const info = readCredential(credential);
  if (!hasClaim(credential)) throw new ArgumentError("openGroup: the credential has no claim of version 2");
  const { spec, digests, groups } = await claimOf(credential, info);
  const count = spec.triggers?.groups ?? 0;
  if (!count) throw new ArgumentError("openGroup: the claim has no triggers");
  if (whole("openGroup", "group", group, 0) >= count) refuse("openGroup", "group", `below ${count}`, group);
  const { secret } = entryOf(credential) as Binding;
  return {
    format: FORMAT,
    spec,
    passports: toHex(digests.passports),
    groups: digests.groups.map(toHex),
    group,
    ...(spec.triggers?.supplied
      ? { inputs: encodeInputs(groups[group]!.inputs) }
      : { secret: toHex(await groupSecret(fromHex(secret), group)) }),
  };
}

const isHex = (value: unknown, digits: number): value is string =>
  typeof value === "string" && value.length === digits && /^[0-9a-f]*$/.test(value);

/** @throws FormatError for what is no opening; no secret of another document is repeated. */
function checkOpening(value: unknown): asserts value is Opening {
  const wrong = (what: string, found: unknown): never => {
    throw new FormatError(`an opened group of triggers, ${what}, expected, found ${shown(found)}`);
  };
  if (!isObject(value) || value["format"] !== FORMAT)
    return wrong(`of format "${FORMAT}"`, isObject(value) ? value["format"] : typeof value);
  const { spec, passports, groups, group, secret, inputs } = value;
  try {
    knownKeys("an opening", value, ["format", "spec", "passports", "groups", "group", "secret", "inputs"]);
    checkClaimSpec("an opening's spec", spec);
  } catch (cause) {
    if (!(cause instanceof ArgumentError)) throw cause;
    throw new FormatError(cause.message, { cause });
  }
  const count = spec.triggers?.groups ?? 0;
  if (!Array.isArray(groups) || !count || groups.length !== count || !groups.every((g) => isHex(g, 128)))
    wrong(`with a digest of each of ${count} groups`, groups);
  if (!Number.isSafeInteger(group) || (group as number) < 0 || (group as number) >= count)
    wrong(`with a group from 0 to ${count - 1}`, group);
  if (!isHex(passports, 128)) wrong("with the digest of its passports", passports);
  if (spec.triggers?.supplied ? secret !== undefined : inputs !== undefined)
    wrong("whose inputs are supplied, or follow from a secret,", "both");
  if (!spec.triggers?.supplied && !isHex(secret, 128))
    wrong("with the secret of its group in 128 hexadecimal digits", typeof secret);
}

/** An opened group as it follows from its opening. */
export interface OpenedInputs {
  readonly inputs: TriggerInputs;
  readonly labels: NonSharedInt32Array;
  /** h of the claim. */
  readonly hash: NonSharedUint8Array;
}

/**
 * Inputs and labels of an opened group.
 * @throws FormatError for what is no opening, or whose inputs are not those of its digest.
 */
export async function openedInputs(opening: Opening): Promise<OpenedInputs> {
  checkOpening(opening);
  const { spec, group } = opening;
  const triggers = spec.triggers!;
  const inputs = triggers.supplied
    ? suppliedInputs(opening.inputs, triggers)
    : await triggerInputs(fromHex(opening.secret!), triggers);
  if (toHex(await inputsDigest(inputs)) !== opening.groups[group])
    throw new FormatError("the opening's inputs are not those of its digest: they are another group's");
  const digests = { passports: fromHex(opening.passports), groups: opening.groups.map(fromHex) };
  const hash = await claimHash(spec, digests);
  return { inputs, labels: await triggerLabels(hash, group, triggers), hash };
}

/** @throws FormatError for inputs that are none. */
function suppliedInputs(text: unknown, triggers: TriggerSpec): TriggerInputs {
  try {
    return decodeInputs(text, triggers, 1)[0]!;
  } catch (cause) {
    if (!(cause instanceof ArgumentError)) throw cause;
    throw new FormatError(cause.message, { cause });
  }
}

/** How answers agree with the labels that a claim gives its triggers. JSON-able. */
export interface AnswersEvidence {
  readonly statement: string;
  readonly count: number;
  readonly hits: number;
  readonly classes: number;
  /** P(X ≥ hits), X ~ Bin(count, 1/classes): of one claim. */
  readonly pValue: number;
  /**
   * Hits that a forger who tries 2⁸⁰ claims, and opens the best group, reaches with the
   * false-positive rate at most.
   */
  readonly needed: number;
  readonly marked: boolean;
}

/**
 * Holds a suspect's answers against an opened group: what any interface that names a class gives,
 * without its weights.
 * @param answers the class of each input of `openedTriggers`, in their order, by its number
 * @throws ArgumentError for answers that are not one class of the claim's per input; FormatError
 * for an opening that is none.
 */
export async function verifyAnswers(
  answers: ArrayLike<number>,
  opening: Opening,
  options: { falsePositiveRate?: number } = {},
): Promise<AnswersEvidence> {
  checkOptions("verifyAnswers", options, { falsePositiveRate: isRate });
  const { falsePositiveRate = 1e-6 } = options;
  const { labels } = await openedInputs(opening);
  const { classes } = opening.spec.triggers!;
  checkAnswers("verifyAnswers", answers, labels.length, classes.length);
  const hits = rightOf(answers, labels);
  const chance = 1 / classes.length;
  const needed = matchThreshold(labels.length, claimThreshold(falsePositiveRate, opening.groups.length), chance);
  return {
    statement: opening.spec.statement,
    count: labels.length,
    hits,
    classes: classes.length,
    pValue: binomialPValue(hits, labels.length, chance),
    needed,
    marked: hits >= needed,
  };
}
