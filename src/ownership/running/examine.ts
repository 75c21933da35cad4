import type { TrainingSet } from "../../data/sample-set";
import type { SampleTransform } from "../../data/samples";
import { isTransforms } from "../../data/transform-kinds";
import { type Check, checkOptions } from "../../demand";
import { FormatError } from "../../errors";
import type { SafetensorsFile } from "../../io/safetensors";
import { listed } from "../../io/shown";
import { channelsOfConfig } from "../../models/channels";
import { type CredentialInfo, readCredential } from "../../models/credential";
import { checkFile } from "../../passport/files";
import type { Network } from "../../passport/trace";
import { isRate, isShare } from "../check";
import { realignTo } from "../suspect/realign";
import { suspectWeights } from "../suspect/suspect-weights";
import { isDataset, isModel } from "./check-runs";
import { type Examination, examinationOf, signatureOf } from "./examination";
import { measure } from "./measure";
import { running } from "./suspect-network";
import { triggerHits } from "./triggers";

/** {@link ExamineOptions}, each with its check. */
const OPTIONS: Readonly<Record<keyof ExamineOptions, Check>> = {
  model: isModel,
  test: isDataset,
  triggers: isDataset,
  transform: isTransforms,
  tolerance: isShare,
  falsePositiveRate: isRate,
  reference: (what, name, value) => checkFile(value, `${what}: ${name}`),
};

/** What {@link examine} may use beside the two files. */
export interface ExamineOptions {
  /**
   * The claimed network without its passports, or a function that makes one, for what has to run
   * it: accuracies and triggers. The networks of this package are built from the credential. A
   * network that is given has its own weights back in the end.
   */
  model?: Network | (() => Network);
  /**
   * Images, or clouds, for the accuracies of the branches; without them only the signature is
   * checked.
   */
  test?: TrainingSet;
  /** The trigger set the network was trained with. */
  triggers?: TrainingSet;
  /** The normalisation the network was trained with. */
  transform?: readonly SampleTransform[];
  /**
   * Most a claim may differ from the measured accuracy, 0 to 1 (default 0.03, DeepIPR's ε_f for
   * AlexNet).
   */
  tolerance?: number;
  /** False-positive rate of the thresholds (default 1e-6). */
  falsePositiveRate?: number;
  /**
   * The owner's own deployed network: channels that the suspect has in another order, negated or
   * scaled are put back by it before anything is read. A suspect whose filters are not the owner's
   * is left as it is. What is read then is no evidence: whoever chooses the reference chooses bits.
   */
  reference?: SafetensorsFile;
}

/**
 * What a suspect and a credential have to do with each other, as the papers check it: the suspect's
 * weights, put under the credential's passports, give signs of γ, which are held against the
 * signature, and (with test images) branches, which are held against guessing and against what is
 * claimed of them. A suspect with another classifier, or with folded norms, is examined as far as
 * that goes.
 *
 * The suspect is read by the ends of its tensors' names and by their shapes: what changes no weight
 * (prefixes, number types, further tensors, missing statistics, metadata) changes nothing, and
 * `reasons` says what was assumed or left aside.
 *
 * It is a measurement and no verdict: passports that fit a network can be computed, and a network
 * can be rearranged until passports fit. `verify` says what a claim is worth.
 * @throws FormatError, StateDictError when the files are not a network and a credential of that
 * network, or the credential's bits do not spell its texts; ArgumentError for options that are
 * none, a misspelt one too.
 */
export async function examine(
  suspect: SafetensorsFile,
  owner: SafetensorsFile,
  options: ExamineOptions = {},
): Promise<Examination> {
  checkOptions("examine", options, OPTIONS);
  checkFile(suspect, "the suspect");
  const claim = readCredential(owner);
  const undisguised = options.reference ? undisguise(suspect, options.reference, claim) : { suspect, reasons: [] };
  const read = suspectWeights(undisguised.suspect, claim);
  const signature = signatureOf(read, claim);
  const needed = options.test !== undefined || options.triggers !== undefined;
  const runs = await running("examine", read, undisguised.suspect, claim, needed ? options.model : null);
  try {
    const { joined } = runs;
    const accuracy = joined ? await measure(joined, options) : {};
    const triggers = joined ? await triggerHits(joined, options) : { hits: null, reasons: [] };
    const ran = { accuracy, triggers, reasons: runs.reasons };
    return examinationOf(signature, { ran, notes: undisguised.reasons, options });
  } finally {
    runs.end();
  }
}

/** The suspect with its channels put back where the owner's copy has them. */
function undisguise(suspect: SafetensorsFile, reference: SafetensorsFile, { config, channels }: CredentialInfo) {
  if (!config && !channels)
    throw new FormatError(
      "reference: the credential does not say which channels of its network hang together, so that none can be put back: leave it out",
    );
  const known = config ? channelsOfConfig(config, reference) : channels!;
  const { aligned, layers } = realignTo(suspect, reference, { channels: known, config });
  const count = (key: "moved" | "negated" | "channels") => layers.reduce((n, l) => n + l[key], 0);
  const strange = layers.filter((l) => !l.copied).map((l) => l.name);
  const reasons = [
    `against the owner's own copy, ${count("moved")} of ${count("channels")} channels stood elsewhere and ${count("negated")} were negated; they were put back`,
  ];
  if (strange.length) reasons.push(`filters of ${listed(strange)} are not like the owner's and were left as they are`);
  return { suspect: aligned, reasons };
}
