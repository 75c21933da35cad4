import type { ImageSet } from "../data/dataset";
import type { ImageTransform } from "../data/transforms";
import { FormatError, StateDictError } from "../errors";
import type { SafetensorsFile } from "../io/safetensors";
import { ConvNet, type LayerSigns } from "../models/convnet";
import { type BranchAccuracy, joinState, readCredential } from "../models/split";
import { decodeSignature, signatureBytes } from "../passport/signature";
import { evaluate } from "../train/evaluate";
import { binomialPValue, matchThreshold } from "./statistics";

/** What {@link verify} may use beside the two files, and how strict it is. */
export interface VerifyOptions {
  /** Images for the accuracies of both branches; without them only the signature is checked. */
  test?: ImageSet;
  /** The normalisation the network was trained with. */
  transform?: readonly ImageTransform[];
  /** Most a claim may differ from the measured private accuracy (default 0.03, DeepIPR's ε_f for AlexNet). */
  tolerance?: number;
  /** False-positive rate of the verdict (default 1e-6). */
  falsePositiveRate?: number;
}

/** How one passport layer matches the signature. */
export interface LayerMatch {
  name: string;
  bits: number;
  matched: number;
  /** γ_raw under the credential's passports, and the signature's ±1. */
  gamma: number[];
  signs: number[];
}

/** What {@link verify} found. */
export interface Verification {
  /** Texts that the signs of γ spell, layer by layer. */
  decodedText: string;
  /** Texts the credential claims. */
  claimedText: string;
  layers: LayerMatch[];
  bits: number;
  matched: number;
  /** P(X ≥ matched), X ~ Bin(bits, ½). */
  pValue: number;
  /** Matches that guessing reaches with the false-positive rate at most. */
  threshold: number;
  accuracy: BranchAccuracy;
  claimed: BranchAccuracy;
  holds: boolean;
  /** One sentence a finding, what could not be checked included. */
  reasons: string[];
}

/** The suspect's weights under the credential's private parts. @throws StateDictError when they do not fit together. */
export function rejoin(suspect: SafetensorsFile, owner: SafetensorsFile): ConvNet {
  const { config } = readCredential(owner);
  const model = new ConvNet(config);
  try {
    model.loadStateDict(joinState({ deployed: suspect.tensors, credential: owner.tensors }, config));
  } catch (cause) {
    model.dispose();
    if (!(cause instanceof StateDictError)) throw cause;
    throw new StateDictError(`this credential does not belong to a network of that structure: ${cause.message}`, {
      cause,
    });
  }
  return model.eval();
}

/**
 * Checks a claim of ownership: the suspect's weights, put under the credential's passports, must give the credential's signature in the signs of γ, and (with test images) a
 * private branch that works.
 *
 * A matching signature alone shows that passports and weights fit; it does not show who made them first (see the limits in the README).
 * @throws FormatError, StateDictError when the files are not a network and a credential of that network, or the credential's bits do not spell its texts.
 */
export async function verify(
  suspect: SafetensorsFile,
  owner: SafetensorsFile,
  options: VerifyOptions = {},
): Promise<Verification> {
  const { tolerance = 0.03, falsePositiveRate = 1e-6 } = options;
  const { claimed, texts } = readCredential(owner);
  const model = rejoin(suspect, owner);
  try {
    const signs = await model.readSigns();
    checkTexts(signs, texts);
    const bits = signs.reduce((n, s) => n + s.bits.length, 0);
    const matched = signs.reduce((n, s) => n + s.matched, 0);
    const decoded = signs.flatMap(({ name, gamma }) =>
      texts.has(name) ? [decodeSignature(gamma, signatureBytes(texts.get(name)!))] : [],
    );
    const threshold = matchThreshold(bits, falsePositiveRate);
    const accuracy = options.test
      ? await evaluate(model, options.test, options.transform ? { transform: options.transform } : {})
      : {};
    const reasons: string[] = [];
    const enough = matched >= threshold;
    reasons.push(
      `${matched} of ${bits} signature bits match; ${threshold} are needed at a false-positive rate of ${falsePositiveRate.toExponential()}`,
    );
    let faithful = true;
    if (accuracy.private === undefined)
      reasons.push("no test images were given: the accuracy of the private branch is not checked");
    else if (claimed.private === undefined)
      reasons.push("the credential claims no accuracy: that of the private branch is measured but not compared");
    else {
      faithful = Math.abs(accuracy.private - claimed.private) <= tolerance;
      reasons.push(
        `the private branch reaches ${(100 * accuracy.private).toFixed(1)} %, ${faithful ? "within" : "not within"} ${100 * tolerance} points of the claimed ${(100 * claimed.private).toFixed(1)} %`,
      );
    }
    return {
      decodedText: decoded.join(" "),
      claimedText: [...texts.values()].join(" "),
      layers: signs.map((s) => ({
        name: s.name,
        bits: s.bits.length,
        matched: s.matched,
        gamma: [...s.gamma],
        signs: [...s.bits],
      })),
      bits,
      matched,
      pValue: binomialPValue(matched, bits),
      threshold,
      accuracy,
      claimed,
      holds: enough && faithful,
      reasons,
    };
  } finally {
    model.dispose();
  }
}

/** Bits that match γ prove nothing of a text which they do not spell. @throws FormatError when a layer's bits are not its text's. */
function checkTexts(signs: readonly LayerSigns[], texts: ReadonlyMap<string, string>): void {
  for (const { name, bits } of signs) {
    const text = texts.get(name);
    if (text === undefined) continue;
    const spelled = decodeSignature(bits, signatureBytes(text));
    if (spelled === text) continue;
    throw new FormatError(
      `the credential contradicts itself: its bits of ${name} spell "${spelled}", its text is "${text}"`,
    );
  }
}
