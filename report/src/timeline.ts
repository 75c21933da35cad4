/** What was there when, one below the other. */

import { type Html, html } from "./html";

/** Something that was there at a time, and who says so. */
export interface Event {
  /** ISO 8601; null where there is no date. */
  time: string | null;
  what: string;
  who: string;
}

const day = (time: string): string => `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`;

/** Events in the order of their dates; as they are given where one of them has none. */
export function timeline(events: readonly Event[]): Html {
  const sorted = events.every(({ time }) => time !== null)
    ? [...events].sort((a, b) => Date.parse(a.time!) - Date.parse(b.time!))
    : events;
  const item = ({ time, what, who }: Event) => html`<li class="${time === null ? "undated" : "dated"}">
      <strong>${time === null ? "No date" : html`<time datetime="${time}">${day(time)}</time>`}</strong>
      <span>${what}</span><span class="about">${who}</span></li>`;
  return html`<ol class="timeline">${sorted.map(item)}</ol>`;
}
