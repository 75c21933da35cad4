/**
 * What a network's samples are called: pictures or shapes. The one place that decides it; texts
 * take their nouns from here.
 */

/** What a network is trained with: pictures, or shapes given as clouds of points in space. */
export const SAMPLES = ["pictures", "shapes"] as const;
export type Samples = (typeof SAMPLES)[number];

/** A noun in the forms that texts need. */
export interface Noun {
  /** `picture`, also for `trigger picture` and for `plural`. */
  one: string;
  many: string;
  /** At the beginning of a sentence or a heading. */
  Many: string;
  /** The numbers that a sample consists of, at the beginning of a heading, and one of them. */
  Parts: string;
  part: string;
}

const NOUNS: Readonly<Record<Samples | "samples", Noun>> = {
  pictures: { one: "picture", many: "pictures", Many: "Pictures", Parts: "Pixels", part: "pixel value" },
  shapes: { one: "shape", many: "shapes", Many: "Shapes", Parts: "Coordinates", part: "coordinate" },
  samples: { one: "sample", many: "samples", Many: "Samples", Parts: "Values", part: "value" },
};

/** Whatever has samples; pictures if it does not say. */
interface Sampled {
  samples?: Samples;
}

/** The noun for the samples of a run or a network. */
export const nounOf = ({ samples = "pictures" }: Sampled): Noun => NOUNS[samples];

/** The noun for the samples of several networks: `samples` where they are of both kinds. */
export function commonNoun(networks: readonly Sampled[]): Noun {
  const nouns = new Set(networks.map(nounOf));
  const [only = NOUNS.pictures] = nouns;
  return nouns.size > 1 ? NOUNS.samples : only;
}
