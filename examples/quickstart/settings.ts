import { DATE_HELP, DATE_OPTIONS, type Dates, datesOf } from "../claim";
import { numberIn, parseOptions } from "../options";
import { PHOTO_HELP, PHOTO_OPTIONS, photosOf } from "../trigger-photos";
import { RECIPE, type Recipe } from "./recipe";

export { CONFIG, SIGNATURE, STATEMENT } from "./recipe";

export interface Settings extends Recipe {
  /** Training images taken from the sample's 3,000, and test images from its 1,000. */
  images: number;
  testImages: number;
  /** Random passports to try. */
  forgeries: number;
  /** A folder of photographs that triggers are chosen from; else they are drawn. */
  triggerPhotos: string | undefined;
  dates: Dates;
  out: string;
  resume: boolean;
}

export const HELP = `npm run quickstart -- [options]
  --epochs N     passes over the training images (default 6)
  --images N     training images, up to 3000 (default 3000)
  --tests N      test images, up to 1000 (default 1000)
  --triggers N   inputs that follow from the secret, which the network learns beside: evidence without its weights
                 (default 64; 0 for none)
  --trigger-perturbation X  share of their norm that weights are moved by against the triggers, so that they are
                 learnt to stay (default 0; 0.02 in the paper)
${PHOTO_HELP}
  --seed N       decides weights and order (default 1); the secret behind the passports is fresh in every run
  --out DIR      where results go (default out/quickstart)
  --resume       go on where an interrupted run stopped
${DATE_HELP}`;

const OPTIONS = {
  epochs: String(RECIPE.epochs),
  images: "3000",
  tests: "1000",
  triggers: String(RECIPE.triggers),
  "trigger-perturbation": String(RECIPE.triggerPerturbation),
  seed: String(RECIPE.seed),
  out: "out/quickstart",
  ...PHOTO_OPTIONS,
  ...DATE_OPTIONS,
};

/** @throws ArgumentError for an option that is not there or a value out of range. */
export function readSettings(args: string[]): Settings | "help" {
  const v = parseOptions(args, { texts: OPTIONS, switches: ["resume", "help"], help: HELP });
  if (v.help) return "help";
  const triggers = numberIn("triggers", v.triggers, 0, 1000);
  return {
    ...RECIPE,
    epochs: numberIn("epochs", v.epochs, 1, 1000),
    images: numberIn("images", v.images, 50, 3000),
    testImages: numberIn("tests", v.tests, 10, 1000),
    triggers,
    triggerPerturbation: numberIn("trigger-perturbation", v["trigger-perturbation"], 0, 1, false),
    triggerPhotos: photosOf(v, triggers > 0),
    forgeries: 10,
    dates: datesOf(v),
    seed: numberIn("seed", v.seed, 0, 2 ** 31),
    out: v.out,
    resume: v.resume,
  };
}
