/** The sample of CIFAR-10 that lies beside the examples. */
import { readFile } from "node:fs/promises";
import { type ImageSet, parseCifar10 } from "@pan/core/data";

/** 3,000 pictures to train with, 1,000 to test with. */
export async function pictures(): Promise<{ train: ImageSet; test: ImageSet }> {
  const read = async (source: string) =>
    parseCifar10(await readFile(new URL(`./data/${source}`, import.meta.url)), { source });
  return { train: await read("train_sample.bin"), test: await read("test_sample.bin") };
}
