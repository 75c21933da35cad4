/** γ channel by channel: which bits fit, layer by layer. */
import type { Verification } from "@pan/core/verify";
import { el, svg } from "../dom";

type Layer = NonNullable<Verification["examination"]>["layers"][number];

const [BAR, HALF] = [4, 30] as const;
/** Above and below the axis, of a channel of which nothing can be read: neither side is its own. */
const HOLLOW = 5;

/** γ as a person reads it. */
const shown = (gamma: number): string => gamma.toPrecision(3);

/** Channels whose filter is all zeros: no bit can be read there, whoever reads. */
const unread = ({ signs }: Layer): number[] => signs.flatMap((sign, i) => (sign === 0 ? [i] : []));

/** A hollow mark across the axis. */
const hollow = (x: number, about?: string): SVGRectElement =>
  svg(
    "rect",
    { class: "unread", x: x + 0.5, y: HALF - HOLLOW, width: BAR - 1, height: 2 * HOLLOW },
    about !== undefined && svg("title", {}, about),
  );

/**
 * Bars of one layer: up where the sign of γ is the signature's, down where it is not. What cannot
 * be read is on neither side.
 */
function bars(layer: Layer): SVGSVGElement {
  const { name, gamma, signs, matched, bits } = layer;
  const wiped = unread(layer).length;
  const most = Math.max(...gamma.map(Math.abs)) || 1;
  return svg(
    "svg",
    {
      viewBox: `0 0 ${gamma.length * BAR} ${2 * HALF}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `${name}: ${matched} of ${bits} signs fit${wiped ? `, ${wiped} cannot be read` : ""}`,
    },
    ...gamma.map((g, i) => {
      if (signs[i] === 0) return hollow(i * BAR, `channel ${i}: its filter is all zeros`);
      const fits = g * signs[i]! > 0;
      const height = Math.max(1, (HALF - 2) * (Math.abs(g) / most));
      const about = `channel ${i}: γ = ${shown(g)}, bit ${signs[i]! > 0 ? "+1" : "−1"}, ${fits ? "fits" : "does not fit"}`;
      return svg(
        "rect",
        {
          class: fits ? "fits" : "misses",
          x: i * BAR + 0.5,
          y: fits ? HALF - height : HALF,
          width: BAR - 1,
          height,
        },
        svg("title", {}, about),
      );
    }),
    svg("line", { x1: 0, x2: gamma.length * BAR, y1: HALF, y2: HALF, class: "axis" }),
  );
}

/** The first channels by number. */
function numbers(channels: readonly number[]): string {
  const most = 24;
  const more = channels.length > most ? ` and ${channels.length - most} more` : "";
  return `channels ${channels.slice(0, most).join(", ")}${more}`;
}

/** The channels that do not fit or cannot be read, for whoever cannot see the bars. */
function inWords(layer: Layer): string {
  const { gamma, signs } = layer;
  const misses = gamma.flatMap((g, i) => (signs[i] === 0 || g * signs[i]! > 0 ? [] : [i]));
  const wiped = unread(layer);
  const all = wiped.length === signs.length ? "" : `All channels ${wiped.length ? "that can be read " : ""}fit.`;
  const said = misses.length ? `Do not fit: ${numbers(misses)}.` : all;
  return [said, wiped.length ? `Cannot be read: ${numbers(wiped)}.` : ""].filter((part) => part).join(" ");
}

/** What a hollow mark means. */
const hollowKey = (): HTMLElement =>
  el(
    "p",
    { class: "hint key" },
    svg("svg", { viewBox: `0 ${HALF - HOLLOW - 1} ${BAR} ${2 * HOLLOW + 2}`, "aria-hidden": "true" }, hollow(0)),
    "Hollow, on neither side: the channel's filter is all zeros, as pruning leaves some. No bit can be read there, and none is counted.",
  );

/** What the signs spell; of what is not the claimed text, most is no text at all. */
function spelt(decoded: string, claimed: string): string {
  if (!claimed) return "";
  return decoded === claimed ? `The signs spell “${claimed}”.` : `The signs do not spell “${claimed}”.`;
}

export function gammaFigure({
  layers,
  decodedText,
  claimedText,
}: NonNullable<Verification["examination"]>): HTMLElement {
  return el(
    "section",
    {},
    el("h3", {}, "γ, channel by channel"),
    el(
      "p",
      { class: "hint" },
      "What the suspect's weights give under the credential's passports. Up: its sign is the signature's bit; down: it is the other one. ",
      spelt(decodedText, claimedText),
    ),
    layers.some((layer) => unread(layer).length > 0) && hollowKey(),
    ...layers.map((layer) =>
      el(
        "figure",
        { class: "gamma" },
        el(
          "figcaption",
          {},
          el("strong", {}, layer.name),
          ` ${layer.matched} of ${layer.bits} signs fit. ${inWords(layer)}`,
        ),
        bars(layer),
      ),
    ),
  );
}
