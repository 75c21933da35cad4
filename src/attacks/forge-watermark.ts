import { optionsOf, refuse, text } from "../demand";
import { ArgumentError } from "../errors";
import type { SafetensorsFile } from "../io/safetensors";
import { shown } from "../io/shown";
import { SGD } from "../optim/sgd";
import { checkFile } from "../passport/files";
import { keep, scope } from "../tensor/storage";
import { Tensor } from "../tensor/tensor";
import { embeddingLoss } from "../watermarks/embedding-loss";
import { FeatureWatermark, type WatermarkReading } from "../watermarks/feature";
import { layerWeight, meanFilter } from "../watermarks/weights";

/** Options of {@link forgeWatermark}. */
export interface ForgeWatermarkOptions {
  /** The convolution that the forger claims to have marked. */
  layer: string;
  /** The forger's bits, 0 and 1, or how many random ones. */
  bits: number | ArrayLike<number>;
  /** Steps of gradient descent (default 50, as in the paper). */
  steps?: number;
  /**
   * The most that a step changes a feature X_j·w̄ by: the learning rate of X' times ‖w̄‖² (default
   * 1; the descent is stable below 8).
   */
  lr?: number;
  /** Decides where X starts, and random bits (default 0). */
  seed?: number;
}

/** A watermark that was made for a network after the fact, and what it took. */
export interface ForgedWatermark extends WatermarkReading {
  /** As an owner's own: it can be saved, and read from the network. */
  watermark: FeatureWatermark;
  steps: number;
  /** Everything from the weights to the finished X. */
  seconds: number;
}

/**
 * Forges a feature watermark: for weights as they are, X' is trained from N(0, 1) numbers so that
 * the layer spells the forger's bits,
 *
 *     X' = argmin −Σ_j [b'_j·log y_j + (1 − b'_j)·log(1 − y_j)],   y = σ(X'·w̄)
 *
 * by gradient descent; the gradient of a row is (y_j − b'_j)·w̄, so X' leaves its start along w̄
 * alone, and no training image is needed. The network is not changed.
 *
 * Knowledge: the deployed network and the method. Source: Fan et al., "DeepIPR", TPAMI 2021,
 * section 3.2.1; Uchida et al., ICMR 2017.
 * @throws ArgumentError for steps or a learning rate that are none, bits that are not 0 or 1, or a
 * layer whose filters cancel out; StateDictError for a layer that is not there.
 */
export async function forgeWatermark(
  deployed: SafetensorsFile,
  options: ForgeWatermarkOptions,
): Promise<ForgedWatermark> {
  checkFile(deployed, "forgeWatermark: the deployed network");
  const given = optionsOf("forgeWatermark", options, ["layer", "bits", "steps", "lr", "seed"]);
  const { layer, bits, steps = 50, lr = 1, seed = 0 } = given;
  text("forgeWatermark", "layer", layer);
  if (!Number.isInteger(steps) || steps < 1)
    throw new ArgumentError(`forgeWatermark: steps, a whole number from 1, expected, found ${shown(steps)}`);
  if (!(typeof lr === "number" && lr > 0 && lr < 8))
    refuse("forgeWatermark", "lr", "a learning rate above 0 and below 8", lr);
  const started = performance.now();
  const start = await FeatureWatermark.create({ model: deployed.tensors, layer, bits, seed });
  const mean = meanFilter(await layerWeight(deployed.tensors, layer));
  const norm = mean.reduce((s, v) => s + v * v, 0);
  if (!(norm > 0 && Number.isFinite(norm)))
    throw new ArgumentError(
      `forgeWatermark: the mean filter of layer "${layer}" is 0 or no number, so it cannot spell any bits: choose another layer`,
    );
  const watermark = start.withX(await descended(start, mean, { steps, lr: lr / norm }));
  const seconds = (performance.now() - started) / 1000;
  return { watermark, ...(await watermark.read(deployed.tensors)), steps, seconds };
}

/** X after some steps, w̄ as it is; the order of the columns is the host's in both. */
async function descended(
  start: FeatureWatermark,
  mean: Float64Array,
  { steps, lr }: { steps: number; lr: number },
): Promise<Float32Array<ArrayBuffer>> {
  const [bits, width] = [start.bits, mean.length];
  const x = keep(Tensor.from(start.x, [bits.length, width]));
  x.requiresGrad = true;
  const row = keep(Tensor.from(Float32Array.from(mean), [1, width]));
  const targets = keep(Tensor.from(Float32Array.from(bits), [1, bits.length]));
  const optimizer = new SGD([x], { lr });
  try {
    for (let step = 0; step < steps; step++) {
      scope(() => {
        optimizer.prepare();
        optimizer.zeroGrad();
        embeddingLoss(x, row, targets).backward();
        optimizer.step();
      });
      x.device.flush();
    }
    return await x.data();
  } finally {
    optimizer.dispose();
    for (const t of [x, row, targets]) t.dispose();
  }
}
