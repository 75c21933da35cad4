import { type Shape, sizeOf } from "../tensor/shape";
import { Tensor } from "../tensor/tensor";

/**
 * Every element `value`, from the host: unlike `Tensor.full`'s, it is there whatever becomes of the
 * commands it is given with, so that a step that is lost with an error leaves a fresh network as it
 * was made.
 * @throws ShapeError for a shape that is none, LimitError when the device cannot hold it.
 */
export function constant(shape: Shape, value: number): Tensor {
  // The device's word first: the host might find room for what the device cannot hold.
  const t = Tensor.empty(shape);
  t.write(new Float32Array(sizeOf(shape)).fill(value));
  return t;
}
