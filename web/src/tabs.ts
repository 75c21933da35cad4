/** Tabs as WAI-ARIA has them: arrow keys go from one to the next, Home and End to the ends. */
import { el } from "./dom";

export interface Tab {
  /** In the address, behind `#`. */
  readonly name: string;
  readonly title: string;
  readonly panel: HTMLElement;
  /** Called when the panel is shown for the first time. */
  readonly first?: () => Promise<void>;
}

/** Puts tabs and their panels in place. */
export function showTabs(bar: HTMLElement, panels: HTMLElement, tabs: readonly Tab[]): (name: string) => void {
  const buttons = tabs.map(({ name, title }) =>
    el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}` }, title),
  );
  const shown = new Set<() => Promise<void>>();
  const show = (name: string) => {
    const chosen = Math.max(
      0,
      tabs.findIndex((t) => t.name === name),
    );
    const { first } = tabs[chosen]!;
    if (first && !shown.has(first)) void first();
    if (first) shown.add(first);
    tabs.forEach(({ panel }, i) => {
      panel.hidden = i !== chosen;
      buttons[i]!.setAttribute("aria-selected", String(i === chosen));
      buttons[i]!.tabIndex = i === chosen ? 0 : -1;
    });
  };
  const choose = (i: number) => {
    const at = (i + tabs.length) % tabs.length;
    show(tabs[at]!.name);
    history.replaceState(null, "", `#${tabs[at]!.name}`);
    buttons[at]!.focus();
  };
  buttons.forEach((button, i) => {
    button.addEventListener("click", () => choose(i));
    button.addEventListener("keydown", ({ key }) => {
      const to: Readonly<Record<string, number>> = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: -1 };
      if (key in to) choose(to[key]!);
    });
  });
  tabs.forEach(({ name, panel }) => {
    for (const [attribute, value] of Object.entries({
      id: `panel-${name}`,
      role: "tabpanel",
      "aria-labelledby": `tab-${name}`,
      class: "panel",
    }))
      panel.setAttribute(attribute, value);
  });
  bar.replaceChildren(el("div", { role: "tablist", "aria-label": "What to do" }, ...buttons));
  panels.replaceChildren(...tabs.map(({ panel }) => panel));
  const fromAddress = () => show(location.hash.slice(1).split("?")[0]!);
  addEventListener("hashchange", fromAddress);
  fromAddress();
  return (name) => choose(tabs.findIndex((t) => t.name === name));
}
