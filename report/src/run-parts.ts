/** Text and tables that every report of a training run shows. */

import { formatCount, formatNumber, formatPercent, formatPValue } from "./format";
import { type Html, html } from "./html";
import { panel, table } from "./page";

/** What the network says under the owner's passport, against what it was to say. */
export function message(s: { text: string; decodedText: string; bits: number }): Html {
  const quoted = (text: string) => html`<bdi class="quoted">${text}</bdi>`;
  if (s.text === "") return html`The owner’s signature is no text, but a string of ${formatCount(s.bits)} bits.`;
  return html`Read with the owner’s passport, the network says ${quoted(s.decodedText)}${
    s.decodedText === s.text
      ? ", exactly the text that was to be embedded."
      : html`; the text that was to be embedded is ${quoted(s.text)}.`
  }`;
}

/** How likely a guess is to do as well, in a sentence. */
export function odds(pValue: number): Html {
  const coins = Math.floor(-Math.log2(Math.max(pValue, Number.MIN_VALUE)));
  const more = pValue < 1e-307 && "more than ";
  const compared = coins >= 4 && html` – about as likely as ${more}${coins} tosses of a coin all landing heads`;
  return html`Someone who guessed would do as well with probability <strong>${formatPValue(pValue)}</strong>${compared}.`;
}

/**
 * Whether the passport opens anything: a branch that is hardly better than guessing, or than what
 * forged passports open, makes no point whatever its bits say. Undefined where it does.
 */
export function lockedNote(real: number | undefined, forged: readonly number[], chance: number): Html | undefined {
  const without = Math.max(chance, ...forged);
  if (real === undefined || (real - without) / (1 - without) >= 0.05) return undefined;
  return html`<p class="caution">With the real passport the network does hardly better than ${
    forged.length > 0 && chance < without ? "with forged ones" : "by guessing"
  }: the passport opens nothing of use here. The verdict goes by marks and dates, and not by accuracies.</p>`;
}

/** Bits and matches of each passport layer. */
export function layersTable(layers: readonly { name: string; bits: number; matched: number }[]): Html {
  return table(
    "Signature by layer",
    [
      { head: "Layer" },
      { head: "Bits", kind: "number" },
      { head: "Matched", kind: "number" },
      { head: "Share", kind: "number" },
    ],
    layers.map((l) => [
      l.name,
      formatCount(l.bits),
      formatCount(l.matched),
      l.bits > 0 ? formatPercent(l.matched / l.bits) : "–",
    ]),
  );
}

/** What the run was told. */
export function settingsTable(settings: Readonly<Record<string, string | number | boolean>>): Html {
  return table(
    "Settings of this run",
    [{ head: "Setting" }, { head: "Value", kind: "long" }],
    Object.entries(settings).map(([key, value]) => [
      key,
      typeof value === "number" ? formatNumber(value) : String(value),
    ]),
  );
}

/** Every forged passport: its accuracy (a fraction) and the bits it matched. */
export function forgedTable(forged: readonly { accuracy: number; matched: number }[]): Html {
  return table(
    "By forged passport",
    [{ head: "No." }, ...["Accuracy", "Bits matched"].map((head) => ({ head, kind: "number" as const }))],
    forged.map((f, i) => [String(i + 1), formatPercent(f.accuracy), formatCount(f.matched)]),
  );
}

/** What a report of a signed network, and its record, are headed with. */
export const PRIVATE_NOTICE =
  "Private: this tells of the owner's γ and signature bits. Keep it as you keep the credential, and publish neither.";

/** The same at the foot of a page. */
export const privateNotice = (): Html => html`<p><strong>${PRIVATE_NOTICE}</strong></p>`;

/** What a sceptic should know: random forgeries are the weakest kind. */
export function limits(): Html {
  return panel(
    html`<h3>What this does not show</h3>
    <div class="columns"><p class="note">The forged passports here are random. Someone who holds the weights can do better: γ is linear in the passport, so a passport
    that yields any wanted signs can be computed, and a copy can be rearranged until bits of his own fit. In a dispute a claim therefore
    counts only with the released file it was committed to, signed and time-stamped before anybody else had it.</p>
    <p class="note">The p-value compares with fair coins. Trained factors are not quite that; the forged passports’ matches, measured on
    this very network, show how far the comparison can be trusted.</p></div>`,
    true,
  );
}

/** Words of the reports and what they mean, for `glossary`. */
export const TERMS = {
  passport: [
    "Passport",
    "A secret tensor for a layer. Together with the layer’s weights it yields that layer’s γ and β; without it the private branch does not work.",
  ],
  gamma: [
    "γ (gamma)",
    "The factor a channel is multiplied with: the mean of the layer’s weights convolved with the passport. Its sign carries one bit.",
  ],
  signature: [
    "Signature",
    "The owner’s text as bits, eight a character, and the bits of all other channels. Where there is a claim, those follow from it: from the secret, the statement and the key; without one they are drawn at random.",
  ],
  branches: [
    "Public and private branch",
    "One set of weights, two ways through it. The public branch is what is handed out; the private one needs the passport.",
  ],
  forged: [
    "Forged passport",
    "A passport made up without the owner’s secret, here at random. It gives wrong factors, hence wrong answers and wrong bits.",
  ],
  pValue: [
    "p-value",
    "The probability that guessing each bit with a fair coin matches at least as many bits: P(X ≥ matched), X ~ Bin(bits, ½).",
  ],
  margin: [
    "Margin",
    "The product γ·b of a factor and its bit (±1). Positive: the bit is right. Training asks for 0.1, so small changes do not flip it.",
  ],
  signLoss: [
    "Sign loss",
    "α · Σ max(0.1 − γ·b, 0) + 10⁻⁵ · Σ γ², the part of the loss that writes the signature into the weights.",
  ],
} as const;
