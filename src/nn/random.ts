import { instance, whole } from "../demand";
import { Generator } from "../tensor/random";

let source = new Generator(0);
let taken = 0;

/**
 * Seeds the source of initial weights and of dropout for layers that are made without `random` from
 * here on, as PyTorch's `manual_seed`: the same seed and the same layers in the same order give the
 * same numbers. Before the first call the seed is 0. Each such layer draws from a stream of its
 * own. Networks, loaders and trainers have seeds of their own and do not draw from it.
 * @throws ArgumentError if `seed` is not a whole number from 0 to 2⁵³ − 1
 *
 * @example
 * manualSeed(1);
 * const net = new Sequential(new Linear(2, 8), new ReLU(), new Linear(8, 1));
 */
export function manualSeed(seed: number): void {
  source = new Generator(whole("manualSeed", "seed", seed, 0));
  taken = 0;
}

/**
 * The generator of a layer: the one it was given, or the next of the common source. @throws
 * ArgumentError for what is no generator.
 */
export const generatorOf = (what: string, given: Generator | undefined): Generator =>
  given === undefined ? source.fork(taken++) : instance(what, "random", given, Generator);
