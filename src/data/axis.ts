/** Where the rows or columns of a picture are read from. */
import { ArgumentError } from "../errors";
import { shown } from "../io/shown";

const isSize = (size: unknown): boolean => Number.isSafeInteger(size) && (size as number) >= 1;

const notWhole = (method: string, name: string, value: unknown): ArgumentError =>
  new ArgumentError(
    `Axis.${method}: expected ${name} to be a whole number${name === "size" ? " from 1" : ""}, got ${shown(value)}`,
  );

/**
 * One axis of the picture being made: its position x shows the source's position origin + step·x,
 * if that lies in [low, high), and black otherwise.
 */
export class Axis {
  origin = 0;
  step: 1 | -1 = 1;
  size = 0;
  low = 0;
  high = 0;

  /**
   * The whole source, as it is.
   *
   * @throws ArgumentError if `size` is not a whole number from 1
   */
  reset(size: number): void {
    if (!isSize(size)) throw notWhole("reset", "size", size);
    this.origin = 0;
    this.step = 1;
    this.size = size;
    this.low = 0;
    this.high = size;
  }

  /**
   * Shows `size` positions from `start` of what was shown; those outside of it are black.
   *
   * @throws ArgumentError if `start` is not a whole number or `size` not one from 1
   */
  window(start: number, size: number): void {
    if (!Number.isSafeInteger(start)) throw notWhole("window", "start", start);
    if (!isSize(size)) throw notWhole("window", "size", size);
    const end = this.origin + this.step * (this.size - 1);
    // What an earlier window cut away must not come back as the border of this one.
    this.low = Math.max(this.low, Math.min(this.origin, end));
    this.high = Math.min(this.high, Math.max(this.origin, end) + 1);
    this.origin += this.step * start;
    this.size = size;
  }

  /** Turns the axis round: what was last is first. */
  reverse(): void {
    this.origin += this.step * (this.size - 1);
    this.step = this.step === 1 ? -1 : 1;
  }

  /** First position that shows the source. */
  get first(): number {
    const at = this.step === 1 ? this.low - this.origin : this.origin - this.high + 1;
    return Math.min(Math.max(at, 0), this.size);
  }

  /** One after the last position that shows the source; not below `first`. */
  get end(): number {
    const at = this.step === 1 ? this.high - this.origin : this.origin - this.low + 1;
    return Math.min(Math.max(at, this.first), this.size);
  }

  /**
   * Whether every position shown is one of a source of `size` positions: a transform may set the
   * fields to anything.
   */
  fits(size: number): boolean {
    const { first, end } = this;
    if (Math.abs(this.step) !== 1 || !isSize(this.size) || !Number.isSafeInteger(this.origin)) return false;
    const from = this.origin + this.step * first;
    const to = this.origin + this.step * (end - 1);
    return end === first || (Math.min(from, to) >= 0 && Math.max(from, to) < size);
  }
}
