/**
 * Clouds that nobody can guess: points on shells of ellipsoids, at secret places and of secret
 * sizes. All in whole numbers, so that every machine gives the same coordinates.
 */

import type { Draw } from "../digest";

const SIDE = 2 ** 12;
const UNIT = 2 ** 13;

/** A point between two spheres, by rejection; one of SIDE is its radius. */
function onShell(draw: Draw): readonly [number, number, number] {
  for (;;) {
    const [x, y, z] = [0, 1, 2].map(() => draw(2 * SIDE + 1) - SIDE) as [number, number, number];
    const square = x * x + y * y + z * z;
    if (square <= SIDE * SIDE && 20 * square >= 17 * SIDE * SIDE) return [x, y, z];
  }
}

/**
 * A union of 3 to 6 shells of ellipsoids; radii 1/8 to 1/2, centres within 1/2 of the origin along
 * each axis, so that nothing is farther out than 1 along one.
 * @returns points × 3 coordinates, multiples of 2⁻¹³
 */
export function ellipsoids(points: number, draw: Draw): Float32Array<ArrayBuffer> {
  const shells = Array.from({ length: 3 + draw(4) }, () => ({
    centre: [0, 1, 2].map(() => draw(UNIT + 1) - UNIT / 2),
    radii: [0, 1, 2].map(() => UNIT / 8 + draw((3 * UNIT) / 8 + 1)),
  }));
  const cloud = new Float32Array(3 * points);
  for (let p = 0; p < points; p++) {
    const { centre, radii } = shells[draw(shells.length)]!;
    onShell(draw).forEach((v, d) => {
      cloud[3 * p + d] = (centre[d]! + Math.round((v * radii[d]!) / SIDE)) / UNIT;
    });
  }
  return cloud;
}
