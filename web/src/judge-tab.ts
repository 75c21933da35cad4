/** The tab that judges two claims. */
import { el } from "./dom";
import { GIVEN_AWAY, judgeExample } from "./example";
import { FileField } from "./file-field";
import { rulingFindings } from "./findings/ruling";
import { workForm } from "./form";
import type { Side } from "./jobs";
import { workOut } from "./work";

/** The files of one claim. */
class SideFields {
  readonly element: HTMLElement;
  readonly #credential: FileField;
  readonly #released: FileField;
  readonly #commitment: FileField;

  constructor(name: string) {
    this.#credential = new FileField({
      label: `Credential of ${name}`,
      hint: "What they kept, opened for you.",
      kind: "credential",
      needed: true,
    });
    this.#released = new FileField({
      label: `Released file of ${name}`,
      hint: "The network that they committed to.",
      kind: "network",
      needed: true,
    });
    this.#commitment = new FileField({
      label: `Commitment of ${name}`,
      hint: "The signed statement that they published.",
      kind: "commitment",
      needed: true,
    });
    const fields = [this.#credential, this.#released, this.#commitment];
    this.element = el("fieldset", {}, el("legend", {}, `Claim ${name}`), ...fields.map((f) => f.element));
  }

  put({ credential, released, commitment }: Readonly<Record<keyof Side, File>>): void {
    this.#credential.put([credential]);
    this.#released.put([released]);
    this.#commitment.put([commitment]);
  }

  async files(): Promise<Side> {
    return {
      credential: await this.#credential.must(),
      released: await this.#released.mustNetwork(),
      commitment: await this.#commitment.must(),
    };
  }
}

/** The tab's panel. */
export function judgeTab(): HTMLElement {
  const [a, b] = [new SideFields("A"), new SideFields("B")];
  const roots = new FileField({
    label: "Root certificates for both",
    hint: "Time-stamping authorities that you trust.",
    kind: "certificate",
    multiple: true,
  });
  const suspect = new FileField({
    label: "Suspect of both",
    hint: "A network that both claim, where there is one.",
    kind: "network",
  });
  const base = new FileField({
    label: "Public base",
    hint: "A network that was public before both, and that both may be made from.",
    kind: "network",
  });
  const notice = el("p", { class: "notice", hidden: true }, GIVEN_AWAY);
  const example = el("button", { type: "button" }, "Load an example of a dispute");
  const form = workForm(
    {
      title: "Judge two claims",
      about:
        "Two parties claim one network, or networks that were made from one another. Digests of all files should be exchanged before secrets are opened.",
      action: "Judge",
      more: [el("div", { class: "actions" }, example), notice],
      fields: [a.element, b.element, roots.element, suspect.element, base.element],
    },
    async (signal) => {
      const job = {
        kind: "judge" as const,
        a: await a.files(),
        b: await b.files(),
        roots: await roots.all(),
        suspect: await suspect.network(),
        base: await base.network(),
      };
      const found = await workOut(job, signal);
      return { sentence: `Ruling: ${found.ruling}. ${found.sentence}`, findings: rulingFindings(found) };
    },
  );
  example.addEventListener("click", async () => {
    const files = await judgeExample();
    form.clear();
    a.put(files.a);
    b.put(files.b);
    roots.put(files.roots);
    suspect.put([files.suspect]);
    base.put([]);
    notice.hidden = false;
  });
  return el("section", {}, form.element);
}
