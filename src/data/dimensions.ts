/** Coordinates of a point. */
export const DIMENSIONS = 3;
