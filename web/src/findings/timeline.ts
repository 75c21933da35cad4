/** When what was there, in order. */
import type { Verification } from "@pan/core/verify";
import { el } from "../dom";
import { day } from "../format";

/** Something that happened; `time` is null where nobody says when. */
export interface Event {
  readonly time: string | null;
  readonly what: string;
  readonly about: string;
}

/** A commitment's date, with who vouches for it. */
export const stamped = (what: string, dated: Verification["dated"]): Event =>
  dated
    ? {
        time: dated.time,
        what,
        about: `give or take ${dated.accuracy} s, says ${dated.authorities.join(" and ")}`,
      }
    : { time: null, what, about: "no time stamp counts: see the reasons" };

export function timeline(events: readonly Event[]): HTMLElement {
  const dated = events.filter((e) => e.time !== null).sort((a, b) => (a.time! < b.time! ? -1 : 1));
  const rest = events.filter((e) => e.time === null);
  return el(
    "section",
    {},
    el("h3", {}, "Dates"),
    el(
      "ol",
      { class: "timeline" },
      ...[...dated, ...rest].map(({ time, what, about }) =>
        el(
          "li",
          { class: time === null ? "undated" : null },
          time === null ? el("strong", {}, "no date") : el("time", { datetime: time }, day(time)),
          el("span", {}, what, el("span", { class: "hint" }, about)),
        ),
      ),
    ),
  );
}
