/**
 * What `--run` needs: a device for networks, and samples for their accuracies. All of it is loaded
 * when it is asked for, so that no other command starts slower for it.
 */
import type { SampleSet } from "../data/sample-set";
import type { SampleTransform } from "../data/samples";
import { FormatError } from "../errors";
import { readBytes } from "./files";
import type { Terminal } from "./terminal";

/**
 * Makes the best adapter of this machine the one that networks run on.
 * @throws AdapterNotFoundError saying what to install, where there is no `webgpu` or no adapter.
 */
export async function openDevice(terminal: Terminal): Promise<void> {
  terminal.step("looking for an adapter");
  const [{ dawn }, { init }] = await Promise.all([import("../node/dawn"), import("../gpu/init")]);
  await init({ gpu: await dawn() });
}

/** Labelled samples, and what is done to them before a network sees them. */
export interface Samples {
  readonly test: SampleSet;
  readonly transform: readonly SampleTransform[];
}

/** Bytes of a record: one label and a picture, or two labels. */
const [CIFAR10, CIFAR100] = [3073, 3074];

/**
 * Test images in CIFAR's records, told apart by their length, and normalised as is usual for them.
 * @throws ArgumentError for no file; FormatError for one of other lengths.
 */
export async function readSamples(path: string): Promise<Samples> {
  const bytes = await readBytes(path);
  const { CIFAR_MEAN, CIFAR_STD, parseCifar10, parseCifar100 } = await import("../data/cifar");
  const { normalize } = await import("../data/transforms");
  const records = [CIFAR10, CIFAR100].find((size) => bytes.length > 0 && bytes.length % size === 0);
  if (records === undefined)
    throw new FormatError(
      `${path}: expected records of CIFAR-10 or CIFAR-100, ${CIFAR10} or ${CIFAR100} bytes each, got ${bytes.length} bytes: give test_batch.bin or test.bin of the binary version; \`verify\` of @pan/core/ownership takes any set`,
    );
  const parse = records === CIFAR10 ? parseCifar10 : parseCifar100;
  return { test: parse(bytes, { source: path }), transform: [normalize(CIFAR_MEAN, CIFAR_STD)] };
}
