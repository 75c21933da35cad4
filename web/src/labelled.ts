/** An input with its label and what it means. */
import { el, freshId } from "./dom";

export function labelled(label: string, hint: string, control: HTMLInputElement): HTMLElement {
  const about = freshId();
  control.id ||= freshId();
  control.setAttribute("aria-describedby", about);
  return el(
    "div",
    { class: "field" },
    el("label", { for: control.id }, label),
    el("p", { id: about, class: "hint" }, hint),
    control,
  );
}
