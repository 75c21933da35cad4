/** A form whose answer is worked out: what is going on, what was wrong, and the findings. */
import { type Child, el, freshId } from "./dom";
import { Refusal } from "./refusal";

export interface WorkForm {
  readonly element: HTMLElement;
  /** Shows findings, and says them in a sentence to whoever cannot see them. */
  show(sentence: string, findings: readonly Child[]): void;
  /** Takes away what was shown before. */
  clear(): void;
}

/**
 * @param fields the form's own
 * @param submit works it out; a Refusal is shown as it is
 */
export function workForm(
  { title, about, action, fields, more }: FormParts,
  submit: (signal: AbortSignal) => Promise<{ sentence: string; findings: readonly Child[] }>,
): WorkForm {
  const heading = freshId();
  const status = el("p", { role: "status", class: "status" });
  const problem = el("div", { role: "alert", class: "alert" });
  const findings = el("div", { class: "findings" });
  const go = el("button", { type: "submit", class: "main" }, action);
  const stop = el("button", { type: "button", hidden: true }, "Give up");
  const form = el(
    "form",
    { novalidate: true, "aria-labelledby": heading },
    el("h2", { id: heading }, title),
    el("p", { class: "about" }, about),
    ...more,
    ...fields,
    el("div", { class: "actions" }, go, stop),
    problem,
  );
  const clear = () => {
    findings.replaceChildren();
    problem.replaceChildren();
    status.textContent = "";
  };
  const show: WorkForm["show"] = (sentence, found) => {
    status.textContent = sentence;
    findings.replaceChildren(...found.filter((c): c is Node | string => c !== null && c !== false));
  };
  let running: AbortController | null = null;
  stop.addEventListener("click", () => running?.abort());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    running = new AbortController();
    clear();
    status.textContent = "Working it out …";
    go.setAttribute("aria-disabled", "true");
    stop.hidden = false;
    try {
      const found = await submit(running.signal);
      show(found.sentence, found.findings);
      findings.scrollIntoView({ block: "nearest" });
    } catch (cause) {
      status.textContent = running.signal.aborted ? "Given up." : "";
      if (!running.signal.aborted) problem.replaceChildren(...told(cause));
    } finally {
      running = null;
      go.removeAttribute("aria-disabled");
      stop.hidden = true;
    }
  });
  const result = freshId();
  const element = el(
    "div",
    { class: "sides" },
    form,
    el(
      "section",
      { class: "result", "aria-labelledby": result },
      el("h2", { id: result }, "Findings"),
      status,
      findings,
    ),
  );
  return { element, show, clear };
}

export interface FormParts {
  readonly title: string;
  readonly about: string;
  readonly action: string;
  readonly fields: readonly Child[];
  /** Above the fields. */
  readonly more: readonly Child[];
}

/** An error as a person can use it. */
function told(cause: unknown): Node[] {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof Refusal) return [el("strong", {}, "No verdict. "), new Text(message)];
  console.error(cause);
  return [el("strong", {}, "The page failed, not your files: "), new Text(message)];
}
