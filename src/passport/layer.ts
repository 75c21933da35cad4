import { ArgumentError, ShapeError } from "../errors";
import { constant } from "../nn/constant";
import { titleOf } from "../nn/contents";
import { LeakyReLU, Sequential } from "../nn/layers";
import { Linear } from "../nn/linear";
import { Module } from "../nn/module";
import type { Norm } from "../nn/norm";
import { type NormPart, normaliseParts, type PartsOptions } from "../nn/norm-parts";
import { buffer, parameter } from "../nn/registration";
import type { Generator } from "../tensor/random";
import { sameShape, showShape } from "../tensor/shape";
import { keep, scope } from "../tensor/storage";
import { noGrad, Tensor } from "../tensor/tensor";
import type { Branch } from "./branches";
import { passportGammaBeta, passportMeans } from "./closed-form";
import { randomPassport } from "./generators";
import {
  type BranchNorms,
  checked,
  type LinearMap,
  mapName,
  namedNorms,
  outputsOf,
  type PassportLayerOptions,
  passportForm,
} from "./options";
import { type SignLossOptions, signLoss } from "./sign-loss";
import { signatureBits } from "./signature";

/** γ and β of the branch that passports open, each tensor with rows [2, O], γ first. */
export interface GammaBeta {
  /**
   * avg(W * P_γ) and avg(W * P_β): the sign loss acts on γ here, and the signature is read from it.
   */
  readonly raw: Tensor;
  /** What scales and shifts: raw behind the FC, and the same tensor where there is none. */
  readonly rows: Tensor;
}

/** Two passports of a layer, one input of its map each. */
export interface PassportTensors {
  /** P_γ, which gives γ; `skey` in state dicts. */
  readonly gamma: Tensor;
  /** P_β, which gives β; `key` in state dicts. */
  readonly beta: Tensor;
}

/** Two passports of a layer on the host, in our order (channels last, batch 1). */
export interface PassportPair {
  gamma: Float32Array;
  beta: Float32Array;
}

/**
 * A passport around a linear map: y = relu(γ ⊙ norm(W * x) + β), in one or two branches that share
 * W.
 *
 * - `public`: γ = `gamma`, β = `beta`, learned. This is what is deployed.
 * - `private`, or `passport` where it is the only one: γ = FC(avg(W * P_γ)), β = FC(avg(W * P_β))
 *   from the secret passports. FC = Linear(O, O/4) → LeakyReLU(0.01) → Linear(O/4, O), no biases,
 *   one for both. Where the map has a bias, γ_raw and β_raw contain it.
 *
 * Names in state dicts are the authors': `weight`, `scale`, `bias`, `b`, `key_private`,
 * `skey_private`, `bn0`, `bn1` (or `bn`), `fc.0.weight`, `fc.2.weight` of two branches; `key`,
 * `skey`, `b`, `conv.weight` (`linear.weight`) and `bn` of one.
 * Source: Zhang et al., "Passport-aware Normalization for Deep Model Protection", NeurIPS 2020; Fan
 * et al., "DeepIPR", TPAMI 2021.
 *
 * @example
 * const layer = new PassportLayer(new Conv2d(16, 32, 3, { padding: 1, bias: false }), {
 *   inputSize: [8, 8], signature: "ACME", random: new Generator(1),
 * });
 */
export class PassportLayer extends Module {
  /** Learned γ and β of the public branch; null without one. */
  readonly gamma: Tensor | null;
  readonly beta: Tensor | null;
  /** Signature, −1 or +1 a channel. */
  readonly b: Tensor;
  /**
   * The secret inputs; set them with {@link setPassports}, with `requiresGrad` they can be trained.
   */
  readonly passports: PassportTensors;
  /** One for γ and β; null without. */
  readonly fc: Sequential | null;
  readonly #map: LinearMap;
  readonly #norms: BranchNorms;
  readonly #branches: readonly Branch[];
  /** Window means of both passports [2, K], and the versions of the passports that they are of. */
  #means: { readonly value: Tensor; readonly of: string } | null = null;

  /**
   * @throws ArgumentError for a map that is none, options out of their ranges, and a norm that does
   * not go with the channels or the kind of map.
   */
  constructor(map: LinearMap, options: PassportLayerOptions) {
    super();
    const { inputSize, norm, publicBranch, fc, signature, relu, random } = checked(map, options);
    const channels = outputsOf(map);
    this.#map = map;
    this.#branches = publicBranch ? ["public", "private"] : ["passport"];
    this.gamma = publicBranch ? parameter(constant([channels], 1)) : null;
    this.beta = publicBranch ? parameter(constant([channels], 0)) : null;
    this.b = buffer(Tensor.from(signatureBits(signature, channels, random.fork("signature")), [channels]));
    const { shape, layout } = passportForm(map, inputSize);
    const passport = () => buffer(constant(shape, 0), layout);
    this.passports = { gamma: passport(), beta: passport() };
    this.#norms = typeof norm === "string" ? namedNorms(norm, channels, { publicBranch, relu }) : norm;
    this.fc = fc ? sharedFc(channels, random.fork("fc")) : null;
    this.randomPassports(random.fork("passports"));
  }

  /** The linear map. */
  get map(): LinearMap {
    return this.#map;
  }

  /** W. */
  get weight(): Tensor {
    return this.#map.weight;
  }

  get outChannels(): number {
    return outputsOf(this.#map);
  }

  /** Normalisation of each branch; one and the same where they share it. */
  get norms(): readonly [first: Norm, last: Norm] {
    return this.#norms.of;
  }

  /** Branches there are: the public one first, where there is one. */
  get branches(): readonly Branch[] {
    return this.#branches;
  }

  /** The authors' names. */
  override *children(): Iterable<[string, Module]> {
    for (const [i, name] of this.#norms.names.entries()) yield [name, this.#norms.of[i]!];
    if (this.fc) yield ["fc", this.fc];
    const map = this.#map;
    if (!this.gamma) yield [mapName(map), map];
    else if (map.bias) yield [mapName(map), new Bias(map.bias)];
  }

  /** The authors' names. */
  override *tensors(): Iterable<[string, Tensor]> {
    const { gamma, beta, b, passports } = this;
    const end = gamma ? "_private" : "";
    if (gamma && beta) yield* Object.entries({ weight: this.weight, scale: gamma, bias: beta });
    yield* Object.entries({ b, [`key${end}`]: passports.beta, [`skey${end}`]: passports.gamma });
  }

  protected override describe(): string {
    const map = this.#map;
    const inputs = map instanceof Linear ? map.inFeatures : map.inChannels;
    return `${titleOf(map)} ${inputs} → ${this.outChannels}, ${this.#branches.join(" and ")}`;
  }

  /**
   * y of one branch (default: the first). Shape: x [N, …, I] → [N, …, O].
   * @throws ShapeError when x has not the passports' shape; ArgumentError for a branch that the
   * layer does not have.
   */
  forward(x: Tensor, branch: Branch = this.#branches[0]!): Tensor {
    return this.normalise(this.convolve(x), [branch]);
  }

  /**
   * W * x, which branches share when they get the same input.
   * @throws ShapeError as {@link forward}.
   */
  convolve(x: Tensor): Tensor {
    const expected = this.passports.gamma.shape.slice(1);
    if (x.rank !== expected.length + 1 || !sameShape(x.shape.slice(1), expected)) {
      throw new ShapeError(
        `this passport layer takes inputs [N, ${expected.join(", ")}], the shape of its passports; found ${showShape(x.shape)}`,
      );
    }
    return this.#map.forward(x);
  }

  /**
   * relu(γ ⊙ norm(h) + β) with each branch's statistics, γ and β, one branch after the other along
   * the batch. Shape: h [branches · N, …, O], or [N, …, O] where they share it →
   * [branches · N, …, O].
   * @param rows γ and β that the passports give, where they are known already
   * @throws ArgumentError for a branch that the layer does not have.
   */
  normalise(h: Tensor, branches: readonly Branch[], rows?: Tensor, options?: PartsOptions): Tensor {
    return normaliseParts(
      h,
      branches.map((branch) => this.#part(branch, rows)),
      options,
    );
  }

  /**
   * γ and β that the passports give with the weights as they are. Differentiable towards the
   * weights, the FC, and passports with `requiresGrad`.
   */
  gammaBeta(): GammaBeta {
    const raw = this.#raw();
    return { raw, rows: this.fc ? this.fc.forward(raw) : raw };
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
    const raw = scope(() => noGrad(() => this.#average(this.#freshMeans())));
    const both = await raw.data();
    raw.dispose();
    return both.slice(0, this.outChannels);
  }

  /** Fills both passports with fresh random numbers, uniform in [−1, 1). */
  randomPassports(random: Generator): void {
    const fresh = () => randomPassport(this.passports.beta.size, random);
    this.setPassports({ gamma: fresh(), beta: fresh() });
  }

  /**
   * Replaces the passports.
   * @throws ShapeError when either is of another size, and changes nothing then.
   */
  setPassports({ gamma, beta }: PassportPair): void {
    const own = this.passports;
    for (const data of [gamma, beta]) {
      if (data.length === own.gamma.size) continue;
      throw new ShapeError(
        `the passports of this layer are ${showShape(own.gamma.shape)}, ${own.gamma.size} numbers each; found ${data.length}`,
      );
    }
    own.gamma.write(gamma);
    own.beta.write(beta);
  }

  override dispose(): void {
    this.#forgetMeans();
    super.dispose();
  }

  #part(branch: Branch, rows: Tensor | undefined): NormPart {
    const at = this.#branches.indexOf(branch);
    if (at < 0)
      throw new ArgumentError(
        this.gamma
          ? `a passport-aware layer has the branches "public" and "private", not "${branch}"`
          : `this layer works with its passports only and has the one branch "passport", found "${branch}"`,
      );
    const norm = this.#norms.of[at]!;
    if (branch === "public") return { norm, affine: { gamma: this.gamma, beta: this.beta } };
    return { norm, affine: rows ?? this.gammaBeta().rows };
  }

  #raw(): Tensor {
    const { gamma, beta } = this.passports;
    // Passports in training change with every step, and their gradients flow through the means.
    if (gamma.requiresGrad || beta.requiresGrad) return this.#average(this.#freshMeans());
    const of = this.#versions();
    if (this.#means?.of !== of || this.#means.value.buffer.lost) {
      this.#forgetMeans();
      this.#means = { value: keep(this.#freshMeans()), of };
    } else
      gamma.device.underRecording?.follow({
        stale: () =>
          this.#versions() === of
            ? null
            : "the passports of a layer were changed since, and it computes with the old ones: put them back",
      });
    return this.#average(this.#means.value);
  }

  #versions(): string {
    const { gamma, beta } = this.passports;
    return `${gamma.version} ${beta.version}`;
  }

  #freshMeans(): Tensor {
    const { gamma, beta } = this.passports;
    const map = this.#map;
    if (map instanceof Linear) return passportMeans(gamma, beta, map.weight);
    return scope(() => passportMeans(map.padded(gamma), map.padded(beta), map.weight, map.options));
  }

  #average(means: Tensor): Tensor {
    const { weight, bias } = this.#map;
    return passportGammaBeta(means, weight, this.#map instanceof Linear ? 1 : this.#map.groups, bias);
  }

  #forgetMeans(): void {
    this.#means?.value.dispose();
    this.#means = null;
  }
}

/** Holds the map's bias under the name that the authors' layers of two branches have it. */
class Bias extends Module {
  constructor(readonly bias: Tensor) {
    super();
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
