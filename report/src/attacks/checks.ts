/** Checks of a record of attacks before a page is drawn from it. */

import type { AttackRecord, Measurement, WatermarkDetection, WatermarkRecord } from "@pan/core/attacks";
import { type BranchAccuracy, SCHEMES, type Scheme } from "@pan/core/passport";
import { recordChecks } from "../checks";
import { SAMPLES } from "../samples";
import { checkHits, checkVerdict } from "../verdict-record";
import type { AttackedNetwork, AttackRuns, Claim } from "./record";

const checks = recordChecks(
  "A report is drawn from complete records only; attack the network again, or correct the record.",
);
const { fail, number, whole, text, choice, list, object, branches, layers } = checks;

/**
 * Checks that a report can be drawn: finite numbers, fractions in [0, 1], matches within their
 * bits, only branches of the scheme, titles that tell the networks apart.
 * @throws ArgumentError naming the entry, what was expected and what it holds.
 */
export function checkAttackRuns(runs: AttackRuns): void {
  list("networks", runs.networks);
  if (runs.networks.length === 0) fail("networks", "at least one network", runs.networks);
  const titles = new Set<string>();
  for (const [i, network] of runs.networks.entries()) {
    const where = `networks[${i}]`;
    object(where, network);
    checkNetwork(where, network);
    if (titles.has(network.title)) fail(`${where}.title`, "a title that no other network has", network.title);
    titles.add(network.title);
  }
  if (runs.watermarks === undefined) return;
  list("watermarks", runs.watermarks);
  for (const [i, watermark] of runs.watermarks.entries()) checkWatermark(`watermarks[${i}]`, watermark);
}

function checkNetwork(where: string, n: AttackedNetwork): void {
  for (const key of ["title", "command"] as const) text(`${where}.${key}`, n[key]);
  for (const key of ["adapter", "network", "claim"] as const) object(`${where}.${key}`, n[key]);
  for (const key of ["kind", "name"] as const) text(`${where}.adapter.${key}`, n.adapter[key]);
  text(`${where}.network.arch`, n.network.arch);
  const { scheme } = n.network;
  if (!SCHEMES.includes(scheme) || (scheme as Scheme) === "plain")
    fail(`${where}.network.scheme`, "one of v1, v2, v3, pan", scheme);
  whole(`${where}.network.parameters`, n.network.parameters, 0);
  list(`${where}.network.passportLayers`, n.network.passportLayers);
  number(`${where}.chance`, n.chance, 0, 1);
  if (n.chance === 0 || n.chance === 1) fail(`${where}.chance`, "1 / classes, between 0 and 1", n.chance);
  whole(`${where}.testImages`, n.testImages, 1);
  if (n.samples !== undefined) choice(`${where}.samples`, n.samples, SAMPLES);
  checkClaim(`${where}.claim`, n.claim, scheme);
  checkVerdict(checks, `${where}.verdict`, n.verdict);
  if (n.seconds) times(`${where}.seconds`, n.seconds);
  if (n.plain) {
    number(`${where}.plain.accuracy`, n.plain.accuracy, 0, 1);
    if (n.plain.seconds) times(`${where}.plain.seconds`, n.plain.seconds);
  }
  for (const key of ["attacks", "forgeries", "nulls"] as const) list(`${where}.${key}`, n[key]);
  for (const [i, record] of n.attacks.entries()) checkAttack(`${where}.attacks[${i}]`, record, scheme, 1);
  for (const [i, record] of (n.plainAttacks ?? []).entries())
    checkAttack(`${where}.plainAttacks[${i}]`, record, "plain", 0);
  for (const [i, forged] of n.forgeries.entries()) {
    const at = `${where}.forgeries[${i}]`;
    text(`${at}.method`, forged.method);
    list(`${at}.knowledge`, forged.knowledge);
    settings(`${at}.budget`, forged.budget);
    checkExamined(`${at}.asInPapers`, forged.asInPapers, scheme);
    checkVerdict(checks, `${at}.verdict`, forged.verdict);
  }
  for (const [i, sample] of n.nulls.entries()) {
    const at = `${where}.nulls[${i}]`;
    if (!["credentials", "passports", "networks"].includes(sample.kind))
      fail(`${at}.kind`, '"credentials", "passports" or "networks"', sample.kind);
    whole(`${at}.bits`, sample.bits, 1);
    numbers(`${at}.matched`, sample.matched, 0, sample.bits);
    if (sample.matched.length === 0) fail(`${at}.matched`, "at least one count of matches", sample.matched);
    number(`${at}.mean`, sample.mean, 0, sample.bits);
    number(`${at}.deviation`, sample.deviation, 0);
  }
  checkCourse(where, n);
}

function checkClaim(where: string, claim: AttackedNetwork["claim"], scheme: Scheme): void {
  checkExamined(where, claim, scheme);
  text(`${where}.claimedText`, claim.claimedText, "may be empty");
  whole(`${where}.threshold`, claim.threshold, 0, claim.bits + 1);
  list(`${where}.layers`, claim.layers);
  for (const [i, layer] of claim.layers.entries()) {
    const at = `${where}.layers[${i}]`;
    text(`${at}.name`, layer.name);
    numbers(`${at}.gamma`, layer.gamma);
    numbers(`${at}.signs`, layer.signs, -1, 1);
    // A sign of 0 is that of a channel whose filter is all zeros.
    const read = layer.signs.filter((s) => s !== 0).length;
    if (read !== layer.bits) fail(`${at}.signs`, `−1 or +1 for each of ${layer.bits} bits`, layer.signs);
    if (layer.gamma.length !== layer.signs.length)
      fail(`${at}.gamma`, `a value for each of ${layer.signs.length} channels`, layer.gamma);
  }
  layers(`${where}.layers`, claim.layers, claim);
  const { triggers } = claim;
  if (triggers !== null) {
    object(`${where}.triggers`, triggers);
    whole(`${where}.triggers.count`, triggers.count, 1);
    whole(`${where}.triggers.hits`, triggers.hits, 0, triggers.count);
    number(`${where}.triggers.pValue`, triggers.pValue, 0, 1);
  }
}

/** What is checked of the owner's credential and a forger's. */
function checkExamined(where: string, claim: Claim, scheme: Scheme): void {
  object(where, claim);
  text(`${where}.decodedText`, claim.decodedText, "may be empty");
  whole(`${where}.bits`, claim.bits, 1);
  whole(`${where}.matched`, claim.matched, 0, claim.bits);
  number(`${where}.pValue`, claim.pValue, 0, 1);
  accuracies(`${where}.accuracy`, claim.accuracy, scheme);
  if (typeof claim.passes !== "boolean") fail(`${where}.passes`, "true or false", claim.passes);
  list(`${where}.reasons`, claim.reasons);
  for (const [i, reason] of claim.reasons.entries()) text(`${where}.reasons[${i}]`, reason);
}

/**
 * `fewest` bits the network must have had before: a plain one has none, and an attack may leave
 * filters of zeros, which nothing can be read of.
 */
function checkAttack(where: string, record: AttackRecord, scheme: Scheme, fewest: number): void {
  object(where, record);
  text(`${where}.attack`, record.attack);
  list(`${where}.knowledge`, record.knowledge);
  settings(`${where}.budget`, record.budget);
  measurement(`${where}.before`, record.before, scheme, fewest);
  list(`${where}.steps`, record.steps);
  for (const [i, step] of record.steps.entries()) {
    const at = `${where}.steps[${i}]`;
    object(at, step);
    settings(`${at}.setting`, step.setting);
    measurement(`${at}.after`, step.after, scheme, 0);
    if (step.own !== undefined) whole(`${at}.own`, step.own, 0);
    if (step.text !== undefined) text(`${at}.text`, step.text, "may be empty");
  }
}

function measurement(where: string, m: Measurement, scheme: Scheme, fewest: number): void {
  object(where, m);
  accuracies(`${where}.accuracy`, m.accuracy, scheme);
  whole(`${where}.bits`, m.bits, fewest);
  whole(`${where}.matched`, m.matched, 0, m.bits);
  for (const key of ["deployed", "triggers"] as const)
    if (m[key] !== undefined) number(`${where}.${key}`, m[key], 0, 1);
  if (m.mark === undefined) return;
  object(`${where}.mark`, m.mark);
  for (const part of ["bits", "triggers"] as const) checkHits(checks, `${where}.mark.${part}`, m.mark[part]);
  // Of the bits that can be read some may spell a text, and are none of the claim's.
  whole(`${where}.mark.bits.count`, m.mark.bits?.count ?? 0, 0, m.bits);
}

function accuracies(where: string, accuracy: BranchAccuracy, scheme: Scheme): void {
  object(where, accuracy);
  branches(where, Object.entries(accuracy), scheme);
}

function settings(where: string, entries: Readonly<Record<string, number | string>>): void {
  object(where, entries);
  for (const [key, value] of Object.entries(entries))
    if (typeof value === "number") number(`${where}.${key}`, value);
    else text(`${where}.${key}`, value, "may be empty");
}

function times(where: string, seconds: { epoch: number; inference: number }): void {
  for (const key of ["epoch", "inference"] as const) number(`${where}.${key}`, seconds[key], 0);
}

function numbers(where: string, values: readonly number[], low?: number, high?: number): void {
  list(where, values);
  for (const [i, value] of values.entries()) number(`${where}[${i}]`, value, low, high);
}

function checkCourse(where: string, { convergence, distributions, network }: AttackedNetwork): void {
  if (convergence) {
    text(`${where}.convergence.layer`, convergence.layer);
    list(`${where}.convergence.epochs`, convergence.epochs);
    for (const [i, e] of convergence.epochs.entries()) {
      const at = `${where}.convergence.epochs[${i}]`;
      whole(`${at}.epoch`, e.epoch, i === 0 ? 0 : convergence.epochs[i - 1]!.epoch + 1);
      if (e.update !== undefined) number(`${at}.update`, e.update, 0);
      for (const key of ["gamma", "beta"] as const) {
        numbers(`${at}.${key}`, e[key]);
        const channels = convergence.epochs[0]![key].length;
        if (e[key].length !== channels) fail(`${at}.${key}`, `${channels} channels, as in the first epoch`, e[key]);
      }
      accuracies(`${at}.accuracy`, e.accuracy, network.scheme);
    }
  }
  if (distributions) {
    text(`${where}.distributions.layer`, distributions.layer);
    for (const side of ["own", "plain"] as const)
      for (const key of ["weights", "gamma", "beta"] as const)
        if (distributions[side]) numbers(`${where}.distributions.${side}.${key}`, distributions[side][key]);
  }
}

function checkWatermark(where: string, w: WatermarkRecord): void {
  object(where, w);
  if (!["feature watermark", "trigger set"].includes(w.method))
    fail(`${where}.method`, '"feature watermark" or "trigger set"', w.method);
  text(`${where}.task`, w.task);
  whole(`${where}.count`, w.count, 1);
  const detection = (at: string, d: WatermarkDetection) => {
    object(at, d);
    for (const key of ["accuracy", "real", "forged"] as const) number(`${at}.${key}`, d[key], 0, 1);
  };
  detection(`${where}.trained`, w.trained);
  list(`${where}.fineTuned`, w.fineTuned);
  for (const [i, d] of w.fineTuned.entries()) {
    text(`${where}.fineTuned[${i}].task`, d.task);
    detection(`${where}.fineTuned[${i}]`, d);
  }
  whole(`${where}.forging.steps`, w.forging.steps, 0);
  number(`${where}.forging.seconds`, w.forging.seconds, 0);
  for (const key of ["real", "forged"] as const) {
    numbers(`${where}.values.${key}`, w.values[key]);
    number(`${where}.pValue.${key}`, w.pValue[key], 0, 1);
  }
}
