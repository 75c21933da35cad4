/** A labelled place for files, to choose or to drop. */
import { el, freshId } from "./dom";
import { KIND_NAMES, type Kind, kindOf } from "./kinds";
import { type NetworkFiles, oneNetwork } from "./networks";
import { Refusal } from "./refusal";

export interface FileFieldOptions {
  readonly label: string;
  readonly hint: string;
  /** What is meant to be there. */
  readonly kind: Kind;
  readonly needed?: boolean;
  readonly multiple?: boolean;
}

/**
 * The browser's own input is the one place where chosen files are kept: it shows their names
 * whether they were chosen, dropped or put there by the page.
 */
export class FileField {
  readonly element: HTMLElement;
  readonly kind: Kind;
  readonly #input: HTMLInputElement;
  readonly #problem: HTMLElement;

  constructor(private readonly options: FileFieldOptions) {
    const { label, hint, kind, needed = false } = options;
    // A network may be an index and more files.
    const multiple = options.multiple ?? kind === "network";
    this.kind = kind;
    const [id, about, problem] = [freshId(), freshId(), freshId()];
    this.#input = el("input", { type: "file", id, multiple, "aria-describedby": `${about} ${problem}` });
    if (needed) this.#input.setAttribute("aria-required", "true");
    this.#problem = el("p", { id: problem, class: "problem", hidden: true });
    const clear = el("button", { type: "button", class: "quiet", hidden: true }, "Remove");
    clear.setAttribute("aria-label", `Remove ${label}`);
    clear.addEventListener("click", () => {
      this.put([]);
      this.#input.focus();
    });
    this.#input.addEventListener("change", () => {
      clear.hidden = !this.files.length;
      this.#told(null);
    });
    this.element = el(
      "div",
      { class: "field" },
      el("label", { for: id }, label, needed ? el("span", { class: "needed" }, " needed") : null),
      el("p", { id: about, class: "hint" }, hint),
      el("div", { class: "chosen" }, this.#input, clear),
      this.#problem,
    );
    this.#takesDrops(multiple);
  }

  get files(): readonly File[] {
    return [...this.#input.files!];
  }

  put(files: readonly File[]): void {
    const transfer = new DataTransfer();
    for (const file of files) transfer.items.add(file);
    this.#input.files = transfer.files;
    this.#input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /**
   * The file that is there; undefined for none.
   * @throws Refusal, and the field has the focus, for none where one is needed, and another kind.
   */
  async one(): Promise<File | undefined> {
    return (await this.all())[0];
  }

  /** The file that must be there. @throws Refusal as {@link one} */
  async must(): Promise<File> {
    return (await this.one())!;
  }

  /** All files that are there. @throws Refusal as {@link one} */
  async all(): Promise<readonly File[]> {
    const { files } = this;
    const { label, kind: wanted } = this.options;
    this.#expectSome();
    for (const file of files) {
      const kind = await kindOf(file).catch(() => null);
      if (kind === null) throw this.#refused(`${label}: ${file.name} cannot be read. Choose it again.`);
      if (kind !== wanted)
        throw this.#refused(`${label}: ${KIND_NAMES[wanted]} expected, and ${file.name} is ${KIND_NAMES[kind]}.`);
    }
    return files;
  }

  /**
   * The network that is there, in one file or several; undefined for none.
   * @throws Refusal as {@link one}
   */
  async network(): Promise<NetworkFiles | undefined> {
    const { files } = this;
    this.#expectSome();
    if (!files.length) return undefined;
    const found = await oneNetwork(files).catch(() => "a file cannot be read. Choose it again.");
    if (typeof found === "string") throw this.#refused(`${this.options.label}: ${found}`);
    return found;
  }

  /** The network that must be there. @throws Refusal as {@link one} */
  async mustNetwork(): Promise<NetworkFiles> {
    return (await this.network())!;
  }

  /** @throws Refusal where something is needed and nothing is there. */
  #expectSome(): void {
    const { label, needed, kind } = this.options;
    if (needed && !this.files.length) throw this.#refused(`${label}: choose ${KIND_NAMES[kind]} first.`);
  }

  #refused(why: string): Refusal {
    this.#told(why);
    this.#input.focus();
    return new Refusal(why);
  }

  #told(why: string | null): void {
    this.#problem.textContent = why;
    this.#problem.hidden = why === null;
    if (why === null) this.#input.removeAttribute("aria-invalid");
    else this.#input.setAttribute("aria-invalid", "true");
  }

  /** Over the field, not over the button alone. */
  #takesDrops(multiple: boolean): void {
    const { element } = this;
    const lit = (on: boolean) => element.classList.toggle("over", on);
    element.addEventListener("dragover", (event) => {
      event.preventDefault();
      lit(true);
    });
    element.addEventListener("dragleave", () => lit(false));
    element.addEventListener("drop", (event) => {
      lit(false);
      const files = [...(event.dataTransfer?.files ?? [])];
      // Several in a place for one are sorted by whoever is around.
      if (!files.length || (files.length > 1 && !(multiple && (this.kind !== "network" || isSet(files))))) return;
      event.preventDefault();
      event.stopPropagation();
      this.put(files);
    });
  }
}

/** Whether files are a model.json and its shards by their names: a drop has to be taken at once. */
const isSet = (files: readonly File[]): boolean =>
  files.filter(({ name }) => name.endsWith(".json")).length === 1 &&
  files.every(({ name }) => /\.(json|bin)$/.test(name));
