import { ArgumentError } from "../errors";
import { constant } from "../nn/constant";
import { LeakyReLU, Sequential } from "../nn/layers";
import { Linear } from "../nn/linear";
import { Module } from "../nn/module";
import { BatchNorm, normaliseParts } from "../nn/norm";
import { parameter } from "../nn/registration";
import type { Generator } from "../tensor/random";
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

export type { Branch, PrivateScales } from "./layer";

/** Normalisation of two branches: `bn` with statistics for each (`bn0` public, `bn1` private), `sbn` with one set (`bn`), or one without running statistics. */
export type BranchNorm = "bn" | "sbn" | StatelessNorm;

const NORMS: readonly BranchNorm[] = ["bn", "sbn", "gn", "in", "ln", "none"];

/** Options of every {@link PassportAware} layer. */
export interface PassportAwareOptions extends PassportLayerOptions {
  /** Default `bn`. */
  norm?: BranchNorm;
  /** Send γ_raw and β_raw through the shared FC (default true). DeepIPR's V2 and V3 are `norm: "gn", fc: false`. */
  fc?: boolean;
  /**
   * Of `norm: "bn"`: running statistics a branch (`separate`, default), or one set `bn0` that both branches use and move, each by its own batches (`shared`), as the authors' 3-D layers.
   */
  statistics?: "separate" | "shared";
}

/** Options of {@link PassportLinear}. */
export interface PassportLinearOptions extends PassportAwareOptions, RowBias {}

/** Options of {@link PassportConv2d}. */
export interface PassportConv2dOptions extends PassportAwareOptions, PlanePlacement {}

/** Options of {@link PassportConv1d}. */
export interface PassportConv1dOptions extends PassportAwareOptions, LinePlacement {}

/**
 * Linear map with passport-aware normalisation: y = relu(γ ⊙ norm(W * x) + β), in two branches that share W.
 *
 * - `public`: γ = `scale`, β = `bias`, learned; statistics `bn0`. This is what is deployed.
 * - `private`: γ = FC(avg(W * P_γ)), β = FC(avg(W * P_β)) from the secret passports `skeyPrivate` and `keyPrivate`; statistics `bn1`.
 *   FC = Linear(O, O/4) → LeakyReLU(0.01) → Linear(O/4, O), no biases, one for both; identity with `fc: false`.
 *
 * Names in state dicts are the authors': `weight`, `scale`, `bias`, `b`, `key_private`, `skey_private`, `bn0`, `bn1` (or `bn`), `fc.0.weight`, `fc.2.weight`.
 * Source: Zhang et al., "Passport-aware Normalization for Deep Model Protection", NeurIPS 2020; without FC, Fan et al., "DeepIPR", TPAMI 2021, schemes V2, V3.
 */
export abstract class PassportAware extends PassportLayer {
  readonly weight: Tensor;
  readonly scale: Tensor;
  readonly bias: Tensor;
  readonly b: Tensor;
  readonly keyPrivate: Tensor;
  readonly skeyPrivate: Tensor;
  /** Statistics of the public branch, of both where they are shared; there with `norm: "bn"` alone, as is `bn1`. */
  readonly bn0: BatchNorm | null;
  /** Statistics of the private branch; null where it shares `bn0`. */
  readonly bn1: BatchNorm | null;
  /** Statistics of both branches; there with `norm: "sbn"` alone. */
  readonly bn: BatchNorm | null;
  /** One for γ and β; null with `fc: false`. */
  readonly fc: Sequential | null;
  readonly #norm: { public: BatchNorm; private: BatchNorm } | StatelessNorm;
  readonly #relu: boolean;

  protected constructor(
    map: PassportMap,
    {
      norm = "bn",
      fc = true,
      relu = true,
      signature = "",
      statistics = "separate",
      init,
      random,
    }: PassportAwareOptions,
  ) {
    super(map);
    const channels = map.outChannels;
    checkNorm(norm, NORMS, channels, map.passport.shape.length > 2);
    this.weight = weightOf(map, { ...(init && { init }), random });
    this.scale = parameter(constant([channels], 1));
    this.bias = parameter(constant([channels], 0));
    this.b = bitsOf(map, signature, random);
    this.keyPrivate = emptyPassport(map);
    this.skeyPrivate = emptyPassport(map);
    const running = () => new BatchNorm(channels, { affine: false, relu });
    this.bn0 = norm === "bn" ? running() : null;
    this.bn1 = norm === "bn" && statistics === "separate" ? running() : null;
    this.bn = norm === "sbn" ? running() : null;
    const open = this.bn0 ?? this.bn;
    const secret = this.bn1 ?? open;
    this.#norm = open && secret ? { public: open, private: secret } : (norm as StatelessNorm);
    this.#relu = relu;
    this.fc = fc ? sharedFc(channels, random.fork("fc")) : null;
    this.randomPassports(random.fork("passports"));
  }

  /**
   * y of one branch.
   * @throws ShapeError when x has not the passports' shape; ArgumentError for a branch that is neither public nor private.
   */
  forward(x: Tensor, branch: Branch = "public"): Tensor {
    return this.normalise(this.convolve(x), branch);
  }

  override normaliseBranches(
    h: Tensor,
    branches: readonly Branch[],
    { shared = false, scales, pool }: BranchesCall = {},
  ): Tensor {
    const secret = () => scales ?? { rows: this.scaleRows().refined };
    const norms: BatchNorm[] = [];
    const affine = branches.map((branch) => {
      if (branch === "passport")
        throw new ArgumentError('a passport-aware layer has the branches "public" and "private", not "passport"');
      if (typeof this.#norm !== "string") norms.push(this.#norm[branch]);
      return branch === "public" ? { gamma: this.scale, beta: this.bias } : secret();
    });
    return typeof this.#norm === "string"
      ? statelessNorm(this.#norm, h, { parts: branches.length, shared, affine }, { relu: this.#relu, pool })
      : normaliseParts(h, norms, { shared, affine, pool });
  }

  override passports(): { skey: Tensor; key: Tensor } {
    return { skey: this.skeyPrivate, key: this.keyPrivate };
  }

  protected override refine(raw: Tensor): Tensor {
    return this.fc ? this.fc.forward(raw) : raw;
  }
}

function sharedFc(channels: number, random: Generator): Sequential {
  const hidden = Math.max(1, Math.floor(channels / 4));
  return new Sequential(
    new Linear(channels, hidden, { bias: false, random }),
    new LeakyReLU(0.01),
    new Linear(hidden, channels, { bias: false, random }),
  );
}

/** {@link PassportAware} convolution. Shape: x [N, H, W, I] → [N, H', W', O]; weight [kH, kW, I/groups, O], passports [1, H, W, I]. */
export class PassportConv2d extends PassportAware {
  constructor(inChannels: number, outChannels: number, kernel: Pair, options: PassportConv2dOptions) {
    super(planeMap(inChannels, outChannels, kernel, options), options);
  }
}

/** {@link PassportAware} convolution over one axis. Shape: x [N, L, I] → [N, L', O]; weight [k, I/groups, O], passports [1, L, I]. */
export class PassportConv1d extends PassportAware {
  constructor(inChannels: number, outChannels: number, kernel: number, options: PassportConv1dOptions) {
    super(lineMap(inChannels, outChannels, kernel, options), options);
  }
}

/** Holds the map's bias under the name the authors' layers have it. */
class Bias extends Module {
  constructor(readonly bias: Tensor) {
    super();
  }
}

/**
 * {@link PassportAware} fully connected layer. Shape: x [N, I] → [N, O]; weight [I, O], passports [1, I]. A bias of the map is `linear.bias` in state dicts.
 */
export class PassportLinear extends PassportAware {
  readonly linear: Bias | null;

  constructor(inFeatures: number, outFeatures: number, options: PassportLinearOptions) {
    const map = rowMap(inFeatures, outFeatures);
    super(map, options);
    const bias = rowBias(map, options);
    this.linear = bias && new Bias(bias);
  }

  protected override get mapBias(): Tensor | null {
    return this.linear?.bias ?? null;
  }
}
