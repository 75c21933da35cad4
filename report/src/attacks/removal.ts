/**
 * Attacks that want the signature gone: fine-tuning, pruning, quantisation, overwriting,
 * distillation, disguises.
 */

import { type DataTable, type Part, showTable, tablePanel } from "../data-table";
import { formatPercent, formatPValue } from "../format";
import { type Html, html } from "../html";
import { grid, panel, section } from "../page";
import { commonNoun, type Noun } from "../samples";
import { hues, palette } from "../theme";
import {
  bareAccuracy,
  countedBits,
  FAMILIES,
  type Family,
  type Found,
  guessing,
  secretAccuracy,
  shareRight,
  stepsOf,
} from "./families";
import { paired, type SweepLine, sweepFigure } from "./figures";
import { fineTuningTable, REMOVAL, triggerTable } from "./fine-tuning";
import type { AttackedNetwork } from "./record";
import { spentNote, stepTable, without } from "./tables";
import { isLost, removal, USEFUL_LOSS } from "./verdicts";

/** What the accuracy and the bits do as more is set to 0, in a sentence. */
function pruningCaption(found: readonly Found[]): string {
  const verdict = removal([found[0]!.network], FAMILIES.pruning)!;
  const last = verdict.counted.toSorted((a, b) => shareOf(a) - shareOf(b)).at(-1);
  const gone = found.toSorted((a, b) => shareOf(a) - shareOf(b)).find(isLost);
  const points = Math.round(100 * USEFUL_LOSS);
  const said: string[] = [];
  if (last) {
    const { matched, bits, needed } = countedBits(last.network, last.step.after);
    const p = formatPValue(guessing({ matched, bits }));
    said.push(
      `Within ${points} points of its accuracy up to ${formatPercent(shareOf(last), 0)} of the weights set to 0; there ${matched} of ${bits} bits are right and ${needed} needed (p\u00a0=\u00a0${p}).`,
    );
  } else said.push(`No setting left the network within ${points} points of its accuracy.`);
  said.push(
    gone
      ? `The bits fall below the threshold at ${formatPercent(shareOf(gone), 0)}.`
      : "The bits never fall below the threshold.",
  );
  return `${said.join(" ")} DeepIPR’s Fig. 12, with the threshold that it lacks.`;
}

/** Share of the bits that is needed; none where even all would not do. */
const shareNeeded = ({ bits, needed }: ReturnType<typeof countedBits>): number | undefined =>
  needed <= bits ? needed / bits : undefined;

const shareOf = ({ step }: Found): number => Number(step.setting["share"] ?? 0);

function pruningFigure(n: AttackedNetwork, wide: boolean): Html | undefined {
  const found = stepsOf([n], FAMILIES.pruning);
  if (found.length === 0) return undefined;
  const points = (read: (f: Found) => number | undefined) =>
    found.flatMap((f) => {
      const y = read(f);
      return y === undefined ? [] : [{ x: shareOf(f), y }];
    });
  const lines: SweepLine[] = [
    {
      label: "accuracy, no passport",
      colour: palette.open,
      mark: "broad",
      points: points(({ step }) => bareAccuracy(n, step.after)),
    },
    {
      label: "accuracy, real passport",
      colour: palette.owner,
      mark: "line",
      points: points(({ step }) => secretAccuracy(n, step.after)),
    },
    {
      label: "bits right",
      colour: palette.ink,
      mark: "dashed",
      points: points(({ step: { after } }) => shareRight(countedBits(n, after))),
    },
  ];
  // Of fewer bits that can be read a larger share is needed: a line then, and no level.
  const levels = found.map(({ step }) => countedBits(n, step.after));
  const { bits, needed } = levels[0]!;
  const isLevel = levels.every((of) => of.bits === bits);
  if (!isLevel)
    lines.push({
      label: "bits needed",
      colour: hues[1],
      mark: "dashed",
      points: points(({ step }) => shareNeeded(countedBits(n, step.after))),
    });
  return sweepFigure({
    title: `Pruning: ${n.title}`,
    caption: pruningCaption(found),
    wide,
    over: "weights set to 0 (%)",
    unit: "accuracy, bits (%)",
    lines: lines.filter((line) => line.points.length > 0),
    references: [
      ...(isLevel && needed <= bits ? [{ at: needed / bits, label: `threshold, ${needed} of ${bits} bits` }] : []),
      { at: n.chance, label: `chance, ${formatPercent(n.chance, 0)}` },
    ],
  });
}

const TABLES: readonly { family: Family; title: string; setting: string }[] = [
  { family: FAMILIES.pruning, title: "Pruning", setting: "Set to 0" },
  { family: FAMILIES.quantisation, title: "Quantisation", setting: "A weight" },
  { family: FAMILIES.overwriting, title: "Overwriting", setting: "After" },
  { family: FAMILIES.distillation, title: "Distillation", setting: "After" },
  { family: FAMILIES.unlearning, title: "Unlearning triggers", setting: "After" },
  { family: FAMILIES.disguise, title: "Disguises, and the owner’s answer", setting: "Disguise" },
];

/**
 * Columns of the table on fine-tuning that its page has no room for: they are in the titles, or in
 * what the attackers spent.
 */
const narrowed = ({ Many }: Noun): string[] => ["Scheme", Many, "Epochs", "Fewest on the way", "p, two-sided"];

/** The section on removal. */
export function removalPart(networks: readonly AttackedNetwork[]): Part {
  const single = networks.length === 1;
  const noun = commonNoun(networks);
  const tables: DataTable[] = [];
  const blocks: Html[] = [];
  const fineTuned = fineTuningTable(networks);
  if (fineTuned) {
    tables.push(fineTuned);
    blocks.push(
      tablePanel(
        without(fineTuned, narrowed(noun)),
        single,
        html`DeepIPR’s Table 7. Accuracy is that of the branch given away, on the task named; κ is its difference to a plain network trained, and fine-tuned, the same way, where
            there is one. “RTAL”: a new last layer, all layers trained; “FTAL”: all layers as they are. The papers give the share of detected bits alone; p is the probability
            that guessing finds as many.`,
      ),
    );
  }
  const triggers = triggerTable(networks);
  if (triggers) {
    tables.push(triggers);
    blocks.push(
      tablePanel(
        triggers,
        single,
        html`DeepIPR’s Table 6, with how many are needed, by the verdict’s rule where all of a claim’s own triggers were asked and at one false alarm in a million of others, and p: the probability that guessing labels answers as
          many. After fine-tuning the owner’s classifier is put back before the ${noun.many} are asked.`,
      ),
    );
  }
  blocks.push(...paired(networks.map((n) => (wide) => pruningFigure(n, wide))));
  for (const { family, title, setting } of TABLES) {
    const found = stepsOf(networks, family);
    if (found.length === 0) continue;
    const table = stepTable({ name: family.id, title, setting }, found);
    tables.push(table);
    blocks.push(panel(html`${showTable(without(table, ["Attack"]), single)}${noteOn(family)}`, true));
  }
  if (blocks.length === 0) return { tables };
  const lead =
    "Somebody who has the network changes its weights to get rid of the signature. That has worked where too few bits are left while the network is still of use.";
  return {
    body: section(
      "removal",
      "Removal",
      lead,
      grid(...blocks, panel(html`<h3>Who did what</h3>${spentNote(networks, REMOVAL)}`, true)),
    ),
    tables,
  };
}

function noteOn({ id }: Family): Html | false {
  const notes: Readonly<Record<string, string>> = {
    pruning:
      "The numbers of DeepIPR’s Fig. 12. The weights smallest in magnitude over the whole network are set to 0. Bits of filters that are all zeros cannot be read, and are not counted: of the others more of each hundred are needed.",
    quantisation: "Not in DeepIPR. Each tensor is rounded to as many levels as the bits allow.",
    overwriting:
      "DeepIPR, section 4.1.3. The attacker embeds passports and a signature of its own by the same training. In V1 the passport branch is that under the owner’s passports, and “no passport” what the attacker has.",
    distillation:
      "Not in DeepIPR; Hinton et al., 2015. A fresh network learns what the released one answers: no weight is taken over, and no bit comes along. What can is what it answers to triggers.",
    unlearning:
      "Not in DeepIPR. The attacker draws inputs as bound triggers are drawn, and trains the network to answer all of them with one class, beside its task. Bits are not touched; triggers that the owner supplied are not reached.",
    disguise:
      "Not in DeepIPR. The network computes the same; its channels stand in another order, or are scaled. “As it stands” the owner reads the wrong channels; “realigned” they are put back by comparing with the owner’s copy.",
  };
  const note = notes[id];
  return note !== undefined && html`<p class="note">${note}</p>`;
}
