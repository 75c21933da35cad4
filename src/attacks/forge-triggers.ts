import { DataLoader } from "../data/loader";
import { checkBytes, type ImageSet, imageSet, selectSamples } from "../data/sample-set";
import { isTransforms } from "../data/transform-kinds";
import type { ImageTransform } from "../data/transforms";
import { callable, optionsOf, refuse, whole } from "../demand";
import type { SafetensorsFile } from "../io/safetensors";
import { deviceOf } from "../nn/module";
import { Adam } from "../optim/adam";
import { outputCount, type TriggerHits } from "../ownership/running/triggers";
import { checkFile } from "../passport/files";
import { asProtected, type Protected } from "../passport/protected";
import type { Network } from "../passport/trace";
import { add, affine } from "../tensor/ops/elementwise";
import { crossEntropy } from "../tensor/ops/loss";
import { Generator } from "../tensor/random";
import { keep, scope } from "../tensor/storage";
import { noGrad, Tensor } from "../tensor/tensor";
import { checkImages } from "../train/evaluate";
import { detectTriggers } from "../watermarks/trigger-set";
import { pixelRounding } from "./pixels";
import { victim } from "./victim";

/** Options of {@link forgeTriggers}. */
export interface ForgeTriggersOptions {
  /** Images to choose the base images from; their labels are not looked at. */
  base: ImageSet;
  /** How many triggers to forge (default 100, or all images there are). */
  count?: number;
  /** The network's own normalisation, as at test time. */
  transform?: readonly ImageTransform[];
  /** η, which keeps the noise invisible (default 0.04, as in the paper). */
  eta?: number;
  /** Steps of each image's noise (default 100, as in the paper). */
  steps?: number;
  /** Learning rate of Adam (default 0.1). */
  lr?: number;
  /** Images that go through the network together (default 100). */
  batchSize?: number;
  /** Decides base images, labels and the noise's start (default 0). */
  seed?: number;
  /** Makes the network, where it is none of this package. */
  model?: () => Network;
}

/**
 * A trigger set that was made for a network after the fact, what it reaches as stored, and what it
 * took.
 */
export interface ForgedTriggers extends TriggerHits {
  /** The forged images, bytes as any other set's, with the forger's labels. */
  triggers: ImageSet;
  /** Mean change of a byte against the base images, in bytes. */
  change: number;
  steps: number;
  /** Everything from the base images to the finished set. */
  seconds: number;
}

/**
 * Forges a trigger set: noise on some base images is trained, all weights frozen and the network in
 * evaluation mode, until the images are classified as random labels say,
 *
 *     X_T = X_b + η·X_n,   X_n = argmin CE(f(X_T), y_T),   X_n from N(0, 1)
 *
 * X_b and X_n are in the space that the network sees, after `transform`. The finished images are
 * rounded to the bytes that an image set holds, which clips them to 0 … 255; `hits` counts what the
 * network makes of these bytes. The network is not changed, and no training image is needed. The
 * paper does not name its optimiser; Adam (β 0.9, 0.999) is ours.
 *
 * Knowledge: the deployed network. Source: Fan et al., "DeepIPR", TPAMI 2021, section 3.2.2; Adi et
 * al., USENIX Security 2018.
 * @throws ArgumentError for counts, rates or images that do not fit, or transforms that do more
 * than map pixel values; FormatError, StateDictError when the file is no deployed network;
 * ShapeError for a network that gives anything but a row of two outputs or more.
 */
export async function forgeTriggers(deployed: SafetensorsFile, options: ForgeTriggersOptions): Promise<ForgedTriggers> {
  const { base, transform = [], steps = 100, seed = 0 } = optionsOf("forgeTriggers", options, NAMES);
  checkBytes("forgeTriggers", base);
  checkFile(deployed, "forgeTriggers: the deployed network");
  const count = options.count ?? Math.min(100, base.length);
  checkOptions({ ...options, count, steps });
  const network = victim({ deployed, ...(options.model && { model: options.model }) });
  const model = asProtected("forgeTriggers", "the network", network);
  try {
    model.freeze();
    const started = performance.now();
    const random = new Generator(seed).fork("forged triggers");
    checkImages(model, base, undefined, false);
    const start = chosen(base, count, await outputCount(model, base, transform), random);
    const round = pixelRounding(start, transform);
    const pixels = await disguised(model, start, { ...options, steps, random: random.fork("noise") });
    const triggers = { ...start, images: round(pixels) };
    const seconds = (performance.now() - started) / 1000;
    const change = start.images.reduce((s, v, i) => s + Math.abs(v - triggers.images[i]!), 0) / start.images.length;
    return { triggers, ...(await detectTriggers(model, triggers, { transform })), change, steps, seconds };
  } finally {
    model.dispose();
  }
}

/** Random base images with random labels of as many classes as the network has outputs. */
function chosen(base: ImageSet, count: number, classes: number, random: Generator): ImageSet {
  const images = selectSamples(base, random.fork("images").permutation(base.length).subarray(0, count));
  const drawn = random.fork("labels");
  const labels = Int32Array.from({ length: count }, () => drawn.integer(classes));
  const names = Array.from({ length: classes }, (_, i) => `class ${i}`);
  return imageSet({ ...images, labels, classes: base.classes.length === classes ? base.classes : names });
}

/** The images with their trained noise, in the network's space, channels last. */
async function disguised(
  model: Protected,
  start: ImageSet,
  options: ForgeTriggersOptions & { steps: number; random: Generator },
): Promise<Float32Array> {
  const { transform = [], batchSize = 100, eta = 0.04, lr = 0.1, steps, random } = options;
  const out = new Float32Array(start.images.length);
  let at = 0;
  // In evaluation mode no image sees another: batches are for memory alone.
  for await (const { images, labels, shape, size } of new DataLoader(start, { batchSize, transform }).epoch(0)) {
    const d = deviceOf(model);
    const x = keep(Tensor.from(images, shape, d));
    const y = keep(Tensor.from(labels, [size], d));
    const noise = keep(Tensor.from(random.fill(new Float32Array(x.size), "normal"), shape, d));
    noise.requiresGrad = true;
    const optimizer = new Adam([noise], { lr });
    const shown = () => add(x, affine(noise, eta));
    try {
      for (let step = 0; step < steps; step++) {
        scope(() => {
          optimizer.prepare();
          optimizer.zeroGrad();
          crossEntropy(model.forward(shown()) as Tensor, y).backward();
          optimizer.step();
        });
        x.device.flush();
      }
      const finished = noGrad(() => keep(scope(shown)));
      out.set(await finished.data().finally(() => finished.dispose()), at);
      at += x.size;
    } finally {
      optimizer.dispose();
      for (const t of [x, y, noise]) t.dispose();
    }
  }
  return out;
}

const NAMES = ["base", "count", "transform", "eta", "steps", "lr", "batchSize", "seed", "model"] as const;

function checkOptions(options: ForgeTriggersOptions & { count: number; steps: number }): void {
  const { base, count, steps, eta = 0.04, lr = 0.1, batchSize = 100, seed = 0, transform = [], model } = options;
  const what = "forgeTriggers";
  if (!Number.isInteger(count) || count < 1 || count > base.length)
    refuse(what, "count", `a whole number from 1 to ${base.length}, the base images`, count);
  whole(what, "steps", steps);
  whole(what, "batchSize", batchSize);
  whole(what, "seed", seed, 0);
  for (const [name, value] of Object.entries({ eta, lr }))
    if (!(typeof value === "number" && value > 0 && Number.isFinite(value)))
      refuse(what, name, "a finite number above 0", value);
  isTransforms(what, "transform", transform);
  if (model !== undefined) callable(what, "model", model);
}
