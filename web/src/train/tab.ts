/** The tab that trains a network, signs it and gives it away. */
import { type Child, el } from "../dom";
import { verificationFindings } from "../findings/verdict";
import { percent } from "../format";
import { labelled } from "../labelled";
import { Refusal } from "../refusal";
import type { VerifyFiles } from "../verify-tab";
import { Charts } from "./charts";
import { Downloads } from "./downloads";
import type { Command, Made, Told } from "./messages";
import { fromAddress, NUMBER_NAMES, NUMBERS, type NumberName, planOf } from "./options";
import TrainerWorker from "./trainer?worker&inline";

const NO_WEBGPU =
  "This browser offers no WebGPU, so it cannot train here. Verify and Judge work all the same. Chrome, Edge and Safari 26 have it, and Firefox on Windows and macOS; on Linux, Chrome may want chrome://flags/#enable-unsafe-webgpu.";

const button = (text: string, hidden = true) => el("button", { type: "button", hidden }, text);

export class TrainTab {
  readonly element: HTMLElement;
  readonly #inputs: Readonly<Record<NumberName | "statement", HTMLInputElement>>;
  readonly #start = el("button", { type: "submit", class: "main" }, "Train");
  readonly #pause = button("Pause");
  readonly #finish = button("Finish now");
  readonly #discard = button("Discard");
  readonly #status = el("p", { role: "status" });
  readonly #problem = el("div", { role: "alert", class: "alert" });
  readonly #bar = el("progress", { max: 1, value: 0, hidden: true, "aria-label": "Training" });
  readonly #pace = el("p", { class: "hint" });
  readonly #results = el("div");
  #worker: Worker | null = null;
  #downloads: Downloads | null = null;
  #paused = false;
  #since = 0;

  constructor(private readonly verify: (files: VerifyFiles) => void) {
    const start = fromAddress(location.hash);
    this.#inputs = Object.fromEntries(
      [...NUMBER_NAMES, "statement" as const].map((name) => {
        const range = name === "statement" ? {} : { min: NUMBERS[name].from, max: NUMBERS[name].to, step: 1 };
        const type = name === "statement" ? "text" : "number";
        return [name, el("input", { type, name, value: start[name], ...range })];
      }),
    ) as Record<NumberName | "statement", HTMLInputElement>;
    const form = el(
      "form",
      { novalidate: true, "aria-label": "Train a network" },
      el("h2", {}, "Train a network of your own"),
      el(
        "p",
        { class: "about" },
        "A small network with passports learns a sample of CIFAR-10 on your graphics processor. It is bound to a fresh secret and a fresh key, committed to and verified. The sample, 16 MB, is loaded when you begin.",
      ),
      ...this.#fields(),
      el("div", { class: "actions" }, this.#start, this.#pause, this.#finish, this.#discard),
      this.#problem,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#begin();
    });
    this.#pause.addEventListener("click", () => this.#send({ kind: this.#paused ? "resume" : "pause" }));
    this.#finish.addEventListener("click", () => this.#send({ kind: "finish" }));
    this.#discard.addEventListener("click", () => {
      this.#end();
      this.#status.textContent = "Discarded.";
    });
    this.element = el(
      "div",
      { class: "sides" },
      form,
      el(
        "section",
        { class: "result", "aria-label": "Run" },
        el("h2", {}, "Run"),
        this.#status,
        this.#bar,
        this.#pace,
        this.#results,
      ),
    );
    addEventListener("beforeunload", (event) => {
      if (this.#worker || this.#downloads?.unsaved) event.preventDefault();
    });
    void this.#looksForWebGpu();
  }

  #fields(): Child[] {
    return [
      labelled("Statement", "What you say of the network: everybody may read it.", this.#inputs.statement),
      ...NUMBER_NAMES.map((name) => labelled(NUMBERS[name].label, NUMBERS[name].hint, this.#inputs[name])),
    ];
  }

  async #looksForWebGpu(): Promise<void> {
    const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
    if (adapter) return;
    this.#start.disabled = true;
    this.#status.textContent = NO_WEBGPU;
  }

  async #begin(): Promise<void> {
    if (this.#worker) return;
    this.#problem.replaceChildren();
    try {
      const texts = Object.fromEntries(Object.entries(this.#inputs).map(([name, input]) => [name, input.value]));
      const plan = planOf(texts as Record<NumberName | "statement", string>);
      if (
        this.#downloads?.unsaved &&
        !confirm("The last run's secret files were not downloaded. Train anew and lose them?")
      )
        return;
      this.#status.textContent = "Loading the sample …";
      this.#start.disabled = true;
      const [{ default: train }, { default: test }] = await Promise.all([
        import("../../../examples/data/train_sample.bin?bytes"),
        import("../../../examples/data/test_sample.bin?bytes"),
      ]);
      this.#downloads = null;
      const charts = new Charts();
      this.#results.replaceChildren(charts.element);
      this.#worker = new TrainerWorker();
      this.#worker.onerror = (event) => this.#fail(event.message || "the worker did not start", false);
      this.#worker.onmessage = ({ data }: MessageEvent<Told>) => this.#hear(data, charts);
      this.#paused = false;
      this.#since = performance.now();
      this.#status.textContent = "Looking for a graphics processor, and compiling its programs …";
      for (const one of [this.#pause, this.#finish, this.#discard]) one.hidden = false;
      this.#pause.textContent = "Pause";
      this.#send({ kind: "start", plan, train, test });
    } catch (cause) {
      this.#start.disabled = false;
      this.#status.textContent = "";
      if (!(cause instanceof Refusal)) throw cause;
      this.#problem.textContent = cause.message;
    }
  }

  #send(command: Command): void {
    if (command.kind === "resume") this.#isPaused(false);
    if (command.kind === "pause") this.#status.textContent = "Pausing …";
    if (command.kind === "finish") this.#status.textContent = "Finishing …";
    this.#worker?.postMessage(command);
  }

  #isPaused(paused: boolean): void {
    this.#paused = paused;
    this.#pause.textContent = paused ? "Go on" : "Pause";
    this.#status.textContent = paused ? "Paused." : "Training …";
  }

  #hear(told: Told, charts: Charts): void {
    switch (told.kind) {
      case "ready":
        this.#status.textContent = `Training on ${told.adapter} …`;
        this.#bar.hidden = false;
        break;
      case "progress": {
        const { step, steps, epoch, record } = told.progress;
        charts.step(record);
        this.#bar.max = steps;
        this.#bar.value = step;
        const left = ((performance.now() - this.#since) / step) * (steps - step);
        this.#pace.textContent = `step ${step} of ${steps}, epoch ${epoch}; about ${Math.ceil(left / 1000)} s to go`;
        break;
      }
      case "epoch": {
        const { epoch, public: open = 0, bits, bitsMatched } = told.record;
        charts.epoch(told.record);
        this.#status.textContent = `Epoch ${epoch}: ${percent(open)} of test images right, ${bitsMatched} of ${bits} bits.`;
        break;
      }
      case "paused":
        this.#isPaused(true);
        break;
      case "signing":
        this.#status.textContent = "Signing and verifying …";
        this.#pause.hidden = true;
        this.#finish.hidden = true;
        break;
      case "done":
        this.#end();
        this.#status.textContent = `Trained, signed and verified. Verdict: ${told.found.verdict}. ${told.found.sentence}`;
        this.#show(told.files, told.found);
        break;
      case "failed":
        this.#fail(told.error, told.explained);
    }
  }

  #show(files: readonly Made[], found: Extract<Told, { kind: "done" }>["found"]): void {
    this.#downloads = new Downloads(files);
    const open = button("Open it in Verify", false);
    const of = (name: string) => {
      const { bytes } = files.find((f) => f.name === name)!;
      return new File([bytes], name);
    };
    open.addEventListener("click", () =>
      this.verify({
        suspect: of("deployed.safetensors"),
        released: of("deployed.safetensors"),
        credential: of("owner.credential.safetensors"),
        commitment: of("commitment.sigstore.json"),
      }),
    );
    this.#results.append(
      this.#downloads.element,
      el("div", { class: "actions" }, open),
      ...verificationFindings(found, { published: null, committed: true, inParts: false }).filter(
        (child): child is Node | string => child !== null && child !== false,
      ),
    );
  }

  #fail(error: string, explained: boolean): void {
    this.#end();
    this.#status.textContent = "";
    this.#problem.textContent = explained ? error : `The run failed: ${error}`;
  }

  /** The worker is gone, and the device with it. */
  #end(): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.#start.disabled = false;
    this.#bar.hidden = true;
    this.#pace.textContent = "";
    for (const one of [this.#pause, this.#finish, this.#discard]) one.hidden = true;
  }
}
