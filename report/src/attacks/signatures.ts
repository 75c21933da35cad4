/** The signature letter by letter, and what becomes of the text when signs are turned. */

import { capacity, decodeBytes, signBytes } from "@pan/core/passport";
import { type Cell, type DataTable, type Part, tablePanel } from "../data-table";
import { formatPValue, plural } from "../format";
import { type Html, html } from "../html";
import { panel, table } from "../page";
import { attackedLayers, countedBits, FAMILIES, guessing, recordsOf, secretAccuracy, settingText } from "./families";
import { paired } from "./figures";
import type { AttackedNetwork } from "./record";

/** Letters that the table shows, as many as DeepIPR's. */
const LETTERS = 6;

/** A letter of the text: the channels that spell it. */
interface Letter {
  letter: string;
  layer: string;
  /** Eight each, most significant bit first. */
  channels: { channel: number; gamma: number; sign: number }[];
}

/** How a byte is written: itself where it can be seen. */
function byteText(byte: number): string {
  if (byte === 0x20) return "space";
  return byte > 0x20 && byte < 0x7f ? decodeBytes(Uint8Array.of(byte)) : `0x${byte.toString(16).padStart(2, "0")}`;
}

/**
 * The letters of the claimed text with the channels that spell them. Which layers carry text is
 * found by reading the claim's own bits: a layer does if it begins with what comes next in the
 * text, up to its end, the layer's, or a space between two texts.
 */
export function lettersOf({ claimedText, layers }: AttackedNetwork["claim"]): Letter[] {
  const text = new TextEncoder().encode(claimedText);
  const letters: Letter[] = [];
  let at = 0;
  for (const { name, gamma, signs } of layers) {
    const bytes = signBytes(signs, capacity(signs.length));
    let n = 0;
    while (n < bytes.length && at + n < text.length && bytes[n] === text[at + n]) n++;
    const ends = at + n === text.length || n === bytes.length || text[at + n] === 0x20;
    if (n === 0 || !ends) continue;
    for (let i = 0; i < n; i++)
      letters.push({
        letter: byteText(bytes[i]!),
        layer: name,
        channels: Array.from({ length: 8 }, (_, k) => {
          const channel = 8 * i + k;
          return { channel, gamma: gamma[channel]!, sign: signs[channel]! };
        }),
      });
    at += n;
    if (n < bytes.length && text[at] === 0x20) at++;
  }
  return letters;
}

/** Whether a factor's sign is the signature's. */
const isRight = ({ gamma, sign }: Letter["channels"][number]): boolean => gamma * sign > 0;

/** Table 9 of DeepIPR, for reading. */
function lettersPanel(n: AttackedNetwork, letters: readonly Letter[], single: boolean, wide: boolean): Html {
  const written = (c: Letter["channels"][number]): Html => {
    const value = `${c.gamma < 0 ? "\u2212" : "+"}${Math.abs(c.gamma).toFixed(2)}`;
    return isRight(c)
      ? html`${value} → ${c.gamma > 0 ? 1 : 0}`
      : html`<span class="wrong">${value} → ${c.gamma > 0 ? 1 : 0}</span>`;
  };
  const right = letters.filter(({ channels }) => channels.every(isRight)).length;
  const drawn = table(
    `γ and bits of the first ${plural(letters.length, "letter")}${single ? "" : `: ${n.title}`}`,
    [{ head: "Bit" }, ...letters.map(({ letter }) => ({ head: letter, kind: "number" as const }))],
    Array.from({ length: 8 }, (_, k) => [String(k + 1), ...letters.map(({ channels }) => written(channels[k]!))]),
  );
  const p = guessing(n.claim);
  return panel(
    html`${drawn}<p class="note">DeepIPR’s Table 9. ${right === letters.length ? "All" : `${right} of ${letters.length}`} of these letters are right bit for bit${
      right === letters.length ? "" : "; wrong bits are marked"
    }. The whole signature matches in ${n.claim.matched} of ${n.claim.bits} bits, which guessing does with p\u00a0=\u00a0${formatPValue(p)}.</p>`,
    wide,
  );
}

function lettersTable(shown: readonly { network: AttackedNetwork; letters: readonly Letter[] }[]): DataTable {
  return {
    name: "signature-letters",
    title: "γ, sign and bit of the first letters",
    columns: [
      ["Network", "network"],
      ["Layer", "text"],
      ["Letter", "text"],
      ["Channel", "count"],
      ["γ", "number"],
      ["Sign", "text"],
      ["Bit", "count"],
      ["Claimed bit", "count"],
    ],
    rows: shown.flatMap(({ network, letters }) =>
      letters.flatMap(({ letter, layer, channels }) =>
        channels.map(({ channel, gamma, sign }): Cell[] => [
          network.title,
          layer,
          letter,
          channel,
          gamma,
          gamma > 0 ? "+" : gamma < 0 ? "-" : "0",
          gamma > 0 ? 1 : 0,
          sign > 0 ? 1 : 0,
        ]),
      ),
    ),
  };
}

/** Table 10 of DeepIPR: the right text, and what turned signs make of it. */
function textsTable(networks: readonly AttackedNetwork[]): DataTable | undefined {
  const rows = networks.flatMap((n): Cell[][] => {
    const { claim } = n;
    const turned = recordsOf(n, FAMILIES.turned).flatMap((record) =>
      record.steps.flatMap((step) => {
        const { text } = step;
        return text === undefined ? [] : [{ record, step, text }];
      }),
    );
    if (turned.length === 0) return [];
    // Attacks on all layers first: they are the ones to compare with the paper.
    const reach = ({ record }: (typeof turned)[number]) => String(record.budget["layers"] ?? "").split(",").length;
    const everywhere = ({ record }: (typeof turned)[number]) => record.budget["layers"] === undefined;
    turned.sort((a, b) => Number(everywhere(b)) - Number(everywhere(a)) || reach(b) - reach(a));
    const row = (
      signature: string,
      turnedShare: string,
      text: string,
      accuracy: number | null,
      found: { bits: number; matched: number },
    ): Cell[] => [
      n.title,
      signature,
      turnedShare,
      text,
      accuracy,
      found.matched,
      found.bits,
      countedBits(n, found).needed,
      guessing(found),
    ];
    return [
      ...(n.plain
        ? [[n.title, "none: plain network", null, null, n.plain.accuracy, null, null, null, null] as Cell[]]
        : []),
      row("as trained", "none", claim.decodedText, secretAccuracy(n, claim) ?? null, claim),
      ...turned.map(({ record, step, text }) => {
        const { after, setting } = step;
        const grade =
          after.matched === after.bits
            ? "correct"
            : after.matched >= countedBits(n, after).needed
              ? "partly correct"
              : "wrong";
        return row(
          grade,
          `${settingText(setting)} in ${attackedLayers(n, record)}`,
          text,
          secretAccuracy(n, after) ?? null,
          after,
        );
      }),
    ];
  });
  if (rows.length === 0) return undefined;
  return {
    name: "signature-texts",
    title: "A correct, a partly correct and a wrong signature",
    columns: [
      ["Network", "network"],
      ["Signature", "text"],
      ["Signs turned", "text"],
      ["Reads as", "quote"],
      ["Accuracy", "share"],
      ["Bits right", "count"],
      ["Of", "count"],
      ["Needed", "count"],
      ["p", "pValue"],
    ],
    rows,
  };
}

/** For a page: of each network the first row of every kind of signature. */
function firstOfEach({ rows, ...table }: DataTable): DataTable {
  const seen = new Set<string>();
  const isNew = ([network, signature]: Cell[]) => {
    const key = `${network}\n${signature}`;
    return !seen.has(key) && !!seen.add(key);
  };
  return { ...table, rows: rows.filter(isNew) };
}

/** Tables 9 and 10 of DeepIPR as cards; none for networks that spell no text. */
export function signaturePart(networks: readonly AttackedNetwork[]): Part {
  const single = networks.length === 1;
  const shown = networks.flatMap((network) => {
    const letters = lettersOf(network.claim).slice(0, LETTERS);
    return letters.length > 0 ? [{ network, letters }] : [];
  });
  const tables: DataTable[] = shown.length > 0 ? [lettersTable(shown)] : [];
  const cards = paired(
    shown.map(
      ({ network, letters }) =>
        (wide) =>
          lettersPanel(network, letters, single, wide),
    ),
  );
  const texts = textsTable(networks);
  if (texts) {
    tables.push(texts);
    cards.push(
      tablePanel(
        firstOfEach(texts),
        single,
        html`DeepIPR’s Table 10, which gives accuracies alone. Of each kind the first setting; “partly correct” has as many bits as the papers’ check needs, “wrong” has fewer.`,
      ),
    );
  }
  return cards.length > 0 ? { body: html`${cards}`, tables } : { tables };
}
