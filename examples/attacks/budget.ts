/** What an attacker spends. */
export interface Budget {
  draws: number;
  shares: readonly number[];
  pruneShares: readonly number[];
  epochs: number;
  images: number;
  testImages: number;
  batchSize: number;
  /** Strangers' credentials to draw for the null. */
  strangers: number;
}

const TENS = Array.from({ length: 11 }, (_, i) => i / 10);

/** Budgets by name. */
export const BUDGETS = {
  small: {
    draws: 20,
    shares: [0, 0.25, 0.5, 0.75, 1],
    pruneShares: TENS,
    epochs: 2,
    images: 1000,
    testImages: 500,
    batchSize: 50,
    strangers: 1000,
  },
  medium: {
    draws: 50,
    shares: [0, 0.25, 0.5, 0.75, 1],
    pruneShares: TENS,
    epochs: 10,
    images: 5000,
    testImages: 2000,
    batchSize: 50,
    strangers: 10_000,
  },
  papers: {
    draws: 50,
    shares: TENS,
    pruneShares: TENS,
    epochs: 100,
    images: 50_000,
    testImages: 10_000,
    batchSize: 64,
    strangers: 10_000,
  },
} as const satisfies Record<string, Budget>;

export type BudgetName = keyof typeof BUDGETS;
