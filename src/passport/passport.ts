import { ShapeError } from "../errors";
import type { NonSharedFloat32Array } from "../io/typed-arrays";
import { constant } from "../nn/constant";
import { LeakyReLU, Sequential } from "../nn/layers";
import { Linear } from "../nn/linear";
import { Module } from "../nn/module";
import { buffer } from "../nn/registration";
import type { Generator } from "../tensor/random";
import { showShape } from "../tensor/shape";
import { keep, scope } from "../tensor/storage";
import { noGrad, Tensor } from "../tensor/tensor";
import { isTracing } from "../tensor/trace";
import { passportGammaBeta, passportMeans } from "./closed-form";
import { fitsPassportFc, passportFc } from "./fc";
import { randomPassport } from "./generators";
import { type LinearMap, outputsOf } from "./linear-map";
import { unreadChannels } from "./matches";
import { fcHidden, type MapGeometry, passportShape } from "./place";
import { type SignLossOptions, signLoss } from "./sign-loss";
import { signatureBits } from "./signature";

/** γ and β that passports give, each tensor with rows [2, O], γ first. */
export interface GammaBeta {
  /**
   * avg(W * P_γ) and avg(W * P_β): the sign loss acts on γ here, and the signature is read from it.
   */
  readonly raw: Tensor;
  /** What scales and shifts: raw behind the FC, and the same tensor where there is none. */
  readonly rows: Tensor;
}

/** Two passports, one input of the map each. */
export interface PassportTensors {
  /** P_γ, which gives γ; `skey` in state dicts. */
  readonly gamma: Tensor;
  /** P_β, which gives β; `key` in state dicts. */
  readonly beta: Tensor;
}

/** Two passports on the host, in our order (channels last, batch 1). */
export interface PassportPair {
  gamma: Float32Array;
  beta: Float32Array;
}

/** What a {@link Passport} is made with. */
export interface PassportOptions {
  /** Send γ_raw and β_raw through one FC. */
  fc: boolean;
  /** Text, or bytes of one, spelled by the first signs of γ; without one every sign is random. */
  signature: string | Uint8Array;
  /** Source of passports, random bits and the FC: whoever knows its seed knows the passports. */
  random: Generator;
}

/**
 * The secret of one norm: γ = FC(avg(W * P_γ)), β = FC(avg(W * P_β)), with W the weights of a
 * linear map, P_γ and P_β secret inputs of it, and the signature b that the signs of avg(W * P_γ)
 * carry. FC = Linear(O, O/4) → LeakyReLU(0.01) → Linear(O/4, O), no biases, one for both, or none.
 * Where the map has a bias, γ_raw and β_raw contain it.
 *
 * Names in state dicts: `skey`, `key`, `b`, `fc.0.weight`, `fc.2.weight`, as the authors'.
 * Source: Zhang et al., "Passport-aware Normalization for Deep Model Protection", NeurIPS 2020; Fan
 * et al., "DeepIPR", TPAMI 2021.
 */
export class Passport extends Module {
  /** Signature, one −1 or +1 per channel. */
  readonly b: Tensor;
  /**
   * The secret inputs; set them with {@link setPassports}, with `requiresGrad` they can be trained.
   */
  readonly passports: PassportTensors;
  /** One for γ and β; null without. */
  readonly fc: Sequential | null;
  readonly #map: LinearMap;
  /** Window means of both passports [2, K], and the versions of the passports that they are of. */
  #means: { readonly value: Tensor; readonly of: string } | null = null;

  constructor(map: LinearMap, geometry: MapGeometry, { fc, signature, random }: PassportOptions) {
    super();
    this.#map = map;
    const channels = outputsOf(map);
    this.b = buffer(Tensor.from(signatureBits(signature, channels, random.fork("signature")), [channels]));
    const { own, layout } = passportShape(geometry);
    const passport = () => buffer(constant(own, 0), layout);
    this.passports = { gamma: passport(), beta: passport() };
    this.fc = fc ? sharedFc(channels, random.fork("fc")) : null;
    this.randomPassports(random.fork("passports"));
  }

  /** The linear map. */
  get map(): LinearMap {
    return this.#map;
  }

  get channels(): number {
    return this.b.size;
  }

  /** The authors' names. */
  override *tensors(): Iterable<[string, Tensor]> {
    const { b, passports } = this;
    yield* Object.entries({ b, key: passports.beta, skey: passports.gamma });
  }

  /**
   * γ and β with the weights as they are. Differentiable towards the weights, the FC, and passports
   * with `requiresGrad`.
   */
  gammaBeta(): GammaBeta {
    const raw = this.#raw();
    return { raw, rows: this.fc ? throughFc(this.fc, raw) : raw };
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
  async readGamma(): Promise<NonSharedFloat32Array> {
    const raw = scope(() => noGrad(() => this.#average(this.#freshMeans())));
    const both = await raw.data();
    raw.dispose();
    return both.slice(0, this.channels);
  }

  /** Channels whose filter is all zeros, given γ_raw: most networks have no γ of 0 to ask about. */
  async unread(gamma: Float32Array): Promise<number[]> {
    if (!gamma.includes(0)) return [];
    // Outputs are the last axis.
    const [weight, { channels }] = [await this.#map.weight.data(), this];
    return unreadChannels(gamma, weight.length / channels, (o, k) => weight[k * channels + o] === 0);
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

/** Slope of the FC's LeakyReLU below 0. */
const SLOPE = 0.01;

/** In one launch, but for a trace, which is shown the three layers, and for many channels. */
function throughFc(fc: Sequential, raw: Tensor): Tensor {
  const [first, , second] = fc.layers as [Linear, LeakyReLU, Linear];
  const [channels, hidden] = first.weight.shape as [number, number];
  if (isTracing() || !fitsPassportFc(raw.device, channels, hidden)) return fc.forward(raw);
  return passportFc(raw, first.weight, second.weight, SLOPE);
}

function sharedFc(channels: number, random: Generator): Sequential {
  const hidden = fcHidden(channels);
  return new Sequential(
    new Linear(channels, hidden, { bias: false, random }),
    new LeakyReLU(SLOPE),
    new Linear(hidden, channels, { bias: false, random }),
  );
}
