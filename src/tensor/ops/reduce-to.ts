import { type Shape, sameShape } from "../shape";
import type { Tensor } from "../tensor";
import { sum } from "./reduce";

/** Sums a gradient over the dimensions that broadcasting had repeated, back to `shape`. */
export function sumTo(g: Tensor, shape: Shape): Tensor {
  if (sameShape(g.shape, shape)) return g;
  const shift = g.rank - shape.length;
  const axes = g.shape.flatMap((n, d) => (d < shift || (shape[d - shift] === 1 && n !== 1) ? [d] : []));
  return (axes.length ? sum(g, axes) : g).view(shape);
}
