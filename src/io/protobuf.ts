/**
 * Protocol buffers as fields in a row, each a number, a kind and a value: what a reader of one
 * message needs. Nothing is copied. Source: https://protobuf.dev/programming-guides/encoding.
 */
import { FormatError } from "../errors";

/** One field of a message: an integer, or the bytes of a text, a message, packed numbers. */
export type Field = { readonly number: number } & (
  | { readonly kind: "varint"; readonly value: bigint }
  | { readonly kind: "bytes" | "32" | "64"; readonly value: Uint8Array }
);

const refuse = (problem: string): never => {
  throw new FormatError(
    `Not a valid protocol buffer: ${problem}. The file is damaged or cut short: fetch or export it again.`,
  );
};

/** Reads along a message. */
class Cursor {
  #at = 0;
  constructor(private readonly bytes: Uint8Array) {}

  get done(): boolean {
    return this.#at >= this.bytes.length;
  }

  /** Seven bits a byte, least first; of ten bytes at most. */
  varint(): bigint {
    let [low, value, shift] = [0, 0n, 0n];
    for (let i = 0; i < 10; i++) {
      const byte = this.bytes[this.#at++] ?? refuse("an integer is cut");
      // Short ones, almost all, need no wide arithmetic.
      if (i < 4) low |= (byte & 0x7f) << (7 * i);
      else {
        if (i === 4) [value, shift] = [BigInt(low), 28n];
        value |= BigInt(byte & 0x7f) << shift;
        shift += 7n;
      }
      if (byte < 0x80) return i < 4 ? BigInt(low) : BigInt.asUintN(64, value);
    }
    return refuse("an integer of more than ten bytes");
  }

  take(n: number): Uint8Array {
    if (n > this.bytes.length - this.#at) refuse("a field is cut");
    this.#at += n;
    return this.bytes.subarray(this.#at - n, this.#at);
  }
}

/** The fields of a message, in their order. @throws FormatError where they are none. */
export function* fieldsOf(message: Uint8Array): IterableIterator<Field> {
  const cursor = new Cursor(message);
  while (!cursor.done) {
    const key = Number(cursor.varint());
    const number = Math.floor(key / 8);
    if (number < 1 || number >= 2 ** 29) refuse(`field ${number}`);
    switch (key % 8) {
      case 0:
        yield { number, kind: "varint", value: cursor.varint() };
        break;
      case 1:
        yield { number, kind: "64", value: cursor.take(8) };
        break;
      case 2:
        yield { number, kind: "bytes", value: cursor.take(Number(cursor.varint())) };
        break;
      case 5:
        yield { number, kind: "32", value: cursor.take(4) };
        break;
      default:
        refuse(`field ${number} is of kind ${key % 8}`);
    }
  }
}

/** Integers of a repeated field, of which several may be packed into one. */
export function* varintsOf(field: Field): IterableIterator<bigint> {
  if (field.kind === "varint") yield field.value;
  else if (field.kind !== "bytes") refuse(`field ${field.number} is no integer`);
  else for (const cursor = new Cursor(field.value); !cursor.done; ) yield cursor.varint();
}
