import { ArgumentError } from "../errors";
import { Module } from "../nn/module";
import { BatchNorm, normaliseParts } from "../nn/norm";
import type { Pair } from "../tensor/shape";
import type { Tensor } from "../tensor/tensor";
import {
  type Branch,
  type BranchesCall,
  bitsOf,
  emptyPassport,
  PassportLayer,
  type PassportLayerOptions,
  type RowBias,
  rowBias,
  weightOf,
} from "./layer";
import { type LinePlacement, lineMap, type PassportMap, type PlanePlacement, planeMap, rowMap } from "./map";
import { checkNorm, type StatelessNorm, statelessNorm } from "./norm";

/** Normalisation of the only branch: batch norm (`bn`), or one without running statistics. */
export type OnlyNorm = "bn" | StatelessNorm;

const NORMS: readonly OnlyNorm[] = ["bn", "gn", "in", "ln", "none"];

/** Options of every {@link PassportOnly} layer. */
export interface PassportOnlyOptions extends PassportLayerOptions {
  /** Default `bn`. */
  norm?: OnlyNorm;
}

/** Options of {@link PassportOnlyLinear}. */
export interface PassportOnlyLinearOptions extends PassportOnlyOptions, RowBias {}

/** Options of {@link PassportOnlyConv2d}. */
export interface PassportOnlyConv2dOptions extends PassportOnlyOptions, PlanePlacement {}

/** Options of {@link PassportOnlyConv1d}. */
export interface PassportOnlyConv1dOptions extends PassportOnlyOptions, LinePlacement {}

/** Holds the weight, and a bias, under the names the authors' layers have them. */
class Weight extends Module {
  constructor(
    readonly weight: Tensor,
    readonly bias: Tensor | null = null,
  ) {
    super();
  }
}

/**
 * Linear map that works with its passports only: y = relu(γ ⊙ norm(W * x) + β), γ = avg(W * P_γ) from `skey`, β = avg(W * P_β) from `key`.
 *
 * There is one branch, `passport`; the passports are given away with the network. Names in state dicts: `key`, `skey`, `b`, `conv.weight` (`linear.weight`
 * for a fully connected layer), and `bn.*`. Source: Fan et al., "DeepIPR", TPAMI 2021, scheme V1.
 */
export abstract class PassportOnly extends PassportLayer {
  readonly b: Tensor;
  readonly key: Tensor;
  readonly skey: Tensor;
  /** Running statistics; there with `norm: "bn"` alone. */
  readonly bn: BatchNorm | null;
  readonly #norm: BatchNorm | StatelessNorm;
  readonly #relu: boolean;

  protected constructor(map: PassportMap, { norm = "bn", relu = true, signature = "", random }: PassportOnlyOptions) {
    super(map);
    checkNorm(norm, NORMS, map.outChannels, map.passport.shape.length > 2);
    this.b = bitsOf(map, signature, random);
    this.key = emptyPassport(map);
    this.skey = emptyPassport(map);
    this.bn = norm === "bn" ? new BatchNorm(map.outChannels, { affine: false, relu }) : null;
    this.#norm = this.bn ?? (norm as StatelessNorm);
    this.#relu = relu;
    this.randomPassports(random.fork("passports"));
  }

  /**
   * y.
   * @throws ShapeError when x has not the passports' shape; ArgumentError for another branch than `passport`.
   */
  forward(x: Tensor, branch: Branch = "passport"): Tensor {
    return this.normalise(this.convolve(x), branch);
  }

  override normaliseBranches(h: Tensor, branches: readonly Branch[], { scales, pool }: BranchesCall = {}): Tensor {
    if (branches.length !== 1 || branches[0] !== "passport")
      throw new ArgumentError(
        `this layer works with its passports only and has the one branch "passport", found "${branches.join('", "')}"`,
      );
    const norm = this.#norm;
    const affine = [scales ?? { rows: this.scaleRows().refined }];
    return typeof norm === "string"
      ? statelessNorm(norm, h, { parts: 1, shared: false, affine }, { relu: this.#relu, pool })
      : normaliseParts(h, [norm], { affine, pool });
  }

  override passports(): { skey: Tensor; key: Tensor } {
    return { skey: this.skey, key: this.key };
  }
}

/** {@link PassportOnly} with the weight named as a convolution's. */
abstract class PassportOnlyConv extends PassportOnly {
  readonly conv: Weight;

  protected constructor(map: PassportMap, options: PassportOnlyOptions) {
    super(map, options);
    this.conv = new Weight(weightOf(map, options));
  }

  get weight(): Tensor {
    return this.conv.weight;
  }
}

/** {@link PassportOnly} convolution. Shape: x [N, H, W, I] → [N, H', W', O]; weight [kH, kW, I/groups, O], passports [1, H, W, I]. */
export class PassportOnlyConv2d extends PassportOnlyConv {
  constructor(inChannels: number, outChannels: number, kernel: Pair, options: PassportOnlyConv2dOptions) {
    super(planeMap(inChannels, outChannels, kernel, options), options);
  }
}

/** {@link PassportOnly} convolution over one axis. Shape: x [N, L, I] → [N, L', O]; weight [k, I/groups, O], passports [1, L, I]. */
export class PassportOnlyConv1d extends PassportOnlyConv {
  constructor(inChannels: number, outChannels: number, kernel: number, options: PassportOnlyConv1dOptions) {
    super(lineMap(inChannels, outChannels, kernel, options), options);
  }
}

/** {@link PassportOnly} fully connected layer. Shape: x [N, I] → [N, O]; weight [I, O], passports [1, I]; a bias of the map is `linear.bias` in state dicts. */
export class PassportOnlyLinear extends PassportOnly {
  readonly linear: Weight;

  constructor(inFeatures: number, outFeatures: number, options: PassportOnlyLinearOptions) {
    const map = rowMap(inFeatures, outFeatures);
    super(map, options);
    this.linear = new Weight(weightOf(map, options), rowBias(map, options));
  }

  get weight(): Tensor {
    return this.linear.weight;
  }

  protected override get mapBias(): Tensor | null {
    return this.linear.bias;
  }
}
