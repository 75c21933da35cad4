/** The older methods beside passports: a feature watermark and a trigger set, real and forged. */

import type { WatermarkRecord } from "@pan/core/attacks";
import { binomialPValue, matchThreshold } from "@pan/core/ownership";
import { type Cell, type DataTable, type Part, showTable } from "../data-table";
import { formatDuration, formatPercent, formatPValue, plural } from "../format";
import { type Html, html } from "../html";
import { grid, panel, section } from "../page";
import type { Noun } from "../samples";
import { palette } from "../theme";
import { overlap, paired, sampleFigure } from "./figures";

function watermarkTable(watermarks: readonly WatermarkRecord[]): DataTable {
  const rows = watermarks.flatMap((w) => {
    const bits = w.method === "feature watermark";
    // A watermark's bits are right by guessing with probability ½; what labels guess is in the
    // record, for the trained network alone.
    const p = (share: number) => (bits ? binomialPValue(Math.round(share * w.count), w.count) : null);
    const row = (task: string, d: WatermarkRecord["trained"], known?: WatermarkRecord["pValue"]): Cell[] => [
      w.method,
      task,
      d.accuracy,
      d.real,
      d.forged,
      w.count,
      bits ? matchThreshold(w.count) : null,
      known?.real ?? p(d.real),
      known?.forged ?? p(d.forged),
    ];
    return [row(`trained: ${w.task}`, w.trained, w.pValue), ...w.fineTuned.map((d) => row(`fine-tuned: ${d.task}`, d))];
  });
  return {
    name: "watermarks",
    title: "Real and forged watermarks of the older methods",
    columns: [
      ["Method", "text"],
      ["Task", "text"],
      ["Accuracy", "share"],
      ["Real detected", "share"],
      ["Forged detected", "share"],
      ["Of", "count"],
      ["Needed", "count"],
      ["p, real", "pValue"],
      ["p, forged", "pValue"],
    ],
    rows,
  };
}

/** Fig. 3 and 5 of DeepIPR. */
function valuesFigure(w: WatermarkRecord, { many, Parts, part }: Noun, wide: boolean): Html | undefined {
  const { real, forged } = w.values;
  if (real.length === 0 || forged.length === 0) return undefined;
  const feature = w.method === "feature watermark";
  const shared = overlap(real, forged);
  return sampleFigure({
    title: feature ? "Entries of the feature watermark" : `${Parts} of the trigger ${many}`,
    caption: `${formatPercent(shared, 0)} of the two histograms lie over one another: the values ${shared >= 0.8 ? "hardly tell" : "in part tell"} the real ones from the forged. DeepIPR’s Fig. ${feature ? "3" : "5"}.`,
    x: feature ? "entry of the watermark’s matrix" : part,
    samples: [
      { label: "the owner’s", values: real, colour: palette.owner },
      { label: "forged", values: forged, colour: palette.forged },
    ],
    wide,
  });
}

/** What forging took, and whether it worked. */
function forgingText(w: WatermarkRecord, noun: Noun): Html {
  const { steps, seconds } = w.forging;
  const unit = w.method === "feature watermark" ? "bit" : noun.one;
  const [real, forged] = [w.trained.real, w.trained.forged].map((share) => formatPercent(share));
  return html`<p class="note"><strong>${w.method}</strong>: forged in ${plural(steps, "step")}, ${formatDuration(seconds)}, without touching the network. Of ${plural(w.count, unit)}, ${real!} of the owner’s are
    found and ${forged!} of the forger’s; guessing finds as many of the forger’s with p\u00a0=\u00a0${formatPValue(w.pValue.forged)}.${
      w.trained.forged >= w.trained.real ? " Detection alone cannot tell whose network it is." : ""
    }</p>`;
}

/**
 * The section on the older methods, `noun` being what their networks are trained with; none where
 * none was run.
 */
export function watermarksPart(watermarks: readonly WatermarkRecord[], noun: Noun): Part {
  if (watermarks.length === 0) return { tables: [] };
  const table = watermarkTable(watermarks);
  const lead = `Before passports, bits were hidden in the weights, or labels taught for chosen ${noun.many}. A forger can look for bits or ${noun.many} that a finished network already answers to.`;
  const body = grid(
    panel(
      html`${showTable(table, true)}${watermarks.map((w) => forgingText(w, noun))}<p class="note">DeepIPR’s Table 2, with p: the probability that guessing finds as many. A forged watermark is fitted to the network, so a small p shows that
        the forging worked and not that the forger owns anything.</p>`,
      true,
    ),
    ...paired(watermarks.map((w) => (wide) => valuesFigure(w, noun, wide))),
  );
  return { body: section("watermarks", "Older methods", lead, body), tables: [table] };
}
