import { ShapeError } from "../errors";
import { constant } from "../nn/constant";
import { kaimingNormal, uniform } from "../nn/init";
import { Module } from "../nn/module";
import type { Affine } from "../nn/norm";
import { buffer, parameter } from "../nn/registration";
import { reshape } from "../tensor/ops/elementwise";
import { narrow } from "../tensor/ops/movement";
import type { Generator } from "../tensor/random";
import { type Shape, sameShape, showShape } from "../tensor/shape";
import { keep, scope } from "../tensor/storage";
import { noGrad, Tensor } from "../tensor/tensor";
import { passportMeans, passportScales } from "./branch";
import { randomPassport } from "./generators";
import type { PassportMap } from "./map";
import { type SignLossOptions, signLoss } from "./sign-loss";
import { signatureBits } from "./signature";

/**
 * Which branch of a network to run: the two of a passport-aware one, or the only one of a network
 * whose passports go with it (`passport`).
 */
export type Branch = "public" | "private" | "passport";

/** γ and β of a passport branch before and after the FC, where there is one. */
export interface PrivateScales {
  /** γ_raw [O]: what the sign loss acts on and the signature is read from. */
  gammaRaw: Tensor;
  gamma: Tensor;
  beta: Tensor;
}

/** The same as rows [2, O], γ first: how the norm and the sign loss take them, without a copy. */
export interface ScaleRows {
  /** γ_raw and β_raw. */
  raw: Tensor;
  /** γ and β; the same tensor where there is no FC. */
  refined: Tensor;
}

/** How {@link PassportLayer.normaliseBranches} takes a batch. */
export interface BranchesCall {
  /**
   * All branches read the same h [N, …]; else theirs lie one after the other in it (default false).
   */
  shared?: boolean;
  /** γ and β of the branch that passports open; computed where they are missing. */
  scales?: Affine | undefined;
  /** End in the maximum of each pool×pool window; of images alone (default 1, no pooling). */
  pool?: number | undefined;
}

/** What passport layers of every kind take. */
export interface PassportLayerOptions {
  /**
   * Text (or bytes of one that is spread over layers) spelled by the first signs of γ; without one
   * every sign is random.
   */
  signature?: string | Uint8Array;
  /** End in a ReLU (default true). */
  relu?: boolean;
  /** Makes the initial weight (default: Kaiming normal, fan-out). */
  init?: (shape: Shape, random: Generator) => Tensor;
  random: Generator;
}

/** Options of passport layers around a fully connected map. */
export interface RowBias {
  /**
   * Learn a bias of the map, W * x + b; γ and β of the passports then contain it: γ_raw = avg(W *
   * P_γ) + b (default false).
   */
  bias?: boolean;
}

/**
 * Two passports of a layer, host data in our order (channels last, batch 1): `skey` gives γ, `key`
 * gives β.
 */
export interface PassportPair {
  skey: Float32Array;
  key: Float32Array;
}

/**
 * What all passport layers share: a linear map W * x, two passports of its input's shape, γ and β
 * from them in closed form, the signature and its loss. Which tensors there are under which names,
 * and which branches they make, is the subclass's.
 */
export abstract class PassportLayer extends Module {
  abstract readonly weight: Tensor;
  /** Signature, −1 or +1 a channel. */
  abstract readonly b: Tensor;
  readonly #map: PassportMap;
  /** Window means of both passports [2, K], and the versions of the passports that they are of. */
  #means: { readonly value: Tensor; readonly of: string } | null = null;

  protected constructor(map: PassportMap) {
    super();
    this.#map = map;
  }

  get inChannels(): number {
    return this.#map.inChannels;
  }

  get outChannels(): number {
    return this.#map.outChannels;
  }

  /** Bias of the map itself, where it has one: part of W * x, and so of γ_raw and β_raw. */
  protected get mapBias(): Tensor | null {
    return null;
  }

  /**
   * The secret inputs themselves: γ from `skey`, β from `key`. Set them with {@link setPassports};
   * with `requiresGrad` they can be trained.
   */
  abstract passports(): { skey: Tensor; key: Tensor };

  /** What becomes of the rows γ_raw and β_raw [2, O] before they scale; nothing by default. */
  protected refine(raw: Tensor): Tensor {
    return raw;
  }

  /**
   * relu(γ ⊙ norm(h) + β) with each branch's statistics, γ and β, one branch after the other along
   * the batch. Shape: h [branches · N, …, O], or [N, …, O] where the branches share it → [branches
   * · N, …, O], pooled where the call says so.
   */
  abstract normaliseBranches(h: Tensor, branches: readonly Branch[], call?: BranchesCall): Tensor;

  /** relu(γ ⊙ norm(h) + β) with the branch's statistics, γ and β. */
  normalise(h: Tensor, branch: Branch, scales?: PrivateScales): Tensor {
    return this.normaliseBranches(h, [branch], { scales });
  }

  /** Fills both passports with fresh random numbers, uniform in [−1, 1). */
  randomPassports(random: Generator): void {
    const fresh = () => randomPassport(this.passports().key.size, random);
    this.setPassports({ skey: fresh(), key: fresh() });
  }

  /**
   * Replaces the passports. @throws ShapeError when either is of another size, and changes nothing
   * then.
   */
  setPassports({ skey, key }: PassportPair): void {
    const own = this.passports();
    for (const data of [skey, key]) {
      if (data.length === own.key.size) continue;
      throw new ShapeError(
        `the passports of this layer are ${showShape(own.key.shape)}, ${own.key.size} numbers each; found ${data.length}`,
      );
    }
    own.skey.write(skey);
    own.key.write(key);
  }

  /** W * x (plus the map's bias), which branches share when they get the same input. */
  convolve(x: Tensor): Tensor {
    this.checkInput(x.shape);
    return this.#map.apply(x, this.weight, this.mapBias);
  }

  /**
   * γ and β that the passports give with the weights as they are. Differentiable towards the
   * weights, the FC, and passports with `requiresGrad`.
   */
  scaleRows(): ScaleRows {
    const raw = this.#raw();
    return { raw, refined: this.refine(raw) };
  }

  /** As {@link scaleRows}, each row a tensor [O] of its own. */
  privateScales(): PrivateScales {
    const { raw, refined } = this.scaleRows();
    const row = (t: Tensor, i: number) => reshape(narrow(t, 0, i, 1), [this.outChannels]);
    const gammaRaw = row(raw, 0);
    return { gammaRaw, gamma: refined === raw ? gammaRaw : row(refined, 0), beta: row(refined, 1) };
  }

  /**
   * Sign loss of γ_raw, alone or the first of its rows, against the signature. @param before is
   * added: the loss of other layers.
   */
  signLoss(gammaRaw: Tensor, options?: SignLossOptions, before?: Tensor | null): Tensor {
    return signLoss(gammaRaw, this.b, options, before);
  }

  /**
   * γ_raw of every channel, read back: its signs are the signature when the passports are the
   * owner's.
   */
  async readGamma(): Promise<Float32Array<ArrayBuffer>> {
    const raw = scope(() => noGrad(() => this.#scales(this.#freshMeans())));
    const both = await raw.data();
    raw.dispose();
    return both.slice(0, this.outChannels);
  }

  override dispose(): void {
    this.#forgetMeans();
    super.dispose();
  }

  #raw(): Tensor {
    const { skey, key } = this.passports();
    // Passports in training change with every step, and their gradients flow through the means.
    if (skey.requiresGrad || key.requiresGrad) return this.#scales(this.#freshMeans());
    const of = this.#versions();
    if (this.#means?.of !== of || this.#means.value.buffer.lost) {
      this.#forgetMeans();
      this.#means = { value: keep(this.#freshMeans()), of };
    } else
      skey.device.underRecording?.follow({
        stale: () =>
          this.#versions() === of
            ? null
            : "the passports of a layer were changed since, and it computes with the old ones: put them back",
      });
    return this.#scales(this.#means.value);
  }

  #versions(): string {
    const { skey, key } = this.passports();
    return `${skey.version} ${key.version}`;
  }

  #freshMeans(): Tensor {
    const { skey, key } = this.passports();
    return passportMeans(skey, key, this.weight, this.#map.options);
  }

  #scales(means: Tensor): Tensor {
    return passportScales(means, this.weight, this.#map.options.groups, this.mapBias);
  }

  #forgetMeans(): void {
    this.#means?.value.dispose();
    this.#means = null;
  }

  private checkInput(shape: Shape): void {
    const expected = this.#map.passport.shape.slice(1);
    if (shape.length !== expected.length + 1 || !sameShape(shape.slice(1), expected)) {
      throw new ShapeError(
        `this passport layer takes inputs [N, ${expected.join(", ")}], the shape of its passports; found ${showShape(shape)}`,
      );
    }
  }
}

const fanOut = (shape: Shape, random: Generator) => kaimingNormal(shape, random, { mode: "fanOut" });

export const weightOf = (
  { weight }: PassportMap,
  { init = fanOut, random }: Pick<PassportLayerOptions, "init" | "random">,
): Tensor => parameter(init(weight.shape, random.fork("weight")), weight.layout);

/** U(±1/√I), as PyTorch's linear layers; null unless asked for. */
export const rowBias = (
  { inChannels, outChannels }: PassportMap,
  { bias = false, random }: RowBias & { random: Generator },
) => (bias ? parameter(uniform([outChannels], random.fork("bias"), 1 / Math.sqrt(inChannels))) : null);

export const bitsOf = ({ outChannels }: PassportMap, signature: string | Uint8Array, random: Generator): Tensor =>
  buffer(Tensor.from(signatureBits(signature, outChannels, random.fork("signature")), [outChannels]));

/** A passport still to be filled. */
export const emptyPassport = ({ passport }: PassportMap): Tensor =>
  buffer(constant(passport.shape, 0), passport.layout);
