import { checkShape, type Shape, sizeOf } from "../tensor/shape";
import { Tensor } from "../tensor/tensor";

/**
 * Every element `value`, from the host: unlike `Tensor.full`'s, it is there whatever becomes of the commands it is given with, so that a step that is
 * lost with an error leaves a fresh network as it was made. @throws ShapeError for a shape that is none.
 */
export function constant(shape: Shape, value: number): Tensor {
  checkShape(shape);
  return Tensor.from(new Float32Array(sizeOf(shape)).fill(value), shape);
}
