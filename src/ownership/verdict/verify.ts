import type { TrainingSet } from "../../data/sample-set";
import type { SampleTransform } from "../../data/samples";
import { isTransforms } from "../../data/transform-kinds";
import { type Check, checkOptions } from "../../demand";
import type { Network } from "../../passport/trace";
import { isShare } from "../check";
import type { NetworkFile } from "../network-file";
import { isDataset, isModel } from "../running/check-runs";
import { deviceRunner } from "../running/device-runner";
import { EVIDENCE, type Evidence } from "./evidence";
import { type Verification, verificationOf } from "./verification";

/** What {@link verify} may use beside the suspect and the credential. */
export interface VerifyOptions extends Evidence {
  /**
   * The claimed network without its passports, or a function that makes one, for what has to run
   * it: accuracies and triggers. The networks of this package are built from the credential.
   */
  model?: Network | (() => Network);
  /** Images, or clouds, for the accuracies of the branches. */
  test?: TrainingSet;
  /** What is done to test samples. Triggers are given as the claim says, and not by this. */
  transform?: readonly SampleTransform[];
  /** Most that an accuracy may differ from the claimed one (default 0.03). */
  tolerance?: number;
}

const OPTIONS: Readonly<Record<keyof VerifyOptions, Check>> = {
  ...EVIDENCE,
  model: isModel,
  test: isDataset,
  transform: isTransforms,
  tolerance: isShare,
};

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
 * suspect and credential are of different structures and there is no committed file to compare the
 * suspect with; ArgumentError for options that are none.
 */
export async function verify(
  suspect: NetworkFile,
  credential: NetworkFile,
  options: VerifyOptions = {},
): Promise<Verification> {
  checkOptions("verify", options, OPTIONS);
  const { model, test, transform, tolerance, falsePositiveRate } = options;
  const runner = deviceRunner({ model, test, transform, tolerance, falsePositiveRate });
  return verificationOf(suspect, credential, options, runner);
}
