/** Images of other tasks, and fewer of them. */
import { type ImageSet, imageSet, subset } from "../../src/index";

/** Caltech-101 at CIFAR's size. */
export interface Caltech {
  train: ImageSet;
  test: ImageSet;
}

/** The first of them. */
export const cut = (set: ImageSet, most: number): ImageSet => subset(set, 0, Math.min(most, set.length));

/** Another task on the same pictures: animals against vehicles. */
export function animals(set: ImageSet): ImageSet {
  const { images, height, width, channels, classes } = set;
  const isAnimal = classes.map((name) => !["airplane", "automobile", "ship", "truck"].includes(name));
  const labels = Uint8Array.from(set.labels, (l) => (isAnimal[l] ? 1 : 0));
  return imageSet({ images, labels, channels, height, width, classes: ["vehicle", "animal"] });
}
