/** Files of a run, to download: what is secret is in them and nowhere in the page. */
import { download, el } from "../dom";
import { size } from "../format";
import type { Made } from "./messages";

export class Downloads {
  readonly element: HTMLElement;
  /** Secret files that were not downloaded: gone when the page is closed. */
  readonly #left: Set<string>;

  constructor(files: readonly Made[]) {
    this.#left = new Set(files.filter((f) => f.secret).map((f) => f.name));
    const row = ({ name, bytes, about, secret }: Made) => {
      const button = el("button", { type: "button" }, `Download ${name}`);
      const state = el("span", { class: "hint", role: "status" });
      button.addEventListener("click", () => {
        download(name, [bytes]);
        this.#left.delete(name);
        state.textContent = "downloaded";
      });
      return el(
        "li",
        { class: secret ? "secret" : null },
        el("div", { class: "actions" }, button, state),
        el("p", { class: "hint" }, `${about} ${size(bytes.length)}.`),
      );
    };
    const part = (title: string, of: readonly Made[]) =>
      el("section", {}, el("h3", {}, title), el("ul", { class: "downloads" }, ...of.map(row)));
    this.element = el(
      "div",
      {},
      part(
        "To publish",
        files.filter((f) => !f.secret),
      ),
      part(
        "To keep secret",
        files.filter((f) => f.secret),
      ),
      el("p", { class: "hint" }, "Nothing is kept by the page: what you do not download is gone when you close it."),
    );
  }

  get unsaved(): boolean {
    return this.#left.size > 0;
  }
}
