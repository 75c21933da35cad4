/** What is trained, from the form and from the address: `#train?epochs=1&images=500`. */
import { RECIPE, STATEMENT } from "../../../examples/quickstart/recipe";
import { Refusal } from "../refusal";
import type { Plan } from "./messages";

/** Numbers that may be chosen: from, to, and what they are without. */
export const NUMBERS = {
  epochs: { label: "Epochs", hint: "Passes over the training images.", from: 1, to: 1000, usual: RECIPE.epochs },
  images: { label: "Training images", hint: "Of the sample's 3,000.", from: 50, to: 3000, usual: 3000 },
  testImages: { label: "Test images", hint: "Of the sample's 1,000.", from: 10, to: 1000, usual: 1000 },
  triggers: {
    label: "Triggers",
    hint: "Inputs that follow from the secret, and that the network learns beside: evidence without its weights. 0 for none.",
    from: 0,
    to: 1000,
    usual: RECIPE.triggers,
  },
} as const;

export type NumberName = keyof typeof NUMBERS;
export const NUMBER_NAMES = Object.keys(NUMBERS) as NumberName[];

/** What the form starts with. */
export function fromAddress(hash: string): Readonly<Record<NumberName | "statement", string>> {
  const given = new URLSearchParams(hash.split("?")[1] ?? "");
  const numbers = NUMBER_NAMES.map((name) => [name, given.get(name) ?? String(NUMBERS[name].usual)]);
  return { ...Object.fromEntries(numbers), statement: given.get("statement") ?? STATEMENT };
}

/** @throws Refusal naming what is out of range. */
export function planOf(texts: Readonly<Record<NumberName | "statement", string>>): Plan {
  const numbers = Object.fromEntries(
    NUMBER_NAMES.map((name) => {
      const { label, from, to } = NUMBERS[name];
      const value = Number(texts[name]);
      if (texts[name].trim() === "" || !Number.isInteger(value) || value < from || value > to)
        throw new Refusal(`${label}: a whole number from ${from} to ${to} expected.`);
      return [name, value];
    }),
  ) as Record<NumberName, number>;
  const statement = texts.statement.trim();
  if (!statement) throw new Refusal("Statement: say whose the network is.");
  return { ...RECIPE, ...numbers, statement };
}
