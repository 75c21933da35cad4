/** Dates as time-stamping authorities give them: a time, and what it may be off. */

/** When something was there at the latest, as time-stamping authorities say. JSON-able. */
export interface Dated {
  /** ISO 8601, of the stamp that is certain first: the least of time and accuracy together. */
  readonly time: string;
  /** Seconds that the stamp may be off. */
  readonly accuracy: number;
  /** Who signed stamps. */
  readonly authorities: readonly string[];
}

/** Whether a date, with what it may be off, is before another. */
export const isBefore = ({ time, accuracy }: Pick<Dated, "time" | "accuracy">, other: string): boolean =>
  Date.parse(time) + 1000 * accuracy < Date.parse(other);
