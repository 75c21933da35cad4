import { FormatError } from "../../errors";
import { listed, shown } from "../../io/shown";
import type { LayerSigns } from "../../passport/matches";
import { decodeBytes, signatureBytes, signBytes } from "../../passport/signature";
import type { SignatureText } from "../../passport/texts";

/**
 * The text that signs spell in the layers it is spread over, those passed over that nothing was
 * read of. `byteCounts`: bytes of text in each layer.
 */
function spelled(
  text: SignatureText,
  signs: ReadonlyMap<string, ArrayLike<number>>,
  byteCounts: ReadonlyMap<string, number>,
): string {
  const read = text.layers.filter((name) => signs.has(name));
  const bytes = read.flatMap((name) => [...signBytes(signs.get(name)!, byteCounts.get(name) ?? 0)]);
  return decodeBytes(Uint8Array.from(bytes));
}

/**
 * The texts that the signs of γ spell, in the order of the claim.
 * @param byteCounts bytes of text in each layer
 * @param unread signature bits of layers that nothing could be read of; their part of a text is
 * left out
 * @throws FormatError when the credential's own bits do not spell its texts: bits that match γ
 * prove nothing of a text which they do not spell.
 */
export function decodeTexts(
  layers: readonly LayerSigns[],
  texts: readonly SignatureText[],
  byteCounts: ReadonlyMap<string, number>,
  unread: ReadonlyMap<string, Float32Array> = new Map(),
): string[] {
  const bits = new Map<string, Float32Array>([...unread, ...layers.map((l) => [l.name, l.bits] as const)]);
  const gamma = new Map(layers.map((l) => [l.name, l.gamma]));
  for (const text of texts) {
    const own = spelled(text, bits, byteCounts);
    if (own === text.text && signatureBytes(own) === signatureBytes(text.text)) continue;
    throw new FormatError(
      `the credential contradicts itself: its bits of ${listed(text.layers)} spell ${shown(own)}, its text is ${shown(text.text)}`,
    );
  }
  return texts.map((text) => spelled(text, gamma, byteCounts));
}
