import { ShapeError } from "../../errors";
import { sizeOf, stridesOf } from "../shape";
import { record, type Tensor } from "../tensor";
import { copyRegion } from "./strided";

/**
 * The slices x[0], x[1], … along the first dimension, each a tensor of its own. Shape: [n, …] → n
 * times […].
 *
 * Their gradients are written side by side into one tensor, a launch each, with nothing to pad and
 * to add.
 * @throws ShapeError for a tensor without dimensions.
 */
export function unstack(x: Tensor): Tensor[] {
  const [n, ...shape] = x.shape;
  if (n === undefined) throw new ShapeError("unstack: a tensor of one dimension or more is expected, found shape []");
  const size = sizeOf(shape);
  const strides = stridesOf(shape);
  const place = { shape, fromStrides: strides, toStrides: strides };
  // A gradient arrives slice by slice, of some slices perhaps not at all: this node, behind all of
  // them, runs when those that come are there. The next backward pass begins with none.
  let gathered: Tensor | null = null;
  const arrived = new Set<number>();
  const whole = record("unstack", x.view(x.shape), [x], [], () => (g) => {
    const here = [...arrived];
    gathered = null;
    arrived.clear();
    if (here.length === n) return [g];
    const dx = g.newFull(x.shape, 0);
    for (const i of here) copyRegion(g, dx, { ...place, fromOffset: i * size, toOffset: i * size }, "unstack");
    return [dx];
  });
  const slices = Array.from({ length: n }, (_, i) => {
    const y = x.newEmpty(shape);
    copyRegion(whole, y, { ...place, fromOffset: i * size }, "unstack");
    const backward = () => (g: Tensor) => {
      const first = gathered === null;
      gathered ??= g.newEmpty([n, ...shape]);
      copyRegion(g, gathered, { ...place, toOffset: i * size }, "unstack");
      arrived.add(i);
      // The node behind is given the gathered gradient once; what comes later is written into it.
      return [first ? gathered : null];
    };
    return record("slice", y, [whole], [], backward, { from: [i, ...shape.map(() => 0)] });
  });
  whole.dispose();
  return slices;
}
