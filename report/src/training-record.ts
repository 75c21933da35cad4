/**
 * The result record of a full training run: what it writes as JSON and what its page is drawn from.
 * All accuracies and shares are fractions from 0 to 1, all bit counts whole numbers.
 */

import { type BranchAccuracy, branchesOf, SCHEMES, type Scheme } from "@pan/core/passport";
import type { StepRecord } from "@pan/core/train";
import { recordChecks, type SignatureFound } from "./checks";
import { type CloudSample, checkClouds } from "./cloud-record";
import { checkFiles, type RunFile } from "./files";
import { SAMPLES, type Samples } from "./samples";
import { type ClaimVerdict, checkVerdict } from "./verdict-record";

/** Mean losses over a stretch of steps, as the trainer records them. */
export type StepLosses = StepRecord;

/** What an epoch came to. */
export interface EpochResult extends BranchAccuracy {
  /** From 1; they rise. */
  epoch: number;
  /** Mean training loss. */
  loss: number;
  /** Share of the triggers answered with the labels that were taught. */
  triggers?: BranchAccuracy;
  /** Signature bits that the signs of γ match, of how many; 0 of 0 for a plain network. */
  bitsMatched: number;
  bits: number;
  seconds: number;
}

/**
 * Everything a training run found out about the network it ended with. Survives `JSON.stringify`
 * unchanged.
 */
export interface TrainingReport {
  /**
   * That it is its owner's alone ({@link PRIVATE_NOTICE}), for whoever finds the file; none for a
   * network without a signature.
   */
  notice?: string;
  /** What was trained on what: "AlexNet, V2, CIFAR-10". */
  title: string;
  /** The command line that made it. */
  command: string;
  /**
   * The WebGPU adapter that computed: `kind` such as "discrete GPU" or "software", and its own
   * name.
   */
  adapter: { kind: string; name: string };
  /** ISO 8601. */
  startedAt: string;
  /** Wall-clock time of the whole run. */
  seconds: number;
  /**
   * `parameters` counts numbers that are trained; `passportLayers` names the marked layers, none
   * for a plain network.
   */
  network: { arch: string; scheme: Scheme; parameters: number; passportLayers: string[] };
  /** Numbers of samples, and what they are (default `pictures`). */
  data: { train: number; test: number; triggers: number; samples?: Samples };
  settings: Record<string, string | number | boolean>;
  steps: StepLosses[];
  epochs: EpochResult[];
  /** The epoch with the highest mean test accuracy of its branches. */
  best: { epoch: number; accuracy: BranchAccuracy } | null;
  /** 1 / classes. */
  chance: number;
  /**
   * The claim read from the weights, `null` for a plain network; `threshold` matches are enough,
   * bits + 1 where none is.
   */
  signature: (SignatureFound & { threshold: number }) | null;
  /**
   * The claim read from answers to triggers on a branch; `threshold` hits are enough, count + 1
   * where none is.
   */
  triggers: { count: number; hits: number; pValue: number; threshold: number; branch: string } | null;
  /** Trigger shapes to show, in the order of showing; none for a run of pictures. */
  clouds?: CloudSample[];
  /**
   * What passports made up at random achieved: test accuracy and bits. Empty for a plain network.
   */
  forged: { accuracy: number; matched: number }[];
  /** Of the claim on the released file; `null` for a plain network. */
  verdict: ClaimVerdict | null;
  files: RunFile[];
}

const checks = recordChecks(
  "A report is drawn from complete records only; run the command again, or correct the record.",
);
const { fail, number, whole, text, date, choice, list, object, branches, layers } = checks;

/**
 * Checks a record before it is drawn: finite numbers, fractions in [0, 1], counts that add up, only
 * the branches and claims that the scheme has.
 *
 * Raises {@link ArgumentError} naming the entry, what was expected and what it holds.
 */
export function checkTrainingReport(r: TrainingReport): void {
  for (const key of ["adapter", "network", "data", "settings"] as const) object(key, r[key]);
  for (const key of ["steps", "epochs", "forged"] as const) {
    list(key, r[key]);
    for (const [i, entry] of r[key].entries()) object(`${key}[${i}]`, entry);
  }
  for (const key of ["title", "command"] as const) text(key, r[key]);
  for (const key of ["kind", "name"] as const) text(`adapter.${key}`, r.adapter[key]);
  date("startedAt", r.startedAt);
  number("seconds", r.seconds, 0);
  number("chance", r.chance, 0, 1);
  if (r.chance === 0) fail("chance", "1 / classes, above 0", r.chance);
  checkNetwork(r);
  checkData(r);
  for (const [key, value] of Object.entries(r.settings)) {
    if (typeof value === "number") number(`settings.${key}`, value);
    else if (typeof value !== "boolean") text(`settings.${key}`, value, "may be empty");
  }
  checkClaim(r);
  checkCourse(r);
  checkFiles(checks, r.files);
}

function checkNetwork({ network }: TrainingReport): void {
  text("network.arch", network.arch);
  choice("network.scheme", network.scheme, SCHEMES);
  whole("network.parameters", network.parameters, 0);
  list("network.passportLayers", network.passportLayers);
  for (const [i, name] of network.passportLayers.entries()) text(`network.passportLayers[${i}]`, name);
  const count = network.passportLayers.length;
  if (count > 0 === (network.scheme === "plain")) {
    const wanted = network.scheme === "plain" ? "no layer for a plain network" : "at least one layer";
    fail("network.passportLayers", wanted, network.passportLayers);
  }
}

function checkData({ data, clouds }: TrainingReport): void {
  for (const key of ["train", "test", "triggers"] as const) whole(`data.${key}`, data[key], 0);
  if (data.samples !== undefined) choice("data.samples", data.samples, SAMPLES);
  if (clouds === undefined) return;
  checkClouds(clouds, checks);
  if (clouds.length > 0 && data.samples !== "shapes")
    fail("clouds", 'no clouds unless data.samples is "shapes"', clouds);
  if (clouds.length > data.triggers) fail("clouds", `no more than data.triggers = ${data.triggers}`, clouds);
}

/** Accuracies or hits by branch, of an entry that may say other things too. */
function byBranch(where: string, { public: open, private: closed, passport }: BranchAccuracy, scheme: Scheme): void {
  const shares = Object.entries({ public: open, private: closed, passport });
  branches(
    where,
    shares.flatMap(([branch, share]) => (share === undefined ? [] : [[branch, share] as const])),
    scheme,
  );
}

function checkCourse({ steps, epochs, best, signature, network: { scheme } }: TrainingReport): void {
  const losses = ["publicLoss", "privateLoss", "passportLoss", "signLoss"] as const;
  // Only a regularizer can make a loss negative.
  const least = steps.some((s) => s.regularizerLoss !== undefined) ? Number.NEGATIVE_INFINITY : 0;
  for (const [i, point] of steps.entries()) {
    whole(`steps[${i}].step`, point.step, i === 0 ? 0 : steps[i - 1]!.step + 1);
    number(`steps[${i}].loss`, point.loss, least);
    for (const key of losses) number(`steps[${i}].${key}`, point[key], 0);
    if (point.regularizerLoss !== undefined) number(`steps[${i}].regularizerLoss`, point.regularizerLoss);
  }
  const bits = signature?.bits ?? 0;
  for (const [i, e] of epochs.entries()) {
    whole(`epochs[${i}].epoch`, e.epoch, i === 0 ? 0 : epochs[i - 1]!.epoch + 1);
    number(`epochs[${i}].loss`, e.loss, least);
    number(`epochs[${i}].seconds`, e.seconds, 0);
    byBranch(`epochs[${i}]`, e, scheme);
    if (e.triggers !== undefined) {
      object(`epochs[${i}].triggers`, e.triggers);
      byBranch(`epochs[${i}].triggers`, e.triggers, scheme);
    }
    if (e.bits !== bits) fail(`epochs[${i}].bits`, `${bits}, the bits of the signature`, e.bits);
    whole(`epochs[${i}].bitsMatched`, e.bitsMatched, 0, bits);
  }
  if (best === null) return;
  object("best", best);
  if (!epochs.some((e) => e.epoch === best.epoch)) fail("best.epoch", "an epoch of the run", best.epoch);
  object("best.accuracy", best.accuracy);
  byBranch("best.accuracy", best.accuracy, scheme);
}

function checkClaim({ network: { scheme }, signature: s, triggers: t, forged, verdict }: TrainingReport): void {
  for (const [key, value] of Object.entries({ signature: s, verdict })) {
    if ((value === null) !== (scheme === "plain")) {
      fail(key, scheme === "plain" ? "null for a plain network" : `an object for scheme ${scheme}`, value);
    }
    if (value !== null) object(key, value);
  }
  if (s !== null) {
    for (const key of ["text", "decodedText"] as const) text(`signature.${key}`, s[key], "may be empty");
    whole("signature.bits", s.bits, 1);
    whole("signature.matched", s.matched, 0, s.bits);
    whole("signature.threshold", s.threshold, 0, s.bits + 1);
    number("signature.pValue", s.pValue, 0, 1);
    list("signature.layers", s.layers);
    for (const [i, layer] of s.layers.entries()) {
      object(`signature.layers[${i}]`, layer);
      text(`signature.layers[${i}].name`, layer.name);
    }
    layers("signature.layers", s.layers, s);
  }
  if (verdict !== null) checkVerdict(checks, "verdict", verdict);
  if (t !== null) {
    object("triggers", t);
    whole("triggers.count", t.count, 1);
    whole("triggers.hits", t.hits, 0, t.count);
    whole("triggers.threshold", t.threshold, 0, t.count + 1);
    number("triggers.pValue", t.pValue, 0, 1);
    const among: readonly string[] = branchesOf(scheme);
    if (!among.includes(t.branch)) fail("triggers.branch", among.join(" or "), t.branch);
  }
  if (forged.length > 0 && s === null) fail("forged", "an empty list for a plain network", forged);
  for (const [i, f] of forged.entries()) {
    number(`forged[${i}].accuracy`, f.accuracy, 0, 1);
    whole(`forged[${i}].matched`, f.matched, 0, s?.bits);
  }
}
