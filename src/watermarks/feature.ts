import { checkOptions, numbers, refuse, text } from "../demand";
import { disposal } from "../disposal";
import { ArgumentError, FormatError, StateDictError } from "../errors";
import { toFloat32 } from "../io/host-tensor";
import type { SafetensorsFile } from "../io/safetensors";
import { shown } from "../io/shown";
import type { NonSharedFloat32Array, NonSharedUint8Array } from "../io/typed-arrays";
import { Module } from "../nn/module";
import { isSeed } from "../ownership/check";
import { binomialPValue } from "../ownership/statistics";
import { checkFile } from "../passport/files";
import { matchedBits } from "../passport/matches";
import { Generator } from "../tensor/random";
import { sameShape, showShape } from "../tensor/shape";
import { keep } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { embeddingLoss, meanFilterRow, uploadMatrix } from "./embedding-loss";
import { layerTensor, layerWeight, meanFilter, type WeightSource } from "./weights";

/** Most numbers of X: what one buffer holds everywhere. */
const MOST_NUMBERS = 2 ** 25;
const FORMAT = "pan-feature-watermark-1";

/** What a {@link FeatureWatermark} is made of. */
export interface FeatureWatermarkOptions {
  /**
   * The network whose weights shall carry the bits, or their state dict: the layer's shape is taken
   * from it.
   */
  model: WeightSource;
  /** Name of a convolution in state dicts, such as `features.4`. */
  layer: string;
  /** The bits, 0 and 1, or how many random ones. */
  bits: number | ArrayLike<number>;
  /** Decides X, and random bits: whoever knows it has the watermark. */
  seed: number;
  /** λ, the weight of the loss (default 0.01, as in the paper). */
  lambda?: number;
}

/** What a network's weights say of a watermark. */
export interface WatermarkReading {
  /** Bits there are, and how many are read as embedded. */
  bits: number;
  matched: number;
  /** P(X ≥ matched), X ~ Bin(bits, ½). */
  pValue: number;
  /** X·w̄, a number per bit: its sign is the bit. */
  features: Float64Array;
}

/** A feature watermark's own numbers. X is [bits, I·kH·kW], row by row. */
interface Secret {
  layer: string;
  /** Inputs, height and width of the layer's filters. */
  filter: readonly [inputs: number, height: number, width: number];
  bits: NonSharedUint8Array;
  x: NonSharedFloat32Array;
  lambda: number;
}

/**
 * The feature watermark of Uchida et al.: bits in the weights of one convolution, read with a
 * secret matrix X.
 *
 *     y = σ(X·w̄),   w̄ = mean over the layer's filters,   R = −λ·Σ_j [b_j·log y_j + (1 − b_j)·log(1 − y_j)]
 *
 * Shapes: W [O, I, kH, kW] → w̄ [I·kH·kW]; X [bits, I·kH·kW], N(0, 1). R is added to the training
 * loss; the sum over the bits and λ = 0.01 are the paper's, and what its authors' code computes. A
 * feature above 0 is a 1, one below 0 a 0; a 0, or what is no number, matches neither.
 *
 * Nothing ties X to the network: `forgeWatermark` finds another X' for any bits in a moment. It is
 * here to be compared with.
 *
 * Source: Uchida, Nagai, Sakazawa, Satoh, "Embedding watermarks into deep neural networks", ICMR
 * 2017; attacked in Fan et al., "DeepIPR", TPAMI 2021, section 3.2.1.
 *
 * @example
 * const mark = await FeatureWatermark.create({ model, layer: "features.4", bits: 256, seed: 7 });
 * const trainer = new Trainer(model, optimizer, { regularizer: (m) => mark.loss(m) });
 * … await mark.read(model) … saveSafetensors("mark.safetensors", mark.toFile()) … mark.dispose();
 */
export class FeatureWatermark {
  readonly #secret: Secret;
  /** X and the bits on the device, from the first loss on. */
  #uploaded: { x: Tensor; targets: Tensor } | null = null;

  private constructor(secret: Secret) {
    this.#secret = secret;
  }

  /**
   * A new secret for a layer.
   * @throws ArgumentError for a layer that is not there, no bits, bits that are not 0 or 1, or a λ
   * that is not above 0; StateDictError as {@link read}.
   */
  static async create(options: FeatureWatermarkOptions): Promise<FeatureWatermark> {
    checkOptions("FeatureWatermark.create", options, {
      model: (what, name, v) =>
        v instanceof Module || v instanceof Map || refuse(what, name, "a network or a state dict", v),
      layer: text,
      bits: (what, name, v) => (typeof v === "number" ? undefined : numbers(what, name, v)),
      seed: isSeed,
      lambda: (what, name, v) => numbers(what, name, [v]),
    });
    const { model, layer, bits, seed, lambda = 0.01 } = options;
    for (const name of ["model", "layer", "bits", "seed"] as const)
      if (options[name] === undefined) refuse("FeatureWatermark.create", name, "given", undefined);
    const filter = (await layerWeight(model, layer)).shape.slice(1) as unknown as Secret["filter"];
    const random = new Generator(seed).fork("feature watermark");
    const own = typeof bits === "number" ? randomBits(bits, random.fork("bits")) : checkedBits(bits);
    if (!(lambda > 0 && Number.isFinite(lambda)))
      throw new ArgumentError(`lambda: a finite number above 0 expected, found ${lambda}`);
    if (own.length * filter[0] * filter[1] * filter[2] > MOST_NUMBERS)
      throw new ArgumentError(
        `bits: ${own.length} of them over filters of ${showShape(filter)} are more than the ${MOST_NUMBERS} numbers that X may have`,
      );
    const x = random.fork("X").fill(new Float32Array(own.length * filter[0] * filter[1] * filter[2]), "normal");
    return new FeatureWatermark({ layer, filter, bits: own, x, lambda });
  }

  /**
   * The secret in a file that {@link toFile} made.
   * @throws FormatError when it is something else, or its parts do not agree.
   */
  static from(file: SafetensorsFile): FeatureWatermark {
    checkFile(file, "FeatureWatermark.from");
    const { tensors, metadata } = file;
    const refuse = (what: string): never => {
      throw new FormatError(`a feature watermark (${FORMAT}) expected, found ${what}: give the owner's file`);
    };
    if (metadata["format"] !== FORMAT) refuse(`format ${metadata["format"] ? shown(metadata["format"]) : "none"}`);
    const [x, bits, layer] = [tensors.get("x"), tensors.get("bits"), metadata["layer"] ?? ""];
    if (!x || x.shape.length !== 4 || !bits || bits.shape.length !== 1 || bits.shape[0] !== x.shape[0])
      return refuse("no x of shape [bits, I, kH, kW] with as many bits");
    const lambda = decimal(metadata["lambda"]);
    const [values, numbers] = [toFloat32(bits), Float32Array.from(toFloat32(x))];
    const whole = x.data.length > 0 && values.every((b) => b === 0 || b === 1);
    if (!whole || layer === "" || !(lambda > 0 && Number.isFinite(lambda)))
      return refuse(`layer ${shown(layer)}, lambda ${shown(metadata["lambda"])}, or bits that are not 0 and 1`);
    if (!numbers.every(Number.isFinite)) return refuse("an x with numbers that are not finite");
    const filter = x.shape.slice(1) as unknown as Secret["filter"];
    return new FeatureWatermark({
      layer,
      filter,
      bits: Uint8Array.from(values),
      x: numbers,
      lambda,
    });
  }

  get layer(): string {
    return this.#secret.layer;
  }

  /** λ. */
  get lambda(): number {
    return this.#secret.lambda;
  }

  /** The bits, 0 and 1; a copy. */
  get bits(): NonSharedUint8Array {
    return this.#secret.bits.slice();
  }

  /** X, [bits, I·kH·kW] row by row, channels outermost; a copy. */
  get x(): NonSharedFloat32Array {
    return this.#secret.x.slice();
  }

  /**
   * The same layer and bits under another X.
   * @throws ArgumentError when X has another number of entries.
   */
  withX(x: NonSharedFloat32Array): FeatureWatermark {
    if (x.length !== this.#secret.x.length)
      throw new ArgumentError(`X: ${this.#secret.x.length} entries expected, found ${x.length}`);
    return new FeatureWatermark({ ...this.#secret, x: x.slice() });
  }

  /**
   * R for the network's weights as they are, of shape [], differentiable towards them: the
   * regularizer of a trainer. X stays on the device until {@link dispose}.
   * @throws ArgumentError when the network has no such layer; StateDictError when its filters have
   * another shape.
   */
  loss(model: Module): Tensor {
    const { layer, lambda, filter, bits } = this.#secret;
    const weight = layerTensor(model, layer);
    const [h, w, i] = weight.shape;
    this.#checkFilter([i!, h!, w!]);
    this.#uploaded ??= {
      x: keep(uploadMatrix(this.#secret.x, bits.length, filter)),
      targets: keep(Tensor.from(Float32Array.from(bits), [1, bits.length])),
    };
    return embeddingLoss(this.#uploaded.x, meanFilterRow(weight), this.#uploaded.targets, lambda);
  }

  /**
   * Reads the bits from weights; computed on the host, no device is needed for a state dict.
   * @throws ArgumentError when a network has no such layer; StateDictError when a state dict has
   * none, or its filters have another shape.
   */
  async read(source: WeightSource): Promise<WatermarkReading> {
    const { layer, bits, x } = this.#secret;
    const weight = await layerWeight(source, layer);
    this.#checkFilter(weight.shape.slice(1));
    const mean = meanFilter(weight);
    const features = Float64Array.from(bits, (_, j) => mean.reduce((s, v, i) => s + x[j * mean.length + i]! * v, 0));
    const matched = matchedBits(
      features,
      Array.from(bits, (bit) => 2 * bit - 1),
    );
    return { bits: bits.length, matched, pValue: binomialPValue(matched, bits.length), features };
  }

  /** The secret as a file: whoever has it can read the watermark. */
  toFile(): SafetensorsFile {
    const { layer, filter, bits, x, lambda } = this.#secret;
    return {
      tensors: new Map([
        ["x", { dtype: "F32", shape: [bits.length, ...filter], data: x.slice() }],
        ["bits", { dtype: "U8", shape: [bits.length], data: bits.slice() }],
      ]),
      metadata: { format: FORMAT, layer, lambda: String(lambda) },
    };
  }

  /** As {@link dispose}, at the end of a block (`using`). */
  [disposal](): void {
    this.dispose();
  }

  /** Frees what {@link loss} put on the device; the secret stays. */
  dispose(): void {
    this.#uploaded?.x.dispose();
    this.#uploaded?.targets.dispose();
    this.#uploaded = null;
  }

  #checkFilter(found: readonly number[]): void {
    const { filter, layer } = this.#secret;
    if (sameShape(found, filter)) return;
    throw new StateDictError(
      `the watermark is for filters of [I, kH, kW] = ${showShape(filter)}; those of layer "${layer}" are ${showShape(found)}: this is another network`,
    );
  }
}

/** A number as JavaScript writes it; NaN for any other text, which `Number` would take for one. */
const decimal = (text: string | undefined): number => {
  const value = Number(text);
  return text === String(value) ? value : Number.NaN;
};

function randomBits(count: number, random: Generator): NonSharedUint8Array {
  if (!Number.isInteger(count) || count < 1 || count > MOST_NUMBERS)
    throw new ArgumentError(
      `bits: a whole number from 1 to ${MOST_NUMBERS}, or a list of 0 and 1, expected, found ${count}`,
    );
  return Uint8Array.from(random.bits(count));
}

function checkedBits(bits: ArrayLike<number>): NonSharedUint8Array {
  const list = Array.from(bits);
  const wrong = list.find((b) => b !== 0 && b !== 1);
  if (list.length === 0 || wrong !== undefined)
    throw new ArgumentError(`bits: one or more, each 0 or 1, expected, found ${wrong ?? "none"}`);
  return Uint8Array.from(list);
}
