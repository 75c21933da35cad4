import { flag, instance, optionsOf, refuse } from "../demand";
import { ArgumentError } from "../errors";
import { isPlain } from "../io/shown";
import { Conv1d, Conv2d } from "../nn/conv";
import { Linear } from "../nn/linear";
import { Norm } from "../nn/norm";
import type { Layout } from "../nn/state";
import { Generator } from "../tensor/random";
import type { Shape } from "../tensor/shape";
import { BRANCH_NORM_NAMES, type BranchNormName, checkNorm, makeNorm, NORM_NAMES } from "./norms";

/** The linear map W * x that a passport is put around. */
export type LinearMap = Conv2d | Conv1d | Linear;

/** Norms of a layer's branches, one and the same where they share it. */
export interface BranchNorms {
  readonly of: readonly [first: Norm, last: Norm];
  /** Names in state dicts: of each, or of the one. */
  readonly names: readonly string[];
}

/** Options of a {@link PassportLayer}. */
export interface PassportLayerOptions {
  /**
   * Size of the layer's input, and so of its passports: [H, W] of a Conv2d, [L] of a Conv1d, the
   * dimensions between batch and channels of a Linear (default none).
   */
  inputSize?: readonly number[];
  /**
   * By name (default `bn`: running statistics of each branch, `bn0` public and `bn1` private), or
   * the norms themselves, without γ and β of their own.
   */
  norm?: BranchNormName | BranchNorms;
  /**
   * A public branch with γ and β of its own, learned, beside the private one (default true, and
   * passport-aware normalisation). Without it the layer works with its passports only (DeepIPR's
   * V1).
   */
  publicBranch?: boolean;
  /**
   * Of two branches: send γ_raw and β_raw through one FC (default true). DeepIPR's V2 and V3 are
   * `norm: "gn", fc: false`.
   */
  fc?: boolean;
  /**
   * Text (or bytes of one that is spread over layers) spelled by the first signs of γ; without one
   * every sign is random.
   */
  signature?: string | Uint8Array;
  /** End in a ReLU (default true); norms that are given decide that themselves. */
  relu?: boolean;
  /** Source of passports, random bits and the FC: whoever knows its seed knows the passports. */
  random: Generator;
}

const OPTIONS = ["inputSize", "norm", "publicBranch", "fc", "signature", "relu", "random"] as const;

/** Options with their defaults, each in its range. */
export function checked(map: LinearMap, options: PassportLayerOptions): Required<PassportLayerOptions> {
  const what = "PassportLayer";
  if (![Conv2d, Conv1d, Linear].some((kind) => map instanceof kind))
    refuse(what, "its map", "a Conv2d, a Conv1d or a Linear", map);
  const given = optionsOf(what, options, OPTIONS);
  const { inputSize = [], norm = "bn", publicBranch = true, relu = true } = given;
  const { fc = publicBranch, signature = "" } = given;
  if (!Array.isArray(inputSize) || !inputSize.every((n) => Number.isSafeInteger(n) && n >= 1))
    refuse(what, "inputSize", "a list of whole numbers from 1", inputSize);
  for (const [name, value] of Object.entries({ publicBranch, fc, relu })) flag(what, name, value);
  if (fc && !publicBranch) throw new ArgumentError(`${what}: the FC belongs to a layer of two branches`);
  if (typeof signature !== "string" && !(signature instanceof Uint8Array))
    refuse(what, "signature", "a text or its bytes", signature);
  const random = instance(what, "random", given.random, Generator);
  if (!isNorms(norm))
    checkNorm(norm, publicBranch ? BRANCH_NORM_NAMES : NORM_NAMES, outputsOf(map), inputSize.length > 0);
  return { inputSize, norm, publicBranch, fc, signature, relu, random };
}

const isNorms = (norm: unknown): norm is BranchNorms =>
  isPlain(norm) && Array.isArray(norm["of"]) && norm["of"].length === 2 && norm["of"].every((n) => n instanceof Norm);

/** The norms of a name. */
export function namedNorms(
  norm: BranchNormName,
  channels: number,
  { publicBranch, relu }: { publicBranch: boolean; relu: boolean },
): BranchNorms {
  const make = () => makeNorm(norm, channels, { affine: false, relu });
  if (publicBranch && norm === "bn") return { of: [make(), make()], names: ["bn0", "bn1"] };
  const one = make();
  return { of: [one, one], names: ["bn"] };
}

/** Outputs of a map. */
export const outputsOf = (map: LinearMap): number => (map instanceof Linear ? map.outFeatures : map.outChannels);

/** Name of a map in state dicts. */
export const mapName = (map: LinearMap): "conv" | "linear" => (map instanceof Linear ? "linear" : "conv");

/**
 * Shape and layout of one input of a map.
 * @throws ArgumentError for a size of another number of axes.
 */
export function passportForm(map: LinearMap, size: readonly number[]): { shape: Shape; layout: Layout } {
  if (map instanceof Linear) return { shape: [1, ...size, map.inFeatures], layout: "same" };
  const plane = map instanceof Conv2d;
  if (size.length !== (plane ? 2 : 1))
    throw new ArgumentError(
      `PassportLayer: inputSize is ${plane ? "[H, W] of a Conv2d" : "[L] of a Conv1d"}, found [${size.join(", ")}]`,
    );
  return { shape: [1, ...size, map.inChannels], layout: plane ? "image" : "sequence" };
}
