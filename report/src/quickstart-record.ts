/**
 * The result record of the quickstart: what it writes to `report.json` and what its page is drawn
 * from. All shares and accuracies are fractions from 0 to 1, all bit counts whole numbers.
 */

import { recordChecks, type SignatureFound } from "./checks";
import { checkFiles, type RunFile } from "./files";
import { type ClaimVerdict, checkVerdict } from "./verdict-record";

/** Everything a quickstart run found out. Survives `JSON.stringify` unchanged. */
export interface QuickstartReport {
  /** That it is its owner's alone ({@link PRIVATE_NOTICE}), for whoever finds the file. */
  notice?: string;
  /**
   * The WebGPU adapter that computed: `kind` such as "discrete GPU" or "software", and its own
   * name.
   */
  adapter: { kind: string; name: string };
  /** Wall-clock time of the whole run. */
  seconds: number;
  /** ISO 8601. */
  startedAt: string;
  train: {
    epochs: number;
    /** `loss` = `publicLoss` + `privateLoss` + `signLoss`; cross-entropies in nats. */
    lossCurve: { step: number; loss: number; publicLoss: number; privateLoss: number; signLoss: number }[];
    /** Test accuracies after each epoch, and how many signature bits γ's signs then matched. */
    accuracyCurve: { epoch: number; public: number; private: number; bits: number }[];
    /** Training pictures per epoch. */
    images: number;
    batchSize: number;
    imagesPerSecond: number;
  };
  /** Test accuracies; `forged` has one entry a forged passport, `chance` is 1 / classes. */
  accuracy: { public: number; private: number; forged: number[]; chance: number };
  /** `forgedMatched` is in the order of `accuracy.forged`. */
  signature: SignatureFound & { forgedMatched: number[] };
  /**
   * γ_raw a channel under the real passport and under one forged passport (may be empty), and the
   * signature's bits (±1).
   */
  gamma: { layer: string; owner: number[]; forged: number[]; bits: number[] }[];
  /** Of the claim on the released file. */
  verdict: ClaimVerdict;
  files: RunFile[];
  settings: Record<string, string | number | boolean>;
}

const checks = recordChecks(
  "A report is drawn from complete records only; run `npm run quickstart` again, or correct the record.",
);
const { fail, number, whole, date, layers } = checks;

/**
 * Checks a record before it is drawn: finite numbers, fractions in [0, 1], counts that add up,
 * arrays of equal length.
 *
 * Raises {@link ArgumentError} naming the entry, what was expected and what it holds.
 */
export function checkQuickstartReport(r: QuickstartReport): void {
  number("seconds", r.seconds, 0);
  date("startedAt", r.startedAt);
  checkTraining(r);
  for (const key of ["public", "private", "chance"] as const) number(`accuracy.${key}`, r.accuracy[key], 0, 1);
  r.accuracy.forged.forEach((v, i) => {
    number(`accuracy.forged[${i}]`, v, 0, 1);
  });
  checkSignature(r);
  checkVerdict(checks, "verdict", r.verdict);
  for (const [i, g] of r.gamma.entries()) {
    if (g.owner.length !== g.bits.length)
      fail(`gamma[${i}].owner`, `${g.bits.length} values, one a bit`, g.owner.length);
    if (g.forged.length !== 0 && g.forged.length !== g.bits.length) {
      fail(`gamma[${i}].forged`, `no values or ${g.bits.length}, one a bit`, g.forged.length);
    }
    for (const key of ["owner", "forged"] as const)
      g[key].forEach((v, j) => void number(`gamma[${i}].${key}[${j}]`, v));
    for (const [j, b] of g.bits.entries()) if (b !== 1 && b !== -1) fail(`gamma[${i}].bits[${j}]`, "1 or -1", b);
  }
  checkFiles(checks, r.files);
}

function checkTraining({ train, signature }: QuickstartReport): void {
  whole("train.epochs", train.epochs, 0);
  whole("train.images", train.images, 0);
  whole("train.batchSize", train.batchSize, 1);
  number("train.imagesPerSecond", train.imagesPerSecond, 0);
  for (const [i, point] of train.lossCurve.entries()) {
    for (const key of ["step", "loss", "publicLoss", "privateLoss", "signLoss"] as const) {
      number(`train.lossCurve[${i}].${key}`, point[key], 0);
    }
  }
  for (const [i, point] of train.accuracyCurve.entries()) {
    number(`train.accuracyCurve[${i}].epoch`, point.epoch, 0);
    number(`train.accuracyCurve[${i}].public`, point.public, 0, 1);
    number(`train.accuracyCurve[${i}].private`, point.private, 0, 1);
    whole(`train.accuracyCurve[${i}].bits`, point.bits, 0, signature.bits);
  }
}

function checkSignature({ signature: s, accuracy }: QuickstartReport): void {
  whole("signature.bits", s.bits, 1);
  whole("signature.matched", s.matched, 0, s.bits);
  number("signature.pValue", s.pValue, 0, 1);
  for (const [i, n] of s.forgedMatched.entries()) whole(`signature.forgedMatched[${i}]`, n, 0, s.bits);
  if (s.forgedMatched.length !== accuracy.forged.length) {
    fail(
      "signature.forgedMatched",
      `${accuracy.forged.length} entries, as accuracy.forged has`,
      s.forgedMatched.length,
    );
  }
  layers("signature.layers", s.layers, s);
}
