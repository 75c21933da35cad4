import { DataLoader } from "../data/loader";
import { checkedParts, type SampleSet, selectSamples } from "../data/sample-set";
import type { SampleTransform } from "../data/samples";
import { isTransforms } from "../data/transform-kinds";
import { instance, optionsOf, unexpected } from "../demand";
import { ArgumentError } from "../errors";
import { inMode } from "../nn/mode";
import type { Module } from "../nn/module";
import { deviceOf } from "../nn/module";
import { duringPass } from "../nn/pass";
import { imagePassports, shufflePassport } from "../passport/generators";
import { isLinearMap } from "../passport/linear-map";
import type { PassportPair } from "../passport/passport";
import { passportShape } from "../passport/place";
import { Protected } from "../passport/protected";
import { expectNetwork, type Network } from "../passport/trace";
import { Generator } from "../tensor/random";
import { sameShape, showShape } from "../tensor/shape";
import { keep, scope } from "../tensor/storage";
import { noGrad, Tensor } from "../tensor/tensor";

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
 * Makes the passports of a network from images, or from point clouds: what the map of each passport
 * is given when the samples go through a trained network of the same structure. Source: Fan et al.,
 * "DeepIPR", TPAMI 2021.
 * @param source the trained network without passports; its maps have the names and input shapes of
 * the model's
 * @param images test images, or the trigger set
 * @throws ArgumentError for options that are none, when the networks differ, the source has
 * passports itself, or there are too few images; no passport is changed then.
 */
export async function setImagePassports(
  model: Protected,
  source: Network,
  images: SampleSet,
  options: ImagePassportOptions,
): Promise<void> {
  const what = "setImagePassports";
  instance(what, "model", model, Protected);
  expectNetwork(what, "source", source);
  checkedParts(`${what}: images`, images);
  const { kind = "shuffle", random, transform = [] } = optionsOf(what, options, ["kind", "random", "transform"]);
  instance(what, "random", random, Generator);
  isTransforms(what, "transform", transform);
  const plain = source instanceof Protected && source.scheme === "plain" ? source.network : source;
  if (plain instanceof Protected)
    throw new ArgumentError(
      `passports are made with a plain network, which has none itself; found one of scheme "${plain.scheme}"`,
    );
  if (kind !== "image" && kind !== "shuffle") unexpected('kind of passports: "image" or "shuffle"', kind);
  const count = kind === "image" ? 2 : CANDIDATES;
  if (images.length < count)
    throw new ArgumentError(`passports of kind "${kind}" take ${count} images, found ${images.length}`);
  const chosen = [...random.fork("images").permutation(images.length)].slice(0, count);
  const inputs = await readInputs(plain, selectSamples(images, chosen), transform);
  const pairs = model.passportSites().map(({ name, place, secret }) => {
    const map = place.weight;
    const [found, own] = [inputs.get(map), passportShape(place).own.slice(1)];
    if (!found || !sameShape(found.shape.slice(1), own))
      throw new ArgumentError(
        `passports are made with a network of the same structure: the input of ${map.replace(/\.weight$/, "")} is ${showShape(own)} here and ${found ? showShape(found.shape.slice(1)) : "not there"} in the other`,
      );
    const { data, shape } = found;
    const maps = imagePassports(data, shape);
    const mixed = (part: string) => shufflePassport(maps, shape[shape.length - 1]!, random.fork(`${name}.${part}`));
    const pair: PassportPair =
      kind === "image" ? { gamma: maps[0]!, beta: maps[1]! } : { gamma: mixed("skey"), beta: mixed("key") };
    return { passport: secret.passport, pair };
  });
  for (const { passport, pair } of pairs) passport.setPassports(pair);
}

/**
 * What all maps of a network are given for some images, on the host, by their weights' names: one
 * that is held in several places is found by each of its own.
 */
async function readInputs(
  source: Network,
  images: SampleSet,
  transform: readonly SampleTransform[],
): Promise<Map<string, { data: Float32Array; shape: readonly number[] }>> {
  const named = source.namedTensors();
  const read = new Map<string, { data: Float32Array; shape: readonly number[] }>();
  for await (const batch of new DataLoader(images, { batchSize: images.length, transform }).epoch(0)) {
    const x = Tensor.from(batch.images, batch.shape, deviceOf(source));
    const inputs = new Map<Tensor, Tensor>();
    const mapped = (map: Module, h: Tensor) => {
      if (!isLinearMap(map)) return;
      inputs.get(map.weight)?.dispose();
      inputs.set(map.weight, keep(h.detach()));
    };
    scope(() => noGrad(() => inMode(source, false, () => void duringPass({ mapped }, () => source.forward(x)))));
    x.dispose();
    for (const [weight, t] of inputs) {
      const given = { data: await t.data(), shape: t.shape };
      for (const [name, own] of named) if (own === weight) read.set(name, given);
      t.dispose();
    }
  }
  return read;
}
