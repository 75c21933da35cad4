/** What is added to the variance where nothing else is said. */
export const NORM_EPS = 1e-5;
