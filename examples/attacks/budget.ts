/** What an attacker spends. */
export interface Budget {
  draws: number;
  shares: readonly number[];
  pruneShares: readonly number[];
  epochs: number;
  images: number;
  testImages: number;
  batchSize: number;
}

/** Budgets by name. */
export const BUDGETS: Record<"small" | "papers", Budget> = {
  small: {
    draws: 20,
    shares: [0, 0.25, 0.5, 0.75, 1],
    pruneShares: [0, 0.2, 0.4, 0.6, 0.8, 1],
    epochs: 2,
    images: 1000,
    testImages: 500,
    batchSize: 50,
  },
  papers: {
    draws: 50,
    shares: Array.from({ length: 11 }, (_, i) => i / 10),
    pruneShares: Array.from({ length: 11 }, (_, i) => i / 10),
    epochs: 100,
    images: 50_000,
    testImages: 10_000,
    batchSize: 64,
  },
};
