/** Marks and relations in sentences. */
import type { Mark, RelationEvidence } from "@pan/core/verify";
import { el, table } from "../dom";
import { chance } from "../format";

type Hits = NonNullable<Mark["bits"]>;

const hits = (what: string, { hits, count, needed, pValue }: Hits): string =>
  `${hits} of ${count} ${what} fit, ${needed} are needed; by chance: ${chance(pValue)}`;

/** What a mark comes to; null where there is none to speak of. */
export function markSentence(mark: Mark | null): string | null {
  if (!mark) return null;
  const parts = [
    mark.bits ? hits("bits", mark.bits) : null,
    mark.triggers ? hits("triggers", mark.triggers) : null,
    mark.turned ? "all bits are turned" : null,
  ].filter((part) => part !== null);
  return parts.length ? `${mark.found ? "Found" : "Not found"}: ${parts.join("; ")}.` : null;
}

/** Layer by layer, on which channels two networks agree. */
export function relationTable({
  layers,
  agreements,
  channels,
  needed,
  pValue,
  covered,
  related,
}: RelationEvidence): HTMLElement {
  return el(
    "section",
    {},
    el("h3", {}, "Relation to the committed file"),
    el(
      "p",
      {},
      `${agreements} of ${channels} hidden channels agree from both sides; ${needed} are needed. ` +
        `Independent networks agree on as many with a chance of ${chance(pValue)}.` +
        (agreements >= needed && !related
          ? ` But they lie in ${(100 * covered.numbers).toFixed(0)} % of the numbers alone, as tables that all such networks have.`
          : ""),
    ),
    table(
      "Hidden channels that agree, layer by layer",
      ["layer", "agree", "of"],
      layers.map((l) => [l.name, String(l.agreements), String(l.channels)]),
    ),
  );
}
