/** A text that a network carries, and the norms that spell it one after another, by name. */
export interface SignatureText {
  text: string;
  layers: readonly string[];
}
