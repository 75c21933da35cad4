/**
 * Gives tensors the operations of {@link TensorMethods}. A module of its own, which every entry of
 * the package loads: operations import the class, and the class cannot import them.
 */
import type { TensorMethods } from "./method-types";
import {
  abs,
  add,
  clamp,
  div,
  equal,
  exp,
  flatten,
  greater,
  less,
  log,
  maximum,
  minimum,
  mul,
  neg,
  pow,
  relu,
  reshape,
  sigmoid,
  sqrt,
  square,
  sub,
  tanh,
} from "./ops/elementwise";
import { permute, transpose } from "./ops/movement";
import { matmul } from "./ops/products/matmul";
import { amax, amin, argmax, mean, norm, sum, variance } from "./ops/reduce";
import { softmax } from "./ops/softmax";
import { Tensor } from "./tensor";

/** Operations by their names, the tensor first. */
type Operations = { [K in keyof TensorMethods<Tensor>]: (x: Tensor, ...rest: never[]) => Tensor };

/** Every operation that is a method. */
export const METHODS: Operations = {
  abs,
  add,
  sub,
  mul,
  div,
  neg,
  exp,
  log,
  sqrt,
  square,
  pow,
  maximum,
  minimum,
  clamp,
  greater,
  less,
  equal,
  relu,
  sigmoid,
  tanh,
  softmax,
  reshape,
  flatten,
  transpose,
  permute,
  sum,
  mean,
  variance,
  amax,
  amin,
  argmax,
  norm,
  matmul,
};

for (const [name, operation] of Object.entries(METHODS))
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...rest: never[]) {
      return operation(this, ...rest);
    },
    writable: true,
    configurable: true,
  });
