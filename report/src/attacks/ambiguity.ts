/**
 * Attacks that put another claim beside the owner's, or a branch that works without the passports.
 */

import { type Cell, type DataColumn, type DataTable, type Part, showTable, tablePanel } from "../data-table";
import { type Html, html } from "../html";
import { grid, panel, section } from "../page";
import {
  passportsFigure,
  passportsTable,
  scalesFigure,
  trainedPassportsFigure,
  turnedFigure,
} from "./ambiguity-figures";
import {
  attackedLayers,
  FAMILIES,
  type Family,
  type Found,
  fidelity,
  secretAccuracy,
  shareRight,
  stepsOf,
} from "./families";
import { paired } from "./figures";
import type { AttackedNetwork } from "./record";
import { signaturePart } from "./signatures";
import { spentNote, stepTable, without } from "./tables";
import { ambiguity, bestWithout, isLost } from "./verdicts";

const KINDS = [
  FAMILIES.random,
  FAMILIES.turned,
  FAMILIES.scales,
  FAMILIES.passports,
  FAMILIES.blocks,
  FAMILIES.planted,
] as const;

/** Table 8 of DeepIPR. */
function summaryTable(networks: readonly AttackedNetwork[]): DataTable {
  const rows = KINDS.flatMap((family) =>
    networks.flatMap((network): Cell[][] => {
      const verdict = ambiguity([network], family);
      if (!verdict) return [];
      const { tried, counted, lost } = verdict;
      const best = bestWithout(tried);
      const knowledge = [...new Set(tried.flatMap(({ record }) => record.knowledge))].join(", ");
      const own = secretAccuracy(network, tried[0]!.record.before) ?? null;
      const reached = best ? (secretAccuracy(network, best.step.after) ?? null) : null;
      return [
        [
          network.title,
          family.name,
          knowledge,
          tried.length,
          tried.filter((f) => !isLost(f)).length,
          counted.length,
          lost.length,
          own,
          reached,
          own === null || reached === null ? null : reached - own,
        ],
      ];
    }),
  );
  return {
    name: "ambiguity",
    title: "Rival claims in short",
    columns: [
      ["Network", "network"],
      ["Method", "text"],
      ["Attacker has", "text"],
      ["Settings", "count"],
      ["Signature found", "count"],
      ["Fidelity kept", "count"],
      ["Kept without signature", "count"],
      ["Owner’s accuracy", "share"],
      ["Best without it", "share"],
      ["Points", "points"],
    ],
    rows,
  };
}

/** The share of the owner's bits that a branch differs in. */
const differs: DataColumn = ["BDR", "share"];

const TABLES: readonly { family: Family; title: string; setting: string; bdr?: true; note: string }[] = [
  {
    family: FAMILIES.random,
    title: "Random passports, draw by draw",
    setting: "Draw",
    note: "DeepIPR’s fake 1: its Fig. 13, draw by draw.",
  },
  {
    family: FAMILIES.turned,
    title: "Turned signs",
    setting: "Turned",
    note: "The numbers of DeepIPR’s Fig. 14 and 15.",
  },
  {
    family: FAMILIES.scales,
    title: "Trained factors",
    setting: "Dissimilarity",
    note: "DeepIPR’s fake 2, the numbers of its Fig. 16.",
  },
  {
    family: FAMILIES.passports,
    title: "Trained passports",
    setting: "Dissimilarity",
    note: "DeepIPR’s fake 3 (“near”) and variants, the numbers of its Fig. 17. The dissimilarity is what the forger asks for; the bits are what came of it.",
  },
  {
    family: FAMILIES.blocks,
    title: "Residual blocks in the passports’ place",
    setting: "After",
    bdr: true,
    note: "Not in DeepIPR; Chen et al., CVPR 2023. BDR is the share of the owner’s bits that the branch differs in: 50 % is what guessing gives. Such a branch is no claim of its own, since it has no passports.",
  },
  {
    family: FAMILIES.planted,
    title: "Bound claims planted into a copy",
    setting: "By",
    bdr: true,
    note: "Not in DeepIPR. The copy computes what the network does, rearranged until bits of the forger’s secret match; “own bits” are those. It says nothing of who was first: a dated, signed commitment of the released network does.",
  },
];

function kindBlocks(networks: readonly AttackedNetwork[], tables: DataTable[]): Html[] {
  const single = networks.length === 1;
  return TABLES.flatMap(({ family, title, setting, bdr, note }) => {
    const found = stepsOf(networks, family);
    if (found.length === 0) return [];
    const layers = family === FAMILIES.turned;
    const extra: DataColumn[] = [...(layers ? [["Layers", "text"] as const] : []), ...(bdr ? [differs] : [])];
    const cells = ({ network, record, step: { after } }: Found): Cell[] => [
      ...(layers ? [attackedLayers(network, record)] : []),
      ...(bdr ? [1 - shareRight(after)] : []),
    ];
    const table = stepTable({ name: family.id, title, setting, extra }, found, cells);
    tables.push(table);
    const several = new Set(found.map(({ record }) => record.attack)).size > 1;
    const shown = without(table, several ? ["No passport"] : ["Attack", "No passport"]);
    return [tablePanel(shown, single, note)];
  });
}

/** The section on ambiguity. */
export function ambiguityPart(networks: readonly AttackedNetwork[]): Part {
  const tried = networks.some((n) => KINDS.some((family) => stepsOf([n], family).length > 0));
  const signatures = signaturePart(networks);
  if (!tried && !signatures.body) return { tables: [] };
  const single = networks.length === 1;
  const tables: DataTable[] = [];
  const blocks: Html[] = [];
  if (tried) {
    const [accuracies, short] = [passportsTable(networks), summaryTable(networks)];
    tables.push(accuracies, short);
    const allowed = [...new Set(networks.map((n) => `${Math.round(100 * fidelity(n))}`))].join(" or ");
    blocks.push(
      ...paired(networks.map((n) => (wide) => passportsFigure(n, wide))),
      panel(showTable(accuracies, single), true),
      tablePanel(
        short,
        single,
        html`DeepIPR’s Table 8, in counts of settings. “Signature found”: as many of the owner’s bits as the papers’ check needs. “Fidelity kept”: accuracy within
          ${allowed} points (DeepIPR’s ε) of the owner’s. A rival needs both fidelity and other bits: the column “kept without signature”. DeepIPR’s V asks for the forger’s own signature instead, which a forger can always choose to be
          what the passports give.`,
      ),
      ...[turnedFigure, scalesFigure, trainedPassportsFigure].flatMap((draw) =>
        paired(networks.map((n) => (wide) => draw(n, wide))),
      ),
      ...kindBlocks(networks, tables),
    );
  }
  if (signatures.body) blocks.push(signatures.body);
  if (tried) blocks.push(panel(html`<h3>Who did what</h3>${spentNote(networks, KINDS)}`, true));
  const lead =
    "Somebody leaves the network as it is and shows passports, or factors, of another making. That is a rival only if its branch works and its signature is not the owner’s.";
  return { body: section("ambiguity", "Ambiguity", lead, grid(...blocks)), tables: [...tables, ...signatures.tables] };
}
