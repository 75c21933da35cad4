import { ShapeError } from "../errors";
import { kaimingNormal } from "../nn/init";
import { LeakyReLU, Sequential } from "../nn/layers";
import { Linear } from "../nn/linear";
import { buffer, Module, parameter } from "../nn/module";
import { BatchNorm } from "../nn/norm";
import { conv2d } from "../tensor/ops/conv";
import { reshape } from "../tensor/ops/elementwise";
import { narrow } from "../tensor/ops/movement";
import type { Generator } from "../tensor/random";
import { type Pair, pair, type Shape, sameShape, showShape } from "../tensor/shape";
import { keep, scope } from "../tensor/storage";
import { noGrad, Tensor } from "../tensor/tensor";
import { passportMeans, passportScales } from "./branch";
import { type SignLossOptions, signLoss } from "./sign-loss";
import { signatureBits } from "./signature";

/** Which of the two branches of a passport-aware network to run. */
export type Branch = "public" | "private";

/** Options of {@link PassportConv2d}. */
export interface PassportConv2dOptions {
  stride?: Pair;
  padding?: Pair;
  /** Shape [H, W] of the layer's input: the passports have it. */
  inputSize: readonly [number, number];
  /** Text spelled by the first signs of γ; without one every sign is random. */
  signature?: string;
  random: Generator;
}

/** γ and β of a private branch before and after the shared FC. */
export interface PrivateScales {
  /** γ_raw [O]: what the sign loss acts on and the signature is read from. */
  gammaRaw: Tensor;
  gamma: Tensor;
  beta: Tensor;
}

/**
 * Convolution with passport-aware normalisation: y = relu(γ ⊙ norm(W * x) + β), in two branches that share W.
 *
 * - `public`: γ = `scale`, β = `bias`, learned; statistics `bn0`. This is what is deployed.
 * - `private`: γ = FC(avg(W * P_γ)), β = FC(avg(W * P_β)) from the secret passports `skeyPrivate` and `keyPrivate`; statistics `bn1`.
 *   FC = Linear(O, O/4) → LeakyReLU(0.01) → Linear(O/4, O), no biases, one for both.
 *
 * Shape: x [N, H, W, I] → [N, H', W', O]. Names in state dicts are the authors': `weight`, `scale`, `bias`, `b`, `key_private`, `skey_private`, `bn0`, `bn1`,
 * `fc.0.weight`, `fc.2.weight`. Source: Zhang et al., "Passport-aware Normalization for Deep Model Protection", NeurIPS 2020.
 */
export class PassportConv2d extends Module {
  readonly weight: Tensor;
  readonly scale: Tensor;
  readonly bias: Tensor;
  /** Signature, −1 or +1 a channel. */
  readonly b: Tensor;
  readonly keyPrivate: Tensor;
  readonly skeyPrivate: Tensor;
  readonly bn0: BatchNorm;
  readonly bn1: BatchNorm;
  readonly fc: Sequential;
  readonly #conv: { stride: Pair; padding: Pair };
  /** Window means of both passports [2, kH·kW·I]; made anew when the passports change. */
  #means: Tensor | null = null;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: Pair,
    { stride = 1, padding = 0, inputSize, signature = "", random }: PassportConv2dOptions,
  ) {
    super();
    this.#conv = { stride, padding };
    this.weight = parameter(
      kaimingNormal([...pair(kernel), inChannels, outChannels], random.fork("weight"), { mode: "fanOut" }),
      "conv2d",
    );
    this.scale = parameter(Tensor.full([outChannels], 1));
    this.bias = parameter(Tensor.full([outChannels], 0));
    this.b = buffer(Tensor.from(signatureBits(signature, outChannels, random.fork("signature")), [outChannels]));
    const shape = [1, ...inputSize, inChannels];
    this.keyPrivate = buffer(Tensor.full(shape, 0), "image");
    this.skeyPrivate = buffer(Tensor.full(shape, 0), "image");
    this.bn0 = new BatchNorm(outChannels, { affine: false, relu: true });
    this.bn1 = new BatchNorm(outChannels, { affine: false, relu: true });
    const hidden = Math.max(1, Math.floor(outChannels / 4));
    const fc = random.fork("fc");
    this.fc = new Sequential(
      new Linear(outChannels, hidden, { bias: false, random: fc }),
      new LeakyReLU(0.01),
      new Linear(hidden, outChannels, { bias: false, random: fc }),
    );
    this.randomPassports(random.fork("passports"));
  }

  /** Fills both passports with fresh random numbers, uniform in [−1, 1). */
  randomPassports(random: Generator): void {
    const fresh = () => random.fill(new Float32Array(this.keyPrivate.size), "uniform", -1, 1);
    this.setPassports({ skey: fresh(), key: fresh() });
  }

  /** Replaces the passports (host data in our order, [1, H, W, I]). */
  setPassports({ skey, key }: { skey: Float32Array; key: Float32Array }): void {
    this.skeyPrivate.write(skey);
    this.keyPrivate.write(key);
    this.#forgetMeans();
  }

  /** y of one branch. */
  forward(x: Tensor, branch: Branch = "public"): Tensor {
    return this.normalise(this.convolve(x), branch);
  }

  /** W * x, which both branches share when they get the same input. */
  convolve(x: Tensor): Tensor {
    this.checkInput(x.shape);
    return conv2d(x, this.weight, null, this.#conv);
  }

  /** relu(γ ⊙ norm(h) + β) with the branch's statistics, γ and β. */
  normalise(h: Tensor, branch: Branch, scales?: PrivateScales): Tensor {
    if (branch === "public") return this.bn0.forward(h, { gamma: this.scale, beta: this.bias });
    const { gamma, beta } = scales ?? this.privateScales();
    return this.bn1.forward(h, { gamma, beta });
  }

  /** γ and β that the passports give with the weights as they are. Differentiable towards the weights and the FC. */
  privateScales(): PrivateScales {
    this.#means ??= keep(passportMeans(this.skeyPrivate, this.keyPrivate, this.weight, this.#conv));
    const raw = passportScales(this.#means, this.weight);
    const out = this.fc.forward(raw);
    const row = (t: Tensor, i: number) => reshape(narrow(t, 0, i, 1), [this.outChannels]);
    return { gammaRaw: row(raw, 0), gamma: row(out, 0), beta: row(out, 1) };
  }

  /** Sign loss of γ_raw against the signature. */
  signLoss(gammaRaw: Tensor, options?: SignLossOptions): Tensor {
    return signLoss(gammaRaw, this.b, options);
  }

  /** γ_raw of every channel, read back: its signs are the signature when the passports are the owner's. */
  async readGamma(): Promise<Float32Array<ArrayBuffer>> {
    const raw = scope(() =>
      noGrad(() =>
        passportScales(passportMeans(this.skeyPrivate, this.keyPrivate, this.weight, this.#conv), this.weight),
      ),
    );
    const both = await raw.data();
    raw.dispose();
    return both.slice(0, this.outChannels);
  }

  /** The passports may be others now. */
  protected override loaded(): void {
    this.#forgetMeans();
  }

  override dispose(): void {
    this.#forgetMeans();
    super.dispose();
  }

  #forgetMeans(): void {
    this.#means?.dispose();
    this.#means = null;
  }

  private checkInput(shape: Shape): void {
    const expected = this.keyPrivate.shape.slice(1);
    if (shape.length !== 4 || !sameShape(shape.slice(1), expected)) {
      throw new ShapeError(
        `this passport layer takes inputs [N, ${expected.join(", ")}], the shape of its passports; found ${showShape(shape)}`,
      );
    }
  }
}
