import { DataLoader } from "../data/loader";
import { type SampleSet, selectSamples } from "../data/sample-set";
import type { SampleTransform } from "../data/samples";
import { unexpected } from "../demand";
import { ArgumentError } from "../errors";
import { deviceOf } from "../nn/module";
import { imagePassports, shufflePassport } from "../passport/generators";
import type { PassportPair } from "../passport/layer";
import type { Generator } from "../tensor/random";
import { showShape } from "../tensor/shape";
import { Tensor } from "../tensor/tensor";
import type { Network } from "./network";

/** How {@link setImagePassports} makes passports. */
export interface ImagePassportOptions {
  /**
   * `image`: one image for γ, another for β. `shuffle` (default): the channels of 20 images mixed,
   * as DeepIPR's experiments.
   */
  kind?: "image" | "shuffle";
  /** Which images, and how they are mixed. */
  random: Generator;
  /** What is done to the images; the same as in evaluation. */
  transform?: readonly SampleTransform[];
}

/** Images whose channels are mixed. */
const CANDIDATES = 20;

/**
 * Makes the passports of a network from images, or from point clouds: what each passport layer is
 * given when the samples go through a trained plain network of the same architecture. Source: Fan
 * et al., "DeepIPR", TPAMI 2021.
 * @param source the plain network; its layers have the names and input shapes of the model's
 * @param images test images, or the trigger set
 * @throws ArgumentError when the networks differ or there are too few images; no passport is
 * changed then.
 */
export async function setImagePassports(
  model: Network,
  source: Network,
  images: SampleSet,
  { kind = "shuffle", random, transform = [] }: ImagePassportOptions,
): Promise<void> {
  if (kind !== "image" && kind !== "shuffle") unexpected('kind of passports: "image" or "shuffle"', kind);
  checkSame(model, source);
  const count = kind === "image" ? 2 : CANDIDATES;
  if (images.length < count)
    throw new ArgumentError(`passports of kind "${kind}" take ${count} images, found ${images.length}`);
  const chosen = [...random.fork("images").permutation(images.length)].slice(0, count);
  const candidates = selectSamples(images, chosen);
  const inputs = await readInputs(source, candidates, transform);
  const pairs = model.passportLayers().map(({ name, layer }) => {
    const { data, shape } = inputs.get(name)!;
    const maps = imagePassports(data, shape);
    const mixed = (part: string) => shufflePassport(maps, shape[shape.length - 1]!, random.fork(`${name}.${part}`));
    const pair: PassportPair =
      kind === "image" ? { gamma: maps[0]!, beta: maps[1]! } : { gamma: mixed("skey"), beta: mixed("key") };
    return { layer, pair };
  });
  for (const { layer, pair } of pairs) layer.setPassports(pair);
}

/** Inputs of all layers for some images, on the host. */
async function readInputs(
  source: Network,
  images: SampleSet,
  transform: readonly SampleTransform[],
): Promise<Map<string, { data: Float32Array; shape: readonly number[] }>> {
  const read = new Map<string, { data: Float32Array; shape: readonly number[] }>();
  for await (const batch of new DataLoader(images, { batchSize: images.length, transform }).epoch(0)) {
    const x = Tensor.from(batch.images, batch.shape, deviceOf(source));
    const inputs = source.layerInputs(x);
    x.dispose();
    for (const [name, t] of inputs) {
      read.set(name, { data: await t.data(), shape: t.shape });
      t.dispose();
    }
  }
  return read;
}

function checkSame(model: Network, source: Network): void {
  if (source.config.scheme !== "plain")
    throw new ArgumentError(
      `passports are made with a plain network, this is of scheme "${source.config.scheme}": take a deployed one`,
    );
  const there = new Map(source.layers.map((l) => [l.name, [...l.inputSize, l.inChannels]]));
  for (const { name, inputSize, inChannels } of model.layers) {
    const [own, other] = [[...inputSize, inChannels], there.get(name)];
    if (other && own.every((n, d) => n === other[d])) continue;
    throw new ArgumentError(
      `passports are made with a plain network of the same architecture: the input of ${name} is ${showShape(own)} here and ${other ? showShape(other) : "not there"} in the other`,
    );
  }
}
