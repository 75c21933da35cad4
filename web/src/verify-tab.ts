/** The tab that verifies one claim. */
import { type Child, el } from "./dom";
import { GIVEN_AWAY, PUBLISHED, verifyExample } from "./example";
import { FileField } from "./file-field";
import { verificationFindings } from "./findings/verdict";
import { type WorkForm, workForm } from "./form";
import { committedDigests, kindOf, sha256 } from "./kinds";
import { labelled } from "./labelled";
import { type NetworkFiles, networksAmong } from "./networks";
import { PossessionFields } from "./possession";
import { Refusal } from "./refusal";
import { workOut } from "./work";

const input = (type: string, attributes: Parameters<typeof el>[1] = {}) => el("input", { type, ...attributes });

/** Files for the tab, by what they are. */
export interface VerifyFiles {
  readonly suspect: File;
  readonly credential: File;
  readonly commitment: File;
  readonly released: File;
}

export class VerifyTab {
  readonly panel: HTMLElement;
  readonly #form: WorkForm;
  readonly #example = el("p", { class: "notice", hidden: true }, GIVEN_AWAY);
  readonly #suspect = new FileField({
    label: "Suspect",
    hint: "The network that is accused: safetensors, a .pth of PyTorch, ONNX, or model.json of TensorFlow.js with its shards.",
    kind: "network",
    needed: true,
  });
  readonly #credential = new FileField({
    label: "Credential",
    hint: "What the owner kept, opened for you. It holds their secret: handle it so.",
    kind: "credential",
    needed: true,
  });
  readonly #commitment = new FileField({
    label: "Commitment",
    hint: "The signed statement that the owner published: a Sigstore bundle.",
    kind: "commitment",
  });
  readonly #released = new FileField({
    label: "Released file",
    hint: "The network that was committed to, byte for byte.",
    kind: "network",
  });
  readonly #roots = new FileField({
    label: "Root certificates",
    hint: "Time-stamping authorities that you trust. A stamp of any other counts for nothing.",
    kind: "certificate",
    multiple: true,
  });
  readonly #base = new FileField({
    label: "Public base",
    hint: "A network that was public before, and that suspect and release may both be made from.",
    kind: "network",
  });
  readonly #possession = new PossessionFields(() => this.#suspectName());
  readonly #published = input("date");
  readonly #suspects = input("number", { min: 1, step: 1, value: 1 });
  readonly #digest = input("text", { autocomplete: "off", spellcheck: "false" });

  constructor() {
    const example = el("button", { type: "button" }, "Load an example");
    example.addEventListener("click", () => this.#loadExample());
    this.#form = workForm(
      {
        title: "Verify a claim",
        about:
          "Choose the files, or drop them all at once: they are told apart by what is in them, but for certificates: whom you trust you say yourself. Suspect and credential are needed; without the rest no claim can hold.",
        action: "Verify",
        more: [el("div", { class: "actions" }, example), this.#example],
        fields: this.#fields(),
      },
      (signal) => this.#verify(signal),
    );
    this.panel = el("section", {}, this.#form.element);
    this.#suspect.element.addEventListener("change", () => this.#possession.refresh());
    for (const { element } of [this.#suspect, this.#credential, this.#commitment, this.#released])
      element.addEventListener("change", () => this.#leaveExample());
    this.#takesDrops();
  }

  /** Puts files in their places, and an unknown date. */
  put({ suspect, credential, commitment, released }: VerifyFiles): void {
    this.#form.clear();
    this.#example.hidden = true;
    this.#possession.clear();
    this.#suspect.put([suspect]);
    this.#credential.put([credential]);
    this.#commitment.put([commitment]);
    this.#released.put([released]);
    this.#roots.put([]);
    this.#base.put([]);
    this.#published.value = "";
  }

  /** What the claimant's command names: of several files the index, wherever it was put. */
  #suspectName(): string | undefined {
    const { files } = this.#suspect;
    return (files.find(({ name }) => name.endsWith(".json")) ?? files[0])?.name;
  }

  #fields(): Child[] {
    return [
      this.#suspect.element,
      this.#credential.element,
      this.#commitment.element,
      this.#released.element,
      this.#roots.element,
      labelled(
        "Published",
        "When the suspect was there at the latest, as you know it: the day, in UTC.",
        this.#published,
      ),
      this.#possession.element,
      el(
        "details",
        {},
        el("summary", {}, "More"),
        this.#base.element,
        labelled("Networks looked at", "Before this one was accused: a search finds more by chance.", this.#suspects),
        labelled("SHA-256 of the suspect", "What sha256sum prints of the file that is meant.", this.#digest),
      ),
    ];
  }

  async #verify(signal: AbortSignal) {
    const digest = this.#digest.value.trim().toLowerCase();
    if (digest && !/^[0-9a-f]{64}$/.test(digest))
      throw new Refusal("SHA-256 of the suspect: 64 hexadecimal digits expected.");
    const suspects = Number(this.#suspects.value || 1);
    if (!Number.isSafeInteger(suspects) || suspects < 1)
      throw new Refusal("Networks looked at: a whole number from 1 expected.");
    const published = this.#published.value ? new Date(this.#published.value).toISOString() : null;
    const commitment = await this.#commitment.one();
    const suspect = await this.#suspect.mustNetwork();
    const answer = await this.#possession.answer();
    const found = await workOut(
      {
        kind: "verify",
        suspect,
        credential: await this.#credential.must(),
        commitment,
        released: await this.#released.network(),
        base: await this.#base.network(),
        answer,
        roots: await this.#roots.all(),
        ...(published && { published }),
        ...(digest && { suspectSha256: digest }),
        suspects,
      },
      signal,
    );
    return {
      sentence: `Verdict: ${found.verdict}. ${found.sentence}`,
      findings: verificationFindings(found, {
        published,
        committed: commitment !== undefined,
        inParts: suspect.length > 1,
      }),
    };
  }

  async #loadExample(): Promise<void> {
    const { roots, ...files } = await verifyExample();
    this.put(files);
    this.#roots.put(roots);
    this.#published.value = PUBLISHED;
    this.#example.hidden = false;
  }

  /** The example's authority and date are of its files alone. */
  #leaveExample(): void {
    if (this.#example.hidden) return;
    this.#example.hidden = true;
    this.#roots.put([]);
    this.#published.value = "";
  }

  #takesDrops(): void {
    this.panel.addEventListener("dragover", (event) => event.preventDefault());
    this.panel.addEventListener("drop", (event) => {
      event.preventDefault();
      void this.#sort([...(event.dataTransfer?.files ?? [])]);
    });
  }

  /**
   * Puts files where they belong: kinds go by what is in them, and the released one of several
   * networks is the one that the commitment speaks of. The only network is the suspect, too. Not
   * certificates: who hands over the files would say whose dates are believed.
   */
  async #sort(files: readonly File[]): Promise<void> {
    const { networks, rest } = await networksAmong(files);
    const kinds = await Promise.all(rest.map((file) => kindOf(file).catch(() => "other" as const)));
    const of = (kind: (typeof kinds)[number]) => rest.filter((_, i) => kinds[i] === kind);
    const [credentials, commitments, certificates] = [of("credential"), of("commitment"), of("certificate")];
    if (credentials[0]) this.#credential.put([credentials[0]]);
    if (commitments[0]) this.#commitment.put([commitments[0]]);
    const commitment = this.#commitment.files[0];
    const digests = commitment ? await committedDigests(commitment) : new Set<string>();
    const isCommitted = async (network: NetworkFiles) => network.length === 1 && digests.has(await sha256(network[0]!));
    const committed = await Promise.all(networks.map(isCommitted));
    const released = networks.find((_, i) => committed[i]);
    const suspect =
      networks.find((network) => network !== released) ?? (this.#suspect.files.length ? undefined : released);
    if (released) this.#released.put(released);
    if (suspect) this.#suspect.put(suspect);
    const answer = of("signature")[0];
    if (answer) this.#possession.put(answer);
    const named = (files: readonly File[]) => files.map((f) => f.name).join(", ");
    const aside = [
      ["certificates, which make an authority trusted: choose those that you trust yourself", certificates],
      ["files of another kind", of("other")],
    ] as const;
    const told = aside.flatMap(([as, files]) => (files.length ? [`Left aside, as ${as}: ${named(files)}.`] : []));
    if (told.length) this.#form.show(told.join(" "), []);
  }
}
