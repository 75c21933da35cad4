/**
 * Images that nobody can guess: a coarse grid of bytes, enlarged. What varies slowly survives
 * pooling, where independent pixels look all alike.
 */

/**
 * Enlarges a grid of bytes bilinearly, its corners at the image's corners. All in whole numbers, so
 * that every machine gives the same bytes:
 *
 *     v = (a (X − x)(Y − y) + b x (Y − y) + c (X − x) y + d x y) / X Y, rounded half up
 *
 * @param grid channels × rows × columns bytes
 * @returns channels × height × width bytes
 */
export function enlarge(
  grid: Uint8Array,
  [channels, cells]: readonly [channels: number, cells: number],
  [height, width]: readonly [height: number, width: number],
): Uint8Array {
  const image = new Uint8Array(channels * height * width);
  const [ys, xs] = [Math.max(1, height - 1), Math.max(1, width - 1)];
  const area = ys * xs;
  for (let c = 0; c < channels; c++)
    for (let row = 0; row < height; row++) {
      const [top, y] = cellOf(row, ys, cells);
      for (let column = 0; column < width; column++) {
        const [left, x] = cellOf(column, xs, cells);
        const at = (r: number, k: number) => grid[(c * cells + r) * cells + k]!;
        const above = at(top, left) * (xs - x) + at(top, left + 1) * x;
        const below = at(top + 1, left) * (xs - x) + at(top + 1, left + 1) * x;
        const sum = above * (ys - y) + below * y;
        image[(c * height + row) * width + column] = Math.floor((2 * sum + area) / (2 * area));
      }
    }
  return image;
}

/** The cell in front of a place, and how far behind it the place is, of `steps`. */
function cellOf(place: number, steps: number, cells: number): [cell: number, rest: number] {
  const along = place * (cells - 1);
  const cell = Math.min(Math.floor(along / steps), cells - 2);
  return [cell, along - cell * steps];
}
