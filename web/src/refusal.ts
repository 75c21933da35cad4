/** What a person can put right: shown as it is, without more. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}
