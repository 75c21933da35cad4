import { type HostBatch, toTensors } from "../data/batch";
import { DataLoader } from "../data/loader";
import type { AnySet, SampleTransform } from "../data/samples";
import { optionsOf, refuse, whole } from "../demand";
import { ShapeError } from "../errors";
import type { NonSharedInt32Array } from "../io/typed-arrays";
import { inMode } from "../nn/mode";
import { deviceOf } from "../nn/module";
import type { Branch } from "../passport/branches";
import { asProtected } from "../passport/protected";
import type { Inputs, Network } from "../passport/trace";
import { argmax } from "../tensor/ops/reduce";
import { showShape } from "../tensor/shape";
import { scope } from "../tensor/storage";
import { noGrad, Tensor } from "../tensor/tensor";
import { checkSamples, checkSet } from "./evaluate";

/** Options of {@link predict}. */
export interface PredictOptions {
  /** Default: the branch that is given away. */
  branch?: Branch;
  /** Samples of a pass (default 100); memory grows with it. */
  batchSize?: number;
  /** What is done to each sample; the same normalisation as in training. */
  transform?: readonly SampleTransform[] | undefined;
}

/**
 * The class that a network gives each sample: the place of its largest output, in the set's order.
 * In evaluation mode.
 * @throws ArgumentError when the samples are not the network's, or it has not the branch;
 * ShapeError when it gives anything but one row of outputs per sample.
 */
export async function predict(network: Network, set: AnySet, options?: PredictOptions): Promise<NonSharedInt32Array> {
  const model = asProtected("predict", "its first argument", network);
  checkSet("predict", "its second argument", set);
  const {
    branch = model.branches[0]!,
    batchSize = 100,
    transform = [],
  } = optionsOf("predict", options, ["branch", "batchSize", "transform"]);
  if (!model.branches.includes(branch)) refuse("predict", "branch", `one of ${model.branches.join(", ")}`, branch);
  whole("predict", "batchSize", batchSize);
  const loader = new DataLoader(set, { batchSize: Math.min(batchSize, Math.max(1, set.length)), transform });
  checkSamples(model, set, loader.imageShape, false);
  const d = deviceOf(model);
  const found = new Int32Array(set.length);
  let at = 0;
  for await (const batch of loader.epoch(0)) {
    const [classes] = scope(() =>
      noGrad(() => {
        const { inputs, size } = toTensors(batch as HostBatch, d);
        const outputs: unknown = inMode(model, false, () => model.forward(inputs as Inputs, branch));
        if (!(outputs instanceof Tensor && outputs.rank === 2 && outputs.shape[0] === size))
          throw new ShapeError(
            `predict: outputs [${size}, classes] expected, found ${outputs instanceof Tensor ? showShape(outputs.shape) : "no tensor"}`,
          );
        return [argmax(outputs, 1)];
      }),
    );
    found.set(await classes!.data(), at);
    at += classes!.size;
    classes!.dispose();
  }
  return found;
}
