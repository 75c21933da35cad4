/** Room in memory, which data may need more of than there is. */
import { ArgumentError, LimitError } from "../errors";
import { shown } from "../io/shown";

/** @throws LimitError if there is no memory for so many floats */
export function floats(maker: string, count: number): Float32Array<ArrayBuffer> {
  try {
    return new Float32Array(count);
  } catch (cause) {
    throw new LimitError(`${maker}: there is no memory for ${count} floats in one array; ask for less`, { cause });
  }
}

/** @throws ArgumentError if there is no room for `size` floats in `out` from `offset` on */
export function checkRoom(maker: string, size: number, out: Float32Array, offset: number): void {
  if (out instanceof Float32Array && Number.isSafeInteger(offset) && offset >= 0 && offset + size <= out.length) return;
  throw new ArgumentError(
    `${maker}: expected room for ${size} floats in a Float32Array, got ${shown(out)} and offset ${shown(offset)}`,
  );
}
