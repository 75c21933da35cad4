/** Elements from code. Texts are texts: nothing that a file says is ever read as HTML. */

export type Child = Node | string | null | false;
type Attributes = Readonly<Record<string, string | number | boolean | null | undefined>>;

function fill<E extends Element>(element: E, attributes: Attributes, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((c): c is Node | string => c !== null && c !== false));
  return element;
}

/** An element of HTML. */
export const el = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] => fill(document.createElement(tag), attributes, children);

/** An element of SVG. */
export const svg = <K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** A list of texts. */
export const list = (texts: readonly string[], attributes: Attributes = {}): HTMLUListElement =>
  el("ul", attributes, ...texts.map((text) => el("li", {}, text)));

/** Names and values beside each other; those without a value are left out. */
export const facts = (rows: readonly (readonly [name: string, value: Child])[]): HTMLDListElement =>
  el(
    "dl",
    { class: "facts" },
    ...rows.flatMap(([name, value]) =>
      value === null || value === false ? [] : [el("div", {}, el("dt", {}, name), el("dd", {}, value))],
    ),
  );

/** A table with its caption, its columns' heads, and its rows, whose first cells are heads too. */
export const table = (caption: string, heads: readonly string[], rows: readonly (readonly Child[])[]): HTMLElement =>
  el(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
      el(
        "tbody",
        {},
        ...rows.map(([first = "", ...rest]) =>
          el("tr", {}, el("th", { scope: "row" }, first), ...rest.map((cell) => el("td", {}, cell))),
        ),
      ),
    ),
  );

let ids = 0;

/** A name for an element that another one speaks of. */
export const freshId = (): string => `e${++ids}`;

/** Offers bytes as a file of the browser's downloads. */
export function download(name: string, parts: readonly BlobPart[]): void {
  const url = URL.createObjectURL(new Blob([...parts]));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
