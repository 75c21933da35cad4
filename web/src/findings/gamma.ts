/** γ channel by channel: which bits fit, layer by layer. */
import type { Verification } from "@pan/core/verify";
import { el, svg } from "../dom";

type Layer = NonNullable<Verification["examination"]>["layers"][number];

const [BAR, HALF] = [4, 30] as const;

/** γ as a person reads it. */
const shown = (gamma: number): string => gamma.toPrecision(3);

/** Bars of one layer: up where the sign of γ is the signature's, down where it is not. */
function bars({ name, gamma, signs, matched, bits }: Layer): SVGSVGElement {
  const most = Math.max(...gamma.map(Math.abs)) || 1;
  return svg(
    "svg",
    {
      viewBox: `0 0 ${gamma.length * BAR} ${2 * HALF}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `${name}: ${matched} of ${bits} signs fit`,
    },
    ...gamma.map((g, i) => {
      const fits = g * signs[i]! > 0;
      const height = Math.max(1, (HALF - 2) * (Math.abs(g) / most));
      const about =
        signs[i] === 0
          ? `channel ${i}: its filter is all zeros`
          : `channel ${i}: γ = ${shown(g)}, bit ${signs[i]! > 0 ? "+1" : "−1"}, ${fits ? "fits" : "does not fit"}`;
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

/** The channels that do not fit, for whoever cannot see the bars. */
function misses({ gamma, signs }: Layer): string {
  const channels = gamma.flatMap((g, i) => (signs[i] === 0 || g * signs[i]! > 0 ? [] : [i]));
  if (!channels.length) return "All channels fit.";
  const most = 24;
  const more = channels.length > most ? ` and ${channels.length - most} more` : "";
  return `Do not fit: channels ${channels.slice(0, most).join(", ")}${more}.`;
}

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
    ...layers.map((layer) =>
      el(
        "figure",
        { class: "gamma" },
        el(
          "figcaption",
          {},
          el("strong", {}, layer.name),
          ` ${layer.matched} of ${layer.bits} signs fit. ${misses(layer)}`,
        ),
        bars(layer),
      ),
    ),
  );
}
