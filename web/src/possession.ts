/**
 * The question whether a claimant has the claim's key: a nonce of the verifier's, the command that
 * signs it, and the file that comes back.
 */
import { el } from "./dom";
import { FileField } from "./file-field";
import { labelled } from "./labelled";
import { Refusal } from "./refusal";

/** What the claimant's key signed, as the page was given it. */
export interface Answer {
  readonly nonce: string;
  readonly signature: File;
}

/** A word as a shell takes it. */
const quoted = (word: string): string => (/^[\w.-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** 32 random bytes. */
const newNonce = (): string =>
  [...crypto.getRandomValues(new Uint8Array(32))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export class PossessionFields {
  readonly element: HTMLDetailsElement;
  readonly #nonce = el("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  readonly #command = el("code");
  readonly #asking = el("div", { hidden: true });
  readonly #copied = el("span", { role: "status", class: "hint" });
  readonly #answer = new FileField({
    label: "Answer",
    hint: "The file that the command writes: the signature of the claim's key.",
    kind: "signature",
  });

  /** @param suspect the name of the file that the claim is held against */
  constructor(private readonly suspect: () => string | undefined) {
    const make = el("button", { type: "button" }, "Make a nonce");
    make.addEventListener("click", () => {
      this.#nonce.value = newNonce();
      this.refresh();
    });
    this.#nonce.addEventListener("input", () => this.refresh());
    const copy = el("button", { type: "button", hidden: !navigator.clipboard }, "Copy the command");
    copy.addEventListener("click", async () => {
      const done = await navigator.clipboard.writeText(this.#command.textContent!).then(
        () => true,
        () => false,
      );
      this.#copied.textContent = done ? "Copied." : "The browser did not let it: select the command.";
    });
    this.#asking.append(
      el("p", { class: "hint" }, "The claimant runs this on the very file of the suspect, with the claim's key:"),
      el("p", { class: "command" }, this.#command),
      el("div", { class: "actions" }, copy, this.#copied),
    );
    this.element = el(
      "details",
      {},
      el("summary", {}, "Ask whether the claimant has the key"),
      el(
        "p",
        { class: "hint" },
        "Whoever has seen an opened credential can hand it in, but cannot sign with the key that the claim names. Nothing is sent: the command and the answer go between you.",
      ),
      labelled(
        "Nonce",
        "A number of yours that nobody can have signed before, in hexadecimal. Keep it until the answer is there: the page forgets it when it is closed.",
        this.#nonce,
      ),
      el("div", { class: "actions" }, make),
      this.#asking,
      this.#answer.element,
    );
  }

  /** Shows the command as of now. */
  refresh(): void {
    const nonce = this.#nonce.value.trim();
    this.#asking.hidden = nonce === "";
    this.#copied.textContent = "";
    const words = ["npx @pan/core prove", quoted(this.suspect() ?? "SUSPECT"), "--nonce", quoted(nonce)];
    words.push("--key owner.key.pem", "--out answer.sig");
    // Options are not broken behind their hyphens.
    const shown = words.map((word) => (word.startsWith("--") ? el("span", { class: "whole" }, word) : word));
    this.#command.replaceChildren(...shown.flatMap((word, i) => (i ? [" ", word] : [word])));
  }

  /** Takes a question and its answer away. */
  clear(): void {
    this.#nonce.value = "";
    this.#answer.put([]);
    this.refresh();
  }

  /** Puts an answer in its place, to be seen. */
  put(answer: File): void {
    this.#answer.put([answer]);
    this.element.open = true;
  }

  /**
   * The answer to the nonce; undefined where none was asked for, or none is there yet.
   * @throws Refusal for a nonce that is none, and an answer to none.
   */
  async answer(): Promise<Answer | undefined> {
    const nonce = this.#nonce.value.trim().toLowerCase();
    const signature = await this.#answer.one();
    if (!nonce && !signature) return undefined;
    if (!/^[0-9a-f]{32,128}$/.test(nonce)) {
      this.element.open = true;
      this.#nonce.focus();
      throw new Refusal(
        nonce ? "Nonce: 32 to 128 hexadecimal digits expected." : "Nonce: give the one that the answer is to.",
      );
    }
    if (signature) return { nonce, signature };
    throw new Refusal("Answer: choose the file that the claimant's command wrote, or empty the nonce.");
  }
}
