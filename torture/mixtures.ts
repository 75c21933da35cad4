/** Operations on tensors of two devices, for `devices`: each must be refused at the call. */

import { type Device, GpuError, PanError, type Tensor } from "@pan/core";
import * as pan from "../src/tensor";
import { LONGEST_MESSAGE, untyped } from "./part";

type Op = (a: Tensor, b: Tensor) => unknown;

const i32 = (device: Device, length: number): Tensor => pan.Tensor.from(new Int32Array(length), [length], device);

/** By the names of the exports that they try; a and b are 4 × 4, of two devices. */
export const MIXTURES: Readonly<Record<string, Op>> = {
  add: pan.add,
  sub: pan.sub,
  mul: pan.mul,
  div: pan.div,
  maximum: pan.maximum,
  minimum: pan.minimum,
  equal: pan.equal,
  greater: pan.greater,
  greaterEqual: pan.greaterEqual,
  less: pan.less,
  lessEqual: pan.lessEqual,
  where: (a, b) => pan.where(a, b, a),
  matmul: pan.matmul,
  linear: (a, b) => pan.linear(a, b),
  einsum: (a, b) => pan.einsum("ij,jk->ik", a, b),
  concat: (a, b) => pan.concat([a, b], 0),
  stack: (a, b) => pan.stack([a, b], 0),
  conv2d: (a, b) => pan.conv2d(pan.reshape(a, [1, 4, 4, 1]), pan.reshape(b, [4, 4, 1, 1])),
  conv1d: (a, b) => pan.conv1d(pan.reshape(a, [1, 16, 1]), pan.reshape(b, [16, 1, 1])),
  convTranspose2d: (a, b) => pan.convTranspose2d(pan.reshape(a, [1, 4, 4, 1]), pan.reshape(b, [4, 4, 1, 1])),
  mseLoss: pan.mseLoss,
  binaryCrossEntropyWithLogits: pan.binaryCrossEntropyWithLogits,
  crossEntropy: (a, b) => pan.crossEntropy(a, i32(b.device, 4)),
  weightedCrossEntropy: (a, b) =>
    pan.crossEntropy(a, i32(a.device, 4), { weight: pan.reshape(pan.narrow(b, 0, 0, 1), [4]) }),
  nllLoss: (a, b) => pan.nllLoss(a, i32(b.device, 4)),
  correctCount: (a, b) => pan.correctCount(a, i32(b.device, 4)),
  correctRows: (a, b) => pan.correctRows(a, i32(b.device, 4)),
  indexSelect: (a, b) => pan.indexSelect(a, 0, i32(b.device, 2)),
  embedding: (a, b) => pan.embedding(i32(b.device, 2), a),
  scaledDotProductAttention: (a, b) => {
    const [q, k] = [pan.reshape(a, [1, 4, 1, 4]), pan.reshape(b, [1, 4, 1, 4])];
    return pan.scaledDotProductAttention(q, k, k);
  },
  layerNorm: (a, b) => pan.layerNorm(a, [4], { gamma: pan.reshape(pan.narrow(b, 0, 0, 1), [4]) }),
  accumulateAt: (a, b) => pan.accumulateAt(pan.reshape(a, [16]), 0, pan.sum(b)),
  backward: (a, b) => {
    const x = pan.Tensor.from(new Float32Array(16), [4, 4], a.device);
    x.requiresGrad = true;
    pan.square(x).backward(b);
  },
};

/**
 * What is wrong with how an operation meets tensors of two devices; null where it refuses them as
 * it should: at the call and by name, not later and by WebGPU.
 */
export async function mixed(name: string, [a, b]: readonly [Device, Device]): Promise<string | null> {
  const numbers = Float32Array.from({ length: 16 }, (_, i) => i / 16);
  const before = pan.memory().tensors;
  let error: unknown = null;
  pan.scope(() => {
    const [x, y] = [pan.Tensor.from(numbers, [4, 4], a), pan.Tensor.from(numbers, [4, 4], b)];
    try {
      MIXTURES[name]!(x, y);
    } catch (caught) {
      error = caught;
    }
  });
  const late = await Promise.allSettled([a.sync(), b.sync()]);
  if (error === null)
    return late.some((l) => l.status === "rejected") ? "is refused by WebGPU alone, later" : "is not refused";
  if (error instanceof GpuError) return "is refused by WebGPU alone";
  if (!(error instanceof PanError) || error.message.length > LONGEST_MESSAGE) return untyped(error);
  if (!/device/i.test(error.message)) return `is refused for another reason: ${error.message}`;
  return pan.memory().tensors === before ? null : "leaves tensors behind";
}
