/**
 * Operations that tensors have as methods, so that networks read as in PyTorch:
 * `x.matmul(w).add(b).relu()`. Each is the function of the same name with the tensor as its first
 * argument; formulas, shapes and errors are with the functions.
 */
export interface TensorMethods<T> {
  /** |x|. */
  abs(): T;
  /** x + b, broadcasting. */
  add(b: T | number): T;
  /** x − b, broadcasting. */
  sub(b: T | number): T;
  /** x · b, broadcasting. */
  mul(b: T | number): T;
  /** x / b, broadcasting. */
  div(b: T | number): T;
  /** −x. */
  neg(): T;
  /** eˣ. */
  exp(): T;
  /** ln x. */
  log(): T;
  /** √x. */
  sqrt(): T;
  /** x². */
  square(): T;
  /** xᵖ for a constant p. */
  pow(p: number): T;
  /** The greater of x and b, broadcasting. */
  maximum(b: T | number): T;
  /** The smaller of x and b, broadcasting. */
  minimum(b: T | number): T;
  /** x kept within bounds. */
  clamp(low: number, high: number): T;
  /** 1 where x > b, else 0. */
  greater(b: T | number): T;
  /** 1 where x < b, else 0. */
  less(b: T | number): T;
  /** 1 where x = b, else 0. */
  equal(b: T | number): T;
  /** max(x, 0). */
  relu(): T;
  /** 1 / (1 + e⁻ˣ). */
  sigmoid(): T;
  /** tanh x. */
  tanh(): T;
  /** exp x / Σ exp x along a dimension, by default the last. */
  softmax(axis?: number): T;
  /** The same elements in another shape, and the same memory; −1 is what is left. */
  reshape(shape: readonly number[] | number): T;
  /** All dimensions from `start` (default 1) in one. */
  flatten(start?: number): T;
  /** Two dimensions exchanged. */
  transpose(a: number, b: number): T;
  /** Dimensions in another order. */
  permute(dims: readonly number[]): T;
  /** Σ x over dimensions, by default all. */
  sum(axes?: number | readonly number[], options?: { readonly keepdim?: boolean | undefined }): T;
  /** The mean over dimensions, by default all. */
  mean(axes?: number | readonly number[], options?: { readonly keepdim?: boolean | undefined }): T;
  /** The variance over dimensions, by default all. */
  variance(
    axes?: number | readonly number[],
    options?: { readonly keepdim?: boolean | undefined; readonly correction?: number | undefined },
  ): T;
  /** The greatest over dimensions, by default all. */
  amax(axes?: number | readonly number[], options?: { readonly keepdim?: boolean | undefined }): T;
  /** The smallest over dimensions, by default all. */
  amin(axes?: number | readonly number[], options?: { readonly keepdim?: boolean | undefined }): T;
  /** The place of the greatest along a dimension. */
  argmax(axis: number, options?: { readonly keepdim?: boolean | undefined }): T;
  /** √(Σ x²). */
  norm(): T;
  /** The product of matrices x · b. */
  matmul(b: T): T;
}
